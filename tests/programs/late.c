/* SPDX-License-Identifier: MIT */
/*
 * A program without coroutines, until it loads a library that has them. `late HOW LIBRARY [OTHER]`:
 *
 *	plain		uses stacks
 *	threads		several threads ask for their first one at once
 *	handler		the first is asked for in a signal handler that interrupts malloc
 *	small		on the little room of a coroutine's stack
 *	before		there are stacks already, which it treats and unmaps later
 *	fork		children ask for their first one, before and after their parent
 *	race		a process forks while its threads ask for their first one
 *	cancel		its thread is to be cancelled where a system call lets it be, and asks for its first one
 *	confined	it has taken on a filter, by the system call itself, which kills for what libraries seldom do
 *	again		loads the library, lets it go, and loads it again, time after time
 *	reload		lets it go, and loads OTHER, which comes to lie in its place; what that one maps has to be zero
 *
 * Prints the same with and without the shim, and to the file that PROGRAM_TRUTH names whether OTHER lay in the same place.
 */
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum {
	PAGE = 4096,
	BYTES = 64 << 10,
	SMALL = 4096,
	LIVES = 300,
	DEPTH = 20,
	THREADS = 6,
	CHILDREN = 4,
	TIMES = 30
};
enum { RINGS = 20 };

typedef char *(maker)(unsigned long, int);

static maker *make;
static void *library;
static atomic_uint failures, rings;

static void *load(const char *path, const char *name)
{
	library = dlopen(path, RTLD_NOW);
	if (library == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		exit(2);
	}
	return dlsym(library, name);
}

static void use(unsigned lives)
{
	char *stack[DEPTH];

	for (unsigned life = 0; life < lives; life += DEPTH) {
		for (unsigned i = 0; i < DEPTH; i++) {
			stack[i] = make(BYTES, 1);
			if (stack[i] == NULL)
				exit(3);
			memset(stack[i] + BYTES - PAGE, (int)i + 1, PAGE);
		}
		for (unsigned i = 0; i < DEPTH; i++) {
			failures += stack[i][BYTES - 1] != (char)(i + 1);
			failures += munmap(stack[i], BYTES) != 0;
		}
	}
}

/* ---- threads, handlers, small stacks ---- */

static pthread_barrier_t together;

static void *run(void *unused)
{
	pthread_barrier_wait(&together);
	use(LIVES);
	return unused;
}

static void in_threads(void)
{
	pthread_t thread[THREADS];

	pthread_barrier_init(&together, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, run, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
}

static void ring(int number)
{
	(void)number;
	use(DEPTH);
	rings++;
}

static void in_handler(void)
{
	struct itimerval soon = {{0, 0}, {0, 200}};
	void *volatile block;

	signal(SIGALRM, ring);
	for (unsigned seen = 0; seen < RINGS; seen++) {
		setitimer(ITIMER_REAL, &soon, NULL);
		while (rings == seen) {
			for (int i = 1; i < 100; i++) {
				block = malloc((size_t)i * 100);
				free(block);
			}
		}
	}
	use(LIVES);
}

static ucontext_t home, away;

static void make_one(void)
{
	munmap(make(BYTES, 1), BYTES);
}

static void on_small_stack(void)
{
	static char stack[SMALL + PAGE] __attribute__((aligned(PAGE)));

	mprotect(stack, PAGE, PROT_NONE);
	getcontext(&away);
	away.uc_stack.ss_sp = stack;
	away.uc_stack.ss_size = sizeof stack;
	away.uc_link = &home;
	makecontext(&away, make_one, 0);
	swapcontext(&home, &away);
	use(LIVES);
}

static void *cancelled(void *unused)
{
	pthread_cancel(pthread_self());
	use(DEPTH);
	printf("not yet cancelled\n");
	fflush(stdout);
	pthread_testcancel();
	printf("not cancelled\n");
	return unused;
}

static void cancel(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, cancelled, NULL);
	pthread_join(thread, NULL);
	use(LIVES);
}

/* ---- before ---- */

