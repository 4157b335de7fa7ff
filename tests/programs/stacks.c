/* SPDX-License-Identifier: MIT */
/*
 * Coroutine stacks as a program makes them, under hard conditions; the first argument says which.
 *
 *	overflow N	runs over the end of a stack, after N others have come and gone
 *	reach N		the same, with a handler that says where it was stopped
 *	crash N		dies with N stacks alive
 *	zero N		counts bytes of N recycled stacks that are not zero
 *	limit BYTES	as many stacks as the address space has room for
 *	lock BYTES	with all memory locked, now and later, within a limit
 *	refuse WORD	in a sandbox that refuses `guards` by madvise, every `madvise`, or guards by `poison`
 *	guards		with guards that grow and shrink from life to life
 *	threads N	four threads that make and unmap, while N children are forked that do so too
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

enum { PAGE = 4096, BYTES = 128 << 10, MANY = 1 << 17 };

static char *stack[MANY];
static char *running; /* the stack that overflows */

/* One call for all, and no jump: that is what makes them alike. */
__attribute__((noinline)) static char *map(void)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK;
	char *volatile mapped = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);

	return mapped;
}

static char *make(int guard_pages)
{
	char *made = map();

	if (made == MAP_FAILED)
		return NULL;
	if (mprotect(made, guard_pages * PAGE, PROT_NONE) != 0) {
		munmap(made, BYTES);
		return NULL;
	}
	made[BYTES - 1] = made[guard_pages * PAGE] = 1;
	return made;
}

static void come_and_go(int count)
{
	for (int i = 0; i < count; i++)
		stack[i] = make(1);
	for (int i = 0; i < count; i++)
		munmap(stack[i], BYTES);
}

/* ---- overflow, reach ---- */

static int sink(volatile char *above)
{
	volatile char here[512];

	here[0] = *above;
	return here[0] != 0 ? sink(here) + here[1] : 0; /* it never is */
}

static void overflow(void)
{
	char byte = 1;

	exit(sink(&byte));
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	char *at = info->si_addr;

	(void)number;
	(void)context;
	dprintf(1, "%s\n",
	        at >= running && at < running + PAGE ? "stopped at the guard" : "stopped elsewhere");
	_exit(3);
}

static void run_over(int before, int is_handled)
{
	static char alternate[64 << 10];
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	stack_t other = {.ss_sp = alternate, .ss_size = sizeof alternate};
	ucontext_t main_context, context;

	come_and_go(before);
	running = make(1);
	if (is_handled) {
		sigaltstack(&other, NULL);
		sigaction(SIGSEGV, &action, NULL);
	}
	getcontext(&context);
	context.uc_stack.ss_sp = running;
	context.uc_stack.ss_size = BYTES;
	context.uc_link = &main_context;
	makecontext(&context, overflow, 0);
	swapcontext(&main_context, &context);
}

/* ---- the others ---- */

static void crash(int count)
{
	for (int i = 0; i < count; i++)
		stack[i] = make(1);
	abort();
}

static void count_dirty(int count)
{
	long dirty = 0;

	come_and_go(count);
	for (int i = 0; i < count; i++) {
		stack[i] = map();
		for (int j = 0; j < BYTES; j++)
			dirty += stack[i][j] != 0;
	}
	printf("%ld bytes were not zero\n", dirty);
}

static void fill_limit(rlim_t bytes)
{
	struct rlimit limit = {bytes, bytes};
	int made = 0, again = 0;

	setrlimit(RLIMIT_AS, &limit);
	while (made < MANY && (stack[made] = make(1)) != NULL)
		made++;
	printf("%s\n", strerrorname_np(errno));
	for (int i = 0; i < made; i++)
		munmap(stack[i], BYTES);
	while (again < made && (stack[again] = make(1)) != NULL)
		again++;
	printf("made %d\n%s\n", made, again == made ? "and again" : "but not again");
}

