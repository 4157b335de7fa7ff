/*
 * The program's user changes, and forks before or after: what that means for the log. A service's master is root, and
 * may write everywhere; its workers are forked off, and become somebody who may not.
 */
#ifndef COPOOL_REPORT_USER_H
#define COPOOL_REPORT_USER_H

#include <stdbool.h>
#include <sys/types.h>

struct config;

/* Whether root is about to become `user`; (uid_t)-1 stands for no change. */
bool user_leaves_root(uid_t user);

/* Before a fork: whether there are threads beside the calling one, and ours, if it `has_ours`. */
void user_fork_prepare(bool has_ours);

/*
 * In the fork's child: whether its parent had no others then. If it had, one of them may have held a lock of the
 * loader's, which the making of a thread takes, and which nobody releases in the child.
 */
bool user_was_alone(void);

/* The user has changed, with the log open. */
void user_has_changed(void);

/* After a fork, in the parent: warns once if its children, unlike itself, could not open the log. */
void user_fork_parent(const struct config *config);

/* In a child that could make no thread: what is to be done for its records to arrive. `user`: who it becomes. */
void user_warn_of_child(uid_t user);

#endif
