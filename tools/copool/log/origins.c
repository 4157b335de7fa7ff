/* SPDX-License-Identifier: MIT */
/* Takes in records of the type `origin` while a book is read. */
#include "log/origins.h"

#include <string.h>

static bool are_frames(const json_t *frames)
{
	size_t i;
	json_t *frame;

	if (!json_is_array(frames))
		return false;
	json_array_foreach((json_t *)frames, i, frame)
	{
		if (!json_is_string(frame))
			return false;
	}
	return true;
}

/* The place for a new record: behind the others, or that of the rarest; NULL: it is rarer itself. */
static json_t **find_place(struct origins *origins, const json_t *record)
{
	size_t rarest = 0;

	if (origins->count < ORIGINS)
		return &origins->record[origins->count++];
	origins->left_out++;
	for (size_t i = 1; i < ORIGINS; i++) {
		if (book_counter(origins->record[i], "count") <
		        book_counter(origins->record[rarest], "count"))
			rarest = i;
	}
	if (book_counter(origins->record[rarest], "count") >= book_counter(record, "count"))
		return NULL;
	return &origins->record[rarest];
}

/* The earlier record of the same stack, which this one replaces; NULL: none. */
static json_t **find_earlier(struct origins *origins, const json_t *record)
{
	static const char *const keys[] = {"pid", "stack", "kind", "pool"};
	bool is_same = json_is_integer(json_object_get(record, "stack"));

	for (size_t i = origins->count; is_same && i-- > 0;) {
		size_t k = 0;

		while (k < sizeof keys / sizeof keys[0] &&
		        json_equal(json_object_get(origins->record[i], keys[k]),
		                json_object_get(record, keys[k])))
			k++;
		if (k == sizeof keys / sizeof keys[0])
			return &origins->record[i];
	}
	return NULL;
}

static const char *note_origin(void *context, json_int_t pid, json_t *record)
{
	struct origins *origins = context;

	(void)pid;
	if (!json_is_string(json_object_get(record, "pool")))
		return "an origin without the name of its pool";
	if (!json_is_integer(json_object_get(record, "count")))
		return "an origin without a count";
	if (!are_frames(json_object_get(record, "frames")))
		return "an origin whose frames are no list of names";
	json_t **place = find_earlier(origins, record);
	if (place == NULL)
		place = find_place(origins, record);
	if (place != NULL) {
		json_decref(*place);
		*place = json_incref(record);
	}
	return NULL;
}

void origins_open(struct origins *origins, struct book *book)
{
	memset(origins, 0, sizeof *origins);
	book->watch.origin = note_origin;
	book->watch.origin_context = origins;
}

void origins_close(struct origins *origins)
{
	for (size_t i = 0; i < origins->count; i++)
		json_decref(origins->record[i]);
}
