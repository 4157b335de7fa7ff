/* SPDX-License-Identifier: MIT */
/*
 * QEMU's functions for aarch64, as Debian 12 and 13 have them, are recognized, and what differs in one thing is not. They
 * are never run, only read, on any processor: from copies that end with the function.
 */
#include "aarch64_qemu.h"
#include "adapter/qemu_code.h"
#include "patch/a64.h"
#include "tap.h"

#include <stdlib.h>

static const uint32_t nop = 0xd503201f;

struct function {
	const uint32_t *words;
	size_t count;
	uint64_t address;
};

/* What is in each of the two versions. */
static const struct version {
	const char *name;
	struct function create, enter, dec, switching, new, delete, trampoline;
	uint32_t entry, moved; /* the first words of create */
	struct qemu_ending ending;
	uint64_t pool_size;
	/* Offsets in enter: what the pattern consists of. */
	size_t call, is_yield, not_yield, is_terminate, abort, locks, assertion, next;
} versions[] = {
#define FUNCTION(version, name)                                                                              \
	{                                                                                                    \
		qemu_##version##_##name, sizeof qemu_##version##_##name / A64_BYTES, QEMU_##version##_##name \
	}
        {"7.2", FUNCTION(7_2, create), FUNCTION(7_2, enter), FUNCTION(7_2, dec), FUNCTION(7_2, switch),
                FUNCTION(7_2, new), FUNCTION(7_2, delete), FUNCTION(7_2, trampoline), 0xa9bd7bfd, 0xa9bd7bfd,
                {0x17e5e8 - 0x17e494, 4, 19, 0x17e584}, 0x24dcb8, 0x17e550, 0x17e57c, 0x17e580, 0x17e5c8,
                0x17e5cc, 0x17e5d0, 0x17e5d4, 0x17e584},
        {"10.0", FUNCTION(10_0, create), FUNCTION(10_0, enter), FUNCTION(10_0, dec), FUNCTION(10_0, switch),
                FUNCTION(10_0, new), FUNCTION(10_0, delete), FUNCTION(10_0, trampoline), 0xd503233f,
                0xa9bb7bfd, {0x1b6e70 - 0x1b6c90, 4, 19, 0x1b6d88}, 0x28dab0, 0x1b6d54, 0x1b6d80, 0x1b6d84,
                0x1b6e58, 0x1b6e5c, 0x1b6e60, 0x1b6e64, 0x1b6d88},
};

static uint32_t *copy_of(const struct function *function)
{
	uint32_t *copy = malloc(function->count * A64_BYTES);

	if (copy == NULL)
		abort();
	memcpy(copy, function->words, function->count * A64_BYTES);
	return copy;
}

static struct decode_code code_of(const struct function *function, const uint32_t *words, bool has_size)
{
	return (struct decode_code){
	        .bytes = (const uint8_t *)words,
	        .address = function->address,
	        .size = has_size ? function->count * A64_BYTES : 0,
	        .available = function->count * A64_BYTES,
	        .text_low = function->address,
	        .text_high = function->address + function->count * A64_BYTES,
	        .image_high = 1 << 24,
	};
}

/* ---- patches ---- */

/* Entry and trampoline of a create: bytes before and after. */
static void test_entry(const struct version *version)
{
	uint32_t *words = copy_of(&version->create), moved[DECODE_MOVED_BYTES / A64_BYTES];
	struct decode_code code = code_of(&version->create, words, true);
	const uint64_t trampoline = version->create.address - 0x10000;
	struct decode_prologue prologue;
	size_t bytes = 0, skip = version->entry != version->moved;
	uint32_t back;

	tap_ok(words[0] == version->entry && words[skip] == version->moved,
	        "entry: %s begins as it does in Debian", version->name);
	tap_ok(decode_prologue(&code, &prologue) == DECODE_FINE && prologue.skip == skip * A64_BYTES &&
	                prologue.undo_bytes == skip * DECODE_UNDO_BYTES,
	        "entry: %s has room for a jump %s", version->name,
	        skip ? "behind its paciasp" : "in place of its first instruction");
	decode_move(&code, &prologue, trampoline, (uint8_t *)moved, &bytes);
	decode_put_jump(
	        (uint8_t *)&back, trampoline + (skip + 1) * A64_BYTES, code.address + (skip + 1) * A64_BYTES);
	tap_ok(bytes == (skip + 2) * A64_BYTES && moved[0] == version->entry &&
	                moved[skip] == version->moved && moved[skip + 1] == back && back == 0x14004000,
	        "entry: %s's trampoline is its first instructions, and a jump back", version->name);
	free(words);
}

