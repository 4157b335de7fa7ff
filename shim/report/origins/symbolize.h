/* SPDX-License-Identifier: MIT */
/*
 * What addresses in code are called: "module+0xoffset function". The statistics thread's, at exit: files are
 * opened, and the loader's list of objects is locked for a moment.
 */
#ifndef COPOOL_REPORT_ORIGINS_SYMBOLIZE_H
#define COPOOL_REPORT_ORIGINS_SYMBOLIZE_H

#include <stddef.h>
#include <stdint.h>

enum { NAMES_MAX = 4096, NAMES_BYTES = 200 };

/* One address. `text` is "0xaddress" where no module is, and has no function where none is known. */
struct name {
	uintptr_t address;
	char text[NAMES_BYTES];
	size_t module_bytes; /* of the text; what comes behind is the function */
};

struct names {
	unsigned count;
	struct name name[NAMES_MAX]; /* by address, each once */
};

/* Adds an address, if there is room. */
void symbolize_add(struct names *names, uintptr_t address);

/* Finds out what they are called. */
void symbolize_resolve(struct names *names);

/* What an address is called; "?" when it is not in there. */
const char *symbolize_text(const struct names *names, uintptr_t address);

#endif
