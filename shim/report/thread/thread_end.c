/* SPDX-License-Identifier: MIT */
#include "report/thread/thread_end.h"

#include "system/clock.h"
#include "libc/real.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void thread_end_know(struct life *life)
{
	_Atomic uint32_t *word = NULL;

	life->word = NULL;
	life->number = (uint32_t)syscall(SYS_gettid);
	if (real_prctl(PR_GET_TID_ADDRESS, (unsigned long)&word, 0, 0, 0) != 0 || word == NULL)
		return;
	/* [thread_end.word] relaxed: this thread is alive, so nobody changes it. */
	if (atomic_load_explicit(word, memory_order_relaxed) == life->number)
		life->word = word;
}

void thread_end_await(const struct life *life, unsigned wait_ms)
{
	uint64_t now = clock_now_ms(), deadline = now + wait_ms;
	bool is_there = life->word != NULL;

	/* Only the kernel may read the word: by now it may be unmapped, or another thread's. */
	for (; is_there && now < deadline; now = clock_now_ms()) {
		struct timespec left = {
		        (time_t)((deadline - now) / 1000), (long)((deadline - now) % 1000) * 1000000};

		is_there = syscall(SYS_futex, life->word, FUTEX_WAIT, life->number, &left, NULL, 0) == 0 ||
		           errno == EINTR || errno == ETIMEDOUT;
	}
}

void thread_end_await_exit(const struct life *life, unsigned wait_ms)
{
	uint64_t deadline = clock_now_ms() + wait_ms;

	thread_end_await(life, wait_ms);
	while (syscall(SYS_tgkill, clock_pid(), life->number, 0) == 0 && clock_now_ms() < deadline)
		clock_sleep_us(50);
}
