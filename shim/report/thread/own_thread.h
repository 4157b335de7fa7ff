/* SPDX-License-Identifier: MIT */
/* The making of the statistics thread, the only one that the shim starts. */
#ifndef COPOOL_REPORT_THREAD_OWN_THREAD_H
#define COPOOL_REPORT_THREAD_OWN_THREAD_H

#include <stdbool.h>
#include <stddef.h>

/*
 * How large its stack must be: the program's thread-local storage lies in it, and leaves as much as ever to
 * what the thread runs. For the constructor: in a fork's child the loader's lock may be held for ever.
 */
size_t own_thread_stack_bytes(void);

/*
 * Called in it: makes its table of descriptors private and empties it, but for the standard error, and the standard output
 * if that `is_wanted`: the host's files and pipes are its own business. False where the kernel cannot: the table stays
 * the host's.
 */
bool own_thread_leave_files(bool is_wanted);

/* Starts it, detached, where no signal of the host's reaches it. 0 or -errno. */
int own_thread_start(void *(*run)(void *), size_t stack_bytes);

/* In the thread, which is to sleep for `wait_ms`: if that is long, gives back what it has used of its stack, and uses no more. */
void own_thread_rest(unsigned wait_ms);

#endif