static void test_pool_size(const struct version *version)
{
	uint32_t *words = copy_of(&version->dec);
	struct decode_code code = code_of(&version->dec, words, true);
	uint64_t address = 0;

	tap_ok(decode_operand(&code, &address) == DECODE_FINE && address == version->pool_size,
	        "pool size: %s's variable is read out of its function", version->name);
	free(words);
}

/* ---- the ending ---- */

static const char *judge(const struct version *version, const uint32_t *words, struct qemu_ending *ending)
{
	struct decode_code code = code_of(&version->enter, words, true);

	return qemu_code_ending(&code, version->switching.address, ending);
}

static bool is_right(const struct version *version, const struct qemu_ending *ending)
{
	return ending->at == version->ending.at && ending->length == A64_BYTES &&
	       ending->object == version->ending.object && ending->next == version->ending.next;
}

static void test_ending(const struct version *version)
{
	uint32_t *words = copy_of(&version->enter);
	struct decode_code code = code_of(&version->enter, words, false);
	struct qemu_ending ending;

	tap_ok(judge(version, words, &ending) == NULL && is_right(version, &ending),
	        "ending: %s ends its coroutines where they end", version->name);
	tap_is(words[ending.at / A64_BYTES], 0xf9000a7f, "ending: %s has str xzr, [x19, #16] there",
	        version->name);
	tap_ok(qemu_code_ending(&code, version->switching.address, &ending) != NULL ||
	                is_right(version, &ending),
	        "ending: %s's of unknown size is found where it is, or not at all", version->name);
	tap_ok(qemu_code_ending(&code, version->switching.address + 4, &ending) != NULL,
	        "ending: %s's that calls something else is not known", version->name);
	free(words);
}

/* Whether another word in the place of one is refused. */
static bool is_refused(const struct version *version, size_t address, uint32_t word)
{
	uint32_t *words = copy_of(&version->enter);
	struct qemu_ending ending;
	bool is_unknown;

	words[(address - version->enter.address) / A64_BYTES] = word;
	is_unknown = judge(version, words, &ending) != NULL;
	free(words);
	return is_unknown;
}

static uint32_t word_at(const struct version *version, size_t address)
{
	return version->enter.words[(address - version->enter.address) / A64_BYTES];
}

/* Every bit of the words that make the pattern, but where they only say what is read from where. */
static void test_bits(const struct version *version)
{
	const uint32_t distance = 0x7ffff << 5; /* of a conditional branch */
	const struct {
		size_t address;
		uint32_t free; /* bits that may be otherwise */
		const char *name;
	} words[] = {
	        {version->call, 0, "the call of switch"},
	        {version->is_yield, 0, "the comparison with YIELD"},
	        {version->not_yield, 0, "the branch behind it"},
	        {version->is_terminate, 0, "the comparison with TERMINATE"},
	        {version->abort, distance, "the branch to abort"},
	        {version->locks, 0, "the load of the locks that are held"},
	        {version->assertion, distance, "the branch to the assertion"},
	        {version->enter.address + version->ending.at, 0, "the ending"},
	        {version->next, 0x3ffffe0, "the load of the next coroutine"},
	        {version->next + A64_BYTES, distance, "the test of the next coroutine"},
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		uint32_t was = word_at(version, words[i].address);
		unsigned accepted = 0;

		for (unsigned bit = 0; bit < 32; bit++)
			accepted += (words[i].free >> bit & 1) == 0 &&
			            !is_refused(version, words[i].address, was ^ 1u << bit);
		tap_is(accepted, 0, "bits: %s with another bit in %s is not known", version->name,
		        words[i].name);
		tap_ok(is_refused(version, words[i].address, nop), "bits: %s without %s is not known",
		        version->name, words[i].name);
	}
}

