/* SPDX-License-Identifier: MIT */
/* The queue of warnings: nothing is lost unless it is full, and nothing comes twice. */
#include "system/warn.h"

#include "tap.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

enum { CELLS = 32, WRITERS = 4, EACH = 20000, INTERRUPTS = 10000 };

static void test_order(void)
{
	char text[WARN_BYTES];

	tap_ok(!warn_next(text), "warn: at first there is none");
	for (int round = 0; round < 3 * CELLS; round += 3) {
		bool in_order = true;

		for (int i = 0; i < 3; i++)
			warn("number %d", round + i);
		for (int i = 0; i < 3; i++) {
			char wanted[32];

			snprintf(wanted, sizeof wanted, "number %d", round + i);
			in_order = warn_next(text) && strcmp(text, wanted) == 0 && in_order;
		}
		if (!in_order || round == 3 * CELLS - 3)
			tap_ok(in_order,
			        "warn: messages come in the order of writing, over the end of the ring too");
	}
	tap_ok(!warn_next(text), "warn: each comes once");
}

static void test_long(void)
{
	char text[WARN_BYTES], endless[2 * WARN_BYTES];

	memset(endless, 'x', sizeof endless);
	endless[sizeof endless - 1] = '\0';
	warn("%s", endless);
	tap_ok(warn_next(text) && strlen(text) == WARN_BYTES - 1, "warn: a message that is too long is cut");
}

static void test_errno(void)
{
	char text[WARN_BYTES];

	errno = EXDEV;
	warn("%s", "something");
	tap_is(errno, EXDEV, "warn: errno stays");
	warn_next(text);
}

static void test_full(void)
{
	char text[WARN_BYTES];
	unsigned before = warn_dropped();

	for (int i = 0; i < CELLS + 5; i++)
		warn("%d", i);
	tap_is(warn_dropped() - before, 5, "warn: what finds the queue full is counted");
	for (int i = 0; i < CELLS; i++) {
		if (!warn_next(text) || atoi(text) != i)
			tap_ok(false, "warn: message %d is still there", i);
	}
	tap_ok(!warn_next(text), "warn: the first ones are kept, the last ones dropped");
	warn("again");
	tap_ok(warn_next(text) && strcmp(text, "again") == 0, "warn: a queue that was full works again");
}

static pthread_barrier_t gate;
static _Atomic int done;

static void *writer(void *number)
{
	pthread_barrier_wait(&gate);
	for (int i = 0; i < EACH; i++)
		warn("%d %d %d", (int)(long)number, i, i);
	atomic_fetch_add(&done, 1);
	return NULL;
}

static void test_threads(void)
{
	pthread_t thread[WRITERS];
	char text[WARN_BYTES];
	int last[WRITERS], number, count, check;
	unsigned read = 0, before = warn_dropped();
	bool are_whole = true, are_in_order = true, is_ended;

	pthread_barrier_init(&gate, NULL, WRITERS + 1);
	for (long i = 0; i < WRITERS; i++) {
		last[i] = -1;
		if (pthread_create(&thread[i], NULL, writer, (void *)i) != 0)
			exit(EXIT_FAILURE);
	}
	pthread_barrier_wait(&gate);
	do {
		is_ended = atomic_load(&done) == WRITERS;
		while (warn_next(text)) {
			read++;
			if (sscanf(text, "%d %d %d", &number, &count, &check) != 3 || count != check) {
				are_whole = false;
				continue;
			}
			are_in_order = are_in_order && count > last[number];
			last[number] = count;
		}
	} while (!is_ended);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(thread[i], NULL);
	tap_ok(are_whole, "warn: a message is never seen half written");
	tap_ok(are_in_order, "warn: one thread's messages stay in order");
	tap_is(read + (warn_dropped() - before), WRITERS * EACH,
	        "warn: each is read once or counted as dropped");
}

static _Atomic int interrupts, interrupts_unread;

/* On a slow machine signals may follow each other without end: at most as many as there is room for. */
static void interrupt(int number)
{
	(void)number;
	if (atomic_load(&interrupts_unread) >= 8)
		return;
	atomic_fetch_add(&interrupts_unread, 1);
	warn("handler");
	atomic_fetch_add(&interrupts, 1);
}

/* Writers that meet while there is room for both: a signal handler interrupts warn(). */
static void test_room(void)
{
	struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART};
	struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
	char text[WARN_BYTES];
	unsigned read = 0, written = 0, before = warn_dropped();

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (atomic_load(&interrupts) < INTERRUPTS) {
		warn("program");
		written++;
		while (warn_next(text))
			read++;
		atomic_store(&interrupts_unread, 0);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	while (warn_next(text))
		read++;
	tap_is(warn_dropped() - before, 0,
	        "warn: while there is room nothing is dropped, though a signal comes in between");
	tap_is(read, written + (unsigned)atomic_load(&interrupts),
	        "warn: and each is read, the signal handler's too");
}

static void test_fork_child(void)
{
	char text[WARN_BYTES];
	int i;

	warn("one");
	warn("two");
	warn_fork_child();
	tap_ok(warn_next(text) && strcmp(text, "one") == 0 && warn_next(text) && strcmp(text, "two") == 0 &&
	                !warn_next(text),
	        "warn: what was queued before a fork is still there in the child");
	for (i = 0; i < 2 * CELLS; i++) {
		warn_fork_child();
		warn("%d", i);
		warn_fork_child();
		if (!warn_next(text) || atoi(text) != i)
			break;
	}
	tap_is(i, 2 * CELLS, "warn: the ring goes round in a fork's child, too");
}

int main(void)
{
	test_order();
	test_long();
	test_errno();
	test_full();
	test_room();
	test_threads();
	test_fork_child();
	return tap_done();
}
