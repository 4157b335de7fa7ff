/* SPDX-License-Identifier: MIT */
/*
 * As in QEMU from 9.0 on: a thread has up to two batches of 128, linked through the objects; what is more
 * goes to a list of batches under a mutex, and comes back from there a batch at a time.
 */
#include "pools.h"

#include <pthread.h>
#include <stdlib.h>

enum { BATCH = 128, GLOBAL_MOST = 65530 / 2 };

struct batch {
	struct batch *next;
	struct link *first;
	unsigned count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct batch *global;
static unsigned global_count; /* objects */

static __thread struct batch *own;

static struct batch *batch_make(void)
{
	struct batch *batch = calloc(1, sizeof *batch);

	if (batch == NULL)
		abort();
	return batch;
}

static void batch_destroy(struct batch *batch)
{
	while (batch->first != NULL) {
		void *object = batch->first;

		batch->first = batch->first->next;
		object_destroy(object);
	}
	free(batch);
}

static __attribute__((noinline)) bool refill(void)
{
	COUNT_DEPOT_OPERATION();
	pthread_mutex_lock(&lock);
	own = global;
	if (own != NULL) {
		global = own->next;
		global_count -= own->count;
		own->next = NULL;
	}
	pthread_mutex_unlock(&lock);
	return own != NULL;
}

static void give(struct batch *batch)
{
	COUNT_DEPOT_OPERATION();
	pthread_mutex_lock(&lock);
	if (global_count < GLOBAL_MOST) {
		batch->next = global;
		global = batch;
		global_count += batch->count;
		batch = NULL;
	}
	pthread_mutex_unlock(&lock);
	if (batch != NULL)
		batch_destroy(batch);
}

static __attribute__((noinline)) void begin_batch(void)
{
	struct batch *full = own, *fresh;

	if (full != NULL && full->next != NULL) {
		own = full->next;
		full->next = NULL;
		give(full);
	}
	fresh = batch_make();
	fresh->next = own;
	own = fresh;
}

static inline void *take(void)
{
	struct batch *batch;
	struct link *object;

	if (own == NULL && !refill())
		return object_make();
	batch = own;
	object = batch->first;
	batch->first = object->next;
	if (--batch->count == 0) {
		own = batch->next;
		free(batch);
	}
	return object;
}

static inline void put(void *object)
{
	struct link *link = object;

	if (own == NULL || own->count == BATCH)
		begin_batch();
	link->next = own->first;
	own->first = link;
	own->count++;
}

static void thread_stop(void)
{
	while (own != NULL) {
		struct batch *batch = own;

		own = batch->next;
		batch_destroy(batch);
	}
}

#include "patterns.h"

const struct contender locked_batches = {
        .name = "locked batches (QEMU 9.0)",
        .thread_stop = thread_stop,
        .held = objects_exist,
        .take = take_called,
        .put = put_called,
        .inlined = patterns_inlined,
        .called = patterns_called,
};
