/* SPDX-License-Identifier: MIT */
#include "doctor/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int image_open(struct elf_file *image, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int error;

	if (fd < 0)
		return -errno;
	error = elf_file_open(image, fd) == 0 ? 0 : -ENOEXEC;
	close(fd);
	return error;
}

static bool find_in(const struct elf_file *image, const Elf64_Shdr *table, const char *name, bool is_defined,
        uint64_t *value)
{
	Elf64_Shdr strings;
	Elf64_Sym symbol;

	if (!elf_file_section(image, table->sh_link, &strings))
		return false;
	for (uint64_t at = 0; at + sizeof symbol <= table->sh_size; at += sizeof symbol) {
		const char *text;

		memcpy(&symbol, image->bytes + table->sh_offset + at, sizeof symbol);
		text = elf_file_string(image, &strings, symbol.st_name);
		if ((symbol.st_shndx != SHN_UNDEF) != is_defined || text == NULL || strcmp(text, name) != 0)
			continue;
		*value = symbol.st_value;
		return true;
	}
	return false;
}

static bool find_table(const struct elf_file *image, uint32_t type, Elf64_Shdr *table)
{
	for (unsigned i = 0; elf_file_section(image, i, table); i++) {
		if (table->sh_type == type)
			return true;
	}
	return false;
}

bool image_has(const struct elf_file *image, const char *name, bool is_defined, uint64_t *value)
{
	Elf64_Shdr table;

	return find_table(image, SHT_DYNSYM, &table) && find_in(image, &table, name, is_defined, value);
}

bool image_lists(const struct elf_file *image, const char *name)
{
	Elf64_Shdr table;
	uint64_t value;

	return find_table(image, SHT_SYMTAB, &table) && find_in(image, &table, name, true, &value);
}

/* The version at `text`, of at most `bytes` bytes. */
static bool read_version(const char *text, size_t bytes, char *version, size_t room)
{
	unsigned major, minor, micro;
	size_t length;

	if (room > bytes)
		room = bytes;
	if (room == 0)
		return false;
	for (length = 0; length < room - 1 && text[length] >= ' ' && text[length] <= '~'; length++)
		;
	memcpy(version, text, length);
	version[length] = '\0';
	return *version >= '0' && *version <= '9' &&
	       sscanf(version, "%3u.%3u.%3u", &major, &minor, &micro) == 3;
}

bool image_version(const struct elf_file *image, const char *before, char *version, size_t room)
{
	const char *end = image->bytes + image->size;
	size_t length = strlen(before);

	for (const char *at = image->bytes; at != NULL && at < end; at++) {
		at = memmem(at, (size_t)(end - at), before, length);
		if (at == NULL)
			break;
		if (read_version(at + length, (size_t)(end - at) - length, version, room))
			return true;
	}
	return false;
}
