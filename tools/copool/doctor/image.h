/* SPDX-License-Identifier: MIT */
/* What a program's file has: names of functions, and its version. */
#ifndef COPOOL_TOOLS_DOCTOR_IMAGE_H
#define COPOOL_TOOLS_DOCTOR_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run/elf_file.h"

/* Opens a file of 64 bits; elf_file_close() closes it. Returns 0; or -errno, -ENOEXEC if it is no such file. */
int image_open(struct elf_file *image, const char *path);

/*
 * Looks a name up among the symbols for the loader. Returns whether it is there and is defined, or undefined as
 * `is_defined` asks; then with its value.
 */
bool image_has(const struct elf_file *image, const char *name, bool is_defined, uint64_t *value);

/* Whether the file's symbol table, which the loader does not read, has the name defined. */
bool image_lists(const struct elf_file *image, const char *name);

/*
 * Finds `before` followed by a version number (three numbers with points between them), and copies the number and the
 * rest of its line to `version`. Returns whether there is one.
 */
bool image_version(const struct elf_file *image, const char *before, char *version, size_t room);

#endif
