/* SPDX-License-Identifier: MIT */
/*
 * A program with handles that does what it is told, word by word, and then ends: steps WORD...
 *
 *	keep N	makes N boxes, and keeps them
 *	use N	makes and drops N boxes		wait PATH	until there is such a file, at most 20 seconds
 *	chdir PATH	goes there		touch PATH	makes that file
 *	say TEXT	on standard output	leave	ends at once, without destructors
 *	root PATH	is its root from now on	become-sleep N	becomes sleep(1), for N seconds
 *	fork	the parent waits for the child, which goes on, and ends as it does
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define APART __attribute__((noinline, noclone))

enum { BOXES_MAX = 10000, PATIENCE = 2000 };

struct box {
	unsigned long number;
	char rest[120];
};

static unsigned long boxes;

struct box *box_make(void);
void box_drop(struct box *box);

APART struct box *box_make(void)
{
	struct box *box = calloc(1, sizeof *box);

	if (box != NULL)
		box->number = ++boxes;
	return box;
}

APART void box_drop(struct box *box)
{
	if (box != NULL)
		boxes--;
	free(box);
}

static int step_use(const char *count)
{
	static struct box *held[BOXES_MAX];
	unsigned long boxes_wanted = strtoul(count, NULL, 10);

	if (boxes_wanted > BOXES_MAX)
		return 1;
	for (unsigned long i = 0; i < boxes_wanted; i++)
		held[i] = box_make();
	for (unsigned long i = 0; i < boxes_wanted; i++)
		box_drop(held[i]);
	return 0;
}

static int step_keep(const char *count)
{
	for (unsigned long left = strtoul(count, NULL, 10); left > 0; left--) {
		if (box_make() == NULL)
			return 1;
	}
	return 0;
}

static int step_wait(const char *path)
{
	for (int i = 0; i < PATIENCE; i++) {
		if (access(path, F_OK) == 0)
			return 0;
		poll(NULL, 0, 10);
	}
	return 1;
}

static int step_touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);

	return fd < 0 || close(fd) != 0;
}

static int step_say(const char *text)
{
	return puts(text) < 0 || fflush(stdout) != 0;
}

static int step_leave(const char *unused)
{
	(void)unused;
	_exit(0);
}

static int step_root(const char *path)
{
	return chroot(path) != 0 || chdir("/") != 0;
}

static int step_sleep(const char *seconds)
{
	execlp("sleep", "sleep", seconds, (char *)NULL);
	return 1;
}

static int step_fork(const char *unused)
{
	pid_t child = fork();
	int status;

	(void)unused;
	if (child == 0)
		return 0;
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 1;
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static const struct step {
	const char *name;
	int words; /* that belong to it */
	int (*take)(const char *word);
} steps[] = {
        {"use", 1, step_use},
        {"keep", 1, step_keep},
        {"chdir", 1, chdir},
        {"wait", 1, step_wait},
        {"touch", 1, step_touch},
        {"say", 1, step_say},
        {"leave", 0, step_leave},
        {"root", 1, step_root},
        {"become-sleep", 1, step_sleep},
        {"fork", 0, step_fork},
};

static const struct step *find_step(const char *name)
{
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		if (strcmp(steps[i].name, name) == 0)
			return &steps[i];
	}
	return NULL;
}

int main(int count, char **word)
{
	for (int i = 1; i < count; i++) {
		const struct step *step = find_step(word[i]);

		if (step == NULL || i + step->words >= count) {
			fprintf(stderr, "%s: no such step\n", word[i]);
			return 2;
		}
		i += step->words;
		if (step->take(word[i]) != 0) {
			fprintf(stderr, "%s %s: %s\n", step->name, word[i], strerror(errno));
			return 1;
		}
	}
	return 0;
}
