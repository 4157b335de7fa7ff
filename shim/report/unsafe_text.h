/* SPDX-License-Identifier: MIT */
/* Characters that neither the shim nor its tools ever show: they steer a terminal, or make a text look like another. */
#ifndef COPOOL_REPORT_UNSAFE_TEXT_H
#define COPOOL_REPORT_UNSAFE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool is_unsafe_text(uint32_t code)
{
	static const struct {
		uint32_t low, high;
	} unsafe[] = {
	        {0, 0x1f}, {0x7f, 0x9f}, {0x61c, 0x61c}, /* Arabic letter mark */
	        {0x200e, 0x200f},                        /* left-to-right and right-to-left marks */
	        {0x2028, 0x202e},   /* separators of lines and paragraphs, embeddings, overrides */
	        {0x2066, 0x206f},   /* isolates, and deprecated controls */
	        {0xfff9, 0xfffb},   /* interlinear annotation */
	        {0xe0000, 0xe007f}, /* tags */
	};

	for (size_t i = 0; i < sizeof unsafe / sizeof *unsafe; i++) {
		if (code >= unsafe[i].low && code <= unsafe[i].high)
			return true;
	}
	return false;
}

#endif
