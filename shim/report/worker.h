/* The making of the statistics thread, the only one that the shim starts. */
#ifndef COPOOL_REPORT_WORKER_H
#define COPOOL_REPORT_WORKER_H

#include <stddef.h>

/*
 * How large its stack must be: the program's thread-local storage lies in it, and leaves as much as ever to
 * what the thread runs. For the constructor: in a fork's child the loader's lock may be held for ever.
 */
size_t worker_stack_bytes(void);

/* Starts it, detached, where no signal of the host's reaches it. 0 or -errno. */
int worker_start(void *(*run)(void *), size_t stack_bytes);

#endif
