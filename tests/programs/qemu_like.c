/* SPDX-License-Identifier: MIT */
/*
 * A host with QEMU's coroutines whose threads, signals, forks and ends are awkward: qemu_like SCENARIO.
 * Prints the same with and without the shim.
 */
#include "qemu_like.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

enum { THREADS = 8 };

static pthread_t threads[THREADS];

static void *churn_in_thread(void *depth)
{
	churn(500, (unsigned)(size_t)depth);
	return NULL;
}

static void start_threads(void *(*body)(void *), void *argument)
{
	for (unsigned i = 0; i < THREADS; i++) {
		if (pthread_create(&threads[i], NULL, body, argument) != 0)
			die("no thread");
	}
}

static void join_threads(void)
{
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void run_churn(void)
{
	churn(2000, 100);
}

static void run_threads(void)
{
	start_threads(churn_in_thread, (void *)(size_t)100);
	join_threads();
}

/* Many threads, one after the other. */
static void run_short_threads(void)
{
	for (unsigned i = 0; i < 300; i++) {
		if (pthread_create(&threads[0], NULL, churn_in_thread, (void *)(size_t)(i % 50)) != 0)
			die("no thread");
		pthread_join(threads[0], NULL);
	}
}

/* One thread creates, another destroys; at most a hundred are on the way. */
static struct coroutine *way[100];
static sem_t way_room, way_filled;

static void *end_what_comes(void *argument)
{
	for (unsigned i = 0; i < 50000; i++) {
		sem_wait(&way_filled);
		end(way[i % 100]);
		sem_post(&way_room);
	}
	return argument;
}

static void run_hand_over(void)
{
	sem_init(&way_room, 0, 100);
	sem_init(&way_filled, 0, 0);
	if (pthread_create(&threads[0], NULL, end_what_comes, NULL) != 0)
		die("no thread");
	for (unsigned i = 0; i < 50000; i++) {
		sem_wait(&way_room);
		way[i % 100] = begin();
		sem_post(&way_filled);
	}
	pthread_join(threads[0], NULL);
}

/* Signal handlers that create and destroy, in whatever the thread is doing. */
static volatile sig_atomic_t signals_seen;

static void on_signal(int number)
{
	(void)number;
	signals_seen++;
	churn(1, 20);
}

static void run_signals(void)
{
	struct itimerval often = {.it_interval.tv_usec = 100, .it_value.tv_usec = 100}, never = {0};

	/* The program's own pool has a lock, which no handler may wait for. */
	pool_size = 0;
	signal(SIGALRM, on_signal);
	setitimer(ITIMER_REAL, &often, NULL);
	while (signals_seen < 3000)
		churn(10, 50);
	setitimer(ITIMER_REAL, &never, NULL);
}

/* Blocked in every thread of the program, a signal stays pending until the program asks for it. */
static void run_signal_waits(void)
{
	const struct timespec a_while = {.tv_nsec = 2000000};
	sigset_t set, pending;

	signal(SIGUSR1, on_signal);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	churn(10, 50);
	for (unsigned i = 0; i < 20; i++) {
		kill(getpid(), SIGUSR1);
		nanosleep(&a_while, NULL);
		sigpending(&pending);
		if (!sigismember(&pending, SIGUSR1) || sigwaitinfo(&set, NULL) != SIGUSR1 ||
		        signals_seen != 0)
			die("another thread took the signal");
	}
}

/* Forks while threads are inside create and destroy; each child goes on with all it inherited. */
static void run_forks(void)
{
	start_threads(churn_in_thread, (void *)(size_t)300);
	for (unsigned i = 0; i < 60; i++) {
		pid_t child;
		int status;

		churn(1, 40);
		child = fork();
		if (child == 0) {
			/* Its other threads are gone, and the lock of its own pool may be theirs. */
			pool_size = 0;
			churn(20, 300);
			_exit(42);
		}
		if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
		        WEXITSTATUS(status) != 42)
			die("a child did not end well");
	}
	join_threads();
}

static void *fork_in_thread(void *unused)
{
	for (unsigned i = 0; i < 40; i++) {
		pid_t child = fork();
		int status;

		if (child == 0)
			_exit(0);
		if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
			die("a child did not end well");
	}
	return unused;
}

