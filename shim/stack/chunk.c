/* SPDX-License-Identifier: MIT */
/*
 * Chunks of reserved addresses, the table that finds them, and the stack of free slots of each class (Treiber's, with
 * a tag against ABA as in pool/lifo.h).
 */
#include "stack/chunk.h"

#include "libc/real.h"
#include "stack/address.h"
#include "stack/spent.h"
#include "system/sandbox.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum {
	SLOT_BITS = 26,
	FIRST_SLOTS = 16,
	RESERVE_CALLS = 5, /* a map, its end unmapped, advice, and tables */
};

static const uint64_t GRAIN_BYTES = (uint64_t)1 << ARENA_GRAIN_SHIFT;
static const uint64_t CHUNK_MAX_BYTES = (uint64_t)128 << 30;

/* ---- free slots: an id is 1 + (chunk number << SLOT_BITS | slot), 0 for none ---- */

struct slot *chunk_slot(struct arena_class *class, uint32_t id)
{
	return &class->chunk[(id - 1) >> SLOT_BITS].slot[(id - 1) & ((1 << SLOT_BITS) - 1)];
}

static uint64_t free_word(uint64_t old, uint32_t id)
{
	return ((old >> 32) + 1) << 32 | id;
}

void chunk_put_slot(struct arena_class *class, uint32_t id)
{
	struct slot *slot = chunk_slot(class, id);
	/* [class.free] relaxed: a first guess. */
	uint64_t old = atomic_load_explicit(&class->free, memory_order_relaxed);

	do {
		/* [slot.next] relaxed: published by the release below; the tag rejects a stale read. */
		atomic_store_explicit(&slot->next, (uint32_t)old, memory_order_relaxed);
		/* [class.free] release: publishes the slot to pop_free. */
	} while (!atomic_compare_exchange_weak_explicit(
	        &class->free, &old, free_word(old, id), memory_order_release, memory_order_relaxed));
}

static uint32_t pop_free(struct arena_class *class)
{
	/* [class.free] acquire: the slot as chunk_put_slot left it. */
	uint64_t old = atomic_load_explicit(&class->free, memory_order_acquire);
	uint32_t next;

	do {
		if ((uint32_t)old == 0)
			return 0;
		/* [slot.next] relaxed: see chunk_put_slot. */
		next = atomic_load_explicit(&chunk_slot(class, (uint32_t)old)->next, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(
	        &class->free, &old, free_word(old, next), memory_order_acquire, memory_order_acquire));
	return (uint32_t)old;
}

/* ---- chunks ---- */

/* Makes arena_chunk_at find the chunk for the grain at an address. False: no memory for the table. */
static bool set_chunk(struct arena *arena, uintptr_t at, struct arena_chunk *chunk)
{
	struct arena_leaf *_Atomic *place = &arena->leaf[at >> (ARENA_GRAIN_SHIFT + ARENA_LEAF_SHIFT)];
	unsigned grain = at >> ARENA_GRAIN_SHIFT & ((1 << ARENA_LEAF_SHIFT) - 1);
	/* [arena.leaf] acquire: its zeroes, if a thread of another class has made it. */
	struct arena_leaf *leaf = atomic_load_explicit(place, memory_order_acquire), *made;

	if (leaf == NULL) {
		made = real_table(sizeof *made);
		if (made == NULL)
			return false;
		/*
		 * [arena.leaf] acq_rel: publishes its zeroes to arena_chunk_at, or sees those of another thread's
		 * leaf.
		 */
		if (atomic_compare_exchange_strong_explicit(
		            place, &leaf, made, memory_order_acq_rel, memory_order_acquire))
			leaf = made;
		else
			real_table_free(made, sizeof *made);
	}
	/* [leaf.chunk] release: publishes the chunk to arena_chunk_at. */
	atomic_store_explicit(&leaf->chunk[grain], chunk, memory_order_release);
	return true;
}

/* How many of the chunks so far still have slots: see arena_vacate. */
static uint32_t chunks_in_use(const struct arena_class *class, uint32_t chunks)
{
	uint32_t used = 0;

	/* [chunk.slots] relaxed: an estimate. */
	for (uint32_t i = 0; i < chunks; i++)
		used += atomic_load_explicit(
		                (_Atomic uint32_t *)&class->chunk[i].slots, memory_order_relaxed) > 0;
	return used;
}

/*
 * The size of the next chunk: small for a program with few stacks, then each twice the last, within the limit on
 * address space. 0: nothing is left.
 */
static uint64_t next_chunk_bytes(const struct arena_class *class, uint32_t number)
{
	/* [arena.reserved] relaxed: an estimate while other classes grow. */
	uint64_t reserved =
	        atomic_load_explicit((_Atomic uint64_t *)&class->arena->reserved, memory_order_relaxed);
	uint64_t bytes = (FIRST_SLOTS * class->bytes + GRAIN_BYTES - 1) & ~(GRAIN_BYTES - 1);
	struct rlimit limit;

	while (number-- > 0 && bytes < CHUNK_MAX_BYTES)
		bytes *= 2;
	if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
		while (bytes >= GRAIN_BYTES && reserved + bytes > limit.rlim_cur / CHUNK_LIMIT_SHARE)
			bytes = bytes / 2 & ~(GRAIN_BYTES - 1);
	}
	return bytes >= class->bytes ? bytes : 0;
}

