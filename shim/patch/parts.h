/* SPDX-License-Identifier: MIT */
/*
 * Code that a function jumps to or calls outside of its own bytes. A compiler may have put what is rarely executed
 * elsewhere ("f.cold"), and branches from there lead back.
 *
 * No state; reads the program's code. Any thread.
 */
#ifndef COPOOL_PATCH_PARTS_H
#define COPOOL_PATCH_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patch/decode.h"

/* A search in all that a function calls, its callees' callees among it. */
enum { PARTS_DEPTH = 8, PARTS_INSTRUCTIONS = 4096 };

/*
 * The code at an address, in the segment of `code`, of unknown size. False: it is not there, or `code` is a copy, around
 * which nothing can be read.
 */
bool part_at(const struct decode_code *code, uint64_t address, struct decode_code *part);

/* Whether the code around an address outside of the function leads to one of its bytes from `begin` to before `end`. */
bool part_leads_back(const struct decode_code *code, uint64_t address, size_t begin, size_t end);

#endif
