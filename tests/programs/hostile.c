/* SPDX-License-Identifier: MIT */
/*
 * A program that uses coroutine stacks while it does what is hard on a library that was slipped under it:
 *
 *	vfork		children that share its memory use stacks as well, and become other programs
 *	spawn		posix_spawn from several threads
 *	exec ROUND	becomes itself again, in the middle of its threads' use of stacks
 *	plugin PATH	loads a library that makes stacks, and lets it go before them
 *	clear		has no environment any more, and has written over what it had
 *	threads N	so many threads at once, each with stacks in use
 *	confine HOW	allows itself the calls that stacks need, write and exit; another is `deadly`, or is
 *`refused` churn		uses stacks until it is killed
 *	rights		gives its capabilities up; says how many of its threads have none
 *	exit STATUS	its first and only thread ends by the system call for threads
 *	join STATUS	the same, and another thread, which waits for it, ends the program
 *
 * Prints the same with and without the shim.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, BYTES = 64 << 10, DEPTH = 40, THREADS = 4, CHILDREN = 40, PLUGIN_ROUNDS = 30 };

extern char **environ;
static atomic_bool is_over;
static atomic_uint failures;

static char *make(void)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK;
	char *volatile stack = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (stack == MAP_FAILED || mprotect(stack, PAGE, PROT_NONE) != 0) {
		atomic_fetch_add(&failures, 1);
		return NULL;
	}
	return stack;
}

/* Stacks that live at once; each is its owner's alone. */
static void use(unsigned depth)
{
	char *stack[DEPTH];

	for (unsigned i = 0; i < depth; i++) {
		stack[i] = make();
		if (stack[i] != NULL)
			memcpy(stack[i] + BYTES - sizeof i, &i, sizeof i);
	}
	for (unsigned i = 0; i < depth; i++) {
		if (stack[i] != NULL && memcmp(stack[i] + BYTES - sizeof i, &i, sizeof i) != 0)
			atomic_fetch_add(&failures, 1);
		if (stack[i] != NULL)
			munmap(stack[i], BYTES);
	}
}

static void *use_until_over(void *unused)
{
	while (!atomic_load(&is_over))
		use(DEPTH);
	return unused;
}

static pthread_t threads[THREADS];

static void start_threads(void *(*body)(void *))
{
	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, body, NULL);
}

static void join_threads(void)
{
	atomic_store(&is_over, 1);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void await(pid_t child, int wanted)
{
	int status;

	if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != wanted)
		atomic_fetch_add(&failures, 1);
}

static void run_vfork(const char *unused)
{
	(void)unused;
	start_threads(use_until_over);
	for (int i = 0; i < CHILDREN; i++) {
		pid_t child = vfork();

		if (child == 0) {
			use(DEPTH / 2);
			if (i % 2 == 0)
				execl("/bin/true", "true", NULL);
			_exit(i % 2 == 0 ? 127 : 5);
		}
		await(child, i % 2 == 0 ? 0 : 5);
		use(DEPTH);
	}
	join_threads();
}

static void *spawn_some(void *unused)
{
	char *arguments[] = {"true", NULL};
	pid_t child;

	for (int i = 0; i < CHILDREN / THREADS; i++) {
		use(DEPTH);
		if (posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ) == 0)
			await(child, 0);
		else
			atomic_fetch_add(&failures, 1);
	}
	return unused;
}

static void run_spawn(const char *unused)
{
	(void)unused;
	start_threads(spawn_some);
	join_threads();
}

static void run_exec(const char *round)
{
	char next[] = {round[0] + 1, '\0'};

	start_threads(use_until_over);
	use(DEPTH);
	if (next[0] <= '5')
		execl("/proc/self/exe", "hostile", "exec", next, NULL);
	join_threads();
}

/* Stacks of a library that is gone, and then there again at the same place or at another. */
static void run_plugin(const char *path)
{
	char *stack[2 * DEPTH];

	for (int round = 0; round < PLUGIN_ROUNDS; round++) {
		void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL), *found;
		char *(*plugin_stack)(unsigned long, int);

		found = library != NULL ? dlsym(library, "plugin_stack") : NULL;
		if (found == NULL) {
			atomic_fetch_add(&failures, 1);
			return;
		}
		memcpy(&plugin_stack, &found, sizeof found);
		for (int i = 0; i < 2 * DEPTH; i++)
			stack[i] = plugin_stack(BYTES, i % 2 == 0 ? MAP_STACK : 0);
		dlclose(library);
		for (int i = 0; i < 2 * DEPTH; i++) {
			if (stack[i] == NULL || stack[i][BYTES - 1] != 1)
				atomic_fetch_add(&failures, 1);
			else
				munmap(stack[i], BYTES);
		}
		use(DEPTH);
	}
}

