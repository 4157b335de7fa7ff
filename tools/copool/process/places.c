/* SPDX-License-Identifier: MIT */
/* One pass over /proc/PID/maps. */
#include "process/places.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/elf_file.h"

struct search {
	pid_t pid;
	struct place *place;
	size_t places;
};

/* A line of /proc/PID/maps that maps a file's code. */
struct mapping {
	uint64_t low, high;
	unsigned long inode;
	const char *path; /* absolute, in the process */
};

/* Whether a symbol is that function, or a clone of it by the compiler. */
static bool is_named(const char *symbol, const char *function)
{
	size_t length = strlen(function);

	return strncmp(symbol, function, length) == 0 && (symbol[length] == '\0' || symbol[length] == '.') &&
	       strstr(symbol + length, ".cold") == NULL;
}

/* The offset in the file of what the mapped file has at `address`. */
static bool find_offset(const struct elf_file *file, uint64_t address, uint64_t *offset)
{
	Elf64_Phdr segment;

	for (unsigned i = 0; i < file->header.e_phnum; i++) {
		if (!elf_file_segment(file, i, &segment) || segment.p_type != PT_LOAD ||
		        !(segment.p_flags & PF_X) || address < segment.p_vaddr ||
		        address - segment.p_vaddr >= segment.p_filesz)
			continue;
		*offset = address - segment.p_vaddr + segment.p_offset;
		return true;
	}
	return false;
}

static void look_at_symbol(const struct search *search, const struct elf_file *file, const Elf64_Sym *symbol,
        const char *name, bool is_dynamic, const struct place *at)
{
	for (size_t i = 0; i < search->places; i++) {
		struct place *place = &search->place[i];

		if (place->is_found || !is_named(name, place->function) ||
		        (place->object != NULL &&
		                strncmp(at->object_name, place->object, strlen(place->object)) != 0) ||
		        !find_offset(file, symbol->st_value, &place->offset))
			continue;
		place->is_found = true;
		place->is_dynamic = is_dynamic;
		memcpy(place->path, at->path, sizeof place->path);
		memcpy(place->object_name, at->object_name, sizeof place->object_name);
	}
}

static void look_at_table(const struct search *search, const struct elf_file *file, const Elf64_Shdr *table,
        const struct place *at)
{
	Elf64_Shdr strings;
	Elf64_Sym symbol;

	if (table->sh_entsize != sizeof symbol || !elf_file_section(file, table->sh_link, &strings))
		return;
	for (uint64_t i = 0; i < table->sh_size / sizeof symbol; i++) {
		memcpy(&symbol, file->bytes + table->sh_offset + i * sizeof symbol, sizeof symbol);
		const char *name = elf_file_string(file, &strings, symbol.st_name);

		if (name != NULL && ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF)
			look_at_symbol(search, file, &symbol, name, table->sh_type == SHT_DYNSYM, at);
	}
}

/* Looks at both symbol tables. A file without sections has none that can be read. */
static void look_into_elf(const struct search *search, const struct elf_file *file, const struct place *at)
{
	Elf64_Shdr section;

	for (unsigned i = 0; i < file->header.e_shnum; i++) {
		if (elf_file_section(file, i, &section) &&
		        (section.sh_type == SHT_SYMTAB || section.sh_type == SHT_DYNSYM))
			look_at_table(search, file, &section, at);
	}
}

/* Opens a mapped file by the kernel's link to it, or by its name in the process's root folder. Returns it, or -1. */
static int open_mapped(pid_t pid, const struct mapping *mapping)
{
	char path[PATH_MAX];
	struct stat status;

	snprintf(path, sizeof path, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, mapping->low,
	        mapping->high);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	/* Without CAP_SYS_ADMIN. The name must still lead to the mapped file. */
	if ((size_t)snprintf(path, sizeof path, "/proc/%d/root%s", pid, mapping->path) >= sizeof path)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && (fstat(fd, &status) != 0 || status.st_ino != mapping->inode)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* If something was found in the file it stays open: its descriptor is its name here. */
static void look_into_file(const struct search *search, const struct mapping *mapping)
{
	struct place at = {0};
	struct elf_file file;
	bool is_used = false;

	int fd = open_mapped(search->pid, mapping);
	if (fd < 0)
		return;
	snprintf(at.path, sizeof at.path, "/proc/self/fd/%d", fd);
	snprintf(at.object_name, sizeof at.object_name, "%s", strrchr(mapping->path, '/') + 1);
	if (elf_file_open(&file, fd) == 0) {
		look_into_elf(search, &file, &at);
		elf_file_close(&file);
	}
	for (size_t i = 0; i < search->places; i++)
		is_used |= search->place[i].is_found && strcmp(search->place[i].path, at.path) == 0;
	if (!is_used)
		close(fd);
}

/* Parses a line of maps, in place. Returns false if it maps no file's code. */
static bool parse(char *line, struct mapping *mapping)
{
	char permissions[5];
	int at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*s %lu %n", &mapping->low, &mapping->high,
	            permissions, &mapping->inode, &at) < 4 ||
	        at == 0 || permissions[2] != 'x' || line[at] != '/')
		return false;
	line[at + (int)strcspn(line + at, "\n")] = '\0';
	mapping->path = line + at;
	return true;
}

int places_find(pid_t pid, struct place *place, size_t places)
{
	struct search search = {pid, place, places};
	unsigned long last_inode = 0;
	struct mapping mapping;
	char path[64], *line = NULL;
	size_t room = 0;
	int error = 0;

	for (size_t i = 0; i < places; i++)
		place[i].is_found = false;
	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return errno == ENOENT ? -ESRCH : -errno;
	while (errno = 0, getline(&line, &room, file) > 0) {
		if (!parse(line, &mapping) || mapping.inode == last_inode)
			continue;
		last_inode = mapping.inode;
		look_into_file(&search, &mapping);
	}
	if (ferror(file))
		error = errno ? -errno : -EIO;
	free(line);
	fclose(file);
	return error;
}
