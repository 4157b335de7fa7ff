/* SPDX-License-Identifier: MIT */
/* A block of counters in a program of ours, and the note by which readers find it: see shim/report/outside_view.c. */
#ifndef COPOOL_TESTS_PROGRAMS_BLOCK_H
#define COPOOL_TESTS_PROGRAMS_BLOCK_H

#include "../../shim/report/record_block.h"

struct record_block copool_block __attribute__((visibility("hidden")));

__asm__(".pushsection .note.copool, \"a\", %note\n"
        ".balign 4\n"
        ".long 7, 8, 1\n"
        ".asciz \"" RECORD_NOTE_NAME "\"\n"
        ".balign 4\n"
        ".quad copool_block - .\n"
        ".popsection");

#endif
