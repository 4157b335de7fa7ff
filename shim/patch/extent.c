/* SPDX-License-Identifier: MIT */
/*
 * The table as linkers make it: {version 1, how three numbers are written, the last being the entries: two signed words,
 * relative to the table}, where .eh_frame is, how many entries; then entries by rising address: {function, description}.
 * A description is {its length, a link, the function, relative to that word, and its length}. Anything else is not read.
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

/* The last entry whose function begins at `offset` from the table, or before; NULL: there is none. */
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

/* `at` and `table` are link-time addresses, as the table counts. */
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
	/* Which also tells that it is written as expected. */
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
