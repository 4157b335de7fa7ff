/* SPDX-License-Identifier: MIT */
/* What hosts ask about the running program before they change it. */
#ifndef COPOOL_ADAPTER_PROGRAM_H
#define COPOOL_ADAPTER_PROGRAM_H

#include "patch/elf.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether the program's own code has not run yet: we came with the program (LD_PRELOAD, or linked to it), not
 * later by dlopen. Only then nobody can be inside its functions.
 */
bool program_is_starting(void);

/*
 * A number that stands for the program, or library, that an address lies in: by where it lies, and what it is. Another
 * one in the same place has another, as far as its build id or its headers tell. 0: there is none. Takes no lock.
 */
uint64_t program_object(const void *address);

/* The image of the program, or library, that an address lies in. Takes no lock of the loader's. False: there is none. */
bool program_find_image(const void *address, struct elf_image *image);

/*
 * Whether the object that an address lies in is the program itself, or came with it, so that it is never unloaded. Of one
 * that comes after libc in the loader's list it is not known: false. Takes no lock of the loader's.
 */
bool program_stays(const void *address);

#endif
