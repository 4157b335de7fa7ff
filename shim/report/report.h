/* SPDX-License-Identifier: MIT */
/*
 * The statistics thread and its log. It is the only thread that the shim starts, and it also trims the pools.
 * Anything here may fail without harm to the program: then statistics are lost, and a later line of the log says so.
 */
#ifndef COPOOL_REPORT_REPORT_H
#define COPOOL_REPORT_REPORT_H

#include <stdbool.h>
#include <sys/types.h>

struct config;

/* How the program is served, as the `open` record says. The strings must stay valid as long as the process lives. */
struct report_service {
	const char *name;   /* "qemu", "stacks", "named", "none" */
	const char *mode;   /* "pool", "observe", "none" */
	const char *way;    /* how, in the words of record.h */
	const char *detail; /* a sentence */
	bool has_failed;    /* the adapter knows the program, but could not be attached */
	unsigned cap;       /* batches in each depot, if the adapter knows better than the settings; else 0 */
	/* Takes the place of this one once a pool was withdrawn (pool/doubt.h); NULL: no pool can be. */
	const struct report_service *later;
};

/*
 * For a program that has something to pool: writes the `open` record if a log is wanted. The statistics thread starts
 * at the first report_wake(), so a program that never pools anything gets none. `at_once` starts it now: for a program
 * that is sure to pool something, and may confine itself before it does. The constructor calls this once, after the
 * adapter is attached. `config` and `service` must stay valid.
 */
void report_start(const struct config *config, const struct report_service *service, bool at_once);

/*
 * For a program that has nothing to pool: writes the `open` record, and the warnings so far, if the log is the
 * process's own (its path names the process). A log that others share, the standard output and the standard error get
 * nothing, unless an adapter has failed or COPOOL_TELL asks for it. Starts no thread, leaves no descriptor open.
 */
void report_inert(const struct config *config, const struct report_service *service);

/*
 * For a program that may load something to pool later: report_wait() does what report_inert() does. If something is
 * attached later, report_arrive() prepares the statistics; they begin, with another `open` record, at the first
 * report_wake(). Any thread may call it, once in a process. The caller must ask report_may_arrive() before it attaches
 * anything: the program may have confined itself since it started.
 *
 * `parent` matters only in a fork's child in which report_fork_child() was not called. It is the parent's process id if
 * the child began with the calling thread, and 0 if that is not known.
 */
void report_wait(const struct config *config, const struct report_service *service);
bool report_may_arrive(void);
void report_arrive(const struct report_service *service, pid_t parent);

/* Writes the `final` records and ends the thread; waits at most two seconds. The destructor calls it. */
void report_stop(void);

/*
 * Ends the thread for good, with `final` records and a warning that says why: the program is about to do something
 * that it can do only without such a thread.
 */
void report_withdraw(const char *why);

/* The thread's id, if it runs in the calling process and may be asked about; 0: no. errno survives. */
pid_t report_thread(void);

/*
 * Ends the thread while the program does something that only a process of one thread can do; report_come_back() starts
 * it again. False: there is no thread, or it does not end; then report_come_back() must not be called. errno survives.
 */
bool report_step_aside(void);
void report_come_back(void);

/*
 * The program is about to install a seccomp filter. If the thread has not started, it never will, and nothing more is
 * written: the filter might kill the process for it. What is lost is said at once.
 */
void report_expect_filter(void);

/* The program is about to confine itself; later it may no longer be allowed to wake the thread. */
void report_confine(void);

/*
 * The program is about to become `user` ((uid_t)-1: no change), which may not be allowed to open the log. If it is
 * root now, starts the thread, which opens the log; but not in the child of a process that had several threads
 * (report/user.h). errno survives.
 */
void report_leave_root(uid_t user);

/* Around a fork, in the parent; the second also reports what children could not. errno survives. */
void report_fork_prepare(void);
void report_fork_parent(void);

/*
 * In a fork's child, which has no statistics thread: the next report_wake() starts one. So a child that only calls
 * exec never gets a thread.
 */
void report_fork_child(void);

/*
 * Starts the thread if it should run and does not: at the first use of a pool, also after a fork. Wakes it if it
 * sleeps; else cheap. The pools' slow path calls it. errno survives.
 */
void report_wake(void);

#endif
