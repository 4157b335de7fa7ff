/* SPDX-License-Identifier: MIT */
/* How many idle objects a pool may keep by default: a part of what the system's limits allow. */
#ifndef COPOOL_POOL_LIMITS_H
#define COPOOL_POOL_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* UINT64_MAX, or ULONG_MAX: no limit. */
struct limits {
	unsigned long maps;     /* vm.max_map_count: memory maps that a process may have */
	uint64_t address_bytes; /* RLIMIT_AS */
	uint64_t memory_bytes;  /* of the control group and those above it */
};

/* Reads all of them; `root` as in system/cgroup.h. For the constructor. errno survives. */
void limits_read(struct limits *limits, const char *root);

/* Returns vm.max_map_count. errno survives. */
unsigned long limits_max_maps(void);

/*
 * Returns how many batches of idle objects may be kept: at most half of the memory maps, an eighth of the addresses, and
 * an eighth of the memory, each if it is limited; the rest is the program's. An object takes `maps` memory maps, `bytes`
 * of addresses (0: not counted), and, by assumption, two pages of memory. At least 1, at most DEPOT_MAX_BATCHES.
 */
unsigned limits_batches(const struct limits *limits, unsigned maps, size_t bytes);

#endif
