/* SPDX-License-Identifier: MIT */
/*
 * A summary of logs: the last record of each pool of each process, and the warnings. Its memory is bounded, however
 * long the logs are.
 */
#ifndef COPOOL_TOOLS_LOG_BOOK_H
#define COPOOL_TOOLS_LOG_BOOK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report/record.h"

enum {
	BOOK_PROCESSES = 4096, /* with pools; others are counted */
	BOOK_LISTENERS = 2,    /* to counters */
	BOOK_WARNINGS = 1024,  /* different ones */
	BOOK_MISTAKES = 10,    /* bad lines described */
	BOOK_TEXT = 96,        /* bytes of a description */
	BOOK_CHANGES = 64,     /* in how a process is served; later ones are counted */
	BOOK_BYTES =
	        8 << 20, /* of log in the records kept; in memory a record takes up to 20 times as many */
};

struct book_process {
	json_int_t pid;
	json_t *open;            /* NULL if the log begins later */
	json_t *pool[POOL_MAX];  /* the last record of each, in the order of appearance */
	json_t *depth[POOL_MAX]; /* the last record of how deep its stacks were used; NULL: none */
	unsigned short pool_bytes[POOL_MAX], depth_bytes[POOL_MAX];
	size_t pools;
	bool was_off;    /* it was switched off while it ran */
	json_t *changes; /* how it was served at the start, then each change of that; NULL: none */
};

struct book_warning {
	json_int_t pid; /* the first that said it */
	char *text;
	unsigned long long count;
};

struct book_mistake {
	char where[BOOK_TEXT]; /* "LOG line N" */
	char what[BOOK_TEXT];
};

/* Listeners to records, also those that the book does not keep; those that it leaves out are not passed on. */
struct book_watch {
	/* `process` and `pool` are indices in the book; `opened`: the process' open record was seen. */
	struct book_listener {
		void (*counters)(
		        void *context, size_t process, size_t pool, bool opened, const json_t *record);
		void *context;
	} listener[BOOK_LISTENERS];
	size_t listeners;
	/* Returns what is wrong with the record, or NULL. */
	const char *(*origin)(void *context, json_int_t pid, json_t *record);
	void *origin_context;
	/* So much of `all` bytes of a log has been read; `all` is 0 when it is not known. */
	void (*reading)(const char *log, uint64_t done, uint64_t all);
};

struct book {
	struct book_watch watch; /* to be set after book_open; NULL: nobody listens */
	struct book_process *process;
	size_t processes;
	struct book_warning warning[BOOK_WARNINGS];
	size_t warnings;
	struct book_mistake mistake[BOOK_MISTAKES];
	unsigned long long mistakes; /* bad lines, described or not */
	unsigned long long records;  /* good lines */
	unsigned long long unknown;  /* good lines of a type that this version does not know */
	unsigned long long idle;     /* processes that had nothing to pool */
	json_t *idle_open;           /* what the first of them said; NULL: there was none */
	unsigned long long left_out; /* records and warnings for which there was no room */
	size_t bytes;                /* of log in the records that are kept */
	json_int_t newest_format;
	bool cut_off; /* a log's last line is not complete */
};

/* Returns 0, or -ENOMEM. */
int book_open(struct book *book);

/* Reads one log; `-` is standard input. Returns 0, or -errno if it cannot be read; records before that count. */
int book_read(struct book *book, const char *path);

/* Takes a record as if a log had it; if it is bad, `from` says where it comes from. */
void book_take(struct book *book, const char *from, json_t *record);

void book_close(struct book *book);

/* A record's number, 0 if it has none or less, bounded so that the sum of a few cannot overflow. */
json_int_t book_counter(const json_t *record, const char *name);

/*
 * Whether the program has its own pool. What ours saves is then an estimate, as it depends on what that one would have
 * done.
 */
bool book_has_own_pool(const struct book_process *process);

/* Whether that was not estimated: 0.1.0 said that every hit saves QEMU the calls for a stack. */
bool book_counts_every_hit(const struct book_process *process);

#endif
