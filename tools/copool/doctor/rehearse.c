/* SPDX-License-Identifier: MIT */
/*
 * The program is traced, and stopped at two addresses:
 *
 *	exec --> the loader maps and binds all objects --> _dl_debug_state: every object but libc and the library loses
 *	its initializers --> the library's constructor attaches --> the program's entry: the library's block is read,
 *	and the program killed
 *
 * The first is where the loader tells debuggers that all objects are in place; r_state of _r_debug says so.
 */
#include "doctor/rehearse.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "doctor/image.h"
#include "process/remote.h"
#include "settings.h"

enum { PATIENCE_MS = 30000, OBJECTS_MAX = 4096, DYNAMIC_MAX = 256, STATE_CONSISTENT = 0 };

#ifdef __aarch64__
#define COUNTER pc
enum { PAST_TRAP = 0 };
static const unsigned char trap[] = {0x00, 0x00, 0x20, 0xd4};                            /* brk #0 */
static const unsigned char nothing[] = {0x5f, 0x24, 0x03, 0xd5, 0xc0, 0x03, 0x5f, 0xd6}; /* bti c; ret */
#else
#define COUNTER rip
enum { PAST_TRAP = 1 };
static const unsigned char trap[] = {0xcc};
static const unsigned char nothing[] = {0xf3, 0x0f, 0x1e, 0xfa, 0xc3}; /* endbr64; ret */
#endif

/* As the loader has them, see link.h. */
struct debug {
	int version;
	uint64_t map, breakpoint;
	int state;
};

struct object {
	uint64_t bias, name, dynamic, next;
};

struct stage {
	struct rehearsal *rehearsal;
	const char *shim;
	pid_t pid;
	int memory;                       /* /proc/PID/mem */
	uint64_t base, entry;             /* of the loader, and the program's first instruction */
	uint64_t state_call, state_at;    /* addresses of _dl_debug_state and _r_debug */
	unsigned char saved[sizeof trap]; /* what the first trap has replaced */
};

__attribute__((format(printf, 3, 4))) static int fail(
        const struct stage *stage, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(stage->rehearsal->why, sizeof stage->rehearsal->why, format, arguments);
	va_end(arguments);
	return error;
}

/* ---- the child ---- */

/* Nothing is written but what the library must not be asked for: no log, no file. */
static void set_environment(const char *shim)
{
	const char *before = getenv("LD_PRELOAD");
	char preload[2 * PATH_MAX];

	snprintf(preload, sizeof preload, "%s%s%s", shim, before != NULL && *before ? ":" : "",
	        before != NULL ? before : "");
	setenv("LD_PRELOAD", preload, 1);
	unsetenv("LD_DEBUG_OUTPUT");
	setenv(settings[SETTING_log].variable, "", 1);
	setenv(settings[SETTING_prometheus].variable, "", 1);
	setenv(settings[SETTING_tell].variable, "0", 1);
	setenv(settings[SETTING_summary].variable, "0", 1);
}

_Noreturn static void become(const char *path, const char *shim, int said, pid_t tracer)
{
	int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);

	dup2(nowhere, STDIN_FILENO);
	dup2(nowhere, STDOUT_FILENO);
	dup2(said, STDERR_FILENO);
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* If doctor was killed before, init would trace the program, and leave it stopped for good. */
	if (getppid() != tracer)
		_exit(EXIT_FAILURE);
	set_environment(shim);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		dprintf(STDERR_FILENO, "it may not be traced: %s\n", strerror(errno));
	else if (execl(path, path, NULL) != 0)
		dprintf(STDERR_FILENO, "%s\n", strerror(errno));
	_exit(EXIT_FAILURE);
}

/* ---- its memory and registers ---- */

static bool peek(const struct stage *stage, uint64_t at, void *to, size_t bytes)
{
	return pread(stage->memory, to, bytes, (off_t)at) == (ssize_t)bytes;
}

static bool poke(const struct stage *stage, uint64_t at, const void *from, size_t bytes)
{
	return pwrite(stage->memory, from, bytes, (off_t)at) == (ssize_t)bytes;
}

static bool read_registers(const struct stage *stage, struct user_regs_struct *registers)
{
	struct iovec all = {registers, sizeof *registers};

	return ptrace(PTRACE_GETREGSET, stage->pid, (void *)NT_PRSTATUS, &all) == 0;
}

/* Puts the first trap's instruction back, and goes on with it. */
static bool leave_trap(const struct stage *stage)
{
	struct user_regs_struct registers;
	struct iovec all = {&registers, sizeof registers};

	if (!read_registers(stage, &registers) || !poke(stage, stage->state_call, stage->saved, sizeof trap))
		return false;
	registers.COUNTER = stage->state_call;
	return ptrace(PTRACE_SETREGSET, stage->pid, (void *)NT_PRSTATUS, &all) == 0;
}

/* ---- where it stops ---- */

