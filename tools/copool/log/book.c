/* SPDX-License-Identifier: MIT */
/* Reads logs line by line. A bad line is counted and described, and skipped. */
#include "log/book.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The line being read. */
struct place {
	const char *log;
	unsigned long long line;
	json_int_t pid; /* of its record */
	size_t bytes;   /* its length */
};

enum { NUMBER_BITS = 53 }; /* of a counter, which every reader of JSON has exactly */

struct reader {
	FILE *file;
	uint64_t done, all; /* bytes; all: 0 when that is not known */
	size_t at, end;     /* the unread part of the buffer */
	char buffer[1 << 16];
};

enum line { LINE_WHOLE, LINE_LONG, LINE_UNENDED, LINE_NONE };

int book_open(struct book *book)
{
	memset(book, 0, sizeof *book);
	book->process = calloc(BOOK_PROCESSES, sizeof *book->process);
	return book->process != NULL ? 0 : -ENOMEM;
}

void book_close(struct book *book)
{
	for (size_t i = 0; i < book->processes; i++) {
		for (size_t j = 0; j < book->process[i].pools; j++) {
			json_decref(book->process[i].pool[j]);
			json_decref(book->process[i].depth[j]);
		}
		json_decref(book->process[i].open);
		json_decref(book->process[i].changes);
	}
	json_decref(book->idle_open);
	for (size_t i = 0; i < book->warnings; i++)
		free(book->warning[i].text);
	free(book->process);
}

bool book_has_own_pool(const struct book_process *process)
{
	const char *host = json_string_value(json_object_get(process->open, "host"));

	return host != NULL && strcmp(host, "qemu") == 0;
}

bool book_counts_every_hit(const struct book_process *process)
{
	/* Its records say no way. */
	return book_has_own_pool(process) && json_object_get(process->open, "way") == NULL;
}

json_int_t book_counter(const json_t *record, const char *name)
{
	const json_int_t bound = (json_int_t)1 << NUMBER_BITS;
	json_int_t number = json_integer_value(json_object_get(record, name));

	return number > bound ? bound : number < 0 ? 0 : number;
}

/* Whether no counter of the record is below 0, which the library never writes. */
static bool has_counters(const json_t *record)
{
	static const char *const names[] = {"uptime_ms",
#define NAME(name, kind, help) #name,
	        RECORD_COUNTERS(NAME)
#undef NAME
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (json_integer_value(json_object_get(record, names[i])) < 0)
			return false;
	}
	return true;
}

static bool is_final(const json_t *record)
{
	return strcmp(json_string_value(json_object_get(record, RECORD_KEY_TYPE)), RECORD_FINAL) == 0;
}

static void note_mistake(struct book *book, const struct place *place, const char *what)
{
	if (book->mistakes++ >= BOOK_MISTAKES)
		return;
	struct book_mistake *mistake = &book->mistake[book->mistakes - 1];
	snprintf(mistake->where, sizeof mistake->where, "%.64s line %llu", place->log, place->line);
	snprintf(mistake->what, sizeof mistake->what, "%s", what);
}

/*
 * Whether a record is of the same pool as `last`. Each pool has one final record: a second one of that name, which
 * older versions may have written, is another pool's.
 */
static bool is_same_pool(const json_t *last, const json_t *record)
{
	const char *name = json_string_value(json_object_get(record, "pool"));

	return strcmp(name, json_string_value(json_object_get(last, "pool"))) == 0 &&
	       !(is_final(last) && is_final(record));
}

/* A pid may be reused: this is its latest process. */
static struct book_process *find_process(const struct book *book, json_int_t pid)
{
	for (size_t i = book->processes; i-- > 0;) {
		if (book->process[i].pid == pid)
			return &book->process[i];
	}
	return NULL;
}

/* Whether there is room for a record of `bytes` instead of one of `old_bytes`; if not, counts it as left out. */
static bool has_room(struct book *book, size_t old_bytes, size_t bytes)
{
	if (book->bytes - old_bytes + bytes > BOOK_BYTES) {
		book->left_out++;
		return false;
	}
	book->bytes += bytes - old_bytes;
	return true;
}

static struct book_process *add_process(struct book *book, const struct place *place, json_t *open)
{
	if (book->processes == BOOK_PROCESSES) {
		book->left_out++;
		return NULL;
	}
	if (!has_room(book, 0, open != NULL ? place->bytes : 0))
		return NULL;
	struct book_process *process = &book->process[book->processes++];
	process->pid = place->pid;
	process->open = json_incref(open);
	return process;
}

