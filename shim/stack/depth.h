/* SPDX-License-Identifier: MIT */
/*
 * How deep stacks were used: the distance from a slot's top to the lowest page of it that holds something,
 * its guard left out. A slot's mark is the deepest that was ever seen of it, over all coroutines that it
 * served, so it outlives what trimming gives back.
 *
 * One thread looks, the watcher, and only it touches what belongs to the looking. It reads the process' own
 * page tables and never a stack, so it harms nobody when a slot is handed out meanwhile: of a slot that
 * changes hands a look may see too little, never more than was touched.
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

/* An arena's. */
struct depth_watch {
	_Atomic uintptr_t thread; /* the watcher, as pthread_self knows it; 0: none */
	int pagemap;              /* the watcher's, in its table of descriptors; see depth_open */
};

/* A class's; the watcher's alone. All zero: nobody has looked yet. */
struct depth {
	uint32_t *count; /* [n]: slots whose mark is n pages */
	uint64_t slots;  /* that have a mark */
	uint64_t live;   /* of these, in the program's hands when they were last looked at */
	uint64_t pages;  /* sum of all marks */
	unsigned deepest;
	uint32_t guard_bytes; /* the largest guard seen */
	uint32_t turn;        /* of depth_survey */
};

/* All sizes in bytes. */
struct depth_summary {
	uint64_t stacks, live; /* as `slots` and `live` above */
	uint64_t stack_bytes;  /* what a stack has, without its guard */
	uint64_t mean, p50, p90, p99, p999, deepest;
	uint64_t bucket[DEPTH_BUCKETS]; /* stacks as deep as depth_bucket_bytes, and deeper than the one
	                                   before */
};

/*
 * Opens what says most about pages, also about those that are swapped out: a descriptor, which the caller
 * closes, in a table that no host can see; or DEPTH_NO_PAGEMAP: then mincore must do.
 */
int depth_open(void);

/* The calling thread is the watcher of the class's arena from now on. `pagemap` is from depth_open. */
void depth_attend(struct arena_class *class, int pagemap);

/* There is no watcher any more. */
void depth_leave(struct arena_class *class);

/*
 * What is in a slot, in a pool's hands, will be given back: looks at it first, if the calling thread is the
 * watcher; else does nothing, so that no thread of the program's pays for it. errno survives.
 */
void depth_note(const struct arena_place *place);

/*
 * The watcher looks at `limit` of the class's slots at most, those in the program's hands included, spread
 * evenly; at others the next time. errno survives.
 */
void depth_survey(struct arena_class *class, unsigned limit);

/* What has been seen. False: nothing. */
bool depth_summarize(const struct arena_class *class, struct depth_summary *summary);

/* The largest depth that counts for a bucket; of the last one there is no largest. */
uint64_t depth_bucket_bytes(unsigned bucket);

#endif