/* Whatever bit differs in whatever word: the ending that is found is the one that there is. */
static void test_all_bits(const struct version *version)
{
	unsigned wrong = 0, known = 0;

	for (size_t i = 0; i < version->enter.count; i++) {
		for (unsigned bit = 0; bit < 32; bit++) {
			uint32_t *words = copy_of(&version->enter);
			struct qemu_ending ending;

			words[i] ^= 1u << bit;
			if (judge(version, words, &ending) == NULL) {
				known++;
				wrong += ending.at != version->ending.at ||
				         ending.object != version->ending.object;
			}
			free(words);
		}
	}
	tap_is(wrong, 0, "bits: %s with any other bit has no other ending", version->name);
	tap_ok(known > 0, "bits: of %zu, %u change nothing of what matters", version->enter.count * 32,
	        known);
}

/* What must not be between the switch and the ending. */
static void test_between(const struct version *version)
{
	static const struct {
		uint32_t word;
		const char *name;
		bool is_early; /* wrong only before the comparisons */
	} others[] = {
	        {0x94000001, "a call", false},
	        {0xd63f0000, "a call of a register's address", false},
	        {0x14000001, "a jump", false},
	        {0xd65f03c0, "a return", false},
	        {0x3dc00000, "a load of a vector", false},
	        {0x4ea01c00, "a move of a vector", false},
	        {0x9e670000, "a move to a vector register", false},
	        {0xd4200000, "a breakpoint", false},
	        {0xd4000001, "a system call", false},
	        {0xc85f7c01, "an exclusive load", false},
	        {0xaa0103e0, "another value in x0", true},
	        {0xa9400001, "a load of two, one of them x0", true},
	        {0xf8408c01, "a load that changes x0 as its base", true},
	};
	const size_t early = version->call + A64_BYTES, late = version->assertion + A64_BYTES;

	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		tap_ok(is_refused(version, early, others[i].word),
		        "between: %s with %s behind the switch is not known", version->name, others[i].name);
		if (!others[i].is_early)
			tap_ok(is_refused(version, late, others[i].word),
			        "between: %s with %s before the ending is not known", version->name,
			        others[i].name);
	}
	tap_ok(is_refused(version, late, 0xaa0103f3),
	        "between: %s with another coroutine in x19 is not known", version->name);
	tap_ok(is_refused(version, late, 0xf8408e60),
	        "between: %s with x19 as a base that changes is not known", version->name);
	tap_ok(!is_refused(version, early, 0xf9400401), "between: %s with another plain load is known",
	        version->name);
}

/* The same with b.eq, and what follows elsewhere. */
static void test_opposite(const struct version *version)
{
	uint32_t *words = copy_of(&version->enter);
	size_t not_yield = (version->not_yield - version->enter.address) / A64_BYTES,
	       end = version->enter.count - 1;
	struct qemu_ending ending;

	/* cmp w0, #1; b.eq next; b elsewhere: the comparison with TERMINATE must follow at once */
	words[not_yield] = 0x54000000 | 1 << 5;
	tap_ok(judge(version, words, &ending) != NULL, "opposite: %s with b.eq to what follows is not known",
	        version->name);
	words[not_yield] = 0x54000001 | (uint32_t)(end - not_yield + 9) << 5;
	tap_ok(judge(version, words, &ending) != NULL, "opposite: nor with a branch out of the function");
	free(words);
	words = copy_of(&version->enter);
	words[end] = 0xf9000a7f;
	tap_ok(judge(version, words, &ending) != NULL, "opposite: nor with a second ending");
	words[end] = word_at(version, version->call) -
	             (uint32_t)(end - (version->call - version->enter.address) / A64_BYTES);
	tap_ok(judge(version, words, &ending) != NULL, "opposite: nor with a second call of switch");
	words[end] = 0;
	tap_ok(judge(version, words, &ending) != NULL, "opposite: nor with what is no instruction");
	free(words);
}

/* Cut anywhere, of known size and of unknown size: no byte behind it is read. */
static void test_cuts(const struct version *version)
{
	unsigned accepted = 0;

	for (size_t count = 1; count < version->enter.count; count++) {
		for (int has_size = 0; has_size < 2; has_size++) {
			struct function cut = {version->enter.words, count, version->enter.address};
			uint32_t *words = copy_of(&cut);
			struct decode_code code = code_of(&cut, words, has_size);
			struct qemu_ending ending;

			if (qemu_code_ending(&code, version->switching.address, &ending) == NULL)
				accepted += !is_right(version, &ending) || ending.at >= count * A64_BYTES;
			qemu_code_create(&code);
			free(words);
		}
	}
	tap_is(accepted, 0, "cuts: %s's ending is not found outside of a function that was cut",
	        version->name);
}

