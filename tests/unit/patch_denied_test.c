/* SPDX-License-Identifier: MIT */
/*
 * What the kernel may refuse, by seccomp in children: patches are complete or not made at all, and nothing is ever
 * writable and executable. The functions have pages of their own.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "patch/decode.h"
#include "patch/patch.h"
#include "patch/symbols.h"
#include "tap.h"

enum { TARGETS = 3, ADDED = 1000, PAGE = 4096, NEITHER = 77 };

#define FUNCTION_CODE(name)                                                                                  \
	".globl " #name "\n .type " #name ", @function\n " #name ":\n push %rbx\n mov $7,%ebx\n"             \
	" lea (%rbx,%rdi),%eax\n pop %rbx\n ret\n .size " #name ", . - " #name "\n"

/* One a page; the third's jump lies on two. */
asm(".pushsection .text\n .balign 4096, 0xcc\n" FUNCTION_CODE(first) ".balign 4096, 0xcc\n" FUNCTION_CODE(
        second) ".balign 4096, 0xcc\n .skip 4096 - 2, 0xcc\n" FUNCTION_CODE(third) ".balign 4096, 0xcc\n"
                                                                                   ".popsection\n");

int first(int value);
int second(int value);
int third(int value);

typedef int(function)(int);

static const char *const names[TARGETS] = {"first", "second", "third"};
static function *const functions[TARGETS] = {first, second, third};
static function *original[TARGETS];
static uint8_t before[TARGETS][12];
static struct symbols symbols;

static int hook_first(int value)
{
	return original[0](value) + ADDED;
}

static int hook_second(int value)
{
	return original[1](value) + ADDED;
}

static int hook_third(int value)
{
	return original[2](value) + ADDED;
}

static function *const hooks[TARGETS] = {hook_first, hook_second, hook_third};

/* Calls by way of memory, so that no compiler knows what is called. */
static int call(function *volatile f, int value)
{
	return f(value);
}

static int plan_all(struct patch_set *set)
{
	struct symbol symbol;
	int error = 0;

	patch_begin(set);
	for (size_t i = 0; i < TARGETS && error == 0; i++) {
		error = symbols_find(&symbols, names[i], ELF_FUNCTION, &symbol);
		if (error == 0)
			error = patch_plan(set, names[i], &symbol, hooks[i], (void **)&original[i]);
	}
	return error;
}

static bool is_as_before(void)
{
	bool same = true;

	for (size_t i = 0; i < TARGETS; i++) {
		same &= memcmp((void *)functions[i], before[i], sizeof(before[i])) == 0;
		same &= original[i] == NULL && call(functions[i], 5) == 12;
	}
	return same;
}

static bool is_hooked(void)
{
	return call(first, 5) == 12 + ADDED && call(second, 5) == 12 + ADDED && call(third, 5) == 12 + ADDED;
}

/* Whether /proc/self/maps says "r-xp" of all pages of the functions. */
static bool are_texts_protected(void)
{
	uintptr_t from = (uintptr_t)first, to = (uintptr_t)third + PAGE;
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512], flags[8];
	unsigned long low, high;
	bool good = maps != NULL;

	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL)
		if (sscanf(line, "%lx-%lx %7s", &low, &high, flags) == 3 && low < to && high > from)
			good &= strcmp(flags, "r-xp") == 0;
	if (maps != NULL)
		fclose(maps);
	return good;
}

#define LOAD(field)              BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_LOW(n)              LOAD(args[n])
#define IF_EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), yes, no)
#define RETURN(value)            BPF_STMT(BPF_RET | BPF_K, value)