/* A process that had nothing to pool at its start has something now. */
static void forget_idle(struct book *book)
{
	if (book->idle == 0 || --book->idle > 0)
		return;
	json_decref(book->idle_open);
	book->idle_open = NULL;
}

static const char *note_open(struct book *book, const struct place *place, json_t *record)
{
	json_t *format = json_object_get(record, "format");
	const char *mode = json_string_value(json_object_get(record, "mode"));

	if (!json_is_integer(format))
		return "an open record without a format";
	if (json_integer_value(format) > book->newest_format)
		book->newest_format = json_integer_value(format);
	if (mode != NULL && strcmp(mode, "none") == 0) {
		if (book->idle++ == 0)
			book->idle_open = json_incref(record);
	} else {
		if (json_integer_value(json_object_get(record, "again")) == 1)
			forget_idle(book);
		add_process(book, place, record);
	}
	return NULL;
}

/* Appends the record to the changes of the process; a copy of its open record comes before the first. */
static void keep_change(
        struct book *book, const struct place *place, struct book_process *process, json_t *record)
{
	if (process->open == NULL)
		return;
	if (process->changes != NULL && json_array_size(process->changes) > BOOK_CHANGES) {
		book->left_out++;
		return;
	}
	if (!has_room(book, 0, place->bytes))
		return;
	if (process->changes == NULL) {
		process->changes = json_array();
		json_array_append_new(process->changes, json_copy(process->open));
	}
	json_array_append(process->changes, record);
}

/* How the program is served has changed since its open record. */
static const char *note_way(struct book *book, const struct place *place, json_t *record)
{
	static const char *const keys[] = {"mode", "way", "detail"};
	struct book_process *process = find_process(book, place->pid);
	const char *mode = json_string_value(json_object_get(record, "mode"));

	if (process != NULL && mode != NULL && strcmp(mode, "off") == 0)
		process->was_off = true;
	if (process != NULL)
		keep_change(book, place, process, record);
	for (size_t i = 0; process != NULL && process->open != NULL && i < sizeof keys / sizeof keys[0];
	        i++) {
		json_t *text = json_object_get(record, keys[i]);

		if (json_is_string(text))
			json_object_set(process->open, keys[i], text);
	}
	return NULL;
}

static const char *note_counters(struct book *book, const struct place *place, json_t *record)
{
	const char *name = json_string_value(json_object_get(record, "pool"));
	struct book_process *process = find_process(book, place->pid);
	size_t i = 0;

	if (name == NULL)
		return "counters without the name of their pool";
	if (!has_counters(record))
		return "a counter below 0";
	if (process == NULL)
		process = add_process(book, place, NULL);
	if (process == NULL)
		return NULL;
	while (i < process->pools && !is_same_pool(process->pool[i], record))
		i++;
	if (i == POOL_MAX) {
		book->left_out++;
		return NULL;
	}
	if (!has_room(book, process->pool_bytes[i], place->bytes))
		return NULL;
	json_decref(process->pool[i]);
	process->pool[i] = json_incref(record);
	process->pool_bytes[i] = (unsigned short)place->bytes;
	if (i == process->pools)
		process->pools++;
	for (size_t k = 0; k < book->watch.listeners; k++) {
		const struct book_listener *listener = &book->watch.listener[k];
		listener->counters(listener->context, (size_t)(process - book->process), i,
		        process->open != NULL, record);
	}
	return NULL;
}

/* This record comes after the counters of its pool. */
static const char *note_depth(struct book *book, const struct place *place, json_t *record)
{
	const char *name = json_string_value(json_object_get(record, "pool"));
	struct book_process *process = find_process(book, place->pid);
	size_t i = 0;

	if (name == NULL)
		return "a depth of stacks without the name of their pool";
	while (process != NULL && i < process->pools &&
	        strcmp(name, json_string_value(json_object_get(process->pool[i], "pool"))) != 0)
		i++;
	if (process == NULL || i == process->pools) {
		book->left_out++;
		return NULL;
	}
	if (!has_room(book, process->depth_bytes[i], place->bytes))
		return NULL;
	json_decref(process->depth[i]);
	process->depth[i] = json_incref(record);
	process->depth_bytes[i] = (unsigned short)place->bytes;
	return NULL;
}

