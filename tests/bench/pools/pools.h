/* SPDX-License-Identifier: MIT */
/*
 * What the bench knows of a pool: how to take an object from it and to put one back, in the patterns of use
 * that patterns.h compiles around the two, once inlined and once called. Each contender is a file that ends
 * with `#include "patterns.h"`; main.c lists them.
 */
#ifndef COPOOL_BENCH_POOLS_H
#define COPOOL_BENCH_POOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Called by its entry alone, as over the border of a source file. */
#ifdef __clang__
#define APART __attribute__((noinline, used))
#else
#define APART __attribute__((noipa, used))
#endif

enum {
	OBJECT_BYTES = 304, /* QEMU's struct CoroutineUContext */
	HELD_MOST = 1 << 20,
	WALK_HEIGHT = 512,
	WALK_STEPS = 1 << 14,
	EDGE_LEVEL = 512, /* idle objects when a pattern at the edge begins: a multiple of all batches here */
	RING_SLOTS = 1024,
	RING_PARCEL = 8, /* that is handed over at once: a cache line */
};

enum pattern {
	PING_PONG,
	SAW_64,
	SAW_1000,
	EDGE_2, /* release 2, take 2 */
	EDGE_4,
	EDGE_8,
	EDGE_16,
	EDGE_32,
	HAND_OVER, /* one lane takes, the next puts; a lane alone does both */
	WALK,
	SAW_WIDE, /* takes and puts lane->wide objects */
	PATTERNS,
};

/* One producer, one consumer; each keeps what it last saw of the other. */
struct ring {
	_Alignas(128) _Atomic unsigned long head; /* written by the producer */
	unsigned long tail_seen;
	_Alignas(128) _Atomic unsigned long tail; /* written by the consumer */
	unsigned long head_seen;
	_Alignas(128) void *slot[RING_SLOTS];
};

/* What one thread works with. */
struct lane {
	void **held;               /* HELD_MOST places */
	unsigned long wide;        /* for SAW_WIDE */
	const unsigned char *walk; /* WALK_STEPS times: up or down */
	struct ring *ring;
	bool produces, consumes;
};

typedef void(pattern_function)(struct lane *lane, unsigned long pairs);

struct contender {
	const char *name;
	const char *missing; /* the package without which it could not be built; NULL: it is here */
	bool (*start)(void); /* once in a process, may be NULL; false: it cannot be had here */
	void (*thread_start)(void);
	void (*thread_stop)(void);
	uint64_t (*held)(void);       /* objects that exist; NULL: unknown. `pools-count` only, as the next */
	uint64_t (*operations)(void); /* of the depot; NULL: what COUNT_DEPOT_OPERATION counted */
	void *(*take)(void);          /* as a host calls it */
	void (*put)(void *object);
	void *take_entry, *put_entry;     /* where the calls arrive; NULL: at take and put */
	pattern_function *const *inlined; /* NULL: there is no such way */
	pattern_function *const *called;
};

extern const struct contender bare_array, copool_linked, copool_interposed, malloc_free, shared_list,
        stack_of_queues, structure_alone, locked_batches, magazines_urcu, magazines_ck;

/* An object for pools that have none. Counts what there is. */
void *object_make(void);
void object_destroy(void *object);
uint64_t objects_exist(void);

/*
 * Operations on what threads share. Counted in the program `pools-count` alone; `pools`, which takes times,
 * has none of it.
 */
#ifdef POOLS_COUNT
extern _Atomic uint64_t depot_operations;
#define COUNT_DEPOT_OPERATION() ((void)(depot_operations++))
#else
#define COUNT_DEPOT_OPERATION() ((void)0)
#endif

/* The link through an object that is idle, for those that chain them. */
struct link {
	struct link *next;
};

#endif
