/* SPDX-License-Identifier: MIT */
/* The forking thread writes `was_alone` for its child. All processes that share the page may write to it. */
#include "report/user.h"

#include "system/clock.h"
#include "libc/real.h"
#include "system/warn.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOT_THREADS = 2 }; /* of the links that the folder of threads has */

/* Steps of the word, in this order. None is taken twice. */
enum { WORD_NONE, WORD_BEGUN, WORD_THERE, WORD_TOLD };

struct word {
	_Atomic uint32_t step;
	uint32_t process, user; /* of the process that took it to WORD_BEGUN, which writes this and error */
	int error;
};

static _Atomic bool was_alone;
static struct word *_Atomic word; /* set once; NULL: no fork yet, or there was no memory */

static struct word *here(void)
{
	/* [user.word] acquire: sees the zeroes of a page that another thread has mapped. */
	return atomic_load_explicit(&word, memory_order_acquire);
}

bool user_leaves_root(uid_t to)
{
	return to != 0 && to != (uid_t)-1 && geteuid() == 0;
}

static void share(void)
{
	struct word *made, *expected = NULL;

	if (here() != NULL)
		return;
	made = real_mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (made == MAP_FAILED)
		return;
	/* [user.word] acq_rel: publishes the zeroes, or sees another thread's. */
	if (!atomic_compare_exchange_strong_explicit(
	            &word, &expected, made, memory_order_acq_rel, memory_order_acquire))
		real_munmap(made, sizeof *made);
}

void user_fork_prepare(bool has_ours)
{
	int saved = errno;
	struct stat threads;
	/*
	 * Only root's child can give up root. What libc knows is enough for most processes; but it says no for good
	 * once there was another thread.
	 */
	bool is_alone =
	        geteuid() == 0 &&
	        (__libc_single_threaded || (stat("/proc/self/task", &threads) == 0 &&
	                                           threads.st_nlink == (nlink_t)NOT_THREADS + 1 + has_ours));

	share();
	/* [user.was_alone] relaxed: only the child's one thread reads it. Two threads that fork at once both store false. */
	atomic_store_explicit(&was_alone, is_alone, memory_order_relaxed);
	errno = saved;
}

bool user_was_alone(void)
{
	/* [user.was_alone] relaxed: as above. */
	return atomic_load_explicit(&was_alone, memory_order_relaxed);
}

static bool advance(uint32_t from)
{
	uint32_t expected = from;

	/* [word.step] acq_rel: the process that takes the next step sees what was written before this one. */
	return here() != NULL && atomic_compare_exchange_strong_explicit(&here()->step, &expected, from + 1,
	                                 memory_order_acq_rel, memory_order_relaxed);
}

void user_leave_word(int error)
{
	if (!advance(WORD_NONE))
		return;
	here()->process = (uint32_t)clock_pid();
	here()->user = geteuid();
	here()->error = error;
	advance(WORD_BEGUN);
}

bool user_has_word(void)
{
	/* [word.step] relaxed: advance() looks again. */
	return here() != NULL && atomic_load_explicit(&here()->step, memory_order_relaxed) == WORD_THERE;
}

bool user_take_word(char *text, size_t bytes)
{
	if (!user_has_word() || !advance(WORD_THERE))
		return false;
	snprintf(text, bytes,
	        "process %u, a forked child, cannot open this log as user %u (%s): its records, and those of "
	        "others like it, are lost; use %%p in COPOOL_LOG, in a folder of that user",
	        here()->process, here()->user, warn_reason(here()->error));
	return true;
}
