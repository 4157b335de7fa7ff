/* SPDX-License-Identifier: MIT */
/* Adds up the counters from outside, as pool_read() does inside, and makes records of them. */
#include "process/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "log/book_json.h"
#include "process/confined.h"

enum {
	TEXT_BYTES = 512,
	PAGE = 4096, /* the smallest; those of 0.1.0, which does not say */
	GUESSED_PAGES = 2,
	STACK_PAGES = 1 << 20
};

#define COUNTER(name, kind, help) COUNTER_##name,
enum { RECORD_COUNTERS(COUNTER) COUNTERS };
#undef COUNTER

static const char *const counter_names[] = {
#define COUNTER(name, kind, help) #name,
        RECORD_COUNTERS(COUNTER)
#undef COUNTER
};

/* A string, cut if it is too long, as JSON. NULL on failure. */
static json_t *peek_text(struct remote *remote, uint64_t at)
{
	char text[TEXT_BYTES + 1] = "";
	size_t used = 0;

	while (used < TEXT_BYTES && memchr(text, '\0', used) == NULL) {
		size_t bytes = PAGE - (at + used) % PAGE;

		if (bytes > TEXT_BYTES - used)
			bytes = TEXT_BYTES - used;
		if (remote_peek(remote, at + used, text + used, bytes) != 0)
			return NULL;
		used += bytes;
	}
	text[TEXT_BYTES] = '\0';
	return json_text(text);
}

static json_t *common(const struct remote *remote, const char *type)
{
	return json_pack("{s:s, s:f, s:i}", RECORD_KEY_TYPE, type, RECORD_KEY_TIME,
	        (double)(clock_now_ns(CLOCK_REALTIME) / 1000000) / 1000, RECORD_KEY_PID, (int)remote->pid);
}

int remote_cap(struct remote *remote, const struct remote_control *control, uint32_t *cap)
{
	uint32_t pools;
	uint64_t first;
	int error = remote_peek(remote, remote->block.pool_count, &pools, sizeof pools);

	*cap = control->is_off ? 0 : control->max_batches;
	if (error || *cap != BATCHES_DERIVED)
		return error;
	*cap = remote->block.max_batches;
	if (pools == 0)
		return 0;
	error = remote_peek(remote, remote->block.pools, &first, sizeof first);
	return error ? error : remote_peek(remote, first + remote->block.pool_cap, cap, sizeof *cap);
}

/* A text that older versions do not have, and that is "" if it is not known. */
static void add_known_text(struct remote *remote, json_t *record, const char *key, uint64_t at)
{
	json_t *text = at ? peek_text(remote, at) : NULL;

	if (text != NULL && json_string_length(text))
		json_object_set(record, key, text);
	json_decref(text);
}

json_t *remote_open_record(struct remote *remote)
{
	const struct record_block *block = &remote->block;
	struct remote_control control;
	uint32_t cap;

	if (remote_refresh(remote) != 0 || remote_read_control(remote, &control) != 0 ||
	        remote_cap(remote, &control, &cap) != 0)
		return NULL;
	json_t *record = common(remote, RECORD_OPEN);
	const struct {
		const char *key;
		uint64_t at;
	} texts[] = {{"version", block->version}, {"program", block->program}, {"host", block->host},
	        {"mode", block->mode}, {"detail", block->detail}};
	json_object_set_new(record, "format", json_integer(RECORD_FORMAT));
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		json_t *text = peek_text(remote, texts[i].at);
		if (text == NULL) {
			json_decref(record);
			return NULL;
		}
		json_object_set_new(record, texts[i].key, text);
	}
	if (block->way)
		json_object_set_new(record, "way", peek_text(remote, block->way));
	add_known_text(remote, record, "commit", block->commit);
	add_known_text(remote, record, "label", block->label);
	if (control.is_off)
		json_object_set_new(record, "mode", json_string("off"));
	json_object_set_new(record, "ppid", json_integer(block->parent));
	json_object_set_new(record, "interval_ms", json_integer(block->interval_ms));
	if (cap != BATCHES_DERIVED)
		json_object_set_new(record, "max_batches", json_integer(cap));
	json_object_set_new(record, "decay_ms", json_integer(control.decay_ms));
	if (block->bytes > offsetof(struct record_block, page_bytes) && block->page_bytes)
		json_object_set_new(record, "page_bytes", json_integer(block->page_bytes));
	char confined[CONFINED_BYTES];
	confined_by(remote->pid, confined);
	if (*confined)
		json_object_set_new(record, "confined", json_text(confined));
	return record;
}

/* Adds the terms of one place, from its bytes, to the sums. */
static void add_terms(
        const struct record_block *block, enum record_place place, const char *bytes, uint64_t *sum)
{
	for (size_t i = 0; i < RECORD_TERMS && block->term[i].bytes; i++) {
		const struct record_term *term = &block->term[i];
		uint64_t word = 0;

		if (term->place != place)
			continue;
		memcpy(&word, bytes + term->offset, term->bytes);
		sum[term->counter] += (word >> term->shift & term->mask) * term->factor;
	}
}

