/* SPDX-License-Identifier: MIT */
/*
 * make_fcontext writes the address of a part of itself to the top of a new stack. The context's first function would
 * return to it, which ends the process (see libs/context/src/asm/make_x86_64_sysv_elf_gas.S).
 */
#include "adapter/contexts.h"

#include "adapter/program.h"
#include "patch/extent.h"
#include "patch/imports.h"
#include "patch/symbols.h"

#include <link.h>
#include <string.h>

static int find_boost(struct dl_phdr_info *object, size_t bytes, void *found)
{
	const char *name = strrchr(object->dlpi_name, '/');

	(void)bytes;
	name = name != NULL ? name + 1 : object->dlpi_name;
	*(bool *)found = strncmp(name, "libboost_context.", 17) == 0 ||
	                 strncmp(name, "libboost_coroutine.", 19) == 0 ||
	                 strncmp(name, "libboost_fiber.", 15) == 0;
	return *(bool *)found;
}

bool contexts_has_boost(void)
{
	bool found = false;

	dl_iterate_phdr(find_boost, &found);
	return found;
}

static const char MAKE[] = "make_fcontext";

/* Sets `target` to where the function's calls of make_fcontext go. */
static bool find(const void *caller, uintptr_t *target)
{
	struct elf_image image;
	struct extent function;

	return program_stays(caller) && program_find_image(caller, &image) &&
	       extent_find(&image, (uintptr_t)caller - 1, &function) &&
	       imports_are_called(&image, &function, MAKE, target) &&
	       imports_are_called(&image, &function, "mprotect", NULL);
}

bool contexts_are_made(const void *caller)
{
	return find(caller, NULL);
}

void contexts_learn(struct roots *roots, const void *caller)
{
	struct elf_symbol symbol;
	struct elf_image image;
	uintptr_t target;

	if (!find(caller, &target) || !program_find_image((void *)target, &image) ||
	        elf_find_dynamic(&image, MAKE, ELF_FUNCTION, &symbol) != 0 ||
	        symbol.value != target - image.bias)
		return;
	roots->low = target;
	roots->high = target + symbol.size;
}

bool contexts_find_allocate(struct extent *allocate)
{
	struct symbols symbols;
	struct symbol found = {0};

	if (symbols_open(&symbols) != 0)
		return false;
	if (imports_has(&symbols.image, MAKE) && imports_has(&symbols.image, "mprotect") &&
	        symbols_open_files(&symbols, NULL) == 0 &&
	        symbols_find(&symbols, CONTEXTS_ALLOCATE, ELF_FUNCTION, &found) != 0)
		found.size = 0;
	symbols_close(&symbols);
	*allocate = (struct extent){(uintptr_t)found.address, (uintptr_t)found.address + found.size};
	return found.size != 0;
}
