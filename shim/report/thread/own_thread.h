/* SPDX-License-Identifier: MIT */
/* Creates the statistics thread, the only thread that the shim starts. */
#ifndef COPOOL_REPORT_THREAD_OWN_THREAD_H
#define COPOOL_REPORT_THREAD_OWN_THREAD_H

#include <stdbool.h>
#include <stddef.h>

/*
 * How large its stack must be. The program's thread-local storage lies in it, and must leave room for what the thread
 * runs. For the constructor only: in a fork's child the loader's lock may be held for ever.
 */
size_t own_thread_stack_bytes(void);

/*
 * In that thread: gives it a working folder of its own, the root, and a descriptor table of its own, with only the standard error and, if it `is_wanted`, the
 * standard output, so that it keeps none of the program's files and pipes open. Returns false if the kernel cannot do
 * that; then it shares the program's table.
 */
bool own_thread_leave_files(bool is_wanted);

/* Starts it, detached and with all signals blocked. Returns 0 or -errno. */
int own_thread_start(void *(*run)(void *), size_t stack_bytes);

/* In that thread, before it sleeps for `wait_ms`: if that is long, gives back the memory of its unused stack. */
void own_thread_rest(unsigned wait_ms);

#endif