static bool filter(struct sock_filter *code, size_t length)
{
	struct sock_fprog program = {(unsigned short)length, code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* From now on mprotect of `page` (by its low half; NULL: of any) to `protection` fails. */
static bool forbid_mprotect(const void *page, int protection)
{
	bool any = page == NULL;
	struct sock_filter code[] = {
	        LOAD(nr),
	        IF_EQUAL(SYS_mprotect, 0, 5),
	        LOAD_LOW(0),
	        IF_EQUAL((uintptr_t)page, 0, any ? 0 : 3),
	        LOAD_LOW(2),
	        IF_EQUAL(protection, 0, 1),
	        RETURN(SECCOMP_RET_ERRNO | EACCES),
	        RETURN(SECCOMP_RET_ALLOW),
	};

	return filter(code, sizeof(code) / sizeof(*code));
}

/* From now on a request for memory that is writable and executable ends the process. */
static bool forbid_write_and_execute(void)
{
	struct sock_filter code[] = {
	        LOAD(nr),
	        IF_EQUAL(SYS_mprotect, 1, 0),
	        IF_EQUAL(SYS_mmap, 0, 4),
	        LOAD_LOW(2),
	        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PROT_WRITE | PROT_EXEC),
	        IF_EQUAL(PROT_WRITE | PROT_EXEC, 0, 1),
	        RETURN(SECCOMP_RET_KILL_PROCESS),
	        RETURN(SECCOMP_RET_ALLOW),
	};

	return filter(code, sizeof(code) / sizeof(*code));
}

static int child_never_both(void)
{
	struct patch_set set;

	if (!forbid_write_and_execute())
		return NEITHER;
	if (plan_all(&set) != 0 || patch_commit(&set) != 0 || !is_hooked())
		return 1;
	patch_revert(&set);
	return is_as_before() ? 0 : 2;
}

static int child_filter_works(void)
{
	if (!forbid_write_and_execute())
		return NEITHER;
	mprotect((void *)second, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
	return 0;
}

static int child_no_executable(void)
{
	struct patch_set set;

	if (!forbid_mprotect(NULL, PROT_READ | PROT_EXEC))
		return NEITHER;
	if (plan_all(&set) != 0 || patch_commit(&set) != -EACCES)
		return 1;
	return is_as_before() && strstr(set.reason, "executable memory") != NULL ? 0 : 2;
}

static int child_second_page(void)
{
	struct patch_set set;

	if (!forbid_mprotect((void *)second, PROT_READ | PROT_WRITE))
		return NEITHER;
	if (plan_all(&set) != 0 || patch_commit(&set) != -EACCES)
		return 1;
	return is_as_before() && are_texts_protected() && strstr(set.reason, "second") != NULL ? 0 : 2;
}

/* As plan_all; but an instruction of the first function becomes a jump that leads back at once. */
static int plan_inside_first(struct patch_set *set)
{
	static const uint8_t code[] = {0xbb, 7, 0, 0, 0, 0xe9, 0, 0, 0, 0}; /* mov $7,%ebx; jmp exit */
	const struct patch_place place = {
	        .at = 1, .goes_on = (uintptr_t)first + 1 + 5, .exit = {5}, .exits = 1};
	struct symbol symbol;
	int error;

	patch_begin(set);
	error = symbols_find(&symbols, "first", ELF_FUNCTION, &symbol);
	if (error == 0)
		error = patch_plan_inside(set, "first", &symbol, &place, code, sizeof code);
	for (size_t i = 1; i < TARGETS && error == 0; i++) {
		error = symbols_find(&symbols, names[i], ELF_FUNCTION, &symbol);
		if (error == 0)
			error = patch_plan(set, names[i], &symbol, hooks[i], (void **)&original[i]);
	}
	return error;
}

static int child_inside_taken_out(void)
{
	struct patch_set set;

	if (plan_inside_first(&set) != 0 || patch_commit(&set) != 0 || call(first, 5) != 12 ||
	        ((uint8_t *)first)[1] != 0xe9)
		return 1;
	patch_revert(&set);
	if (!is_as_before())
		return 2;
	if (!forbid_mprotect((void *)second, PROT_READ | PROT_WRITE))
		return NEITHER;
	if (plan_inside_first(&set) != 0 || patch_commit(&set) != -EACCES)
		return 3;
	return is_as_before() && are_texts_protected() ? 0 : 4;
}

static int child_no_way_back(void)
{
	struct patch_set set;

	if (!forbid_mprotect((void *)second, PROT_READ | PROT_EXEC))
		return NEITHER;
	if (plan_all(&set) != 0 || patch_commit(&set) != 0 || !is_hooked() || !are_texts_protected())
		return 1;
	patch_revert(&set);
	return is_as_before() && are_texts_protected() ? 0 : 2;
}

static int child_revert_refused(void)
{
	struct patch_set set;

	if (plan_all(&set) != 0 || patch_commit(&set) != 0)
		return 1;
	if (!forbid_mprotect(NULL, PROT_READ | PROT_WRITE))
		return NEITHER;
	patch_revert(&set);
	return is_hooked() && set.reason[0] != '\0' ? 0 : 2;
}

/* Runs a test in a child; returns its exit status, or minus the signal that killed it. */
static int run_child(int (*child)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(child());
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void test_child(int (*child)(void), int wanted, const char *name)
{
	int got = run_child(child);

	if (got == NEITHER)
		tap_skip("seccomp filters are not allowed here", "%s", name);
	else
		tap_is(got, wanted, "%s", name);
}

int main(void)
{
	if (decode_open() != 0) {
		tap_skip("libZydis is not installed", "patch: functions are patched");
		return tap_done();
	}
	if (symbols_open(&symbols) != 0 || symbols_open_files(&symbols, NULL) != 0) {
		tap_skip("this program is stripped", "patch: functions are patched");
		return tap_done();
	}
	for (size_t i = 0; i < TARGETS; i++)
		memcpy(before[i], (void *)functions[i], sizeof(before[i]));
	test_child(child_filter_works, -SIGSYS, "patch: the filter of these tests kills what it should");
	test_child(child_never_both, 0, "patch: no memory is ever asked to be writable and executable");
	test_child(child_no_executable, 0, "patch: nothing changes where no memory may become executable");
	test_child(child_second_page, 0, "patch: nothing changes where the second page cannot be written");
	test_child(child_inside_taken_out, 0,
	        "patch: an instruction that was a jump already is put back where a later page cannot be "
	        "written");
	test_child(child_no_way_back, 0, "patch: code that may not become executable again is replaced");
	test_child(child_revert_refused, 0, "patch: a hook that cannot be taken out keeps its original");
	symbols_close(&symbols);
	decode_close();
	return tap_done();
}
