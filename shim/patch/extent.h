/* SPDX-License-Identifier: MIT */
/*
 * Which function an address lies in, if no symbol tells: by the table that unwinders search (.eh_frame_hdr). C++
 * programs have it even if they are stripped. A function that the compiler has split counts as two.
 *
 * No state; reads a loaded image. Any thread.
 */
#ifndef COPOOL_PATCH_EXTENT_H
#define COPOOL_PATCH_EXTENT_H

#include "patch/elf.h"

#include <stdbool.h>
#include <stdint.h>

/* Addresses in this process: the first byte, and the byte after the last. */
struct extent {
	uintptr_t low, high;
};

/* Finds the function of the image that has the byte at `address`. False: no readable table has it. */
bool extent_find(const struct elf_image *image, uintptr_t address, struct extent *function);

#endif
