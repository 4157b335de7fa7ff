/* SPDX-License-Identifier: MIT */
/*
 * A thread walks its own stack, at once, but does so on another stack:
 *
 *	create -> miss -> unwind_record --swapcontext--> walk, on copool's stack
 *	 the coroutine's stack, which may be small        signals blocked
 *
 * Signals are blocked, so that no handler of the program, such as a garbage collector's, finds its thread on a stack
 * that it does not know. One thread walks at a time. If a thread does not get its turn soon, its stack counts as
 * unknown.
 *
 * libunwind only interprets the call frame information, as it does for another process; the functions here read memory
 * for it. Before a page is read for the first time the kernel is asked whether it is readable, so a broken stack ends
 * the walk and not the program. object_find() takes no lock of the loader from glibc 2.35 on. libunwind's functions for
 * its own process do neither, and keep descriptors in the program's table.
 */
#include "report/origins/unwind.h"

#include "report/origins/registers.h"
#include "system/clock.h"
#include "libc/objects.h"
#include "libc/real.h"
#include "system/return_address.h"
#include "system/warn.h"

#include <dlfcn.h>
#include <errno.h>
#include <libunwind.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum {
	STACK_BYTES = 128 << 10, /* libunwind's deepest path needs less than a tenth */
	ENTER_TRIES = 64,
	FORK_WAIT_MS = 200,
	RULES = 1024, /* a power of two */
	PAGES = 16,
	PAGE_SHIFT = 12, /* pages of other sizes consist of such */
};

#define LIBRARY "libunwind-" REGISTERS_OF ".so.8"

/* How to go from a call to its caller: what libunwind made of the call frame information, for later walks. */
struct rule {
	uintptr_t address; /* the call's return address; 0: no rule */
	char state[REGISTERS_RULE_BYTES];
};

static struct {
	bool is_loaded; /* the constructor writes this and the next four */
	char *stack;
	struct rule *rule;           /* RULES of them, each at the hash of its address */
	uintptr_t own_low, own_high; /* libcopool.so's addresses */

	_Atomic bool is_ready;     /* the statistics thread or a fork's child writes it */
	_Atomic uintptr_t walking; /* the thread that walks or forks, which owns what follows; 0: none */

	uintptr_t page[PAGES]; /* readable pages, each at its number modulo PAGES */
	ucontext_t program, ours;
	struct call_stack found;
	uintptr_t walked; /* the return address whose rule is wanted */
	unw_addr_space_t space;
} origin;

/* libunwind's functions, those for other processes. */
static struct {
	unw_addr_space_t (*create)(unw_accessors_t *, int);
	int (*set_caching)(unw_addr_space_t, unw_caching_policy_t);
	int (*init)(unw_cursor_t *, unw_addr_space_t, void *);
	int (*step)(unw_cursor_t *);
	int (*each_state)(unw_cursor_t *, unw_reg_states_callback, void *);
	int (*apply)(unw_cursor_t *, void *);
	int (*is_signal)(unw_cursor_t *);
	int (*get)(unw_cursor_t *, unw_regnum_t, unw_word_t *);
	int (*search)(unw_addr_space_t, unw_word_t, unw_dyn_info_t *, unw_proc_info_t *, int, void *);
} unwind;

/* ---- what libunwind asks for ---- */

static bool is_code(uintptr_t address)
{
	struct object object;

	return object_find((void *)address, &object);
}

/* Whether the page can be read. The kernel reads the new mask before it finds that `how` is invalid. */
static bool is_readable(uintptr_t address)
{
	uintptr_t page = address >> PAGE_SHIFT;

	/* A place for a page that is still empty holds 0. */
	if (page != 0 && origin.page[page % PAGES] == page)
		return true;
	if (page == 0 || syscall(SYS_rt_sigprocmask, ~0, page << PAGE_SHIFT, NULL, 8) == 0 || errno != EINVAL)
		return false;
	origin.page[page % PAGES] = page;
	return true;
}

