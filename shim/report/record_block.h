/* SPDX-License-Identifier: MIT */
/*
 * The block: how a tool reads the same counters out of a process, and changes settings in it, without the
 * process's help (process_vm_readv, process_vm_writev). It lies in libcopool.so's data. Where, an ELF note of
 * the library says, of this name and type: it holds one int64_t, the block's address less that of the
 * int64_t. All addresses below are the process's own.
 *
 * A counter is the sum of its terms, each a little-endian word, or 0 when the sum is below 0. Besides
 *   of a pool that is only observed, create_local and destroy_local are creates less create_new,
 *                and create_depot is 0,
 *   calls_saved  is more by make_calls for each hit, and by destroy_calls for each object kept,
 *   maps_saved   is the 8-byte word to which the pool's kind points, if it does,
 *   live         is made of the others, and peak_live is at least that.
 */
#ifndef COPOOL_REPORT_RECORD_BLOCK_H
#define COPOOL_REPORT_RECORD_BLOCK_H

#include "system/bounds.h"

#include <stdint.h>

#define RECORD_NOTE_NAME   "copool"
#define RECORD_NOTE_TYPE   1
#define RECORD_BLOCK_MAGIC 0x6b636f6c626c6f70ULL

enum { RECORD_BLOCK_FORMAT = 2, RECORD_TERMS = 32, RECORD_THREADS = 65535 };

enum record_place {
	RECORD_IN_POOL,   /* once: at an offset in the pool's struct */
	RECORD_IN_CACHE,  /* once for each thread: at an offset in its cache of the pool */
	RECORD_IN_THREAD, /* once for each thread: at an offset in its block */
};

/* (word >> shift & mask) * factor */
struct record_term {
	uint16_t counter; /* its number in RECORD_COUNTERS, from 0 */
	uint8_t place;    /* an enum record_place */
	uint8_t bytes;    /* 1, 2, 4 or 8 */
	uint16_t shift;
	int16_t factor;
	uint32_t offset;
	uint32_t reserved;
	uint64_t mask;
};

/* What the statistics thread does, which also gives idle objects back. */
enum record_thread {
	RECORD_THREAD_NONE,    /* there is nothing to pool */
	RECORD_THREAD_FAILED,  /* it could not be started */
	RECORD_THREAD_AT_USE,  /* starts when a pool is used next */
	RECORD_THREAD_RUNS,    /* */
	RECORD_THREAD_SLEEPS,  /* until something comes into a depot */
	RECORD_THREAD_ENDED,   /* the process is ending */
	RECORD_THREAD_AT_NEED, /* starts when something is asked for while something comes into a depot */
};

/* Addresses of the words that may be written, 4 bytes each: first the others, then `asked`. */
struct record_controls {
	uint64_t asked;       /* another value than before: a change is asked for; never 0 */
	uint64_t done;        /* not to be written: the last `asked` of which all has been done */
	uint64_t decay_ms;    /* as COPOOL_DECAY_MS */
	uint64_t max_batches; /* as COPOOL_MAX_BATCHES; BATCHES_DERIVED: as each pool began */
	uint64_t is_off;      /* 1: the depots keep nothing */
	uint64_t emptied;     /* another value than before: the depots are to be emptied once */
};

struct record_block {
	uint64_t magic;  /* RECORD_BLOCK_MAGIC as soon as all else is there */
	uint32_t format; /* RECORD_BLOCK_FORMAT; a reader understands those up to its own */
	uint32_t bytes;  /* of this struct */

	/* As in `open`; addresses of strings. */
	uint64_t version, program, host, mode, detail;
	uint32_t parent, interval_ms, decay_ms, max_batches; /* as the process began */
	uint64_t start_ms;                                   /* CLOCK_MONOTONIC: where uptime_ms begins */
	uint64_t thread;                                     /* address of an int: an enum record_thread */

	/* Pools: address of an array of their addresses, and of a uint32_t: how many. */
	uint64_t pools, pool_count;
	uint32_t pool_bytes, pool_kind;   /* offset of the address of its kind */
	uint32_t pool_cap, kind_bytes;    /* offset of max_batches, a uint32_t, as the pool began */
	uint32_t kind_name, kind_maps;    /* offsets of addresses: a string; of maps_saved, or 0 */
	uint32_t kind_make, kind_destroy; /* offsets of uint32_t: system calls saved by each */
	uint32_t kind_observed;           /* offset of a byte, 1: the program's own pool is only observed */
	uint32_t
	        pool_withdrawn; /* offset of a byte in a pool, 1: all its counters are to be taken for 0; 0: none */

	/* Threads 1 .. count: thread i is the (i % in_chunk)th struct of chunk i / in_chunk. */
	uint64_t chunks, thread_count; /* address of an array of the chunks' addresses; of a uint32_t */
	uint32_t in_chunk, thread_bytes;
	uint32_t thread_caches, cache_bytes; /* offset of the cache of pool 0; the others follow */

	struct record_controls control;
	struct record_term term[RECORD_TERMS]; /* up to the first of 0 bytes */

	/* Since 0.2.0; `bytes` says whether it is there. */
	uint64_t way; /* as in `open`; address of a string */
	uint32_t pool_calls_seen,
	        reserved; /* offset of a uint64_t: calls_saved is not less than this; 0: none */
	uint64_t label;   /* as in `open`; address of a string, "" when there is none */

	/*
	 * How deep stacks were seen to be used. Offsets: of the address of a pool's class of stacks in its kind (0 there:
	 * it has none), and of two uint64_t in that class: stacks that were looked at, and their pages together.
	 */
	uint32_t kind_stacks, class_slots, class_pages, page_bytes;
};

#endif
