/* SPDX-License-Identifier: MIT */
/*
 * The reader of symbols, given files: as a file's bytes, and as the loader would have mapped them. The bytes
 * lie in a block of exactly their size, so whoever reads too far is seen; what is found must lie in the file.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "patch/elf.h"

enum { MEMORY_MOST = 1 << 17 };

static const char *const names[] = {"alpha", "beta", "gamma", "twin", "old", "main", "", "no such name"};

/* Counts what it is shown, and touches all of it. */
static void count(void *to, const Elf64_Sym *symbol, const char *name)
{
	size_t *bytes = to;

	*bytes += strlen(name) + (symbol->st_value & 1);
}

static void check_error(int error)
{
	fuzz_must(error == 0 || error == -ENOENT || error == -ENOTUNIQ || error == -ENOTSUP ||
	                  error == -EBADMSG || error == -ENODATA,
	        "an error that the header does not name: %d", error);
}

static void check_found(const struct elf_image *image, int error, const struct elf_symbol *found)
{
	const Elf64_Phdr *segment = found->segment;

	check_error(error);
	if (error != 0)
		return;
	fuzz_must(segment >= image->headers && segment < image->headers + image->count,
	        "a symbol in no segment of the image");
	fuzz_must(found->value - segment->p_vaddr < segment->p_memsz &&
	                  found->size <= segment->p_memsz - (found->value - segment->p_vaddr),
	        "a symbol that leaves its segment");
}

static void read_image(const struct elf_image *image)
{
	uint8_t id[ELF_BUILD_ID_MAX];
	struct elf_symbol found;
	size_t bytes = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		enum elf_kind kind = i == 1 ? ELF_DATA : ELF_FUNCTION;

		check_found(image, elf_find_dynamic(image, names[i], kind, &found), &found);
	}
	check_error(elf_each_dynamic(image, count, &bytes));
	fuzz_must(elf_build_id(image, id) <= ELF_BUILD_ID_MAX, "a build-id that has no room");
}

static void read_file(struct elf_file file, const struct elf_image *image)
{
	uint8_t id[ELF_BUILD_ID_MAX];
	struct elf_symbol found;
	size_t bytes = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		check_found(image, elf_find_symtab(file, image, names[i], ELF_FUNCTION, &found), &found);
	check_error(elf_each_symtab(file, count, &bytes));
	fuzz_must(elf_build_id_of_sections(file, id) <= ELF_BUILD_ID_MAX, "a build-id that has no room");
}

/* How many bytes the segments take that can be loaded; 0: the loader would refuse them. */
static size_t loaded_bytes(const struct elf_image *file)
{
	size_t bytes = 0;

	for (size_t i = 0; i < file->count; i++) {
		const Elf64_Phdr *segment = &file->headers[i];

		if (segment->p_type != PT_LOAD)
			continue;
		if (segment->p_vaddr > MEMORY_MOST || segment->p_memsz > MEMORY_MOST ||
		        segment->p_filesz > segment->p_memsz || segment->p_offset > file->file.size ||
		        segment->p_filesz > file->file.size - segment->p_offset)
			return 0;
		if (bytes < segment->p_vaddr + segment->p_memsz)
			bytes = segment->p_vaddr + segment->p_memsz;
	}
	return bytes;
}

/* Reads what the loader would have made of the file. */
static void read_loaded(const struct elf_image *file)
{
	size_t bytes = loaded_bytes(file);
	uint8_t *memory;

	if (bytes == 0)
		return;
	memory = malloc(bytes);
	memset(memory, 0, bytes);
	for (size_t i = 0; i < file->count; i++) {
		const Elf64_Phdr *segment = &file->headers[i];

		if (segment->p_type == PT_LOAD)
			memcpy(memory + segment->p_vaddr, file->file.bytes + segment->p_offset,
			        segment->p_filesz);
	}
	read_image(&(struct elf_image){file->headers, file->count, (uintptr_t)memory, {NULL, 0}});
	free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t *copy = malloc(bytes > 0 ? bytes : 1);
	struct elf_file file = {copy, bytes};
	struct elf_image image;

	memcpy(copy, data, bytes);
	if (elf_image_of_file(&image, file) == 0) {
		read_image(&image);
		read_loaded(&image);
	} else {
		image = (struct elf_image){0};
	}
	read_file(file, &image);
	free(copy);
	return 0;
}
