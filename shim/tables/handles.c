/* SPDX-License-Identifier: MIT */
/*
 * An open-addressed table of words: a handle in the low 48 bits, its number above them. The caller must add a handle before
 * other threads can have it, and remove it before it is destroyed: so no two threads change one handle at a time.
 */
#include "tables/handles.h"

#include "libc/real.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { ENTRIES = 1 << 20, PROBES = 64, NUMBER_SHIFT = 48 };

enum { FREE = 0, REMOVED = 1 };

struct handles {
	_Atomic uint64_t word[ENTRIES];
};

static const uint64_t HANDLE_MASK = ((uint64_t)1 << NUMBER_SHIFT) - 1;

/* [handles.word] relaxed in all of these: a word publishes nothing else. */
static uint64_t word_at(const struct handles *handles, uint64_t index)
{
	return atomic_load_explicit(
	        (_Atomic uint64_t *)&handles->word[index % ENTRIES], memory_order_relaxed);
}

static uint64_t first_index(const void *handle)
{
	return (uintptr_t)handle * 0x9e3779b97f4a7c15 >> 40; /* Fibonacci hashing (Knuth 6.4) */
}

struct handles *handles_make(void)
{
	return real_table(sizeof(struct handles));
}

bool handles_add(struct handles *handles, const void *handle, unsigned number)
{
	uint64_t word = (uintptr_t)handle | (uint64_t)number << NUMBER_SHIFT;

	if (((uintptr_t)handle & ~HANDLE_MASK) != 0 || (uintptr_t)handle <= REMOVED)
		return false;
	for (uint64_t i = first_index(handle), end = i + PROBES; i < end; i++) {
		uint64_t found = word_at(handles, i);

		if ((found == FREE || found == REMOVED) &&
		        atomic_compare_exchange_strong_explicit(&handles->word[i % ENTRIES], &found, word,
		                memory_order_relaxed, memory_order_relaxed))
			return true;
	}
	return false;
}

/* Returns the index of the handle, or -1. */
static int64_t index_of(const struct handles *handles, const void *handle)
{
	for (uint64_t i = first_index(handle), end = i + PROBES; i < end; i++) {
		uint64_t found = word_at(handles, i);

		if (found == FREE)
			return -1;
		if ((found & HANDLE_MASK) == (uintptr_t)handle && found > REMOVED)
			return i % ENTRIES;
	}
	return -1;
}

int handles_find(const struct handles *handles, const void *handle)
{
	int64_t index = index_of(handles, handle);

	return index < 0 ? HANDLES_ABSENT : (int)(word_at(handles, index) >> NUMBER_SHIFT);
}

void handles_remove(struct handles *handles, const void *handle)
{
	int64_t index = index_of(handles, handle);

	if (index >= 0)
		atomic_store_explicit(&handles->word[index], REMOVED, memory_order_relaxed);
}

void handles_count(const struct handles *handles, unsigned *count, unsigned numbers)
{
	for (uint64_t i = 0; i < ENTRIES; i++) {
		uint64_t word = word_at(handles, i);

		if (word > REMOVED && word >> NUMBER_SHIFT < numbers)
			count[word >> NUMBER_SHIFT]++;
	}
}