static void *map_closed(uintptr_t hint, uint64_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

	return real_mmap((void *)hint, bytes, PROT_NONE, flags, -1, 0);
}

/* Whether a range that was to be mapped is of use. If it was mapped at all, it lies in no hole among our slots. */
static bool is_outside(const struct arena *arena, const void *range, uint64_t bytes)
{
	return range == MAP_FAILED || !arena_touches(arena, range, bytes);
}

/*
 * Addresses of no chunk; MAP_FAILED: there are none. The kernel likes to fill the holes among our slots, which a bare
 * system call or arena_vacate has made. Below all slots are none; elsewhere it goes on when one is filled.
 */
static void *find_range(const struct arena *arena, uint64_t bytes)
{
	void *range = map_closed(0, bytes), *next;
	uintptr_t low;

	if (is_outside(arena, range, bytes))
		return range;
	real_munmap(range, bytes);
	/* [arena.low] relaxed: see widen. */
	low = atomic_load_explicit((_Atomic uintptr_t *)&arena->low, memory_order_relaxed);
	range = map_closed(low > bytes ? low - bytes : 0, bytes);
	if (is_outside(arena, range, bytes))
		return range;
	next = map_closed(0, bytes);
	real_munmap(range, bytes);
	if (is_outside(arena, next, bytes))
		return next;
	real_munmap(next, bytes);
	return MAP_FAILED;
}

/*
 * Reserves addresses, aligned to a grain. 0: there are none. The addresses behind them, up to the end of the grain,
 * are unmapped: no slot uses them.
 */
static uintptr_t reserve(struct arena_class *class, uint64_t bytes)
{
	struct arena *arena = class->arena;
	void *range = find_range(arena, bytes + GRAIN_BYTES);
	uintptr_t low, end, base;

	if (range == MAP_FAILED)
		return 0;
	low = (uintptr_t)range;
	end = low + bytes + GRAIN_BYTES;
	if (end >> ARENA_ADDRESS_BITS != 0) {
		real_munmap(range, end - low); /* beyond the table of grains */
		return 0;
	}
	base = (low + GRAIN_BYTES - 1) & ~(GRAIN_BYTES - 1);
	if (base > low)
		real_munmap(range, base - low);
	real_munmap((void *)(base + bytes), end - base - bytes);
	/* One touched page of a stack must not cost a huge page. */
	arena_note_no_huge(arena, real_own_madvise((void *)base, bytes, MADV_NOHUGEPAGE) == 0 ? 0 : errno);
	spent_note(class, RESERVE_CALLS + (base > low));
	return base;
}

/* Makes arena_chunk_at find the chunk for all of its grains, or for none. */
static bool set_grains(struct arena *arena, struct arena_chunk *chunk, uintptr_t end)
{
	uintptr_t at = chunk->base;

	while (at < end && set_chunk(arena, at, chunk))
		at += GRAIN_BYTES;
	if (at >= end)
		return true;
	while (at > chunk->base)
		set_chunk(arena, at -= GRAIN_BYTES, NULL);
	return false;
}

static void widen(struct arena *arena, uintptr_t low, uintptr_t high)
{
	/*
	 * [arena.low, arena.high] relaxed: a quick no. A thread that asks about a slot's address got that address
	 * later.
	 */
	uintptr_t old = atomic_load_explicit(&arena->low, memory_order_relaxed);

	while (low < old && !atomic_compare_exchange_weak_explicit(
	                            &arena->low, &old, low, memory_order_relaxed, memory_order_relaxed))
		;
	old = atomic_load_explicit(&arena->high, memory_order_relaxed);
	while (high > old && !atomic_compare_exchange_weak_explicit(
	                             &arena->high, &old, high, memory_order_relaxed, memory_order_relaxed))
		;
}

