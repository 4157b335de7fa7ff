/* SPDX-License-Identifier: MIT */
/* What copool would have saved, on counts that never were. */
#include "judge/outlook.h"

#include "tap.h"

#include <string.h>

static char text[OUTLOOK_TEXT];

static void test_nothing(void)
{
	struct outlook outlook = {0};

	tap_ok(!outlook_find(&outlook, text) && strstr(text, "copool saw it create no coroutines"),
	        "nothing: where there was no create nothing is promised");
	outlook_add(&outlook, 100000, 0, 0);
	tap_ok(!outlook_find(&outlook, text) && strstr(text, "only 0 %") && outlook_saved(&outlook) == 0,
	        "nothing: a program whose own pool serves all is not helped");
}

static void test_turns(void)
{
	struct outlook outlook = {.seconds = 2, .cpu_seconds = 1, .stack_ns = 10000};

	for (uint64_t i = 1; i <= 100; i++)
		outlook_add(&outlook, 0, 100 * i, 100 * i);
	tap_ok(outlook_saved(&outlook) == 9900,
	        "turns: all but what one interval made would have been served");
	tap_ok(outlook_find(&outlook, text) && strstr(text, "100 % of its 10000 creates were new") &&
	                strstr(text, "about 0.099 s of CPU time in 2 s"),
	        "turns: the pool helps, and it is said by how much");
}

static void test_alive(void)
{
	struct outlook outlook = {.seconds = 1, .stack_ns = 10000};

	for (uint64_t i = 1; i <= 100; i++)
		outlook_add(&outlook, 0, 100 * i, 0);
	tap_ok(outlook_saved(&outlook) == 0 && !outlook_find(&outlook, text) && strstr(text, "alive at once"),
	        "alive: what stays alive no pool serves");
	for (uint64_t i = 1; i <= 100; i++)
		outlook_add(&outlook, 0, 10000, 100 * i);
	for (uint64_t i = 1; i <= 100; i++)
		outlook_add(&outlook, 0, 10000 + 100 * i, 10000);
	tap_ok(outlook.needed == 10000 && outlook_saved(&outlook) == 10000,
	        "alive: but it does when as many are made again");
}

static void test_before(void)
{
	struct outlook outlook = {0};

	outlook_add(&outlook, 0, 0, 5000);
	outlook_add(&outlook, 0, 1000, 5000);
	tap_ok(outlook.needed == 1000, "before: those that were there at the start are not needed again");
	outlook_add(&outlook, 0, 1000, 6000);
	outlook_add(&outlook, 0, 2000, 6000);
	tap_ok(outlook.needed == 1000 && outlook_saved(&outlook) == 1000, "before: nor counted twice");
}

static void test_few(void)
{
	struct outlook outlook = {0};

	for (uint64_t i = 1; i <= 10; i++)
		outlook_add(&outlook, 10 * i, i, i);
	tap_ok(!outlook_find(&outlook, text), "few: nine objects are not worth it");
}

int main(void)
{
	test_nothing();
	test_turns();
	test_alive();
	test_before();
	test_few();
	return tap_done();
}
