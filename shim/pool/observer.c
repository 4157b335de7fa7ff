/* SPDX-License-Identifier: MIT */
/* Tells the observer, if there is one. */
#include "pool/observer.h"

static const struct pool_observer *told; /* written by observer_set */

void observer_set(const struct pool_observer *observer)
{
	told = observer;
}

bool observer_sees_all(void)
{
	return told != NULL && told->sees_all;
}

void observer_tell_made(struct pool *pool, void *object)
{
	if (told != NULL && !pool->kind->is_part)
		told->created(pool, object, true);
}

void observer_tell_taken(struct pool *pool, void *object)
{
	if (observer_sees_all() && object != NULL && !pool->kind->is_part)
		told->created(pool, object, false);
}

void observer_tell_back(struct pool *pool, void *object)
{
	if (observer_sees_all() && !pool->kind->is_part)
		told->destroyed(pool, object);
}
