/* SPDX-License-Identifier: MIT */
/*
 * The part of a program's mmap calls that matters for coroutine stacks: whether a request is for a stack, and which
 * requests are alike. One state for the process. All threads.
 */
#ifndef COPOOL_ADAPTER_REQUEST_H
#define COPOOL_ADAPTER_REQUEST_H

#include "adapter/sites.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

enum { REQUEST_NAME_BYTES = 96 };

struct pool_kind;

/* Two requests are alike if the first four fields are the same. */
struct request {
	size_t bytes; /* whole pages */
	int protection;
	int flags;
	const void *caller;
	bool is_clean;   /* to be handed out as by mmap: zeroed, without guard */
	bool is_learned; /* for a stack as far as is known; to be checked each time */
};

/*
 * Called once, before the other functions. Requests of `named_bytes` are for stacks, whatever code asks (0: none are).
 * `is_every_clean`: every stack is handed out zeroed.
 */
void request_init(size_t named_bytes, bool is_every_clean);

/* Rounds up to whole pages. */
size_t request_pages(size_t bytes);

/* Whether a mapping may be a coroutine stack at all. */
bool request_is_candidate(const void *address, size_t bytes, int protection, int flags);

/* From now on no request for executable memory is a candidate: the kernel refuses it. Any thread, at any time. */
void request_forbid_code(void);

/* The size in the form of adapter/sites.h. */
static inline size_t request_site_bytes(const struct request *request)
{
	return request->bytes | (request->protection == PROT_NONE ? SITES_RESERVED : 0);
}

/* Whether such a mapping is a stack. Sets the request's last two fields. */
bool request_is_stack(struct request *request);

/* Whether such a stack is zeroed only because nothing is known of it, not because the user wants that. */
bool request_may_be_proven(const struct request *request);

static inline bool request_is_alike(const struct request *a, const struct request *b)
{
	return a->caller == b->caller && a->bytes == b->bytes && a->protection == b->protection &&
	       a->flags == b->flags;
}

/*
 * Writes a unique name for a pool of such stacks to `name` (REQUEST_NAME_BYTES): the size and the known allocator; if
 * that name is taken, the place of the call as well. One caller at a time.
 */
void request_name(const struct request *request, char *name);

/* What the log says of such a pool: whose stacks they are, and of which pool's objects they are parts. */
void request_own(const struct request *request, struct pool_kind *kind);

#endif
