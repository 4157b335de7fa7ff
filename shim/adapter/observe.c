/* SPDX-License-Identifier: MIT */
/*
 * A stack is recognized by its lowest address, which is in a table from mmap to munmap. A stack that ends in another
 * way (as a part of a larger range, or under a fixed mapping) counts as gone when its address is mapped again.
 * `observe` is written by observe_start, except for its classes.
 */
#include "adapter/observe.h"

#include "adapter/request.h"
#include "adapter/sites.h"
#include "libc/elsewhere.h"
#include "libc/real.h"
#include "pool/pool.h"
#include "pool/tally.h"
#include "tables/handles.h"
#include "tables/roster.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>

/* Added to the number of a stack's class when its low end has become a guard page. */
enum { GUARDED = POOL_MAX };

struct observed_class {
	struct request request;
	struct pool pool;
	struct pool_kind kind;
	char name[REQUEST_NAME_BYTES];
};

static struct {
	struct handles *present; /* the stacks that exist, with the numbers of their classes */
	struct observed_class class[POOL_MAX];
	struct roster classes;
} observe;

int observe_start(void)
{
	observe.present = handles_make();
	return observe.present != NULL ? 0 : -ENOMEM;
}

void observe_fork_child(void)
{
	roster_fork_child(&observe.classes);
}

static struct observed_class *find_class(const struct request *request)
{
	unsigned classes = roster_count(&observe.classes);

	for (unsigned i = 0; i < classes; i++) {
		if (request_is_alike(&observe.class[i].request, request))
			return &observe.class[i];
	}
	return NULL;
}

/* Adds a class for such requests. NULL: there are too many, or another thread is adding one. */
static void *add_class(const void *argument)
{
	const struct request *request = argument;
	struct observed_class *class;
	unsigned classes;

	if (!roster_begin(&observe.classes))
		return NULL;
	classes = roster_count(&observe.classes);
	class = find_class(request);
	if (class == NULL && classes < POOL_MAX) {
		class = &observe.class[classes];
		class->request = *request;
		request_name(request, class->name);
		class->kind = (struct pool_kind){.name = class->name,
		        .is_observed = true,
		        .is_part = sites_is_pooled(request->caller, request_site_bytes(request))};
		request_own(request, &class->kind);
		if (pool_start(&class->pool, &class->kind, NULL, 0) >= 0)
			classes++;
		else
			class = NULL;
	}
	roster_end(&observe.classes, classes);
	return class;
}

/* Removes an address from the table. Returns its number, or HANDLES_ABSENT. */
static int take(const void *address)
{
	int number = handles_find(observe.present, address);

	if (number != HANDLES_ABSENT)
		handles_remove(observe.present, address);
	return number;
}

/* Counts a stack that was removed from the table as gone. */
static void count_end(void *stack, int number)
{
	struct observed_class *class;

	if (number == HANDLES_ABSENT)
		return;
	class = &observe.class[number % GUARDED];
	if (class->request.is_clean && number < GUARDED)
		sites_spoil(class->request.caller, request_site_bytes(&class->request));
	tally_gone(&class->pool, stack);
}

/* Undoes take(): the call has failed. */
static void put_back(const void *address, int number)
{
	if (number != HANDLES_ABSENT)
		handles_add(observe.present, address, (unsigned)number);
}

static void note_mapping(struct request *request, void *mapped)
{
	/* A reserved mapping is opened above its lowest address. */
	unsigned mark = request->protection == PROT_NONE ? GUARDED : 0;
	struct observed_class *class;

	if (!request_is_stack(request)) {
		sites_note_mapping(request->caller, mapped, request_site_bytes(request));
		return;
	}
	class = find_class(request);
	if (class == NULL)
		class = elsewhere_call(add_class, request); /* as adapter/classes.c */
	/* A stack that is not in the table is not counted, because its end could not be. */
	if (class == NULL || !handles_add(observe.present, mapped, (unsigned)(class - observe.class) + mark))
		return;
	tally_made(&class->pool, mapped);
	tally_create(&class->pool);
}

void *observe_mmap(
        void *address, size_t bytes, int protection, int flags, int fd, off_t offset, const void *caller)
{
	void *mapped = real_mmap(address, bytes, protection, flags, fd, offset);
	int saved = errno;

	if (mapped == MAP_FAILED)
		return mapped;
	count_end(mapped, take(mapped));
	if (request_is_candidate(address, bytes, protection, flags)) {
		struct request request = {request_pages(bytes), protection, flags, caller, false, false};

		note_mapping(&request, mapped);
	}
	errno = saved;
	return mapped;
}

int observe_munmap(void *address, size_t bytes)
{
	int number, result;

	sites_note_end(address);
	/* Before munmap: another thread may get the same address at once. */
	number = take(address);
	result = real_munmap(address, bytes);
	if (result == 0)
		count_end(address, number);
	else
		put_back(address, number);
	return result;
}

void observe_guard(const void *address)
{
	int number;

	sites_note_guard(address);
	number = take(address);
	if (number != HANDLES_ABSENT)
		put_back(address, number % GUARDED + GUARDED);
}

int observe_mprotect(void *address, size_t bytes, int protection)
{
	int result = real_mprotect(address, bytes, protection);

	if (result != 0)
		return result;
	if (protection != PROT_NONE) {
		sites_note_open(address, bytes, protection);
		return result;
	}
	observe_guard(address);
	return result;
}

void *observe_mremap(void *address, size_t old_bytes, size_t new_bytes, int flags, void *new_address)
{
	int number = take(address);
	void *moved = real_mremap(address, old_bytes, new_bytes, flags, new_address);

	if (moved == MAP_FAILED)
		put_back(address, number);
	else
		count_end(address, number);
	return moved;
}
