/* SPDX-License-Identifier: MIT */
/*
 * The section of needed or defined versions names them in a string table, in which no other string looks like one.
 */
#include "run/glibc.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/elf_file.h"

static int latest_in(const char *strings, size_t bytes)
{
	static const char prefix[] = "GLIBC_2.";
	int latest = 0;

	for (size_t at = 0; at < bytes; at += strlen(strings + at) + 1) {
		if (strncmp(strings + at, prefix, sizeof prefix - 1) != 0)
			continue;
		long minor = strtol(strings + at + sizeof prefix - 1, NULL, 10);
		if (minor > latest && minor < 10000)
			latest = (int)minor;
	}
	return latest;
}

static int latest_of(const struct elf_file *file, uint32_t type)
{
	Elf64_Shdr section;
	Elf64_Shdr strings;
	const char *first;

	for (unsigned i = 0; elf_file_section(file, i, &section); i++) {
		if (section.sh_type == type && elf_file_section(file, section.sh_link, &strings) &&
		        (first = elf_file_string(file, &strings, 0)) != NULL)
			return latest_in(first, strings.sh_size);
	}
	return 0;
}

static int latest(const char *path, uint32_t type)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_file file;
	int found = 0;

	if (fd < 0)
		return 0;
	if (elf_file_open(&file, fd) == 0) {
		found = latest_of(&file, type);
		elf_file_close(&file);
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
