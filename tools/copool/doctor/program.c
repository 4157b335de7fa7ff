/* SPDX-License-Identifier: MIT */
#include "doctor/program.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "doctor/image.h"
#include "doctor/known.h"
#include "doctor/rehearse.h"

/*
 * Debian's services have a version in their names (php-fpm8.2), and are in a folder that only root has in PATH. Writes the
 * last file of the name, or of the name and a version, to `path`. Returns whether there is one.
 */
static bool nearby(const char *name, char *path)
{
	static const char folders[] = "{/usr/local/sbin,/usr/local/bin,/usr/sbin,/usr/bin}";
	char pattern[PATH_MAX];
	glob_t found;

	if (*name == '\0' || strpbrk(name, "*?[]{},\\~") != NULL ||
	        snprintf(pattern, sizeof pattern, "%s/%s{-[0-9]*[0-9],[0-9]*[0-9],[0-9],}", folders, name) >=
	                PATH_MAX)
		return false;
	if (glob(pattern, GLOB_BRACE, NULL, &found) != 0)
		return false;
	size_t i = found.gl_pathc;
	while (i > 0 &&
	        (access(found.gl_pathv[i - 1], X_OK) != 0 || strlen(found.gl_pathv[i - 1]) >= PATH_MAX))
		i--;
	if (i > 0)
		strcpy(path, found.gl_pathv[i - 1]);
	globfree(&found);
	return i > 0;
}

bool program_find(struct sheet *sheet, struct program *program, const char *name)
{
	int error = target_find(name, program->path);

	program->name = name;
	if (error == 0)
		return true;
	sheet_text(sheet, "program", "path", strchr(name, '/') != NULL ? name : NULL);
	if (error == -EACCES) {
		sheet_find(sheet, SHEET_BAR, "not_executable", "%s is no file that may be executed", name);
		return false;
	}
	if (strchr(name, '/') != NULL)
		sheet_find(sheet, SHEET_NOTE, "missing", "there is no %s", name);
	else if (!nearby(name, program->nearby))
		sheet_find(sheet, SHEET_NOTE, "missing", "there is no %s in any folder of PATH", name);
	else
		sheet_find(sheet, SHEET_NOTE, "missing",
		        "there is no %s in any folder of PATH, but there is %s", name, program->nearby);
	return false;
}

/* ---- the file ---- */

/* What the file gives to whoever starts it. */
static const char *privilege(const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return NULL;
	return status.st_mode & S_ISUID                               ? "set-user-id"
	       : status.st_mode & S_ISGID && status.st_mode & S_IXGRP ? "set-group-id"
	       : getxattr(path, "security.capability", NULL, 0) > 0   ? "capabilities"
	                                                              : NULL;
}

static void tell_privilege(struct sheet *sheet, const struct program *program)
{
	const char *gained = privilege(program->target.file);

	sheet_text(sheet, "program", "privilege", gained);
	if (gained != NULL && program->target.code == NULL)
		sheet_find(sheet, SHEET_NOTE, "privileged",
		        "the file has %s: the loader ignores LD_PRELOAD if a user starts it who gains by that; "
		        "user %u does not",
		        gained, program->target.user);
}

static void tell_image(struct sheet *sheet, const struct elf_file *image)
{
	unsigned type = image->header.e_type;

	if (type != ET_EXEC && type != ET_DYN)
		sheet_find(sheet, SHEET_BAR, "not_a_program", "the file is ELF, but no program");
}

static void tell_libc(struct sheet *sheet, const struct target *target)
{
	const char *code = target->code != NULL ? target->code : "";
	char text[32];

	sheet_text(sheet, "program", "linked", strcmp(code, "static") == 0 ? "static" : "dynamic");
	snprintf(text, sizeof text, "glibc 2.%d", target->glibc_defined);
	sheet_text(sheet, "program", "libc",
	        strcmp(code, "musl") == 0    ? "musl"
	        : target->glibc_defined != 0 ? text
	                                     : NULL);
	snprintf(text, sizeof text, "glibc 2.%d", target->glibc_needed);
	sheet_text(sheet, "library", "needs", target->glibc_needed != 0 ? text : NULL);
}

