/* SPDX-License-Identifier: MIT */
/*
 * The section of needed or defined versions names them in a string table, in which no other string looks like one. Files
 * are not trusted: each offset is checked.
 */
#include "run/glibc.h"

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
	const char *bytes;
	size_t size;
};

static bool has(const struct file *file, uint64_t at, uint64_t bytes)
{
	return at <= file->size && bytes <= file->size - at;
}

/* Finds a section's header, and checks that its contents are in the file. */
static bool find_section(const struct file *file, unsigned number, Elf64_Shdr *section)
{
	Elf64_Ehdr header;

	if (!has(file, 0, sizeof header))
		return false;
	memcpy(&header, file->bytes, sizeof header);
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
	        number >= header.e_shnum || header.e_shentsize != sizeof *section ||
	        !has(file, header.e_shoff, (uint64_t)header.e_shnum * sizeof *section))
		return false;
	memcpy(section, file->bytes + header.e_shoff + number * sizeof *section, sizeof *section);
	return section->sh_type == SHT_NOBITS || has(file, section->sh_offset, section->sh_size);
}

static int latest_in(const char *strings, size_t bytes)
{
	static const char prefix[] = "GLIBC_2.";
	int latest = 0;

	/* The last byte of a string table is a zero. */
	if (bytes == 0 || strings[bytes - 1] != '\0')
		return 0;
	for (size_t at = 0; at < bytes; at += strlen(strings + at) + 1) {
		if (strncmp(strings + at, prefix, sizeof prefix - 1) != 0)
			continue;
		long minor = strtol(strings + at + sizeof prefix - 1, NULL, 10);
		if (minor > latest && minor < 10000)
			latest = (int)minor;
	}
	return latest;
}

static int latest_of(const struct file *file, uint32_t type)
{
	Elf64_Shdr section;
	Elf64_Shdr strings;

	for (unsigned i = 0; i < 0xffff; i++) {
		if (!find_section(file, i, &section))
			return 0;
		if (section.sh_type == type && find_section(file, section.sh_link, &strings) &&
		        strings.sh_type == SHT_STRTAB)
			return latest_in(file->bytes + strings.sh_offset, strings.sh_size);
	}
	return 0;
}

static int latest(const char *path, uint32_t type)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	int found = 0;

	if (fd < 0)
		return 0;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
		struct file file = {NULL, (size_t)status.st_size};
		void *mapped = mmap(NULL, file.size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (mapped != MAP_FAILED) {
			file.bytes = mapped;
			found = latest_of(&file, type);
			munmap(mapped, file.size);
		}
	}
	close(fd);
	return found;
}

int glibc_needed(const char *path)
{
	return latest(path, SHT_GNU_verneed);
}

int glibc_defined(const char *path)
{
	return latest(path, SHT_GNU_verdef);
}
