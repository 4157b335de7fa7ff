/* SPDX-License-Identifier: MIT */
/*
 * Patches functions of this program, with prologues that compilers make; calls them through hook and trampoline, and
 * restores them. They have pages of their own, because a page that is being written cannot run.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "patch/decode.h"
#include "patch/patch.h"
#include "patch/symbols.h"
#include "registers.h"
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
        /* Clears a word by an instruction of eight bytes in its middle. */
        FUNCTION_CODE(inside, "mov %edi,%eax\n movq $0,0x10(%rsi)\n add $100,%eax\n"
                              "inside_goes_on: add $7,%eax\n ret")
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
int target_inside(int value, long *words);
extern const char inside_goes_on[];
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

/* Whether the page of a function is one of a file, so that the kernel sets uprobes in it. */
static bool is_of_file(function *target)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long low, high, inode = 0;
	char line[512];

	while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
		if (sscanf(line, "%lx-%lx %*s %*s %*s %lu", &low, &high, &inode) == 3 &&
		        (unsigned long)target >= low && (unsigned long)target < high)
			break;
		inode = 0;
	}
	if (maps != NULL)
		fclose(maps);
	return inode != 0;
}

/* A uprobe executes the file's first instruction, and goes on behind it. The pages are still as the loader made them. */
static void test_probes(void)
{
	struct patch_set set;
	struct symbol symbol;
	function *original;

	patch_begin(&set);
	find("lock_sub", &symbol);
	tap_ok(patch_plan(&set, "lock_sub", &symbol, hook_lock_sub, (void **)&original) == 0 &&
	                patch_commit(&set) == 0 && is_of_file(target_lock_sub),
	        "patch: a function that begins with a long instruction can be probed");
	patch_revert(&set);
	patch_begin(&set);
	tap_ok(plan(&set, &targets[INDEX_endbr]) == 0 && patch_commit(&set) == 0 && is_of_file(target_endbr),
	        "patch: so can one that begins with endbr64, which stays");
	patch_revert(&set);
	patch_begin(&set);
	tap_ok(is_of_file(target_next_page) && plan(&set, &targets[INDEX_next_page]) == 0 &&
	                patch_commit(&set) == 0 && !is_of_file(target_next_page),
	        "patch: where a probe would lead into the jump, the kernel finds no file to set it in");
	patch_revert(&set);
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

/* What a function subtracts from, and that instruction moved. */
static void test_operand(void)
{
	struct patch_set set;
	struct symbol symbol;
	struct decode_code code;
	uint64_t address = 0;

	tap_ok(find("lock_sub", &symbol), "patch: the subtracting function is found");
	code = patch_code(&symbol);
	tap_ok(decode_operand(&code, &address) == DECODE_FINE && address == (uintptr_t)&stock,
	        "patch: the variable's address is read out of the function");
	tap_ok(symbols_is_writable(&symbols, &stock, sizeof(stock)), "patch: the variable is a variable");
	patch_begin(&set);
	tap_is(patch_plan(&set, "lock_sub", &symbol, hook_lock_sub, (void **)&original_lock_sub), 0,
	        "patch: a function of eight bytes can be planned");
	tap_is(patch_commit(&set), 0, "patch: and committed");
	call(target_lock_sub, 3);
	tap_is(stock, 61, "patch: a moved instruction reaches its variable");
	stock = 64;
	patch_revert(&set);
	tap_ok(is_as_before(), "patch: and is put back");
}

/* ---- in the middle of a function ---- */

enum { INSIDE_AT = 2, INSIDE_BYTES = 8, ODD = 1000, EVEN = 2000 };

/* What the instruction becomes: itself, then one of two exits, by the argument. */
static const uint8_t inside_code[] = {
        0x48, 0xc7, 0x46, 0x10, 0, 0, 0, 0, /* movq $0, 0x10(%rsi) */
        0x40, 0xf6, 0xc7, 0x01,             /* test $1, %dil */
        0x74, 0x0a,                         /* je 1f */
        0x05, 0xe8, 0x03, 0x00, 0x00,       /* add $ODD, %eax */
        0xe9, 0, 0, 0, 0,                   /* jmp exit */
        0x05, 0xd0, 0x07, 0x00, 0x00,       /* 1: add $EVEN, %eax */
        0xe9, 0, 0, 0, 0,                   /* jmp exit */
};

static uint8_t inside_before[32];

static struct patch_place inside_place(void)
{
	return (struct patch_place){
	        .at = INSIDE_AT, .goes_on = (uintptr_t)inside_goes_on, .exit = {19, 29}, .exits = 2};
}

static int plan_inside(struct patch_set *set)
{
	struct patch_place place = inside_place();
	struct symbol symbol;

	if (!find("inside", &symbol))
		return -ENOENT;
	return patch_plan_inside(set, "inside", &symbol, &place, inside_code, sizeof inside_code);
}

static int call_inside(int value, long *word)
{
	long words[3] = {1, 1, 1};
	int (*volatile inside)(int, long *) = target_inside;
	int result = inside(value, words);

	*word = words[2];
	return result;
}

/* Whether the function clears its word, and the argument decides what is added. */
static bool inside_adds(int odd, int even)
{
	long first = 1, second = 1;

	return call_inside(5, &first) == 5 + odd && call_inside(6, &second) == 6 + even && first == 0 &&
	       second == 0;
}

static bool is_inside_as_before(void)
{
	return memcmp((void *)target_inside, inside_before, sizeof inside_before) == 0 &&
	       inside_adds(107, 107);
}

static void test_inside(void)
{
	const uint8_t *code = (const uint8_t *)target_inside;
	struct registers given = registers_odd(), left;
	struct patch_set set;
	long words[3] = {1, 1, 1};

	patch_begin(&set);
	tap_is(plan_inside(&set), 0, "inside: an instruction in the middle of a function can be planned");
	tap_ok(set.reason[0] == '\0' && set.patches == 1, "inside: which gives no reason, and is one patch");
	tap_ok(is_inside_as_before(), "inside: a plan changes nothing");
	tap_is(patch_commit(&set), 0, "inside: the plan can be committed, with no original");
	tap_ok(inside_adds(ODD + 7, EVEN + 7),
	        "inside: the code runs in the instruction's place, and each exit leads to where it shall");
	tap_is(code[INSIDE_AT], 0xe9, "inside: the instruction is a jump");
	tap_ok(memcmp(code, inside_before, INSIDE_AT) == 0 &&
	                memcmp(code + INSIDE_AT + DECODE_JUMP_BYTES,
	                        inside_before + INSIDE_AT + DECODE_JUMP_BYTES,
	                        sizeof inside_before - INSIDE_AT - DECODE_JUMP_BYTES) == 0,
	        "inside: every other byte is as it was");
	given.value[6] = (uintptr_t)words;
	left = given;
	registers_call(&left, code);
	tap_ok(registers_are_kept(&given, &left, 1) && words[2] == 0,
	        "inside: the way there and back changes no register");
	tap_ok(has_protection(code, "r-xp") && !is_any_page_writable_and_executable(),
	        "inside: nothing is writable and executable after commit");
	patch_revert(&set);
	tap_ok(is_inside_as_before() && set.patches == 0, "inside: revert puts every byte back");
	tap_ok(has_protection(code, "r-xp"), "inside: code is read-only again after revert");
	tap_ok(plan_all(&set) == 0 && plan_inside(&set) == 0 && patch_commit(&set) == 0 && is_hooked() &&
	                inside_adds(ODD + 7, EVEN + 7),
	        "inside: it goes together with functions' entries");
	patch_revert(&set);
	tap_ok(is_as_before() && is_inside_as_before(), "inside: and all of them are put back");
}

static void test_inside_refused(void)
{
	static const uint8_t long_code[PATCH_CODE_BYTES + 1];
	struct patch_place place = inside_place();
	struct patch_set set;
	struct symbol symbol, other;
	void *original = NULL;
	int maps = count_maps();

	patch_begin(&set);
	find("inside", &symbol);
	patch_plan(&set, "entry", &symbol, hook_lock_sub, &original);
	tap_is(plan_inside(&set), -ENOTSUP, "inside: an instruction that an entry's jump covers is refused");
	tap_is_text(set.reason, "inside: it shares its code with entry", "inside: the reason names both");
	tap_is(set.patches, 1, "inside: what was planned before a refusal stays planned");
	patch_revert(&set);
	plan_inside(&set);
	tap_is(patch_plan(&set, "entry", &symbol, hook_lock_sub, &original), -ENOTSUP,
	        "inside: nor is an entry planned whose jump would cover it");
	tap_is(plan_inside(&set), -ENOTSUP, "inside: nor is the same instruction planned twice");
	patch_revert(&set);
	for (int up = 0; up < 2; up++) {
		place.goes_on = (uintptr_t)inside_goes_on + (up ? 1ull << 32 : -(1ull << 32));
		tap_is(patch_plan_inside(&set, "far", &symbol, &place, inside_code, sizeof inside_code),
		        -ENOTSUP, "inside: code that cannot get %s to where it shall go on is refused",
		        up ? "up" : "down");
		tap_is_text(
		        set.reason, "far: what it refers to is out of reach", "inside: the reason says so");
	}
	patch_revert(&set);
	place = inside_place();
	other = symbol;
	other.image_high = other.image_low + (1ull << 31);
	tap_is(patch_plan_inside(&set, "huge", &other, &place, inside_code, sizeof inside_code), -ENOSPC,
	        "inside: an object of 2 GiB has no page in reach of all of it");
	tap_is(patch_plan_inside(&set, "long", &symbol, &place, long_code, sizeof long_code), -ENOSPC,
	        "inside: code that is too long is refused");
	tap_is(patch_plan_inside(&set, "longest", &symbol, &place, long_code, PATCH_CODE_BYTES), 0,
	        "inside: code of the greatest length is not");
	other = symbol;
	other.protection = PROT_EXEC;
	tap_is(patch_plan_inside(&set, "unreadable", &other, &place, inside_code, sizeof inside_code),
	        -ENOTSUP, "inside: code that cannot be read is refused");
	patch_revert(&set);
	tap_ok(original == NULL && is_inside_as_before(), "inside: refusals change nothing");
	tap_is(count_maps(), maps, "inside: a dropped plan leaves no page");
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
	int error = 0;
	size_t planned = 0;

	patch_begin(&set);
	find("next_page", &symbol);
	/* The page behind the functions consists of breakpoints, so functions are made up in writable memory. */
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
	tap_is(plan_inside(&set), -ENOSPC, "patch: nor an instruction");
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

	patch_begin(&set);
	plan_inside(&set);
	for (size_t i = 0; i < TARGETS; i++)
		plan(&set, &targets[i]);
	flip(code + 1);
	tap_is(patch_commit(&set), -EBUSY, "patch: code that has changed since stops the commit");
	flip(code + 1);
	tap_ok(is_as_before() && is_inside_as_before(),
	        "patch: a commit that changed code stops changes nothing");
	plan_all(&set);
	plan_inside(&set);
	flip((uint8_t *)target_inside + INSIDE_AT + 1);
	tap_is(patch_commit(&set), -EBUSY, "patch: nor does an instruction that has changed let it through");
	flip((uint8_t *)target_inside + INSIDE_AT + 1);
	tap_ok(is_as_before() && is_inside_as_before(), "patch: which changes nothing either");
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
	memcpy(inside_before, (void *)target_inside, sizeof inside_before);
	test_probes();
	test_round();
	test_operand();
	test_inside();
	test_inside_refused();
	test_refusals();
	test_full();
	test_all_or_none();
	symbols_close(&symbols);
	decode_close();
	return tap_done();
}
