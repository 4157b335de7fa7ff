/* SPDX-License-Identifier: MIT */
/*
 * Two ways from an address to its object. dl_iterate_phdr() holds the loader's lock of its list, and no other, while
 * objects_search() looks: the thread that has the lock changes or searches the list, and runs no code of the program.
 */
#include "libc/objects.h"

#include "libc/real.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#ifdef DLFO_STRUCT_HAS_EH_DBASE
_Static_assert(
        sizeof(struct object) == sizeof(struct dl_find_object), "it has room for what the loader writes");
#endif

typedef int find_function(void *address, struct object *found);

/*
 * [objects.find] [objects.own] relaxed everywhere: a pointer to what was there before the process, the same for
 * each that writes it, but in a fork's child, which has one thread then; nothing is published.
 */
static struct {
	find_function *_Atomic find;
	struct link_map *_Atomic own; /* this library's */
} objects;

struct search {
	uintptr_t address;
	struct object *found;
};

static struct link_map *map_of(const struct dl_phdr_info *info)
{
	struct link_map *map = atomic_load_explicit(&objects.own, memory_order_relaxed);

	while (map != NULL && map->l_prev != NULL)
		map = map->l_prev;
	while (map != NULL && (map->l_name != info->dlpi_name || map->l_addr != info->dlpi_addr))
		map = map->l_next;
	return map;
}

static int visit(struct dl_phdr_info *info, size_t bytes, void *argument)
{
	struct search *search = argument;
	uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE), low = UINTPTR_MAX, high = 0;
	struct object found = {0};
	bool is_inside = false;

	(void)bytes;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		uintptr_t begin = info->dlpi_addr + part->p_vaddr, end = begin + part->p_memsz;

		if (part->p_type == PT_GNU_EH_FRAME)
			found.frames = (void *)begin;
		if (part->p_type != PT_LOAD)
			continue;
		begin &= -page_bytes;
		low = begin < low ? begin : low;
		high = end > high ? end : high;
		is_inside |= search->address >= begin && search->address < end;
	}
	if (!is_inside)
		return 0;
	found.begin = (void *)low;
	found.end = (void *)high;
	found.map = map_of(info);
	*search->found = found;
	return 1;
}

int objects_search(void *address, struct object *found)
{
	struct search search = {(uintptr_t)address, found};

	return dl_iterate_phdr(visit, &search) == 1 && found->map != NULL ? 0 : -1;
}

void objects_search_init(void)
{
	struct link_map *own = NULL;
	Dl_info info;

	if (dladdr1((void *)objects_init, &info, (void **)&own, RTLD_DL_LINKMAP) != 0)
		atomic_store_explicit(&objects.own, own, memory_order_relaxed);
	atomic_store_explicit(&objects.find, objects_search, memory_order_relaxed);
}

void objects_init(void)
{
	find_function *find = (find_function *)real_symbol("_dl_find_object");

	if (find == NULL)
		objects_search_init();
	else
		atomic_store_explicit(&objects.find, find, memory_order_relaxed);
}

static int find_nothing(void *address, struct object *found)
{
	(void)address;
	(void)found;
	return -1;
}

void objects_fork_child(bool was_alone)
{
	if (!was_alone && atomic_load_explicit(&objects.find, memory_order_relaxed) == objects_search)
		atomic_store_explicit(&objects.find, find_nothing, memory_order_relaxed);
}

bool object_find(const void *address, struct object *found)
{
	find_function *find = atomic_load_explicit(&objects.find, memory_order_relaxed);

	if (find == NULL) {
		objects_init();
		find = atomic_load_explicit(&objects.find, memory_order_relaxed);
	}
	return find((void *)address, found) == 0;
}
