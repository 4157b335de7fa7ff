/* SPDX-License-Identifier: MIT */
/*
 * What forks and a change of user mean for the log. A service's master is root and may write anywhere. Its workers are
 * forked and become another user, who may not.
 *
 * A child that cannot open the log has nowhere to report that. It leaves word in a page that it shares with its parent
 * and all of the parent's other descendants. One of them that can write to the log reports it, once for all.
 */
#ifndef COPOOL_REPORT_USER_H
#define COPOOL_REPORT_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Whether the process is root and about to become another `user`; (uid_t)-1 stands for no change. */
bool user_leaves_root(uid_t user);

/*
 * Before a fork: maps the page, and finds out whether the process has threads besides the calling one (and the
 * statistics thread, if it `has_ours`).
 */
void user_fork_prepare(bool has_ours);

/*
 * In a fork's child: whether its parent had no such threads. If it had, one of them may have held a lock of the loader
 * that pthread_create() takes, and that is never released in the child.
 */
bool user_was_alone(void);

/* Leaves word that this process, a fork's child, could not open the log; `error` is the errno value. */
void user_leave_word(int error);

/* Whether there is word that no process has reported yet. */
bool user_has_word(void);

/* Takes the word, as a sentence; the caller must report it. False: there is none, or another process has taken it. */
bool user_take_word(char *text, size_t bytes);

#endif