/*
 * A word of the stack that is a signed return address becomes that address: not each libunwind knows them. Nothing else
 * lies at an address of code once its highest bits are taken away.
 */
static unw_word_t without_signature(unw_word_t word)
{
	uintptr_t address = return_address(word);

	return address != word && is_code(address - 1) ? address : word;
}

static int access_memory(
        unw_addr_space_t space, unw_word_t address, unw_word_t *word, int write, void *unused)
{
	(void)space;
	(void)unused;
	if (write || !is_readable(address) || !is_readable(address + sizeof *word - 1))
		return -UNW_EINVAL;
	memcpy(word, (const void *)address, sizeof *word);
	*word = without_signature(*word);
	return 0;
}

static int access_register(
        unw_addr_space_t space, unw_regnum_t number, unw_word_t *word, int write, void *unused)
{
	(void)space;
	(void)unused;
	if (write || number < 0 || number >= REGISTERS)
		return -UNW_EBADREG;
	*word = registers_get(&origin.program, number);
	return 0;
}

static int access_float(
        unw_addr_space_t space, unw_regnum_t number, unw_fpreg_t *value, int write, void *unused)
{
	(void)space;
	(void)number;
	(void)value;
	(void)write;
	(void)unused;
	return -UNW_EBADREG;
}

/* .eh_frame_hdr as all linkers make it: a sorted table of offsets, relative to the header. */
struct frame_header {
	uint8_t version, frame_encoding, count_encoding, table_encoding;
	int32_t frame;
	uint32_t count;
	int32_t table[];
};

enum {
	HEADER_VERSION = 1,
	ENCODING_UDATA4 = 0x03,
	ENCODING_PCREL_SDATA4 = 0x1b,
	ENCODING_DATAREL_SDATA4 = 0x3b
};

static int find_description(
        unw_addr_space_t space, unw_word_t at, unw_proc_info_t *found, int is_full, void *unused)
{
	struct object object;
	const struct frame_header *header;
	unw_dyn_info_t table = {.format = UNW_INFO_FORMAT_REMOTE_TABLE};

	if (!object_find((void *)at, &object) || object.frames == NULL)
		return -UNW_ENOINFO;
	header = object.frames;
	if (header->version != HEADER_VERSION || header->frame_encoding != ENCODING_PCREL_SDATA4 ||
	        header->count_encoding != ENCODING_UDATA4 ||
	        header->table_encoding != ENCODING_DATAREL_SDATA4)
		return -UNW_ENOINFO;
	table.start_ip = (unw_word_t)object.begin;
	table.end_ip = (unw_word_t)object.end;
	table.u.rti.segbase = (unw_word_t)header;
	table.u.rti.table_data = (unw_word_t)header->table;
	table.u.rti.table_len = header->count; /* in words: an entry is two offsets of four bytes */
	return unwind.search(space, at, &table, found, is_full, unused);
}

static void put_description(unw_addr_space_t space, unw_proc_info_t *found, void *unused)
{
	(void)space;
	(void)found;
	(void)unused;
}

static int find_dynamic(unw_addr_space_t space, unw_word_t *list, void *unused)
{
	(void)space;
	(void)list;
	(void)unused;
	return -UNW_ENOINFO;
}

static int refuse_resume(unw_addr_space_t space, unw_cursor_t *cursor, void *unused)
{
	(void)space;
	(void)cursor;
	(void)unused;
	return -UNW_EINVAL;
}

/* ---- walking ---- */

bool unwind_is_inside(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	return here - (uintptr_t)origin.stack < STACK_BYTES;
}

static bool is_own(uintptr_t address)
{
	return address >= origin.own_low && address < origin.own_high;
}

/* Keeps the state, one of several of a function, that applies at `walked`. */
static int keep_rule(void *to, void *state, size_t bytes, unw_word_t low, unw_word_t high)
{
	struct rule *rule = to;

	if (bytes > REGISTERS_RULE_BYTES || origin.walked - 1 < low || origin.walked - 1 >= high)
		return 0;
	memcpy(rule->state, state, bytes);
	rule->address = origin.walked;
	return 0;
}

