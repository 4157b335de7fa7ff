/* SPDX-License-Identifier: MIT */
/* Well-formed UTF-8, as RFC 3629 has it, without what unsafe_text.h lists. */
#include "clean.h"

#include "report/unsafe_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { TEXTS = 8, TEXT_BYTES = 4096 };

/* Decodes the first character of the text. Returns its bytes, or 0 if it is not valid. */
static size_t decode(const char *text, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *at = (const unsigned char *)text;
	size_t bytes = *at < 0x80             ? 1
	               : (*at & 0xe0) == 0xc0 ? 2
	               : (*at & 0xf0) == 0xe0 ? 3
	               : (*at & 0xf8) == 0xf0 ? 4
	                                      : 0;

	*code = bytes == 1 ? *at : *at & (0x7fu >> bytes);
	for (size_t i = 1; i < bytes; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (at[i] & 0x3f);
	}
	bool is_none =
	        bytes == 0 || *code < least[bytes] || (*code >= 0xd800 && *code < 0xe000) || *code > 0x10ffff;
	return is_none ? 0 : bytes;
}

size_t clean_copy(char *to, size_t room, const char *from)
{
	size_t used = 0;

	while (*from) {
		uint32_t code;
		size_t bytes = decode(from, &code);
		bool is_kept = bytes > 0 && !is_unsafe_text(code);

		if (used + (is_kept ? bytes : 1) >= room)
			break;
		if (is_kept)
			memcpy(to + used, from, bytes);
		else
			to[used] = '?';
		used += is_kept ? bytes : 1;
		from += bytes > 0 ? bytes : 1;
	}
	to[used] = '\0';
	return used;
}

const char *clean(const char *text)
{
	static char texts[TEXTS][TEXT_BYTES];
	static size_t next;
	char *to = texts[next++ % TEXTS];

	clean_copy(to, TEXT_BYTES, text != NULL ? text : "?");
	return to;
}

size_t clean_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

static int write_plain(const char *buffer, size_t size, void *file)
{
	for (size_t i = 0; i < size; i++) {
		if (buffer[i] == 0x7f)
			fputs("\\u007f", file);
		else
			putc_unlocked(buffer[i], file);
	}
	return 0;
}

void clean_json(json_t *json, size_t flags, FILE *file)
{
	json_dump_callback(json, write_plain, file, flags | JSON_ENSURE_ASCII);
	putc('\n', file);
}
