/* SPDX-License-Identifier: MIT */
/*
 * Opens what may be read, and reads it in pieces. Sections for labels wait for a second pass, as a file may give the label
 * after them; that pass is only made where there are such sections and a label.
 *
 *	settings_files_read -> first pass:  visit(file), visit(folder) -> read_file -> line.c
 *	                    -> second pass: the same files again, for [label …] alone
 *	                    -> read_variables
 */
#include "settings/files.h"

#include "settings/line.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PIECE_BYTES = 1024,  /* small: a thread may load the library with little stack */
	ENTRIES_MOST = 1024, /* of the folder are looked at */
	TEXT_BYTES = 512,    /* of what is told, as system/warn.h has it */
	ROOT_BYTES = 64,
};

struct pass {
	struct settings_reading *reading;
	bool is_second; /* for the sections for labels alone */
};

/* ---- paths, and what is told ---- */

void settings_files_path(const struct settings_reading *reading, unsigned file, char *path)
{
	if (file == 0)
		strcpy(path, reading->path[0] != '\0' ? reading->path : SETTINGS_FILE);
	else
		snprintf(path, SETTINGS_FILE_PATH_BYTES, "%s/%s",
		        reading->path[0] != '\0' ? reading->path : SETTINGS_FOLDER, reading->name[file - 1]);
}

const char *settings_files_source(
        const struct settings_reading *reading, enum setting_place place, char *text)
{
	const struct settings_source *source = &reading->source[place];
	char path[SETTINGS_FILE_PATH_BYTES];

	if (source->rank == SETTINGS_DEFAULT || source->rank == SETTINGS_ENVIRONMENT) {
		strcpy(text, source->rank == SETTINGS_DEFAULT ? "default" : "environment");
		return text;
	}
	settings_files_path(reading, source->file, path);
	snprintf(text, SETTINGS_SOURCE_BYTES, "%.*s:%u", SETTINGS_SOURCE_BYTES - 16, path, source->line);
	return text;
}

__attribute__((format(printf, 2, 3))) static void tell(
        struct settings_reading *reading, const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list arguments;

	if (reading->tell == NULL)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	reading->tell(reading->context, text);
}

void settings_files_tell(struct settings_reading *reading, const char *path, unsigned line, const char *text)
{
	char number[16] = "";

	if (reading->wrong++ >= SETTINGS_TOLD_MOST && !reading->checks_all)
		return;
	if (line != 0)
		snprintf(number, sizeof number, ":%u", line);
	tell(reading, "%.300s%s: ignored: %s", path, number, text);
}

/* ---- a file ---- */

static void read_file(const struct pass *pass, int fd, unsigned file)
{
	struct settings_lines lines;
	char piece[PIECE_BYTES];
	ssize_t got = 0;

	settings_lines_begin(&lines, pass->reading, pass->is_second, file);
	for (size_t all = 0; all <= SETTINGS_FILE_BYTES && (got = read(fd, piece, sizeof piece)) > 0;
	        all += (size_t)got)
		settings_lines_take(&lines, piece, (size_t)got);
	settings_lines_end(&lines, got < 0 ? errno : got == 0 ? 0 : EFBIG);
}

/*
 * Whether an owner can be trusted: root, the user, or whom the root folder belongs to. In a user namespace, that of a
 * sandbox for example, root may have no number, and what belongs to it all has the same other one, as has the root folder.
 */
static bool is_trusted(const struct settings_reading *reading, uid_t owner)
{
	char folder[ROOT_BYTES];
	struct stat status;

	if (owner == 0 || owner == reading->user)
		return true;
	return snprintf(folder, sizeof folder, "%s/", reading->root != NULL ? reading->root : "") <
	               (int)sizeof folder &&
	       stat(folder, &status) == 0 && status.st_uid == owner;
}