static bool read_auxiliary(struct stage *stage)
{
	char path[64];
	Elf64_auxv_t one;

	snprintf(path, sizeof path, "/proc/%d/auxv", stage->pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return false;
	while (fread(&one, sizeof one, 1, file) == 1 && one.a_type != AT_NULL) {
		if (one.a_type == AT_BASE)
			stage->base = one.a_un.a_val;
		else if (one.a_type == AT_ENTRY)
			stage->entry = one.a_un.a_val;
	}
	fclose(file);
	return stage->base != 0 && stage->entry != 0;
}

/* Writes the path of the file that is mapped at the loader's base to `loader`. */
static bool find_loader(const struct stage *stage, char loader[PATH_MAX])
{
	char path[64], line[PATH_MAX + 128];
	uint64_t low = 0;
	int at = 0;

	snprintf(path, sizeof path, "/proc/%d/maps", stage->pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return false;
	while (fgets(line, sizeof line, file) != NULL) {
		if (sscanf(line, "%" SCNx64 "-%*s %*s %*s %*s %*s %n", &low, &at) == 1 && low == stage->base)
			break;
		low = 0;
	}
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	return low != 0 && at > 0 && snprintf(loader, PATH_MAX, "%s", line + at) < PATH_MAX;
}

static int find_places(struct stage *stage)
{
	char loader[PATH_MAX];
	struct elf_file image;
	uint64_t call = 0, state = 0;
	bool has_both;

	if (!read_auxiliary(stage))
		return fail(stage, -ENOEXEC, "it has no loader");
	if (!find_loader(stage, loader) || image_open(&image, loader) != 0)
		return fail(stage, -ENOENT, "its loader cannot be read");
	has_both = image_has(&image, "_dl_debug_state", true, &call) &&
	           image_has(&image, "_r_debug", true, &state);
	elf_file_close(&image);
	if (!has_both)
		return fail(stage, -ENOENT, "its loader, %s, does not say when all is loaded", loader);
	stage->state_call = stage->base + call;
	stage->state_at = stage->base + state;
	return 0;
}

/* ---- initializers ---- */

/* libc's own are needed; what they do is known. */
static bool is_kept(const struct stage *stage, const char *name)
{
	static const char *const files[] = {"libc.so.6", "libpthread.so.0"};
	const char *slash = strrchr(name, '/');

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		if (strcmp(slash != NULL ? slash + 1 : name, files[i]) == 0)
			return true;
	}
	return strcmp(name, stage->shim) == 0;
}

/* Leaves an object no initializers: their arrays become empty, and the one function becomes one that returns. */
static bool quieten(const struct stage *stage, const struct object *object)
{
	uint64_t at = object->dynamic;
	Elf64_Dyn entry;

	for (int i = 0; i < DYNAMIC_MAX; i++, at += sizeof entry) {
		uint64_t value = 0;

		if (!peek(stage, at, &entry, sizeof entry))
			return false;
		if (entry.d_tag == DT_NULL)
			return true;
		if (entry.d_tag == DT_INIT)
			value = stage->entry + sizeof trap - object->bias;
		else if (entry.d_tag != DT_INIT_ARRAYSZ && entry.d_tag != DT_PREINIT_ARRAYSZ)
			continue;
		if (!poke(stage, at + offsetof(Elf64_Dyn, d_un), &value, sizeof value))
			return false;
	}
	return false;
}

static bool quieten_all(const struct stage *stage, uint64_t map)
{
	struct object object;
	char name[PATH_MAX];

	for (int i = 0; map != 0 && i < OBJECTS_MAX; i++, map = object.next) {
		if (!peek(stage, map, &object, sizeof object))
			return false;
		ssize_t length = pread(stage->memory, name, sizeof name - 1, (off_t)object.name);
		name[length > 0 ? length : 0] = '\0';
		if (object.dynamic != 0 && !is_kept(stage, name) && !quieten(stage, &object))
			return false;
	}
	return map == 0;
}

/* ---- from stop to stop ---- */

/* Waits for the next stop. Returns its signal; 0 if the process has ended; or -errno. */
static int next_stop(struct stage *stage, uint64_t deadline_ms)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(stage->pid, &status, WNOHANG | __WALL);

		if (pid < 0)
			return fail(stage, -errno, "it cannot be waited for: %s", strerror(errno));
		if (pid > 0 && WIFSTOPPED(status))
			return WSTOPSIG(status);
		if (pid > 0) {
			stage->pid = 0;
			return 0;
		}
		if (clock_now_ms() >= deadline_ms)
			return fail(stage, -ETIMEDOUT, "it took too long to load");
		usleep(200);
	}
}

