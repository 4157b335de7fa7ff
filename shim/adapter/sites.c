/* SPDX-License-Identifier: MIT */
/* Two open-addressed tables of words: the sites, which stay, and the mappings without a guard page so far. */
#include "adapter/sites.h"

#include "adapter/contexts.h"
#include "adapter/program.h"
#include "adapter/unload.h"
#include "libc/objects.h"
#include "patch/elf.h"
#include "system/warn.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

/* PAGE_SHIFT: of the smallest pages; larger ones consist of them. */
enum { PROBES = 8, PAGE_SHIFT = 12, SIZE_SHIFT = 48, RESERVED_SHIFT = 63, OWNER_SHIFT = 16 };

/* The bits of site.state below OWNER_SHIFT: the number of proofs, and whether one failed; see makes_contexts. */
enum { PROOFS_MASK = 0xff, SPOILED = 0x100, LOOKED_AT = 0x200, MAKES_CONTEXTS = 0x400 };

/* Functions that allocate coroutine stacks and nothing else. */
static const struct {
	const char *function;
	const char *owner;
	const char *part_of; /* the pool that another adapter may have above them: see sites_pool_above */
	bool is_guarded;     /* their code sets up each guard page at once */
	bool is_guard_kept;  /* the guard is opened again only right before the stack is unmapped */
	bool is_told;        /* its programs are recognized otherwise: see sites_any_known */
	/* All that a program with this function reserves, to be opened above a guard, are such stacks. */
	bool is_reserving;
} known[] = {
        {"zend_fiber_init_context", "php", .is_guarded = true},
        {"_D4core6thread5fiber5Fiber10allocStackMFNbmmZv", "d", .is_guarded = false},
        {"coro_stack_alloc", "coro", .is_guarded = true},
        {"qemu_alloc_stack", "qemu", .part_of = "qemu-coroutine", .is_guarded = true},
        {CONTEXTS_ALLOCATE, "boost", .is_guarded = true, .is_told = true},
        {"_ZN7sc_core13sc_cor_pkg_qt6createEmPFvPvES1_", "systemc", .is_guarded = true,
                .is_guard_kept = true},
        /*
         * PowerDNS's recursor has this function for its Lua scripts. Its inlined lazy_allocator reserves nothing
         * else.
         */
        {"pdns_ffi_param_get_qname", "pdns", .is_reserving = true},
};

struct site {
	/* Return address, pages from SIZE_SHIFT on, whether reserved in RESERVED_SHIFT; 0: free. Set once. */
	_Atomic uint64_t key;
	_Atomic uint32_t state; /* see above; from OWNER_SHIFT on 1 + the index in `known` */
	_Atomic int32_t open;   /* its mappings without a guard page so far */
	_Atomic uint64_t seen;  /* unload_now() when the owner was found; 0 at first */
};

enum { RANGES_MAX = 4 };

static struct {
	enum sites_learning learning; /* written by sites_init, as the next three */
	size_t only_bytes;
	uintptr_t program_low, program_high;
	struct {
		uintptr_t low, high;
		uint32_t owner; /* as in site.state */
	} range[RANGES_MAX];    /* written by sites_know, as their number */
	unsigned ranges;
	_Atomic int32_t reserved;         /* at least the number of reserved mappings among the pending */
	_Atomic uint32_t is_pooled_above; /* 1: another adapter has a pool above the stacks */
	struct site site[SITES_MAX];
	_Atomic uint64_t pending[SITES_PENDING]; /* mappings without a guard page, see pending_word */
} sites;

/* [all words here] relaxed: each word is independent; a stale one only delays or ends learning. */
#define LOAD(word) atomic_load_explicit(&(word), memory_order_relaxed)

bool sites_know(const char *owner, uintptr_t low, uintptr_t high)
{
	for (uint32_t i = 0; i < sizeof known / sizeof *known && sites.ranges < RANGES_MAX; i++) {
		if (strcmp(known[i].owner, owner) != 0)
			continue;
		sites.range[sites.ranges].low = low;
		sites.range[sites.ranges].high = high;
		sites.range[sites.ranges++].owner = i + 1;
		return true;
	}
	return false;
}

