/* SPDX-License-Identifier: MIT */
/*
 * COPOOL_MAX_LIVE: how many stacks may be alive. Where guard pages cost no memory maps, nothing else ends a recursion that
 * makes a coroutine in each coroutine, but the machine's memory.
 */
#ifndef COPOOL_ADAPTER_CEILING_H
#define COPOOL_ADAPTER_CEILING_H

#include <stdbool.h>

struct request;

/* Called once, before any other. 0: there is no such limit. */
void ceiling_init(unsigned most);

/* Whether such a request is one for a stack that would be one too many; says so once. All threads. */
bool ceiling_refuses(struct request *request);

/* Whether there is a limit at all. */
extern unsigned ceiling_most; /* written by ceiling_init */

static inline bool ceiling_is_set(void)
{
	return ceiling_most != 0;
}

#endif
