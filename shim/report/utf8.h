/* SPDX-License-Identifier: MIT */
/* Well-formed UTF-8, as in RFC 3629. Texts from outside, such as names of programs, may hold any bytes. */
#ifndef COPOOL_REPORT_UTF8_H
#define COPOOL_REPORT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UTF8_MAX = 4 }; /* bytes of a character */

/*
 * How many bytes the first character of `text` has; 0: it is not well-formed (overlong forms and surrogates are not).
 * `text` must end with a zero.
 */
size_t utf8_bytes(const unsigned char *text);

/* Whether the first character may be shown: it is well-formed, and not in unsafe_text.h. */
bool utf8_is_plain(const unsigned char *text);

/* The first character's number; 0 if it is not well-formed. */
uint32_t utf8_code(const unsigned char *text);

/*
 * Replaces each character that is not plain in the first `bytes` of `text` by a question mark. Returns how many bytes
 * remain.
 */
size_t utf8_clean(char *text, size_t bytes);

#endif
