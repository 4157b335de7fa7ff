/* SPDX-License-Identifier: MIT */
/*
 * Reading the bytes of an ELF file or of a loaded image, checked against the bytes there are. For patch/ alone.
 *
 * No state; any thread.
 */
#ifndef COPOOL_PATCH_ELF_READ_H
#define COPOOL_PATCH_ELF_READ_H

#include "patch/elf.h"

#include <stdbool.h>

/* The contents of PT_DYNAMIC. Link-time addresses, and sizes in bytes; 0: there is none. */
struct elf_dynamic {
	uint64_t symbols;
	uint64_t strings, strings_bytes;
	uint64_t versions;
	uint64_t gnu_hash, hash;
	struct {
		uint64_t at, bytes;
	} relocations[2]; /* of functions that are called, and all others */
};

/* The `bytes` bytes at an offset of a file, or NULL. */
const uint8_t *elf_file_at(struct elf_file file, uint64_t offset, uint64_t bytes);

/* Copies `bytes` bytes at a link-time address. False: no segment has them all. */
bool elf_read(const struct elf_image *image, uint64_t address, void *to, size_t bytes);

/* Reads a file's header. False: it is no ELF file of 64 bits, little endian. */
bool elf_file_header(struct elf_file file, Elf64_Ehdr *header);

/* How many sections a file has, and one of them. */
uint64_t elf_count_sections(struct elf_file file, const Elf64_Ehdr *header);
bool elf_section(struct elf_file file, const Elf64_Ehdr *header, uint64_t index, Elf64_Shdr *section);

/* Reads PT_DYNAMIC. False: it names no symbols or no strings. */
bool elf_read_dynamic(const struct elf_image *image, struct elf_dynamic *dynamic);

#endif
