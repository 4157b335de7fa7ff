/* SPDX-License-Identifier: MIT */
/*
 * The code for the middle of a function keeps all general registers and the flags, and calls pool_put(). It preserves no
 * vector registers: it must not be used where the function needs one. Only blr, ret and b change the flow of control, so a
 * shadow stack stays in step, and nothing jumps to where no landing pad is.
 */
#include "pool/entry.h"

#include "pool/fast_path.h"

#include <string.h>

enum { WORD_BYTES = sizeof(uint32_t), SAVED = 20, FLAGS_AT = SAVED * 8, FRAME_BYTES = FLAGS_AT + 16 };

struct writer {
	uint8_t *begin, *at;
};

static void put_word(struct writer *writer, uint32_t word)
{
	memcpy(writer->at, &word, sizeof word);
	writer->at += sizeof word;
}

/* The registers in pairs, x18 with the return address. */
static unsigned second_of(unsigned first)
{
	return first == 18 ? 30 : first + 1;
}

/* stp, or ldp where `load` is set, of all pairs but the first. */
static void put_pairs(struct writer *writer, uint32_t word)
{
	for (unsigned first = 2; first < SAVED; first += 2)
		put_word(writer, word | first << 15 | second_of(first) << 10 | 31 << 5 | first);
}

/* Fills in the load that lies at `load`: its word of 8 bytes comes here. */
static void put_address(struct writer *writer, uint8_t *load, uintptr_t address)
{
	uint32_t word;

	memcpy(&word, load, sizeof word);
	word |= (uint32_t)(writer->at - load) / WORD_BYTES << 5;
	memcpy(load, &word, sizeof word);
	memcpy(writer->at, &address, sizeof address);
	writer->at += sizeof address;
}

static void put(struct pool *pool, void *object)
{
	pool_put(pool, pool->index, object);
}

size_t entry_get(uint8_t code[ENTRY_CODE_BYTES], unsigned index, const struct entry_arming *arming)
{
	(void)code, (void)index, (void)arming;
	return 0;
}

size_t entry_put(uint8_t code[ENTRY_CODE_BYTES], struct pool *pool, unsigned index,
        const struct entry_place *place, size_t exit[ENTRY_EXITS], size_t *exits)
{
	struct writer writer = {code, code};
	uint8_t *load_pool, *load_put;

	(void)index;
	memcpy(writer.at, place->first, place->first_bytes);
	writer.at += place->first_bytes;
	put_word(&writer, 0xa9800000 | (128u - FRAME_BYTES / 8) << 15 | 1 << 10 |
	                          31 << 5); /* stp x0, x1, [sp, #-FRAME_BYTES]! */
	put_pairs(&writer, 0xa9000000);     /* stp x2, x3, [sp, #16]; … */
	put_word(&writer, 0xd53b4210);      /* mrs x16, nzcv */
	put_word(&writer, 0xf9000000 | FLAGS_AT / 8 << 10 | 31 << 5 | 16); /* str x16, [sp, #FLAGS_AT] */
	put_word(&writer, 0xaa0003e1 | place->object << 16);               /* mov x1, object */
	load_pool = writer.at;
	put_word(&writer, 0x58000000); /* ldr x0, pool */
	load_put = writer.at;
	put_word(&writer, 0x58000010);                                     /* ldr x16, put */
	put_word(&writer, 0xd63f0200);                                     /* blr x16 */
	put_word(&writer, 0xf9400000 | FLAGS_AT / 8 << 10 | 31 << 5 | 16); /* ldr x16, [sp, #FLAGS_AT] */
	put_word(&writer, 0xd51b4210);                                     /* msr nzcv, x16 */
	put_pairs(&writer, 0xa9400000);                                    /* ldp x2, x3, [sp, #16]; … */
	put_word(&writer,
	        0xa8c00000 | FRAME_BYTES / 8 << 15 | 1 << 10 | 31 << 5); /* ldp x0, x1, [sp], #FRAME_BYTES */
	exit[0] = (size_t)(writer.at - code);
	*exits = 1;
	put_word(&writer, 0x14000000); /* b, which the caller writes */
	if ((writer.at - code) % 8 != 0)
		put_word(&writer, 0xd503201f); /* nop */
	put_address(&writer, load_pool, (uintptr_t)pool);
	put_address(&writer, load_put, (uintptr_t)put);
	return (size_t)(writer.at - code);
}
