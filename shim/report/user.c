/* The words are written by who forks or changes the user, and read by the same thread, in the child as well. */
#include "report/user.h"

#include "config.h"
#include "libc/elsewhere.h"
#include "libc/warn.h"
#include "report/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOT_THREADS = 2 }; /* of the links that the folder of threads has */

static struct {
	_Atomic bool was_alone;   /* see user_was_alone */
	_Atomic bool has_changed; /* with the log open */
	_Atomic bool is_known;    /* and whether children may open it */
} user;

bool user_leaves_root(uid_t to)
{
	return to != 0 && to != (uid_t)-1 && geteuid() == 0;
}

void user_fork_prepare(bool has_ours)
{
	int saved = errno;
	struct stat threads;
	/* What libc knows is enough for most; it goes on to say no when the others have ended. */
	bool is_alone =
	        __libc_single_threaded || (stat("/proc/self/task", &threads) == 0 &&
	                                          threads.st_nlink == (nlink_t)NOT_THREADS + 1 + has_ours);

	/* [user] relaxed: read by this thread. Two that fork at once are not alone, and both find that. */
	atomic_store_explicit(&user.was_alone, is_alone, memory_order_relaxed);
	errno = saved;
}

bool user_was_alone(void)
{
	/* [user] relaxed: as above. */
	return atomic_load_explicit(&user.was_alone, memory_order_relaxed);
}

void user_has_changed(void)
{
	/* [user] relaxed: a word that means something by itself. */
	atomic_store_explicit(&user.has_changed, true, memory_order_relaxed);
}

/* Whether a child could open it: with %p one of its own, else this very file. */
static void ask(void *argument)
{
	const struct config *config = argument;
	bool is_own = path_names_process(config->log);
	char path[PATH_MAX];

	if (strcmp(config->log, "stderr") == 0 || strcmp(config->log, "stdout") == 0 ||
	        path_expand(path, config->log, config->start_dir) != 0)
		return;
	if (is_own)
		*(strrchr(path, '/') + 1) = '\0';
	if (syscall(SYS_faccessat2, AT_FDCWD, path, is_own ? W_OK | X_OK : W_OK, AT_EACCESS) != 0 &&
	        errno == EACCES)
		warn("COPOOL_LOG=%.300s: the user who this process has become may not open it: children that "
		     "it "
		     "forks have no log; a log with %%p in a folder of that user's would do",
		        config->log);
}

void user_fork_parent(const struct config *config)
{
	int saved = errno;

	/* [user] relaxed: as above; once is enough. */
	if (atomic_load_explicit(&user.has_changed, memory_order_relaxed) &&
	        !atomic_exchange_explicit(&user.is_known, true, memory_order_relaxed))
		elsewhere_run(ask, (void *)config);
	errno = saved;
}

void user_warn_of_child(uid_t to)
{
	warn_later("this process was forked by one of several threads, so it can open no log for good before "
	           "its user changes: it has one only if COPOOL_LOG is a file that user %u may write to",
	        to);
}
