/* SPDX-License-Identifier: MIT */
/* Which object an address lies in: by the loader's own function, and by a search of its list, which must agree. */
#include "libc/objects.h"

#include "tap.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>
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
		/* The loader may say the one segment, where they lie apart: the program's on aarch64. */
		bool is_part = (char *)theirs.begin > (char *)ours.begin && theirs.begin <= address[i] &&
		               theirs.end == ours.end;
		tap_ok((ours.begin == theirs.begin || is_part) && ours.frames == theirs.frames,
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

static atomic_bool is_held; /* relaxed: it publishes nothing */
static sem_t is_done;

/* Holds the lock of the loader's list. */
static int hold(struct dl_phdr_info *info, size_t bytes, void *unused)
{
	(void)info;
	(void)bytes;
	(void)unused;
	atomic_store_explicit(&is_held, true, memory_order_relaxed);
	sem_wait(&is_done);
	return 1;
}

static void *hold_lock(void *unused)
{
	dl_iterate_phdr(hold, NULL);
	return unused;
}

/* Whether a fork's child finds this program; -1: it has not ended by itself. */
static int child_finds(bool was_alone)
{
	struct object found;
	pid_t child = fork();
	int status;

	if (child == 0) {
		alarm(20);
		objects_fork_child(was_alone);
		_exit(object_find((void *)hold, &found));
	}
	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The child's copy of the lock is held by a thread that it does not have. */
static void test_fork(void)
{
	pthread_t thread;

	tap_is(child_finds(true), 1, "objects: the child of a process with one thread searches the list");
	sem_init(&is_done, 0, 0);
	pthread_create(&thread, NULL, hold_lock, NULL);
	while (!atomic_load_explicit(&is_held, memory_order_relaxed))
		sched_yield();
	tap_is(child_finds(false), 0,
	        "objects: a child for whom the list may be locked does not wait for it");
	sem_post(&is_done);
	pthread_join(thread, NULL);
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
	test_fork();
	return tap_done();
}
