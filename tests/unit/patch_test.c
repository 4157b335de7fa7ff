/*
 * Patches functions of this very program, whose prologues are those that compilers make; calls them through
 * hook and trampoline, and puts them back. They lie on pages of their own, since a page that is being written
 * cannot run.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "patch/decode.h"
#include "patch/patch.h"
#include "patch/symbols.h"
#include "tap.h"

enum { ADDED = 1000, PAGE = 4096 };

/* name, prologue and the rest; each returns its argument plus 7, by way of `body`. */
#define FUNCTIONS(X)                                                                                         \
	X(sub_rsp, "push %rbx\n sub $0x880,%rsp\n lea 7(%rdi),%eax\n add $0x880,%rsp\n pop %rbx\n ret")      \
	X(push_rbp, "push %rbp\n sub $0x8,%rsp\n lea 7(%rdi),%eax\n add $0x8,%rsp\n pop %rbp\n ret")         \
	X(mov_ecx, "push %rbx\n mov $0x79,%ecx\n lea -0x72(%rcx,%rdi),%eax\n pop %rbx\n ret")                \
	X(endbr, "endbr64\n push %rbx\n mov $0x3c8,%edx\n lea -0x3c1(%rdx,%rdi),%eax\n pop %rbx\n ret")      \
	X(mov_rbx, "push %rbx\n mov %rdi,%rbx\n mov -8(%rsp),%rsi\n lea 7(%rbx),%eax\n pop %rbx\n ret")      \
	X(push_r12, "push %r12\n push %rbp\n mov %rdi,%rbp\n lea 7(%rbp),%eax\n pop %rbp\n pop %r12\n ret")  \
	X(spill, "sub $0x28,%rsp\n mov %rbx,0x10(%rsp)\n lea 7(%rdi),%eax\n add $0x28,%rsp\n ret")           \
	X(lea_rip, "push %rbp\n lea seven(%rip),%rbp\n mov (%rbp),%eax\n add %edi,%eax\n pop %rbp\n ret")    \
	X(jmp_rel, "jmp target_sub_rsp")                                                                     \
	X(jmp_got, "jmp *seven_slot(%rip)")                                                                  \
	X(je_short, "test %edi,%edi\n je 1f\n lea 7(%rdi),%eax\n ret\n 1: mov $7,%eax\n ret")                \
	X(je_long, "xor %eax,%eax\n test %rdi,%rdi\n {disp32} je 1f\n mov %edi,%eax\n 1: add $7,%eax\n ret")

#define FUNCTION_CODE(name, code)                                                                            \
	".balign 16, 0xcc\n .globl target_" #name "\n .type target_" #name ", @function\n target_" #name     \
	":\n " code "\n .size target_" #name ", . - target_" #name "\n"

asm(".pushsection .data\n .balign 8\n seven: .long 7\n .balign 8\n seven_slot: .quad target_sub_rsp\n"
    ".popsection\n"
    ".pushsection .text\n .balign 4096, 0xcc\n" FUNCTIONS(FUNCTION_CODE)
        /* Subtracts from a variable, as QEMU 7.2 does. */
        FUNCTION_CODE(lock_sub, "lock sub %edi,stock(%rip)\n ret")
                FUNCTION_CODE(call_first, "call target_sub_rsp\n ret")
        /* One on the next page, and one whose jump lies on both. */
        ".balign 4096, 0xcc\n" FUNCTION_CODE(next_page,
                "push %rbx\n mov $7,%ebx\n lea (%rbx,%rdi),%eax\n"
                " pop %rbx\n ret") ".balign 4096, 0xcc\n .skip 4096 - 2, 0xcc\n .globl target_straddle\n"
                                   ".type target_straddle, @function\n target_straddle:\n push %rbx\n mov "
                                   "$7,%ebx\n lea (%rbx,%rdi),%eax\n"
                                   " pop %rbx\n ret\n .size target_straddle, . - target_straddle\n"
                                   ".balign 4096, 0xcc\n .popsection\n");

int stock = 64;

int target_lock_sub(int value);
int target_call_first(int value);
int target_next_page(int value);
int target_straddle(int value);

typedef int(function)(int);

struct target {
	const char *name;
	function *function;
	function *hook;
	function *original;
};

static int hook_calls;

#define DECLARE(name, code) int target_##name(int value);
FUNCTIONS(DECLARE)

enum {
#define INDEX(name, code) INDEX_##name,
	FUNCTIONS(INDEX) INDEX_next_page,
	INDEX_straddle,
	TARGETS,
};

