/* SPDX-License-Identifier: MIT */
#include "doctor/machine.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "process/confined.h"
#include "run/rooted.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef PR_GET_MDWE
#define PR_GET_MDWE 66
#endif
#ifdef __aarch64__
#define UNWINDER "libunwind-aarch64.so.8"
#else
#define UNWINDER "libunwind-x86_64.so.8"
#endif

enum { ADVICE_GUARD = 102, MAPS_A_STACK = 2, MAPS_OF_OTHERS = 500, LINE = 256 };

/* Reads a small file's first line. Returns false, with errno, if it cannot be read. */
static bool read_line(const char *path, char *text, size_t room)
{
	FILE *file = fopen(path, "re");
	bool is_read;

	if (file == NULL)
		return false;
	errno = 0;
	is_read = fgets(text, (int)room, file) != NULL;
	if (!is_read && errno == 0)
		*text = '\0'; /* it is empty */
	is_read |= errno == 0;
	int saved = errno;
	fclose(file);
	errno = saved;
	text[is_read ? strcspn(text, "\n") : 0] = '\0';
	return is_read;
}

/* ---- the kernel ---- */

/* Whether guard pages can be set up by madvise: an emulation may answer 0 to advice that it does not know. */
static bool has_guards(void)
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	char *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool has;

	if (page == MAP_FAILED)
		return false;
	has = madvise(page, bytes, ADVICE_GUARD) == 0 && madvise(page, bytes, MADV_POPULATE_READ) != 0 &&
	      errno == EFAULT;
	munmap(page, bytes);
	return has;
}

static void guards_and_maps(struct sheet *sheet)
{
	bool guards = has_guards();
	char text[LINE];
	long maps = 0, stacks;

	sheet_text(sheet, "kernel", "guard", guards ? "madvise" : "mprotect");
	if (read_line("/proc/sys/vm/max_map_count", text, sizeof text))
		maps = atol(text);
	else
		sheet_unread(sheet, "vm.max_map_count: %s", strerror(errno));
	sheet_set(sheet, "kernel", "max_map_count", maps > 0 ? json_integer(maps) : NULL);
	stacks = (maps - MAPS_OF_OTHERS) / MAPS_A_STACK / 100 * 100;
	sheet_set(sheet, "kernel", "most_stacks", guards || stacks <= 0 ? NULL : json_integer(stacks));
	if (!guards && stacks > 0)
		sheet_find(sheet, SHEET_NOTE, "guards_take_maps",
		        "guard pages take a memory map each on this kernel (from Linux 6.13 on they do not): "
		        "vm.max_map_count=%ld is enough for about %ld fibers at once",
		        maps, stacks);
}

/* The word in brackets of a list of choices. */
static char *chosen(char *text)
{
	char *word = strchr(text, '['), *end = word != NULL ? strchr(word, ']') : NULL;

	if (end == NULL)
		return text;
	*end = '\0';
	return word + 1;
}

void machine_kernel(struct sheet *sheet)
{
	static const char huge[] = "/sys/kernel/mm/transparent_hugepage/enabled";
	char text[LINE];

	guards_and_maps(sheet);
	sheet_set(sheet, "kernel", "page_bytes", json_integer(sysconf(_SC_PAGESIZE)));
	if (!read_line(huge, text, sizeof text)) {
		sheet_set(sheet, "kernel", "huge_pages", NULL);
		if (errno != ENOENT)
			sheet_unread(sheet, "transparent huge pages: %s", strerror(errno));
		return;
	}
	sheet_text(sheet, "kernel", "huge_pages", chosen(text));
	if (strcmp(chosen(text), "always") == 0)
		sheet_find(sheet, SHEET_NOTE, "huge_pages",
		        "transparent huge pages are set to always: large stacks may take 2 MiB of memory each, "
		        "without copool as well");
}

/* ---- libraries ---- */

/* The first that can be loaded, or NULL. It is not let go: the command ends soon. */
static const char *loadable(const char *const *names)
{
	for (; *names != NULL; names++) {
		if (dlopen(*names, RTLD_NOW | RTLD_LOCAL) != NULL)
			return *names;
	}
	return NULL;
}

static const char *decoder(void)
{
#ifdef __aarch64__
	return "built in";
#else
	/* As in shim/patch/instruction.c. */
	static const char *const names[] = {"libZydis.so.4.0", "libZydis.so.4.1", "libZydis.so.4", NULL};

	return loadable(names);
#endif
}

