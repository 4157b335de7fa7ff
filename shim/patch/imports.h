/* SPDX-License-Identifier: MIT */
/*
 * Which functions of other objects a piece of code calls by name: through the words that the loader fills in for that
 * name (the global offset table), directly or through a stub (the procedure linkage table).
 *
 * x86-64 and aarch64. No state; reads a loaded image. Any thread.
 */
#ifndef COPOOL_PATCH_IMPORTS_H
#define COPOOL_PATCH_IMPORTS_H

#include "patch/elf.h"
#include "patch/extent.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether `code`, a part of the image, calls `name`. Sets `target`, unless it is NULL, to where such a call goes now;
 * before the first call of that name this may be a stub of the loader's.
 */
bool imports_are_called(
        const struct elf_image *image, const struct extent *code, const char *name, uintptr_t *target);

/* Whether the image has a word for that name, so that it may call it. */
bool imports_has(const struct elf_image *image, const char *name);

#endif