static const char *note_warning(struct book *book, const struct place *place, json_t *record)
{
	const char *text = json_string_value(json_object_get(record, "text"));
	size_t i = 0;

	if (text == NULL)
		return "a warning without a text";
	while (i < book->warnings && strcmp(text, book->warning[i].text) != 0)
		i++;
	if (i == book->warnings) {
		char *copy = i < BOOK_WARNINGS ? strdup(text) : NULL;
		if (copy == NULL) {
			book->left_out++;
			return NULL;
		}
		book->warning[book->warnings++] = (struct book_warning){place->pid, copy, 0};
	}
	book->warning[i].count++;
	return NULL;
}

/* Returns what is wrong with the record, or NULL. */
static const char *note_record(struct book *book, struct place *place, json_t *record)
{
	const char *type = json_string_value(json_object_get(record, RECORD_KEY_TYPE));
	json_t *pid = json_object_get(record, RECORD_KEY_PID);

	if (type == NULL)
		return "a record without a type";
	if (!json_is_integer(pid))
		return "a record without a pid";
	place->pid = json_integer_value(pid);
	if (strcmp(type, RECORD_OPEN) == 0)
		return note_open(book, place, record);
	if (strcmp(type, RECORD_SAMPLE) == 0 || strcmp(type, RECORD_FINAL) == 0)
		return note_counters(book, place, record);
	if (strcmp(type, RECORD_DEPTH) == 0)
		return note_depth(book, place, record);
	if (strcmp(type, RECORD_WAY) == 0)
		return note_way(book, place, record);
	if (strcmp(type, RECORD_WARNING) == 0)
		return note_warning(book, place, record);
	if (strcmp(type, RECORD_ORIGIN) == 0)
		return book->watch.origin != NULL
		               ? book->watch.origin(book->watch.origin_context, place->pid, record)
		               : NULL;
	book->unknown++;
	return NULL;
}

static void note_line(struct book *book, struct place *place, enum line kind, const char *line, size_t bytes)
{
	json_error_t error;
	const char *what = "not a JSON object";

	place->bytes = bytes;
	if (kind == LINE_LONG) {
		note_mistake(book, place, "too long");
		return;
	}
	json_t *record = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, &error);
	if (record == NULL && kind == LINE_UNENDED) {
		book->cut_off = true;
		return;
	}
	if (json_is_object(record))
		what = note_record(book, place, record);
	if (what != NULL)
		note_mistake(book, place, what);
	else
		book->records++;
	json_decref(record);
}

void book_take(struct book *book, const char *from, json_t *record)
{
	struct place place = {.log = from};
	const char *what = note_record(book, &place, record);

	if (what != NULL)
		note_mistake(book, &place, what);
	else
		book->records++;
}

/* Reads one line, without its newline, into `line` of RECORD_LINE_BYTES; the rest of a longer one is skipped. */
static enum line read_line(struct reader *reader, char *line, size_t *bytes)
{
	*bytes = 0;
	for (;;) {
		if (reader->at == reader->end) {
			reader->end = fread(reader->buffer, 1, sizeof reader->buffer, reader->file);
			reader->at = 0;
			reader->done += reader->end;
		}
		size_t rest = reader->end - reader->at;
		const char *from = reader->buffer + reader->at;
		const char *newline = memchr(from, '\n', rest);
		size_t length = newline != NULL ? (size_t)(newline - from) : rest;
		if (*bytes + length < RECORD_LINE_BYTES)
			memcpy(line + *bytes, from, length);
		*bytes += length;
		reader->at += length + (newline != NULL);
		if (newline != NULL)
			return *bytes < RECORD_LINE_BYTES ? LINE_WHOLE : LINE_LONG;
		if (rest == 0)
			return *bytes == 0                  ? LINE_NONE
			       : *bytes < RECORD_LINE_BYTES ? LINE_UNENDED
			                                    : LINE_LONG;
	}
}

static uint64_t size_of(FILE *file)
{
	struct stat status;

	return fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
}

int book_read(struct book *book, const char *path)
{
	char line[RECORD_LINE_BYTES];
	size_t bytes;
	uint64_t told = 0;
	struct place place = {.log = path};
	struct reader reader = {.file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re")};

	if (reader.file == NULL)
		return -errno;
	reader.all = size_of(reader.file);
	errno = 0;
	for (;;) {
		enum line kind = read_line(&reader, line, &bytes);
		if (book->watch.reading != NULL && reader.done != told)
			book->watch.reading(path, told = reader.done, reader.all);
		if (kind == LINE_NONE)
			break;
		place.line++;
		if (bytes > 0)
			note_line(book, &place, kind, line, bytes);
	}
	int error = ferror(reader.file) ? -errno : 0;
	if (reader.file != stdin)
		fclose(reader.file);
	return error;
}