static struct target targets[TARGETS];

#define HOOK(name, code)                                                                                     \
	static int hook_##name(int value)                                                                    \
	{                                                                                                    \
		hook_calls++;                                                                                \
		return targets[INDEX_##name].original(value) + ADDED;                                        \
	}
FUNCTIONS(HOOK)
HOOK(next_page, "")
HOOK(straddle, "")

static struct target targets[TARGETS] = {
#define TARGET(name, code) {#name, target_##name, hook_##name, NULL},
        FUNCTIONS(TARGET) TARGET(next_page, "") TARGET(straddle, "")};

static int (*original_lock_sub)(int);

static int hook_lock_sub(int value)
{
	hook_calls++;
	return original_lock_sub(value);
}

static struct symbols symbols;
static uint8_t before[TARGETS][16]; /* the functions' first bytes, untouched */

static bool find(const char *name, struct symbol *found)
{
	char full[64];

	snprintf(full, sizeof(full), "target_%s", name);
	return symbols_find(&symbols, full, ELF_FUNCTION, found) == 0;
}

/* Calls by way of memory, so that no compiler knows what is called. */
static int call(function *volatile f, int value)
{
	return f(value);
}

static int plan(struct patch_set *set, struct target *target)
{
	struct symbol symbol;

	if (!find(target->name, &symbol))
		return -ENOENT;
	return patch_plan(set, target->name, &symbol, target->hook, (void **)&target->original);
}

static int plan_all(struct patch_set *set)
{
	int error = 0;

	patch_begin(set);
	for (size_t i = 0; i < TARGETS && error == 0; i++)
		error = plan(set, &targets[i]);
	return error;
}

static bool is_as_before(void)
{
	bool same = stock == 64;

	for (size_t i = 0; i < TARGETS; i++) {
		same &= memcmp((void *)targets[i].function, before[i], sizeof(before[i])) == 0;
		same &= targets[i].original == NULL && call(targets[i].function, 5) == 12;
	}
	return same;
}

static bool is_hooked(void)
{
	bool hooked = true;

	for (size_t i = 0; i < TARGETS; i++) {
		int calls = hook_calls;

		/* jmp_rel and jmp_got end in sub_rsp, whose hook is then called as well. */
		bool is_twice = i == INDEX_jmp_rel || i == INDEX_jmp_got;

		hooked &= call(targets[i].function, 5) == 12 + ADDED * (1 + is_twice);
		hooked &= hook_calls - calls == 1 + is_twice;
		hooked &= call(targets[i].function, 0) == 7 + ADDED * (1 + is_twice);
	}
	return hooked;
}

/* What /proc/self/maps says of the mapping at an address: "r-xp", or "" when there is none. */
static void protection_at(const void *address, char text[8])
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512], flags[8];
	unsigned long low, high;

	text[0] = '\0';
	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL)
		if (sscanf(line, "%lx-%lx %7s", &low, &high, flags) == 3 && (uintptr_t)address >= low &&
		        (uintptr_t)address < high)
			strcpy(text, flags);
	if (maps != NULL)
		fclose(maps);
}

static bool has_protection(const void *address, const char *wanted)
{
	char text[8];

	protection_at(address, text);
	if (strcmp(text, wanted) != 0)
		printf("# %p is '%s', not '%s'\n", address, text, wanted);
	return strcmp(text, wanted) == 0;
}

static bool is_any_page_writable_and_executable(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512], flags[8];
	bool found = maps == NULL;

	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL)
		if (sscanf(line, "%*s %7s", flags) == 1 && strchr(flags, 'w') && strchr(flags, 'x'))
			found = true;
	if (maps != NULL)
		fclose(maps);
	return found;
}

static bool are_texts_protected(void)
{
	bool good = true;

	for (size_t i = 0; i < TARGETS; i++)
		good &= has_protection((void *)targets[i].function, "r-xp");
	return good && has_protection((char *)target_straddle + PAGE / 2, "r-xp");
}

