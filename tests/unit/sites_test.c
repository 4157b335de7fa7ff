/* SPDX-License-Identifier: MIT */
/* Call sites: what is learned, and what ends it. Nothing is mapped: addresses are numbers. */
#include "adapter/sites.h"

#include "system/warn.h"
#include "tap.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>

enum { BYTES = 64 << 10, PAGE = TEST_PAGE, THREADS = 4, RW = PROT_READ | PROT_WRITE };

/* Calls are distinguished by their return addresses: these are in this program. */
/* Call sites. */
extern char code[4096];
__asm__(".pushsection .text\n .globl code\n .hidden code\n code: .skip 4096\n .popsection");

static void *address(unsigned number)
{
	return (void *)(((uintptr_t)1 << 40) + (uintptr_t)number * BYTES);
}

/* The life of a mapping that gets its guard page. */
static void guarded_life(const void *caller, unsigned number)
{
	sites_note_mapping(caller, address(number), BYTES);
	sites_note_guard(address(number));
	sites_note_end(address(number));
}

static void learn(const void *caller)
{
	for (unsigned i = 0; i < SITES_PROOFS; i++)
		guarded_life(caller, i);
}

static void test_learning(void)
{
	for (unsigned i = 0; i < SITES_PROOFS - 1; i++)
		guarded_life(code, i);
	tap_is(sites_ask(code, BYTES), SITE_OTHER, "sites: 15 guarded mappings are no proof");
	guarded_life(code, 99);
	tap_is(sites_ask(code, BYTES), SITE_LEARNED, "sites: 16 are");
	tap_is(sites_ask(code, BYTES * 2), SITE_OTHER, "sites: but not for another size");
	tap_is(sites_ask(code + 1, BYTES), SITE_OTHER, "sites: nor for another call");
	tap_ok(!sites_is_pooled(code, BYTES), "sites: a learned one is not pooled above");
	tap_is_text(sites_owner(code, BYTES), "", "sites: and has no owner");
	sites_spoil(code, BYTES);
	tap_is(sites_ask(code, BYTES), SITE_OTHER, "sites: one mapping of ours without guard ends it");
	learn(code);
	tap_is(sites_ask(code, BYTES), SITE_OTHER, "sites: for ever");
}

static void test_exceptions(void)
{
	const char *caller = code + 100;

	learn(caller);
	sites_note_mapping(caller, address(500), BYTES);
	tap_is(sites_ask(caller, BYTES), SITE_OTHER, "sites: while a mapping lacks its guard there is doubt");
	sites_note_guard(address(500));
	tap_is(sites_ask(caller, BYTES), SITE_LEARNED, "sites: which its guard ends");
	sites_note_mapping(caller, address(501), BYTES);
	sites_note_end(address(501));
	tap_is(sites_ask(caller, BYTES), SITE_OTHER,
	        "sites: a mapping that went without one spoils its call");

	caller = code + 200;
	learn(caller);
	for (unsigned i = 0; i < 2 * SITES_PENDING; i++)
		sites_note_mapping(caller, address(1000 + i), BYTES);
	for (unsigned i = 0; i < 2 * SITES_PENDING; i++)
		sites_note_guard(address(1000 + i));
	tap_is(sites_ask(caller, BYTES), SITE_OTHER, "sites: more without guard than can be kept spoil it");
}

static void *teach(void *caller)
{
	unsigned base = 5000 + 100 * (unsigned)((char *)caller - code);

	for (unsigned i = 0; i < 1000; i++)
		guarded_life(caller, base + i % 50);
	return NULL;
}

static void test_threads(void)
{
	pthread_t thread[THREADS];
	int learned = 0;

	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, teach, code + 300 + i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < THREADS; i++)
		learned += sites_ask(code + 300 + i, BYTES) == SITE_LEARNED;
	tap_is(learned, THREADS, "sites: threads that map at once teach each their own call");
}

