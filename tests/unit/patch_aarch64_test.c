/* SPDX-License-Identifier: MIT */
/*
 * For aarch64: patches functions of this program, with prologues that compilers make, and an instruction in the middle of
 * one; calls them through hook and trampoline, by address too, and restores them. They have pages of their own, because a
 * page that is being written cannot run.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "patch/patch.h"
#include "patch/symbols.h"
#include "pool/entry.h"
#include "pool/fast_path.h"
#include "pool/upkeep.h"
#include "tap.h"

enum { ADDED = 1000 };

/* name, code; each returns its argument plus 7. Not all have a landing pad: so they are called by way of one. */
#define FUNCTIONS(X)                                                                                                         \
	X(stp, "stp x29, x30, [sp, #-16]!\n mov x29, sp\n add w0, w0, #7\n ldp x29, x30, [sp], #16\n ret")                   \
	X(sub_sp, "sub sp, sp, #0x90\n add w0, w0, #7\n add sp, sp, #0x90\n ret")                                            \
	X(paciasp, "paciasp\n stp x29, x30, [sp, #-16]!\n mov x29, sp\n add w0, w0, #7\n"                                    \
	           " ldp x29, x30, [sp], #16\n autiasp\n ret")                                                               \
	X(pacibsp, "pacibsp\n stp x29, x30, [sp, #-16]!\n add w0, w0, #7\n"                                                  \
	           " ldp x29, x30, [sp], #16\n autibsp\n ret")                                                               \
	X(bti, "bti c\n mov w1, #7\n add w0, w0, w1\n ret")                                                                  \
	X(adrp, "adrp x1, seven\n ldr w1, [x1, :lo12:seven]\n add w0, w0, w1\n ret")                                         \
	X(adr, "adr x1, 1f + 4\n ldr w1, [x1, #-4]\n add w0, w0, w1\n ret\n .pushsection .rodata\n1: .long 7\n .popsection") \
	X(cbz, "cbz w0, 1f\n add w0, w0, #7\n ret\n1: mov w0, #7\n ret")                                                     \
	X(tbnz, "tbnz w0, #2, 1f\n add w0, w0, #7\n ret\n1: mov w1, #7\n add w0, w0, w1\n ret")                              \
	X(b_cond, "b.eq 1f\n add w0, w0, #7\n ret\n1: mov w1, #7\n add w0, w0, w1\n ret")                                    \
	X(jump, "b target_stp")

#define FUNCTION_CODE(name, code)                                                                            \
	".balign 16\n pad_" #name ": bti c\n b target_" #name "\n .balign 16\n .globl target_" #name         \
	"\n .type target_" #name ", %function\n target_" #name ":\n" code "\n .size target_" #name           \
	", . - target_" #name "\n"

asm(".arch armv8.5-a\n"
    ".pushsection .data\n .balign 8\n seven: .long 7\n .popsection\n"
    ".pushsection .text\n .globl inside_at, inside_goes_on\n .balign 65536\n" FUNCTIONS(FUNCTION_CODE)
                FUNCTION_CODE(near, "ldr w1, 1f\n add w0, w0, w1\n ret\n1: .long 7")
        /* Clears a word in its middle, and has something in each register that calls may change. */
        FUNCTION_CODE(inside,
                "bti c\n stp x29, x30, [sp, #-32]!\n mov x29, sp\n str x19, [sp, #16]\n mov x19, x1\n"
                "inside_at: str xzr, [x19, #16]\n add w0, w0, #100\n"
                "inside_goes_on: add w0, w0, #7\n ldr x19, [sp, #16]\n"
                " ldp x29, x30, [sp], #32\n ret") ".balign 65536\n .popsection\n");

int target_near(int value);
int target_inside(int value, long *words);
extern const char inside_at[], inside_goes_on[];

typedef int(function)(int);

struct target {
	const char *name;
	function *function, *by_pad;
	function *hook;
	function *original;
};

static int hook_calls;

#define DECLARE(name, code) int target_##name(int value), pad_##name(int value);
FUNCTIONS(DECLARE)

enum {
#define INDEX(name, code) INDEX_##name,
	FUNCTIONS(INDEX) TARGETS,
};

static struct target targets[TARGETS];

