/* SPDX-License-Identifier: MIT */
/*
 * The deepest stack counts, not the 99.9 %, since one that overflows kills the program. It is doubled for what was not
 * seen: other inputs, error paths, a signal handler's frame.
 */
#include "log/stack_size.h"

#include <stdio.h>
#include <string.h>

static json_int_t number(const json_t *record, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(record, name));

	return value > 0 && value < (json_int_t)1 << 50 ? value : 0;
}

/* The name is "stack BYTES OWNER", and more after a space if several had the same name. */
bool depth_is_of(const json_t *record, const char *owner)
{
	const char *name = json_string_value(json_object_get(record, "pool"));
	const char *word = name != NULL && strncmp(name, "stack ", 6) == 0 ? strchr(name + 6, ' ') : NULL;
	size_t length = strlen(owner);

	return word != NULL && strncmp(word + 1, owner, length) == 0 &&
	       (word[1 + length] == '\0' || word[1 + length] == ' ');
}

/*
 * Returns a stack size in bytes that leaves as much room again as the deepest stack took, a power of two; 0 if too few
 * stacks were seen, or if theirs is not too large.
 */
static json_int_t recommend(const json_t *record)
{
	json_int_t size = DEPTH_SIZE_MIN, deepest = number(record, "deepest");

	if (number(record, "stacks") < DEPTH_STACKS_MIN || deepest == 0)
		return 0;
	while (size < 2 * deepest)
		size *= 2;
	return size < number(record, "stack_bytes") ? size : 0;
}

char *depth_size(json_int_t bytes, char *text, size_t room)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB"};
	double size = (double)bytes;
	size_t unit = 0;

	for (; size >= 1024 && unit + 1 < sizeof units / sizeof units[0]; unit++)
		size /= 1024;
	snprintf(text, room, size == (double)(long long)size || size >= 100 ? "%.0f %s" : "%.1f %s", size,
	        units[unit]);
	return text;
}

/* Which size is enough. */
static void say_size(const json_t *record, char *text, size_t room)
{
	json_int_t size = recommend(record);
	char bytes[32];

	if (depth_is_of(record, "qemu"))
		snprintf(text, room, "; QEMU has no setting for it");
	else if (number(record, "stacks") < DEPTH_STACKS_MIN)
		snprintf(text, room, "; too few to recommend a size");
	else if (size == 0)
		snprintf(text, room, "; no smaller size would be safe");
	else if (depth_is_of(record, "php"))
		snprintf(text, room, "; fiber.stack_size=%lldK is enough", (long long)size >> 10);
	else
		snprintf(text, room, "; stacks of %s are enough", depth_size(size, bytes, sizeof bytes));
}

void depth_say(const json_t *record, char *text)
{
	char most[32], deepest[32], has[32];
	int used = snprintf(text, DEPTH_TEXT, "%lld stacks seen: 99.9 %% use %s, the deepest %s, of %s",
	        (long long)number(record, "stacks"), depth_size(number(record, "p999"), most, sizeof most),
	        depth_size(number(record, "deepest"), deepest, sizeof deepest),
	        depth_size(number(record, "stack_bytes"), has, sizeof has));

	if (used > 0 && used < DEPTH_TEXT)
		say_size(record, text + used, DEPTH_TEXT - (size_t)used);
}

json_t *depth_as_json(const json_t *record)
{
	json_t *copy = json_copy((json_t *)record);
	json_int_t size = depth_is_of(record, "qemu") ? 0 : recommend(record);

	if (size)
		json_object_set_new(copy, "recommended_bytes", json_integer(size));
	return copy;
}