/* Adds what all threads have counted of all pools. */
static int read_threads(struct remote *remote, uint32_t pools, uint64_t (*sum)[COUNTERS])
{
	const struct record_block *block = &remote->block;
	static char thread[REMOTE_THREAD];
	static uint64_t chunk[RECORD_THREADS + 1];
	uint64_t bytes = block->thread_caches + (uint64_t)pools * block->cache_bytes;
	uint32_t count;
	int error = remote_peek(remote, block->thread_count, &count, sizeof count);

	if (error)
		return error;
	if (count > RECORD_THREADS || bytes > block->thread_bytes)
		return remote_nonsense(remote);
	error = remote_peek(remote, block->chunks, chunk, (count / block->in_chunk + 1) * sizeof *chunk);
	for (uint32_t i = 1; i <= count && error == 0; i++) {
		uint64_t at =
		        chunk[i / block->in_chunk] + (uint64_t)(i % block->in_chunk) * block->thread_bytes;

		error = remote_peek(remote, at, thread, bytes);
		for (uint32_t pool = 0; pool < pools && error == 0; pool++) {
			add_terms(block, RECORD_IN_THREAD, thread, sum[pool]);
			add_terms(block, RECORD_IN_CACHE,
			        thread + block->thread_caches + pool * block->cache_bytes, sum[pool]);
		}
	}
	return error;
}

/* Derives the rest of a pool's counters, after all its terms have been added up. */
static void finish(uint64_t *sum, uint32_t make_calls, uint32_t destroy_calls)
{
	int64_t live;

	for (size_t i = 0; i < COUNTERS; i++)
		sum[i] = i == COUNTER_calls_saved || (int64_t)sum[i] > 0 ? sum[i] : 0;
	/* More may have been spent so far than was saved. */
	sum[COUNTER_calls_saved] += make_calls * (sum[COUNTER_create_local] + sum[COUNTER_create_depot]) +
	                            destroy_calls * (sum[COUNTER_destroy_local] + sum[COUNTER_destroy_depot]);
	if ((int64_t)sum[COUNTER_calls_saved] < 0)
		sum[COUNTER_calls_saved] = 0;
	live = (int64_t)(sum[COUNTER_inherited] + sum[COUNTER_create_local] + sum[COUNTER_create_depot] +
	                 sum[COUNTER_create_new] - sum[COUNTER_destroy_local] - sum[COUNTER_destroy_depot] -
	                 sum[COUNTER_destroy_delete]);
	sum[COUNTER_live] = live > 0 ? (uint64_t)live : 0;
	/* As threads were read one after another, it may be too many. */
	if (sum[COUNTER_live] > sum[COUNTER_peak_objects])
		sum[COUNTER_live] = sum[COUNTER_peak_objects];
	if (sum[COUNTER_peak_live] < sum[COUNTER_live])
		sum[COUNTER_peak_live] = sum[COUNTER_live];
}

/* What the process has said that it saved, it says again. */
static void keep_seen(const struct record_block *block, const char *pool, uint64_t *sum)
{
	uint64_t seen = 0;

	if (block->pool_calls_seen && block->pool_calls_seen + sizeof seen <= block->pool_bytes)
		memcpy(&seen, pool + block->pool_calls_seen, sizeof seen);
	if (seen > sum[COUNTER_calls_saved])
		sum[COUNTER_calls_saved] = seen;
}

/* For a pool that is only observed: derives what the program's own pool handed out. */
static void explain(uint64_t *sum)
{
	uint64_t creates = sum[COUNTER_create_local] + sum[COUNTER_create_depot];

	sum[COUNTER_create_local] = creates > sum[COUNTER_create_new] ? creates - sum[COUNTER_create_new] : 0;
	sum[COUNTER_create_depot] = 0;
	sum[COUNTER_destroy_local] = sum[COUNTER_create_local];
}

/* Stacks that the process has examined, and their pages. */
struct seen_stacks {
	uint64_t stacks, pages, idle; /* idle: objects of pools whose stacks were not examined */
};

/* Adds the memory of a pool's idle objects, if it can be read. */
static void add_idle(struct remote *remote, const char *kind, uint64_t pooled, struct seen_stacks *seen)
{
	const struct record_block *block = &remote->block;
	uint64_t class = 0, stacks = 0, pages = 0;

	if (block->kind_stacks && block->kind_stacks + sizeof class <= block->kind_bytes)
		memcpy(&class, kind + block->kind_stacks, sizeof class);
	if (class && (remote_peek(remote, class + block->class_slots, &stacks, sizeof stacks) != 0 ||
	                     remote_peek(remote, class + block->class_pages, &pages, sizeof pages) != 0))
		stacks = 0;
	if (stacks == 0 || pages / stacks > STACK_PAGES) {
		seen->idle += pooled;
		return;
	}
	seen->stacks += stacks;
	seen->pages += pages;
	remote->idle_bytes += (uint64_t)((double)pooled * (double)pages / (double)stacks * block->page_bytes);
}

