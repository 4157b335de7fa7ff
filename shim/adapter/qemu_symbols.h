/* SPDX-License-Identifier: MIT */
/*
 * QEMU's functions, as far as the symbol tables of the program, of its file or of its debug file name them. The
 * caller owns the struct; one thread, at constructor time.
 */
#ifndef COPOOL_ADAPTER_QEMU_SYMBOLS_H
#define COPOOL_ADAPTER_QEMU_SYMBOLS_H

#include <stdbool.h>

#include "patch/symbols.h"

struct qemu_symbols {
	struct symbols tables;
	bool is_open;
	/* `address` is NULL if there is no such symbol. */
	struct symbol new, delete, create, enter, switching, alloc_stack, dec_pool_size, traced;
};

/* Whether the program has the name of one of QEMU's programs with coroutines. */
bool qemu_is_called_so(void);

/*
 * Opens the tables of a program that is QEMU, by its functions or by its name. False: it is not, and nothing stays
 * open. The program's file is read only if the name says so, or `is_insisted`.
 */
bool qemu_symbols_open(struct qemu_symbols *symbols, bool is_insisted);

/* Finds all functions. False: one that patches need is missing. */
bool qemu_symbols_find(struct qemu_symbols *symbols);

/* Closes the tables. What was found stays valid. */
void qemu_symbols_close(struct qemu_symbols *symbols);

#endif
