/* SPDX-License-Identifier: MIT */
#include "doctor/process.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor/force.h"
#include "doctor/known.h"
#include "doctor/machine.h"
#include "process/permission.h"
#include "process/remote.h"
#include "run/rooted.h"

enum { PATH_ROOM = 64, ENVIRONMENT_MOST = 1 << 20, MAPS_NEARLY = 9 };

static const char deleted[] = " (deleted)";

/* ---- /proc/PID ---- */

static FILE *open_file(const struct process *process, const char *name)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof path, "/proc/%d/%s", process->pid, name);
	return fopen(path, "re");
}

/* The text after `key` in status or limits; false if it is not there. */
static bool find_line(
        const struct process *process, const char *name, const char *key, char *text, size_t room)
{
	FILE *file = open_file(process, name);
	bool is_found = false;
	char line[4096];

	while (file != NULL && !is_found && fgets(line, sizeof line, file) != NULL) {
		is_found = strncmp(line, key, strlen(key)) == 0;
		if (is_found)
			snprintf(text, room, "%s", line + strlen(key) + strspn(line + strlen(key), " \t"));
	}
	if (file != NULL)
		fclose(file);
	text[is_found ? strcspn(text, "\n") : 0] = '\0';
	return is_found;
}

/* Reads a link. False, with errno, if that is not allowed. */
static bool read_link(const struct process *process, const char *name, char *to, size_t room)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof path, "/proc/%d/%s", process->pid, name);
	ssize_t length = readlink(path, to, room - 1);
	to[length > 0 ? length : 0] = '\0';
	return length >= 0;
}

/* ---- who it is ---- */

static void find_writer(struct process *process)
{
	struct writer *writer = &process->writer;
	unsigned effective = 0;
	char text[4096], *rest = NULL;

	if (find_line(process, "status", "Uid:", text, sizeof text) &&
	        sscanf(text, "%*u %u", &effective) == 1)
		writer->user = effective;
	snprintf(writer->name, sizeof writer->name, "%u", effective);
	if (find_line(process, "status", "Gid:", text, sizeof text) &&
	        sscanf(text, "%*u %u", &effective) == 1)
		writer->group = effective;
	if (!find_line(process, "status", "Groups:", text, sizeof text))
		return;
	for (char *group = strtok_r(text, " ", &rest); group != NULL && writer->group_count < WRITABLE_GROUPS;
	        group = strtok_r(NULL, " ", &rest))
		writer->groups[writer->group_count++] = (gid_t)atol(group);
}

/*
 * Sets the process's root, if its files are not ours: another root folder, or another file of the same path. Makes `file`
 * a path below that root.
 */
static void find_root(struct process *process, char *file)
{
	char proc[PATH_ROOM], root[PATH_MAX];
	struct stat here, there;
	bool is_root = true, is_file;

	snprintf(proc, sizeof proc, "/proc/%d/root/", process->pid);
	if (stat(proc, &there) == 0 && stat("/", &here) == 0)
		is_root = here.st_dev == there.st_dev && here.st_ino == there.st_ino;
	snprintf(proc, sizeof proc, "/proc/%d/exe", process->pid);
	is_file = stat(proc, &there) == 0 && stat(file, &here) == 0 && here.st_dev == there.st_dev &&
	          here.st_ino == there.st_ino;
	if (is_root && is_file)
		return;
	snprintf(process->root, sizeof process->root, "/proc/%d/root", process->pid);
	if (!read_link(process, "root", root, sizeof root))
		return;
	size_t length = strlen(root);
	if (length > 1 && strncmp(file, root, length) == 0 && file[length] == '/')
		memmove(file, file + length, strlen(file + length) + 1);
}

/* Says why the process has no program. */
static void tell_none(struct sheet *sheet, const struct process *process)
{
	char state = permission_state(process->pid);

	if (state == '?')
		sheet_find(sheet, SHEET_NOTE, "missing", "there is no process %d any more", process->pid);
	else if (state == 'Z' || state == 'X')
		sheet_find(sheet, SHEET_NOTE, "missing",
		        "process %d has ended; its parent has not asked for its exit status yet",
		        process->pid);
	else
		sheet_find(sheet, SHEET_NOTE, "missing", "process %d runs no program: it is the kernel's",
		        process->pid);
}

/* Finds its program, as it can be opened from here. Returns false if there is none. */
static bool find_file(struct sheet *sheet, struct process *process, struct program *program)
{
	char file[PATH_MAX];

	if (!read_link(process, "exe", file, sizeof file)) {
		bool is_there = errno != ENOENT && errno != ESRCH;

		if (is_there)
			sheet_unread(sheet, "the program of process %d: %s", process->pid, strerror(errno));
		else
			tell_none(sheet, process);
		return is_there;
	}
	size_t length = strlen(file), end = strlen(deleted);
	if (length > end && strcmp(file + length - end, deleted) == 0) {
		file[length - end] = '\0';
		sheet_find(sheet, SHEET_NOTE, "program_replaced",
		        "the program's file was replaced or removed since the process began");
	}
	find_root(process, file);
	bool is_ours = process->root[0] == '\0';
	if (is_ours)
		snprintf(program->path, sizeof program->path, "%s", file);
	else
		snprintf(program->path, sizeof program->path, "/proc/%d/exe", process->pid);
	snprintf(program->target.root, sizeof program->target.root, "%s", process->root);
	sheet_text(sheet, "program", "path", file);
	sheet_set(sheet, "process", "is_elsewhere", json_boolean(!is_ours));
	return true;
}

