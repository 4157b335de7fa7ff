/* SPDX-License-Identifier: MIT */
/*
 * The block with which a tool reads the counters of record.h out of a process and changes settings in it, without the
 * process's help (process_vm_readv, process_vm_writev). The block is in libcopool.so's data. An ELF note of the
 * library, of the name and type below, says where: it holds one int64_t, the block's address minus the address of that
 * int64_t. All addresses in the block are the process's own.
 *
 * A counter is the sum of its terms, each a little-endian word, and of what follows; or 0 if that is negative:
 *   - in a pool that is only observed, create_local and destroy_local are the creates minus create_new, and create_depot
 *     is 0;
 *   - calls_saved grows by make_calls for each hit, and by destroy_calls for each object kept;
 *   - maps_saved is the 8-byte word that the pool's kind points to; 0 if it points to none;
 *   - live is computed from the others, and peak_live is at least live.
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

/* The state of the statistics thread, which also gives idle objects back. */
enum record_thread {
	RECORD_THREAD_NONE,    /* there is nothing to pool */
	RECORD_THREAD_FAILED,  /* it could not be started */
	RECORD_THREAD_AT_USE,  /* it starts when a pool is used next */
	RECORD_THREAD_RUNS,    /* it runs, and may wait for the next sample */
	RECORD_THREAD_SLEEPS,  /* it sleeps until a depot gets objects */
	RECORD_THREAD_ENDED,   /* it has ended */
	RECORD_THREAD_AT_NEED, /* it starts when a change is asked for and a depot gets objects */
};

/* Addresses of words of 4 bytes that a tool may write. It must write `asked` last. */
struct record_controls {
	uint64_t asked;       /* a new value, never 0, asks for a change */
	uint64_t done;        /* read only: the last `asked` that is done */
	uint64_t decay_ms;    /* as COPOOL_DECAY_MS */
	uint64_t max_batches; /* as COPOOL_MAX_BATCHES; BATCHES_DERIVED: the cap with which each pool began */
	uint64_t is_off;      /* 1: the depots keep nothing */
	uint64_t emptied;     /* a new value: empty the depots once */
};

struct record_block {
	uint64_t magic;  /* RECORD_BLOCK_MAGIC once the rest is filled in */
	uint32_t format; /* RECORD_BLOCK_FORMAT; a reader understands formats up to its own */
	uint32_t bytes;  /* of this struct */

	/* Addresses of strings, as in `open`. */
	uint64_t version, program, host, mode, detail;
	uint32_t parent, interval_ms, decay_ms, max_batches; /* as the process began */
	uint64_t start_ms;                                   /* when uptime_ms begins, on CLOCK_MONOTONIC */
	uint64_t thread;                                     /* address of an int: an enum record_thread */

	/* Addresses of an array of the pools' addresses, and of a uint32_t, how many there are. */
	uint64_t pools, pool_count;
	uint32_t pool_bytes, pool_kind;   /* offset of the address of its kind */
	uint32_t pool_cap, kind_bytes;    /* offset of max_batches, a uint32_t, as the pool began */
	uint32_t kind_name, kind_maps;    /* offsets of addresses: a string; of maps_saved, or 0 */
	uint32_t kind_make, kind_destroy; /* offsets of uint32_t: system calls saved by each */
	uint32_t kind_observed;           /* offset of a byte, 1: the program's own pool is only observed */
	uint32_t pool_withdrawn; /* offset of a byte in a pool, 1: its counters count as 0; 0: no such byte */

	/* Threads 1 .. count: thread i is the (i % in_chunk)th struct of chunk i / in_chunk. */
	uint64_t chunks, thread_count; /* address of an array of the chunks' addresses; of a uint32_t */
	uint32_t in_chunk, thread_bytes;
	uint32_t thread_caches, cache_bytes; /* offset of the cache of pool 0; the others follow */

	struct record_controls control;
	struct record_term term[RECORD_TERMS]; /* ends at the first of 0 bytes */

	/* Since 0.2.0; `bytes` says whether these are there. */
	uint64_t way; /* address of a string, as in `open` */
	uint32_t pool_calls_seen,
	        reserved; /* offset of a uint64_t: calls_saved is at least this; 0: no such word */
	uint64_t label;   /* address of a string, as in `open`; "" if there is none */

	/*
	 * How deep stacks were used. Offsets: in a pool's kind, of the address of its class of stacks (an address of 0:
	 * it has none); in that class, of two uint64_t: how many stacks were looked at, and their pages in total.
	 */
	uint32_t kind_stacks, class_slots, class_pages, page_bytes;

	uint32_t kind_owner,
	        kind_part_of; /* offsets of addresses: of strings as in `sample`; 0 there: left out */
	uint64_t commit;      /* address of a string, as in `open`; "" if it is not known */
};

#endif
