#include "report/life.h"

#include "libc/real.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void life_know(struct life *life)
{
	_Atomic uint32_t *word = NULL;

	life->word = NULL;
	life->number = (uint32_t)syscall(SYS_gettid);
	if (real_prctl(PR_GET_TID_ADDRESS, (unsigned long)&word, 0, 0, 0) != 0 || word == NULL)
		return;
	/* [life.word] relaxed: this thread is alive. */
	if (atomic_load_explicit(word, memory_order_relaxed) == life->number)
		life->word = word;
}

struct timespec life_deadline(unsigned wait_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return until;
}

void life_await(const struct life *life, unsigned wait_ms)
{
	struct timespec until = life_deadline(wait_ms);
	long result;

	if (life->word == NULL)
		return;
	/* Only the kernel looks at the word, which may be unmapped, or another thread's, by now. */
	do
		result = syscall(SYS_futex, life->word, FUTEX_WAIT_BITSET, life->number, &until, NULL,
		        FUTEX_BITSET_MATCH_ANY);
	while (result == 0 || errno == EINTR);
}