/* Adds a chunk to a class. The caller must hold is_growing. */
static bool add_chunk(struct arena_class *class)
{
	/* [class.chunks] relaxed: only the holder of is_growing writes it. */
	uint32_t number = atomic_load_explicit(&class->chunks, memory_order_relaxed);
	struct arena_chunk *chunk = &class->chunk[number];
	struct arena *arena = class->arena;
	uint64_t bytes;
	uint32_t slots;

	if (number == ARENA_CHUNKS || sandbox_is_tight())
		return false;
	bytes = next_chunk_bytes(class, chunks_in_use(class, number));
	if (bytes == 0)
		return false;
	slots = bytes / class->bytes < 1u << SLOT_BITS ? bytes / class->bytes : 1u << SLOT_BITS;
	chunk->slot = real_table(slots * sizeof *chunk->slot);
	if (chunk->slot == NULL)
		return false;
	bytes = slots * class->bytes;
	chunk->base = reserve(class, bytes);
	if (chunk->base == 0) {
		real_table_free(chunk->slot, slots * sizeof *chunk->slot);
		return false;
	}
	/* [chunk.slots, chunk.end] relaxed: published by the release below, and by set_chunk's. */
	atomic_store_explicit(&chunk->slots, slots, memory_order_relaxed);
	atomic_store_explicit(&chunk->end, chunk->base + bytes, memory_order_relaxed);
	chunk->bytes = class->bytes;
	chunk->reciprocal = UINT64_MAX / class->bytes + 1;
	chunk->number = number;
	chunk->class = class;
	if (!set_grains(arena, chunk, chunk->base + bytes)) {
		real_munmap((void *)chunk->base, bytes);
		return false; /* its table of slots stays: a slow thread may read it */
	}
	widen(arena, chunk->base, chunk->base + bytes);
	atomic_fetch_add_explicit(&arena->reserved, bytes, memory_order_relaxed);
	/* [class.chunks] release: publishes the chunk to take_new. */
	atomic_store_explicit(&class->chunks, number + 1, memory_order_release);
	return true;
}

/* Returns the id of a slot that was never used, or 0. */
static uint32_t take_new(struct arena_class *class)
{
	/* [class.chunks] acquire: the chunk's fields; pairs with add_chunk. */
	uint32_t chunks = atomic_load_explicit(&class->chunks, memory_order_acquire);
	struct arena_chunk *chunk;
	uint32_t slot, slots;

	if (chunks == 0)
		return 0;
	chunk = &class->chunk[chunks - 1];
	/* [chunk.used] relaxed: hands out numbers. The check before prevents an overflow. */
	/* [chunk.slots] relaxed: before it is lowered, `used` was set beyond all slots. */
	slots = atomic_load_explicit(&chunk->slots, memory_order_relaxed);
	if (atomic_load_explicit(&chunk->used, memory_order_relaxed) >= slots)
		return 0;
	slot = atomic_fetch_add_explicit(&chunk->used, 1, memory_order_relaxed);
	return slot < slots ? 1 + (chunk->number << SLOT_BITS | slot) : 0;
}

/* Returns the id of any free slot, or 0. */
uint32_t chunk_take_slot(struct arena_class *class)
{
	uint32_t id = pop_free(class);
	bool has_grown = false;

	if (id == 0)
		id = take_new(class);
	/* [class.is_growing] acquire, release: one thread adds a chunk; the others get no slot in that time. */
	if (id == 0 && !atomic_flag_test_and_set_explicit(&class->is_growing, memory_order_acquire)) {
		id = take_new(class);
		has_grown = id == 0 && add_chunk(class);
		/* [arena.is_refused] relaxed: a statistic. */
		if (id == 0 && !has_grown)
			atomic_store_explicit(&class->arena->is_refused, true, memory_order_relaxed);
		atomic_flag_clear_explicit(&class->is_growing, memory_order_release);
	}
	return has_grown ? take_new(class) : id;
}

void *chunk_base(struct arena_class *class, uint32_t id)
{
	const struct arena_chunk *chunk = &class->chunk[(id - 1) >> SLOT_BITS];

	return (void *)(chunk->base + ((id - 1) & ((1 << SLOT_BITS) - 1)) * class->bytes);
}

uint32_t chunk_id(const struct arena_chunk *chunk, const struct slot *slot)
{
	return 1 + (chunk->number << SLOT_BITS | (uint32_t)(slot - chunk->slot));
}

void chunk_each_slot(struct arena_chunk *chunk, void (*visit)(const struct arena_place *place))
{
	/* [chunk.slots, chunk.used] relaxed: slots that come into use at the same time count as before or after. */
	uint32_t slots = atomic_load_explicit(&chunk->slots, memory_order_relaxed);
	uint32_t used = atomic_load_explicit(&chunk->used, memory_order_relaxed);
	struct arena_place place = {.class = chunk->class, .slot = chunk->slot, .base = chunk->base};

	for (uint32_t i = 0; i < used && i < slots; i++) {
		visit(&place);
		place.slot++;
		place.base += place.class->bytes;
	}
}
