/* SPDX-License-Identifier: MIT */
/* How many objects are alive in all pools together. */
#ifndef COPOOL_POOL_CENSUS_H
#define COPOOL_POOL_CENSUS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether at least `number` objects are in the program's hands; those that are parts of another pool's are not counted
 * beside these. Any thread, with no more than a look at each pool as long as fewer exist.
 */
bool census_reaches(uint64_t number);

#endif
