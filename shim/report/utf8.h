/* Texts that come from outside, such as names of programs, may be anything; what is written is UTF-8. */
#ifndef COPOOL_REPORT_UTF8_H
#define COPOOL_REPORT_UTF8_H

#include <stddef.h>

/*
 * Bytes of the character that the text, which ends with a zero, begins with; 0: it is none (overlong forms
 * and surrogates too).
 */
size_t utf8_bytes(const unsigned char *text);

#endif