/* ---- create ---- */

static const struct {
	const char *name;
	const char *code;
	bool is_known;
} creates[] = {
        {"plain", "f9000013 f9000414 91010001 f900201f f9002401 d65f03c0", true},
        {"pair", "a9005055 aa0203e3 f8040c7f f9002443 d65f03c0", true},
        {"two pairs", "a9005055 91010043 a9040c5f d65f03c0", true},
        {"a vector", "3d800040 91010043 a9040c5f d65f03c0", true},
        {"a pair of halves", "6d000440 91010043 a9040c5f d65f03c0", true},
        {"after an increase", "f8000455 f9000454 d65f03c0", false},
        {"unscaled", "f8000055 f8008054 91010043 a9040c5f d65f03c0", true},
        {"an alias", "aa0203e4 a9005095 91010043 a9040c5f d65f03c0", true},
        {"an alias that was changed", "aa0203e4 91002084 a9005095 91010043 a9040c5f d65f03c0", false},
        {"stack", "a9005055 91010043 a9040c5f f9002be0 f90028a1 d65f03c0", true},
        {"link", "a9005055 91010043 a9040c5f f9000c5f d65f03c0", true},
        {"no entry", "f9000454 91010043 a9040c5f d65f03c0", false},
        {"no argument", "f9000054 91010043 a9040c5f d65f03c0", false},
        {"no first", "a9005055 91010043 f9002443 d65f03c0", false},
        {"no last", "a9005055 f900205f d65f03c0", false},
        {"split", "a9005055 91010043 a9040cbf d65f03c0", false},
        {"by a call", "a9005055 9400003f a9040c5f d65f03c0", false},
        {"reloaded", "a9005055 f9400042 a9040c5f d65f03c0", false},
        {"caller", "a9005055 a9040c5f f900085f d65f03c0", false},
        {"more", "a9005055 a9040c5f f900285f d65f03c0", false},
        {"negative", "a9005055 a9040c5f f81f805f d65f03c0", false},
        {"byte", "a9005055 a9040c5f 3900e05f d65f03c0", false},
        {"narrow", "29005055 a9040c5f d65f03c0", false},
        {"vector of two, one other", "a9005055 a9040c5f 3c848040 d65f03c0", false},
        {"four words", "ad000440 a9040c5f d65f03c0", false},
        {"index", "a9005055 a9040c5f f825685f d65f03c0", false},
        {"atomic", "a9005055 a9040c5f c89ffc5f d65f03c0", false},
        {"unknown", "a9005055 a9040c5f 00000000 d65f03c0", false},
};

static void test_creates(void)
{
	for (size_t i = 0; i < sizeof creates / sizeof *creates; i++) {
		uint32_t words[64];
		struct function function = {words, 0, 0x401000};
		struct decode_code code;
		uint32_t *copy;
		char *end;

		for (const char *text = creates[i].code; *text != '\0'; text = end + (*end == ' '))
			words[function.count++] = (uint32_t)strtoul(text, &end, 16);
		copy = copy_of(&function);
		code = code_of(&function, copy, true);
		tap_ok((qemu_code_create(&code) == NULL) == creates[i].is_known,
		        "create: %s %s what is known", creates[i].name,
		        creates[i].is_known ? "is" : "is not");
		free(copy);
	}
}

/* Each of the stores is needed. */
static void test_create(const struct version *version)
{
	uint32_t *words = copy_of(&version->create);
	struct decode_code code = code_of(&version->create, words, true);
	unsigned needed = 0;

	tap_ok(qemu_code_create(&code) == NULL, "create: %s's is known", version->name);
	for (size_t i = 0; i < version->create.count; i++) {
		uint32_t was = words[i];

		words[i] = nop;
		needed += qemu_code_create(&code) != NULL;
		words[i] = was;
	}
	tap_is(needed, 4, "create: each of %s's three stores is needed, and the copy of the address",
	        version->name);
	free(words);
}

/* ---- callers ---- */

enum { TEXT_BYTES = 1 << 14 };

static uint32_t text[TEXT_BYTES / A64_BYTES];

static void put(const struct version *version, const struct function *function)
{
	memcpy((uint8_t *)text + (function->address - (version->create.address & ~0xfffull)), function->words,
	        function->count * A64_BYTES);
}

