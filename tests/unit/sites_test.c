/* Call sites: what is learned, and what ends it. Nothing is mapped: addresses are numbers. */
#include "host/sites.h"

#include "libc/warn.h"
#include "tap.h"

#include <pthread.h>
#include <stdint.h>

enum { BYTES = 64 << 10, THREADS = 4 };

/* Calls are told apart by where they return to: these lie in this program. */
static char code[4096];

static void *address(unsigned number)
{
	return (void *)(((uintptr_t)1 << 40) + (uintptr_t)number * BYTES);
}

/* A life of a mapping that gets its guard page, and goes. */
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

/* Last: nothing can be learned afterwards. */
static void test_full(void)
{
	char said[WARN_BYTES];

	for (unsigned i = 0; i < 20 * SITES_MAX; i++)
		sites_ask(address(i), BYTES);
	learn(code + 400);
	tap_is(sites_ask(code + 400, BYTES), SITE_OTHER, "sites: a full table learns no more");
	tap_is(sites_ask(code + 300, BYTES), SITE_LEARNED, "sites: and forgets nothing");
	tap_ok(warn_next(said) && strstr(said, "than can be remembered") != NULL, "sites: it says so");
	tap_ok(!warn_next(said), "sites: once");
}

int main(void)
{
	sites_init(SITES_EVERYWHERE, 0);
	test_learning();
	test_exceptions();
	test_threads();
	test_sizes();
	test_full();
	return tap_done();
}
