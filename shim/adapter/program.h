/* SPDX-License-Identifier: MIT */
/* What adapters ask about the running program before they change it. */
#ifndef COPOOL_ADAPTER_PROGRAM_H
#define COPOOL_ADAPTER_PROGRAM_H

#include "patch/elf.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether the program's own code has not run yet: we were loaded with the program (LD_PRELOAD, or linked), not later
 * by dlopen. Only then no thread can be inside its functions.
 */
bool program_is_starting(void);

/*
 * A number that identifies the program, or library, of an address, by its place and its contents: another object in
 * the same place has another number, if its build id or its headers differ. 0: there is none. Takes no lock but
 * object_find()'s.
 */
uint64_t program_object(const void *address);

/* Finds the image of the program, or library, of an address. Takes no lock but object_find()'s. False: there is none. */
bool program_find_image(const void *address, struct elf_image *image);

/*
 * Whether the object of an address is the program or was loaded with it, so that it is never unloaded. False for an
 * object behind libc in the loader's list, of which that is not known. Takes no lock but object_find()'s.
 */
bool program_stays(const void *address);

#endif
