/* SPDX-License-Identifier: MIT */
/*
 * The one table of libc's functions that the library takes over. Made from it are real_… in libc/real.c, the exported
 * functions that only pass on in exports.c, the declarations of their hook_…, and the version script.
 *
 * X(real, exported, result, name, type, parameters, arguments)
 *
 *   real      SYSTEM: before real_init() real_… makes the system call; FOUND: it looks for libc's function, because the
 *             system call is not enough; OWN: real.c has a real_… of its own
 *   exported  PASS: the exported function calls hook_… and nothing else; OWN: exports.c has a function of its own
 *   type      the parameters' types as libc declares them; real_… and hook_… have none that varies
 *
 * The order is that in which real_init() looks for them.
 */
#ifndef COPOOL_LIBC_HOOKED_H
#define COPOOL_LIBC_HOOKED_H

/* clang-format off */
#define HOOKED(X)                                                                                            \
	X(SYSTEM, OWN, void *, mmap, (void *, size_t, int, int, int, off_t),                                 \
	  (void *address, size_t bytes, int protection, int flags, int fd, off_t offset),                    \
	  (address, bytes, protection, flags, fd, offset))                                                   \
	X(SYSTEM, PASS, int, munmap, (void *, size_t), (void *address, size_t bytes), (address, bytes))      \
	X(SYSTEM, PASS, int, mprotect, (void *, size_t, int), (void *address, size_t bytes, int protection), \
	  (address, bytes, protection))                                                                      \
	X(OWN, PASS, int, pkey_mprotect, (void *, size_t, int, int),                                         \
	  (void *address, size_t bytes, int protection, int key), (address, bytes, protection, key))         \
	X(SYSTEM, PASS, int, madvise, (void *, size_t, int), (void *address, size_t bytes, int advice),      \
	  (address, bytes, advice))                                                                          \
	X(SYSTEM, OWN, void *, mremap, (void *, size_t, size_t, int, ...),                                   \
	  (void *address, size_t old_bytes, size_t new_bytes, int flags, void *new_address),                 \
	  (address, old_bytes, new_bytes, flags, new_address))                                               \
	X(SYSTEM, PASS, int, mlock, (const void *, size_t), (const void *address, size_t bytes),             \
	  (address, bytes))                                                                                  \
	X(SYSTEM, PASS, int, mlock2, (const void *, size_t, unsigned),                                       \
	  (const void *address, size_t bytes, unsigned flags), (address, bytes, flags))                      \
	X(SYSTEM, PASS, int, mlockall, (int), (int flags), (flags))                                          \
	X(SYSTEM, PASS, int, setrlimit, (int, const struct rlimit *),                                        \
	  (int resource, const struct rlimit *limit), (resource, limit))                                     \
	X(FOUND, PASS, int, prlimit, (pid_t, int, const struct rlimit *, struct rlimit *),                   \
	  (pid_t process, int resource, const struct rlimit *limit, struct rlimit *old),                     \
	  (process, resource, limit, old))                                                                   \
	X(SYSTEM, OWN, int, prctl, (int, ...),                                                               \
	  (int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d),                  \
	  (option, a, b, c, d))                                                                              \
	X(SYSTEM, OWN, int, unshare, (int), (int flags), (flags))                                            \
	X(SYSTEM, OWN, int, setns, (int, int), (int fd, int type), (fd, type))                               \
	X(SYSTEM, PASS, int, ioctl, (int, unsigned long, ...),                                               \
	  (int fd, unsigned long request, void *argument), (fd, request, argument))                          \
	X(SYSTEM, PASS, ssize_t, process_madvise, (int, const struct iovec *, size_t, int, unsigned),        \
	  (int process, const struct iovec *range, size_t ranges, int advice, unsigned flags),               \
	  (process, range, ranges, advice, flags))                                                           \
	X(SYSTEM, PASS, ssize_t, vmsplice, (int, const struct iovec *, size_t, unsigned),                    \
	  (int pipe, const struct iovec *range, size_t ranges, unsigned flags), (pipe, range, ranges, flags)) \
	X(SYSTEM, OWN, int, capset, (void *, const void *), (void *header, const void *data), (header, data))\
	X(OWN, PASS, int, dlclose, (void *), (void *library), (library))                                     \
	X(FOUND, OWN, int, setuid, (uid_t), (uid_t user), (user))                                            \
	X(FOUND, OWN, int, seteuid, (uid_t), (uid_t user), (user))                                           \
	X(FOUND, OWN, int, setreuid, (uid_t, uid_t), (uid_t real, uid_t effective), (real, effective))       \
	X(FOUND, OWN, int, setresuid, (uid_t, uid_t, uid_t), (uid_t real, uid_t effective, uid_t saved),     \
	  (real, effective, saved))                                                                          \
	X(FOUND, OWN, int, setgid, (gid_t), (gid_t group), (group))                                          \
	X(FOUND, OWN, int, setegid, (gid_t), (gid_t group), (group))                                         \
	X(FOUND, OWN, int, setregid, (gid_t, gid_t), (gid_t real, gid_t effective), (real, effective))       \
	X(FOUND, OWN, int, setresgid, (gid_t, gid_t, gid_t), (gid_t real, gid_t effective, gid_t saved),     \
	  (real, effective, saved))                                                                          \
	X(FOUND, OWN, int, setgroups, (size_t, const gid_t *), (size_t count, const gid_t *groups),          \
	  (count, groups))                                                                                   \
	X(FOUND, OWN, int, initgroups, (const char *, gid_t), (const char *user, gid_t group), (user, group))
/* clang-format on */

#endif
