/* SPDX-License-Identifier: MIT */
/* Describes where the counters are, by addresses and offsets. The counters themselves stay where they are. */
#include "report/outside_view.h"

#include "config.h"
#include "system/clock.h"
#include "system/self.h"
#include "pool/control.h"
#include "pool/pool.h"
#include "report/record.h"
#include "report/record_block.h"
#include "report/report.h"
#include "stack/arena.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

/* The assembly of the note refers to it; nothing else outside of this file does. */
extern struct record_block copool_block __attribute__((visibility("hidden")));

#define COUNTER(name, kind, help) COUNTER_##name,
enum { RECORD_COUNTERS(COUNTER) };
#undef COUNTER

#define WHOLE UINT64_MAX

/* A term of the counter `name`: (field >> by & keep) * times. */
#define TERM(name, where, type, field, by, keep, times)                                                      \
	{                                                                                                    \
		.counter = COUNTER_##name, .place = where, .bytes = sizeof(((type *)0)->field), .shift = by, \
		.factor = times, .offset = offsetof(type, field), .mask = keep                               \
	}
#define POOL(name, field)  TERM(name, RECORD_IN_POOL, struct pool, field, 0, WHOLE, 1)
#define CACHE(name, field) TERM(name, RECORD_IN_CACHE, struct cache, field, 0, WHOLE, 1)

/* The terms are what pool_read() adds up. */
struct record_block copool_block = {
        .format = RECORD_BLOCK_FORMAT,
        .bytes = sizeof copool_block,
        .pool_bytes = sizeof(struct pool),
        .pool_kind = offsetof(struct pool, kind),
        .pool_cap = offsetof(struct pool, max_batches),
        .kind_bytes = sizeof(struct pool_kind),
        .kind_name = offsetof(struct pool_kind, name),
        .kind_maps = offsetof(struct pool_kind, maps_saved),
        .kind_make = offsetof(struct pool_kind, make_calls),
        .kind_destroy = offsetof(struct pool_kind, destroy_calls),
        .kind_observed = offsetof(struct pool_kind, is_observed),
        .pool_withdrawn = offsetof(struct pool, is_withdrawn),
        .pool_calls_seen = offsetof(struct pool, calls_seen),
        .kind_stacks = offsetof(struct pool_kind, stacks),
        .kind_owner = offsetof(struct pool_kind, owner_name),
        .kind_part_of = offsetof(struct pool_kind, part_of),
        .class_slots = offsetof(struct arena_class, depth.slots),
        .class_pages = offsetof(struct arena_class, depth.pages),
        .thread_bytes = sizeof(struct thread),
        .thread_caches = offsetof(struct thread, cache),
        .cache_bytes = sizeof(struct cache),
        .term =
                {
                        CACHE(create_local, counters.taken),
                        TERM(create_local, RECORD_IN_CACHE, struct cache, counters.create_depot, 0, WHOLE,
                                -1),
                        CACHE(create_depot, counters.create_depot),
                        POOL(create_depot, loose_create),
                        POOL(create_new, create_new),
                        CACHE(destroy_local, counters.taken),
                        CACHE(destroy_local, counters.left),
                        TERM(destroy_local, RECORD_IN_CACHE, struct cache, top, 0, CACHE_COUNT, 1),
                        TERM(destroy_local, RECORD_IN_CACHE, struct cache, counters.create_depot, 0, WHOLE,
                                -BATCH_SIZE),
                        TERM(destroy_local, RECORD_IN_CACHE, struct cache, counters.destroy_depot, 0, WHOLE,
                                BATCH_SIZE - 1),
                        CACHE(destroy_depot, counters.destroy_depot),
                        POOL(destroy_depot, loose_destroy),
                        POOL(destroy_delete, destroy_delete),
                        TERM(pooled, RECORD_IN_CACHE, struct cache, top, 0, CACHE_COUNT, 1),
                        TERM(pooled, RECORD_IN_POOL, struct pool, depot.full.word, LIFO_DEPTH_SHIFT,
                                LIFO_DEPTH_MASK, BATCH_SIZE),
                        POOL(pooled, remainder.count),
                        POOL(pooled, leaving.count),
                        POOL(peak_live, peak_live),
                        POOL(peak_objects, peak_objects),
                        POOL(inherited, inherited),
                        TERM(depot_batches, RECORD_IN_POOL, struct pool, depot.full.word, LIFO_DEPTH_SHIFT,
                                LIFO_DEPTH_MASK, 1),
                        POOL(depot_low, depot.sample_low),
                        POOL(depot_high, depot.sample_high),
                        CACHE(depot_retries, counters.depot_retries),
                        POOL(depot_retries, loose_retries),
                        POOL(trimmed, trimmed),
                        TERM(threads, RECORD_IN_THREAD, struct thread, in_use, 0, WHOLE, 1),
                        CACHE(calls_saved, counters.calls_saved),
                        POOL(calls_saved, calls_saved),
                },
};

_Static_assert(sizeof(unsigned) == 4 && sizeof(int) == 4, "numbers that the block points to have four bytes");
_Static_assert((int)RECORD_THREADS >= (int)LIFO_MAX_INDEX, "a reader must believe so many threads");

/* The note tells readers of the library's file header where the block is. */
#define TEXT(word)  #word
#define VALUE(word) TEXT(word)
__asm__(".pushsection .note.copool, \"a\", %note\n"
        ".balign 4\n"
        ".long 2f - 1f, 4f - 3f, " VALUE(RECORD_NOTE_TYPE) "\n"
                                                           "1: .asciz \"" RECORD_NOTE_NAME "\"\n"
                                                           "2: .balign 4\n"
                                                           "3: .quad copool_block - .\n"
                                                           "4: .balign 4\n"
                                                           ".popsection");

static uint64_t address(const volatile void *of)
{
	return (uintptr_t)of;
}

void outside_view_tell_service(const struct report_service *service)
{
	copool_block.host = address(service->name);
	copool_block.mode = address(service->mode);
	copool_block.way = address(service->way);
	copool_block.detail = address(service->detail);
}

void outside_view_know(
        const struct config *config, const struct report_service *service, const _Atomic int *thread)
{
	struct record_block *block = &copool_block;
	struct pool_control *control = control_words();
	struct pool_table pools = pool_table();
	struct thread_table threads = thread_table();

	block->version = address(COPOOL_VERSION);
	block->commit = address(COPOOL_COMMIT);
	block->program = address(self_name());
	block->label = address(self_label());
	outside_view_tell_service(service);
	block->page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
	block->interval_ms = config->interval_ms;
	block->decay_ms = config->decay_ms;
	block->max_batches = config->max_batches;
	block->start_ms = clock_now_ms();
	block->thread = address(thread);
	block->pools = address(pools.pool);
	block->pool_count = address(pools.count);
	block->chunks = address(threads.chunk);
	block->thread_count = address(threads.blocks);
	block->in_chunk = threads.in_chunk;
	block->control = (struct record_controls){
	        .asked = address(&control->asked),
	        .done = address(&control->done),
	        .decay_ms = address(&control->decay_ms),
	        .max_batches = address(&control->max_batches),
	        .is_off = address(&control->is_off),
	        .emptied = address(&control->emptied),
	};
	/* [outside_view.magic] release: the block is complete; pairs with readers outside, which read it first. */
	atomic_store_explicit((_Atomic uint64_t *)&block->magic, RECORD_BLOCK_MAGIC, memory_order_release);
}

void outside_view_fork_child(pid_t parent)
{
	copool_block.start_ms = clock_now_ms();
	copool_block.parent = (uint32_t)parent;
}