static void before(void)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK;
	char *old[DEPTH];

	for (int i = 0; i < DEPTH; i++) {
		old[i] = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
		failures += mprotect(old[i], PAGE, PROT_NONE) != 0;
		old[i][BYTES - 1] = (char)i;
	}
	use(LIVES);
	for (int i = 0; i < DEPTH; i++) {
		failures += old[i][BYTES - 1] != (char)i;
		failures += mprotect(old[i], PAGE, PROT_READ | PROT_WRITE) != 0 || old[i][0] != 0;
		failures += madvise(old[i], BYTES, MADV_DONTNEED) != 0 || old[i][BYTES - 1] != 0;
		failures += munmap(old[i], BYTES) != 0;
	}
}

/* ---- fork ---- */

static void reap(pid_t child)
{
	int status;

	failures += child < 0 || waitpid(child, &status, 0) != child || status != 0;
}

static void use_in_child(void)
{
	pid_t child = fork();

	if (child == 0) {
		use(LIVES);
		exit(failures != 0);
	}
	reap(child);
}

static void fork_some(void)
{
	for (int i = 0; i < CHILDREN; i++)
		use_in_child();
	use(LIVES);
	use_in_child();
}

static void race_once(void)
{
	pid_t child = fork();

	if (child == 0) {
		pthread_t thread[2];

		pthread_barrier_init(&together, NULL, 3);
		for (int i = 0; i < 2; i++)
			pthread_create(&thread[i], NULL, run, NULL);
		pthread_barrier_wait(&together);
		use_in_child();
		for (int i = 0; i < 2; i++)
			pthread_join(thread[i], NULL);
		exit(failures != 0);
	}
	reap(child);
}

static void race(void)
{
	for (int i = 0; i < TIMES; i++)
		race_once();
}

/* ---- a filter ---- */

static void confine(void)
{
	struct sock_filter deadly[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 4, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 3, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_gettid, 2, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 1, 0),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog filter = {sizeof deadly / sizeof *deadly, deadly};

	failures += prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0;
	failures += syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0;
	use(LIVES);
	use_in_child();
}

/* ---- libraries that go ---- */

static void again(const char *path)
{
	for (int i = 0; i < TIMES; i++) {
		make = load(path, "coro_stack_alloc");
		use(DEPTH);
		dlclose(library);
	}
}

static void tell(const char *truth)
{
	FILE *file = getenv("PROGRAM_TRUTH") != NULL ? fopen(getenv("PROGRAM_TRUTH"), "w") : NULL;

	if (file == NULL)
		return;
	fprintf(file, "%s\n", truth);
	fclose(file);
}

static void reload(const char *other)
{
	maker *was = make;
	unsigned dirty = 0;
	char *table;

	for (int life = 0; life < 2000; life++) {
		char *stack = make(BYTES, 1);

		memset(stack + PAGE, 1, BYTES - PAGE);
		munmap(stack, BYTES);
	}
	dlclose(library);
	make = load(other, "coro_table_alloc");
	tell(make == was ? "same place" : "elsewhere");
	for (int life = 0; life < DEPTH; life++) {
		table = make(BYTES, 0);
		for (int i = 0; i < BYTES; i++)
			dirty += table[i] != 0;
		memset(table, 1, BYTES);
		munmap(table, BYTES);
	}
	printf("%u bytes that are not zero\n", dirty);
}

static void do_it(const char *how, char **words)
{
	if (strcmp(how, "plain") == 0)
		use(LIVES);
	else if (strcmp(how, "threads") == 0)
		in_threads();
	else if (strcmp(how, "handler") == 0)
		in_handler();
	else if (strcmp(how, "small") == 0)
		on_small_stack();
	else if (strcmp(how, "before") == 0)
		before();
	else if (strcmp(how, "fork") == 0)
		fork_some();
	else if (strcmp(how, "race") == 0)
		race();
	else if (strcmp(how, "cancel") == 0)
		cancel();
	else if (strcmp(how, "confined") == 0)
		confine();
	else if (strcmp(how, "again") == 0)
		again(words[2]);
	else if (strcmp(how, "reload") == 0 && words[3] != NULL)
		reload(words[3]);
	else
		exit(2);
}

int main(int count, char **words)
{
	if (count < 3)
		return 2;
	if (strcmp(words[1], "again") != 0)
		make = load(words[2], "coro_stack_alloc");
	do_it(words[1], words);
	printf("%u failures\n", failures);
	return 0;
}
