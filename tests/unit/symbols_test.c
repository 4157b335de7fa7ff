/* SPDX-License-Identifier: MIT */
/*
 * Symbols of this program and of its libraries. Run as `symbols_test find ROOT` it only prints what it finds: the
 * tests run stripped copies of it so, with debug files below ROOT.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "patch/elf.h"
#include "patch/symbols.h"
#include "tap.h"

#define LOADER "/lib64/ld-linux-x86-64.so.2"
/* One of libc's that sanitizers leave alone, where there is such. */
#ifdef __aarch64__
#define INDIRECT "strlen"
#else
#define INDIRECT "strcasecmp_l"
#endif
#define VISIBLE __attribute__((visibility("default")))

static volatile int variable = 64;
static const char *const constants[] = {"relocated", "at", "start"};

__attribute__((noinline, used)) static int hidden_function(int value)
{
	return value + variable;
}

/* libc has this one too, so the linker exports it: a function in the dynamic symbols of a program. */
VISIBLE char *l64a(long value)
{
	return value + variable ? (char *)constants[0] : NULL;
}

static void test_own(void)
{
	struct symbols symbols;
	struct symbol found;
	uintptr_t here = (uintptr_t)hidden_function;

	tap_is(symbols_open(&symbols), 0, "symbols: this program opens");
	tap_ok(symbols_find(&symbols, "l64a", ELF_FUNCTION, &found) == 0 && found.address == (void *)l64a,
	        "symbols: an exported function is found in memory");
	tap_ok(found.protection == (PROT_READ | PROT_EXEC) && found.size > 0 && found.available >= found.size,
	        "symbols: a function is code, and as long as its table says");
	tap_ok(here >= found.segment_low && here < (uintptr_t)found.address + found.available &&
	                found.image_low <= found.segment_low && (uintptr_t)&variable < found.image_high,
	        "symbols: segment and image are this program's");
	tap_is(found.image_low % (uintptr_t)sysconf(_SC_PAGESIZE), 0, "symbols: an image begins with a page");
	tap_is(symbols_find(&symbols, "hidden_function", ELF_FUNCTION, &found), -ENOENT,
	        "symbols: a static function is not found without a file");
	tap_ok(symbols_is_writable(&symbols, (void *)&variable, sizeof(variable)),
	        "symbols: a variable is writable");
	tap_ok(!symbols_is_writable(&symbols, constants, sizeof(constants)),
	        "symbols: what is read-only after relocation is not writable");
	tap_ok(!symbols_is_writable(&symbols, (void *)l64a, 4), "symbols: code is not writable");
	tap_ok(!symbols_is_writable(&symbols, &found, 4), "symbols: the stack is no variable of the program");
	if (symbols_open_files(&symbols, NULL) != 0 ||
	        symbols_find(&symbols, "hidden_function", ELF_FUNCTION, &found) != 0)
		tap_skip("this program is stripped", "symbols: a static function is found");
	else
		tap_ok(found.address == (void *)hidden_function,
		        "symbols: a static function is found in the program's file");
	symbols_close(&symbols);
	tap_is(symbols_find(&symbols, "hidden_function", ELF_FUNCTION, &found), -ENOENT,
	        "symbols: a closed file is not looked at");
	symbols_close(&symbols);
}

static void test_loaded(void)
{
	struct symbol found;

	tap_ok(symbols_find_loaded("l64a", ELF_FUNCTION, &found) == 0 && found.address == (void *)l64a,
	        "symbols: the program comes before its libraries");
	tap_ok(symbols_find_loaded("a64l", ELF_FUNCTION, &found) == 0 &&
	                found.address == dlsym(RTLD_DEFAULT, "a64l"),
	        "symbols: a library's function is found where the loader finds it");
	tap_ok(found.image_low < (uintptr_t)found.address && (uintptr_t)found.address < found.image_high &&
	                (found.image_high < (uintptr_t)l64a || found.image_low > (uintptr_t)l64a),
	        "symbols: a library's image is the library's");
	tap_is(symbols_find_loaded(INDIRECT, ELF_FUNCTION, &found), -ENOTSUP,
	        "symbols: an indirect function of a library is refused");
	tap_is(symbols_find_loaded("__vdso_clock_gettime", ELF_FUNCTION, &found), -ENOENT,
	        "symbols: the kernel's own object is no library");
	tap_is(symbols_find_loaded("no_such_function", ELF_FUNCTION, &found), -ENOENT,
	        "symbols: what nobody has is not found");
}

/* The other half of test_debug_files(): one line about what this process finds. */
static int report(const char *root)
{
	struct symbols symbols;
	struct symbol found = {0};
	int opened, error;

	symbols_open(&symbols);
	opened = symbols_open_files(&symbols, *root != '\0' ? root : NULL);
	error = symbols_find(&symbols, "hidden_function", ELF_FUNCTION, &found);
	printf("open %d find %d %s\n", opened, error,
	        found.address == (void *)hidden_function ? "right" : "wrong");
	symbols_close(&symbols);
	return 0;
}

