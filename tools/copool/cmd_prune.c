/* SPDX-License-Identifier: MIT */
/*
 * copool prune: removes the Prometheus files of processes that were killed before they could. Files that the
 * library did not write are never touched, nor are those of running processes.
 */
#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clean.h"
#include "copool.h"
#include "verb.h"

enum { KEY_OLDER = 'o', KEY_DRY_RUN = 'n', OLDER_STANDARD = 60, OLDER_MAX = 31536000, INTERVALS = 3 };

struct prune {
	bool is_dry;
	json_t *files; /* that were removed, or would be; NULL: a line for each is written */
	long older_s;
	long recent; /* files of processes that are gone, written too recently to be removed */
	char **folders;
	bool has_failed;
};

/* The writer of a file, as the file says. */
struct owner {
	long pid;
	double interval_s;
};

static const struct argp_option options[] = {
        {"json", 'j', NULL, 0, "Write one JSON object instead of a line for each file", 0},
        {"dry-run", KEY_DRY_RUN, NULL, 0, "Only say what would be removed", 0},
        {"older", KEY_OLDER, "SECONDS", 0,
                "Leave files alone that were written in the last SECONDS (0 to 31536000; 60)", 0},
        {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct prune *prune = state->input;

	switch (key) {
	case KEY_DRY_RUN:
		prune->is_dry = true;
		return 0;
	case 'j':
		prune->files = prune->files ?: json_array();
		return 0;
	case KEY_OLDER:
		prune->older_s = verb_whole(state, "older", value, 0, OLDER_MAX);
		return 0;
	}
	return verb_arguments(key, state, &prune->folders, "which folder?");
}

static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "FOLDER...",
        .doc = "Removes from each FOLDER the files that COPOOL_PROMETHEUS made and that their processes "
               "could not remove, for example because they were killed.\v"
               "It removes a file if it is copool's own, if the process that it names is gone, and if it has "
               "not been written for three of its intervals, nor for the time of --older. Processes in "
               "another PID namespace look as if they were gone: run it in theirs.\n\n"
               "The exit status is 0; 1 if something could not be read or removed; 2 for a wrong option.",
};

static void complain(struct prune *prune, const char *folder, const char *name, int error)
{
	fprintf(stderr, "copool prune: %s%s%s: %s\n", clean(folder), *name != '\0' ? "/" : "", clean(name),
	        strerror(error));
	prune->has_failed = true;
}

/* PATH.prom, or what was to become one: PATH.prom.PID.tmp. */
static bool is_candidate(const char *name)
{
	const char *end = strrchr(name, '.');

	return end != NULL &&
	       (strcmp(end, ".prom") == 0 || (strcmp(end, ".tmp") == 0 && strstr(name, ".prom.") != NULL));
}

/* Whether it is a file of copool's; its first series names the process. */
static bool read_owner(FILE *file, struct owner *owner)
{
	char line[1024];
	bool is_ours = false;

	*owner = (struct owner){0};
	while (fgets(line, sizeof line, file) != NULL && owner->interval_s == 0) {
		const char *pid = strstr(line, "\",pid=\""), *value = strrchr(line, ' ');

		if (line[0] == '#')
			continue;
		if (pid == NULL || strncmp(line, "copool_", 7) != 0)
			return false;
		is_ours = true;
		owner->pid = strtol(pid + 7, NULL, 10);
		if (strncmp(line, "copool_interval_seconds{", 24) == 0 && value != NULL)
			owner->interval_s = strtod(value, NULL);
	}
	return is_ours && owner->pid > 0;
}

/* When the process was started, in seconds since 1970; 0: there is no such process. */
static double started_at(long pid)
{
	struct timespec boot, now;
	unsigned long long ticks;
	char path[64], line[1024];
	const char *rest = NULL;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	if (fgets(line, sizeof line, file) != NULL)
		rest = strrchr(line, ')'); /* a program's name may hold anything */
	fclose(file);
	if (rest == NULL ||
	        sscanf(rest,
	                ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
	                &ticks) != 1)
		return 0;
	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &now);
	return (double)(now.tv_sec - boot.tv_sec) + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

/* A process that started after the file was written only has the same number. */
static bool is_alive(const struct owner *owner, time_t written)
{
	double start = started_at(owner->pid);

	return start != 0 && start <= (double)written + 1;
}

/* Whether the file was written so recently that a process may be about to write it again. */
static bool is_recent(const struct prune *prune, const struct owner *owner, const struct stat *status)
{
	double age = difftime(time(NULL), status->st_mtime);

	return age < (double)prune->older_s || age < INTERVALS * owner->interval_s;
}

static void tell(const struct prune *prune, const char *folder, const char *name)
{
	char path[PATH_MAX];

	if (prune->files == NULL) {
		printf("%s%s/%s\n", prune->is_dry ? "would remove " : "removed ", clean(folder), clean(name));
		return;
	}
	snprintf(path, sizeof path, "%s/%s", folder, name);
	json_t *text = json_string(path); /* NULL: it is not UTF-8 */
	json_array_append_new(prune->files, text != NULL ? text : json_string(clean(path)));
}

static void print_json(const struct prune *prune)
{
	json_t *all = json_pack("{s:b, s:O}", "dry_run", prune->is_dry, "files", prune->files);

	clean_json(all, JSON_INDENT(2), stdout);
	json_decref(all);
	json_decref(prune->files);
}

static void look_at(struct prune *prune, int folder_fd, const char *folder, const char *name)
{
	int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
	struct owner owner;
	struct stat status;

	if (file == NULL) {
		/* A link is not ours; a file that has vanished need not be removed. */
		if (errno != ELOOP && errno != ENOENT)
			complain(prune, folder, name, errno);
		return;
	}
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && read_owner(file, &owner) &&
	        !is_alive(&owner, status.st_mtime)) {
		if (is_recent(prune, &owner, &status))
			prune->recent++;
		else if (!prune->is_dry && unlinkat(folder_fd, name, 0) != 0 && errno != ENOENT)
			complain(prune, folder, name, errno);
		else
			tell(prune, folder, name);
	}
	fclose(file);
}

static void prune_folder(struct prune *prune, const char *folder)
{
	DIR *listing = opendir(folder);
	const struct dirent *entry;

	if (listing == NULL) {
		complain(prune, folder, "", errno);
		return;
	}
	while ((entry = readdir(listing)) != NULL) {
		if (is_candidate(entry->d_name))
			look_at(prune, dirfd(listing), folder, entry->d_name);
	}
	closedir(listing);
}

int cmd_prune(int argc, char **argv)
{
	struct prune prune = {.older_s = OLDER_STANDARD};

	argp_parse(&argp, argc, argv, 0, NULL, &prune);
	for (char **folder = prune.folders; *folder != NULL; folder++)
		prune_folder(&prune, *folder);
	if (prune.recent > 0)
		fprintf(stderr,
		        "copool prune: %ld more of processes that are gone: written in the last %ld seconds (--older), "
		        "or within three of their intervals\n",
		        prune.recent, prune.older_s);
	if (prune.files != NULL)
		print_json(&prune);
	return verb_end("prune", prune.has_failed, 1);
}
