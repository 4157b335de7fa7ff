/* SPDX-License-Identifier: MIT */
/*
 * On aarch64. Instructions are compared as words, under masks. It is strict on purpose: code that is not recognized is
 * left to QEMU.
 */
#include "adapter/qemu_code.h"

#include "adapter/qemu_coroutine.h"
#include "patch/a64.h"

#include <string.h>

enum { X2 = 2, X19 = 19, X28 = 28, ZERO = 31, REGISTERS = 32 };

enum { EQUAL = 0, NOT_EQUAL = 1 }; /* conditions of branches */

enum { LOOK_BACK_BYTES = 256 };

/* qemu_coroutine_create is hooked by a function in C, which does that. */
const uint8_t qemu_code_arm[] = {0};
const size_t qemu_code_arm_bytes = 0;

/* ---- where coroutines end ---- */

/* Follows the code from one instruction to the next. */
struct path {
	const struct decode_code *code;
	size_t at; /* an offset in the function */
	struct a64 in;
};

/* Reads the instruction at an offset that a branch may have led to. False: it is not in the function. */
static bool go_to(struct path *path, uint64_t at)
{
	size_t limit = path->code->size != 0 ? path->code->size : path->code->available;

	path->at = at;
	return at < limit && limit - at >= A64_BYTES && a64_read(path->code, at, &path->in);
}

static bool go_on(struct path *path)
{
	return go_to(path, path->at + A64_BYTES);
}

/* cmp w0, #value */
static bool is_compare(const struct path *path, unsigned value)
{
	return path->in.word == (0x7100001f | value << 10);
}

/*
 * Goes on where the branch here leads if the comparison before it was equal. `*other` is where it leads if not. False:
 * it is no b.eq and no b.ne, or leads out of the function.
 */
static bool go_if_equal(struct path *path, uint64_t *other)
{
	uint64_t target = path->in.target - path->code->address, next = path->at + A64_BYTES;
	unsigned condition = path->in.word & 0x1f;

	if (path->in.word >> 24 != 0x54 || condition > NOT_EQUAL)
		return false;
	*other = condition == EQUAL ? next : target;
	return go_to(path, condition == EQUAL ? target : next);
}

/* The same for cbz or cbnz of a register of 64 bits. */
static bool go_if_zero(struct path *path, unsigned number)
{
	uint64_t target = path->in.target - path->code->address;
	bool is_zero = path->in.word >> 24 == 0xb4;

	if ((!is_zero && path->in.word >> 24 != 0xb5) || a64_register(path->in.word) != number)
		return false;
	return go_to(path, is_zero ? target : path->at + A64_BYTES);
}

/*
 * Whether the instruction is one of those between a switch and the coroutine's end: of general registers and memory, and
 * branches. None may change register `kept`, or leave something in a vector register, which our code would destroy.
 */
static bool is_plain(const struct a64 *in, unsigned kept)
{
	unsigned class = in->word >> 25 & 15;
	struct a64_access access;

	if (in->kind == A64_BRANCH || in->word == 0xd503201f) /* nop */
		return true;
	if (in->kind != A64_PLAIN && in->kind != A64_ADDRESS)
		return false;
	if (class == 7 || class == 15 || class == 6 || class == 14 || class == 10 || class == 11)
		return false;
	if (a64_access(in->word, &access) &&
	        (!access.is_exact || (access.changes_base && access.base == kept) ||
	                (access.is_pair && (in->word >> 10 & 31) == kept)))
		return false;
	return a64_register(in->word) != kept;
}

/* str xzr, [co, #16] */
static bool is_end(uint32_t word)
{
	return (word & 0xfffffc1f) == (0xf9000000 | CALLER / 8 << 10 | ZERO);
}

/* Goes to the instruction at which the coroutine ends, from that behind the switch. */
static bool go_to_end(struct path *path, struct qemu_ending *ending)
{
	uint64_t other;
	unsigned number;

	while (!is_compare(path, YIELD))
		if (!is_plain(&path->in, 0) || !go_on(path))
			return false;
	if (!go_on(path) || !go_if_equal(path, &other))
		return false;
	ending->next = path->code->address + path->at;
	if (!go_to(path, other) || !is_compare(path, TERMINATE) || !go_on(path) || !go_if_equal(path, &other))
		return false;
	/* ldr x0, [co, #32] */
	ending->object = a64_base(path->in.word);
	number = a64_register(path->in.word);
	if ((path->in.word & 0xfffffc00) != (0xf9400000 | LOCKS_HELD / 8 << 10) || ending->object < X19 ||
	        ending->object > X28 || !go_on(path) || !go_if_zero(path, number))
		return false;
	while (!is_end(path->in.word))
		if (!is_plain(&path->in, ending->object) || !go_on(path))
			return false;
	ending->at = path->at;
	ending->length = A64_BYTES;
	return a64_base(path->in.word) == ending->object;
}

/* Whether the loop continues by reading the next coroutine into %co, and goes back if there is one. */
static bool is_loop(const struct decode_code *enter, const struct qemu_ending *ending, size_t call)
{
	struct path path = {.code = enter};
	uint64_t target;

	/* ldr co, [register, #number]; cbnz co, or cbz co */
	if (!go_to(&path, ending->next - enter->address) || (path.in.word & 0xffc00000) != 0xf9400000 ||
	        a64_register(path.in.word) != ending->object || !go_on(&path) ||
	        (path.in.word >> 24 & 0xfe) != 0xb4 || a64_register(path.in.word) != ending->object)
		return false;
	target = path.in.word >> 24 == 0xb5 ? path.in.target - enter->address : path.at;
	return target < call;
}

