/* SPDX-License-Identifier: MIT */
/*
 * A program that says of itself what the shim would say, and then nonsense. It prints its process id; for
 * each line that it reads, it puts its block right, breaks it as the line says, and prints the line:
 *
 *	newer, unready, small, pools, threads, chunk	in that one way
 *	far						what it has saved is said to be outside of its pool
 *	withdrawn					it had saved calls, and the pool was withdrawn
 *	a number					in ways that are drawn by it
 *
 * An argument has it be hostile from the start: `names` that could steer a terminal, of two pools the same; a page
 * whose fault nobody serves (`unserved`), threads without end (`endless`).
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "block.h"

enum { THREADS = 3, CACHES = 64, CACHE = 64, KIND = 64 };

struct cache {
	char bytes[CACHE];
};

struct thread {
	char head[64];
	struct cache cache[CACHES];
};

static struct {
	uint64_t made, kind;
	uint32_t cap, withdrawn;
	uint64_t saved;
	char rest[4096];
} pool;

static struct {
	uint64_t name, maps;
	uint32_t make, destroy, observed;
} kind;

static struct thread threads[THREADS + 1];
static uint64_t pools[POOL_MAX], chunks[RECORD_THREADS + 1];
static uint32_t pool_count, thread_count, phase, words[6];

static uint64_t address(const volatile void *of)
{
	return (uintptr_t)of;
}

static void put_right(void)
{
	const char *text = "nonsense";

	pool.made = 42;
	pool.withdrawn = 0;
	pool.saved = 7;
	pool.kind = address(&kind);
	kind.name = address(text);
	kind.maps = 0;
	pool_count = 1;
	thread_count = THREADS;
	pools[0] = address(&pool);
	chunks[0] = address(threads);
	copool_block = (struct record_block){
	        .magic = RECORD_BLOCK_MAGIC,
	        .format = RECORD_BLOCK_FORMAT,
	        .bytes = sizeof copool_block,
	        .version = address(text),
	        .program = address(text),
	        .host = address(text),
	        .mode = address(text),
	        .detail = address(text),
	        .thread = address(&phase),
	        .pools = address(pools),
	        .pool_count = address(&pool_count),
	        .pool_bytes = 64,
	        .pool_kind = 8,
	        .pool_cap = 16,
	        .pool_withdrawn = 20,
	        .pool_calls_seen = 24,
	        .kind_bytes = sizeof kind,
	        .kind_maps = 8,
	        .kind_make = 16,
	        .kind_destroy = 20,
	        .kind_observed = 24,
	        .chunks = address(chunks),
	        .thread_count = address(&thread_count),
	        .in_chunk = 64,
	        .thread_bytes = sizeof(struct thread),
	        .thread_caches = offsetof(struct thread, cache),
	        .cache_bytes = CACHE,
	        .control = {address(&words[0]), address(&words[1]), address(&words[2]), address(&words[3]),
	                address(&words[4]), address(&words[5])},
	        .term = {{.counter = 2, .place = RECORD_IN_POOL, .bytes = 8, .factor = 1, .mask = UINT64_MAX},
	                {.counter = 0, .place = RECORD_IN_CACHE, .bytes = 4, .factor = 1, .mask = UINT64_MAX},
	                {.counter = 14, .place = RECORD_IN_THREAD, .bytes = 1, .factor = 1, .mask = 1}},
	};
}

/* What a number may be that is none. */
static uint64_t draw(void)
{
	static const uint64_t odd[] = {0, 1, 7, 63, 64, 65, 4095, 4096, 65535, 65536, INT32_MAX, UINT32_MAX,
	        INT64_MAX, UINT64_MAX, 1ULL << 47, 1ULL << 63};

	switch (random() % 4) {
	case 0:
		return address(&copool_block) + (uint64_t)(random() % 8192) - 4096;
	case 1:
		return address(threads) + (uint64_t)random() % sizeof threads;
	case 2:
		return ((uint64_t)random() << 33) ^ (uint64_t)random();
	default:
		return odd[(size_t)random() % (sizeof odd / sizeof *odd)];
	}
}

