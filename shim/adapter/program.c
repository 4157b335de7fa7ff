/* SPDX-License-Identifier: MIT */
/* Reads the loader's list of objects. */
#include "adapter/program.h"

#include "libc/objects.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

/* The loader's entry of the object of `address`, or NULL. */
static struct link_map *object_of(const void *address)
{
	struct link_map *map = NULL;
	Dl_info info;

	return dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP) != 0 ? map : NULL;
}

bool program_is_starting(void)
{
	struct link_map *own = object_of(program_is_starting), *libc = object_of(exit), *map;

	/*
	 * The list begins with the program and the preloaded objects. The objects that these need follow, libc among
	 * them. What is loaded later is appended.
	 */
	for (map = own; map != NULL; map = map->l_next) {
		if (map == libc)
			return true;
	}
	return false;
}

/*
 * An object's headers are at its beginning. If its segments lie apart (PHP from 8.5 on, any program on aarch64), glibc
 * finds only the segment of the address, 2.43 in any object and 2.36 in the program; the object then usually begins at
 * its bias.
 */
static const Elf64_Ehdr *header_of(const struct object *object)
{
	void *begin = (void *)object->map->l_addr;
	struct object first;

	if (object->begin != begin && object_find(begin, &first) && first.map == object->map)
		return begin;
	return object->begin;
}

bool program_find_image(const void *address, struct elf_image *image)
{
	struct object object;
	const Elf64_Ehdr *header;

	if (!object_find(address, &object))
		return false;
	header = header_of(&object);
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return false;
	*image = (struct elf_image){.bias = object.map->l_addr};
	image->headers = (const Elf64_Phdr *)((uintptr_t)header + header->e_phoff);
	image->count = header->e_phnum;
	return true;
}

bool program_stays(const void *address)
{
	struct object own, libc, found;
	const struct link_map *map;

	if (!object_find((void *)program_stays, &own) || !object_find((void *)exit, &libc) ||
	        !object_find(address, &found))
		return false;
	/* This part of the list is as it was before any code ran: see program_is_starting. */
	for (map = own.map; map != NULL && map->l_prev != NULL; map = map->l_prev) {
	}
	while (map != NULL && map != found.map && map != libc.map)
		map = map->l_next;
	return map != NULL && map == found.map;
}

static uint64_t mix(uint64_t hash, const void *from, size_t bytes)
{
	/* FNV-1a. */
	for (const uint8_t *byte = from; bytes-- > 0; byte++)
		hash = (hash ^ *byte) * 0x100000001b3;
	return hash;
}

uint64_t program_object(const void *address)
{
	uint8_t id[ELF_BUILD_ID_MAX];
	struct elf_image image;
	uint64_t hash = 0xcbf29ce484222325;
	int bytes;

	if (!program_find_image(address, &image))
		return 0;
	bytes = elf_build_id(&image, id);
	hash = mix(hash, &image.bias, sizeof image.bias);
	hash = mix(hash, image.headers, image.count * sizeof *image.headers);
	return bytes > 0 ? mix(hash, id, (size_t)bytes) : hash;
}
