/* SPDX-License-Identifier: MIT */
/*
 * Call stacks as libunwind finds them: on ordinary, small and broken stacks, in signal handlers and from many threads;
 * their names; and that no descriptor is taken.
 */
#include "report/origins/unwind.h"

#include "libc/real.h"
#include "report/origins/symbolize.h"

#include "tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { SMALL_BYTES = 16 << 10, THREADS = 4, ROUNDS = 2000 };

static struct callers callers;
static struct names names;
static unsigned recorded; /* the last number */
static ucontext_t back, small;
static char *small_stack;

static unsigned count_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 64; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* The statistics thread, which has a descriptor table of its own. */
static void *begin(void *unused)
{
	if (unshare(CLONE_FILES) == 0)
		unwind_begin(true);
	return unused;
}

/* ---- stacks whose frames are known ---- */

#ifdef __clang__
#define APART __attribute__((noinline))
#else
#define APART __attribute__((noipa))
#endif

APART void innermost(void);
APART void middle(unsigned more);

void innermost(void)
{
	recorded = unwind_record(&callers, 0);
}

void middle(unsigned more)
{
	if (more > 0)
		middle(more - 1);
	else
		innermost();
	__asm__ volatile("" ::: "memory");
}

/* The number of the frame in the function of that name; -1: none. */
static int frame_in(const char *function)
{
	const struct call_stack *stack = &callers.stack[recorded];

	names.count = 0;
	for (unsigned i = 0; i < stack->frames; i++)
		symbolize_add(&names, stack->frame[i] - 1);
	symbolize_resolve(&names);
	for (unsigned i = 0; i < stack->frames; i++) {
		const char *name = strchr(symbolize_text(&names, stack->frame[i] - 1), ' ');

		if (name != NULL && strcmp(name + 1, function) == 0)
			return (int)i;
	}
	return -1;
}

static void test_ordinary(void)
{
	unsigned first = 0;

	for (volatile unsigned i = 0; i < 2; i++) {
		first = recorded;
		middle(3);
	}
	tap_ok(recorded >= POOL_MAX, "origin: a stack is recorded");
	tap_ok(frame_in("innermost") >= 0 && frame_in("middle") == frame_in("innermost") + 1,
	        "origin: functions come in their order, the innermost first");
	tap_ok(frame_in("main") > frame_in("middle") + 3, "origin: main is behind all of them");
	tap_is(recorded, first, "origin: the same stack has the same number again");
	middle(200);
	tap_ok(callers.stack[recorded].frames == CALLERS_FRAMES && callers.stack[recorded].is_cut,
	        "origin: of a deep stack the innermost frames are recorded");
}

/* ---- a coroutine ---- */

static void in_coroutine(void)
{
	middle(1);
	swapcontext(&small, &back);
}

static void make_small(void)
{
	getcontext(&small);
	small.uc_stack.ss_sp = small_stack;
	small.uc_stack.ss_size = SMALL_BYTES;
	small.uc_link = &back;
	makecontext(&small, in_coroutine, 0);
}

