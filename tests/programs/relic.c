/* SPDX-License-Identifier: MIT */
/*
 * A process that has the library, kept in a file: what a tool of another version reads of it.
 *
 *	relic dump PID ADDRESS	prints what the block at that address of a process leads to
 *	relic be FILE		has it all at the same addresses, prints its process id, and waits to be stopped
 *
 * The first line of such a file is the block's address; each other one has an address and the bytes there. Of bytes that
 * are all zero, a page has one line at least.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "block.h"

enum { PAGE = 4096, LINE = 32, TEXT = 512, PAGES = 1024 };

static void fail(const char *what, uint64_t at)
{
	fprintf(stderr, "relic: %s at %#" PRIx64 "\n", what, at);
	exit(1);
}

/* ---- dump ---- */

static pid_t pid;

static void peek(uint64_t at, void *to, size_t bytes)
{
	struct iovec here = {to, bytes}, there = {(void *)(uintptr_t)at, bytes};

	if (process_vm_readv(pid, &here, 1, &there, 1, 0) != (ssize_t)bytes)
		fail("nothing can be read", at);
}

static bool is_zero(const unsigned char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

static void dump(uint64_t at, size_t bytes)
{
	static unsigned char part[LINE];
	uint64_t page = UINT64_MAX;

	for (uint64_t end = at + bytes; at < end; at += bytes) {
		bytes = LINE - at % LINE < end - at ? LINE - at % LINE : end - at;
		peek(at, part, bytes);
		if (is_zero(part, bytes) && page == at / PAGE)
			continue;
		page = at / PAGE;
		printf("%" PRIx64 " ", at);
		for (size_t i = 0; i < bytes; i++)
			printf("%02x", part[i]);
		putchar('\n');
	}
}

static void dump_text(uint64_t at)
{
	char byte = 1;
	size_t length = 0;

	while (byte != '\0' && length < TEXT)
		peek(at + length++, &byte, 1);
	dump(at, length);
}

static uint32_t number(uint64_t at)
{
	uint32_t value;

	peek(at, &value, sizeof value);
	dump(at, sizeof value);
	return value;
}

static uint64_t word(uint64_t at)
{
	uint64_t value;

	peek(at, &value, sizeof value);
	return value;
}

static void dump_pool(const struct record_block *block, uint64_t at)
{
	uint64_t kind = word(at + block->pool_kind), maps;

	dump(at, block->pool_bytes);
	dump(kind, block->kind_bytes);
	dump_text(word(kind + block->kind_name));
	maps = word(kind + block->kind_maps);
	if (maps != 0)
		dump(maps, sizeof maps);
}

static void dump_threads(const struct record_block *block, uint32_t pools)
{
	uint32_t threads = number(block->thread_count);

	dump(block->chunks, (threads / block->in_chunk + 1) * sizeof(uint64_t));
	for (uint32_t i = 1; i <= threads; i++)
		dump(word(block->chunks + i / block->in_chunk * sizeof(uint64_t)) +
		                (uint64_t)(i % block->in_chunk) * block->thread_bytes,
		        block->thread_caches + (size_t)pools * block->cache_bytes);
}

static void dump_all(uint64_t at)
{
	struct record_block block;
	uint32_t pools;

	peek(at, &block, offsetof(struct record_block, way));
	if (block.magic != RECORD_BLOCK_MAGIC)
		fail("no block", at);
	printf("%" PRIx64 "\n", at);
	dump(at, block.bytes);
	for (const uint64_t *text = &block.version; text <= &block.detail; text++)
		dump_text(*text);
	number(block.thread);
	for (const uint64_t *control = &block.control.asked; control <= &block.control.emptied; control++)
		number(*control);
	pools = number(block.pool_count);
	dump(block.pools, pools * sizeof(uint64_t));
	for (uint32_t i = 0; i < pools; i++)
		dump_pool(&block, word(block.pools + i * sizeof(uint64_t)));
	dump_threads(&block, pools);
}

/* ---- be ---- */

static void map(uint64_t page)
{
	static uint64_t mapped[PAGES];
	static size_t count;
	void *wanted = (void *)(uintptr_t)page;

	for (size_t i = 0; i < count; i++) {
		if (mapped[i] == page)
			return;
	}
	if (count == PAGES || mmap(wanted, PAGE, PROT_READ | PROT_WRITE,
	                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != wanted)
		fail("no memory can be had", page);
	mapped[count++] = page;
}

static void put(uint64_t at, const char *text)
{
	unsigned byte;

	for (; sscanf(text, "%2x", &byte) == 1; text += 2, at++) {
		map(at & -(uint64_t)PAGE);
		*(unsigned char *)(uintptr_t)at = (unsigned char)byte;
	}
}

static void be(FILE *file)
{
	uint64_t block, at;
	char text[2 * LINE + 1];

	if (file == NULL || fscanf(file, "%" SCNx64, &block) != 1)
		fail("no file, or none of these,", 0);
	while (fscanf(file, "%" SCNx64 " %64s", &at, text) == 2)
		put(at, text);
	memcpy(&copool_block, (void *)(uintptr_t)block, ((struct record_block *)(uintptr_t)block)->bytes);
	printf("%d\n", (int)getpid());
	fflush(stdout);
	for (;;)
		pause();
}

int main(int count, char **arguments)
{
	if (count == 4 && strcmp(arguments[1], "dump") == 0) {
		pid = (pid_t)strtol(arguments[2], NULL, 10);
		dump_all(strtoull(arguments[3], NULL, 16));
	} else if (count == 3 && strcmp(arguments[1], "be") == 0) {
		be(fopen(arguments[2], "re"));
	} else {
		fputs("relic dump PID ADDRESS | relic be FILE\n", stderr);
		return 2;
	}
	return 0;
}