static void lock_all(rlim_t bytes)
{
	struct rlimit limit = {bytes, bytes};

	setrlimit(RLIMIT_MEMLOCK, &limit);
	if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
		return;
	printf("lock %d\n", mlockall(MCL_CURRENT | MCL_FUTURE));
	for (int i = 0; i < 50; i++)
		come_and_go(20);
	running = make(1);
	printf("%s\n", running != NULL ? "made" : strerrorname_np(errno));
}

static void refuse(const char *what)
{
	int all = strcmp(what, "guards") != 0, poison = strcmp(what, "poison") == 0;
	struct sock_filter filter[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, poison ? SYS_userfaultfd : SYS_madvise, 0, 4),
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
	        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, all ? 0 : 102, 0, 2),
	        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, all ? UINT32_MAX : 103, 1, 0),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
	int failed = 0;

	come_and_go(100);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	printf("sandbox %d\n", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
	for (int i = 0; i < 1000; i++) {
		char *made = make(1 + i % 3);

		failed += made == NULL || mprotect(made, BYTES, PROT_READ | PROT_WRITE) != 0;
		memset(made, 1, BYTES);
		failed += mprotect(made, PAGE, PROT_NONE) != 0 || munmap(made, BYTES) != 0;
	}
	printf("%d failed\n", failed);
}

static void change_guards(void)
{
	int wrong = 0;

	for (int i = 0; i < 2000; i++) {
		int guard = 1 + i * 7 % 5;
		char *made = make(guard);

		if (made == NULL)
			break;
		memset(made + guard * PAGE, i, BYTES - guard * PAGE); /* dies when the guard is larger */
		for (int page = 0; page < guard; page++) {
			/* A system call says EFAULT where a touch would kill. */
			wrong += write(-1, "", 0) != -1 || access(made + page * PAGE, F_OK) == 0 ||
			         errno != EFAULT;
		}
		munmap(made, BYTES);
	}
	printf("%d pages of guards were none\n", wrong);
}

static _Atomic int is_over, damaged;

/* Holds some, each marked as its own, and gives them up in another order. */
static void make_some(long me, int rounds)
{
	long *held[32] = {0};

	for (int i = 0; (rounds == 0 && !is_over) || i < rounds; i++) {
		int at = i * 7 % 32;

		if (held[at] != NULL) {
			damaged += held[at][PAGE] != me + at;
			munmap(held[at], BYTES);
		}
		held[at] = (long *)make(1);
		if (held[at] != NULL)
			held[at][PAGE] = me + at;
		else
			damaged++;
	}
	for (int at = 0; at < 32; at++) {
		if (held[at] != NULL)
			munmap(held[at], BYTES);
	}
}

static void *run_thread(void *me)
{
	make_some((long)me, 0);
	return NULL;
}

static void fork_many(int children)
{
	pthread_t thread[4];
	int failed = 0, status;

	for (long i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, run_thread, (void *)(i * 1000));
	for (int i = 0; i < children; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			damaged = 0;
			make_some(7000, 500);
			_exit(damaged);
		}
		waitpid(pid, &status, 0);
		failed += status != 0;
	}
	is_over = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	printf("%d damaged, %d children failed\n", damaged, failed);
}

int main(int count, char **arguments)
{
	const char *what = count > 1 ? arguments[1] : "", *argument = count > 2 ? arguments[2] : "0";

	if (strcmp(what, "overflow") == 0 || strcmp(what, "reach") == 0)
		run_over(atoi(argument), what[0] == 'r');
	else if (strcmp(what, "crash") == 0)
		crash(atoi(argument));
	else if (strcmp(what, "zero") == 0)
		count_dirty(atoi(argument));
	else if (strcmp(what, "limit") == 0)
		fill_limit(atoll(argument));
	else if (strcmp(what, "lock") == 0)
		lock_all(atoll(argument));
	else if (strcmp(what, "refuse") == 0)
		refuse(argument);
	else if (strcmp(what, "guards") == 0)
		change_guards();
	else if (strcmp(what, "threads") == 0)
		fork_many(atoi(argument));
	else
		return 2;
	return 0;
}