/* Breaks up to four words; of the block more often than of what it leads to. */
static void draw_block(unsigned seed)
{
	struct {
		void *at;
		size_t bytes;
	} part[] = {{&copool_block, sizeof copool_block},
	        {&copool_block, offsetof(struct record_block, term)}, {&pool, 64}, {&kind, sizeof kind},
	        {pools, 64}, {chunks, 64}, {&pool_count, 4}, {&thread_count, 4}};

	srandom(seed);
	for (long i = random() % 4; i >= 0; i--) {
		size_t p = (size_t)random() % (sizeof part / sizeof *part);
		size_t wide = part[p].bytes > 4 && random() % 2 ? 8 : 4;
		uint64_t value = draw();

		memcpy((char *)part[p].at + (size_t)random() % (part[p].bytes / wide) * wide, &value, wide);
	}
}

static void make_nonsense(const char *word)
{
	put_right();
	if (strcmp(word, "newer") == 0)
		copool_block.format++;
	else if (strcmp(word, "unready") == 0)
		copool_block.magic = 0;
	else if (strcmp(word, "small") == 0)
		copool_block.bytes = 16;
	else if (strcmp(word, "pools") == 0)
		pool_count = 1000000;
	else if (strcmp(word, "threads") == 0)
		thread_count = UINT32_MAX;
	else if (strcmp(word, "chunk") == 0)
		chunks[0] = 1;
	else if (strcmp(word, "far") == 0)
		copool_block.pool_calls_seen = INT32_MAX;
	else if (strcmp(word, "withdrawn") == 0)
		pool.withdrawn = 1;
	else
		draw_block((unsigned)strtoul(word, NULL, 10));
}

static void name_badly(void)
{
	copool_block.program = copool_block.detail = kind.name =
	        address("\xc2\x9b"
	                "31mred\xc2\x9d"
	                "0;t\xc2\x9c\x1b[1m\xe2\x80\xae\xff");
	pool_count = 2;
	pools[1] = pools[0];
}

/* Whoever reads the pools' table waits for a page that never comes. */
static void serve_no_page(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	range.range.start = address(page);
	range.range.len = 4096;
	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0 && ioctl(fd, UFFDIO_REGISTER, &range) == 0)
		puts("served by nobody");
	copool_block.pools = address(page);
}

/* As many threads as a reader believes, each as large as it believes, and none of them twice in memory. */
static void have_endless_threads(void)
{
	size_t bytes = 64 << 10, in_chunk = 4096, chunk = bytes * in_chunk;
	void *all = mmap(NULL, chunk, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	copool_block.in_chunk = (uint32_t)in_chunk;
	copool_block.thread_bytes = (uint32_t)bytes;
	copool_block.thread_caches = (uint32_t)(bytes - POOL_MAX * 8);
	copool_block.cache_bytes = 8;
	copool_block.term[1].bytes = 8;
	thread_count = RECORD_THREADS;
	pool_count = 1;
	for (size_t i = 0; i <= RECORD_THREADS / in_chunk; i++)
		chunks[i] = address(all);
}

int main(int count, char **arguments)
{
	char word[64];

	put_right();
	if (count > 1) {
		if (strcmp(arguments[1], "names") == 0)
			name_badly();
		else if (strcmp(arguments[1], "unserved") == 0)
			serve_no_page();
		else
			have_endless_threads();
		printf("%d\n", (int)getpid());
		fflush(stdout);
		for (;;)
			pause();
	}
	printf("%d\n", (int)getpid());
	fflush(stdout);
	while (fgets(word, sizeof word, stdin) != NULL) {
		word[strcspn(word, "\n")] = '\0';
		make_nonsense(word);
		printf("%s\n", word);
		fflush(stdout);
	}
	return 0;
}