void sites_know_by(bool (*find)(void *to, const char *function, uintptr_t *low, uintptr_t *high), void *to)
{
	uintptr_t low, high;

	for (uint32_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (!known[i].is_told && !known[i].is_reserving && known[i].part_of == NULL &&
		        find(to, known[i].function, &low, &high))
			sites_know(known[i].owner, low, high);
	}
}

void sites_pool_above(bool is_pooled)
{
	atomic_store_explicit(&sites.is_pooled_above, is_pooled, memory_order_relaxed);
}

bool sites_are_pooled_above(void)
{
	return LOAD(sites.is_pooled_above) != 0;
}

void sites_init(enum sites_learning learning, size_t only_bytes)
{
	struct object program;

	sites.learning = learning;
	sites.only_bytes = only_bytes;
	if (object_find((void *)getauxval(AT_ENTRY), &program)) {
		sites.program_low = (uintptr_t)program.begin;
		sites.program_high = (uintptr_t)program.end;
	}
}

/* Returns 1 + the index in `known` of the function that `caller` lies in; 0: none. Takes no lock but object_find()'s. */
static uint32_t find_owner(const void *caller, bool is_reserved)
{
	struct elf_symbol symbol;
	struct elf_image image;
	uintptr_t address = (uintptr_t)caller;

	for (unsigned i = 0; i < sites.ranges && !is_reserved; i++) {
		if (address > sites.range[i].low && address <= sites.range[i].high)
			return sites.range[i].owner;
	}
	if (!program_find_image(caller, &image))
		return 0;
	address = (uintptr_t)caller - image.bias;
	for (uint32_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (known[i].is_reserving == is_reserved &&
		        elf_find_dynamic(&image, known[i].function, ELF_FUNCTION, &symbol) == 0 &&
		        (is_reserved || (address > symbol.value && address <= symbol.value + symbol.size)))
			return i + 1;
	}
	return 0;
}

bool sites_is_known(const void *caller)
{
	return find_owner(caller, false) != 0;
}

/* Fibonacci hashing (Knuth 6.4): the highest bits depend on all of the key, its highest bits included. */
static uint64_t hash(uint64_t key, uint64_t places)
{
	return (key * 0x9e3779b97f4a7c15 >> 32) * places >> 32;
}

static bool site_is_reserved(const struct site *site)
{
	return LOAD(site->key) >> RESERVED_SHIFT != 0;
}

/* A library was unloaded, so the owner may be another one, or none. What was learned does no harm. */
static void renew_owner(struct site *site, const void *caller, uint64_t now)
{
	uint32_t owner = find_owner(caller, site_is_reserved(site)) << OWNER_SHIFT, state = LOAD(site->state);

	while (!atomic_compare_exchange_weak_explicit(&site->state, &state,
	        (state & (((uint32_t)1 << OWNER_SHIFT) - 1)) | owner, memory_order_relaxed,
	        memory_order_relaxed))
		continue;
	/* [site.seen] release: after the owner; pairs with is_current. */
	if (unload_is_settled(now))
		atomic_store_explicit(&site->seen, now, memory_order_release);
}

static bool is_current(struct site *site, uint64_t now)
{
	/* [site.seen] acquire: pairs with renew_owner. */
	return atomic_load_explicit(&site->seen, memory_order_acquire) == now;
}

/* The entry of a site, made if it is new. NULL: its part of the table is full. */
static struct site *site_of(const void *caller, size_t bytes)
{
	bool is_reserved = bytes & SITES_RESERVED;
	uint64_t key = (uintptr_t)caller | (uint64_t)(bytes >> PAGE_SHIFT) << SIZE_SHIFT |
	               (uint64_t)is_reserved << RESERVED_SHIFT;
	uint64_t now = unload_now();

	for (uint64_t i = hash(key, SITES_MAX), end = i + PROBES; i < end; i++) {
		struct site *site = &sites.site[i % SITES_MAX];
		uint64_t found = LOAD(site->key);

		if (found == key) {
			if (!is_current(site, now))
				renew_owner(site, caller, now);
			return site;
		}
		if (found != 0)
			continue;
		/* A thread that finds the key before the owner is set takes the site for an unknown one, once. */
		uint32_t owner = find_owner(caller, is_reserved);
		if (atomic_compare_exchange_strong_explicit(
		            &site->key, &found, key, memory_order_relaxed, memory_order_relaxed))
			atomic_fetch_or_explicit(&site->state, owner << OWNER_SHIFT, memory_order_relaxed);
		else if (found != key)
			continue;
		return site;
	}
	warn_once(
	        "there are too many kinds of mappings, by size and call site: further ones are not learned");
	return NULL;
}

