/* SPDX-License-Identifier: MIT */
/*
 * What the targets share. A target is a function of libFuzzer that is given bytes; whatever it finds wrong it
 * says, and dies, so that the bytes are kept.
 */
#ifndef COPOOL_TESTS_FUZZ_FUZZ_H
#define COPOOL_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Called once before the first input; may be missing. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Changes an input in place, to at most `room` bytes; returns its new length. May be missing. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed);

/* libFuzzer's own way to do so. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t bytes, size_t room);

/* What must hold; says what does not, as in printf, and dies. */
#define fuzz_must(holds, ...)                                                                                \
	do {                                                                                                 \
		if (!(holds)) {                                                                              \
			fprintf(stderr, "WRONG: " __VA_ARGS__);                                              \
			fputc('\n', stderr);                                                                 \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

#endif
