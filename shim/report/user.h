/* SPDX-License-Identifier: MIT */
/*
 * The program forks, and its user changes: what that means for the log. A service's master is root, and may write
 * everywhere; its workers are forked off, and become somebody who may not.
 *
 * A child that cannot open the log can say so nowhere. It leaves word in a page that it shares with its parent, and with
 * all that descend from that; one of them that has the log open, or can open it, tells, once for all of them.
 */
#ifndef COPOOL_REPORT_USER_H
#define COPOOL_REPORT_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Whether root is about to become `user`; (uid_t)-1 stands for no change. */
bool user_leaves_root(uid_t user);

/* Before a fork: makes the page, and sees whether there are threads beside the calling one, and ours, if it `has_ours`. */
void user_fork_prepare(bool has_ours);

/*
 * In the fork's child: whether its parent had no others then. If it had, one of them may have held a lock of the
 * loader's, which the making of a thread takes, and which nobody releases in the child.
 */
bool user_was_alone(void);

/* This process, a fork's child, could not open the log, for that errno value. */
void user_leave_word(int error);

/* Whether there is word of such a child that nobody has told. */
bool user_has_word(void);

/* The word as a sentence, for who is to tell it now; false: there is none, or another process tells it. */
bool user_take_word(char *text, size_t bytes);

#endif
