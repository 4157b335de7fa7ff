/* SPDX-License-Identifier: MIT */
/*
 * x86 instructions begin at any byte, so every byte is tried as a call or jump; sixteen at a time, because a system
 * emulator has ten million bytes of code. Four bytes of distance follow, relative to their end.
 */
#include "patch/references.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { DISTANCE_BYTES = sizeof(int32_t), STEP = 16 };

enum {
	CALL = 0xe8,
	BUT_LOWEST = 0xfe
}; /* the first byte of a call; in that of a jump the lowest bit is set */

/* Checks a call or jump: `at` is the address behind its first byte. */
static void note(uintptr_t at, struct references *references, size_t number)
{
	int32_t distance;

	memcpy(&distance, (const void *)at, sizeof distance);
	for (size_t i = 0; i < number; i++) {
		if (at + DISTANCE_BYTES + (uintptr_t)(intptr_t)distance != references[i].target)
			continue;
		if (references[i].count < REFERENCES_MOST)
			references[i].place[references[i].count] = at;
		references[i].count++;
	}
}

/* A bit for each of the sixteen bytes from `at` that may begin one. */
static unsigned candidates(uintptr_t at)
{
#ifdef __SSE2__
	__m128i bytes = _mm_loadu_si128((const __m128i *)at);

	bytes = _mm_and_si128(bytes, _mm_set1_epi8((char)BUT_LOWEST));
	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)CALL)));
#else
	unsigned found = 0;

	for (unsigned i = 0; i < STEP; i++)
		found |= (unsigned)((((const uint8_t *)at)[i] & BUT_LOWEST) == CALL) << i;
	return found;
#endif
}

void references_find(uintptr_t low, uintptr_t high, struct references *references, size_t number)
{
	/* Behind the last byte that can begin one. */
	uintptr_t end = high > low && high - low > DISTANCE_BYTES ? high - DISTANCE_BYTES : low, at = low;

	for (size_t i = 0; i < number; i++)
		references[i].count = 0;
	for (; end - at >= STEP; at += STEP) {
		for (unsigned found = candidates(at); found != 0; found &= found - 1)
			note(at + (unsigned)__builtin_ctz(found) + 1, references, number);
	}
	for (; at < end; at++) {
		if ((*(const uint8_t *)at & BUT_LOWEST) == CALL)
			note(at + 1, references, number);
	}
}
