/* Well-formed UTF-8, as RFC 3629 has it. */
#include "report/utf8.h"

#include <stdbool.h>

/* Whether `count` continuation bytes come after the first one. */
static bool has_more(const unsigned char *text, unsigned count)
{
	for (unsigned i = 1; i <= count; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return false;
	}
	return true;
}

size_t utf8_bytes(const unsigned char *text)
{
	if (text[0] < 0x80)
		return 1;
	if (text[0] >= 0xc2 && text[0] < 0xe0 && has_more(text, 1))
		return 2;
	if (text[0] >= 0xe0 && text[0] < 0xf0 && has_more(text, 2) && !(text[0] == 0xe0 && text[1] < 0xa0) &&
	        !(text[0] == 0xed && text[1] >= 0xa0))
		return 3;
	if (text[0] >= 0xf0 && text[0] < 0xf5 && has_more(text, 3) && !(text[0] == 0xf0 && text[1] < 0x90) &&
	        !(text[0] == 0xf4 && text[1] >= 0x90))
		return 4;
	return 0;
}
