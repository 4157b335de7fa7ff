/*
 * What logs say, boiled down: the last record of each pool of each process, and the warnings. The memory that
 * it takes is bounded, however long the logs are.
 */
#ifndef COPOOL_TOOLS_BOOK_H
#define COPOOL_TOOLS_BOOK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	BOOK_PROCESSES = 4096, /* with pools; further ones are counted */
	BOOK_POOLS = 64,       /* a process; the shim has at most 16 */
	BOOK_WARNINGS = 1024,  /* different ones */
	BOOK_MISTAKES = 10,    /* bad lines described */
	BOOK_TEXT = 96,        /* bytes of a description */
};

struct book_process {
	json_int_t pid;
	json_t *open;             /* NULL when the log begins later */
	json_t *pool[BOOK_POOLS]; /* the last record of each, in the order of appearance */
	size_t pools;
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

struct book {
	struct book_process *process;
	size_t processes;
	struct book_warning warning[BOOK_WARNINGS];
	size_t warnings;
	struct book_mistake mistake[BOOK_MISTAKES];
	unsigned long long mistakes; /* bad lines, described or not */
	unsigned long long records;  /* good lines */
	unsigned long long unknown;  /* good lines of a type that this version does not know */
	unsigned long long idle;     /* processes that had nothing to pool */
	unsigned long long left_out; /* records and warnings for which there was no room */
	json_int_t newest_format;
	bool cut_off; /* a log's last line is not whole */
};

/* 0, or -ENOMEM. */
int book_open(struct book *book);

/* Reads one log; `-` is standard input. 0, or -errno when it cannot be read: what came before counts. */
int book_read(struct book *book, const char *path);

void book_close(struct book *book);

#endif