/* Several threads fork at the same time. */
static void run_forks_at_once(void)
{
	churn(10, 40);
	start_threads(fork_in_thread, NULL);
	join_threads();
}

/* A child that ends as programs end. */
static void run_fork_exit(void)
{
	struct coroutine *held[10];
	pid_t child;
	int status;

	for (unsigned i = 0; i < 10; i++)
		held[i] = begin();
	child = fork();
	churn(50, 60);
	for (unsigned i = 0; i < 10; i++)
		end(held[i]);
	if (child != 0 && (waitpid(child, &status, 0) != child || status != 0))
		die("the child did not end well");
}

static void run_errno(void)
{
	struct coroutine *burst[1000];

	for (unsigned r = 0; r < 3; r++) {
		errno = 77;
		for (unsigned i = 0; i < 1000; i++)
			burst[i] = begin();
		for (unsigned i = 0; i < 1000; i++)
			end(burst[i]);
		if (errno != 77)
			die("errno was changed");
	}
}

/* Destructors of thread-specific data that create and destroy, again and again, after ours has run. */
static pthread_key_t late_key;

static void on_late(void *round)
{
	churn(3, 40);
	if ((size_t)round < 4)
		pthread_setspecific(late_key, (void *)((size_t)round + 1));
}

static void *leave_late(void *argument)
{
	churn(3, 40);
	pthread_setspecific(late_key, (void *)1);
	return argument;
}

static void run_thread_keys(void)
{
	pthread_key_create(&late_key, on_late);
	for (unsigned i = 0; i < 20; i++) {
		start_threads(leave_late, NULL);
		join_threads();
	}
}

static struct coroutine *early[50];

__attribute__((constructor)) static void create_early(void)
{
	for (unsigned i = 0; i < 50; i++)
		early[i] = begin();
}

__attribute__((destructor)) static void destroy_late(void)
{
	for (unsigned i = 0; i < 50; i++)
		end(early[i]);
	churn(2, 60);
	tell_truth();
}

static void run_hints(void)
{
	qemu_coroutine_inc_pool_size(1000);
	churn(20, 1000);
	qemu_coroutine_dec_pool_size(1000);
	churn(20, 100);
}

/* More at once than any pool that is not ours holds. */
static void run_hoard(void)
{
	static struct coroutine *all[10000];

	for (unsigned rounds = 0; rounds < 3; rounds++) {
		for (unsigned i = 0; i < 10000; i++)
			all[i] = begin();
		for (unsigned i = 0; i < 10000; i++)
			end(all[i]);
	}
}

static void run_leave(void)
{
	churn(200, 100);
	_exit(3);
}

static void run_kill(void)
{
	churn(200, 100);
	raise(SIGKILL);
}

static void run_abort(void)
{
	churn(200, 100);
	abort();
}

/* Ends while other threads are inside create and destroy. */
static void *churn_for_ever(void *argument)
{
	for (;;)
		churn(1, 60);
	return argument;
}

static void run_exit_amid(void)
{
	start_threads(churn_for_ever, NULL);
	churn(100, 100);
	_Exit(0);
}

static const struct {
	const char *name;
	void (*run)(void);
} scenarios[] = {
        {"churn", run_churn},
        {"threads", run_threads},
        {"short-threads", run_short_threads},
        {"hand-over", run_hand_over},
        {"signals", run_signals},
        {"signal-waits", run_signal_waits},
        {"forks", run_forks},
        {"forks-at-once", run_forks_at_once},
        {"fork-exit", run_fork_exit},
        {"errno", run_errno},
        {"thread-keys", run_thread_keys},
        {"hints", run_hints},
        {"hoard", run_hoard},
        {"leave", run_leave},
        {"kill", run_kill},
        {"abort", run_abort},
        {"exit-amid", run_exit_amid},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
		if (argc == 2 && strcmp(argv[1], scenarios[i].name) == 0) {
			scenarios[i].run();
			puts("fine");
			return 0;
		}
	}
	die("qemu_like: there is no such scenario");
}