const char *qemu_code_ending(const struct decode_code *enter, uint64_t switch_at, struct qemu_ending *ending)
{
	struct a64_walk walk = {.code = enter};
	struct path path = {.code = enter};
	unsigned calls = 0, endings = 0;
	size_t call = 0;
	struct a64 in;

	*ending = (struct qemu_ending){0};
	for (size_t at = 0; a64_next(&walk, &in); at = walk.at) {
		if (in.kind == A64_UNKNOWN)
			return decode_refusal_text(DECODE_UNKNOWN);
		endings += is_end(in.word);
		if (in.kind == A64_CALL && in.target == switch_at) {
			calls++;
			call = at;
		}
	}
	if (calls != 1 || endings != 1 || !go_to(&path, call + A64_BYTES) || !go_to_end(&path, ending) ||
	        !is_loop(enter, ending, call))
		return QEMU_CODE_UNKNOWN;
	return NULL;
}

/* ---- what a create sets ---- */

enum { OBJECTS_MOST = 256 };

/* What registers hold: objects by numbers, and which words of them were set. */
struct objects {
	unsigned held[REGISTERS];
	unsigned set[OBJECTS_MOST];
	unsigned count;
};

/* From here on nothing is known. */
static void forget_all(struct objects *objects)
{
	memset(objects->set, 0, sizeof objects->set);
	for (unsigned i = 0; i < REGISTERS; i++)
		objects->held[i] = i;
	objects->count = REGISTERS;
}

/* The register holds something else. */
static void forget(struct objects *objects, unsigned number)
{
	if (objects->count < OBJECTS_MOST)
		objects->held[number] = objects->count++;
}

static void note_store(struct objects *objects, const struct a64_access *access)
{
	if (access->base != ZERO) /* which is the stack pointer */
		objects->set[objects->held[access->base]] |=
		        access->is_exact ? qemu_words(access->displacement, access->bytes) : OTHERS;
	if (access->changes_base)
		forget(objects, access->base);
}

static void note_plain(struct objects *objects, uint32_t word)
{
	unsigned to = a64_register(word);
	struct a64_access access;

	if ((word & 0xffe0ffe0) == 0xaa0003e0 && to != ZERO) { /* mov */
		objects->held[to] = objects->held[word >> 16 & 31];
		return;
	}
	if (a64_access(word, &access)) {
		if (access.is_store) {
			note_store(objects, &access);
			return;
		}
		if (access.changes_base)
			forget(objects, access.base);
		if (access.is_pair)
			forget(objects, word >> 10 & 31);
	}
	forget(objects, to);
}

static bool is_any_armed(const struct objects *objects)
{
	for (unsigned i = 0; i < objects->count; i++)
		if (qemu_is_armed(objects->set[i]))
			return true;
	return false;
}

const char *qemu_code_create(const struct decode_code *create)
{
	struct a64_walk walk = {.code = create};
	struct objects objects;
	bool is_armed = false;
	struct a64 in;

	forget_all(&objects);
	while (a64_next(&walk, &in)) {
		if (in.kind == A64_UNKNOWN)
			return decode_refusal_text(DECODE_UNKNOWN);
		if (in.kind == A64_PLAIN || in.kind == A64_ADDRESS || in.kind == A64_NEAR)
			note_plain(&objects, in.word);
		if (objects.count == OBJECTS_MOST)
			return "it is longer than what is known";
		if (in.kind != A64_CALL && in.kind != A64_JUMP && in.kind != A64_AWAY)
			continue;
		is_armed |= is_any_armed(&objects);
		forget_all(&objects);
	}
	return is_armed ? NULL : "it does not set what is known";
}

/* ---- what a call asks for ---- */

unsigned qemu_code_action(uintptr_t low, uintptr_t place)
{
	uintptr_t from = place - low > LOOK_BACK_BYTES ? place - LOOK_BACK_BYTES : low;
	unsigned number[REGISTERS] = {0};

	for (uintptr_t at = from; at < place; at += A64_BYTES) {
		struct a64_access access;
		uint32_t word;
		struct a64 in;
		unsigned to;

		memcpy(&word, (const void *)at, sizeof word);
		in = a64_decode(word, at);
		to = a64_register(word);
		if (in.kind == A64_CALL)
			memset(number, 0, X19 * sizeof *number); /* what calls do not keep */
		if (in.kind != A64_PLAIN && in.kind != A64_ADDRESS && in.kind != A64_NEAR)
			continue;
		if (a64_access(in.word, &access)) {
			if (access.is_store)
				continue;
			if (access.is_pair)
				number[word >> 10 & 31] = 0;
		}
		if ((word & 0xffe00000) == 0x52800000) /* mov w2, #1 */
			number[to] = word >> 5 & 0xffff;
		else if ((word & 0xffe0ffe0) == 0x2a0003e0) /* mov w2, w19 */
			number[to] = number[word >> 16 & 31];
		else
			number[to] = 0;
	}
	return number[X2];
}
