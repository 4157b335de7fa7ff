/* SPDX-License-Identifier: MIT */
/*
 * From the process to its block:
 *
 *	/proc/PID/maps --> an object's ELF header --> its notes --> the block
 *
 * The addresses are the process's and may be anything; sizes and numbers are checked before use.
 */
#include "process/remote.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "process/peek.h"
#include "process/permission.h"

enum {
	HEADERS_MAX = 64,
	PAGE_BYTES = 4096, /* the smallest: an object that is mapped has so much, be it zeroes */
	NOTES_BYTES = 64 << 10,
	CHUNK_MAX = 4096,
	MAPS_BYTES = 64 << 10, /* of /proc/PID/maps at a time */
};

/* That one look may take; even a large process takes only a tenth of a second. */
static unsigned patience_ms = REMOTE_PATIENCE_MS;

void remote_set_patience(unsigned ms)
{
	patience_ms = ms;
}

#define COUNTER(name, kind, help) COUNTER_##name,
enum { RECORD_COUNTERS(COUNTER) COUNTERS };
#undef COUNTER

__attribute__((format(printf, 3, 4))) static int fail(
        struct remote *remote, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(remote->why, sizeof remote->why, format, arguments);
	va_end(arguments);
	remote->error = error;
	return error;
}

int remote_nonsense(struct remote *remote)
{
	return fail(remote, -EBADMSG, "the counters of process %d make no sense", remote->pid);
}

/* Explains why the process cannot be read or written. */
static int fail_system(struct remote *remote, int error)
{
	if (error == EPERM || error == EACCES) {
		permission_explain(remote->pid, remote->why, sizeof remote->why);
		return -EPERM;
	}
	if (error == ESRCH || error == ENOENT)
		return fail(remote, -ESRCH, "there is no process %d", remote->pid);
	if (error == EFAULT)
		return remote_nonsense(remote);
	if (error == ETIMEDOUT)
		return fail(remote, -ETIMEDOUT,
		        "process %d cannot be looked into: its memory could not be read in %g seconds",
		        remote->pid, patience_ms / 1000.0);
	return fail(remote, -error, "process %d cannot be looked into: %s", remote->pid, strerror(error));
}

int remote_peek(struct remote *remote, uint64_t at, void *to, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		size_t part = bytes - done < PEEK_BYTES ? bytes - done : PEEK_BYTES;
		ssize_t got = clock_now_ms() >= remote->deadline_ms
		                      ? -ETIMEDOUT
		                      : peek_read(remote->pid, at + done, (char *)to + done, part,
		                                remote->deadline_ms);

		if (got < 0)
			return fail_system(remote, (int)-got);
		if ((size_t)got != part)
			return remote_nonsense(remote);
		done += part;
	}
	return 0;
}

static int poke(struct remote *remote, uint64_t at, uint32_t word)
{
	ssize_t put = peek_write(remote->pid, at, &word, sizeof word, remote->deadline_ms);

	if (put < 0)
		return fail_system(remote, (int)-put);
	return put == sizeof word ? 0 : remote_nonsense(remote);
}

bool remote_pid(const char *text, pid_t *pid)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	long number = strtol(text, &end, 10);
	if (*end || errno || number <= 0 || number > INT32_MAX)
		return false;
	*pid = (pid_t)number;
	return true;
}

/* ---- finding the block ---- */

static bool is_within(uint64_t offset, uint64_t bytes, uint64_t whole)
{
	return offset <= whole && bytes <= whole - offset;
}

static bool is_sensible(const struct record_block *block)
{
	if (block->pool_bytes > REMOTE_POOL || !is_within(block->pool_kind, 8, block->pool_bytes) ||
	        !is_within(block->pool_cap, 4, block->pool_bytes) || block->kind_bytes > REMOTE_KIND ||
	        !is_within(block->kind_name, 8, block->kind_bytes) ||
	        !is_within(block->kind_maps, 8, block->kind_bytes) ||
	        !is_within(block->kind_make, 4, block->kind_bytes) ||
	        !is_within(block->kind_destroy, 4, block->kind_bytes) ||
	        !is_within(block->kind_observed, 1, block->kind_bytes) ||
	        !is_within(block->pool_withdrawn, 1, block->pool_bytes) ||
	        block->thread_bytes > REMOTE_THREAD || block->thread_caches > block->thread_bytes ||
	        block->in_chunk == 0 || block->in_chunk > CHUNK_MAX)
		return false;
	for (size_t i = 0; i < RECORD_TERMS && block->term[i].bytes; i++) {
		const struct record_term *term = &block->term[i];
		uint64_t whole = term->place == RECORD_IN_POOL    ? block->pool_bytes
		                 : term->place == RECORD_IN_CACHE ? block->cache_bytes
		                                                  : block->thread_caches;

		if (term->counter >= COUNTERS || term->place > RECORD_IN_THREAD || term->shift > 63 ||
		        (term->bytes != 1 && term->bytes != 2 && term->bytes != 4 && term->bytes != 8) ||
		        !is_within(term->offset, term->bytes, whole))
			return false;
	}
	return true;
}

