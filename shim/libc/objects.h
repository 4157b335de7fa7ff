/* SPDX-License-Identifier: MIT */
/*
 * The program, its libraries and the others that the loader has mapped: which of them an address lies in. glibc has
 * _dl_find_object() for that from 2.35 on (and where a distribution has added it), which takes no lock of the loader's.
 * The library does not need that: it is looked up, and where there is none the loader's list is searched instead, under
 * the loader's lock of that list.
 */
#ifndef COPOOL_LIBC_OBJECTS_H
#define COPOOL_LIBC_OBJECTS_H

#include <link.h>
#include <stdbool.h>

/* glibc's struct dl_find_object, which older headers do not have. */
struct object {
	unsigned long long flags;
	void *begin, *end; /* of what is mapped, or of one segment, if they lie apart */
	struct link_map *map;
	void *frames; /* its .eh_frame_hdr, or NULL */
	void *reserved[7];
};

/* Looks the loader's function up. The constructor calls it, once; object_find() does, if it is called before. */
void objects_init(void);

/* Returns false if no object is mapped there. Any thread; errno survives. */
bool object_find(const void *address, struct object *found);

/*
 * In a fork's child. If the parent had other threads, one of them may have held the lock of the loader's list, which
 * nobody gives back here: where that list would be searched, nothing is found any more.
 */
void objects_fork_child(bool was_alone);

/* What objects_init() and object_find() do if the loader has no such function. objects_search() returns 0, or -1. */
void objects_search_init(void);
int objects_search(void *address, struct object *found);

#endif
