/* Chunks, slots, and the stack of free slots (Treiber's, with a tag against ABA as in pool/lifo.h). */
#include "stack/arena.h"

#include "libc/real.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

enum { SLOT_BITS = 26, RLIMIT_SHARE = 8, CLEARED_PAGES = 2, FIRST_SLOTS = 16 };

static const uint64_t GRAIN_BYTES = (uint64_t)1 << ARENA_GRAIN_SHIFT;
static const uint64_t CHUNK_MAX_BYTES = (uint64_t)128 << 30;

void arena_init(struct arena *arena, enum guard_means means)
{
	arena->page_bytes = sysconf(_SC_PAGESIZE);
	arena->means = guard_probe(means);
	/* [arena.low] relaxed: nobody looks yet. */
	atomic_store_explicit(&arena->low, UINTPTR_MAX, memory_order_relaxed);
}

struct arena_class *arena_class_start(struct arena *arena, unsigned index, size_t bytes, int protection)
{
	struct arena_class *class = &arena->class[index];

	class->bytes = bytes;
	class->is_reserved = protection == PROT_NONE;
	class->protection = class->is_reserved ? PROT_READ | PROT_WRITE : protection;
	class->arena = arena;
	return class;
}

/* ---- free slots: an id is 1 + (chunk number << SLOT_BITS | slot), 0 for none ---- */

static struct slot *slot_of(struct arena_class *class, uint32_t id)
{
	return &class->chunk[(id - 1) >> SLOT_BITS].slot[(id - 1) & ((1 << SLOT_BITS) - 1)];
}

static uint64_t free_word(uint64_t old, uint32_t id)
{
	return ((old >> 32) + 1) << 32 | id;
}

static void push_free(struct arena_class *class, uint32_t id)
{
	struct slot *slot = slot_of(class, id);
	/* [class.free] relaxed: a first guess. */
	uint64_t old = atomic_load_explicit(&class->free, memory_order_relaxed);

	do {
		/* [slot.next] relaxed: published by the release below; a slow popper's stale read is
		 * rejected. */
		atomic_store_explicit(&slot->next, (uint32_t)old, memory_order_relaxed);
		/* [class.free] release: publishes the slot to pop_free. */
	} while (!atomic_compare_exchange_weak_explicit(
	        &class->free, &old, free_word(old, id), memory_order_release, memory_order_relaxed));
}

