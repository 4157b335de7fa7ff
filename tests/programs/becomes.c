/* SPDX-License-Identifier: MIT */
/*
 * becomes HOW...: forks a child for each HOW, one after the other, that becomes another user and then has coroutine stacks;
 * says how each ended.
 *
 *	setuid, seteuid, setreuid, setresuid	by that call
 *	raw					by a system call, of which no preload hears
 *	closes					by setuid; then closes all descriptors, and opens a file on each number
 *	threads					by setuid, forked while the parent has another thread
 *	keeps					by setuid, and keeps its capabilities
 *	grandchild				by setuid, and forks another, which has the stacks
 *	itself					no child: the parent, by setuid
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534, BYTES = 64 << 10, STACKS = 40, DESCRIPTORS = 64 };

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *wait_at_gate(void *unused)
{
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return unused;
}

static bool use(void)
{
	char *stack[STACKS];

	for (int i = 0; i < STACKS; i++) {
		stack[i] = mmap(
		        NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
		if (stack[i] == MAP_FAILED)
			return false;
		stack[i][BYTES - 1] = 1;
	}
	for (int i = 0; i < STACKS; i++)
		munmap(stack[i], BYTES);
	return true;
}

/* Whether a file that was opened on a number that somebody else may have kept has nothing of his. */
static bool reuse_descriptors(void)
{
	off_t bytes = 0;
	int fd;

	for (fd = 3; fd < DESCRIPTORS; fd++)
		close(fd);
	while ((fd = open(".", O_TMPFILE | O_RDWR, 0600)) >= 0 && fd < DESCRIPTORS)
		;
	if (fd < DESCRIPTORS || !use())
		return false;
	usleep(50000);
	for (fd = 3; fd < DESCRIPTORS; fd++)
		bytes += lseek(fd, 0, SEEK_END);
	return bytes == 0;
}

static int change(const char *how)
{
	if (strcmp(how, "seteuid") == 0)
		return seteuid(NOBODY);
	if (strcmp(how, "setreuid") == 0)
		return setreuid(NOBODY, NOBODY);
	if (strcmp(how, "setresuid") == 0)
		return setresuid(NOBODY, NOBODY, NOBODY);
	if (strcmp(how, "raw") == 0)
		return (int)syscall(SYS_setuid, NOBODY);
	if (strcmp(how, "keeps") == 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
		return -1;
	return setuid(NOBODY);
}

static int end_of(pid_t child)
{
	int status = -1;

	waitpid(child, &status, 0);
	return status;
}

static int live(const char *how)
{
	pid_t child;

	if (change(how) != 0 || geteuid() != NOBODY)
		return 2;
	if (strcmp(how, "closes") == 0)
		return !reuse_descriptors();
	if (strcmp(how, "grandchild") != 0)
		return !use();
	child = fork();
	if (child == 0)
		exit(!use());
	return end_of(child) != 0;
}

int main(int count, char **words)
{
	for (int i = 1; i < count; i++) {
		bool has_thread = strcmp(words[i], "threads") == 0;
		pthread_t thread;
		pid_t child = 0;

		pthread_mutex_lock(&gate);
		if (has_thread && pthread_create(&thread, NULL, wait_at_gate, NULL) != 0)
			return EXIT_FAILURE;
		if (strcmp(words[i], "itself") == 0)
			return live(words[i]);
		fflush(stdout);
		child = fork();
		if (child == 0)
			exit(live(words[i]));
		printf("%s: %d\n", words[i], end_of(child));
		pthread_mutex_unlock(&gate);
		if (has_thread)
			pthread_join(thread, NULL);
	}
	return EXIT_SUCCESS;
}
