/* SPDX-License-Identifier: MIT */
/*
 * Reads files of /proc, which every program may do. A filter that the program was started under could kill it for calling
 * prctl(), so that is called only if there is no filter.
 */
#include "report/confinement.h"

#include "libc/real.h"
#include "system/warn.h"
#include "report/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PR_GET_MDWE
#define PR_GET_MDWE 66 /* Linux 6.3 */
#endif

enum { STATUS_BYTES = 4096, MODULE_BYTES = 160 };

/* Reads a file's beginning. Returns 0 or -errno. */
static int read_file(const char *path, char *text, size_t bytes)
{
	int fd = path_open(path, O_RDONLY | O_CLOEXEC, 0), error = fd < 0 ? fd : 0;
	ssize_t count = fd >= 0 ? pread(fd, text, bytes - 1, 0) : 0;

	if (count < 0)
		error = -errno;
	text[count > 0 ? count : 0] = '\0';
	if (fd >= 0)
		close(fd);
	return error;
}

static bool is_denial(int error)
{
	return error == -EACCES || error == -EPERM;
}

/* Whether AppArmor's label restricts nothing: "unconfined", or "NAME (unconfined)" of a profile that only has a name. */
static bool is_unconfined(const char *label)
{
	static const char mode[] = "(unconfined)";
	size_t bytes = strlen(label), end = sizeof mode - 1;

	return strcmp(label, "unconfined") == 0 || (bytes >= end && strcmp(label + bytes - end, mode) == 0);
}

/*
 * Which security module confines the process: "AppArmor profile NAME (enforce)", "SELinux context …", or "a security
 * module …" if even its name may not be read. "": none. Labels of others do not say whether they restrict anything.
 */
static void find_module(char text[MODULE_BYTES])
{
	char label[MODULE_BYTES - 32];
	int error = read_file("/proc/self/attr/current", label, sizeof label);
	size_t bytes = strcspn(label, "\n");

	label[bytes] = '\0';
	text[0] = '\0';
	if (is_denial(error))
		snprintf(text, MODULE_BYTES, "a security module that hides its name (AppArmor or SELinux)");
	else if (error != 0 || bytes == 0 || is_unconfined(label))
		return;
	else if (label[bytes - 1] == ')')
		snprintf(text, MODULE_BYTES, "AppArmor profile %s", label);
	else if (strchr(label, ':') != NULL)
		snprintf(text, MODULE_BYTES, "SELinux context %s", label);
}

__attribute__((format(printf, 2, 3))) static void add(char text[CONFINEMENT_BYTES], const char *format, ...)
{
	size_t used = strlen(text);
	va_list arguments;

	if (used > 0)
		used += (size_t)snprintf(text + used, CONFINEMENT_BYTES - used, ", ");
	if (used >= CONFINEMENT_BYTES)
		return;
	va_start(arguments, format);
	vsnprintf(text + used, CONFINEMENT_BYTES - used, format, arguments);
	va_end(arguments);
}

void confinement_say(char text[CONFINEMENT_BYTES])
{
	char status[STATUS_BYTES], module[MODULE_BYTES];
	bool has_filter;

	text[0] = '\0';
	find_module(module);
	if (module[0] != '\0')
		add(text, "%s", module);
	if (read_file("/proc/self/status", status, sizeof status) != 0)
		return;
	has_filter = strstr(status, "\nSeccomp:\t") != NULL && strstr(status, "\nSeccomp:\t0") == NULL;
	if (has_filter)
		add(text, "a seccomp filter");
	if (strstr(status, "\nNoNewPrivs:\t1") != NULL)
		add(text, "NoNewPrivs");
	if (!has_filter && real_prctl(PR_GET_MDWE, 0, 0, 0, 0) > 0)
		add(text, "MDWE (nothing may become executable)");
}

/*
 * Whether the file's permissions allow what was denied. In a folder where only owners may remove files, the kernel
 * denies more than these say (fs.protected_regular), so nothing is known.
 */
static bool is_allowed_by_mode(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t bytes = slash != NULL && slash != path ? (size_t)(slash - path) : 1;
	char folder[PATH_MAX];
	struct stat status;

	memcpy(folder, path, bytes);
	folder[bytes] = '\0';
	if (stat(folder, &status) != 0 || (status.st_mode & S_ISVTX) != 0)
		return false;
	if (faccessat(AT_FDCWD, path, W_OK, 0) == 0)
		return true;
	return errno == ENOENT && faccessat(AT_FDCWD, folder, W_OK | X_OK, 0) == 0;
}

void confinement_explain(int error, const char *path, char text[CONFINEMENT_BYTES])
{
	char module[MODULE_BYTES];

	snprintf(text, CONFINEMENT_BYTES, "%s", warn_reason(-error));
	if (error == -EROFS) {
		add(text, "as with systemd's ProtectSystem= or in a container with a read-only root");
	} else if (is_denial(error)) {
		find_module(module);
		if (module[0] != '\0')
			add(text, "and the process is confined by %s", module);
		else if (is_allowed_by_mode(path))
			add(text,
			        "though the file's mode allows it: a security module denies it (Landlock, or "
			        "another that does not show itself)");
	}
}