/* Runs a shell command; its first line is in `line`, "" if there is none. Returns whether it exited with 0. */
__attribute__((format(printf, 3, 4))) static bool shell(char *line, size_t bytes, const char *format, ...)
{
	char command[4096];
	va_list arguments;
	FILE *output;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	output = popen(command, "r");
	if (output == NULL || fgets(line, (int)bytes, output) == NULL)
		*line = '\0';
	line[strcspn(line, "\n")] = '\0';
	return output != NULL && pclose(output) == 0;
}

/* Changes one bit of the build-id wherever it occurs in a file. */
static void change_id(const char *path, const uint8_t *id, size_t length)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);
	uint8_t *bytes = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *found;

	close(fd);
	if (bytes == MAP_FAILED)
		return;
	while ((found = memmem(bytes, (size_t)size, id, length)) != NULL)
		found[length - 1] ^= 1;
	munmap(bytes, (size_t)size);
}

/* Copies of this program without symbols, and its symbols where distributions put them, in `folder`. */
static void test_debug_files(const char *folder)
{
	char line[256], self[1024] = "", debug[2048] = "", digits[2 * ELF_BUILD_ID_MAX + 1] = "";
	uint8_t id[ELF_BUILD_ID_MAX];
	struct symbols symbols;
	int length;

	symbols_open(&symbols);
	length = elf_build_id(&symbols.image, id);
	for (int i = 0; i < length; i++)
		sprintf(digits + 2 * i, "%02x", id[i]);
	if (length < 2 || readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 ||
	        !shell(line, sizeof(line), "strip -o '%s/program' '%s' 2>&1", folder, self)) {
		tap_skip("no strip, or no build-id", "symbols: debug files are found");
		return;
	}
	snprintf(debug, sizeof(debug), "%s/root/.build-id/%.2s/%s.debug", folder, digits, digits + 2);
	shell(line, sizeof(line),
	        "mkdir -p '%s/root/.build-id/%.2s' && objcopy --only-keep-debug '%s' '%s' 2>&1", folder,
	        digits, self, debug);
	shell(line, sizeof(line), "'%s' find ''", self);
	tap_is_text(line, "open 0 find 0 right", "symbols: a program's own table needs no debug file");
	shell(line, sizeof(line), "'%s/program' find ''", folder);
	tap_is_text(line, "open 0 find -2 wrong", "symbols: a stripped program has no static functions");
	shell(line, sizeof(line), "'%s/program' find '%s/root'", folder, folder);
	tap_is_text(line, "open 0 find 0 right", "symbols: a stripped program's debug file is found");
	if (access(LOADER, X_OK) != 0) {
		tap_skip("no " LOADER, "symbols: a program may be started by naming the loader");
	} else {
		shell(line, sizeof(line), LOADER " '%s' find ''", self);
		tap_is_text(line, "open -116 find -2 wrong",
		        "symbols: the loader's file is not taken for the program's");
		shell(line, sizeof(line), LOADER " '%s/program' find '%s/root'", folder, folder);
		tap_is_text(line, "open 0 find 0 right",
		        "symbols: a program that the loader was told to start has its debug file");
	}
	shell(line, sizeof(line), "truncate -s 4096 '%s'", debug);
	shell(line, sizeof(line), "'%s/program' find '%s/root'", folder, folder);
	tap_is_text(line, "open 0 find -2 wrong", "symbols: a debug file that is cut off is not used");
	shell(line, sizeof(line),
	        "objcopy --only-keep-debug --remove-section=.note.gnu.build-id '%s' '%s' 2>&1", self, debug);
	shell(line, sizeof(line), "'%s/program' find '%s/root'", folder, folder);
	tap_is_text(line, "open 0 find -2 wrong", "symbols: a debug file without the build-id is not used");
	shell(line, sizeof(line), "objcopy --only-keep-debug '%s' '%s' 2>&1", self, debug);
	change_id(debug, id, (size_t)length);
	shell(line, sizeof(line), "'%s/program' find '%s/root'", folder, folder);
	tap_is_text(line, "open 0 find -2 wrong", "symbols: a debug file of another build-id is not used");
	shell(line, sizeof(line), "rm '%s' && mkfifo '%s'", debug, debug);
	shell(line, sizeof(line), "timeout 20 '%s/program' find '%s/root'", folder, folder);
	tap_is_text(line, "open 0 find -2 wrong", "symbols: a pipe in place of a debug file stops nothing");
}

int main(int count, char **arguments)
{
	const char *top = getenv("TMPDIR");
	char folder[512], line[16];

	if (count == 3 && strcmp(arguments[1], "find") == 0)
		return report(arguments[2]);
	test_own();
	test_loaded();
	snprintf(folder, sizeof(folder), "%s/symbols.XXXXXX", top != NULL ? top : "/tmp");
	if (tap_ok(mkdtemp(folder) != NULL, "symbols: there is a folder for the tests"))
		test_debug_files(folder);
	shell(line, sizeof(line), "rm -rf '%s'", folder);
	return tap_done();
}