#define HOOK(name, code)                                                                                     \
	static int hook_##name(int value)                                                                    \
	{                                                                                                    \
		hook_calls++;                                                                                \
		return targets[INDEX_##name].original(value) + ADDED;                                        \
	}
FUNCTIONS(HOOK)

static struct target targets[TARGETS] = {
#define TARGET(name, code) {#name, target_##name, pad_##name, hook_##name, NULL},
        FUNCTIONS(TARGET)};

static struct symbols symbols;
static uint8_t before[TARGETS][16];

static bool find(const char *name, struct symbol *found)
{
	char full[64];

	snprintf(full, sizeof full, "target_%s", name);
	return symbols_find(&symbols, full, ELF_FUNCTION, found) == 0;
}

/* Calls by way of memory, so that no compiler knows what is called; this goes to landing pads. */
static int call(function *f, int value)
{
	function *volatile hidden = f;

	return hidden(value);
}

static int plan_all(struct patch_set *set)
{
	int error = 0;

	patch_begin(set);
	for (size_t i = 0; i < TARGETS && error == 0; i++) {
		struct symbol symbol;

		if (!find(targets[i].name, &symbol))
			return -ENOENT;
		error = patch_plan(set, targets[i].name, &symbol, (void *)targets[i].hook,
		        (void **)&targets[i].original);
	}
	return error;
}

static bool is_as_before(void)
{
	bool is_same = true;

	for (size_t i = 0; i < TARGETS; i++)
		is_same &= memcmp((void *)targets[i].function, before[i], sizeof before[i]) == 0 &&
		           targets[i].original == NULL && call(targets[i].by_pad, 5) == 12 &&
		           call(targets[i].by_pad, 0) == 7;
	return is_same;
}

static bool is_hooked(void)
{
	bool is_good = true;

	for (size_t i = 0; i < TARGETS; i++) {
		/* `jump` ends in `stp`, whose hook is then called as well. */
		int hooks = i == INDEX_jump ? 2 : 1, calls = hook_calls;

		is_good &= call(targets[i].by_pad, 5) == 12 + hooks * ADDED;
		is_good &= call(targets[i].by_pad, 0) == 7 + hooks * ADDED;
		is_good &= hook_calls - calls == 2 * hooks;
	}
	return is_good;
}

static void test_entries(void)
{
	struct patch_set set;
	struct symbol symbol;
	unsigned changed = 0;

	tap_is(plan_all(&set), 0, "patch: every known prologue can be planned");
	if (set.reason[0] != '\0')
		printf("# %s\n", set.reason);
	tap_ok(is_as_before(), "patch: a plan changes nothing");
	tap_is(patch_commit(&set), 0, "patch: the plan can be committed");
	tap_ok(is_hooked(), "patch: hooks are called, and reach the functions as they were");
	for (size_t i = 0; i < TARGETS; i++)
		for (size_t at = 0; at < sizeof before[i]; at += 4)
			changed += memcmp((char *)targets[i].function + at, before[i] + at, 4) != 0;
	tap_is(changed, TARGETS, "patch: of each function one instruction is changed");
	tap_ok(memcmp((void *)target_paciasp, before[INDEX_paciasp], 4) == 0 &&
	                memcmp((void *)target_bti, before[INDEX_bti], 4) == 0,
	        "patch: paciasp and bti stay in front of the jump");
	tap_ok(call(target_paciasp, 5) == 12 + ADDED && call(target_bti, 5) == 12 + ADDED,
	        "patch: their own landing pads can be called");
	patch_revert(&set);
	tap_ok(is_as_before(), "patch: revert puts every byte back");
	tap_ok(plan_all(&set) == 0 && patch_commit(&set) == 0 && is_hooked(),
	        "patch: what was reverted can be patched again");
	patch_revert(&set);
	tap_ok(is_as_before(), "patch: the second revert puts every byte back");
	find("near", &symbol);
	patch_begin(&set);
	tap_is(patch_plan(&set, "near", &symbol, (void *)hook_stp, (void **)&targets[0].original), -ENOTSUP,
	        "patch: a function that begins with a load of what lies near by is refused");
	tap_is_text(set.reason, "near: it begins with an instruction that has no long form",
	        "patch: the reason says so");
	patch_revert(&set);
}

/* ---- in the middle ---- */

static struct pool pool;
static void *put_object;
static unsigned destroyed;
static uint64_t filler;

static void *make(void *owner)
{
	(void)owner;
	return NULL;
}

/* Leaves nothing in the registers that a called function may change. */
static void destroy(void *owner, void *object)
{
	(void)owner;
	put_object = object;
	destroyed++;
	__asm__ volatile(
	        "mov x0, xzr\n mov x1, xzr\n mov x2, xzr\n mov x3, xzr\n mov x4, xzr\n mov x5, xzr\n"
	        "mov x6, xzr\n mov x7, xzr\n mov x8, xzr\n mov x9, xzr\n mov x10, xzr\n mov x11, xzr\n"
	        "mov x12, xzr\n mov x13, xzr\n mov x14, xzr\n mov x15, xzr\n mov x16, xzr\n"
	        "mov x17, xzr\n cmp xzr, xzr"
	        :
	        :
	        : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
	        "x14", "x15", "x16", "x17", "cc");
}

static const struct pool_kind kind = {.name = "rude", .make = make, .destroy = destroy};

static void wake(void)
{
}

/* The general registers but x18, x19, x29, x30; the flags; and how far the stack pointer has moved. */
struct state {
	uint64_t value[28];
};

/*
 * Jumps to `code` with all of `state` and the object in x19; it comes back at `resume`, and what it has left is in
 * `state`. Nothing is written to `code` or the stack but by the code that is tried.
 */
void run_with(struct state *state, void *object, const void *code);
extern const char resume[];
static const int fields = 26;

asm(".pushsection .text\n .globl run_with, resume\n .type run_with, %function\nrun_with:\n paciasp\n"
    " stp x29, x30, [sp, #-112]!\n mov x29, sp\n"
    " stp x19, x20, [sp, #16]\n stp x21, x22, [sp, #32]\n stp x23, x24, [sp, #48]\n"
    " stp x25, x26, [sp, #64]\n stp x27, x28, [sp, #80]\n str x0, [sp, #96]\n"
    " mov x19, x1\n mov x30, x2\n"
    " ldr x1, [x0, #200]\n msr nzcv, x1\n"
    " ldp x2, x3, [x0, #16]\n ldp x4, x5, [x0, #32]\n ldp x6, x7, [x0, #48]\n ldp x8, x9, [x0, #64]\n"
    " ldp x10, x11, [x0, #80]\n ldp x12, x13, [x0, #96]\n ldp x14, x15, [x0, #112]\n"
    " ldp x16, x17, [x0, #128]\n ldp x20, x21, [x0, #144]\n ldp x22, x23, [x0, #160]\n"
    " ldp x24, x25, [x0, #176]\n ldr x26, [x0, #192]\n"
    " ldp x0, x1, [x0]\n br x30\n"
    "resume:\n mov x30, x0\n ldr x0, [x29, #96]\n str x30, [x0]\n str x1, [x0, #8]\n"
    " stp x2, x3, [x0, #16]\n stp x4, x5, [x0, #32]\n stp x6, x7, [x0, #48]\n stp x8, x9, [x0, #64]\n"
    " stp x10, x11, [x0, #80]\n stp x12, x13, [x0, #96]\n stp x14, x15, [x0, #112]\n"
    " stp x16, x17, [x0, #128]\n stp x20, x21, [x0, #144]\n stp x22, x23, [x0, #160]\n"
    " stp x24, x25, [x0, #176]\n str x26, [x0, #192]\n mrs x1, nzcv\n str x1, [x0, #200]\n"
    " mov x1, sp\n sub x1, x1, x29\n str x1, [x0, #208]\n str x19, [x0, #216]\n mov sp, x29\n"
    " ldp x19, x20, [sp, #16]\n ldp x21, x22, [sp, #32]\n ldp x23, x24, [sp, #48]\n"
    " ldp x25, x26, [sp, #64]\n ldp x27, x28, [sp, #80]\n ldp x29, x30, [sp], #112\n"
    " autiasp\n ret\n .size run_with, . - run_with\n .popsection\n");

/* The code for the middle of a function, with all registers set. */
static void test_entry_put(void)
{
	static const uint32_t first = 0xf9000a7f; /* str xzr, [x19, #16] */
	const struct entry_place place = {(const uint8_t *)&first, sizeof first, 19};
	size_t page = getauxval(AT_PAGESZ), exit[ENTRY_EXITS], exits, bytes;
	uint8_t *code = mmap((void *)((uintptr_t)resume & ~0xffffull) - (1 << 24), page,
	        PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t object[3] = {1, 2, 3};
	struct state given, left;
	unsigned wrong = 0;

	bytes = entry_put(code, &pool, pool.index, &place, exit, &exits);
	tap_ok(bytes > 0 && bytes <= ENTRY_CODE_BYTES && exits == 1,
	        "put: its code is no longer than it says, and has one exit");
	tap_ok(decode_put_jump(code + exit[0], (uintptr_t)code + exit[0], (uintptr_t)resume),
	        "put: its exit is in reach");
	__builtin___clear_cache((char *)code, (char *)code + bytes);
	mprotect(code, page, PROT_READ | PROT_EXEC);
	for (unsigned flags = 0; flags < 16; flags++) {
		for (int i = 0; i < fields; i++)
			given.value[i] = 0x5a5a000000000000 + (unsigned)i * 0x0101010101;
		given.value[fields - 1] = (uint64_t)flags << 28;
		left = given;
		object[2] = 3;
		run_with(&left, object, code);
		wrong += memcmp(&given, &left, (size_t)fields * sizeof *given.value) != 0 ||
		         left.value[fields] != 0 || left.value[fields + 1] != (uintptr_t)object;
		wrong += put_object != object || object[2] != 0 || destroyed != flags + 1;
	}
	tap_is(wrong, 0, "put: the object is put, and all registers, flags and the stack are kept");
	munmap(code, page);
}

static int call_inside(int value, long *word)
{
	long words[3] = {1, 1, 1};
	int (*volatile inside)(int, long *) = target_inside;
	int result = inside(value, words);

	*word = words[2];
	return result;
}

static void test_inside(void)
{
	struct patch_place place = {
	        .at = (size_t)(inside_at - (char *)target_inside), .goes_on = (uintptr_t)inside_goes_on};
	const struct entry_place ended = {(const uint8_t *)inside_at, 4, 19};
	uint8_t code[ENTRY_CODE_BYTES];
	struct patch_set set;
	struct symbol symbol;
	long word = 1;
	size_t bytes;

	find("inside", &symbol);
	patch_begin(&set);
	bytes = entry_put(code, &pool, pool.index, &ended, place.exit, &place.exits);
	tap_is(patch_plan_inside(&set, "inside", &symbol, &place, code, bytes), 0,
	        "inside: an instruction in the middle of a function can be planned");
	tap_ok(call_inside(5, &word) == 112 && word == 0, "inside: a plan changes nothing");
	destroyed = 0;
	tap_is(patch_commit(&set), 0, "inside: the plan can be committed");
	tap_ok(call_inside(5, &word) == 12 && word == 0 && destroyed == 1,
	        "inside: the code runs in the instruction's place, and goes on where it shall");
	patch_revert(&set);
	tap_ok(call_inside(5, &word) == 112 && destroyed == 1, "inside: and is put back");
}

/* ---- landing pads ---- */

static sigjmp_buf before_call;

static void on_signal(int number)
{
	siglongjmp(before_call, number);
}

/* Whether a call by address of a function without a landing pad is refused. */
static bool is_guarded(void)
{
	struct sigaction action = {.sa_handler = on_signal}, old;
	bool is_refused = true;

	sigaction(SIGILL, &action, &old);
	if (sigsetjmp(before_call, 1) == 0)
		is_refused = call(target_stp, 5) < 7;
	sigaction(SIGILL, &old, NULL);
	return is_refused;
}

/* Where the processor looks for landing pads, pages that were patched are guarded as before. */
static void test_guards(void)
{
	bool was_guarded = is_guarded();
	struct patch_set set;

#ifdef PADS_ARE_NEEDED
	tap_ok(was_guarded, "guards: indirect calls lead to landing pads only");
#endif
	plan_all(&set);
	patch_commit(&set);
	tap_ok(is_guarded() == was_guarded, "guards: also in pages that were patched");
	patch_revert(&set);
	tap_ok(is_guarded() == was_guarded, "guards: and in those that were put back");
}

int main(void)
{
	if (symbols_open(&symbols) != 0 || decode_open() != 0)
		return 1;
	for (size_t i = 0; i < TARGETS; i++)
		memcpy(before[i], (void *)targets[i].function, sizeof before[i]);
	pools_init(0, wake);
	pool_start(&pool, &kind, NULL, 0);
	/* Its cache is full: each further object is destroyed. */
	for (unsigned i = 0; i < CACHE_SLOTS; i++)
		pool_put(&pool, pool.index, &filler);
	test_guards();
	test_entries();
	test_entry_put();
	test_inside();
	return tap_done();
}

#ifdef PADS_ARE_NEEDED
/* The start of the program, with a landing pad: that of the C library may have none. */
asm(".pushsection .text\n .globl _start\n .type _start, %function\n_start: bti c\n mov x29, #0\n mov x30, #0\n"
    " mov x5, x0\n ldr x1, [sp]\n add x2, sp, #8\n mov x6, sp\n adrp x0, main\n add x0, x0, :lo12:main\n"
    " mov x3, #0\n mov x4, #0\n bl __libc_start_main\n brk #1\n .popsection\n");
#endif
