/* SPDX-License-Identifier: MIT */
/* Page tables are read for one slot at a time: one system call for each 512 pages. */
#include "stack/depth.h"

#include "libc/real.h"
#include "stack/address.h"
#include "stack/arena.h"
#include "stack/chunk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BLOCK_PAGES = 512, MARK_LIVE = 0x8000, MARK_PAGES = MARK_LIVE - 1, BUCKET_SHIFT = 12 };

/* A page in /proc/PID/pagemap. */
#define PAGEMAP_PRESENT ((uint64_t)1 << 63)
#define PAGEMAP_SWAPPED ((uint64_t)1 << 62)

int depth_open(void)
{
	return open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
}

void depth_attend(struct arena_class *class, int pagemap)
{
	struct depth_watch *watch = &class->arena->watch;

	watch->pagemap = pagemap;
	/* [origins.thread] relaxed: only a thread that finds itself there continues. */
	atomic_store_explicit(&watch->thread, (uintptr_t)pthread_self(), memory_order_relaxed);
}

void depth_leave(struct arena_class *class)
{
	/* [origins.thread] relaxed: as in depth_attend. */
	atomic_store_explicit(&class->arena->watch.thread, 0, memory_order_relaxed);
}

/* ---- pages ---- */

/* How many of `pages` pages from `low` on are below the lowest one that was touched. */
static size_t untouched_by_pagemap(int pagemap, uintptr_t low, size_t pages, size_t page_bytes)
{
	uint64_t page[BLOCK_PAGES];

	for (size_t done = 0; done < pages; done += BLOCK_PAGES) {
		size_t block = pages - done < BLOCK_PAGES ? pages - done : BLOCK_PAGES;
		off_t at = (off_t)((low / page_bytes + done) * sizeof *page);

		if (pread(pagemap, page, block * sizeof *page, at) != (ssize_t)(block * sizeof *page))
			return pages;
		for (size_t i = 0; i < block; i++) {
			if ((page[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)) != 0)
				return done + i;
		}
	}
	return pages;
}

/* Does the same without a descriptor. */
static size_t untouched_by_mincore(uintptr_t low, size_t pages, size_t page_bytes)
{
	unsigned char page[BLOCK_PAGES];

	for (size_t done = 0; done < pages; done += BLOCK_PAGES) {
		size_t block = pages - done < BLOCK_PAGES ? pages - done : BLOCK_PAGES;

		if (mincore((void *)(low + done * page_bytes), block * page_bytes, page) != 0)
			return pages;
		for (size_t i = 0; i < block; i++) {
			if ((page[i] & 1) != 0)
				return done + i;
		}
	}
	return pages;
}

/* How deep a slot is in use now, in pages. */
static size_t used_pages(const struct arena_class *class, uintptr_t base, size_t guard_bytes)
{
	size_t page_bytes = class->arena->page_bytes;
	size_t high = class->bytes - arena_upper(class);
	size_t pages = guard_bytes < high ? (high - guard_bytes) / page_bytes : 0;
	uintptr_t low = base + guard_bytes;
	int pagemap = class->arena->watch.pagemap;

	if (pagemap == DEPTH_NO_PAGEMAP)
		return pages - untouched_by_mincore(low, pages, page_bytes);
	return pages - untouched_by_pagemap(pagemap, low, pages, page_bytes);
}

/* ---- marks ---- */

static uint32_t slots_of(const struct arena_chunk *chunk)
{
	/* [chunk.slots] relaxed: slots above a lowered limit were never handed out. */
	return atomic_load_explicit((_Atomic uint32_t *)&chunk->slots, memory_order_relaxed);
}

/* Makes the tables for marks, unless they exist. False: no memory. */
static bool has_tables(struct arena_class *class, struct arena_chunk *chunk)
{
	size_t pages = class->bytes / class->arena->page_bytes;

	if (pages > MARK_PAGES)
		return false;
	if (class->depth.count == NULL)
		class->depth.count = real_table((pages + 1) * sizeof *class->depth.count);
	if (chunk->mark == NULL)
		chunk->mark = real_table(slots_of(chunk) * sizeof *chunk->mark);
	return class->depth.count != NULL && chunk->mark != NULL;
}

/* Replaces a slot's mark in all sums. */
static void set_mark(struct depth *depth, uint16_t *mark, unsigned pages, bool is_live)
{
	unsigned old = *mark & MARK_PAGES;

	if (old != 0) {
		depth->count[old]--;
		depth->slots--;
		depth->pages -= old;
		depth->live -= (*mark & MARK_LIVE) != 0;
	}
	if (pages < old)
		pages = old;
	depth->count[pages]++;
	depth->slots++;
	depth->pages += pages;
	depth->live += is_live;
	if (pages > depth->deepest)
		depth->deepest = pages;
	*mark = pages | (is_live ? MARK_LIVE : 0);
}

