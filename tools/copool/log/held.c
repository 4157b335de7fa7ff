/* SPDX-License-Identifier: MIT */
/*
 * An idle stack keeps every page that it touched, so the mean depth of the measured stacks is what one uses. QEMU's idle
 * coroutines keep their stacks, whose depths are in the records of another pool.
 */
#include "log/held.h"

#include <string.h>

#include "log/owner.h"

enum { GUESSED_PAGES = 2, PAGE_BYTES = 4096 /* those of 0.1.0, which does not say */ };

static const double bytes_most = 1 << 30;

/* The size of the process's pages. */
static double page_bytes(const struct book_process *process)
{
	double bytes = json_number_value(json_object_get(process->open, "page_bytes"));

	return bytes >= PAGE_BYTES && bytes <= bytes_most ? bytes : PAGE_BYTES;
}

struct held held_each(const struct book_process *process, size_t pool)
{
	const char *name = json_string_value(json_object_get(process->pool[pool], "pool"));
	bool is_coroutine = strcmp(name, "qemu-coroutine") == 0;

	for (size_t i = 0; i < process->pools; i++) {
		const json_t *depth = process->depth[i];
		const char *above = owner_part_of(depth);

		if (depth == NULL || !(i == pool || (above != NULL && strcmp(above, name) == 0)))
			continue;
		double mean = json_number_value(json_object_get(depth, "mean"));
		if (mean > 0 && mean <= bytes_most)
			return (struct held){HELD_SEEN, mean};
	}
	if (is_coroutine || strncmp(name, "stack ", 6) == 0)
		return (struct held){HELD_GUESSED, GUESSED_PAGES * page_bytes(process)};
	return (struct held){HELD_UNKNOWN, 0};
}

const char *held_word(enum held_how how)
{
	return how == HELD_SEEN ? "seen" : how == HELD_GUESSED ? "guessed" : "unknown";
}