/* The last name of the path of the file that is loaded. */
static const char *name_of(const struct sheet *sheet, const struct program *program)
{
	const char *shown = sheet_get_text(sheet, "program", "path"),
	           *path = program->target.root[0] != '\0' && shown != NULL ? shown : program->target.file,
	           *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

void program_examine(struct sheet *sheet, struct program *program)
{
	struct target *target = &program->target;
	struct elf_file image;
	char real[PATH_MAX];

	target_check(program->path, program->shim, target);
	if (target->root[0] == '\0')
		sheet_text(sheet, "program", "path",
		        realpath(program->path, real) != NULL ? real : program->path);
	sheet_text(sheet, "program", "machine", target->machine);
	sheet_text(sheet, "program", "kind", target->is_script ? "script" : "ELF");
	sheet_text(sheet, "program", "interpreter",
	        target->is_script && target->file[0] != '\0' ? target->file : NULL);
	tell_privilege(sheet, program);
	int error = image_open(&image, target->file);
	if (error == -EACCES)
		sheet_find(sheet, SHEET_NOTE, "unreadable", "%s may be executed, but not read by user %u",
		        target->file, (unsigned)geteuid());
	if (error == 0) {
		tell_image(sheet, &image);
		tell_libc(sheet, target);
		elf_file_close(&image);
		program_version(sheet, target->file, name_of(sheet, program));
	}
	if (target->code != NULL && !program->is_loaded && program->shim[0] != '\0')
		sheet_find(sheet, SHEET_BAR, target->code, "it %s", target->reason);
}

/* ---- versions, and libraries that come later ---- */

void program_version(struct sheet *sheet, const char *path, const char *name)
{
	static const struct {
		const char *of, *before;
		bool is_loose; /* the text may stand in any program: only in one with QEMU's name it counts */
	} known[] = {
	        {"PHP", "X-Powered-By: PHP/", false},
	        {"QEMU", "QEMU emulator version ", false},
	        {"QEMU", "qemu-img version ", false},
	        {"QEMU", "qemu-storage-daemon version ", false},
	        {"QEMU", "%s version ", true},
	        {"QEMU", "%s ", true},
	};
	bool is_qemu = strncmp(name, "qemu-", 5) == 0 || strcmp(name, "kvm") == 0;
	char version[80];
	struct elf_file image;

	if (image_open(&image, path) != 0)
		return;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if ((known[i].is_loose && !is_qemu) ||
		        !image_version(&image, known[i].before, version, sizeof version))
			continue;
		sheet_text(sheet, "program", "is", known[i].of);
		sheet_text(sheet, "program", "version", version);
		break;
	}
	elf_file_close(&image);
}

void program_library(struct sheet *sheet, const char *path)
{
	struct elf_file image;
	int error = image_open(&image, path);
	const char *of;

	if (error != 0) {
		sheet_find(sheet, SHEET_BAR, "library", "the library %s cannot be read: %s", path,
		        error == -ENOEXEC ? "it is not ELF" : strerror(-error));
		return;
	}
	of = known_in(&image);
	elf_file_close(&image);
	sheet_text(sheet, "program", "brings", of);
	if (of == NULL) {
		sheet_find(sheet, SHEET_NOTE, "library", "%s has no coroutines that copool knows", path);
		return;
	}
	program_version(sheet, path, path);
	sheet_find(sheet, SHEET_NOTE, "library",
	        "%s has %s, whose stacks are pooled from then on that it is loaded", path, of);
}

/* ---- how it would be served ---- */

static const char *text_of(const json_t *record, const char *key)
{
	return json_string_value(json_object_get(record, key));
}

void program_tell_adapter(struct sheet *sheet, const json_t *open, const char *source)
{
	const char *host = text_of(open, "host"), *mode = text_of(open, "mode"), *way = text_of(open, "way"),
	           *detail = text_of(open, "detail");

	if (host == NULL || mode == NULL || detail == NULL)
		return;
	sheet_text(sheet, "adapter", "host", host);
	sheet_text(sheet, "adapter", "mode", mode);
	sheet_text(sheet, "adapter", "way", way);
	sheet_text(sheet, "adapter", "detail", detail);
	sheet_text(sheet, "adapter", "source", source);
	sheet_text(sheet, "library", "version", text_of(open, "version"));
	if (strcmp(mode, "none") == 0 && strncmp(detail, "the program has no ", 19) != 0)
		sheet_find(sheet, SHEET_BAR, "refused", "%s", detail);
	else if (strcmp(host, "qemu") == 0 && way != NULL && strcmp(way, "stacks") == 0)
		sheet_find(sheet, SHEET_NOTE, "stacks_only",
		        "only the stacks of QEMU's coroutines are pooled: its code could not be patched");
	if (strstr(detail, "library Zydis") != NULL)
		sheet_find(sheet, SHEET_BAR, "decoder",
		        "libZydis, which reads the code to be patched, is not installed, or of another version");
}

