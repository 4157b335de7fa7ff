/* SPDX-License-Identifier: MIT */
/* Reading a pool's counters. */
#ifndef COPOOL_POOL_STATS_H
#define COPOOL_POOL_STATS_H

#include <stdint.h>

struct pool;

/* One pool's totals over all threads, past and present. Field names as in the log. */
struct pool_stats {
	uint64_t create_local, create_depot, create_new;
	uint64_t destroy_local, destroy_depot, destroy_delete;
	uint64_t live, pooled, peak_live, peak_objects, inherited;
	uint64_t depot_batches, depot_low, depot_high, depot_retries, trimmed, threads;
	uint64_t calls_saved, maps_saved;
};

/*
 * Adds the counters up. Any thread; exact if all other threads are at rest. Also updates the pool's peak_live. All are
 * 0 for a pool that was withdrawn.
 */
void pool_read(struct pool *pool, struct pool_stats *stats);

/* Begins a sample: depot_low and depot_high start from the depot's present depth. For the writer of the samples. */
void pool_restart_sample(struct pool *pool);

#endif