/* Returns 1 + the index in `known` of the allocator of the call; 0: none. */
static uint32_t owner_of(const void *caller, size_t bytes)
{
	const struct site *site = site_of(caller, bytes);

	return site != NULL ? LOAD(site->state) >> OWNER_SHIFT : find_owner(caller, bytes & SITES_RESERVED);
}

enum site_standing sites_ask(const void *caller, size_t bytes)
{
	struct site *site = site_of(caller, bytes);
	uint32_t state = site != NULL ? LOAD(site->state) : SPOILED;

	if (site != NULL ? state >> OWNER_SHIFT != 0 : find_owner(caller, bytes & SITES_RESERVED) != 0)
		return SITE_KNOWN;
	if ((state & SPOILED) != 0 || (state & PROOFS_MASK) < SITES_PROOFS || LOAD(site->open) > 0)
		return SITE_OTHER;
	return SITE_LEARNED;
}

bool sites_is_pooled(const void *caller, size_t bytes)
{
	uint32_t owner = owner_of(caller, bytes);

	return owner != 0 && known[owner - 1].part_of != NULL && sites_are_pooled_above();
}

bool sites_is_guarded(const void *caller, size_t bytes)
{
	struct site *site = site_of(caller, bytes);
	uint32_t owner = site != NULL ? LOAD(site->state) >> OWNER_SHIFT : 0;

	return owner != 0 && known[owner - 1].is_guarded;
}

bool sites_is_guard_kept(const void *caller, size_t bytes)
{
	uint32_t owner = owner_of(caller, bytes);

	return owner != 0 && known[owner - 1].is_guard_kept;
}

const char *sites_part_of(const void *caller, size_t bytes)
{
	uint32_t owner = owner_of(caller, bytes);

	return owner != 0 ? known[owner - 1].part_of : NULL;
}

const char *sites_owner(const void *caller, size_t bytes)
{
	uint32_t owner = owner_of(caller, bytes);

	return owner != 0 ? known[owner - 1].owner : "";
}

bool sites_any_known(bool (*has)(const char *function))
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (!known[i].is_told && has(known[i].function))
			return true;
	}
	return false;
}

static void spoil(struct site *site)
{
	atomic_fetch_or_explicit(&site->state, SPOILED, memory_order_relaxed);
}

/* Whether the code of a library's function makes contexts on what it maps. The code is looked at once. */
static bool makes_contexts(const void *caller, size_t bytes)
{
	struct site *site = site_of(caller, bytes);
	uint32_t state = site != NULL ? LOAD(site->state) : LOOKED_AT;

	if ((state & LOOKED_AT) == 0) {
		state = LOOKED_AT | (contexts_are_made(caller) ? MAKES_CONTEXTS : 0);
		atomic_fetch_or_explicit(&site->state, state, memory_order_relaxed);
	}
	return (state & MAKES_CONTEXTS) != 0;
}

static bool is_taught(const void *caller, size_t bytes)
{
	uintptr_t address = (uintptr_t)caller;

	if (sites.only_bytes != 0 && (bytes & ~(size_t)SITES_RESERVED) != sites.only_bytes)
		return false;
	if (sites.learning != SITES_IN_PROGRAM)
		return sites.learning == SITES_EVERYWHERE;
	if (address >= sites.program_low && address < sites.program_high)
		return true;
	return sites.only_bytes == 0 && makes_contexts(caller, bytes);
}

/* A pending mapping in one word: the number of its first page, and from SIZE_SHIFT on the number of its site. */
static uint64_t pending_word(const void *address, const struct site *site)
{
	return (uintptr_t)address >> PAGE_SHIFT | (uint64_t)(site - sites.site) << SIZE_SHIFT;
}