static void test_round(void)
{
	struct patch_set set;
	struct symbol symbol;
	uint8_t *page;

	tap_is(plan_all(&set), 0, "patch: every known prologue can be planned");
	tap_is_text(set.reason, "", "patch: a plan that works gives no reason");
	tap_ok(is_as_before(), "patch: a plan changes nothing");
	find("sub_rsp", &symbol);
	page = set.area[0].page;
	tap_is(set.areas, 1, "patch: functions of one object share a page");
	tap_ok((uintptr_t)page < symbol.image_low,
	        "patch: the page lies below the object, not in the heap's way");
	tap_ok(has_protection(page, "rw-p"), "patch: the page is not executable while it is prepared");
	tap_is(patch_commit(&set), 0, "patch: the plan can be committed");
	tap_ok(is_hooked(), "patch: hooks are called, and reach the functions as they were");
	tap_ok(memcmp((void *)target_endbr, before[INDEX_endbr], 4) == 0 &&
	                ((uint8_t *)target_endbr)[4] == 0xe9,
	        "patch: an endbr64 stays in front of the jump");
	tap_ok(has_protection(page, "r-xp"), "patch: the page is not writable after commit");
	tap_ok(are_texts_protected(), "patch: code is read-only again after commit");
	tap_ok(!is_any_page_writable_and_executable(),
	        "patch: nothing is writable and executable after commit");
	patch_revert(&set);
	tap_ok(is_as_before(), "patch: revert puts every byte back");
	tap_ok(are_texts_protected(), "patch: code is read-only again after revert");
	tap_ok(has_protection(page, "r-xp"),
	        "patch: trampolines outlive revert, for hooks that are on their way");
	tap_is(set.patches, 0, "patch: revert leaves an empty set");
	tap_ok(plan_all(&set) == 0 && patch_commit(&set) == 0 && is_hooked(),
	        "patch: what was reverted can be patched again");
	patch_revert(&set);
	tap_ok(is_as_before(), "patch: the second revert puts every byte back");
}

static void test_word(void)
{
	struct patch_set set;
	struct symbol symbol;
	struct decode_code code;
	uint64_t address = 0;

	tap_ok(find("lock_sub", &symbol), "patch: the subtracting function is found");
	code = (struct decode_code){.bytes = symbol.address,
	        .address = (uintptr_t)symbol.address,
	        .size = symbol.size,
	        .available = symbol.available};
	tap_ok(decode_rip_operand(&code, &address) == DECODE_FINE && address == (uintptr_t)&stock,
	        "patch: the variable's address is read out of the function");
	tap_ok(symbols_is_writable(&symbols, &stock, sizeof(stock)), "patch: the variable is a variable");
	patch_begin(&set);
	tap_is(patch_plan_word(&set, &stock, 128, 0), -EBUSY,
	        "patch: a variable of another value is refused");
	tap_ok(set.reason[0] != '\0' && set.words == 0, "patch: a refused variable gives a reason");
	tap_is(patch_plan_word(&set, &stock, 64, 0), 0, "patch: a variable of the expected value is planned");
	tap_is(stock, 64, "patch: a planned variable is left alone");
	tap_is(patch_plan(&set, "lock_sub", &symbol, hook_lock_sub, (void **)&original_lock_sub), 0,
	        "patch: a function of eight bytes can be planned");
	tap_is(patch_commit(&set), 0, "patch: function and variable are committed together");
	tap_is(stock, 0, "patch: the variable has its value after commit");
	call(target_lock_sub, 3);
	tap_is(stock, -3, "patch: a moved instruction reaches its variable");
	patch_revert(&set);
	tap_is(stock, 64, "patch: revert restores the variable");
}

/* How many mappings this process has. */
static int count_maps(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	int lines = 0, c;

	while (maps != NULL && (c = getc(maps)) != EOF)
		lines += c == '\n';
	if (maps != NULL)
		fclose(maps);
	return lines;
}

static void test_refusals(void)
{
	struct patch_set set;
	struct symbol symbol, other;
	void *original = NULL;
	int maps = count_maps();

	plan_all(&set);
	find("call_first", &symbol);
	tap_is(patch_plan(&set, "call_first", &symbol, hook_lock_sub, &original), -ENOTSUP,
	        "patch: a function that cannot be moved is refused");
	tap_is_text(set.reason, "call_first: it begins with a call",
	        "patch: the reason names function and cause");
	tap_is(set.patches, TARGETS, "patch: what was planned before a refusal stays planned");
	find("sub_rsp", &symbol);
	tap_is(patch_plan(&set, "again", &symbol, hook_lock_sub, &original), -ENOTSUP,
	        "patch: the same code is not planned twice");
	tap_is_text(set.reason, "again: it shares its code with sub_rsp", "patch: the reason names both");
	other = symbol;
	other.image_high = other.image_low + (1ull << 31);
	other.image_low -= PAGE;
	tap_is(patch_plan(&set, "huge", &other, hook_lock_sub, &original), -ENOTSUP,
	        "patch: overlap is found before room is sought");
	patch_revert(&set);
	tap_is(patch_plan(&set, "huge", &other, hook_lock_sub, &original), -ENOSPC,
	        "patch: an object of 2 GiB has no page in reach of all of it");
	other = symbol;
	other.protection = PROT_EXEC;
	tap_is(patch_plan(&set, "unreadable", &other, hook_lock_sub, &original), -ENOTSUP,
	        "patch: code that cannot be read is refused");
	tap_is(symbols_find_loaded("a64l", ELF_FUNCTION, &other), 0, "patch: a64l is found");
	tap_is(patch_plan(&set, "a64l", &other, hook_lock_sub, &original), -ENOTSUP,
	        "patch: the C library, which is in use, is not patched");
	patch_revert(&set);
	tap_ok(original == NULL && is_as_before(), "patch: refusals change nothing");
	tap_is(count_maps(), maps, "patch: a dropped plan leaves no page");
}