static int read_block(struct remote *remote)
{
	struct record_block *block = &remote->block;
	int error = remote_peek(remote, remote->at, block, offsetof(struct record_block, version));
	size_t size;

	if (error)
		return error;
	if (block->magic != RECORD_BLOCK_MAGIC)
		return fail(remote, -EAGAIN, "process %d has only just begun, or has become another program",
		        remote->pid);
	if (block->format > RECORD_BLOCK_FORMAT)
		return fail(remote, -EPROTO,
		        "the copool in process %d is newer than this one (its block is of format %" PRIu32
		        ", this one knows %d)",
		        remote->pid, block->format, RECORD_BLOCK_FORMAT);
	if (block->format == 0 || block->bytes < offsetof(struct record_block, way))
		return remote_nonsense(remote);
	/* An older version's is smaller: behind it lies something else, or nothing. */
	size = block->bytes < sizeof *block ? block->bytes : sizeof *block;
	memset(block, 0, sizeof *block);
	error = remote_peek(remote, remote->at, block, size);
	if (error)
		return error;
	return is_sensible(block) ? 0 : remote_nonsense(remote);
}

int remote_refresh(struct remote *remote)
{
	remote->deadline_ms = clock_now_ms() + patience_ms;
	return read_block(remote);
}

/* The first page of an object: all that is looked for is usually in there. */
struct head {
	uint64_t base;
	char page[PAGE_BYTES];
};

/* As remote_peek, but for what is there already. */
static int peek_at(struct remote *remote, const struct head *head, uint64_t at, void *to, size_t bytes)
{
	if (at < head->base || !is_within(at - head->base, bytes, sizeof head->page))
		return remote_peek(remote, at, to, bytes);
	memcpy(to, head->page + (at - head->base), bytes);
	return 0;
}

/* Looks for our note among those at an address. Returns true if it is there, with where it leads. */
static bool find_note(
        struct remote *remote, const struct head *head, uint64_t at, uint64_t bytes, uint64_t *block)
{
	static char notes[NOTES_BYTES];
	Elf64_Nhdr note;
	int64_t distance;

	if (bytes > sizeof notes || peek_at(remote, head, at, notes, bytes) != 0)
		return false;
	for (uint64_t i = 0; is_within(i, sizeof note, bytes);) {
		memcpy(&note, notes + i, sizeof note);
		uint64_t name = i + sizeof note, what = name + (((uint64_t)note.n_namesz + 3) & ~3ULL);
		if (!is_within(what, note.n_descsz, bytes))
			return false;
		memcpy(&distance, notes + what, note.n_descsz == sizeof distance ? sizeof distance : 0);
		if (note.n_type == RECORD_NOTE_TYPE && note.n_namesz == sizeof RECORD_NOTE_NAME &&
		        note.n_descsz == sizeof distance &&
		        memcmp(notes + name, RECORD_NOTE_NAME, sizeof RECORD_NOTE_NAME) == 0) {
			*block = at + what + (uint64_t)distance;
			return true;
		}
		i = what + (((uint64_t)note.n_descsz + 3) & ~3ULL);
	}
	return false;
}

/* Whether the object mapped at `base` has our note. */
static bool find_in_object(struct remote *remote, uint64_t base, uint64_t *block)
{
	static struct head head;
	Elf64_Ehdr header;
	Elf64_Phdr program[HEADERS_MAX];
	uint64_t bias = base;

	head.base = base;
	if (remote_peek(remote, base, head.page, sizeof head.page) != 0)
		return false;
	memcpy(&header, head.page, sizeof header);
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
	        header.e_phentsize != sizeof *program || header.e_phnum > HEADERS_MAX ||
	        peek_at(remote, &head, base + header.e_phoff, program, header.e_phnum * sizeof *program) != 0)
		return false;
	for (size_t i = 0; i < header.e_phnum; i++) {
		if (program[i].p_type == PT_LOAD && program[i].p_offset == 0)
			bias = base - program[i].p_vaddr;
	}
	for (size_t i = 0; i < header.e_phnum; i++) {
		if (program[i].p_type == PT_NOTE &&
		        find_note(remote, &head, bias + program[i].p_vaddr, program[i].p_memsz, block))
			return true;
	}
	return false;
}

/* Looks at the object that a line of maps begins, if it does. Returns true if our block was read, or never will be. */
static bool look_at_line(struct remote *remote, const char *line, int *error)
{
	uint64_t base, offset, inode;
	char mode[5];

	if (sscanf(line, "%" SCNx64 "-%*x %4s %" SCNx64 " %*s %" SCNu64, &base, mode, &offset, &inode) != 4 ||
	        mode[0] != 'r' || offset != 0 || inode == 0 || !find_in_object(remote, base, &remote->at))
		return remote->error == -ETIMEDOUT;
	*error = read_block(remote);
	remote->is_replaced = *error == 0 && strstr(line, " (deleted)") != NULL;
	return *error == 0 || *error == -ETIMEDOUT;
}

