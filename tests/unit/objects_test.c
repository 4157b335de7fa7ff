/* SPDX-License-Identifier: MIT */
/* Which object an address lies in: by the loader's own function, and by a search of its list, which must agree. */
#include "libc/objects.h"

#include "tap.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

/* glibc's, where there is one. */
static int (*loader_finds)(void *address, struct object *found);

static void test_agreed(void)
{
	static int data;
	int local;
	char *mapping = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *const address[] = {(void *)getauxval(AT_ENTRY), (void *)tap_line, &data, (void *)exit, &errno,
	        &local, mapping, malloc(8), (void *)getauxval(AT_SYSINFO_EHDR), (void *)pthread_create,
	        (void *)getauxval(AT_BASE), (char *)getauxval(AT_BASE) - 1, NULL, (void *)-1};

	for (size_t i = 0; i < sizeof address / sizeof *address; i++) {
		struct object ours = {0}, theirs = {0};
		int found = objects_search(address[i], &ours), wanted = loader_finds(address[i], &theirs);

		tap_ok(found == wanted && ours.map == theirs.map,
		        "objects: the search finds what the loader does (%zu)", i);
		tap_ok(ours.begin == theirs.begin && ours.frames == theirs.frames,
		        "objects: and its beginning, and its frames (%zu)", i);
	}
	free(address[7]);
}

/* A library that is not there from the start. */
static void test_later(void)
{
	void *library = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL), *inside;
	struct object found, same;

	inside = library != NULL ? dlsym(library, "cos") : NULL;
	if (inside == NULL) {
		tap_skip("there is no libm.so.6", "objects: a library that is loaded later is found");
		return;
	}
	tap_ok(object_find(inside, &found) && objects_search(inside, &same) == 0 && found.map == same.map &&
	                strstr(same.map->l_name, "libm.so") != NULL,
	        "objects: a library that is loaded later is found");
	tap_ok(inside >= same.begin && inside < same.end, "objects: within its bounds");
}

static atomic_bool is_over; /* relaxed: it publishes nothing */

static void *load_and_unload(void *unused)
{
	while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
		void *library = dlopen("libresolv.so.2", RTLD_NOW | RTLD_LOCAL);

		if (library != NULL)
			dlclose(library);
	}
	return unused;
}

static void test_while_changed(void)
{
	pthread_t thread;
	struct object found;
	unsigned wrong = 0;

	pthread_create(&thread, NULL, load_and_unload, NULL);
	for (int i = 0; i < 20000; i++)
		wrong += objects_search((void *)exit, &found) != 0 ||
		         strstr(found.map->l_name, "libc.so") == NULL;
	atomic_store_explicit(&is_over, true, memory_order_relaxed);
	pthread_join(thread, NULL);
	tap_is(wrong, 0, "objects: the search is right while the loader's list changes");
}

int main(void)
{
	void *found = dlsym(RTLD_DEFAULT, "_dl_find_object");

	memcpy(&loader_finds, &found, sizeof found);
	tap_ok(object_find((void *)main, &(struct object){0}),
	        "objects: found before anything is initialized");
	objects_init();
	objects_search_init();
	if (loader_finds != NULL)
		test_agreed();
	else
		tap_skip("this glibc has no _dl_find_object",
		        "objects: the search finds what the loader does");
	test_later();
	test_while_changed();
	return tap_done();
}