static void test_full(void)
{
	struct patch_set set;
	void *original = NULL;
	struct symbol symbol;
	int error = 0, words = 0;
	size_t planned = 0;

	patch_begin(&set);
	find("next_page", &symbol);
	/* The page behind the functions is all breakpoints, so functions are made up in writable memory. */
	uint8_t *code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (; error == 0 && planned <= PATCH_MAX; planned += error == 0) {
		struct symbol made = {.address = code + planned * 16,
		        .size = 6,
		        .available = 16,
		        .protection = PROT_READ | PROT_EXEC,
		        .segment_low = (uintptr_t)code,
		        .image_low = (uintptr_t)code,
		        .image_high = (uintptr_t)code + PAGE};

		memcpy(made.address, "\x55\x48\x83\xec\x28\xc3", 6);
		error = patch_plan(&set, "made", &made, hook_lock_sub, &original);
	}
	tap_is(error, -ENOSPC, "patch: a full set takes no more functions");
	tap_is(planned, PATCH_MAX, "patch: a set takes as many functions as it says");
	for (error = 0; error == 0 && words <= PATCH_WORD_MAX; words += error == 0)
		error = patch_plan_word(&set, &stock, 64, 0);
	tap_is(error, -ENOSPC, "patch: a full set takes no more variables");
	patch_revert(&set);
	munmap(code, PAGE);
	tap_ok(is_as_before(), "patch: a full set that is dropped changes nothing");
}

/* Changes one bit of code. An instruction of its own: sanitizers know nothing of code. */
static void flip(uint8_t *code)
{
	void *page = (void *)((uintptr_t)code & ~(PAGE - 1ul));

	mprotect(page, PAGE, PROT_READ | PROT_WRITE);
	__asm__ volatile("xorb $1,(%0)" : : "r"(code) : "memory", "cc");
	mprotect(page, PAGE, PROT_READ | PROT_EXEC);
}

static void test_all_or_none(void)
{
	struct patch_set set;
	int maps = count_maps();
	uint8_t *code = (uint8_t *)target_next_page;

	plan_all(&set);
	patch_plan_word(&set, &stock, 64, 0);
	stock = 65;
	tap_is(patch_commit(&set), -EBUSY, "patch: a variable that has changed since stops the commit");
	tap_ok(strstr(set.reason, "65") != NULL && set.patches == 0, "patch: its reason says what it holds");
	stock = 64;
	tap_ok(is_as_before(), "patch: a commit that a variable stops changes nothing");
	plan_all(&set);
	flip(code + 1);
	tap_is(patch_commit(&set), -EBUSY, "patch: code that has changed since stops the commit");
	flip(code + 1);
	tap_ok(is_as_before(), "patch: a commit that changed code stops changes nothing");
	tap_ok(count_maps() <= maps + 4, "patch: a failed commit leaves no page of its own");
}

int main(void)
{
	if (decode_open() != 0) {
		tap_skip("libZydis is not installed", "patch: functions are patched");
		return tap_done();
	}
	tap_is(symbols_open(&symbols), 0, "patch: this program's symbols open");
	if (symbols_open_files(&symbols, NULL) != 0 || !find("sub_rsp", &(struct symbol){0})) {
		tap_skip("this program is stripped", "patch: functions are patched");
		return tap_done();
	}
	for (size_t i = 0; i < TARGETS; i++)
		memcpy(before[i], (void *)targets[i].function, sizeof(before[i]));
	test_round();
	test_word();
	test_refusals();
	test_full();
	test_all_or_none();
	symbols_close(&symbols);
	decode_close();
	return tap_done();
}
