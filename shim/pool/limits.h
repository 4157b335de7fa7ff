/* SPDX-License-Identifier: MIT */
/* What the system bears: how many idle objects a pool may keep where its user names no number. */
#ifndef COPOOL_POOL_LIMITS_H
#define COPOOL_POOL_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* UINT64_MAX, or ULONG_MAX: there is no limit. */
struct limits {
	unsigned long maps;     /* vm.max_map_count: memory maps that a process may have */
	uint64_t address_bytes; /* RLIMIT_AS */
	uint64_t memory_bytes;  /* of the control group and those above it */
};

/* Reads them all; `root` as in system/cgroup.h. For the constructor. errno survives. */
void limits_read(struct limits *limits, const char *root);

/* vm.max_map_count alone. errno survives. */
unsigned long limits_max_maps(void);

/*
 * How many batches of idle objects may be kept: so many that they take half of the memory maps, an eighth of
 * the addresses, and an eighth of the memory, each as far as it is limited; the rest is the host's. An object
 * takes `maps` memory maps, `bytes` of addresses (0: nothing worth counting) and, as far as anybody can know
 * before it was used, two pages of memory. At least 1, at most DEPOT_MAX_BATCHES.
 */
unsigned limits_batches(const struct limits *limits, unsigned maps, size_t bytes);

#endif
