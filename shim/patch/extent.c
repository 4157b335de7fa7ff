/* SPDX-License-Identifier: MIT */
/*
 * The table in the form that linkers write: {version 1, the encodings of three numbers, of which the last means two
 * signed words relative to the table}, the address of .eh_frame, the number of entries; then the entries by rising
 * address: {function, description}. A description is {its length, a link, the function relative to that word, the
 * function's length}. No other form is read.
 */
#include "patch/extent.h"

#include <string.h>

enum {
	HEADER_BYTES = 12,
	COUNT_OFFSET = 8,
	ENTRY_BYTES = 8,
	PLACE_OFFSET = 8,
	LENGTH_OFFSET = 12,
	HEAD_BYTES = 16
};

static const uint8_t FORM[4] = {1, 0x1b, 0x03, 0x3b};

static int32_t word_at(const uint8_t *from)
{
	int32_t word;

	memcpy(&word, from, sizeof word);
	return word;
}

/* The last entry whose function begins at or before `offset` from the table; NULL: there is none. */
static const uint8_t *find_entry(const uint8_t *entries, uint32_t count, int64_t offset)
{
	uint32_t low = 0, high = count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (word_at(entries + (size_t)middle * ENTRY_BYTES) <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? entries + (size_t)(low - 1) * ENTRY_BYTES : NULL;
}

/* `at` and `table` are link-time addresses, as in the table. */
static bool search(const struct elf_image *image, uint64_t table, uint64_t at, struct extent *function)
{
	const uint8_t *header = elf_at(image, table, HEADER_BYTES), *entry, *description;
	uint64_t begin, place;
	uint32_t count, length;

	if (header == NULL || memcmp(header, FORM, sizeof FORM) != 0)
		return false;
	count = (uint32_t)word_at(header + COUNT_OFFSET);
	entry = elf_at(image, table + HEADER_BYTES, (uint64_t)count * ENTRY_BYTES);
	if (entry == NULL || (entry = find_entry(entry, count, (int64_t)(at - table))) == NULL)
		return false;
	begin = table + (uint64_t)(int64_t)word_at(entry);
	place = table + (uint64_t)(int64_t)word_at(entry + sizeof(int32_t));
	description = elf_at(image, place, HEAD_BYTES);
	/* This also checks the form of the description. */
	if (description == NULL ||
	        place + PLACE_OFFSET + (uint64_t)(int64_t)word_at(description + PLACE_OFFSET) != begin)
		return false;
	length = (uint32_t)word_at(description + LENGTH_OFFSET);
	if (at - begin >= length || elf_at(image, begin, length) == NULL)
		return false;
	*function = (struct extent){image->bias + begin, image->bias + begin + length};
	return true;
}

bool extent_find(const struct elf_image *image, uintptr_t address, struct extent *function)
{
	for (size_t i = 0; i < image->count; i++) {
		if (image->headers[i].p_type == PT_GNU_EH_FRAME)
			return search(image, image->headers[i].p_vaddr, address - image->bias, function);
	}
	return false;
}
