/* SPDX-License-Identifier: MIT */
/* Both ends of a contender's process. */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct contender *const contenders[] = {&bare_array, &copool_linked, &copool_interposed,
        &malloc_free, &shared_list, &stack_of_queues, &structure_alone, &locked_batches, &magazines_urcu,
        &magazines_ck};

const char *const pattern_names[PATTERNS] = {
        [PING_PONG] = "ping-pong",
        [SAW_64] = "sawtooth 64",
        [SAW_1000] = "sawtooth 1000",
        [EDGE_2] = "edge 2",
        [EDGE_4] = "edge 4",
        [EDGE_8] = "edge 8",
        [EDGE_16] = "edge 16",
        [EDGE_32] = "edge 32",
        [HAND_OVER] = "hand over",
        [WALK] = "walk",
        [SAW_WIDE] = "sawtooth",
};

const struct contender *worker_find(const char *name)
{
	for (size_t i = 0; i < sizeof contenders / sizeof *contenders; i++) {
		if (strcmp(contenders[i]->name, name) == 0)
			return contenders[i];
	}
	return NULL;
}

int worker_find_pattern(const char *name)
{
	for (int i = 0; i < PATTERNS; i++) {
		if (strcmp(pattern_names[i], name) == 0)
			return i;
	}
	return -1;
}

static bool transfer(ssize_t (*move)(int, void *, size_t), int fd, void *data, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t moved = move(fd, (char *)data + done, bytes - done);

		if (moved <= 0 && errno != EINTR)
			return false;
		if (moved == 0)
			return false;
		done += moved > 0 ? (size_t)moved : 0;
	}
	return true;
}

static ssize_t write_some(int fd, void *data, size_t bytes)
{
	return write(fd, data, bytes);
}

int worker_main(const struct contender *contender)
{
	char is_here = contender->missing == NULL && (contender->start == NULL || contender->start());
	struct order order;
	struct answer answer;

	if (!transfer(write_some, STDOUT_FILENO, &is_here, 1) || !is_here)
		return 1;
	while (transfer(read, STDIN_FILENO, &order, sizeof order)) {
		if (!slice_run(contender, &order, &answer) ||
		        !transfer(write_some, STDOUT_FILENO, &answer, sizeof answer))
			return 1;
	}
	return 0;
}

/* The environment with LD_PRELOAD, and copool set up to do nothing but pool. */
static char **environment_with(const char *preload)
{
	static char setting[4096];
	size_t count = 0, kept = 0;
	char **environment;

	while (environ[count] != NULL)
		count++;
	environment = calloc(count + 3, sizeof *environment);
	for (size_t i = 0; environment != NULL && i < count; i++) {
		if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0 && strncmp(environ[i], "COPOOL_", 7) != 0)
			environment[kept++] = environ[i];
	}
	if (environment != NULL && preload != NULL) {
		snprintf(setting, sizeof setting, "LD_PRELOAD=%s", preload);
		environment[kept++] = setting;
		environment[kept++] = (char *)"COPOOL_DECAY_MS=0"; /* what a count needs: no clock in it */
	}
	return environment;
}

int worker_begin(struct worker_process *process, const char *program, const char *name, const char *preload)
{
	char *argument[] = {(char *)program, (char *)"worker", (char *)name, NULL};
	char **environment = environment_with(preload);
	posix_spawn_file_actions_t actions;
	int order[2], answer[2], error;
	char is_here = 0;

	if (environment == NULL || pipe2(order, O_CLOEXEC) != 0 || pipe2(answer, O_CLOEXEC) != 0)
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, order[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, answer[1], STDOUT_FILENO);
	error = posix_spawn(&process->pid, program, &actions, NULL, argument, environment);
	posix_spawn_file_actions_destroy(&actions);
	free(environment);
	close(order[0]);
	close(answer[1]);
	process->orders = order[1];
	process->answers = answer[0];
	if (error != 0) {
		process->pid = 0;
		return -error;
	}
	if (!transfer(read, process->answers, &is_here, 1) || !is_here) {
		worker_end(process);
		return -ENOENT;
	}
	return 0;
}

bool worker_ask(struct worker_process *process, const struct order *order, struct answer *answer)
{
	struct order copy = *order;

	return transfer(write_some, process->orders, &copy, sizeof copy) &&
	       transfer(read, process->answers, answer, sizeof *answer);
}

void worker_end(struct worker_process *process)
{
	close(process->orders);
	close(process->answers);
	if (process->pid > 0)
		waitpid(process->pid, NULL, 0);
	process->pid = 0;
}
