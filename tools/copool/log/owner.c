/* SPDX-License-Identifier: MIT */
#include "log/owner.h"

#include <string.h>

/* An old name is "stack BYTES OWNER", with a blank and more where several would have the same. */
static bool is_named_after(const json_t *record, const char *owner)
{
	const char *name = json_string_value(json_object_get(record, "pool"));
	const char *word = name != NULL && strncmp(name, "stack ", 6) == 0 ? strchr(name + 6, ' ') : NULL;
	size_t length = strlen(owner);

	return word != NULL && strncmp(word + 1, owner, length) == 0 &&
	       (word[1 + length] == '\0' || word[1 + length] == ' ');
}

bool owner_is(const json_t *record, const char *owner)
{
	const char *said = json_string_value(json_object_get(record, "owner"));

	return said != NULL ? strcmp(said, owner) == 0 : is_named_after(record, owner);
}

const char *owner_part_of(const json_t *record)
{
	if (json_object_get(record, "owner") != NULL)
		return json_string_value(json_object_get(record, "part_of"));
	return is_named_after(record, "qemu") ? "qemu-coroutine" : NULL;
}