static void test_known(void)
{
	const char *low = code + 1000, *high = code + 1100, *qemu = code + 1200;

	tap_ok(!sites_know("nobody", (uintptr_t)low, (uintptr_t)high), "sites: an owner must be a known one");
	tap_is(sites_ask(low + 50, BYTES), SITE_OTHER, "sites: which then has no code");
	tap_ok(sites_know("php", (uintptr_t)low, (uintptr_t)high),
	        "sites: code can be said to be an owner's");
	tap_is(sites_ask(low + 1, BYTES), SITE_KNOWN, "sites: a call in it is known");
	tap_is(sites_ask(high, BYTES * 3), SITE_KNOWN, "sites: the last one, too, which returns behind it");
	tap_is(sites_ask(low, BYTES), SITE_OTHER, "sites: one that ends where it begins is not");
	tap_is(sites_ask(high + 1, BYTES), SITE_OTHER, "sites: nor is one behind it");
	tap_is_text(sites_owner(low + 1, BYTES), "php", "sites: it has the owner that was said");
	tap_is_text(sites_owner(high + 1, BYTES), "", "sites: what is no owner's code has none");
	tap_ok(sites_know("qemu", (uintptr_t)qemu, (uintptr_t)qemu + 10), "sites: another can have its own");
	tap_is_text(sites_owner(qemu + 1, BYTES), "qemu", "sites: and is told from the first");
	tap_ok(!sites_are_pooled_above() && !sites_is_pooled(qemu + 1, BYTES),
	        "sites: nobody pools above, at first");
	sites_pool_above(true);
	tap_ok(sites_are_pooled_above() && sites_is_pooled(qemu + 1, BYTES),
	        "sites: when another adapter does, stacks that it keeps are pooled above");
	tap_ok(!sites_is_pooled(low + 1, BYTES), "sites: but none of an owner that no adapter pools");
	tap_ok(!sites_is_pooled(code + 1300, BYTES), "sites: nor any of nobody's");
	sites_pool_above(false);
	tap_ok(!sites_are_pooled_above() && !sites_is_pooled(qemu + 1, BYTES),
	        "sites: until that one is withdrawn");
	for (unsigned i = 0; i < 2; i++)
		sites_know("d", (uintptr_t)code + 1400 + 100 * i, (uintptr_t)code + 1450 + 100 * i);
	tap_is_text(sites_owner(code + 1510, BYTES), "d", "sites: four ranges of code can be known");
	tap_ok(!sites_know("d", (uintptr_t)code + 1600, (uintptr_t)code + 1650), "sites: and no fifth");
	tap_is(sites_ask(code + 1610, BYTES), SITE_OTHER, "sites: which stays unknown");
}

static void learn_bytes(const char *caller, size_t bytes)
{
	for (unsigned i = 0; i < SITES_PROOFS; i++) {
		sites_note_mapping(caller, address(2000 + i), bytes);
		sites_note_guard(address(2000 + i));
	}
}

static void test_only_bytes(void)
{
	sites_init(SITES_EVERYWHERE, BYTES);
	learn_bytes(code + 2000, BYTES);
	tap_is(sites_ask(code + 2000, BYTES), SITE_LEARNED, "sites: where one size is wanted it is learned");
	learn_bytes(code + 2100, BYTES * 2);
	learn_bytes(code + 2100, BYTES / 2);
	tap_ok(sites_ask(code + 2100, BYTES * 2) == SITE_OTHER &&
	                sites_ask(code + 2100, BYTES / 2) == SITE_OTHER,
	        "sites: and no other size");
	sites_init(SITES_IN_PROGRAM, BYTES);
	learn_bytes(code + 2200, BYTES);
	tap_is(sites_ask(code + 2200, BYTES), SITE_LEARNED, "sites: the program's own calls teach it");
	learn_bytes((const char *)address(1), BYTES);
	tap_is(sites_ask(address(1), BYTES), SITE_OTHER, "sites: where only these are to, others do not");
	sites_init(SITES_NEVER, BYTES);
	learn_bytes(code + 2300, BYTES);
	tap_is(sites_ask(code + 2300, BYTES), SITE_OTHER, "sites: where none are to, no call does");
	sites_init(SITES_EVERYWHERE, 0);
	learn_bytes(code + 2100, BYTES * 2);
	tap_is(sites_ask(code + 2100, BYTES * 2), SITE_LEARNED, "sites: where no size is named, any does");
}

/* An allocator that is asked for many sizes. */
static void test_sizes(void)
{
	enum { SIZES = 200 };
	int learned = 0;

	for (size_t size = 1; size <= SIZES; size++) {
		for (unsigned i = 0; i < SITES_PROOFS; i++) {
			sites_note_mapping(code + 350, address(i), size * 4096);
			sites_note_guard(address(i));
			sites_note_end(address(i));
		}
	}
	for (size_t size = 1; size <= SIZES; size++)
		learned += sites_ask(code + 350, size * 4096) == SITE_LEARNED;
	tap_is(learned, SIZES, "sites: of one call any number of sizes is learned");
}

