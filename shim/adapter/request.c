/* SPDX-License-Identifier: MIT */
/* Distinguishes requests for coroutine stacks by their arguments, and by what is known of their call. */
#include "adapter/request.h"

#include "adapter/sites.h"
#include "libc/objects.h"
#include "pool/pool.h"
#include "system/self.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { STACK_MIN_BYTES = 16 << 10, STACK_MAX_BYTES = (8 << 20) + (64 << 10), PLACE_BYTES = 64 };

static struct {
	size_t page_bytes;
	size_t named_bytes;
	bool is_every_clean;
	_Atomic int executable; /* PROT_EXEC: stacks may be; 0: they may not */
} requests = {.executable = PROT_EXEC};

void request_init(size_t named_bytes, bool is_every_clean)
{
	requests.page_bytes = sysconf(_SC_PAGESIZE);
	requests.named_bytes = request_pages(named_bytes);
	requests.is_every_clean = is_every_clean;
}

size_t request_pages(size_t bytes)
{
	return (bytes + requests.page_bytes - 1) & ~(requests.page_bytes - 1);
}

void request_forbid_code(void)
{
	/* [requests.executable] relaxed: a word by itself. */
	atomic_store_explicit(&requests.executable, 0, memory_order_relaxed);
}

bool request_is_candidate(const void *address, size_t bytes, int protection, int flags)
{
	int plain = MAP_PRIVATE | MAP_ANONYMOUS, may = MAP_STACK | MAP_NORESERVE;
	/* [requests.executable] relaxed: a word by itself. */
	int executable = atomic_load_explicit(&requests.executable, memory_order_relaxed);

	return address == NULL && bytes >= STACK_MIN_BYTES && bytes <= STACK_MAX_BYTES &&
	       (flags & ~may) == plain &&
	       (protection == PROT_NONE || (protection & ~executable) == (PROT_READ | PROT_WRITE));
}

bool request_is_stack(struct request *request)
{
	enum site_standing standing = sites_ask(request->caller, request_site_bytes(request));

	request->is_clean = false;
	request->is_learned = false;
	if (standing != SITE_KNOWN && (request->flags & MAP_STACK) == 0) {
		if (standing != SITE_LEARNED && request->bytes != requests.named_bytes)
			return false;
		request->is_clean = true;
		request->is_learned = request->bytes != requests.named_bytes;
	}
	request->is_clean |= requests.is_every_clean;
	return true;
}

bool request_may_be_proven(const struct request *request)
{
	return request->is_learned && !requests.is_every_clean;
}

/*
 * Where `caller` is, the same in each run of a program: "libname.so.1+0x1234", in printable characters. False: it is
 * in no object of the loader's. Takes no lock but object_find()'s.
 */
static bool find_place(const void *caller, char place[PLACE_BYTES])
{
	struct object object;
	const char *path, *slash;

	if (!object_find(caller, &object))
		return false;
	path = object.map->l_name;
	if (path[0] == '\0')
		path = self_name();
	slash = strrchr(path, '/');
	snprintf(place, PLACE_BYTES, "%.40s+%#lx", slash != NULL ? slash + 1 : path,
	        (unsigned long)((uintptr_t)caller - object.map->l_addr));
	for (; *place != '\0'; place++) {
		if (*place <= ' ' || *place > '~')
			*place = '?';
	}
	return true;
}

void request_own(const struct request *request, struct pool_kind *kind)
{
	const char *owner = sites_owner(request->caller, request_site_bytes(request));
	const char *above = sites_part_of(request->caller, request_site_bytes(request));

	kind->owner_name = owner[0] != '\0' ? owner : "stacks";
	kind->part_of = above != NULL && pool_is_named(above) ? above : NULL;
}

void request_name(const struct request *request, char *name)
{
	const char *owner = sites_owner(request->caller, request_site_bytes(request));
	char place[PLACE_BYTES];
	int used = snprintf(name, REQUEST_NAME_BYTES, "stack %zu%s%s", request->bytes,
	        owner[0] != '\0' ? " " : "", owner);

	/* The first pool of a size has the short name, as the only pool of a program always had. */
	if (pool_is_named(name) && find_place(request->caller, place))
		snprintf(name + used, (size_t)(REQUEST_NAME_BYTES - used), " %s", place);
	pool_make_unique(name, REQUEST_NAME_BYTES);
}
