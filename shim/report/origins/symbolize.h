/* SPDX-License-Identifier: MIT */
/*
 * Names for addresses in code: "module+0xoffset function". For one thread at a time. Opens files, and locks the
 * loader's list of objects for a moment.
 */
#ifndef COPOOL_REPORT_ORIGINS_SYMBOLIZE_H
#define COPOOL_REPORT_ORIGINS_SYMBOLIZE_H

#include <stddef.h>
#include <stdint.h>

enum { NAMES_MAX = 4096, NAMES_BYTES = 200 };

/* `text` is "0xaddress" if the address is in no module, and lacks the function if that is not known. */
struct name {
	uintptr_t address;
	char text[NAMES_BYTES];
	size_t module_bytes; /* of `text`; the function follows them */
};

struct names {
	unsigned count;
	struct name name[NAMES_MAX]; /* sorted by address, each once */
};

/* Adds an address, if there is room. */
void symbolize_add(struct names *names, uintptr_t address);

/* Finds the names of all addresses that were added. */
void symbolize_resolve(struct names *names);

/* The name of an address; "?" if it was not added. */
const char *symbolize_text(const struct names *names, uintptr_t address);

#endif