void machine_libraries(struct sheet *sheet)
{
	static const char *const unwinders[] = {UNWINDER, NULL}; /* as in shim/report/origins/unwind.c */

	sheet_text(sheet, "library", "decoder", decoder());
	sheet_text(sheet, "library", "unwinder", loadable(unwinders));
}

/* ---- confinement ---- */

static void tell_filter(struct sheet *sheet, const struct confined *confined)
{
	sheet_set(sheet, "confinement", "seccomp",
	        confined->seccomp >= 0 ? json_integer(confined->seccomp) : NULL);
	sheet_set(sheet, "confinement", "no_new_privs",
	        confined->no_new_privs >= 0 ? json_boolean(confined->no_new_privs) : NULL);
	if (confined->seccomp == 1)
		sheet_find(sheet, SHEET_BAR, "strict_seccomp",
		        "seccomp's strict mode allows no system call that copool needs");
	else if (confined->seccomp == 2)
		sheet_find(sheet, SHEET_NOTE, "seccomp",
		        "a seccomp filter applies: it must allow madvise, futex, futex_waitv and getrlimit, or "
		        "refuse them with an error (systemd's @system-service does)");
}

static void tell_domain(struct sheet *sheet, const struct confined *confined)
{
	const char *profile = confined->apparmor, *context = confined->selinux;
	char enforce[8] = "";

	sheet_text(sheet, "confinement", "apparmor", *profile != '\0' ? profile : NULL);
	if (confined->is_profiled)
		sheet_find(sheet, SHEET_NOTE, "apparmor",
		        "AppArmor's profile %s applies: it must permit mapping libcopool.so (m) and writing the "
		        "log; /usr/lib is allowed more often than /usr/local",
		        profile);
	sheet_text(sheet, "confinement", "selinux", *context != '\0' ? context : NULL);
	if (*context != '\0' && read_line("/sys/fs/selinux/enforce", enforce, sizeof enforce) &&
	        *enforce == '1')
		sheet_find(sheet, SHEET_NOTE, "selinux",
		        "SELinux enforces the domain %s: it must permit executing what was modified (execmod, "
		        "execmem) for QEMU, and writing the log",
		        context);
}

void machine_confined(struct sheet *sheet, pid_t pid)
{
	struct confined confined;

	confined_read(pid, &confined);
	tell_filter(sheet, &confined);
	tell_domain(sheet, &confined);
}

void machine_confinement(struct sheet *sheet)
{
	struct rlimit locked;
	int mdwe = prctl(PR_GET_MDWE, 0, 0, 0, 0);

	machine_confined(sheet, 0);
	sheet_set(sheet, "confinement", "mdwe", mdwe >= 0 ? json_boolean(mdwe & 1) : NULL);
	if (mdwe > 0)
		sheet_find(sheet, SHEET_NOTE, "mdwe",
		        "memory that was writable may not become executable here (PR_SET_MDWE): QEMU's code "
		        "cannot be patched, and only its stacks are pooled");
	bool is_known = getrlimit(RLIMIT_MEMLOCK, &locked) == 0;
	sheet_set(sheet, "kernel", "locked_bytes",
	        is_known && locked.rlim_cur != RLIM_INFINITY ? json_integer((json_int_t)locked.rlim_cur)
	                                                     : NULL);
}

/* ---- /etc/ld.so.preload ---- */

void machine_preload_file(struct sheet *sheet, const char *root)
{
	char text[4096] = "", *rest = NULL;
	json_t *entries = json_array();
	int fd = rooted_open(root, "/etc/ld.so.preload");
	ssize_t bytes = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;

	if (bytes < 0 || (fd < 0 && errno != ENOENT))
		sheet_unread(sheet, "/etc/ld.so.preload: %s", strerror(errno));
	text[bytes > 0 ? bytes : 0] = '\0';
	if (fd >= 0)
		close(fd);
	for (char *comment = text; (comment = strchr(comment, '#')) != NULL;)
		memset(comment, ' ', strcspn(comment, "\n"));
	for (char *entry = strtok_r(text, " \t\n:", &rest); entry != NULL;
	        entry = strtok_r(NULL, " \t\n:", &rest)) {
		sheet_append(entries, entry);
		if (strchr(entry, '/') != NULL && !rooted_has(root, entry))
			sheet_find(sheet, strstr(entry, "libcopool") != NULL ? SHEET_BAR : SHEET_NOTE,
			        "preload_file",
			        "/etc/ld.so.preload names %s, which cannot be read (%s): each program that starts "
			        "says so, and goes on without it",
			        entry, strerror(errno));
	}
	sheet_set(sheet, "preload", "file", entries);
}
