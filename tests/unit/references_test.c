/* SPDX-License-Identifier: MIT */
/* Calls of and jumps to an address are found wherever they are, and nothing else is. */
#include "patch/references.h"

#include "tap.h"

#include <stdint.h>
#include <string.h>

enum { FILLER = 0x90 };

static uint8_t room[1024];

static uintptr_t at(size_t offset)
{
	return (uintptr_t)room + offset;
}

/* Writes an instruction's first bytes at an offset, and its distance; returns the address of the distance. */
static uintptr_t put(size_t offset, const char *opcode, size_t opcode_bytes, uintptr_t target)
{
	int32_t distance = (int32_t)(target - (at(offset) + opcode_bytes + sizeof distance));

	memcpy(room + offset, opcode, opcode_bytes);
	memcpy(room + offset + opcode_bytes, &distance, sizeof distance);
	return at(offset) + opcode_bytes;
}

/* How many are found, and, unless `place` is NULL, where the first one is. */
static size_t find(uintptr_t low, uintptr_t high, uintptr_t target, uintptr_t *place)
{
	struct references found = {.target = target, .count = 99};

	references_find(low, high, &found, 1);
	if (place != NULL)
		*place = found.place[0];
	return found.count;
}

static void clear(void)
{
	memset(room, FILLER, sizeof room);
}

static const struct {
	const char *name, *opcode;
	size_t bytes;
	bool is_branch;
} kinds[] = {
        {"a call", "\xe8", 1, true},
        {"a jmp", "\xe9", 1, true},
        {"a conditional jump", "\x0f\x85", 2, false},
        {"a mov of a number", "\xb8", 1, false},
        {"a lea", "\x48\x8d\x05", 3, false},
        {"a push", "\x68", 1, false},
        {"a call through memory", "\xff\x15", 2, false},
        {"a number", "", 0, false},
};

/* One of each kind at each offset of ranges that begin and end anywhere within two steps. */
static void test_kinds(void)
{
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		const size_t length = kinds[k].bytes + sizeof(int32_t);
		unsigned wrong = 0, tried = 0;

		for (size_t low = 0; low < 16; low++) {
			for (size_t offset = low; offset < 64; offset++) {
				for (size_t behind = 0; behind < 40; behind++, tried++) {
					uintptr_t target = at(300), found, distance_at;
					size_t count;

					clear();
					distance_at = put(offset, kinds[k].opcode, kinds[k].bytes, target);
					count = find(at(low), at(offset + length + behind), target, &found);
					if (kinds[k].is_branch)
						wrong += count != 1 || found != distance_at;
					else
						wrong += count != 0;
				}
			}
		}
		tap_ok(wrong == 0 && tried > 1000, "references: %s is %s at any place of any range",
		        kinds[k].name, kinds[k].is_branch ? "found" : "left alone");
	}
}

/* The same for what leads to one of several addresses; a branch does, too. */
static void test_lead_to(void)
{
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		const size_t length = kinds[k].bytes + sizeof(int32_t);
		const bool leads = kinds[k].is_branch || kinds[k].opcode[0] == '\x0f';
		unsigned wrong = 0;

		for (size_t low = 0; low < 16; low++) {
			for (size_t offset = low; offset < 64; offset++) {
				clear();
				put(offset, kinds[k].opcode, kinds[k].bytes, at(300));
				for (size_t behind = 0; behind < 40; behind++) {
					uintptr_t high = at(offset + length + behind);

					wrong += references_lead_to(at(low), high, at(300), at(300)) != leads;
					wrong += references_lead_to(at(low), high, at(298), at(303)) != leads;
					wrong += references_lead_to(at(low), high, at(301), at(304));
					wrong += references_lead_to(at(low), high, at(296), at(299));
				}
				wrong += references_lead_to(
				        at(low), at(offset + length - 1), at(300), at(300));
				wrong += references_lead_to(at(offset + 1), at(200), at(300), at(300));
			}
		}
		tap_is(wrong, 0, "references: %s %s", kinds[k].name,
		        leads ? "leads where it leads, at any place of any range" : "leads nowhere");
	}
}

