/* SPDX-License-Identifier: MIT */
/* Each header is copied out, because a file need not have it at an address that is a multiple of anything. */
#include "run/elf_file.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

bool elf_file_has(const struct elf_file *file, uint64_t at, uint64_t bytes)
{
	return at <= file->size && bytes <= file->size - at;
}

int elf_file_open(struct elf_file *file, int fd)
{
	struct stat status;
	void *mapped;

	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
	        (uint64_t)status.st_size < sizeof file->header)
		return -1;
	mapped = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (mapped == MAP_FAILED)
		return -1;
	file->bytes = mapped;
	file->size = (size_t)status.st_size;
	memcpy(&file->header, file->bytes, sizeof file->header);
	if (memcmp(file->header.e_ident, ELFMAG, SELFMAG) == 0 &&
	        file->header.e_ident[EI_CLASS] == ELFCLASS64)
		return 0;
	elf_file_close(file);
	return -1;
}

void elf_file_close(struct elf_file *file)
{
	munmap((void *)file->bytes, file->size);
}

/* Copies an entry of a table of headers. */
static bool copy(const struct elf_file *file, uint64_t table, unsigned count, size_t entry_bytes,
        unsigned number, void *to, size_t bytes)
{
	if (number >= count || entry_bytes != bytes || !elf_file_has(file, table, (uint64_t)count * bytes))
		return false;
	memcpy(to, file->bytes + table + number * bytes, bytes);
	return true;
}

bool elf_file_section(const struct elf_file *file, unsigned number, Elf64_Shdr *section)
{
	return copy(file, file->header.e_shoff, file->header.e_shnum, file->header.e_shentsize, number,
	               section, sizeof *section) &&
	       (section->sh_type == SHT_NOBITS || elf_file_has(file, section->sh_offset, section->sh_size));
}

bool elf_file_segment(const struct elf_file *file, unsigned number, Elf64_Phdr *segment)
{
	return copy(file, file->header.e_phoff, file->header.e_phnum, file->header.e_phentsize, number,
	               segment, sizeof *segment) &&
	       elf_file_has(file, segment->p_offset, segment->p_filesz);
}

const char *elf_file_string(const struct elf_file *file, const Elf64_Shdr *strings, uint64_t at)
{
	const char *text = file->bytes + strings->sh_offset;

	/* The last byte of a table of strings is a zero. */
	if (strings->sh_type != SHT_STRTAB || at >= strings->sh_size || text[strings->sh_size - 1] != '\0')
		return NULL;
	return text + at;
}
