/* SPDX-License-Identifier: MIT */
/*
 * Finds the program's functions and variables. Three places are searched, cheapest first: the executable's dynamic
 * symbol table, in memory; the symbol table of its file; the separate debug file that its build id names. Files are
 * opened only by symbols_open_files(), so the look-up may run at the start of every process.
 *
 * The caller owns `struct symbols`; there is no other state. One thread at a time.
 */
#ifndef COPOOL_PATCH_SYMBOLS_H
#define COPOOL_PATCH_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patch/elf.h"

#define SYMBOLS_DEBUG_ROOT "/usr/lib/debug" /* it has .build-id/xx/yyyy.debug */

struct symbol {
	void *address;    /* in this process */
	size_t size;      /* bytes; 0: unknown */
	size_t available; /* bytes from `address` to the end of its segment: `size` or more, and 1 or more */
	int protection; /* PROT_* bits of its segment, as in the file; and PROT_BTI where the loader adds it */
	uintptr_t segment_low; /* first byte of its segment */
	uintptr_t image_low;   /* first page of its object … */
	uintptr_t image_high;  /* … and the byte behind its last page */
};

struct symbols {
	struct elf_image image;  /* the executable, in memory */
	struct elf_file program; /* its file; bytes == NULL: not open, or not the file of this process */
	struct elf_file debug;   /* its debug file; bytes == NULL: not open, or there is none */
};

/* A loaded object. */
struct symbols_object {
	const char *path; /* "": the executable */
	uintptr_t bias;   /* what to add to a link-time address to get the address in this process */
	uintptr_t low, high;
};

/* What symbols_each() calls. */
struct symbols_visitor {
	bool (*object)(void *to, const struct symbols_object *object); /* false: skip this object */
	elf_visit *symbol; /* of the last object; several tables may have the same symbol */
};

/* Prepares to search the executable's memory; opens no file. 0, or -ENOEXEC: its headers are not valid. */
int symbols_open(struct symbols *symbols);

/*
 * Opens the executable's file and, if that has no symbol table, the debug file below `debug_root` (NULL: none). 0 if
 * at least one is readable, otherwise -errno (-ENOENT: there is no debug file; -ESTALE: the file is not that of this
 * process). symbols_find() works with what there is.
 */
int symbols_open_files(struct symbols *symbols, const char *debug_root);

/* Unmaps the files. Symbols that were found stay valid. */
void symbols_close(struct symbols *symbols);

/*
 * Finds a defined function (in an executable segment) or variable of the executable. 0, or -ENOENT (there is none),
 * -ENOTUNIQ (two of that name at different addresses), -ENOTSUP (an indirect function, whose address only a call
 * tells), -EBADMSG (a damaged table).
 */
int symbols_find(const struct symbols *symbols, const char *name, enum elf_kind kind, struct symbol *found);

/*
 * As symbols_find(), but searches the dynamic symbols of the executable, then of each loaded library in the loader's
 * order, except our own. Opens no file.
 */
int symbols_find_loaded(const char *name, enum elf_kind kind, struct symbol *found);

/*
 * Visits the symbols of all loaded objects: the dynamic ones, and those in the symbol table of their file or of the
 * debug file below `debug_root`. Opens these files, and holds the lock on the loader's list of objects.
 */
void symbols_each(const struct symbols_visitor *visitor, void *to, const char *debug_root);

/* Whether `bytes` at `address` are in a segment that stays writable (not RELRO). */
bool symbols_is_writable(const struct symbols *symbols, const void *address, size_t bytes);

#endif
