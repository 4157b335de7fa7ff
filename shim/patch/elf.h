/* SPDX-License-Identifier: MIT */
/*
 * Reads ELF, 64-bit, little endian. Files are untrusted: every offset, size, count and string is checked against the
 * bytes there are, so a damaged file gives -errno and never a fault. An image is a set of loaded segments. A file's
 * bytes can be used as one, so that the same walk over the hash tables serves both.
 *
 * No memory is allocated, and there is no state. Any thread.
 */
#ifndef COPOOL_PATCH_ELF_H
#define COPOOL_PATCH_ELF_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum elf_kind { ELF_FUNCTION, ELF_DATA };

enum { ELF_BUILD_ID_MAX = 64 }; /* bytes; SHA-1 has 20 */

/* The bytes of a whole file. The caller owns them. */
struct elf_file {
	const uint8_t *bytes;
	size_t size;
};

/* The segments of one object: as the loader mapped them, or as they lie in a file. */
struct elf_image {
	const Elf64_Phdr *headers; /* `count` of them, in readable memory */
	size_t count;
	uintptr_t bias;       /* what to add to a link-time address to get the address in this process */
	struct elf_file file; /* if bytes != NULL, segments are read from here, not from memory */
};

/* One symbol of a table. */
struct elf_symbol {
	uint64_t value;            /* link-time address */
	uint64_t size;             /* bytes; 0: unknown */
	const Elf64_Phdr *segment; /* the LOAD segment of the image that holds it */
};

/* The `bytes` bytes at a link-time address, or NULL if no single readable segment has all of them. */
const uint8_t *elf_at(const struct elf_image *image, uint64_t address, uint64_t bytes);

/* Makes an image of a file's own bytes, with bias 0. 0 or -ENOEXEC. */
int elf_image_of_file(struct elf_image *image, struct elf_file file);

/*
 * Finds `name` by PT_DYNAMIC (DT_GNU_HASH, otherwise DT_HASH). 0, or -ENOENT, -ENOTUNIQ, -ENOTSUP (an indirect
 * function), -EBADMSG (a damaged table).
 */
int elf_find_dynamic(
        const struct elf_image *image, const char *name, enum elf_kind kind, struct elf_symbol *found);

/*
 * Finds `name` in a file's .symtab. `image` has the segments (those of a debug file have no bytes). Errors as above;
 * -ENODATA if the file has no .symtab.
 */
int elf_find_symtab(struct elf_file file, const struct elf_image *image, const char *name, enum elf_kind kind,
        struct elf_symbol *found);

/* Called with a symbol, defined or not, and its name. */
typedef void elf_visit(void *to, const Elf64_Sym *symbol, const char *name);

/* Visits every symbol of PT_DYNAMIC, or of a file's .symtab. 0 or -errno, as above. */
int elf_each_dynamic(const struct elf_image *image, elf_visit *visit, void *to);
int elf_each_symtab(struct elf_file file, elf_visit *visit, void *to);

/*
 * Whether the image says, as GNU_PROPERTY_AARCH64_FEATURE_1_BTI, that its code has landing pads (bti) wherever indirect
 * jumps may lead. Then the loader has its pages guarded where the processor can.
 */
bool elf_has_landing_pads(const struct elf_image *image);

/* Copies the image's NT_GNU_BUILD_ID to `id`. Returns its length in bytes, or -errno. */
int elf_build_id(const struct elf_image *image, uint8_t id[ELF_BUILD_ID_MAX]);

/* Does the same from the note sections of a file (the segments of a debug file have no bytes). */
int elf_build_id_of_sections(struct elf_file file, uint8_t id[ELF_BUILD_ID_MAX]);

#endif
