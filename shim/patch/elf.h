/* SPDX-License-Identifier: MIT */
/*
 * Reading ELF: 64-bit, little endian. Files are untrusted: every offset, size, count and string is checked
 * against the bytes there are, so a damaged file gives -errno and never a fault. An image is a set of loaded
 * segments; a file's bytes can stand in for one, so the same walk over the hash tables serves both.
 *
 * Nothing is allocated and there is no state; any thread may call.
 */
#ifndef COPOOL_PATCH_ELF_H
#define COPOOL_PATCH_ELF_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

enum elf_kind { ELF_FUNCTION, ELF_DATA };

enum { ELF_BUILD_ID_MAX = 64 }; /* bytes; SHA-1 has 20 */

/* A whole file's bytes, owned by the caller. */
struct elf_file {
	const uint8_t *bytes;
	size_t size;
};

/* The segments of one object: as the loader mapped them, or as they lie in a file. */
struct elf_image {
	const Elf64_Phdr *headers; /* `count` of them; checked to lie in memory that may be read */
	size_t count;
	uintptr_t bias;       /* added to a link-time address gives the address in this process */
	struct elf_file file; /* bytes != NULL: segments are read from here, not from memory */
};

/* What a table says about one symbol. */
struct elf_symbol {
	uint64_t value;            /* link-time address */
	uint64_t size;             /* bytes; 0: unknown */
	const Elf64_Phdr *segment; /* the LOAD segment of the image that holds it */
};

/* The `bytes` bytes at a link-time address, or NULL when no one segment that can be read has them all. */
const uint8_t *elf_at(const struct elf_image *image, uint64_t address, uint64_t bytes);

/* Makes an image of a file's own bytes, with bias 0. 0, or -ENOEXEC. */
int elf_image_of_file(struct elf_image *image, struct elf_file file);

/*
 * Looks `name` up through PT_DYNAMIC (DT_GNU_HASH, else DT_HASH). 0, or -ENOENT, -ENOTUNIQ, -ENOTSUP
 * (an indirect function), -EBADMSG (a damaged table).
 */
int elf_find_dynamic(
        const struct elf_image *image, const char *name, enum elf_kind kind, struct elf_symbol *found);

/*
 * Looks `name` up in a file's .symtab; `image` says where segments are (a debug file's own headers do not).
 * Errors as above; -ENODATA when the file has no .symtab.
 */
int elf_find_symtab(struct elf_file file, const struct elf_image *image, const char *name, enum elf_kind kind,
        struct elf_symbol *found);

/* Is shown a symbol, defined or not, and its name. */
typedef void elf_visit(void *to, const Elf64_Sym *symbol, const char *name);

/* Shows every symbol of PT_DYNAMIC, or of a file's .symtab. 0 or -errno, as above. */
int elf_each_dynamic(const struct elf_image *image, elf_visit *visit, void *to);
int elf_each_symtab(struct elf_file file, elf_visit *visit, void *to);

/* The NT_GNU_BUILD_ID among the image's notes: copies it to `id`, returns its length in bytes or -errno. */
int elf_build_id(const struct elf_image *image, uint8_t id[ELF_BUILD_ID_MAX]);

/* The same from the note sections of a file (a debug file's segments hold no bytes). */
int elf_build_id_of_sections(struct elf_file file, uint8_t id[ELF_BUILD_ID_MAX]);

#endif
