/* SPDX-License-Identifier: MIT */
/* Reads each object's symbols once, and looks each of them up in the sorted addresses. */
#include "report/origins/symbolize.h"

#include "system/self.h"
#include "patch/symbols.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* State of the walk over the loaded objects. */
struct search {
	struct names *names;
	unsigned first, end; /* the addresses in the present object */
	uintptr_t bias;
};

/* The index of the first name at or after `address`. */
static unsigned first_from(const struct names *names, uintptr_t address)
{
	unsigned low = 0, high = names->count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (names->name[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void symbolize_add(struct names *names, uintptr_t address)
{
	unsigned at = first_from(names, address);

	if (names->count == NAMES_MAX || (at < names->count && names->name[at].address == address))
		return;
	memmove(&names->name[at + 1], &names->name[at], (names->count - at) * sizeof(struct name));
	names->count++;
	names->name[at] = (struct name){.address = address};
	snprintf(names->name[at].text, NAMES_BYTES, "%#lx", (unsigned long)address);
}

static bool take_object(void *to, const struct symbols_object *object)
{
	struct search *search = to;
	const char *slash = strrchr(object->path, '/');
	const char *module = slash != NULL ? slash + 1 : object->path;

	if (object->path[0] == '\0')
		module = self_name();
	search->bias = object->bias;
	search->first = first_from(search->names, object->low);
	search->end = first_from(search->names, object->high);
	for (unsigned i = search->first; i < search->end; i++) {
		struct name *name = &search->names->name[i];

		snprintf(name->text, NAMES_BYTES, "%.60s+%#lx", module,
		        (unsigned long)(name->address - object->bias));
		name->module_bytes = strlen(name->text);
	}
	return search->first < search->end;
}

static void take_symbol(void *to, const Elf64_Sym *symbol, const char *function)
{
	struct search *search = to;
	uintptr_t low = search->bias + symbol->st_value;

	if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_shndx == SHN_UNDEF)
		return;
	for (unsigned i = first_from(search->names, low); i < search->end; i++) {
		struct name *name = &search->names->name[i];

		if (i < search->first || name->address - low >= symbol->st_size)
			return;
		snprintf(name->text + name->module_bytes, NAMES_BYTES - name->module_bytes, " %.*s",
		        (int)strcspn(function, "@"), function);
	}
}

void symbolize_resolve(struct names *names)
{
	static const struct symbols_visitor visitor = {take_object, take_symbol};
	struct search search = {.names = names};

	symbols_each(&visitor, &search, SYMBOLS_DEBUG_ROOT);
}

const char *symbolize_text(const struct names *names, uintptr_t address)
{
	unsigned at = first_from(names, address);

	return at < names->count && names->name[at].address == address ? names->name[at].text : "?";
}