/* The lines that have the library's name, or those that have not: it may have another, but that takes longest to find. */
static bool look_at_lines(struct remote *remote, char *text, size_t bytes, bool is_named, int *error)
{
	for (char *line = text, *end; (size_t)(line - text) < bytes; line = end + 1) {
		end = strchr(line, '\n');
		*end = '\0';
		bool is_done =
		        (strstr(line, "libcopool") != NULL) == is_named && look_at_line(remote, line, error);
		*end = '\n';
		if (is_done)
			return true;
	}
	return false;
}

/* Reads on behind `used` bytes, as far as there is room. How many there are now. */
static size_t fill(const struct remote *remote, int maps, char *text, size_t used)
{
	ssize_t got;

	while (used < MAPS_BYTES && clock_now_ms() < remote->deadline_ms &&
	        (got = peek_get(maps, text + used, MAPS_BYTES - used)) > 0)
		used += (size_t)got;
	text[used] = '\0';
	return used;
}

/* Looks at every object of the process, also at deleted files. */
static int find_block(struct remote *remote, int maps)
{
	static char text[MAPS_BYTES + 1];
	size_t used = 0;
	int error = fail(remote, -ENOENT,
	        "there is no libcopool.so in process %d: start it with `copool run -- PROGRAM', or with "
	        "LD_PRELOAD",
	        remote->pid);

	while ((used = fill(remote, maps, text, used)) > 0) {
		char *end = strrchr(text, '\n');
		size_t whole = end != NULL ? (size_t)(end - text) + 1 : 0;

		if (look_at_lines(remote, text, whole, true, &error) ||
		        look_at_lines(remote, text, whole, false, &error))
			return error == -ENOENT ? remote->error : error;
		if (clock_now_ms() >= remote->deadline_ms)
			return fail_system(remote, ETIMEDOUT);
		/* The rest is the beginning of a line; a longer line has no path. */
		used = whole == 0 && used == MAPS_BYTES ? 0 : used - whole;
		memmove(text, text + whole, used);
		if (whole == 0 && used > 0)
			break; /* nothing follows */
	}
	return error;
}

/* How far CLOCK_MONOTONIC of a process is ahead of that of the machine, as the file says; 0 if there is no such file. */
static int64_t clock_ahead_ms(const char *path)
{
	char text[256] = "";
	long long seconds, ns;
	int fd = peek_open(path);

	if (fd < 0)
		return 0;
	ssize_t got = peek_get(fd, text, sizeof text - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	return sscanf(text, "monotonic %lld %lld", &seconds, &ns) == 2 ? seconds * 1000 + ns / 1000000 : 0;
}

int remote_open(struct remote *remote, pid_t pid)
{
	char path[64];
	uint64_t byte;

	*remote = (struct remote){.pid = pid, .deadline_ms = clock_now_ms() + patience_ms};
	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	int maps = peek_open(path);
	if (maps < 0)
		return fail_system(remote, -maps);
	/* Nothing is at address 0: this tests the permission. */
	ssize_t got = peek_read(pid, 0, &byte, sizeof byte, remote->deadline_ms);
	int error = got < 0 && got != -EFAULT ? fail_system(remote, (int)-got) : find_block(remote, maps);
	close(maps);
	snprintf(path, sizeof path, "/proc/%d/timens_offsets", pid);
	remote->ahead_ms =
	        error == 0 ? clock_ahead_ms(path) - clock_ahead_ms("/proc/self/timens_offsets") : 0;
	return error;
}

char remote_state(const struct remote *remote)
{
	return permission_state(remote->pid);
}

int remote_thread(struct remote *remote)
{
	uint32_t state;
	int error = remote_peek(remote, remote->block.thread, &state, sizeof state);

	return error ? error : (int)(state & 0xff);
}

/* ---- the settings ---- */

int remote_read_control(struct remote *remote, struct remote_control *control)
{
	const struct record_controls *at = &remote->block.control;
	const struct {
		uint64_t at;
		uint32_t *to;
	} words[] = {{at->done, &control->done}, {at->asked, &control->asked},
	        {at->decay_ms, &control->decay_ms}, {at->max_batches, &control->max_batches},
	        {at->is_off, &control->is_off}, {at->emptied, &control->emptied}};
	int error = 0;

	for (size_t i = 0; i < sizeof words / sizeof words[0] && error == 0; i++)
		error = remote_peek(remote, words[i].at, words[i].to, sizeof(uint32_t));
	return error;
}

int remote_ask(struct remote *remote, const struct remote_control *wanted)
{
	/* The process may have become another program: find the block again first. */
	int error = remote_refresh(remote);
	const struct record_controls *at = &remote->block.control;

	if (error == 0)
		error = poke(remote, at->decay_ms, wanted->decay_ms);
	if (error == 0)
		error = poke(remote, at->max_batches, wanted->max_batches);
	if (error == 0)
		error = poke(remote, at->is_off, wanted->is_off);
	if (error == 0)
		error = poke(remote, at->emptied, wanted->emptied);
	return error ? error : poke(remote, at->asked, wanted->asked);
}
