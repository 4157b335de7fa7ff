/* SPDX-License-Identifier: MIT */
/*
 * The Test Anything Protocol for the unit tests: one line a promise, the plan at the end.
 * A program calls tap_ok() and friends and returns tap_done() from main(). One thread only.
 */
#ifndef COPOOL_TESTS_UNIT_TAP_H
#define COPOOL_TESTS_UNIT_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAP_USED __attribute__((unused))

/* The size of a page, where tests take one for granted. Compiled with another they run where pages have that. */
#ifndef TEST_PAGE
#define TEST_PAGE 4096
#endif

static int tap_count;  /* promises so far */
static int tap_failed; /* of them broken */

__attribute__((format(printf, 2, 0))) static void tap_line(bool passed, const char *name, va_list arguments)
{
	tap_count++;
	tap_failed += !passed;
	printf("%sok %d - ", passed ? "" : "not ", tap_count);
	vprintf(name, arguments);
	putchar('\n');
	fflush(stdout); /* a crash later must not hide this line */
}

/* One promise: `name` (as in printf) says what holds, its subject first. Returns `passed`. */
TAP_USED __attribute__((format(printf, 2, 3))) static bool tap_ok(bool passed, const char *name, ...)
{
	va_list arguments;
	va_start(arguments, name);
	tap_line(passed, name, arguments);
	va_end(arguments);
	return passed;
}

/* A promise that cannot be tried here; with COPOOL_TEST_STRICT=1 that is a failure. */
TAP_USED __attribute__((format(printf, 2, 3))) static void tap_skip(const char *reason, const char *name, ...)
{
	const char *strict = getenv("COPOOL_TEST_STRICT");
	bool passed = !(strict && strcmp(strict, "1") == 0);
	tap_count++;
	tap_failed += !passed;
	printf("%sok %d - ", passed ? "" : "not ", tap_count);
	va_list arguments;
	va_start(arguments, name);
	vprintf(name, arguments);
	va_end(arguments);
	printf(" # SKIP %s\n", reason);
	fflush(stdout);
}

/* The two numbers are equal; says both when they are not. */
#define tap_is(got, wanted, ...)                                                                             \
	do {                                                                                                 \
		long long tap_got = (long long)(got), tap_wanted = (long long)(wanted);                      \
		if (!tap_ok(tap_got == tap_wanted, __VA_ARGS__))                                             \
			printf("# got %lld (%#llx), wanted %lld (%#llx)\n", tap_got, tap_got, tap_wanted,    \
			        tap_wanted);                                                                 \
	} while (0)

/* The two strings are equal (either may be NULL); says both when they are not. */
#define tap_is_text(got, wanted, ...)                                                                        \
	do {                                                                                                 \
		const char *tap_got = (got), *tap_wanted = (wanted);                                         \
		bool tap_same =                                                                              \
		        tap_got && tap_wanted ? !strcmp(tap_got, tap_wanted) : tap_got == tap_wanted;        \
		if (!tap_ok(tap_same, __VA_ARGS__))                                                          \
			printf("# got '%s', wanted '%s'\n", tap_got ? tap_got : "NULL",                      \
			        tap_wanted ? tap_wanted : "NULL");                                           \
	} while (0)

/* Prints the plan; returns the exit status. */
TAP_USED static int tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
