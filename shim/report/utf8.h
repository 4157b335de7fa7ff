/* SPDX-License-Identifier: MIT */
/* Texts that come from outside, such as names of programs, may be anything; what is written is UTF-8. */
#ifndef COPOOL_REPORT_UTF8_H
#define COPOOL_REPORT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UTF8_MAX = 4 }; /* bytes of a character */

/*
 * Bytes of the character that the text, which ends with a zero, begins with; 0: it is none (overlong forms
 * and surrogates too).
 */
size_t utf8_bytes(const unsigned char *text);

/*
 * Whether that character is one to be shown: no control character (C0, DEL, C1), no separator of lines, none that
 * turns the direction of what follows, or cannot be seen.
 */
bool utf8_is_plain(const unsigned char *text);

/* The character's number; 0 when it is none. */
uint32_t utf8_code(const unsigned char *text);

/*
 * Puts `?' in the place of what is not plain in the first `bytes` of a text that is as long, or longer; how many are
 * left. Safe in signal handlers.
 */
size_t utf8_clean(char *text, size_t bytes);

#endif
