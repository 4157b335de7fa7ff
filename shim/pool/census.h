/* SPDX-License-Identifier: MIT */
/* How many objects are alive in all pools together. */
#ifndef COPOOL_POOL_CENSUS_H
#define COPOOL_POOL_CENSUS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether at least `number` objects are in use by the program. Objects that are parts of another pool's are counted only
 * if all pools have such. Any thread; reads one word of each pool as long as fewer exist.
 */
bool census_reaches(uint64_t number);

#endif