bool process_find(struct sheet *sheet, struct process *process, struct program *program, pid_t pid)
{
	char name[64];

	*process = (struct process){.pid = pid};
	if (!find_line(process, "status", "Name:", name, sizeof name)) {
		sheet_find(sheet, SHEET_NOTE, "missing", "there is no process %d", pid);
		return false;
	}
	sheet_set(sheet, "process", "pid", json_integer(pid));
	sheet_text(sheet, "process", "name", name);
	find_writer(process);
	sheet_set(sheet, "process", "user", json_integer(process->writer.user));
	program->target.user = process->writer.user;
	program->target.group = process->writer.group;
	program->is_process = true;
	read_link(process, "cwd", process->folder, sizeof process->folder);
	return find_file(sheet, process, program);
}

/* ---- settings ---- */

/* Its environment, NUL between the variables; NULL and errno if it may not be read. */
static char *read_environment(const struct process *process, size_t *bytes)
{
	FILE *file = open_file(process, "environ");
	char *text = file != NULL ? malloc(ENVIRONMENT_MOST + 1) : NULL;

	*bytes = 0;
	if (text != NULL) {
		*bytes = fread(text, 1, ENVIRONMENT_MOST, file);
		text[*bytes] = '\0';
	}
	if (file != NULL)
		fclose(file);
	return text;
}

/* LD_PRELOAD names the library, and the process does not have it: is the file there? */
static void check_preload(struct sheet *sheet, const struct process *process, const char *value)
{
	char copy[PATH_MAX], *rest = NULL;

	snprintf(copy, sizeof copy, "%s", value);
	for (char *entry = strtok_r(copy, " :", &rest); entry != NULL; entry = strtok_r(NULL, " :", &rest)) {
		if (strstr(entry, "libcopool") == NULL || strchr(entry, '/') == NULL)
			continue;
		if (!rooted_has(process->root, entry))
			sheet_find(sheet, SHEET_BAR, "preload_missing",
			        "its LD_PRELOAD names %s, which cannot be read there: %s", entry,
			        strerror(errno));
	}
}

static void examine_settings(struct sheet *sheet, struct process *process, const char *label)
{
	struct force force = {.program = sheet_get_text(sheet, "program", "path"),
	        .label = label,
	        .root = process->root,
	        .user = process->writer.user};
	char *text = read_environment(process, &force.bytes);
	const char *preload = NULL;

	if (text == NULL) {
		sheet_unread(sheet, "the environment of process %d: %s", process->pid, strerror(errno));
		return;
	}
	for (size_t at = 0; at < force.bytes; at += strlen(text + at) + 1) {
		if (strncmp(text + at, "LD_PRELOAD=", 11) == 0)
			preload = text + at + 11;
	}
	sheet_text(sheet, "preload", "environment", preload);
	force.variables = text;
	if (force.program != NULL)
		force_tell(sheet, &force, process->log);
	free(text);
}

/* ---- limits and confinement ---- */

static void examine_maps(struct sheet *sheet, const struct process *process)
{
	long most = (long)json_integer_value(sheet_get(sheet, "kernel", "max_map_count")), maps = 0;
	FILE *file = open_file(process, "maps");
	char text[128];
	int byte;

	if (file == NULL) {
		sheet_unread(sheet, "the memory maps of process %d: %s", process->pid, strerror(errno));
		return;
	}
	while ((byte = getc(file)) != EOF)
		maps += byte == '\n';
	fclose(file);
	sheet_set(sheet, "process", "maps", json_integer(maps));
	if (most > 0 && maps >= most / 10 * MAPS_NEARLY)
		sheet_find(sheet, SHEET_NOTE, "maps", "it has %ld memory maps; vm.max_map_count allows %ld",
		        maps, most);
	bool is_known = find_line(process, "limits", "Max locked memory", text, sizeof text);
	sheet_set(sheet, "kernel", "locked_bytes",
	        is_known && *text >= '0' && *text <= '9' ? json_integer(atoll(text)) : NULL);
}

void process_examine(struct sheet *sheet, struct process *process)
{
	machine_confined(sheet, process->pid);
	sheet_set(sheet, "confinement", "mdwe", NULL);
	sheet_unread(sheet, "MDWE of process %d: the kernel tells only the process itself", process->pid);
	examine_maps(sheet, process);
	machine_preload_file(sheet, process->root);
}

