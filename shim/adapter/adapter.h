/* SPDX-License-Identifier: MIT */
/*
 * A host: the adapter for one kind of program. It knows the program's symbols and objects, owns its pools,
 * and is attached once by shim.c, at program start, or when what it knows comes later. Hosts never include each other.
 */
#ifndef COPOOL_ADAPTER_ADAPTER_H
#define COPOOL_ADAPTER_ADAPTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;

enum { ADAPTER_DETAIL_BYTES = 384 };

/* How it went, for the log. */
struct adapter_outcome {
	bool is_another;  /* not attached, as the program is none of the host's kind */
	bool is_waiting;  /* nothing is pooled yet, and may never be: so no thread */
	bool is_late;     /* the host's: it is attached in the midst of the program */
	const char *mode; /* RECORD's words: "pool", "observe", or "none" when not attached */
	const char *way;  /* RECORD's words for how that is done */
	char detail[ADAPTER_DETAIL_BYTES]; /* a sentence on what was found and done, or why not */
	/* The host stacks can help beside this one, or in its place where it could not be attached. */
	bool has_stacks;
	size_t learn_bytes; /* the program's stacks are of this size, and their call is to be learned; 0: no */
	unsigned cap; /* batches in each depot, where the pools come later, and the host knows; else 0 */
};

struct adapter {
	const char *name; /* the word of COPOOL_HOST, and in the log */

	/* Whether the running program is of this kind; must cost next to nothing where it is not. */
	bool (*is_here)(const struct config *config);

	/* Takes over. 0; or -errno, and the program is as it was. Says how it went in both cases. */
	int (*attach)(const struct config *config, struct adapter_outcome *outcome);

	/*
	 * For a program in which nothing is found at start: calls `come` when something is, once, from any thread, with
	 * signals blocked and no lock held that is ours; `come` attaches this host, and says whether it has. NULL: it
	 * does not wait.
	 */
	void (*wait)(bool (*come)(void));

	/* In a fork's child, after the pools, attached or not; NULL when there is nothing to do. */
	void (*fork_child)(void);

	/* The outcome's detail once one of its pools was withdrawn (pool/doubt.h); NULL: it withdraws none. */
	const char *withdrawn;
};

extern const struct adapter adapter_named, adapter_qemu, adapter_stacks;

/* Writes the outcome's detail, as printf does. */
__attribute__((format(printf, 2, 3))) void adapter_say(
        struct adapter_outcome *outcome, const char *format, ...);

#endif