/* Its value now; another thread may own the slot. */
static uint32_t guard_of(const struct slot *slot)
{
	return *(const volatile uint32_t *)&slot->guard_bytes;
}

/*
 * A guard that is being set up looks like use for a moment. So a stack that is in use without a guard is left out,
 * and so is one that has changed hands since.
 */
static void look(struct arena_class *class, struct arena_chunk *chunk, uint32_t number)
{
	struct slot *slot = &chunk->slot[number];
	enum slot_state state = slot_state(slot);
	uint32_t guard_bytes = guard_of(slot);
	size_t pages;

	if ((state != SLOT_IDLE && (state != SLOT_LIVE || guard_bytes == 0)) || !has_tables(class, chunk))
		return;
	pages = used_pages(class, chunk->base + number * class->bytes, guard_bytes);
	if (slot_state(slot) != state || guard_of(slot) != guard_bytes || pages == 0)
		return; /* or never used, or just given back */
	if (guard_bytes > class->depth.guard_bytes)
		class->depth.guard_bytes = guard_bytes;
	set_mark(&class->depth, &chunk->mark[number], pages, state == SLOT_LIVE);
}

void depth_note(const struct arena_place *place)
{
	struct depth_watch *watch = &place->class->arena->watch;
	struct arena_chunk *chunk;
	int saved = errno;

	/* [origins.thread] relaxed: as in depth_attend. */
	if (atomic_load_explicit(&watch->thread, memory_order_relaxed) != (uintptr_t)pthread_self())
		return;
	chunk = arena_chunk_at(place->class->arena, place->base);
	look(place->class, chunk, place->slot - chunk->slot);
	errno = saved;
}

/* How many slots of a chunk were ever handed out. */
static uint32_t used_slots(const struct arena_chunk *chunk)
{
	/* [chunk.used] relaxed: a slot that is just being handed out may be missed. */
	uint32_t used = atomic_load_explicit((_Atomic uint32_t *)&chunk->used, memory_order_relaxed);

	return used < slots_of(chunk) ? used : slots_of(chunk);
}

void depth_survey(struct arena_class *class, unsigned limit)
{
	/* [class.chunks] acquire: the chunks' fields; pairs with add_chunk. */
	uint32_t chunks = atomic_load_explicit(&class->chunks, memory_order_acquire);
	uint64_t all = 0, stride, next;
	int saved = errno;

	for (uint32_t i = 0; i < chunks; i++)
		all += used_slots(&class->chunk[i]);
	stride = (all + limit - 1) / limit;
	if (stride == 0)
		return;
	next = class->depth.turn++ % stride;
	for (uint32_t i = 0; i < chunks; i++) {
		uint32_t used = used_slots(&class->chunk[i]);

		for (; next < used; next += stride)
			look(class, &class->chunk[i], next);
		next -= used;
	}
	errno = saved;
}

/* ---- what was seen ---- */

uint64_t depth_bucket_bytes(unsigned bucket)
{
	return (uint64_t)1 << (BUCKET_SHIFT + bucket);
}

/* The smallest number of pages that suffices for `part` of `whole` stacks. */
static uint64_t percentile(const struct depth *depth, unsigned part, unsigned whole)
{
	uint64_t wanted = (depth->slots * part + whole - 1) / whole, seen = 0;
	unsigned pages = 0;

	while (seen < wanted && pages < depth->deepest)
		seen += depth->count[++pages];
	return pages;
}

static void fill_buckets(const struct depth *depth, size_t page_bytes, uint64_t *bucket)
{
	unsigned b = 0;

	for (unsigned pages = 1; pages <= depth->deepest; pages++) {
		while (b < DEPTH_BUCKETS - 1 && pages * page_bytes > depth_bucket_bytes(b))
			b++;
		bucket[b] += depth->count[pages];
	}
}

bool depth_summarize(const struct arena_class *class, struct depth_summary *summary)
{
	const struct depth *depth = &class->depth;
	size_t page_bytes = class->arena->page_bytes;

	if (depth->slots == 0)
		return false;
	*summary = (struct depth_summary){
	        .stacks = depth->slots,
	        .live = depth->live,
	        .stack_bytes = class->bytes - arena_upper(class) - depth->guard_bytes,
	        .mean = depth->pages * page_bytes / depth->slots,
	        .p50 = percentile(depth, 50, 100) * page_bytes,
	        .p90 = percentile(depth, 90, 100) * page_bytes,
	        .p99 = percentile(depth, 99, 100) * page_bytes,
	        .p999 = percentile(depth, 999, 1000) * page_bytes,
	        .deepest = depth->deepest * page_bytes,
	};
	fill_buckets(depth, page_bytes, summary->bucket);
	return true;
}