static void test_small(void)
{
	size_t unused = 0;

	small_stack = mmap(NULL, 3 * SMALL_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	small_stack += SMALL_BYTES;
	mprotect(small_stack, SMALL_BYTES, PROT_READ | PROT_WRITE);
	memset(small_stack, 0x5a, SMALL_BYTES);
	make_small();
	swapcontext(&back, &small);
	tap_ok(frame_in("in_coroutine") > frame_in("innermost") && frame_in("innermost") >= 0,
	        "origin: a coroutine's stack is followed to its beginning");
	while (unused < SMALL_BYTES && small_stack[unused] == 0x5a)
		unused++;
	tap_ok(SMALL_BYTES - unused < SMALL_BYTES / 4,
	        "origin: a coroutine's stack of 16 KiB is enough for it");
	printf("# %zu bytes of it were used\n", SMALL_BYTES - unused);
}

/* A large frame. */
APART void deep(void);

void deep(void)
{
	char room[2 * SMALL_BYTES / 3];

	memset(room, 1, sizeof room);
	innermost();
	__asm__ volatile("" : : "r"(room) : "memory");
}

/* Its size is only known when it runs, so the frame is found by the frame pointer. */
APART void framed(volatile size_t bytes);

void framed(volatile size_t bytes)
{
	char room[bytes];

	memset(room, 1, sizeof room);
	innermost();
	__asm__ volatile("" : : "r"(room) : "memory");
}

/* Where the coroutine's first function returns to, and its caller's frame pointer. */
static void set_caller(uintptr_t address, uintptr_t frame)
{
#ifdef __aarch64__
	small.uc_mcontext.regs[30] = address;
	small.uc_mcontext.regs[29] = frame;
#else
	*(uintptr_t *)small.uc_mcontext.gregs[REG_RSP] = address;
	small.uc_mcontext.gregs[REG_RBP] = (greg_t)frame;
#endif
}

/* Code without call frame information, and a frame pointer to memory that cannot be read, or only in part. */
static void test_torn(void)
{
	uintptr_t inside;
	static const int frame_pointer[] = {16, 4096, -4, -8, -16};

	for (size_t i = 0; i < sizeof frame_pointer / sizeof *frame_pointer; i++) {
		make_small();
		set_caller((uintptr_t)small_stack + 8 * i,
		        (uintptr_t)small_stack + SMALL_BYTES + (uintptr_t)frame_pointer[i]);
		swapcontext(&back, &small);
		tap_ok(frame_in("in_coroutine") >= 0 && frame_in("main") == -1,
		        "origin: a torn stack ends the walk and not the program, %d", frame_pointer[i]);
	}
	/* Known code, whose caller's address would be beyond the end of the stack. */
	deep();
	inside = callers.stack[recorded].frame[frame_in("deep")];
	make_small();
	set_caller(inside, 0);
	swapcontext(&back, &small);
	tap_ok(frame_in("deep") == frame_in("in_coroutine") + 1,
	        "origin: what lies behind a stack's end is not read");
	framed(SMALL_BYTES);
	inside = callers.stack[recorded].frame[frame_in("framed")];
	make_small();
	set_caller(inside, 0);
	swapcontext(&back, &small);
	tap_ok(frame_in("framed") == frame_in("in_coroutine") + 1,
	        "origin: a frame pointer of 0 ends the walk and not the program");
}

/* ---- signals, threads, fork ---- */

static void on_signal(int number)
{
	(void)number;
	innermost();
	__asm__ volatile("" ::: "memory"); /* no jump */
}

static void test_signal(void)
{
	sigset_t before = {0}, after = {0};

	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	tap_ok(frame_in("on_signal") == frame_in("innermost") + 1 && frame_in("main") > 1,
	        "origin: a handler's stack goes on with what it interrupted");
	sigprocmask(SIG_BLOCK, NULL, &before);
	innermost();
	sigprocmask(SIG_BLOCK, NULL, &after);
	tap_ok(memcmp(&before, &after, sizeof before) == 0, "origin: the signal mask is what it was");
}

static void *record_often(void *unknown)
{
	for (unsigned i = 0; i < ROUNDS; i++)
		*(unsigned *)unknown += unwind_record(&callers, 0) < POOL_MAX;
	return NULL;
}

static void test_threads(void)
{
	pthread_t thread[THREADS];
	unsigned unknown[THREADS] = {0}, all = 0, used = callers_used(&callers);

	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, record_often, &unknown[i]);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		all += unknown[i];
	}
	tap_ok(all < THREADS * ROUNDS / 2, "origin: most stacks of threads that record at once are known");
	printf("# %u of %u are not\n", all, THREADS * ROUNDS);
	tap_is(callers_used(&callers), used + 1,
	        "origin: stacks that are alike in all threads are there once");
}

static void test_fork(void)
{
	int status = -1;
	pid_t child;

	middle(0);
	unwind_fork_prepare();
	child = fork();
	if (child == 0) {
		unsigned before = recorded;

		unwind_fork_child();
		/* Called from here before, so that it is the same call. */
		middle(0);
		_exit(recorded >= POOL_MAX && before >= POOL_MAX && frame_in("main") >= 0 ? 0 : 1);
	}
	unwind_fork_parent();
	waitpid(child, &status, 0);
	tap_is(status, 0, "origin: a fork's child records as its parent did");
	middle(0);
	tap_ok(recorded >= POOL_MAX, "origin: the parent goes on to record after a fork");
}

int main(void)
{
	pthread_t thread;
	unsigned descriptors;

	real_init();
	callers_init(&callers);
	innermost();
	tap_is(recorded, 0, "origin: before it has begun nothing is known");
	if (!tap_ok(unwind_load((void *)strlen), "origin: libunwind is there"))
		return tap_done();
	descriptors = count_descriptors();
	pthread_create(&thread, NULL, begin, NULL);
	pthread_join(thread, NULL);
	test_ordinary();
	test_small();
	test_torn();
	test_signal();
	test_threads();
	test_fork();
	tap_is(count_descriptors(), descriptors, "origin: the program has the descriptors that it had");
	tap_ok(!unwind_is_inside(), "origin: an ordinary stack is not that of the recording");
	return tap_done();
}
