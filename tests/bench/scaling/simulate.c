/* SPDX-License-Identifier: MIT */
/*
 * What the one word of a depot costs when many processors want it: simulate THREADS WORK_NS LINE_NS fair|kept
 * OPERATIONS
 *
 * Each thread works, then changes the word, as lifo.h does: it loads it, computes, and swaps if it is as it
 * was; when it is not it has the new value and tries again. The word's line is at one processor at a time;
 * a thread that wants it waits for its turn, first come first served, and LINE_NS more. "fair": a processor loses
 * the line after each load and each swap, if another waits, which is the worst that hardware can do; "kept":
 * it keeps the line for the few ns from its load, or from a swap that failed, to its next swap, as hardware
 * mostly does. WORK_NS is a thread's time between two operations, drawn at random around that mean. Prints ns
 * from an operation's begin to its end; tries beyond the first; and operations a second of all threads.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MOST = 1024, COMPUTE_NS = 5, LOCAL_NS = 5, NOBODY = THREADS_MOST };

enum step { WORKING, LOADING, SWAPPING };

static struct thread {
	double at; /* when its step begins to want the line */
	double begun;
	uint64_t seen; /* the word's version */
	enum step step;
} thread[THREADS_MOST];

static uint64_t random_state = 88172645463325252; /* Marsaglia's xorshift */

/* Between 0 and twice the mean. */
static double around(double mean)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return mean * 2 * (double)(random_state >> 11) / (double)(1ULL << 53);
}

static unsigned earliest(unsigned threads)
{
	unsigned first = 0;

	for (unsigned i = 1; i < threads; i++) {
		if (thread[i].at < thread[first].at)
			first = i;
	}
	return first;
}

int main(int count, char **word)
{
	unsigned threads = count == 6 ? (unsigned)strtoul(word[1], NULL, 10) : 0, owner = 0, next = NOBODY;
	double work = count == 6 ? strtod(word[2], NULL) : 0, line = count == 6 ? strtod(word[3], NULL) : 0;
	bool is_kept = count == 6 && strcmp(word[4], "kept") == 0;
	uint64_t wanted = count == 6 ? strtoull(word[5], NULL, 10) : 0, version = 0, retries = 0;
	double is_free = 0, sum = 0, end = 0;

	if (threads == 0 || threads > THREADS_MOST || wanted == 0)
		return 2;
	for (unsigned i = 0; i < threads; i++)
		thread[i].at = around(work);
	while (version < wanted) {
		unsigned i = next != NOBODY ? next : earliest(threads);
		struct thread *one = &thread[i];

		if (one->step == WORKING) {
			one->begun = one->at;
			one->step = LOADING;
		}
		/* Threads that have asked for the line since then come after it. */
		end = (one->at > is_free ? one->at : is_free) + (owner == i ? LOCAL_NS : line);
		is_free = end;
		owner = i;
		if (one->step == LOADING || one->seen != version) {
			retries += one->step == SWAPPING;
			one->step = SWAPPING;
			one->seen = version;
			one->at = end + COMPUTE_NS;
			is_free = is_kept ? one->at : is_free;
			next = is_kept ? i : NOBODY;
			continue;
		}
		version++;
		next = NOBODY;
		sum += end - one->begun;
		one->step = WORKING;
		one->at = end + around(work);
	}
	printf("%.1f %.4f %.0f\n", sum / (double)wanted, (double)retries / (double)wanted,
	        (double)wanted / end * 1e9);
	return 0;
}