void sites_note_mapping(const void *caller, const void *address, size_t bytes)
{
	struct site *site = is_taught(caller, bytes) ? site_of(caller, bytes) : NULL;

	if (site == NULL || (LOAD(site->state) & SPOILED) != 0)
		return;
	/* Other programs reserve much for good, which must not fill the table. */
	if (atomic_fetch_add_explicit(&site->open, 1, memory_order_relaxed) >= SITES_RESERVED_MAX &&
	        site_is_reserved(site)) {
		spoil(site);
		return;
	}
	if (site_is_reserved(site))
		atomic_fetch_add_explicit(&sites.reserved, 1, memory_order_relaxed);
	for (uint64_t i = hash((uintptr_t)address, SITES_PENDING), end = i + PROBES; i < end; i++) {
		uint64_t expected = 0;

		if (atomic_compare_exchange_strong_explicit(&sites.pending[i % SITES_PENDING], &expected,
		            pending_word(address, site), memory_order_relaxed, memory_order_relaxed))
			return;
	}
	if (site_is_reserved(site))
		atomic_fetch_sub_explicit(&sites.reserved, 1, memory_order_relaxed);
	spoil(site); /* too many without a guard page */
}

/* Takes a mapping out of its place in the table. Returns its site; NULL: another thread has taken it. */
static struct site *take(_Atomic uint64_t *place, uint64_t word)
{
	struct site *site = &sites.site[word >> SIZE_SHIFT];

	if (!atomic_compare_exchange_strong_explicit(
	            place, &word, 0, memory_order_relaxed, memory_order_relaxed))
		return NULL;
	if (site_is_reserved(site))
		atomic_fetch_sub_explicit(&sites.reserved, 1, memory_order_relaxed);
	return site;
}

/* Takes a mapping out of the table. Returns its site; NULL: it is not there. */
static struct site *take_pending(const void *address)
{
	uint64_t page_mask = ((uint64_t)1 << SIZE_SHIFT) - 1;

	for (uint64_t i = hash((uintptr_t)address, SITES_PENDING), end = i + PROBES; i < end; i++) {
		_Atomic uint64_t *place = &sites.pending[i % SITES_PENDING];
		uint64_t word = LOAD(*place);
		struct site *site;

		if (word == 0 || (word & page_mask) != (uintptr_t)address >> PAGE_SHIFT)
			continue;
		site = take(place, word);
		if (site != NULL)
			return site;
	}
	return NULL;
}

/* Does the same for a reserved mapping, of which the range is a part above its low end. */
static struct site *take_reserved(uintptr_t low, size_t bytes)
{
	uint64_t page_mask = ((uint64_t)1 << SIZE_SHIFT) - 1, pages_mask = ((uint64_t)1 << 15) - 1;
	uint64_t page = low >> PAGE_SHIFT, end = (low + bytes + (1 << PAGE_SHIFT) - 1) >> PAGE_SHIFT;

	for (unsigned i = 0; i < SITES_PENDING && LOAD(sites.reserved) > 0; i++) {
		uint64_t word = LOAD(sites.pending[i]), first = word & page_mask, key;

		if (word == 0 || page <= first || !site_is_reserved(&sites.site[word >> SIZE_SHIFT]))
			continue;
		key = LOAD(sites.site[word >> SIZE_SHIFT].key);
		if (end <= first + (key >> SIZE_SHIFT & pages_mask))
			return take(&sites.pending[i], word);
	}
	return NULL;
}

static void prove(struct site *site)
{
	atomic_fetch_sub_explicit(&site->open, 1, memory_order_relaxed);
	if ((LOAD(site->state) & PROOFS_MASK) < SITES_PROOFS)
		atomic_fetch_add_explicit(&site->state, 1, memory_order_relaxed);
}

void sites_note_guard(const void *address)
{
	struct site *site = sites.learning != SITES_NEVER ? take_pending(address) : NULL;

	if (site != NULL && site_is_reserved(site))
		spoil(site); /* nobody can touch it anyway */
	else if (site != NULL)
		prove(site);
}

void sites_note_end(const void *address)
{
	struct site *site = sites.learning != SITES_NEVER ? take_pending(address) : NULL;

	if (site != NULL)
		spoil(site);
}

void sites_note_open(const void *address, size_t bytes, int protection)
{
	struct site *site = NULL;

	if (sites.learning != SITES_NEVER && protection == (PROT_READ | PROT_WRITE))
		site = take_reserved((uintptr_t)address, bytes);
	if (site != NULL)
		prove(site);
	else
		sites_note_end(address);
}

void sites_spoil(const void *caller, size_t bytes)
{
	struct site *site = site_of(caller, bytes);

	if (site != NULL)
		spoil(site);
}
