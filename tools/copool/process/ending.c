/* SPDX-License-Identifier: MIT */
#include "process/ending.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "process/peek.h"

enum { GRACE_MS = 5000 };

static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static volatile sig_atomic_t came;
static void (*abandon_all)(void);
static pthread_t waiting; /* the caller's thread */

static void wake(int number)
{
	(void)number;
}

static void *wait_for_signal(void *set)
{
	int number;

	while (sigwait(set, &number) != 0)
		;
	came = number;
	peek_interrupt();
	pthread_kill(waiting, SIGUSR2);
	nanosleep(&(struct timespec){GRACE_MS / 1000, GRACE_MS % 1000 * 1000000}, NULL);
	abandon_all();
	_exit(ending_status());
}

void ending_watch(void (*abandon)(void))
{
	static sigset_t set;
	struct sigaction waking = {.sa_handler = wake};
	pthread_t thread;

	abandon_all = abandon;
	waiting = pthread_self();
	sigaction(SIGUSR2, &waking, NULL);
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		/* If it were ignored, as in a shell's background, it would not arrive. */
		signal(numbers[i], SIG_DFL);
		sigaddset(&set, numbers[i]);
	}
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (pthread_create(&thread, NULL, wait_for_signal, &set) == 0)
		pthread_detach(thread);
	else
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int ending_signal(void)
{
	return came;
}

int ending_status(void)
{
	return came && came != SIGINT ? 128 + came : 0;
}
