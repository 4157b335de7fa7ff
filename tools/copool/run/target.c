/* SPDX-License-Identifier: MIT */
/*
 * Checks a program before it is run. Programs without a loader, that gain privileges, or made for another machine
 * silently ignore LD_PRELOAD; the user should learn that at once, and not from an empty log.
 */
#include "run/target.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "run/glibc.h"
#include "run/rooted.h"

enum { SCRIPT_DEPTH = 5 }; /* interpreters of interpreters; the kernel's own limit */

__attribute__((format(printf, 4, 5))) static int refuse(
        struct target *target, int error, const char *code, const char *format, ...)
{
	va_list arguments;

	target->code = code;
	va_start(arguments, format);
	vsnprintf(target->reason, sizeof target->reason, format, arguments);
	va_end(arguments);
	return error;
}

/* Returns 0, or -errno if execve(2) would refuse it. */
static int can_execute(const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EACCES;
	return access(path, X_OK) == 0 ? 0 : -errno;
}

int target_find(const char *name, char *path)
{
	const char *folders = getenv("PATH");
	bool seen = false;

	if (strchr(name, '/') != NULL) {
		if ((size_t)snprintf(path, PATH_MAX, "%s", name) >= PATH_MAX)
			return -ENAMETOOLONG;
		return can_execute(path);
	}
	if (folders == NULL)
		folders = "/bin:/usr/bin";
	for (;;) {
		size_t length = strcspn(folders, ":");
		int written = length ? snprintf(path, PATH_MAX, "%.*s/%s", (int)length, folders, name)
		                     : snprintf(path, PATH_MAX, "./%s", name); /* as in execvp(3) */
		if (*name && written < PATH_MAX) {
			int error = can_execute(path);
			if (error == 0)
				return 0;
			seen |= error == -EACCES;
		}
		if (folders[length] == '\0')
			return seen ? -EACCES : -ENOENT;
		folders += length + 1;
	}
}

/* Which privilege a user gains by the file, so that the loader drops LD_PRELOAD (AT_SECURE); NULL: none. */
static const char *gained_privilege(int fd, uid_t user, gid_t group)
{
	struct stat status;
	struct statvfs filesystem;

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 || fstat(fd, &status) != 0)
		return NULL;
	if (fstatvfs(fd, &filesystem) == 0 && filesystem.f_flag & ST_NOSUID)
		return NULL;
	if (status.st_mode & S_ISUID && status.st_uid != user)
		return "is set-user-id";
	if (status.st_mode & S_ISGID && status.st_mode & S_IXGRP && status.st_gid != group)
		return "is set-group-id";
	if (user != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
		return "has file capabilities";
	return NULL;
}

static const char *machine_name(unsigned machine)
{
	static char number[32];

	switch (machine) {
	case EM_386:
		return "i386";
	case EM_X86_64:
		return "x86-64";
	case EM_ARM:
		return "32-bit ARM";
	case EM_AARCH64:
		return "aarch64";
	case EM_RISCV:
		return "RISC-V";
	case EM_PPC64:
		return "64-bit PowerPC";
	case EM_S390:
		return "s390";
	}
	snprintf(number, sizeof number, "ELF machine %u", machine);
	return number;
}

/* Reads the ELF header of either class; both are alike up to e_machine. */
static int read_header(int fd, Elf64_Ehdr *header)
{
	memset(header, 0, sizeof *header);
	if (pread(fd, header, sizeof *header, 0) < (ssize_t)offsetof(Elf64_Ehdr, e_version))
		return -ENOEXEC;
	return memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 ? 0 : -ENOEXEC;
}

/* Copies the loader's path to `loader`, "" if the program has none. Returns 0, or -ENOEXEC. */
static int read_loader(int fd, const Elf64_Ehdr *header, char *loader)
{
	loader[0] = '\0';
	if (header->e_phentsize != sizeof(Elf64_Phdr))
		return -ENOEXEC;
	for (unsigned i = 0; i < header->e_phnum; i++) {
		Elf64_Phdr segment;
		off_t at = (off_t)(header->e_phoff + i * sizeof segment);
		if (pread(fd, &segment, sizeof segment, at) != sizeof segment)
			return -ENOEXEC;
		if (segment.p_type != PT_INTERP)
			continue;
		size_t bytes = segment.p_filesz < PATH_MAX ? segment.p_filesz : PATH_MAX - 1;
		if (pread(fd, loader, bytes, (off_t)segment.p_offset) != (ssize_t)bytes)
			return -ENOEXEC;
		loader[bytes] = '\0';
		return 0;
	}
	return 0;
}

/*
 * Refuses a program whose loader comes with a C library too old for the shim: the libc.so.6 beside the loader. Returns 0
 * if no problem was found.
 */
static int check_glibc(const char *loader, const char *shim, struct target *target)
{
	char libc[PATH_MAX], path[32];
	int needed, defined, fd;
	char *slash;

	snprintf(libc, sizeof libc, "%s", loader);
	if (!rooted_follow(target->root, libc) || (slash = strrchr(libc, '/')) == NULL)
		return 0; /* execve(2) will say so */
	if ((size_t)(slash + 1 - libc) + sizeof("libc.so.6") > sizeof libc)
		return 0;
	strcpy(slash + 1, "libc.so.6");
	fd = rooted_open(target->root, libc);
	if (fd < 0)
		return 0;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	target->glibc_needed = needed = glibc_needed(shim);
	target->glibc_defined = defined = glibc_defined(path);
	close(fd);
	if (defined == 0 || defined >= needed)
		return 0;
	return refuse(target, -ENOEXEC, "old_libc",
	        "runs with glibc 2.%d (%s); libcopool.so needs glibc 2.%d", defined, libc, needed);
}