/* At a trap. Returns 1 at the program's entry, 0 before it, or -errno. */
static int at_trap(struct stage *stage)
{
	struct user_regs_struct registers;
	struct debug debug;
	uint64_t at;

	if (!read_registers(stage, &registers))
		return fail(stage, -errno, "its registers cannot be read: %s", strerror(errno));
	at = registers.COUNTER - PAST_TRAP;
	if (at == stage->entry)
		return 1;
	if (at != stage->state_call || !peek(stage, stage->state_at, &debug, sizeof debug))
		return fail(stage, -EFAULT, "it stopped where it should not");
	if (debug.state != STATE_CONSISTENT || debug.map == 0) {
#ifdef __aarch64__
		registers.COUNTER = registers.regs[30];
#else
		/* Returns from the function, whose body is empty. */
		if (!peek(stage, registers.rsp, &registers.rip, sizeof registers.rip))
			return fail(stage, -EFAULT, "its stack cannot be read");
		registers.rsp += sizeof registers.rip;
#endif
		struct iovec all = {&registers, sizeof registers};
		return ptrace(PTRACE_SETREGSET, stage->pid, (void *)NT_PRSTATUS, &all) == 0 ? 0 : -errno;
	}
	if (!quieten_all(stage, debug.map) || !poke(stage, stage->entry, trap, sizeof trap) ||
	        !poke(stage, stage->entry + sizeof trap, nothing, sizeof nothing) || !leave_trap(stage))
		return fail(stage, -EFAULT, "its initializers cannot be left out: %s", strerror(errno));
	return 0;
}

static int ask(struct stage *stage)
{
	static struct remote remote;
	int error = remote_open(&remote, stage->pid);

	if (error == 0)
		stage->rehearsal->open = remote_open_record(&remote);
	if (stage->rehearsal->open != NULL)
		return 0;
	return error == -ENOENT ? fail(stage, error, "the loader did not load the library")
	                        : fail(stage, error != 0 ? error : -EBADMSG, "%s", remote.why);
}

static int lead(struct stage *stage)
{
	uint64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
	int signal = next_stop(stage, deadline_ms), error, arrived = 0;
	char path[64];

	if (signal == 0)
		return fail(stage, -EPERM, "it could not be started");
	if (signal < 0)
		return signal;
	if (signal != SIGTRAP)
		return fail(stage, -ENOEXEC, "the kernel could not load it: %s", strsignal(signal));
	ptrace(PTRACE_SETOPTIONS, stage->pid, NULL, (void *)PTRACE_O_EXITKILL);
	snprintf(path, sizeof path, "/proc/%d/mem", stage->pid);
	stage->memory = open(path, O_RDWR | O_CLOEXEC);
	if (stage->memory < 0)
		return fail(stage, -errno, "its memory cannot be opened: %s", strerror(errno));
	error = find_places(stage);
	if (error != 0)
		return error;
	if (!peek(stage, stage->state_call, stage->saved, sizeof trap) ||
	        !poke(stage, stage->state_call, trap, sizeof trap))
		return fail(stage, -EFAULT, "its memory cannot be changed: %s", strerror(errno));
	signal = 0;
	while (arrived == 0) {
		if (ptrace(PTRACE_CONT, stage->pid, NULL, (void *)(uintptr_t)signal) != 0)
			return fail(stage, -errno, "it cannot be continued: %s", strerror(errno));
		signal = next_stop(stage, deadline_ms);
		if (signal == 0)
			return fail(stage, -ECHILD, "it ended before its first instruction");
		if (signal < 0)
			return signal;
		arrived = signal == SIGTRAP ? at_trap(stage) : 0;
		signal = signal == SIGTRAP ? 0 : signal;
	}
	return arrived < 0 ? arrived : ask(stage);
}

/* What the loader wrote to standard error, on one line. What the library wrote is about settings that are not the user's. */
static void read_said(int said, char text[REHEARSE_SAID])
{
	char all[REHEARSE_SAID], *rest = NULL;
	ssize_t length = pread(said, all, sizeof all - 1, 0);
	size_t used = 0;

	text[0] = '\0';
	all[length > 0 ? length : 0] = '\0';
	for (char *line = strtok_r(all, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "copool: ", 8) != 0)
			used += (size_t)snprintf(
			        text + used, REHEARSE_SAID - used, "%s%s", used > 0 ? ";" : "", line);
	}
}

int rehearse(const char *path, const char *shim, struct rehearsal *rehearsal)
{
	struct stage stage = {.rehearsal = rehearsal, .shim = shim, .memory = -1};
	int said = memfd_create("said", MFD_CLOEXEC), error;

	*rehearsal = (struct rehearsal){0};
	if (said < 0)
		return fail(&stage, -errno, "there can be no file in memory: %s", strerror(errno));
	pid_t tracer = getpid();
	stage.pid = fork();
	if (stage.pid == 0)
		become(path, shim, said, tracer);
	error = stage.pid < 0 ? fail(&stage, -errno, "there can be no process: %s", strerror(errno))
	                      : lead(&stage);
	if (stage.pid > 0) {
		kill(stage.pid, SIGKILL);
		waitpid(stage.pid, NULL, __WALL);
	}
	if (stage.memory >= 0)
		close(stage.memory);
	read_said(said, rehearsal->said);
	close(said);
	return error;
}
