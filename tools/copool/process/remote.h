/* SPDX-License-Identifier: MIT */
/*
 * Looks into a process that has libcopool.so loaded, and changes its settings, by the block that record.h describes:
 * with process_vm_readv and process_vm_writev, without the process's help. It may be stopped, chrooted, sandboxed or
 * ending. Nothing that is read is trusted: nonsense gives an error.
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

/* The largest structs that are accepted, in bytes. */
enum { REMOTE_POOL = 64 << 10, REMOTE_KIND = 4 << 10, REMOTE_THREAD = 64 << 10 };

struct remote {
	pid_t pid;
	uint64_t at;               /* the block's address there */
	uint64_t deadline_ms;      /* of this look; see peek.h */
	int64_t ahead_ms;          /* its CLOCK_MONOTONIC less ours: it may be in another time namespace */
	struct record_block block; /* as last read and checked; what an older version's has not is 0 */
	bool is_replaced;          /* the library's file has been deleted or replaced */
	uint64_t idle_bytes;       /* after remote_samples: memory of idle objects, about */
	bool is_idle_guessed;      /* at two pages each, since their depth is not known */
	int error;                 /* of the last failure, -errno as below */
	char why[REMOTE_WHY];      /* and a clause that names the process */
};

/* The words of `struct record_controls`. */
struct remote_control {
	uint32_t asked, done, decay_ms, max_batches, is_off, emptied;
};

/* Sets how long a look may take; at first REMOTE_PATIENCE_MS. */
void remote_set_patience(unsigned ms);

/* Reads a process ID. Returns false, and leaves *pid, if the text is none. */
bool remote_pid(const char *text, pid_t *pid);

/*
 * Finds the block of a process. Returns 0; or -errno, with `why`: -ESRCH, -EPERM, -ENOENT (no libcopool.so), -EAGAIN
 * (it has only just begun), -EPROTO (of a newer copool), -EBADMSG (nonsense), -ETIMEDOUT (not readable in five
 * seconds), -EINTR (see peek_interrupt). There is nothing to close.
 */
int remote_open(struct remote *remote, pid_t pid);

/* Begins another look: reads the block again. Returns 0; or -errno and `why`, as above. */
int remote_refresh(struct remote *remote);

/* Reads memory of the process. Returns 0; or -errno and `why`. */
int remote_peek(struct remote *remote, uint64_t at, void *to, size_t bytes);

/* Sets `why`, and returns -EBADMSG, for a process whose memory makes no sense. */
int remote_nonsense(struct remote *remote);

/* Makes the `open` record of the log, the caller's; NULL and `why` if it cannot be read. */
json_t *remote_open_record(struct remote *remote);

/* Makes an array, the caller's, of a `sample` record for each pool; NULL and `why` if they cannot be read. */
json_t *remote_samples(struct remote *remote);

/*
 * The cap on the first pool's depot now, in batches; RECORD_BATCHES_DEFAULT if there is no pool yet. Returns 0; or
 * -errno and `why`.
 */
int remote_cap(struct remote *remote, const struct remote_control *control, uint32_t *cap);

/* What the statistics thread does: an enum record_thread; or -errno and `why`. */
int remote_thread(struct remote *remote);

/* The process's state, as in ps(1): 'T' is stopped, '?' not known. */
char remote_state(const struct remote *remote);

/* Returns 0; or -errno and `why`. */
int remote_read_control(struct remote *remote, struct remote_control *control);

/* Writes decay_ms, max_batches, is_off and emptied, then `asked`, which marks the request. */
int remote_ask(struct remote *remote, const struct remote_control *wanted);

#endif
