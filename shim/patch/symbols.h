/* SPDX-License-Identifier: MIT */
/*
 * Where the program's functions and variables are. Three places are looked at, cheapest first: the
 * executable's dynamic symbol table, in memory; the symbol table of its file; the separate debug file that
 * its build-id names. Only the first is touched until symbols_open_files() is called, so that the look-up may
 * run at the start of every process.
 *
 * The caller owns `struct symbols`; there is no other state. One thread at a time.
 */
#ifndef COPOOL_PATCH_SYMBOLS_H
#define COPOOL_PATCH_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patch/elf.h"

#define SYMBOLS_DEBUG_ROOT "/usr/lib/debug" /* beneath it lies .build-id/xx/yyyy.debug */

enum symbol_origin { SYMBOL_DYNSYM, SYMBOL_SYMTAB, SYMBOL_DEBUG_FILE };

struct symbol {
	void *address;         /* in this process */
	size_t size;           /* bytes; 0: the table does not say */
	size_t available;      /* bytes from `address` to the end of its segment; at least `size` and 1 */
	int protection;        /* PROT_* bits of its segment, as the file asks for them */
	uintptr_t segment_low; /* its segment's first byte */
	uintptr_t image_low;   /* its object's first page … */
	uintptr_t image_high;  /* … and the byte after its last one */
	enum symbol_origin origin;
};

struct symbols {
	struct elf_image image;  /* the executable, in memory */
	struct elf_file program; /* its file; bytes = NULL: not open, or not the file of this process */
	struct elf_file debug;   /* its debug file; bytes = NULL: not open, or there is none */
};

/* A loaded object. */
struct symbols_object {
	const char *path; /* "": the executable */
	uintptr_t bias;   /* added to a link-time address gives the address in this process */
	uintptr_t low, high;
};

/* Who wants to see all symbols. */
struct symbols_visitor {
	bool (*object)(void *to, const struct symbols_object *object); /* false: not this object's */
	elf_visit *symbol; /* of the last object; the same one may come from several tables */
};

/* Prepares to look in the executable's memory; opens no file. 0, or -ENOEXEC: its headers make no sense. */
int symbols_open(struct symbols *symbols);

/*
 * Adds the executable's file and, where that has no symbol table, the debug file beneath `debug_root`
 * (NULL: none). 0 when at least one can be read, else -errno (-ENOENT: there is no debug file; -ESTALE: the
 * file is not that of this process). symbols_find() goes on working with what there is.
 */
int symbols_open_files(struct symbols *symbols, const char *debug_root);

/* Unmaps the files; what was found stays valid. */
void symbols_close(struct symbols *symbols);

/*
 * Finds a defined function (in an executable segment) or variable of the executable. Returns -ENOENT when
 * there is none, -ENOTUNIQ when two of that name lie at different addresses, -ENOTSUP for an indirect
 * function (its address is only known after a call), -EBADMSG when a table is damaged.
 */
int symbols_find(const struct symbols *symbols, const char *name, enum elf_kind kind, struct symbol *found);

/*
 * As symbols_find(), but looks in the executable's dynamic symbols, then in those of each loaded library in
 * the loader's order, our own object excepted. No file is opened.
 */
int symbols_find_loaded(const char *name, enum elf_kind kind, struct symbol *found);

/*
 * Shows the symbols of all loaded objects: the dynamic ones, and those in the symbol table of their file
 * or of the debug file beneath `debug_root`. Opens these files; the loader's list of objects is locked
 * meanwhile.
 */
void symbols_each(const struct symbols_visitor *visitor, void *to, const char *debug_root);

/* Whether `bytes` bytes at `address` are a variable's: in a segment that stays writable (not RELRO). */
bool symbols_is_writable(const struct symbols *symbols, const void *address, size_t bytes);

/* A word for the log: `dynsym`, `symtab` or `debug file`. */
const char *symbols_origin_text(enum symbol_origin origin);

#endif