/* Whether another user can change a file, or what is in a folder. */
static bool is_others(const char *path, uid_t *owner)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return true;
	*owner = status.st_uid;
	bool is_shared = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0;
	return (status.st_uid != 0 && status.st_uid != geteuid()) ||
	       ((status.st_mode & S_IWOTH) != 0 && !is_shared);
}

/* Whether somebody else could have put into the file what the loader would run, or could do so now; `path` is then what. */
static bool is_foreign(const char *file, char path[PATH_MAX], uid_t *owner)
{
	if (realpath(file, path) == NULL)
		snprintf(path, PATH_MAX, "%s", file);
	for (char *slash;;) {
		if (is_others(path, owner))
			return true;
		slash = strrchr(path, '/');
		if (slash == NULL || slash[1] == '\0')
			return false;
		slash[slash == path] = '\0';
	}
}

/* What its file says of a program that was not started. */
static void tell_untried(struct sheet *sheet, const char *path)
{
	struct elf_file image;
	const char *of;

	if (image_open(&image, path) != 0)
		return;
	of = known_in(&image);
	elf_file_close(&image);
	sheet_text(sheet, "adapter", "likely", of);
	if (of != NULL)
		sheet_find(sheet, SHEET_NOTE, "likely",
		        "its file has %s, which copool knows; how they would be served was not tried", of);
}

void program_try(struct sheet *sheet, const struct program *program)
{
	const char *file = program->target.file;
	struct rehearsal rehearsal;
	char theirs[PATH_MAX];
	uid_t owner = 0;
	int error;

	if (program->shim[0] == '\0' || sheet_bar(sheet) != NULL)
		return;
	if (is_foreign(file, theirs, &owner)) {
		sheet_unread(sheet,
		        "how the program would be served: %s belongs to user %u, or all may write to it, so it is "
		        "not started from here; run copool doctor as that user",
		        theirs, (unsigned)owner);
		tell_untried(sheet, file);
		return;
	}
	error = rehearse(file, program->shim, &rehearsal);
	if (error == 0) {
		program_tell_adapter(sheet, rehearsal.open, "rehearsal");
		json_decref(rehearsal.open);
		return;
	}
	/* It has ended, or has no library: then the loader has said why. A process that runs was started in another way. */
	if (rehearsal.said[0] != '\0' && (error == -ECHILD || error == -ENOENT) && !program->is_process)
		sheet_find(sheet, SHEET_BAR, "loader", "at its start it says: %s", rehearsal.said);
	else
		sheet_unread(sheet, "how the program would be served: %s%s%s", rehearsal.why,
		        rehearsal.said[0] != '\0' ? ": " : "", rehearsal.said);
	tell_untried(sheet, file);
}

bool program_is_switched_off(const struct sheet *sheet)
{
	const char *detail = sheet_get_text(sheet, "adapter", "detail");

	return detail != NULL && strncmp(detail, "switched off by ", 16) == 0;
}

void program_hint(struct sheet *sheet, const struct program *program)
{
	const char *mode = sheet_get_text(sheet, "adapter", "mode"), *hint = NULL, *code = NULL;
	struct elf_file image;

	if (mode == NULL || strcmp(mode, "none") != 0 || sheet_get(sheet, "program", "brings") != NULL ||
	        program_is_switched_off(sheet) || image_open(&image, program->target.file) != 0)
		return;
	hint = known_hint(name_of(sheet, program), &image, &code);
	elf_file_close(&image);
	if (hint != NULL)
		sheet_find(sheet, SHEET_NOTE, code, "%s", hint);
}
