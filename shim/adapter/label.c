/* SPDX-License-Identifier: MIT */
/*
 * Only the kernel can tell without harm whether a name can be read. So it is asked each time, except for names in the
 * images of the program and its libraries, which stay as long as code may use them.
 */
#include "adapter/label.h"

#include "adapter/program.h"
#include "libc/real.h"
#include "patch/elf.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>

enum { NAME_BYTES = 80 /* with its zero: ANON_VMA_NAME_MAX_LEN */, HASH_BITS = 16 };

static struct elf_image program; /* written by label_init; empty: unknown */

/* The last name in read-only memory of the program's image: its address, and its hash in the lowest bits. */
static _Atomic uint64_t constant;

void label_init(void)
{
	program_find_image((void *)getauxval(AT_ENTRY), &program);
}

/* How many bytes from `address` are in the image's memory, and whether they are read-only; 0: it is elsewhere. */
static size_t bytes_in(const struct elf_image *image, uintptr_t address, bool *is_constant)
{
	for (size_t i = 0; i < image->count; i++) {
		const Elf64_Phdr *segment = &image->headers[i];
		uintptr_t offset = address - image->bias - segment->p_vaddr;

		*is_constant = (segment->p_flags & PF_W) == 0;
		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_R) != 0 && offset < segment->p_memsz)
			return segment->p_memsz - offset;
	}
	return 0;
}

/*
 * The length of a name that can be read completely, and whether the name will never change; -1: only the kernel can
 * tell.
 */
static int length_of(const char *name, bool *is_constant)
{
	size_t bytes = bytes_in(&program, (uintptr_t)name, is_constant), length;
	struct elf_image library;

	if (bytes == 0) {
		if (program_find_image(name, &library))
			bytes = bytes_in(&library, (uintptr_t)name, is_constant);
		*is_constant = false; /* another library may be loaded there */
	}
	if (bytes > NAME_BYTES)
		bytes = NAME_BYTES;
	length = strnlen(name, bytes);
	return length < bytes ? (int)length : -1;
}

static uint64_t mix(uint64_t hash, uint64_t piece)
{
	hash = (hash ^ piece) * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 32;
}

/*
 * A hash of a name, never 0: multiplicative hashing (Knuth), eight characters at a time; the last eight may overlap
 * those before.
 */
static uint16_t hash_name(const char *name, size_t bytes)
{
	uint64_t hash = bytes, piece = 0;

	for (size_t i = 0; i + sizeof piece < bytes; i += sizeof piece) {
		memcpy(&piece, name + i, sizeof piece);
		hash = mix(hash, piece);
	}
	if (bytes >= sizeof piece)
		memcpy(&piece, name + bytes - sizeof piece, sizeof piece);
	else if (bytes > 0)
		memcpy(&piece, name, bytes);
	hash = mix(hash, piece) >> 49;
	return hash != 0 ? (uint16_t)hash : 1;
}

/* The hash of a name at any address; 0: only the kernel can tell. */
__attribute__((noinline)) static uint16_t find_hash(const char *name)
{
	bool is_constant = false;
	int length = length_of(name, &is_constant);
	uint16_t hash = length >= 0 ? hash_name(name, (size_t)length) : 0;

	/* [constant] relaxed: one word; each of its values stays true. */
	if (is_constant && hash != 0)
		atomic_store_explicit(
		        &constant, (uint64_t)(uintptr_t)name << HASH_BITS | hash, memory_order_relaxed);
	return hash;
}

static uint16_t hash_of(const char *name)
{
	/* [constant] relaxed: as above. */
	uint64_t known = atomic_load_explicit(&constant, memory_order_relaxed);

	return known >> HASH_BITS == (uintptr_t)name ? (uint16_t)known : find_hash(name);
}

int label_set(const struct arena_place *place, unsigned long bytes, const char *name, bool *is_saved)
{
	struct slot *slot = place->slot;
	uint16_t hash = hash_of(name);
	int result;

	*is_saved = hash != 0 && slot->name == hash;
	if (*is_saved) {
		if (slot->is_name_refused)
			errno = EINVAL;
		return slot->is_name_refused ? -1 : 0;
	}
	result = real_prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, place->base, bytes, (unsigned long)name);
	slot->name = result == 0 || errno == EINVAL ? hash : 0;
	slot->is_name_refused = result != 0;
	return result;
}
