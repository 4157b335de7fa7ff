/* SPDX-License-Identifier: MIT */
#include "report/quiet.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

void quietly(void (*write)(void))
{
	static const int number[] = {SIGPIPE, SIGXFSZ};
	sigset_t ours, blocked, before, pending;
	int cancelling;

	/* write() is a cancellation point; the function that the program called may be none. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelling);
	sigemptyset(&ours);
	sigpending(&pending);
	for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
		if (!sigismember(&pending, number[i]))
			sigaddset(&ours, number[i]);
	}
	blocked = ours;
	sigaddset(&blocked, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &blocked, &before);
	write();
	while (sigtimedwait(&ours, NULL, &(struct timespec){0, 0}) > 0)
		;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_setcancelstate(cancelling, NULL);
}
