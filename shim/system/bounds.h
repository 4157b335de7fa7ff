/* SPDX-License-Identifier: MIT */
/* Numbers that the settings, the pools and the log's format have in common. */
#ifndef COPOOL_SYSTEM_BOUNDS_H
#define COPOOL_SYSTEM_BOUNDS_H

enum {
	POOL_MAX = 40, /* pools in a process */

	/* In place of a number of batches, as the cap on a depot: derive it from the system's limits. */
	BATCHES_DERIVED = 0xffffffff,
};

#endif