/* Why a file or folder is not read; NULL: it is good. Whoever may write to it could change what others run. */
static const char *refusal(const struct settings_reading *reading, const struct stat *status, mode_t wanted)
{
	if (!S_ISREG(status->st_mode) && !S_ISDIR(status->st_mode))
		return "not a file";
	if (wanted != 0 && (status->st_mode & S_IFMT) != wanted)
		return wanted == S_IFDIR ? "not a folder" : "not a file";
	if (!is_trusted(reading, status->st_uid))
		return "it belongs to another user";
	if ((status->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "its group or others may write to it";
	return S_ISREG(status->st_mode) && status->st_size > SETTINGS_FILE_BYTES ? "it is larger than 64 KiB"
	                                                                         : NULL;
}

/*
 * Opens a file, folder or, with `wanted` 0, either. Returns its descriptor; or -1, and tells why, unless it `may_miss`
 * and does. Nothing waits: not for the other end of a FIFO, nor for a device.
 */
static int open_good(const struct pass *pass, const char *path, mode_t wanted, bool may_miss, mode_t *kind)
{
	const struct settings_reading *reading = pass->reading;
	char full[ROOT_BYTES + SETTINGS_FILE_PATH_BYTES];
	const char *why = NULL;
	struct stat status;
	bool is_other = reading->root != NULL;
	int fd = -1;

	if (snprintf(full, sizeof full, "%s%s", is_other ? reading->root : "", path) >= (int)sizeof full)
		errno = ENAMETOOLONG;
	else if (!is_other || path[0] == '/')
		fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (is_other && path[0] != '/')
		why = "its path is relative, and the folder in which the program was started is not known";
	else if (fd < 0 || fstat(fd, &status) != 0)
		why = may_miss && (errno == ENOENT || errno == ENOTDIR) ? "" : strerrordesc_np(errno);
	else
		why = refusal(reading, &status, wanted);
	if (why == NULL) {
		*kind = status.st_mode & S_IFMT;
		return fd;
	}
	if (why[0] != '\0' && !pass->is_second)
		settings_files_tell(pass->reading, path, 0, why);
	if (fd >= 0)
		close(fd);
	return -1;
}

/* ---- the folder ---- */

/* Puts a name among those that are there, in the order of their bytes. The last of too many is left out. */
static void keep_name(struct settings_reading *reading, const char *name)
{
	unsigned at = reading->names;

	while (at > 0 && strcmp(reading->name[at - 1], name) > 0)
		at--;
	if (at == SETTINGS_FILES_MOST)
		return;
	if (reading->names < SETTINGS_FILES_MOST)
		reading->names++;
	memmove(reading->name[at + 1], reading->name[at],
	        (reading->names - 1 - at) * sizeof reading->name[0]);
	strcpy(reading->name[at], name);
}

/* Hidden files and those of editors and package managers do not end in .conf. */
static bool is_settings_name(const char *name)
{
	size_t bytes = strlen(name);

	return name[0] != '.' && bytes > 5 && strcmp(name + bytes - 5, ".conf") == 0;
}

static void list_folder(struct settings_reading *reading, int fd, const char *folder)
{
	_Alignas(struct dirent64) char piece[PIECE_BYTES];
	unsigned entries = 0, found = 0;
	ssize_t got = 0;

	while (entries < ENTRIES_MOST && (got = getdents64(fd, piece, sizeof piece)) > 0) {
		for (ssize_t at = 0; at < got && entries < ENTRIES_MOST; entries++) {
			const struct dirent64 *entry = (const struct dirent64 *)(piece + at);

			at += entry->d_reclen;
			if (!is_settings_name(entry->d_name))
				continue;
			if (strlen(entry->d_name) >= SETTINGS_NAME_BYTES)
				settings_files_tell(
				        reading, folder, 0, "a file's name is longer than 63 bytes");
			else
				keep_name(reading, entry->d_name);
			found++;
		}
	}
	if (got < 0)
		settings_files_tell(reading, folder, 0, strerrordesc_np(errno));
	else if (entries == ENTRIES_MOST || found > SETTINGS_FILES_MOST)
		settings_files_tell(
		        reading, folder, 0, "the last files, as there are more than 32 (or 1024 entries)");
}

/* ---- all ---- */

/* Reads a file; or lists a folder, in the first pass. */
static void visit(const struct pass *pass, const char *path, mode_t wanted, bool may_miss)
{
	mode_t kind;
	int fd = open_good(pass, path, wanted, may_miss, &kind);

	if (fd < 0)
		return;
	if (kind == S_IFREG)
		read_file(pass, fd, 0);
	else if (!pass->is_second)
		list_folder(pass->reading, fd, path);
	close(fd);
}

static void make_pass(struct settings_reading *reading, bool is_second)
{
	const struct pass pass = {reading, is_second};
	char path[SETTINGS_FILE_PATH_BYTES];
	mode_t kind;

	if (reading->path[0] != '\0') {
		visit(&pass, reading->path, 0, false);
	} else {
		visit(&pass, SETTINGS_FILE, S_IFREG, true);
		visit(&pass, SETTINGS_FOLDER, S_IFDIR, true);
	}
	for (unsigned i = 0; i < reading->names; i++) {
		int fd;

		settings_files_path(reading, i + 1, path);
		fd = open_good(&pass, path, S_IFREG, false, &kind);
		if (fd < 0)
			continue;
		read_file(&pass, fd, i + 1);
		close(fd);
	}
}

/* A variable with a good value; NULL: there is none. */
static const char *good_variable(const struct settings_reading *reading, enum setting_place place)
{
	const char *value = reading->variable(settings[place].variable);
	unsigned number;

	return value != NULL && setting_read(&settings[place], value, &number) == NULL ? value : NULL;
}

static void read_variable(struct settings_reading *reading, enum setting_place place)
{
	const struct setting *setting = &settings[place];
	const char *value = reading->variable(setting->variable), *why;
	char source[SETTINGS_SOURCE_BYTES];
	unsigned number;

	if (value == NULL)
		return;
	why = setting_read(setting, value, &number);
	if (why == NULL) {
		reading->source[place] = (struct settings_source){.rank = SETTINGS_ENVIRONMENT};
		reading->take(reading->context, place, value);
		return;
	}
	settings_files_source(reading, place, source);
	tell(reading, "%s=%.100s: %s; it should be %s; %s%.200s is used", setting->variable, value, why,
	        setting->range, reading->source[place].rank == SETTINGS_DEFAULT ? "the " : "what is said in ",
	        source);
}

void settings_files_read(struct settings_reading *reading)
{
	const char *path = good_variable(reading, SETTING_config);
	const char *label = good_variable(reading, SETTING_label);

	if (path != NULL)
		strcpy(reading->path, path);
	if (!reading->reads_none && strcmp(reading->path, "none") != 0) {
		make_pass(reading, false);
		if (label == NULL && reading->label[0] == '\0')
			label = reading->guest;
		if (label != NULL && label[0] != '\0')
			snprintf(reading->label, sizeof reading->label, "%s", label);
		if (reading->has_labels && reading->label[0] != '\0')
			make_pass(reading, true);
		if (reading->wrong > SETTINGS_TOLD_MOST && !reading->checks_all)
			tell(reading,
			        "%u more lines and files of settings are wrong: `copool settings' tells all",
			        reading->wrong - SETTINGS_TOLD_MOST);
	}
	for (unsigned i = 0; i < SETTINGS_ALL; i++)
		read_variable(reading, (enum setting_place)i);
}