/* ---- the library ---- */

/* Whether the loader was told to ignore LD_PRELOAD. */
static bool is_secure(const struct process *process)
{
	FILE *file = open_file(process, "auxv");
	Elf64_auxv_t one;
	bool is = false;

	while (file != NULL && fread(&one, sizeof one, 1, file) == 1 && one.a_type != AT_NULL)
		is |= one.a_type == AT_SECURE && one.a_un.a_val != 0;
	if (file != NULL)
		fclose(file);
	return is;
}

static void tell_absent(struct sheet *sheet, const struct process *process)
{
	const char *preload = sheet_get_text(sheet, "preload", "environment");
	bool is_named = preload != NULL && strstr(preload, "libcopool") != NULL;

	sheet_set(sheet, "library", "is_loaded", json_false());
	if (is_secure(process)) {
		sheet_find(sheet, SHEET_BAR, "privileged",
		        "it gained privileges when it started, so the loader ignored LD_PRELOAD");
		return;
	}
	if (!is_named) {
		sheet_find(sheet, SHEET_NOTE, "not_loaded",
		        "it was started without the library, which LD_PRELOAD=%s loads",
		        sheet_get_text(sheet, "library", "path"));
		return;
	}
	check_preload(sheet, process, preload);
	if (sheet_bar(sheet) == NULL)
		sheet_find(sheet, SHEET_BAR, "not_loaded",
		        "LD_PRELOAD names the library, and the process does not have it: the loader's reason is "
		        "in what the process wrote to standard error as it began");
}

/* Adds up the pools' counters. */
static void tell_counters(struct sheet *sheet, struct remote *remote)
{
	json_int_t creates = 0, made = 0, live = 0, pooled = 0;
	json_t *samples = remote_samples(remote), *sample;
	size_t i;

	if (samples == NULL) {
		sheet_unread(sheet, "its counters: %s", remote->why);
		return;
	}
	json_array_foreach(samples, i, sample)
	{
		creates += json_integer_value(json_object_get(sample, "create_local")) +
		           json_integer_value(json_object_get(sample, "create_depot")) +
		           json_integer_value(json_object_get(sample, "create_new"));
		made += json_integer_value(json_object_get(sample, "create_new"));
		live += json_integer_value(json_object_get(sample, "live"));
		pooled += json_integer_value(json_object_get(sample, "pooled"));
	}
	json_decref(samples);
	sheet_set(sheet, "process", "creates", json_integer(creates));
	sheet_set(sheet, "process", "new", json_integer(made));
	sheet_set(sheet, "process", "live", json_integer(live));
	sheet_set(sheet, "process", "pooled", json_integer(pooled));
}

static void tell_off(struct sheet *sheet, struct remote *remote)
{
	struct remote_control control;

	if (remote_read_control(remote, &control) != 0)
		return;
	sheet_set(sheet, "process", "is_off", json_boolean(control.is_off != 0));
	if (control.is_off != 0)
		sheet_find(sheet, SHEET_BAR, "switched_off", "`copool off %d' has switched it off",
		        (int)remote->pid);
}

void process_library(struct sheet *sheet, struct process *process)
{
	static struct remote remote;
	int error = remote_open(&remote, process->pid);
	json_t *open = error == 0 ? remote_open_record(&remote) : NULL;
	const char *version;

	sheet_text(sheet, "process", "label", json_string_value(json_object_get(open, "label")));
	examine_settings(sheet, process, sheet_get_text(sheet, "process", "label"));
	if (error == -ENOENT) {
		tell_absent(sheet, process);
		return;
	}
	if (open == NULL) {
		sheet_unread(sheet, "whether it has the library: %s", remote.why);
		return;
	}
	process->is_loaded = true;
	sheet_set(sheet, "library", "is_loaded", json_true());
	program_tell_adapter(sheet, open, "process");
	json_decref(open);
	tell_counters(sheet, &remote);
	tell_off(sheet, &remote);
	version = sheet_get_text(sheet, "library", "version");
	sheet_set(sheet, "library", "is_replaced", json_boolean(remote.is_replaced));
	if (version != NULL && strcmp(version, COPOOL_VERSION) != 0)
		sheet_find(sheet, SHEET_NOTE, "other_version",
		        "the library in it is of version %s, this command of " COPOOL_VERSION, version);
	if (remote.is_replaced)
		sheet_find(sheet, SHEET_NOTE, "library_replaced",
		        "the library's file was replaced since it began: it has the new one when it starts again");
}

void process_known(struct sheet *sheet, const struct process *process)
{
	const char *of;
	int error = known_in_process(process->pid, &of);

	if (error != 0)
		sheet_unread(sheet, "the files that it has loaded: %s", strerror(-error));
	sheet_text(sheet, "program", "brings", of);
	if (of != NULL)
		sheet_find(sheet, SHEET_NOTE, "library", "it has loaded %s", of);
}
