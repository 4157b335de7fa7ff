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

/* Whether a distance at `at` leads there. */
static bool leads_to(uintptr_t at, uintptr_t first, uintptr_t last)
{
	int32_t distance;

	memcpy(&distance, (const void *)at, sizeof distance);
	return at + DISTANCE_BYTES + (uintptr_t)(intptr_t)distance - first <= last - first;
}

/* Whether a byte may be the last of the opcode of a branch, 0f 80 to 0f 8f. */
static bool is_branch(const uint8_t *byte)
{
	return (*byte & 0xf0) == 0x80 && byte[-1] == 0x0f;
}

/* A bit for each of the sixteen bytes from `at` that may be. */
static unsigned branches(uintptr_t at)
{
#ifdef __SSE2__
	__m128i bytes = _mm_loadu_si128((const __m128i *)at);
	__m128i before = _mm_loadu_si128((const __m128i *)(at - 1));

	bytes = _mm_and_si128(bytes, _mm_set1_epi8((char)0xf0));
	bytes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)0x80));
	before = _mm_cmpeq_epi8(before, _mm_set1_epi8(0x0f));
	return (unsigned)_mm_movemask_epi8(_mm_and_si128(bytes, before));
#else
	unsigned found = 0;

	for (unsigned i = 0; i < STEP; i++)
		found |= (unsigned)is_branch((const uint8_t *)at + i) << i;
	return found;
#endif
}

bool references_lead_to(uintptr_t low, uintptr_t high, uintptr_t first, uintptr_t last)
{
	/* As in references_find; the first byte has none before it. */
	uintptr_t end = high > low && high - low > DISTANCE_BYTES ? high - DISTANCE_BYTES : low, at = low;

	while (at < end) {
		const uint8_t *byte = (const uint8_t *)at;
		unsigned step = at > low && end - at >= STEP ? STEP : 1;
		unsigned found = step == STEP ? candidates(at) | branches(at)
		                              : (*byte & BUT_LOWEST) == CALL || (at > low && is_branch(byte));

		for (; found != 0; found &= found - 1) {
			if (leads_to(at + (unsigned)__builtin_ctz(found) + 1, first, last))
				return true;
		}
		at += step;
	}
	return false;
}
