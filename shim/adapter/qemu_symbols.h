/* SPDX-License-Identifier: MIT */
/*
 * QEMU's functions, as far as the tables of the program, of its file or of its separate debug file name them. The
 * caller owns the struct; one thread, at constructor time.
 */
#ifndef COPOOL_ADAPTER_QEMU_SYMBOLS_H
#define COPOOL_ADAPTER_QEMU_SYMBOLS_H

#include <stdbool.h>

#include "patch/symbols.h"

struct qemu_symbols {
	struct symbols tables;
	bool is_open;
	/* `address` is NULL where there is no such symbol. */
	struct symbol new, delete, create, enter, switching, alloc_stack, dec_pool_size, traced;
};

/* Whether the program is called as QEMU's programs are that have coroutines. */
bool qemu_is_called_so(void);

/*
 * Opens the tables of a program that is QEMU: one that has its functions, or that is called so. False: it is not,
 * and nothing stays open. The program's own file is read only when it is called so or `is_insisted`.
 */
bool qemu_symbols_open(struct qemu_symbols *symbols, bool is_insisted);

/* Finds them all. False when one of those is missing without which nothing can be patched. */
bool qemu_symbols_find(struct qemu_symbols *symbols);

/* Closes the tables; what was found stays valid. */
void qemu_symbols_close(struct qemu_symbols *symbols);

#endif
