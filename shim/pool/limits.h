/* What the system bears: read when a pool starts. */
#ifndef COPOOL_POOL_LIMITS_H
#define COPOOL_POOL_LIMITS_H

/* vm.max_map_count: how many memory maps a process may have. errno survives. */
unsigned long limits_max_maps(void);

/*
 * How many batches of idle objects at `maps` memory maps each take half of the maps that vm.max_map_count
 * allows a process; the rest is the host's. At least 1, at most DEPOT_MAX_BATCHES.
 */
unsigned limits_batches(unsigned maps);

#endif
