/* SPDX-License-Identifier: MIT */
#include "compare/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A pipe can be read only once: every run gets an empty input instead. */
static int open_input(struct stage *stage)
{
	struct stat status;
	struct pollfd waiting = {.fd = STDIN_FILENO, .events = POLLIN};

	stage->input_start = -1;
	stage->input = STDIN_FILENO;
	if (fstat(STDIN_FILENO, &status) == 0 && !S_ISFIFO(status.st_mode) && !S_ISSOCK(status.st_mode)) {
		if (S_ISREG(status.st_mode))
			stage->input_start = lseek(STDIN_FILENO, 0, SEEK_CUR);
		return 0;
	}
	if (poll(&waiting, 1, 0) == 1 && (waiting.revents & POLLIN) != 0)
		fprintf(stderr,
		        "copool compare: standard input is a pipe, which only one run could read: all get an "
		        "empty one\n");
	stage->input = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return stage->input < 0 ? -errno : 0;
}

static int make_folder(struct stage *stage)
{
	const char *place = getenv("TMPDIR");
	char real[PATH_MAX];

	if (place == NULL || *place == '\0')
		place = "/tmp";
	if (realpath(place, real) == NULL)
		return -errno;
	if ((size_t)snprintf(stage->folder, sizeof stage->folder, "%s/copool-XXXXXX", real) + 16 >=
	        sizeof stage->folder)
		return -ENAMETOOLONG;
	if (mkdtemp(stage->folder) == NULL)
		return -errno;
	snprintf(stage->log, sizeof stage->log, "%.*s/log", PATH_MAX - 16, stage->folder);
	snprintf(stage->output, sizeof stage->output, "%.*s/output", PATH_MAX - 16, stage->folder);
	return 0;
}

/* As under nohup: an ignored signal that is blocked would still arrive. */
static bool is_ignored(int number)
{
	struct sigaction action;

	return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

int stage_begin(struct stage *stage, const struct launch *launch)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	int error;

	memset(stage, 0, sizeof *stage);
	stage->launch = launch;
	error = open_input(stage);
	if (error == 0)
		error = make_folder(stage);
	if (error)
		return error;
	sigemptyset(&stage->signals);
	sigaddset(&stage->signals, SIGCHLD);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		if (!is_ignored(numbers[i]))
			sigaddset(&stage->signals, numbers[i]);
	}
	sigprocmask(SIG_BLOCK, &stage->signals, &stage->before);
	/* If SIGCHLD were ignored, children would vanish with the resources that they used. */
	signal(SIGCHLD, SIG_DFL);
	stage->broken_pipe = signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return 0;
}

void stage_end(struct stage *stage)
{
	unlink(stage->log);
	unlink(stage->output);
	rmdir(stage->folder);
	signal(SIGPIPE, stage->broken_pipe);
	sigprocmask(SIG_SETMASK, &stage->before, NULL);
}
