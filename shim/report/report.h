/* SPDX-License-Identifier: MIT */
/*
 * What comes out: the statistics thread and its log. The only thread that the shim starts; it also runs the
 * clock of the trimming. Everything here may fail without harm to the host: then statistics are lost, and a
 * later line says so.
 */
#ifndef COPOOL_REPORT_REPORT_H
#define COPOOL_REPORT_REPORT_H

#include <stdbool.h>
#include <sys/types.h>

struct config;

/* What the `open` record says of the host; the strings outlive the process. */
struct report_service {
	const char *name; /* "qemu", "stacks", "named", "none" */
	const char *mode; /* "pool", "observe", "none" */
	const char
	        *way; /* RECORD's words for how: "ending", "switch", "stacks", "named", "observe", "none" */
	const char *detail; /* a sentence */
	bool has_failed;    /* it found what it knows, and could not take it over */
	unsigned cap;       /* on its depots, where it knows better than the settings; 0: it does not */
	/* In place of this one as soon as a pool was withdrawn (pool/doubt.h); NULL: that does not happen. */
	const struct report_service *later;
};

/*
 * For a program that has something to pool: writes the `open` record if a log was asked for. The statistics thread starts
 * when report_wake() is first called, so a program that never pools anything has none; or `at_once`, for one that is
 * sure to, and may confine itself before. Called once, from the constructor,
 * after the host has been attached. `config` and `host` must stay valid.
 */
void report_start(const struct config *config, const struct report_service *service, bool at_once);

/*
 * For a program that has nothing to pool: writes the one `open` line (and queued warnings) if a log was asked for that is its
 * own, as its name has the process in it. Into one that others write to as well, and onto the standard output or error, it
 * writes nothing; unless the host has failed, or COPOOL_TELL asks for it. Starts no thread, leaves no descriptor.
 */
void report_inert(const struct config *config, const struct report_service *service);

/*
 * For a program that may come to pool something: as report_inert. Should it, report_arrive() has the statistics begin,
 * with an `open` record of its `host`, when report_wake() is called for the first time; from any thread, once in
 * a process. report_may_arrive() says whether it shall be: the program may have confined itself meanwhile. Where
 * report_fork_child() was not called for a fork's child, that one began with the calling thread, and was forked by `parent`; 0:
 * nobody knows.
 */
void report_wait(const struct config *config, const struct report_service *service);
bool report_may_arrive(void);
void report_arrive(const struct report_service *service, pid_t parent);

/* Writes the `final` records and ends the thread; waits at most two seconds. Called from the destructor. */
void report_stop(void);

/*
 * Ends the thread for good, with `final` records and the reason in a warning, before the program does what
 * only a program without such a thread can do.
 */
void report_withdraw(const char *why);

/*
 * Ends the thread for the moment in which the program does what only a program with one thread can do. False: there is
 * none, or it does not end; then there is no way back either. errno survives both.
 */
bool report_step_aside(void);
void report_come_back(void);

/*
 * The program is about to take on a filter. Where the thread has not started it never will, nor is anything more written:
 * that could be death then. What is lost is said at once.
 */
void report_expect_filter(void);

/* The program is about to confine itself: it may be the last time that the thread can be woken. */
void report_confine(void);

/*
 * Root is about to become `user`, who may have no right to open the log; (uid_t)-1: no, it stays. Starts the thread, if
 * it has not, to open it now; not in a child of a fork in a process of several threads (report/user.h). errno survives.
 */
void report_leave_root(uid_t user);

/* Around a fork, in the parent; the second tells what children have left word of. errno survives. */
void report_fork_prepare(void);
void report_fork_parent(void);

/*
 * In a fork's child: the thread is gone. Forgets it, and has the next report_wake() start another; a child
 * that only execs thus never gets a thread.
 */
void report_fork_child(void);

/*
 * Starts the thread when it should run and does not: at the first use of a pool, also after a fork. Else cheap; called
 * from the pool's slow path.
 */
void report_wake(void);

#endif
