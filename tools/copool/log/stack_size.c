/* SPDX-License-Identifier: MIT */
/*
 * The deepest stack counts, not the 99.9 %, since one that overflows kills the program. It is doubled for what was not
 * seen: other inputs, error paths, a signal handler's frame.
 */
#include "log/stack_size.h"

#include <stdio.h>

#include "log/owner.h"

#include "amount.h"

enum {
	STACKS_MIN = 100,    /* fewer are too few for advice */
	SIZE_MIN = 64 << 10, /* no smaller size is ever recommended */
};

static json_int_t number(const json_t *record, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(record, name));

	return value > 0 && value < (json_int_t)1 << 50 ? value : 0;
}

/*
 * Returns a stack size in bytes that leaves as much room again as the deepest stack took, a power of two; 0 if too few
 * stacks were seen, or if theirs is not too large.
 */
static json_int_t recommend(const json_t *record)
{
	json_int_t size = SIZE_MIN, deepest = number(record, "deepest");

	if (number(record, "stacks") < STACKS_MIN || deepest == 0)
		return 0;
	while (size < 2 * deepest)
		size *= 2;
	return size < number(record, "stack_bytes") ? size : 0;
}

/* Which size is enough. */
static void say_size(const json_t *record, char *text, size_t room)
{
	json_int_t size = recommend(record);
	char bytes[AMOUNT_BYTES];

	if (owner_is(record, "qemu"))
		snprintf(text, room, "; QEMU has no setting for it");
	else if (number(record, "stacks") < STACKS_MIN)
		snprintf(text, room, "; too few to recommend a size");
	else if (size == 0)
		snprintf(text, room, "; no smaller size would be safe");
	else if (owner_is(record, "php"))
		snprintf(text, room, "; fiber.stack_size=%lldK is enough", (long long)size >> 10);
	else
		snprintf(text, room, "; stacks of %s are enough", amount_bytes((double)size, bytes));
}

void stack_size_say(const json_t *record, char *text)
{
	char most[AMOUNT_BYTES], deepest[AMOUNT_BYTES], has[AMOUNT_BYTES];
	json_int_t stacks = number(record, "stacks");
	int used = snprintf(text, STACK_SIZE_TEXT, "%lld stack%s seen: 99.9 %% use %s, the deepest %s, of %s",
	        (long long)stacks, stacks == 1 ? "" : "s", amount_bytes((double)number(record, "p999"), most),
	        amount_bytes((double)number(record, "deepest"), deepest),
	        amount_bytes((double)number(record, "stack_bytes"), has));

	if (used > 0 && used < STACK_SIZE_TEXT)
		say_size(record, text + used, STACK_SIZE_TEXT - (size_t)used);
}

json_t *stack_size_as_json(const json_t *record)
{
	json_t *copy = json_copy((json_t *)record);
	json_int_t size = owner_is(record, "qemu") ? 0 : recommend(record);

	if (size)
		json_object_set_new(copy, "recommended_bytes", json_integer(size));
	return copy;
}