/*
 * Goes from a call to its caller. Above 0: there is one. With a known rule this costs a fraction, as libunwind blocks
 * signals each time that it looks for its own. `is_call` says whether the cursor is at a call. It is not where the walk
 * began, nor where a signal arrived; there only libunwind knows how to go on.
 */
static int step(unw_cursor_t *cursor, uintptr_t address, bool *is_call)
{
	struct rule *rule = &origin.rule[address * 0x9e3779b97f4a7c15 >> 32 & (RULES - 1)];
	bool was_call = *is_call;

	*is_call = true;
	if (was_call && rule->address == address)
		return unwind.apply(cursor, rule->state);
	if (unwind.is_signal(cursor) > 0)
		*is_call = false;
	if (!was_call || !*is_call)
		return unwind.step(cursor);
	rule->address = 0;
	origin.walked = address;
	unwind.each_state(cursor, keep_rule, rule);
	return rule->address == address ? unwind.apply(cursor, rule->state) : unwind.step(cursor);
}

/* Walks from the program's registers into `found`. */
static void walk(void)
{
	union {
		unw_cursor_t cursor;
		char room[4 * sizeof(unw_cursor_t)]; /* later versions may have a larger one */
	} at;
	struct call_stack *found = &origin.found;
	unw_word_t address;
	bool is_call = false;

	memset(origin.page, 0, sizeof origin.page);
	if (unwind.init(&at.cursor, origin.space, NULL) != 0)
		return;
	do {
		if (unwind.get(&at.cursor, UNW_REG_IP, &address) != 0 || address == 0)
			return;
		if (found->frames == 0 && is_own(address))
			continue;
		if (found->frames == CALLERS_FRAMES) {
			found->is_cut = true;
			return;
		}
		found->frame[found->frames++] = address;
	} while (is_code(address - 1) && step(&at.cursor, address, &is_call) > 0);
}

static bool enter(unsigned tries)
{
	uintptr_t none = 0;

	while (tries-- > 0) {
		/* [unwind.walking] acquire: sees what the last owner did; pairs with leave. */
		if (atomic_compare_exchange_strong_explicit(&origin.walking, &none, (uintptr_t)pthread_self(),
		            memory_order_acquire, memory_order_relaxed))
			return true;
		none = 0;
		sched_yield();
	}
	return false;
}

static void leave(void)
{
	/* [unwind.walking] release: pairs with enter. */
	atomic_store_explicit(&origin.walking, 0, memory_order_release);
}

/* Walks the calling thread's stack into `found`. The caller must have entered. */
static void walk_caller(void)
{
	origin.found.frames = 0;
	origin.found.is_cut = false;
	origin.ours.uc_stack.ss_sp = origin.stack;
	origin.ours.uc_stack.ss_size = STACK_BYTES;
	origin.ours.uc_link = &origin.program;
	makecontext(&origin.ours, walk, 0);
	swapcontext(&origin.program, &origin.ours);
}

unsigned unwind_record(struct callers *callers, unsigned pool)
{
	sigset_t all, before;
	unsigned number = pool;

	/* [unwind.is_ready] acquire: sees what begin() did; pairs with unwind_begin. */
	if (!atomic_load_explicit(&origin.is_ready, memory_order_acquire))
		return pool;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (enter(ENTER_TRIES)) {
		walk_caller();
		origin.found.pool = pool;
		number = callers_find(callers, &origin.found);
		leave();
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return number;
}

/* ---- start and fork ---- */

static bool find_functions(void *library)
{
	const struct {
		void *function;
		const char *name;
	} wanted[] = {
	        {&unwind.create, "_U" REGISTERS_OF "_create_addr_space"},
	        {&unwind.set_caching, "_U" REGISTERS_OF "_set_caching_policy"},
	        {&unwind.each_state, "_U" REGISTERS_OF "_reg_states_iterate"},
	        {&unwind.apply, "_U" REGISTERS_OF "_apply_reg_state"},
	        {&unwind.is_signal, "_U" REGISTERS_OF "_is_signal_frame"},
	        {&unwind.init, "_U" REGISTERS_OF "_init_remote"},
	        {&unwind.step, "_U" REGISTERS_OF "_step"},
	        {&unwind.get, "_U" REGISTERS_OF "_get_reg"},
	        {&unwind.search, "_U" REGISTERS_OF "_dwarf_search_unwind_table"},
	};

	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		void *found = dlsym(library, wanted[i].name);

		if (found == NULL)
			return false;
		memcpy(wanted[i].function, &found, sizeof found);
	}
	return true;
}