static uint32_t pop_free(struct arena_class *class)
{
	/* [class.free] acquire: the slot as push_free left it. */
	uint64_t old = atomic_load_explicit(&class->free, memory_order_acquire);
	uint32_t next;

	do {
		if ((uint32_t)old == 0)
			return 0;
		/* [slot.next] relaxed: see push_free. */
		next = atomic_load_explicit(&slot_of(class, (uint32_t)old)->next, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(
	        &class->free, &old, free_word(old, next), memory_order_acquire, memory_order_acquire));
	return (uint32_t)old;
}

/* ---- chunks ---- */

static struct arena_chunk *chunk_at(const struct arena *arena, uintptr_t at)
{
	struct arena_leaf *const _Atomic *place = &arena->leaf[at >> (ARENA_GRAIN_SHIFT + ARENA_LEAF_SHIFT)];
	unsigned grain = at >> ARENA_GRAIN_SHIFT & ((1 << ARENA_LEAF_SHIFT) - 1);
	/* [arena.leaf] acquire: its zeroes; pairs with set_chunk. */
	struct arena_leaf *leaf =
	        atomic_load_explicit((struct arena_leaf * _Atomic *)place, memory_order_acquire);

	/* [leaf.chunk] acquire: the chunk's fields; pairs with set_chunk. */
	return leaf != NULL ? atomic_load_explicit(&leaf->chunk[grain], memory_order_acquire) : NULL;
}

/* Makes chunk_at find the chunk for the grain at an address; false: no memory for the table. */
static bool set_chunk(struct arena *arena, uintptr_t at, struct arena_chunk *chunk)
{
	struct arena_leaf *_Atomic *place = &arena->leaf[at >> (ARENA_GRAIN_SHIFT + ARENA_LEAF_SHIFT)];
	unsigned grain = at >> ARENA_GRAIN_SHIFT & ((1 << ARENA_LEAF_SHIFT) - 1);
	/* [arena.leaf] acquire: its zeroes, where another class's thread has made it. */
	struct arena_leaf *leaf = atomic_load_explicit(place, memory_order_acquire), *made;

	if (leaf == NULL) {
		made = real_table(sizeof *made);
		if (made == NULL)
			return false;
		/* [arena.leaf] acq_rel: publishes its zeroes to chunk_at, or sees another's. */
		if (atomic_compare_exchange_strong_explicit(
		            place, &leaf, made, memory_order_acq_rel, memory_order_acquire))
			leaf = made;
		else
			real_table_free(made, sizeof *made);
	}
	/* [leaf.chunk] release: publishes the chunk to chunk_at. */
	atomic_store_explicit(&leaf->chunk[grain], chunk, memory_order_release);
	return true;
}

/*
 * How large the next chunk shall be: little for a program that has few stacks, then each twice the last,
 * within what the limit on address space leaves. 0: nothing is left.
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
		while (bytes >= GRAIN_BYTES && reserved + bytes > limit.rlim_cur / RLIMIT_SHARE)
			bytes = bytes / 2 & ~(GRAIN_BYTES - 1);
	}
	return bytes >= class->bytes ? bytes : 0;
}

/* Reserves addresses, aligned to a grain. 0: there are none. */
static uintptr_t reserve(uint64_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *range = real_mmap(NULL, bytes + GRAIN_BYTES, PROT_NONE, flags, -1, 0);
	uintptr_t low, end, base;

	if (range == MAP_FAILED)
		return 0;
	low = (uintptr_t)range;
	end = low + bytes + GRAIN_BYTES;
	base = (low + GRAIN_BYTES - 1) & ~(GRAIN_BYTES - 1);
	if (base > low)
		real_munmap(range, base - low);
	real_munmap((void *)(base + bytes), end - base - bytes);
	/* A stack of which a page is touched shall not cost a huge page. */
	real_madvise((void *)base, bytes, MADV_NOHUGEPAGE);
	return base;
}

static void widen(struct arena *arena, uintptr_t low, uintptr_t high)
{
	/* [arena.low, arena.high] relaxed: a quick no; who asks for an address of a slot got it after this.
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

/* Adds a chunk to a class; the caller holds is_growing. */
static bool add_chunk(struct arena_class *class)
{
	/* [class.chunks] relaxed: only who holds is_growing writes it. */
	uint32_t number = atomic_load_explicit(&class->chunks, memory_order_relaxed);
	struct arena_chunk *chunk = &class->chunk[number];
	struct arena *arena = class->arena;
	uint64_t bytes;

	if (number == ARENA_CHUNKS)
		return false;
	bytes = next_chunk_bytes(class, number);
	if (bytes == 0)
		return false;
	chunk->slots = bytes / class->bytes < 1u << SLOT_BITS ? bytes / class->bytes : 1u << SLOT_BITS;
	chunk->slot = real_table(chunk->slots * sizeof *chunk->slot);
	if (chunk->slot == NULL)
		return false;
	chunk->base = reserve(bytes);
	if (chunk->base == 0) {
		real_table_free(chunk->slot, chunk->slots * sizeof *chunk->slot);
		return false;
	}
	chunk->number = number;
	chunk->class = class;
	for (uintptr_t at = chunk->base; at < chunk->base + bytes; at += GRAIN_BYTES)
		if (!set_chunk(arena, at, chunk))
			return false; /* what is reserved stays so: nobody is short of addresses */
	widen(arena, chunk->base, chunk->base + bytes);
	atomic_fetch_add_explicit(&arena->reserved, bytes, memory_order_relaxed);
	/* [class.chunks] release: publishes the chunk to take_new. */
	atomic_store_explicit(&class->chunks, number + 1, memory_order_release);
	return true;
}

/* A slot never used before: its id, or 0. */
static uint32_t take_new(struct arena_class *class)
{
	/* [class.chunks] acquire: the chunk's fields; pairs with add_chunk. */
	uint32_t chunks = atomic_load_explicit(&class->chunks, memory_order_acquire);
	struct arena_chunk *chunk;
	uint32_t slot;

	if (chunks == 0)
		return 0;
	chunk = &class->chunk[chunks - 1];
	/* [chunk.used] relaxed: hands out numbers. The look before keeps it from running over. */
	if (atomic_load_explicit(&chunk->used, memory_order_relaxed) >= chunk->slots)
		return 0;
	slot = atomic_fetch_add_explicit(&chunk->used, 1, memory_order_relaxed);
	return slot < chunk->slots ? 1 + (chunk->number << SLOT_BITS | slot) : 0;
}

/* A slot of any history: its id, or 0. */
static uint32_t take_slot(struct arena_class *class)
{
	uint32_t id = pop_free(class);
	bool has_grown = false;

	if (id == 0)
		id = take_new(class);
	/* [class.is_growing] acquire, release: one thread adds a chunk; who comes meanwhile goes without. */
	if (id == 0 && !atomic_flag_test_and_set_explicit(&class->is_growing, memory_order_acquire)) {
		id = take_new(class);
		has_grown = id == 0 && add_chunk(class);
		atomic_flag_clear_explicit(&class->is_growing, memory_order_release);
	}
	return has_grown ? take_new(class) : id;
}

/* ---- slots ---- */

static void *base_of(struct arena_class *class, uint32_t id)
{
	const struct arena_chunk *chunk = &class->chunk[(id - 1) >> SLOT_BITS];

	return (void *)(chunk->base + ((id - 1) & ((1 << SLOT_BITS) - 1)) * class->bytes);
}

/* Gives a slot its class's protection, unless the program is to do that. */
static bool open_slot(struct arena_class *class, struct slot *slot, void *base)
{
	if (class->is_reserved)
		return true;
	if (!slot->is_open && slot_state(slot) == SLOT_FREE)
		slot->is_open = real_mprotect(base, class->bytes, class->protection) == 0;
	return slot->is_open || slot_state(slot) != SLOT_FREE;
}

void *arena_make(struct arena_class *class)
{
	int saved = errno;
	void *made = NULL;
	uint32_t id;

	while (made == NULL && (id = take_slot(class)) != 0) {
		struct slot *slot = slot_of(class, id);
		void *base = base_of(class, id);

		if (!open_slot(class, slot, base)) {
			push_free(class, id);
			break;
		}
		if (slot_move(slot, SLOT_FREE, SLOT_LIVE)) /* else it was lost meanwhile */
			made = base;
	}
	errno = saved;
	return made;
}

bool arena_find(const struct arena *arena, const void *address, struct arena_place *place)
{
	uintptr_t at = (uintptr_t)address;
	struct arena_chunk *chunk;
	uint64_t slot;

	if (at >> ARENA_ADDRESS_BITS != 0)
		return false;
	chunk = chunk_at(arena, at);
	if (chunk == NULL)
		return false;
	slot = (at - chunk->base) / chunk->class->bytes;
	if (slot >= chunk->slots)
		return false; /* what is left over at the chunk's end */
	place->class = chunk->class;
	place->slot = &chunk->slot[slot];
	place->base = chunk->base + slot * chunk->class->bytes;
	place->offset = at - place->base;
	return true;
}

bool arena_touches(const struct arena *arena, const void *address, size_t bytes)
{
	uintptr_t low = (uintptr_t)address, high = low + bytes;

	/* [arena.low, arena.high] relaxed: see widen. */
	if (high <= atomic_load_explicit((_Atomic uintptr_t *)&arena->low, memory_order_relaxed) ||
	        low >= atomic_load_explicit((_Atomic uintptr_t *)&arena->high, memory_order_relaxed) ||
	        high < low)
		return false;
	if (high > (uintptr_t)1 << ARENA_ADDRESS_BITS)
		high = (uintptr_t)1 << ARENA_ADDRESS_BITS;
	for (uintptr_t grain = low >> ARENA_GRAIN_SHIFT; grain <= (high - 1) >> ARENA_GRAIN_SHIFT; grain++) {
		if (chunk_at(arena, grain << ARENA_GRAIN_SHIFT) != NULL)
			return true;
	}
	return false;
}

uint64_t arena_guards(const struct arena_class *class)
{
	/* [class.guards] relaxed: a statistic. */
	return atomic_load_explicit((_Atomic uint64_t *)&class->guards, memory_order_relaxed);
}

static void count_guard(struct arena_class *class, enum guard_means means, int change)
{
	/* [class.guards] relaxed: a statistic. */
	if (means != GUARD_MPROTECT)
		atomic_fetch_add_explicit(&class->guards, change, memory_order_relaxed);
}

int arena_unguard(const struct arena_place *place)
{
	struct slot *slot = place->slot;
	int error;

	if (slot->guard_bytes == 0)
		return 0;
	error = guard_remove(
	        slot->guard_means, (void *)place->base, slot->guard_bytes, place->class->protection);
	if (error != 0)
		return error;
	count_guard(place->class, slot->guard_means, -1);
	slot->guard_bytes = 0;
	return 0;
}

static bool is_empty(uintptr_t low, size_t bytes)
{
	const uint64_t *word = (const uint64_t *)low, *end = (const uint64_t *)(low + bytes);

	while (word < end && *word == 0)
		word++;
	return word == end;
}

/* How pages are to become a guard: what is in them must outlive it. */
static enum guard_means means_for(const struct arena_place *place, size_t bytes)
{
	enum guard_means means = place->class->arena->means;

	return means == GUARD_MPROTECT || is_empty(place->base, bytes) ? means : GUARD_MPROTECT;
}

int arena_guard(const struct arena_place *place, size_t bytes)
{
	struct slot *slot = place->slot;
	int means;

	if (slot->guard_bytes == bytes || (slot->guard_bytes > bytes && !slot->is_guard_old)) {
		slot->is_guard_old = false;
		return 0;
	}
	means = arena_unguard(place);
	if (means == 0)
		means = guard_install(means_for(place, bytes), (void *)place->base, bytes);
	if (means < 0)
		return means;
	slot->guard_bytes = bytes;
	slot->guard_means = means;
	slot->is_guard_old = false;
	count_guard(place->class, means, 1);
	return 0;
}

void arena_seal(const struct arena_place *place)
{
	place->slot->is_sealed = place->class->is_reserved;
}

int arena_open(const struct arena_place *place, size_t guard_bytes)
{
	struct slot *slot = place->slot;
	int error;

	if (!slot->is_open &&
	        real_mprotect((void *)place->base, place->class->bytes, place->class->protection) != 0)
		return -errno;
	slot->is_open = true;
	error = guard_bytes > 0 ? arena_guard(place, guard_bytes) : arena_unguard(place);
	if (error == 0)
		slot->is_sealed = false;
	return error;
}

int arena_retire(const struct arena_place *place)
{
	struct slot *slot = place->slot;
	int error;

	if (slot_state(slot) != SLOT_LIVE)
		return 0;
	if (slot->is_sealed && slot->is_open &&
	        real_mprotect((void *)place->base, place->class->bytes, PROT_NONE) != 0)
		return -errno;
	if (slot->guard_bytes != 0) {
		error = guard_settle(slot->guard_means, (void *)place->base, slot->guard_bytes);
		if (error != 0)
			return error;
		count_guard(place->class, slot->guard_means, -1);
		slot->guard_bytes = 0;
	}
	slot_move(slot, SLOT_LIVE, SLOT_RETIRED);
	return 0;
}

/* Gives memory back. Guards by madvise and mprotect survive it. */
static int drop(uintptr_t low, size_t bytes)
{
	if (bytes == 0 || real_madvise((void *)low, bytes, MADV_DONTNEED) == 0 ||
	        real_madvise((void *)low, bytes, MADV_DONTNEED_LOCKED) == 0)
		return 0;
	return -errno;
}

/* The same with all of a slot, but for a guard that would not survive it. */
static int drop_slot(const struct arena_place *place)
{
	size_t kept = place->slot->guard_means == GUARD_POISON ? place->slot->guard_bytes : 0;

	return drop(place->base + kept, place->class->bytes - kept);
}

/* A stack is used from its top, and clearing what will be used again is cheaper than to fault it in anew. */
static int clear(const struct arena_place *place)
{
	size_t top = CLEARED_PAGES * place->class->arena->page_bytes, rest = place->class->bytes - top;

	if (!place->slot->is_open)
		return 0; /* nobody could touch it */
	if ((place->class->protection & PROT_WRITE) == 0)
		return drop(place->base, place->class->bytes);
	memset((void *)(place->base + rest), 0, top);
	return drop(place->base, rest);
}

int arena_renew(const struct arena_place *place)
{
	int saved = errno, error = arena_unguard(place);

	if (error == 0)
		error = clear(place);
	errno = saved;
	return error;
}

int arena_blank(const struct arena_place *place, uintptr_t low, size_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, saved = errno, error = 0;

	if (real_mmap((void *)low, bytes, PROT_NONE, flags, -1, 0) == MAP_FAILED)
		error = -errno;
	else
		real_madvise((void *)low, bytes, MADV_NOHUGEPAGE);
	(void)place;
	errno = saved;
	return error;
}

void arena_free(const struct arena_place *place)
{
	struct arena_chunk *chunk;
	struct slot *slot = place->slot;
	int saved = errno;

	/* A guard that splits the mapping is given up with the memory: idle slots shall cost no maps. */
	if (slot_state(slot) == SLOT_LEAVING || drop_slot(place) != 0 ||
	        (slot->guard_means == GUARD_MPROTECT && arena_unguard(place) != 0)) {
		if (arena_blank(place, place->base, place->class->bytes) != 0) {
			drop(place->base, place->class->bytes);
			errno = saved;
			return; /* left as it is, never used again */
		}
		if (slot->guard_bytes != 0)
			count_guard(place->class, slot->guard_means, -1);
		slot->guard_bytes = 0;
		slot->is_open = false;
	}
	chunk = chunk_at(place->class->arena, place->base);
	/* [slot.state] release: as slot_move; nobody else may change it now. */
	atomic_store_explicit(&slot->state, SLOT_FREE, memory_order_release);
	push_free(place->class, 1 + (chunk->number << SLOT_BITS | (uint32_t)(slot - chunk->slot)));
	errno = saved;
}

void arena_trim(const struct arena_place *place, size_t keep_bytes)
{
	uintptr_t low = place->base + place->slot->guard_bytes;
	uintptr_t high = place->base + place->class->bytes - keep_bytes;
	int saved = errno;

	if (low < high)
		drop(low, high - low);
	errno = saved;
}

void arena_fork_child(struct arena *arena)
{
	for (unsigned i = 0; i < ARENA_CLASSES; i++)
		atomic_flag_clear_explicit(&arena->class[i].is_growing, memory_order_relaxed);
}