/* The other idle objects hold as much each as the stacks that were examined: QEMU's coroutines have those. */
static void finish_idle(struct remote *remote, const struct seen_stacks *seen)
{
	double pages = seen->stacks ? (double)seen->pages / (double)seen->stacks : GUESSED_PAGES;

	remote->is_idle_guessed = seen->idle > 0 && seen->stacks == 0;
	remote->idle_bytes += (uint64_t)((double)seen->idle * pages *
	                                 (remote->block.page_bytes ? remote->block.page_bytes : PAGE));
}

/* Adds the text whose address is at `offset` of a pool's kind; nothing if there is none, or if it cannot be read. */
static void add_text(
        struct remote *remote, json_t *record, const char *key, const char *kind, uint32_t offset)
{
	uint64_t at = 0;

	if (offset != 0 && offset + sizeof at <= remote->block.kind_bytes)
		memcpy(&at, kind + offset, sizeof at);
	if (at != 0)
		json_object_set_new(record, key, peek_text(remote, at));
}

/* Returns one pool's record; NULL on failure. */
static json_t *read_pool(struct remote *remote, uint64_t at, uint64_t *sum, struct seen_stacks *stacks)
{
	const struct record_block *block = &remote->block;
	static char pool[REMOTE_POOL];
	char kind[REMOTE_KIND];
	uint64_t kind_at, name, maps;
	uint32_t make_calls, destroy_calls;

	if (remote_peek(remote, at, pool, block->pool_bytes) != 0)
		return NULL;
	memcpy(&kind_at, pool + block->pool_kind, sizeof kind_at);
	if (remote_peek(remote, kind_at, kind, block->kind_bytes) != 0)
		return NULL;
	memcpy(&name, kind + block->kind_name, sizeof name);
	memcpy(&maps, kind + block->kind_maps, sizeof maps);
	memcpy(&make_calls, kind + block->kind_make, sizeof make_calls);
	memcpy(&destroy_calls, kind + block->kind_destroy, sizeof destroy_calls);
	add_terms(block, RECORD_IN_POOL, pool, sum);
	if (kind[block->kind_observed])
		explain(sum);
	if (block->pool_withdrawn && pool[block->pool_withdrawn]) {
		memset(sum, 0, COUNTERS * sizeof *sum);
	} else {
		finish(sum, make_calls, destroy_calls);
		keep_seen(block, pool, sum);
	}
	if (maps && remote_peek(remote, maps, &sum[COUNTER_maps_saved], sizeof *sum) != 0)
		return NULL;
	add_idle(remote, kind, sum[COUNTER_pooled], stacks);
	json_t *text = peek_text(remote, name);
	if (text == NULL)
		return NULL;
	int64_t uptime_ms = (int64_t)(clock_now_ms() + (uint64_t)remote->ahead_ms - block->start_ms);
	json_t *record = common(remote, RECORD_SAMPLE);
	json_object_set_new(record, "uptime_ms", json_integer(uptime_ms > 0 ? uptime_ms : 0));
	json_object_set_new(record, "pool", text);
	add_text(remote, record, "owner", kind, block->kind_owner);
	add_text(remote, record, "part_of", kind, block->kind_part_of);
	for (size_t i = 0; i < COUNTERS; i++)
		json_object_set_new(record, counter_names[i], json_integer((json_int_t)(sum[i] & INT64_MAX)));
	return record;
}

/*
 * Makes the name of the last sample unique, so that what is shown or added up is one pool's. Current versions of
 * copool do so themselves.
 */
static void make_unique(const json_t *samples, json_t *record)
{
	json_t *before;
	unsigned number = 1;
	size_t i = 0;
	char name[TEXT_BYTES + 16];

	snprintf(name, sizeof name, "%s", json_string_value(json_object_get(record, "pool")));
	size_t length = strlen(name);
	while (i < json_array_size(samples)) {
		before = json_array_get(samples, i++);
		if (strcmp(name, json_string_value(json_object_get(before, "pool"))) != 0)
			continue;
		snprintf(name + length, sizeof name - length, " #%u", ++number);
		i = 0;
	}
	if (number > 1)
		json_object_set_new(record, "pool", json_string(name));
}

json_t *remote_samples(struct remote *remote)
{
	static uint64_t sum[POOL_MAX][COUNTERS];
	uint64_t pool[POOL_MAX];
	uint32_t pools;

	if (remote_refresh(remote) != 0 ||
	        remote_peek(remote, remote->block.pool_count, &pools, sizeof pools) != 0)
		return NULL;
	if (pools > POOL_MAX) {
		remote_nonsense(remote);
		return NULL;
	}
	memset(sum, 0, sizeof sum);
	if (remote_peek(remote, remote->block.pools, pool, pools * sizeof *pool) != 0 ||
	        read_threads(remote, pools, sum) != 0)
		return NULL;
	json_t *samples = json_array();
	struct seen_stacks seen = {0};
	remote->idle_bytes = 0;
	for (uint32_t i = 0; i < pools; i++) {
		json_t *record = read_pool(remote, pool[i], sum[i], &seen);
		if (record == NULL) {
			json_decref(samples);
			return NULL;
		}
		make_unique(samples, record);
		json_array_append_new(samples, record);
	}
	finish_idle(remote, &seen);
	return samples;
}
