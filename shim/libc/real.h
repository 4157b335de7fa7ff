/* SPDX-License-Identifier: MIT */
/*
 * The libc functions that ours take the place of. The shim's own code calls these and never the exported names, so that
 * nothing recurses through a hook. Each function has three names: `mmap` is exported, `hook_mmap` is ours, `real_mmap`
 * is the original. hooked.h has the table.
 *
 * Until real_init() has run most of them make the system call; afterwards they call the next object's function in
 * symbol order, so that another preload behind us still sees the call. Any thread may call them at any time.
 */
#ifndef COPOOL_LIBC_REAL_H
#define COPOOL_LIBC_REAL_H

#include "libc/hooked.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Looks up the next object's functions. The constructor calls it, once. */
void real_init(void);

/*
 * real_mmap() and so on: as in the manual, with the same results and errno. mremap, prctl and ioctl take what lies where
 * their last arguments would. pkey_mprotect with the key -1 is mprotect.
 */
#define DECLARE_REAL(real, exported, result, name, type, parameters, ...) result real_##name parameters;
HOOKED(DECLARE_REAL)
#undef DECLARE_REAL

/* hook_munmap() and so on, for the exported functions that only pass on to them. The adapters define them. */
#define DECLARE_PASS(result, name, parameters) result hook_##name parameters;
#define DECLARE_OWN(...)
#define DECLARE_HOOK(real, exported, result, name, type, parameters, ...)                                    \
	DECLARE_##exported(result, name, parameters)
HOOKED(DECLARE_HOOK)
#undef DECLARE_HOOK
#undef DECLARE_PASS
#undef DECLARE_OWN

/* As real_madvise(), for advice of the shim's own: EPERM in a sandbox that would kill for it. */
int real_own_madvise(void *address, size_t bytes, int advice);

/* What the program, or a library that it was started with, exports by that name; NULL: none does. */
void *real_symbol(const char *name);
bool real_has(const char *function);

/*
 * Private zeroed memory for the shim's own tables. `bytes` is rounded up to whole pages. Returns NULL when
 * the system has none. real_table_free() gives it back, when no thread can read the table any more. Neither changes
 * errno.
 */
void *real_table(size_t bytes);
void real_table_free(void *table, size_t bytes);

#endif