static uintptr_t place(const struct version *version, const struct function *function)
{
	return (uintptr_t)text + (function->address - (version->create.address & ~0xfffull));
}

static struct decode_code in_text(const struct version *version, const struct function *function)
{
	return (struct decode_code){
	        .bytes = (const uint8_t *)place(version, function),
	        .address = place(version, function),
	        .size = function->count * A64_BYTES,
	        .available = function->count * A64_BYTES,
	        .text_low = (uintptr_t)text,
	        .text_high = (uintptr_t)text + TEXT_BYTES,
	};
}

/* A call of switch at the text's end, behind `code`; whether it is harmless. */
static bool is_harmless(const struct version *version, const uint32_t *code, size_t count)
{
	struct decode_code enter = in_text(version, &version->enter);
	const size_t at = TEXT_BYTES / A64_BYTES - 1;
	struct qemu_callers callers;
	const char *reason;

	memcpy(text + at - count, code, count * A64_BYTES);
	text[at] = 0x94000000 |
	           ((uint32_t)(((intptr_t)place(version, &version->switching) - (intptr_t)(text + at)) /
	                       A64_BYTES) &
	                   0x3ffffff);
	qemu_code_callers(&enter, place(version, &version->new), place(version, &version->switching),
	        place(version, &version->delete), &callers);
	reason = qemu_code_only_enter(&callers, &enter);
	for (size_t i = 0; i <= count; i++)
		text[at - i] = nop;
	return reason == NULL;
}

#define HARMLESS(...)                                                                                        \
	is_harmless(version, (const uint32_t[]){__VA_ARGS__},                                                \
	        sizeof((const uint32_t[]){__VA_ARGS__}) / A64_BYTES)

static void test_callers(const struct version *version)
{
	struct decode_code create = in_text(version, &version->create),
	                   enter = in_text(version, &version->enter);
	struct qemu_callers callers;

	for (size_t i = 0; i < TEXT_BYTES / A64_BYTES; i++)
		text[i] = nop;
	put(version, &version->create);
	put(version, &version->enter);
	put(version, &version->new);
	put(version, &version->switching);
	put(version, &version->trampoline);
	qemu_code_callers(&enter, place(version, &version->new), place(version, &version->switching),
	        place(version, &version->delete), &callers);
	tap_ok(qemu_code_only_create(&callers, &create) == NULL,
	        "callers: of %s's new, create is the only one", version->name);
	tap_is(callers.switching.count, 3, "callers: %s's loop and trampoline call switch", version->name);
	tap_ok(qemu_code_only_enter(&callers, &enter) == NULL,
	        "callers: %s's trampoline says TERMINATE, by a register or at once", version->name);
	tap_ok(HARMLESS(0x52800022) && HARMLESS(0x52800042), "callers: others may yield and terminate");
	tap_ok(!HARMLESS(0x52800062) && !HARMLESS(0x52800002) && !HARMLESS(nop), "callers: and nothing else");
	tap_ok(HARMLESS(0x52800053, nop, 0xd63f0020, 0x2a1303e2),
	        "callers: a number may have waited in a register that calls keep");
	tap_ok(!HARMLESS(0x52800049, 0xd63f0020, 0x2a0903e2) && !HARMLESS(0x52800042, 0xd63f0020),
	        "callers: not in one that they do not keep");
	tap_ok(!HARMLESS(0x52800042, 0xf9400002) && !HARMLESS(0x52800042, 0xa9400801) &&
	                !HARMLESS(0x52800042, 0x11000442),
	        "callers: nor where the register was changed since");
	tap_ok(HARMLESS(0x52800042, 0xf9000002), "callers: a store of it changes nothing");
	tap_ok(!HARMLESS(0x52a00042), "callers: a number that is shifted is another");
	create.address = 0;
	tap_ok(qemu_code_only_create(&callers, &create) != NULL, "callers: that of others is not create's");
}

int main(void)
{
	for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
		test_entry(&versions[i]);
		test_pool_size(&versions[i]);
		test_ending(&versions[i]);
		test_bits(&versions[i]);
		test_all_bits(&versions[i]);
		test_between(&versions[i]);
		test_opposite(&versions[i]);
		test_cuts(&versions[i]);
		test_create(&versions[i]);
		test_callers(&versions[i]);
	}
	test_creates();
	return tap_done();
}
