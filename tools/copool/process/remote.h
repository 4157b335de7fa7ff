/* SPDX-License-Identifier: MIT */
/*
 * Looking into a process that has libcopool.so in it, and changing settings there, by the block that record.h
 * describes: with process_vm_readv and process_vm_writev, without the process's help. It may be stopped,
 * chrooted, sandboxed or ending. Nothing that is read is believed: nonsense gives an error.
 */
#ifndef COPOOL_TOOLS_PROCESS_REMOTE_H
#define COPOOL_TOOLS_PROCESS_REMOTE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "report/record.h"
#include "report/record_block.h"

enum { REMOTE_WHY = 512, REMOTE_PATIENCE_MS = 5000 };

/* The largest structs that are believed, in bytes. */
enum { REMOTE_POOL = 64 << 10, REMOTE_KIND = 4 << 10, REMOTE_THREAD = 64 << 10 };

struct remote {
	pid_t pid;
	uint64_t at;               /* the block's address there */
	uint64_t deadline_ms;      /* of this look; see peek.h */
	struct record_block block; /* as last read, and found to make sense */
	bool is_replaced;          /* the library's file is not there any more */
	uint64_t idle_bytes;       /* after remote_samples: what is idle holds about so much memory … */
	bool is_idle_guessed; /* … at two pages each, since nobody has looked how deep stacks are used */
	int error;            /* of the last failure, -errno as below … */
	char why[REMOTE_WHY]; /* … and a clause that names the process */
};

/* The words of `struct record_controls`. */
struct remote_control {
	uint32_t asked, done, decay_ms, max_batches, is_off, emptied;
};

/* How long a look may take from now on; REMOTE_PATIENCE_MS at first. */
void remote_set_patience(unsigned ms);

/* A number that names a process; false when it is none, and *pid stays. */
bool remote_pid(const char *text, pid_t *pid);

/*
 * Finds the block of a process. 0; or -errno, with `why`: -ESRCH, -EPERM, -ENOENT (no libcopool.so in it),
 * -EAGAIN (it has only just begun), -EPROTO (of a newer copool), -EBADMSG (nonsense), -ETIMEDOUT (it does not let itself
 * be read in five seconds), -EINTR (see peek_interrupt). There is nothing to close.
 */
int remote_open(struct remote *remote, pid_t pid);

/* Begins another look: reads the block again where it was. 0; or -errno and `why`, as above. */
int remote_refresh(struct remote *remote);

/* Reads memory of the process. 0; or -errno and `why`. */
int remote_peek(struct remote *remote, uint64_t at, void *to, size_t bytes);

/* Sets `why`, and returns -EBADMSG, for a process whose memory makes no sense. */
int remote_nonsense(struct remote *remote);

/* What the log's `open` record would say; NULL and `why` when it cannot be read. The caller's. */
json_t *remote_open_record(struct remote *remote);

/* A `sample` record for each pool, in an array of the caller's; NULL and `why` when they cannot be read. */
json_t *remote_samples(struct remote *remote);

/*
 * The cap on the first pool's depot now, in batches; BATCHES_DERIVED while there is no pool that could
 * say. 0; or -errno and `why`.
 */
int remote_cap(struct remote *remote, const struct remote_control *control, uint32_t *cap);

/* What the statistics thread does: an enum record_thread; or -errno and `why`. */
int remote_thread(struct remote *remote);

/* The process's state as ps(1) has it: 'T' is stopped; '?' when it is not known. */
char remote_state(const struct remote *remote);

/* 0; or -errno and `why`. */
int remote_read_control(struct remote *remote, struct remote_control *control);

/* Asks for what `wanted` says in decay_ms, max_batches, is_off and emptied; its `asked` marks the request. */
int remote_ask(struct remote *remote, const struct remote_control *wanted);

#endif