static void test_edges(void)
{
	uintptr_t target = at(400);
	unsigned wrong = 0;

	for (size_t offset = 0; offset < 64; offset++) {
		clear();
		put(offset, "\xe8", 1, target);
		for (size_t cut = 1; cut < 5; cut++)
			wrong += find(at(0), at(offset + 5 - cut), target, NULL) != 0;
		wrong += find(at(offset + 1), at(200), target, NULL) != 0;
	}
	tap_is(wrong, 0, "references: a call that is not whole within the range is none");
	clear();
	put(50, "\xe8", 1, target + 1);
	put(70, "\xe8", 1, target - 1);
	put(90, "\xe8", 1, target + (1ull << 31));
	tap_is(find(at(0), at(200), target, NULL), 0, "references: a call of another address is none");
}

static void test_ranges(void)
{
	uintptr_t target = at(10);

	clear();
	put(8, "\xe8", 1, target);
	tap_is(find(at(8), at(8), target, NULL), 0, "references: an empty range has none");
	for (size_t bytes = 1; bytes < 5; bytes++)
		tap_is(find(at(8), at(8 + bytes), target, NULL), 0, "references: nor has one of %zu bytes",
		        bytes);
	tap_is(find(at(8), at(13), target, NULL), 1, "references: one of a call's length may");
}

static void test_most(void)
{
	enum { CALLS = REFERENCES_MOST + 20 };
	struct references found = {.target = at(0)};
	bool are_right = true;

	clear();
	for (size_t i = 0; i < CALLS; i++)
		put(8 + 8 * i, "\xe8", 1, at(0));
	references_find(at(0), at(sizeof room), &found, 1);
	tap_is(found.count, CALLS, "references: all of them are counted");
	for (size_t i = 0; i < REFERENCES_MOST; i++)
		are_right &= found.place[i] == at(8 + 8 * i + 1);
	tap_ok(are_right && found.target == at(0), "references: the places of the first 64 are told");
}

static void test_several(void)
{
	struct references found[3] = {{.target = at(700)}, {.target = at(800)}, {.target = at(900)}};

	clear();
	put(20, "\xe8", 1, at(800));
	put(40, "\xe9", 1, at(700));
	put(60, "\xe8", 1, at(800));
	references_find(at(0), at(600), found, 3);
	tap_ok(found[0].count == 1 && found[0].place[0] == at(41),
	        "references: of several targets each has its own");
	tap_ok(found[1].count == 2 && found[1].place[0] == at(21) && found[1].place[1] == at(61),
	        "references: in the order in which they lie");
	tap_is(found[2].count, 0, "references: or none");
	references_find(at(0), at(30), found, 2);
	tap_ok(found[0].count == 0 && found[1].count == 1, "references: each search counts from 0");
}

/* As far as a distance goes. */
static void test_far(void)
{
	static const int32_t distances[] = {
	        INT32_MIN, INT32_MIN + 1, INT32_MIN + 7, INT32_MAX, INT32_MAX - 1, INT32_MAX - 9, 0, -1, 1};
	unsigned wrong = 0, wrapped = 0;

	for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
		for (size_t offset = 0; offset < 48; offset++) {
			uintptr_t found, target = at(offset + 5) + (uintptr_t)(intptr_t)distances[i];

			clear();
			put(offset, "\xe8", 1, target);
			wrong += find(at(0), at(100), target, &found) != 1 || found != at(offset + 1);
			wrapped += find(at(0), at(100), target + (1ull << 32), NULL);
			wrapped += find(at(0), at(100), target - (1ull << 32), NULL);
		}
	}
	tap_is(wrong, 0, "references: calls over 2 GiB are found, up and down");
	tap_is(wrapped, 0, "references: an address 4 GiB beside the one that is called is another");
}

/* A range whose end is the end of what may be read. */
static void test_end_of_memory(void)
{
	unsigned wrong = 0;

	for (size_t bytes = 1; bytes < 60; bytes++) {
		uint8_t *code = malloc(bytes);
		uintptr_t end = (uintptr_t)code + bytes;
		const int32_t distance = 12345;

		if (code == NULL)
			continue;
		memset(code, FILLER, bytes);
		if (bytes >= 5) {
			code[bytes - 5] = 0xe8;
			memcpy(code + bytes - 4, &distance, sizeof distance);
		}
		wrong += find((uintptr_t)code, end, end + distance, NULL) != (bytes >= 5);
		free(code);
	}
	tap_is(wrong, 0,
	        "references: a call in the last bytes that may be read is found, and no more is read");
}

int main(void)
{
	test_kinds();
	test_lead_to();
	test_edges();
	test_ranges();
	test_most();
	test_several();
	test_far();
	test_end_of_memory();
	return tap_done();
}
