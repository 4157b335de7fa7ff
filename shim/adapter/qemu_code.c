/* SPDX-License-Identifier: MIT */
/* Who calls QEMU's functions. What else their code says is for each processor in a file of its own. */
#include "adapter/qemu_code.h"

enum { YIELD = 1, TERMINATE = 2 }; /* QEMU's enum CoroutineAction */

enum { FILE_BYTES = 1 << 14 };

static bool is_in(const struct decode_code *code, uintptr_t address)
{
	return address - code->address < code->size;
}

/*
 * If QEMU was compiled file by file, copies of its coroutine functions are near by, with the rest of their file; and
 * its loop calls qemu_coroutine_delete, which is in another file. Compiled as a whole, it may have them anywhere.
 */
static bool is_compiled_by_file(const struct decode_code *enter, uint64_t delete_at)
{
	struct references found = {.target = delete_at};

	references_find(enter->address, enter->address + enter->size, &found, 1);
	return found.count > 0;
}

void qemu_code_callers(const struct decode_code *enter, uint64_t new_at, uint64_t switch_at,
        uint64_t delete_at, struct qemu_callers *callers)
{
	struct references found[] = {{.target = new_at}, {.target = switch_at}};
	uintptr_t low = enter->text_low, high = enter->text_high;

	if (is_compiled_by_file(enter, delete_at)) {
		if (enter->address - low > FILE_BYTES)
			low = enter->address - FILE_BYTES;
		if (high - enter->address > FILE_BYTES)
			high = enter->address + FILE_BYTES;
	}
	references_find(low, high, found, 2);
	*callers = (struct qemu_callers){found[0], found[1]};
}

const char *qemu_code_only_create(const struct qemu_callers *callers, const struct decode_code *create)
{
	return callers->new.count == 1 && is_in(create, callers->new.place[0])
	               ? NULL
	               : "others call qemu_coroutine_new as well";
}

const char *qemu_code_only_enter(const struct qemu_callers *callers, const struct decode_code *enter)
{
	const struct references *found = &callers->switching;
	size_t own = 0;

	for (size_t i = 0; i < found->count && i < REFERENCES_MOST; i++) {
		unsigned action = qemu_code_action(enter->text_low, found->place[i]);

		if (is_in(enter, found->place[i]))
			own++;
		else if (action != YIELD && action != TERMINATE)
			return "others enter coroutines as well";
	}
	return own == 1 && found->count <= REFERENCES_MOST ? NULL : QEMU_CODE_UNKNOWN;
}

bool qemu_code_is_called(const struct decode_code *function)
{
	struct references found = {.target = function->address};

	references_find(function->text_low, function->text_high, &found, 1);
	return found.count > 0;
}