static void give_up(const char *why)
{
	warn("the origins of misses and leaks are not recorded: %.300s", why);
	origin.is_loaded = false;
}

bool unwind_load(const void *own)
{
	/* RTLD_LOCAL: its functions must not replace those of a C++ program's unwinder. */
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	struct object object;

	if (library == NULL || !find_functions(library)) {
		give_up(library == NULL ? dlerror() : LIBRARY " lacks a function");
		return false;
	}
	origin.stack = real_table(STACK_BYTES);
	origin.rule = real_table(RULES * sizeof *origin.rule);
	if (origin.stack == NULL || origin.rule == NULL || !object_find(own, &object)) {
		give_up("there is no memory");
		return false;
	}
	origin.own_low = (uintptr_t)object.begin;
	origin.own_high = (uintptr_t)object.end;
	origin.is_loaded = true;
	return true;
}

/* Prepares libunwind. The caller must have entered. */
static bool begin(void)
{
	/* Later versions have more functions, and work if these are NULL. */
	static union {
		unw_accessors_t ours;
		char room[4 * sizeof(unw_accessors_t)];
	} accessors = {.ours = {.find_proc_info = find_description,
	                       .put_unwind_info = put_description,
	                       .get_dyn_info_list_addr = find_dynamic,
	                       .access_mem = access_memory,
	                       .access_reg = access_register,
	                       .access_fpreg = access_float,
	                       .resume = refuse_resume}};

	if (origin.space == NULL)
		origin.space = unwind.create(&accessors.ours, 0);
	if (origin.space == NULL || getcontext(&origin.ours) != 0)
		return false;
	sigfillset(&origin.ours.uc_sigmask);
	unwind.set_caching(origin.space, UNW_CACHE_GLOBAL);
	/* libunwind allocates its memory now, and not during a miss. */
	walk_caller();
	return true;
}

void unwind_begin(bool is_private)
{
	/* [unwind.is_ready] relaxed: this thread wrote it, or the parent process did. */
	if (!origin.is_loaded || atomic_load_explicit(&origin.is_ready, memory_order_relaxed))
		return;
	if (!is_private) {
		give_up("the system cannot keep libunwind's descriptors out of the program's");
		return;
	}
	if (enter(ENTER_TRIES)) {
		/* [unwind.is_ready] release: publishes what begin() did; pairs with unwind_record. */
		atomic_store_explicit(&origin.is_ready, begin(), memory_order_release);
		leave();
	}
}

void unwind_fork_prepare(void)
{
	for (unsigned i = 0; origin.is_loaded && !enter(1) && i < FORK_WAIT_MS; i++)
		clock_sleep_us(1000);
}

/* [unwind.walking] relaxed in the next two: if it is this thread, this thread wrote it. */
void unwind_fork_parent(void)
{
	if (atomic_load_explicit(&origin.walking, memory_order_relaxed) == (uintptr_t)pthread_self())
		leave();
}

void unwind_fork_child(void)
{
	uintptr_t walker = atomic_load_explicit(&origin.walking, memory_order_relaxed);

	leave();
	if (walker == 0 || walker == (uintptr_t)pthread_self())
		return;
	/* The other thread has left libunwind's locks and tables in any state. */
	give_up("the parent was recording one in the middle of the fork");
	atomic_store_explicit(&origin.is_ready, false, memory_order_relaxed);
}