/* The life of a mapping that is reserved, opened above its first page, and unmapped. */
static void reserved_life(const void *caller, unsigned number)
{
	sites_note_mapping(caller, address(number), BYTES | SITES_RESERVED);
	sites_note_open((char *)address(number) + PAGE, BYTES - PAGE, RW);
	sites_note_end(address(number));
}

static void learn_reserved(const void *caller)
{
	for (unsigned i = 0; i < SITES_PROOFS; i++)
		reserved_life(caller, i);
}

static enum site_standing ask_reserved(const void *caller)
{
	return sites_ask(caller, BYTES | SITES_RESERVED);
}

static void test_reserved(void)
{
	const char *caller = code + 500;

	learn_reserved(caller);
	tap_is(ask_reserved(caller), SITE_LEARNED,
	        "sites: what is opened above its low end 16 times is learned");
	tap_is(sites_ask(caller, BYTES), SITE_OTHER,
	        "sites: but not what the same call maps for use at once");
	sites_note_mapping(caller, address(1), BYTES);
	sites_note_end(address(1));
	tap_is(ask_reserved(caller), SITE_LEARNED, "sites: which does not spoil it");
	sites_spoil(caller, BYTES | SITES_RESERVED);
	tap_is(ask_reserved(caller), SITE_OTHER, "sites: what is not opened so does");
	for (unsigned i = 0; i < SITES_PROOFS; i++) {
		sites_note_mapping(code + 510, address(i), BYTES | SITES_RESERVED);
		sites_note_open((char *)address(i) + 2 * PAGE, BYTES - 4 * PAGE, RW);
	}
	tap_is(ask_reserved(code + 510), SITE_LEARNED, "sites: it may be opened between two guards");
}

/* One that is treated so after 15 correct ones, and one more. */
static void test_reserved_exception(
        unsigned number, size_t offset, size_t bytes, int protection, const char *what)
{
	const char *caller = code + 600 + number;

	for (unsigned i = 0; i < SITES_PROOFS - 1; i++)
		reserved_life(caller, i);
	sites_note_mapping(caller, address(20), BYTES | SITES_RESERVED);
	sites_note_open((char *)address(20) + offset, bytes, protection);
	sites_note_end(address(20));
	reserved_life(caller, 21);
	tap_is(ask_reserved(caller), SITE_OTHER, "sites: one that is %s spoils what is reserved", what);
}

static void test_reserved_exceptions(void)
{
	unsigned learned = 0;

	test_reserved_exception(0, 0, BYTES, RW, "opened as a whole");
	test_reserved_exception(1, 0, PAGE, RW, "opened from its low end on");
	test_reserved_exception(2, PAGE, BYTES, RW, "opened beyond its end");
	test_reserved_exception(3, PAGE, PAGE, PROT_READ, "opened for reading");
	test_reserved_exception(4, BYTES, PAGE, RW, "never opened");
	for (unsigned i = 0; i < 2 * SITES_RESERVED_MAX; i++)
		sites_note_mapping(code + 700, address(3000 + i), BYTES | SITES_RESERVED);
	learn_reserved(code + 700);
	tap_is(ask_reserved(code + 700), SITE_OTHER,
	        "sites: much that is reserved and left so spoils its call");
	for (unsigned call = 710; call < 720; call++) {
		learn_reserved(code + call);
		learned += ask_reserved(code + call) == SITE_LEARNED;
	}
	tap_is(learned, 10, "sites: and no other's");
}

/* The last test: nothing can be learned afterwards. */
static void test_full(void)
{
	char said[WARN_BYTES];

	for (unsigned i = 0; i < 20 * SITES_MAX; i++)
		sites_ask(address(i), BYTES);
	learn(code + 400);
	tap_is(sites_ask(code + 400, BYTES), SITE_OTHER, "sites: a full table learns no more");
	tap_is(sites_ask(code + 300, BYTES), SITE_LEARNED, "sites: and forgets nothing");
	tap_ok(warn_next(said) && strstr(said, "too many kinds of mappings") != NULL, "sites: it says so");
	tap_ok(!warn_next(said), "sites: once");
}

int main(void)
{
	sites_init(SITES_EVERYWHERE, 0);
	test_learning();
	test_exceptions();
	test_threads();
	test_known();
	test_only_bytes();
	test_sizes();
	test_reserved();
	test_reserved_exceptions();
	test_full();
	return tap_done();
}
