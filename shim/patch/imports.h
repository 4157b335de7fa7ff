/* SPDX-License-Identifier: MIT */
/*
 * Which functions of other objects a piece of code calls by name: through the words that the loader has filled in for
 * that name (the global offset table), directly or by way of a stub (the procedure linkage table).
 *
 * x86-64; elsewhere no call is seen. No state; reads a loaded image. Any thread.
 */
#ifndef COPOOL_PATCH_IMPORTS_H
#define COPOOL_PATCH_IMPORTS_H

#include "patch/elf.h"
#include "patch/extent.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether `code`, a part of the image, has a call of `name`. `target` gets the address that such a call goes to now; with
 * a name that has not been called yet that may be a stub of the loader's. NULL: nobody wants to know.
 */
bool imports_are_called(
        const struct elf_image *image, const struct extent *code, const char *name, uintptr_t *target);

/* Whether the image has words for that name: it may call it. */
bool imports_has(const struct elf_image *image, const char *name);

#endif