/* One ELF program against the shim. */
static int check_elf(int fd, const Elf64_Ehdr *header, const char *shim, struct target *target)
{
	char loader[PATH_MAX];
	Elf64_Ehdr ours;
	int shim_fd = open(shim, O_RDONLY | O_CLOEXEC);
	int error = shim_fd < 0 ? -errno : read_header(shim_fd, &ours);

	if (shim_fd >= 0)
		close(shim_fd);
	if (error)
		return refuse(target, error, "no_library", "cannot be checked: %s is no library", shim);
	if (header->e_ident[EI_CLASS] != ours.e_ident[EI_CLASS] && header->e_machine == ours.e_machine)
		return refuse(
		        target, -ENOEXEC, "machine", "is a 32-bit program (x32); libcopool.so is 64-bit");
	if (header->e_machine != ours.e_machine || header->e_ident[EI_DATA] != ours.e_ident[EI_DATA])
		return refuse(target, -ENOEXEC, "machine",
		        "is a program for %s; libcopool.so is for another machine",
		        machine_name(header->e_machine));
	const char *privilege = gained_privilege(fd, target->user, target->group);
	if (privilege != NULL)
		return refuse(
		        target, -EPERM, "privileged", "%s, so the loader ignores LD_PRELOAD", privilege);
	if (read_loader(fd, header, loader) != 0)
		return refuse(target, -ENOEXEC, "damaged", "is a damaged ELF file");
	if (loader[0] == '\0')
		return refuse(
		        target, -ENOEXEC, "static", "is statically linked, so nothing can be preloaded");
	if (strstr(loader, "/ld-musl") != NULL)
		return refuse(target, -ENOEXEC, "musl", "uses musl; libcopool.so needs glibc");
	return check_glibc(loader, shim, target);
}

/*
 * The program that env(1) is told to run by what follows it in a script's first line: the first word behind -S,
 * assignments and -i. NULL: it cannot be told.
 */
static const char *find_in_env(char *line)
{
	static const char *const split[] = {"--split-string=", "-vS", "-S"};
	bool is_split = false;
	char *rest = NULL;

	line += strspn(line, " \t");
	for (size_t i = 0; i < sizeof split / sizeof *split && !is_split; i++) {
		is_split = strncmp(line, split[i], strlen(split[i])) == 0;
		line += is_split ? strlen(split[i]) : 0;
	}
	for (char *word = strtok_r(line, " \t", &rest); word != NULL; word = strtok_r(NULL, " \t", &rest)) {
		bool is_assignment = *word != '-' && strchr(word, '=') != NULL;

		if (strpbrk(word, "$'\"\\") != NULL) /* env expands it */
			return NULL;
		if (*word != '-' && !is_assignment)
			return word;
		if (!is_split || (!is_assignment && strcmp(word, "-i") != 0))
			return NULL;
	}
	return NULL;
}

/*
 * Writes the interpreter in a script's first line, NUL-terminated in `line`, to `path`. `#!/usr/bin/env NAME`, also
 * with -S, leads to NAME. Returns 0, or -errno.
 */
static int find_interpreter(char *line, char *path)
{
	char *rest = NULL;
	char *interpreter = strtok_r(line + 2, " \t", &rest);
	const char *program = NULL;

	if (interpreter == NULL)
		return -ENOEXEC;
	const char *slash = strrchr(interpreter, '/');
	if (strcmp(slash != NULL ? slash + 1 : interpreter, "env") == 0)
		program = find_in_env(rest);
	if (program != NULL)
		return target_find(program, path);
	if ((size_t)snprintf(path, PATH_MAX, "%s", interpreter) >= PATH_MAX)
		return -ENAMETOOLONG;
	return can_execute(path);
}

static int check_file(const char *path, const char *shim, int depth, struct target *target);

/* A file that does not begin as ELF: `line` has its first line. */
static int check_script(char *line, const char *shim, int depth, struct target *target)
{
	char interpreter[PATH_MAX] = "/bin/sh"; /* without #!, as in execvp(3) */
	char why[TARGET_REASON];

	if (depth == SCRIPT_DEPTH)
		return refuse(target, -ELOOP, "script", "is a script of too many scripts");
	if (line[0] == '#' && line[1] == '!') {
		int error = find_interpreter(line, interpreter);
		if (error)
			return refuse(target, error, "interpreter",
			        "is a script whose interpreter cannot be run: %s", strerror(-error));
	}
	target->is_script = true;
	int error = check_file(interpreter, shim, depth + 1, target);
	if (error == 0)
		return 0;
	snprintf(why, sizeof why, "%s", target->reason);
	return refuse(
	        target, error, target->code, "is a script, and its interpreter %s %s", interpreter, why);
}

static int check_file(const char *path, const char *shim, int depth, struct target *target)
{
	Elf64_Ehdr header;
	char line[512] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	snprintf(target->file, sizeof target->file, "%s", path);
	if (fd < 0)
		return errno == EACCES
		               ? 0
		               : refuse(target, -errno, "unreadable", "cannot be read: %s", strerror(errno));
	int error = read_header(fd, &header);
	if (error == 0) {
		target->machine = machine_name(header.e_machine);
		error = check_elf(fd, &header, shim, target);
	} else {
		ssize_t bytes = pread(fd, line, sizeof line - 1, 0);
		line[bytes > 0 ? bytes : 0] = '\0';
		line[strcspn(line, "\r\n")] = '\0';
		error = check_script(line, shim, depth, target);
	}
	close(fd);
	return error;
}

int target_check(const char *path, const char *shim, struct target *target)
{
	target->code = target->machine = NULL;
	target->file[0] = target->reason[0] = '\0';
	target->glibc_needed = target->glibc_defined = 0;
	target->is_script = false;
	return check_file(path, shim, 0, target);
}
