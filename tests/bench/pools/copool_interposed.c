/* SPDX-License-Identifier: MIT */
/*
 * copool as its users have it: two functions of this program are patched as QEMU's are. The one that creates is
 * replaced at its entry; in the one that ends an object, an instruction in the middle becomes a jump. Every call goes
 * through these.
 */
#include "pools.h"

#include "patch/decode.h"
#include "patch/patch.h"
#include "pool/entry.h"
#include "pool/fast_path.h"
#include "pool/tally.h"
#include "pool/upkeep.h"

#include <stdlib.h>

enum { OBJECTS = 0, RBX = 3 };

static struct pool pool;
static struct patch_set patches;
static void *original_take;

static void *make(void *owner)
{
	(void)owner;
	return object_make();
}

static void destroy(void *owner, void *object)
{
	(void)owner;
	object_destroy(object);
}

static const struct pool_kind kind = {.name = "objects", .make = make, .destroy = destroy};

static void wake(void)
{
}

void *pools_interposed_take(void);
void pools_interposed_put(void *object);

APART void *pools_interposed_take(void)
{
	return object_make();
}

extern const uint8_t pools_interposed_end[], pools_interposed_on[];

/* As the end of a loop: the object in a register that calls keep, and an instruction that has room for a jump. */
__asm__(".pushsection .text\n"
        ".balign 16\n"
        ".globl pools_interposed_put, pools_interposed_end, pools_interposed_on\n"
        ".type pools_interposed_put, @function\n"
        "pools_interposed_put:\n"
        "	push %rbx\n"
        "	mov %rdi, %rbx\n"
        "pools_interposed_end:\n"
        "	movq $0, 0x10(%rbx)\n"
        "pools_interposed_on:\n"
        "	pop %rbx\n"
        "	ret\n"
        ".size pools_interposed_put, . - pools_interposed_put\n"
        ".popsection\n");

static void *take_slowly(void *first, void *second, struct cache *cache, int64_t top)
{
	void *object = pool_take_slow(&pool, cache, top);

	(void)first, (void)second;
	return object != NULL ? object : pool_make(&pool);
}

static int plan(const struct symbol *take, const struct symbol *put)
{
	const struct entry_arming arming = {.slow = (const void *)take_slowly};
	const struct entry_place ended = {
	        pools_interposed_end, (unsigned)(pools_interposed_on - pools_interposed_end), RBX};
	struct patch_place place = {.at = (size_t)(pools_interposed_end - (const uint8_t *)put->address),
	        .goes_on = (uintptr_t)pools_interposed_on};
	uint8_t code[ENTRY_CODE_BYTES];
	size_t bytes = entry_get(code, OBJECTS, &arming);
	int error = bytes == 0 ? -1 : patch_plan_code(&patches, "take", take, code, bytes, &original_take);

	if (error != 0)
		return error;
	bytes = entry_put(code, &pool, OBJECTS, &ended, place.exit, &place.exits);
	return patch_plan_inside(&patches, "put", put, &place, code, bytes);
}

static bool start(void)
{
	struct symbols symbols;
	struct symbol take, put;

	if (pools_init(0, wake) != 0 || pool_start(&pool, &kind, NULL, DEPOT_MAX_BATCHES) != OBJECTS ||
	        decode_open() != 0 || symbols_open(&symbols) != 0)
		return false;
	patch_begin(&patches);
	return symbols_find(&symbols, "pools_interposed_take", ELF_FUNCTION, &take) == 0 &&
	       symbols_find(&symbols, "pools_interposed_put", ELF_FUNCTION, &put) == 0 &&
	       plan(&take, &put) == 0 && patch_commit(&patches) == 0;
}

#define take_called pools_interposed_take
#define put_called  pools_interposed_put
#define ONLY_CALLED
#include "patterns.h"

const struct contender copool_interposed = {
        .name = "copool, interposed",
        .start = start,
        .held = objects_exist,
        .take = take_called,
        .put = put_called,
        .called = patterns_called,
};
