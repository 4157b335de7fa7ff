/* SPDX-License-Identifier: MIT */
/*
 * A library to be preloaded: a detached thread takes half a second from the end of its function to its own, as
 * it may where the processor has other things to do.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

typedef int create_function(
        pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);

struct work {
	void *(*run)(void *);
	void *argument;
};

static void *run_slowly(void *argument)
{
	struct work work = *(struct work *)argument;
	void *result;

	free(argument);
	result = work.run(work.argument);
	nanosleep(&(struct timespec){0, 500000000}, NULL);
	return result;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
	create_function *create = (create_function *)dlsym(RTLD_NEXT, "pthread_create");
	int state = PTHREAD_CREATE_JOINABLE;
	struct work *work;

	if (attributes != NULL)
		pthread_attr_getdetachstate(attributes, &state);
	work = state == PTHREAD_CREATE_DETACHED ? malloc(sizeof *work) : NULL;
	if (work == NULL)
		return create(thread, attributes, run, argument);
	*work = (struct work){run, argument};
	return create(thread, attributes, run_slowly, work);
}
