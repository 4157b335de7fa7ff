/* SPDX-License-Identifier: MIT */
/* The value of an option of QEMU's ends at a comma; two commas are one that belongs to the value. */
#include "adapter/qemu_label.h"

#include <stdbool.h>
#include <string.h>

/* Copies one value, cut to `bytes`. Returns where it ends. */
static const char *copy_value(const char *from, char *label, size_t bytes)
{
	size_t used = 0;

	for (; *from != '\0'; from++) {
		if (*from == ',' && *++from != ',')
			break;
		if (used < bytes - 1)
			label[used++] = *from;
	}
	label[used] = '\0';
	return from;
}

/* The name in the value of -name: `NAME,...', or among its keys `guest=NAME'. */
static void copy_guest(const char *value, char *label, size_t bytes)
{
	bool is_first = true;

	while (*value != '\0') {
		size_t key = strcspn(value, "=,");
		bool has_key = value[key] == '=';

		if (has_key && key == strlen("guest") && strncmp(value, "guest", key) == 0) {
			copy_value(value + key + 1, label, bytes);
			return;
		}
		if (is_first && !has_key) {
			copy_value(value, label, bytes);
			return;
		}
		is_first = false;
		/* To the next key: two commas do not end a value. */
		for (value += key; *value != '\0'; value++) {
			if (*value == ',' && *++value != ',')
				break;
		}
	}
}

void qemu_label_find(char *const *arguments, char *label, size_t bytes)
{
	label[0] = '\0';
	if (arguments == NULL || arguments[0] == NULL)
		return;
	for (arguments++; arguments[0] != NULL && arguments[1] != NULL; arguments++) {
		/* The last -name counts, as it does for QEMU. */
		if (strcmp(arguments[0], "-name") == 0 || strcmp(arguments[0], "--name") == 0)
			copy_guest(arguments[1], label, bytes);
	}
}
