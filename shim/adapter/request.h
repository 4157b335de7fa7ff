/* SPDX-License-Identifier: MIT */
/*
 * What a program asks of mmap, as far as coroutine stacks are concerned: whether a request is one for a
 * stack, and which requests are alike. One state per process, written once; all threads ask.
 */
#ifndef COPOOL_ADAPTER_REQUEST_H
#define COPOOL_ADAPTER_REQUEST_H

#include "adapter/sites.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

enum { REQUEST_NAME_BYTES = 96 };

/* The first four make two requests alike. */
struct request {
	size_t bytes; /* whole pages */
	int protection;
	int flags;
	const void *caller;
	bool is_clean;   /* to be handed out as mmap would: zeroed, without guard */
	bool is_learned; /* for a stack, as far as is known: to be asked again each time */
};

/*
 * Called once, before any other. Requests of `named_bytes` are for stacks, whoever asks (0: none are);
 * `is_every_clean`: every stack is handed out zeroed.
 */
void request_init(size_t named_bytes, bool is_every_clean);

/* Rounds up to whole pages. */
size_t request_pages(size_t bytes);

/* Whether a mapping may be a coroutine stack at all, whoever asks for it. */
bool request_is_candidate(const void *address, size_t bytes, int protection, int flags);

/* Its bytes, as adapter/sites.h has them. */
static inline size_t request_site_bytes(const struct request *request)
{
	return request->bytes | (request->protection == PROT_NONE ? SITES_RESERVED : 0);
}

/* Whether such a mapping is one; fills in the request's last two. */
bool request_is_stack(struct request *request);

/* Whether such a stack is zeroed for want of knowledge only, not because the user wants that. */
bool request_may_be_proven(const struct request *request);

static inline bool request_is_alike(const struct request *a, const struct request *b)
{
	return a->caller == b->caller && a->bytes == b->bytes && a->protection == b->protection &&
	       a->flags == b->flags;
}

/*
 * Writes the name of a pool of such stacks, which no other pool has, to `name` (REQUEST_NAME_BYTES): the size and
 * the known allocator; where that is taken, the place of the call as well. One caller at a time.
 */
void request_name(const struct request *request, char *name);

#endif
