/* SPDX-License-Identifier: MIT */
/* The functions by which the library knows coroutines; tests/65-doctor.bats holds them against shim/adapter/sites.c. */
#ifndef COPOOL_TOOLS_DOCTOR_KNOWN_H
#define COPOOL_TOOLS_DOCTOR_KNOWN_H

#include <sys/types.h>

#include "doctor/image.h"

/* Whose coroutines a file brings: "PHP's fibers"; NULL: none that are known. */
const char *known_in(const struct elf_file *image);

/* The same for all files that a process has loaded. Returns 0 or -errno, and sets *of. */
int known_in_process(pid_t pid, const char **of);

/*
 * A sentence for a program of this name that brings none but may have some in another way, and a code for it: "later" (in a
 * library that it may load), "own_pool", "static" (known ones, linked statically), "contexts" (it switches contexts itself).
 * NULL: there is none.
 */
const char *known_hint(const char *name, const struct elf_file *image, const char **code);

#endif
