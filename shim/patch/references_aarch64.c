/* SPDX-License-Identifier: MIT */
/* b and bl, with their distance in 26 bits, in words; and the branches, with fewer. */
#include "patch/references.h"

#include "patch/a64.h"

#include <string.h>

enum { WORD_BYTES = sizeof(uint32_t), DISTANCE_BITS = 26, JUMP = 0x05 };

void references_find(uintptr_t low, uintptr_t high, struct references *references, size_t number)
{
	uintptr_t at = (low + WORD_BYTES - 1) & ~(uintptr_t)(WORD_BYTES - 1);

	for (size_t i = 0; i < number; i++)
		references[i].count = 0;
	for (; at < high && high - at >= WORD_BYTES; at += WORD_BYTES) {
		int32_t distance;
		uint32_t word;

		memcpy(&word, (const void *)at, sizeof word);
		if ((word >> DISTANCE_BITS & 0x1f) != JUMP) /* the highest bit tells bl from b */
			continue;
		distance = (int32_t)(word << (32 - DISTANCE_BITS)) >> (32 - DISTANCE_BITS - 2);
		for (size_t i = 0; i < number; i++) {
			if (at + (uintptr_t)(intptr_t)distance != references[i].target)
				continue;
			if (references[i].count < REFERENCES_MOST)
				references[i].place[references[i].count] = at;
			references[i].count++;
		}
	}
}

bool references_lead_to(uintptr_t low, uintptr_t high, uintptr_t first, uintptr_t last)
{
	for (uintptr_t at = low & ~(uintptr_t)(WORD_BYTES - 1); at < high && high - at >= WORD_BYTES;
	        at += WORD_BYTES) {
		struct a64 in;
		uint32_t word;

		memcpy(&word, (const void *)at, sizeof word);
		in = a64_decode(word, at);
		if ((in.kind == A64_BRANCH || in.kind == A64_JUMP || in.kind == A64_CALL) &&
		        in.target - first <= last - first)
			return true;
	}
	return false;
}
