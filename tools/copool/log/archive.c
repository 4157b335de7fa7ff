/* SPDX-License-Identifier: MIT */
/*
 * For a libjansson.a that was built with headers of glibc 2.38 or newer: it calls this in place of strtoll(), as
 * shim/libc/redirect.h has it, and copool would not start with an older glibc.
 */
#include <stdlib.h>

__attribute__((visibility("hidden"))) long long __isoc23_strtoll(const char *text, char **end, int base);

long long __isoc23_strtoll(const char *text, char **end, int base)
{
	return strtoll(text, end, base);
}
