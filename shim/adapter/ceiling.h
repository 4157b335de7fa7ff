/* SPDX-License-Identifier: MIT */
/*
 * COPOOL_MAX_LIVE: how many stacks may be alive. If guard pages cost no memory maps, only this limit or the end of
 * the machine's memory stops a recursion in which each coroutine creates another.
 */
#ifndef COPOOL_ADAPTER_CEILING_H
#define COPOOL_ADAPTER_CEILING_H

#include <stdbool.h>

struct request;

/* Called once, before the other functions. 0: there is no limit. */
void ceiling_init(unsigned most);

/* Whether the request is for a stack beyond the limit; warns once. All threads. */
bool ceiling_refuses(struct request *request);

/* Whether there is a limit. */
extern unsigned ceiling_most; /* written by ceiling_init */

static inline bool ceiling_is_set(void)
{
	return ceiling_most != 0;
}

#endif
