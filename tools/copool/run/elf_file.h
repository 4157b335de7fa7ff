/* SPDX-License-Identifier: MIT */
/* An ELF file of 64 bits, mapped. It is not trusted: what lies outside of it is not there. */
#ifndef COPOOL_TOOLS_RUN_ELF_FILE_H
#define COPOOL_TOOLS_RUN_ELF_FILE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_file {
	const char *bytes;
	size_t size;
	Elf64_Ehdr header;
};

/* Maps the file, and leaves `fd` open. Returns 0; or -1 if that fails or it is no such file. elf_file_close() unmaps it. */
int elf_file_open(struct elf_file *file, int fd);
void elf_file_close(struct elf_file *file);

/* Whether so many bytes at an offset are in the file. */
bool elf_file_has(const struct elf_file *file, uint64_t at, uint64_t bytes);

/* The header of a section, or segment, whose contents are in the file; false: there is none of that number. */
bool elf_file_section(const struct elf_file *file, unsigned number, Elf64_Shdr *section);
bool elf_file_segment(const struct elf_file *file, unsigned number, Elf64_Phdr *segment);

/* A string of a section of strings; NULL: there is none at that offset. */
const char *elf_file_string(const struct elf_file *file, const Elf64_Shdr *strings, uint64_t at);

#endif
