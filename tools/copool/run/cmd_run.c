/* SPDX-License-Identifier: MIT */
/*
 * copool run: sets COPOOL_* and LD_PRELOAD and becomes the program. Before, it checks for everything that is known to
 * make the preload fail silently.
 */
#include <argp.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clean.h"
#include "copool.h"
#include "run/launch.h"
#include "run/options.h"
#include "verb.h"

enum { KEY_OBSERVE = OPTIONS_LAST, KEY_SUMMARY };

static const struct argp_option options[] = {
        {"observe", KEY_OBSERVE, NULL, 0, "Only count: the program's own pool, if it has one, serves it", 0},
        {"summary", KEY_SUMMARY, NULL, 0,
                "Have PROGRAM write one line to standard error at its end: what was pooled, or why nothing was",
                0},
        {0},
};

/* Sets a variable to this process, which becomes the program. */
static int set_to_pid(const char *name, int overwrite)
{
	char pid[16];

	snprintf(pid, sizeof pid, "%d", (int)getpid());
	return setenv(name, pid, overwrite) == 0 ? 0 : errno;
}

static const struct argp_child children[] = {{&options_report, 0, NULL, 0}, {&options_pool, 0, NULL, 0}, {0}};

static error_t parse(int key, char *value, struct argp_state *state)
{
	char ***program = state->input;

	(void)value;
	switch (key) {
	case KEY_OBSERVE:
		return setenv("COPOOL_MODE", "observe", 1) == 0 ? 0 : errno;
	case KEY_SUMMARY:
		return set_to_pid("COPOOL_SUMMARY", 1);
	}
	return verb_arguments(key, state, program, "which program?");
}

static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "PROGRAM [ARGUMENT...]",
        .children = children,
        .doc = "Runs PROGRAM with libcopool.so preloaded, so that its coroutines are recycled.\v"
               "For options that are not given, the environment counts, and then the settings files: see "
               "libcopool(7), and `copool settings PROGRAM'.\n\n"
               "PROGRAM's children inherit the preload. Programs that use musl, or a glibc older than "
               "libcopool.so needs, do not start with it: start them with `env -u LD_PRELOAD'.\n\n"
               "The exit status is PROGRAM's; 2 for a wrong option, 125 if copool itself fails, 126 if "
               "PROGRAM cannot be run with a preload, 127 if it is not found.\n\n"
               "Example: copool run --log=/tmp/%n.%p.jsonl -- qemu-img bench -d 1024 disk.img",
};

/* Whether the log can be written, as far as its path is known before %p and the like. Returns 0, or -errno. */
static int check_log(const char *log)
{
	static const char *const standard[] = {"stderr", "stdout", "/dev/stderr", "/dev/stdout", "/dev/fd/1",
	        "/dev/fd/2", "/proc/self/fd/1", "/proc/self/fd/2"};
	char folder[PATH_MAX];
	struct stat status;

	for (size_t i = 0; i < sizeof standard / sizeof standard[0]; i++) {
		if (strcmp(log, standard[i]) == 0)
			return 0;
	}
	if ((size_t)snprintf(folder, sizeof folder, "%s", log) >= sizeof folder)
		return -ENAMETOOLONG;
	if (strpbrk(log, "%{") == NULL && stat(log, &status) == 0) {
		if (S_ISDIR(status.st_mode))
			return -EISDIR;
		return access(log, W_OK) == 0 ? 0 : -errno;
	}
	const char *parent = dirname(folder);
	if (strpbrk(parent, "%{") != NULL)
		return 0;
	if (stat(parent, &status) != 0)
		return -errno;
	if (!S_ISDIR(status.st_mode))
		return -ENOTDIR;
	return access(parent, W_OK | X_OK) == 0 ? 0 : -errno;
}

int cmd_run(int argc, char **argv)
{
	struct launch launch;
	char **program = NULL;
	int status = argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &program);

	if (status) {
		fprintf(stderr, "copool run: %s\n", strerror(status));
		return EXIT_OURS;
	}
	const char *log = getenv("COPOOL_LOG");
	int error = log != NULL && *log ? check_log(log) : 0;
	if (error) {
		fprintf(stderr, "copool run: cannot write the log %s: %s\n", clean(log), strerror(-error));
		return EXIT_OURS;
	}
	/* The program says why nothing is pooled; its children do not. */
	set_to_pid("COPOOL_TELL", 0);
	status = launch_prepare(&launch, "run", program);
	return status ? status : launch_exec(&launch);
}