static void run_clear(const char *unused)
{
	(void)unused;
	for (char **variable = environ; *variable != NULL; variable++)
		memset(*variable, 'x', strlen(*variable));
	clearenv();
	use(DEPTH);
}

/* ---- many threads ---- */

static pthread_barrier_t all_there;

static void *live_among_many(void *unused)
{
	char *own = make();

	use(2);
	pthread_barrier_wait(&all_there);
	if (own != NULL)
		munmap(own, BYTES);
	use(2);
	return unused;
}

static void run_threads(const char *count)
{
	unsigned wanted = (unsigned)atoi(count), started = 0;
	pthread_t *thread = calloc(wanted, sizeof *thread);
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, BYTES);
	pthread_barrier_init(&all_there, NULL, wanted + 1);
	while (started < wanted && pthread_create(&thread[started], &attributes, live_among_many, NULL) == 0)
		started++;
	printf("%u threads\n", started);
	fflush(stdout);
	if (started < wanted)
		_exit(9);
	pthread_barrier_wait(&all_there);
	for (unsigned i = 0; i < started; i++)
		pthread_join(thread[i], NULL);
	free(thread);
}

/* ---- rights ---- */

extern int capset(void *header, const void *data);

/* Threads that have a capability left. */
static unsigned count_able(void)
{
	DIR *tasks = opendir("/proc/self/task");
	unsigned able = 0;

	for (struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
		char path[300], line[200];
		unsigned long long rights = 0;
		FILE *status;

		snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
		status = fopen(path, "re");
		while (status != NULL && fgets(line, sizeof line, status) != NULL)
			sscanf(line, "CapPrm: %llx", &rights);
		if (status != NULL)
			fclose(status);
		able += rights != 0;
	}
	if (tasks != NULL)
		closedir(tasks);
	return able;
}

static void run_rights(const char *unused)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	unsigned able;

	(void)unused;
	use(DEPTH);
	use(DEPTH);
	printf("capset %d, ", capset(&header, none));
	able = count_able();
	/* One that has been told to end may still be about to. */
	for (int i = 0; i < 1000 && able > 0; i++) {
		nanosleep(&(struct timespec){0, 10000000}, NULL);
		able = count_able();
	}
	printf("%u threads with capabilities\n", able);
	use(DEPTH);
}

/* ---- seccomp ---- */

static void run_confine(const char *how)
{
	unsigned other = strcmp(how, "deadly") == 0 ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | EPERM;
	struct sock_filter code[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 6, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_munmap, 5, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 4, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_brk, 3, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 2, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
	        BPF_STMT(BPF_RET | BPF_K, other),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof code / sizeof *code, code};

	printf("confined "); /* what stdio asks of its file is asked now */
	fflush(stdout);
	use(DEPTH);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	printf("%d\n", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
	for (int i = 0; i < 100; i++)
		use(DEPTH);
	/* More at once than there ever were, with other guards, and the first halves of them. */
	for (int i = 0; i < 4 * DEPTH; i++) {
		char *stack = make();

		if (stack == NULL || mprotect(stack, 2 * PAGE, PROT_NONE) != 0 ||
		        (i % 3 != 0 && munmap(stack, BYTES / 2) != 0) ||
		        (i % 3 == 0 && mprotect(stack, BYTES, PROT_READ | PROT_WRITE) != 0))
			atomic_fetch_add(&failures, 1);
	}
}

static void run_churn(const char *unused)
{
	puts("begun");
	fflush(stdout);
	start_threads(use_until_over);
	use_until_over((void *)unused);
}

static void run_exit(const char *status)
{
	use(DEPTH);
	puts("left");
	fflush(stdout);
	syscall(SYS_exit, atoi(status));
}

static void *outlive(void *first)
{
	pthread_join(*(pthread_t *)first, NULL);
	use(DEPTH);
	puts("outlived");
	exit(3);
}

static void run_join(const char *status)
{
	static pthread_t first;

	first = pthread_self();
	pthread_create(&threads[0], NULL, outlive, &first);
	run_exit(status);
}

static const struct {
	const char *name;
	void (*run)(const char *argument);
} scenarios[] = {
        {"vfork", run_vfork},
        {"spawn", run_spawn},
        {"exec", run_exec},
        {"plugin", run_plugin},
        {"clear", run_clear},
        {"threads", run_threads},
        {"rights", run_rights},
        {"confine", run_confine},
        {"churn", run_churn},
        {"exit", run_exit},
        {"join", run_join},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
		if (argc > 1 && strcmp(argv[1], scenarios[i].name) == 0) {
			scenarios[i].run(argv[2]);
			printf("%u failures\n", atomic_load(&failures));
			return failures != 0;
		}
	}
	fputs("hostile: there is no such scenario\n", stderr);
	return 2;
}
