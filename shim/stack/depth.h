/* SPDX-License-Identifier: MIT */
/*
 * How deep stacks were used: the distance from a slot's top to its lowest page that holds something, without the
 * guard. A slot's mark is the deepest use ever seen, over all coroutines that it served, so that it survives
 * trimming.
 *
 * One thread looks, the watcher, and only the watcher touches these fields. It reads the process's page tables and
 * never a stack, so that a slot may be handed out at the same time: of a slot that changes hands it may see too
 * little, but never more than was touched.
 */
#ifndef COPOOL_STACK_DEPTH_H
#define COPOOL_STACK_DEPTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena_class;
struct arena_place;

enum { DEPTH_NO_PAGEMAP = -1, DEPTH_BUCKETS = 13 };

/* One for each arena. */
struct depth_watch {
	_Atomic uintptr_t thread; /* the watcher, by its pthread_self; 0: none */
	int pagemap;              /* the watcher's descriptor, see depth_open */
};

/* One for each class; only the watcher uses it. All zero: nobody has looked yet. */
struct depth {
	uint32_t *count; /* [n]: slots with a mark of n pages */
	uint64_t slots;  /* with a mark */
	uint64_t live;   /* of these, in the program's hands when last looked at */
	uint64_t pages;  /* sum of all marks */
	unsigned deepest;
	uint32_t guard_bytes; /* the largest seen */
	uint32_t turn;        /* how often depth_survey has run */
};

/* All sizes in bytes. */
struct depth_summary {
	uint64_t stacks, live; /* as `slots` and `live` above */
	uint64_t stack_bytes;  /* of a stack, without its guard */
	uint64_t mean, p50, p90, p99, p999, deepest;
	uint64_t bucket[DEPTH_BUCKETS]; /* [n]: as deep as depth_bucket_bytes(n) */
};

/*
 * Opens what says most about pages, swapped ones included: a descriptor, which the caller closes, in a table that the
 * program cannot see. DEPTH_NO_PAGEMAP: there is none, and mincore must do.
 */
int depth_open(void);

/* Makes the calling thread the watcher of the class's arena. `pagemap` is from depth_open. */
void depth_attend(struct arena_class *class, int pagemap);

/* Ends that. */
void depth_leave(struct arena_class *class);

/*
 * A slot in a pool's hands is about to be given back. Looks at it, if the calling thread is the watcher: no thread of
 * the program's pays for that. errno survives.
 */
void depth_note(const struct arena_place *place);

/*
 * The watcher looks at no more than `limit` slots of the class, spread evenly, those in the program's hands included;
 * the next call looks at others. errno survives.
 */
void depth_survey(struct arena_class *class, unsigned limit);

/* Sums up what was seen. False: nothing was. */
bool depth_summarize(const struct arena_class *class, struct depth_summary *summary);

/* The largest depth that counts for a bucket. The last bucket has no limit. */
uint64_t depth_bucket_bytes(unsigned bucket);

#endif
