/* SPDX-License-Identifier: MIT */
/*
 * Which function an address lies in, where no symbol says so: by the table that unwinders search (.eh_frame_hdr). C++
 * programs have it also when they are stripped; a function that the compiler has split counts as two.
 *
 * No state; reads a loaded image. Any thread.
 */
#ifndef COPOOL_PATCH_EXTENT_H
#define COPOOL_PATCH_EXTENT_H

#include "patch/elf.h"

#include <stdbool.h>
#include <stdint.h>

/* Addresses in this process: of the first byte, and of the one after the last. */
struct extent {
	uintptr_t low, high;
};

/* The function of the image that holds the byte at `address`. False: no table that can be read knows one. */
bool extent_find(const struct elf_image *image, uintptr_t address, struct extent *function);

#endif
