/* SPDX-License-Identifier: MIT */
/* Return addresses as code leaves them on stacks. */
#ifndef COPOOL_SYSTEM_RETURN_ADDRESS_H
#define COPOOL_SYSTEM_RETURN_ADDRESS_H

#include <stdint.h>

/*
 * The address of code in a word of a stack. Code for aarch64 may sign its return addresses in the bits above the address
 * (pointer authentication); a word without a signature comes out as it is, unless its highest bits say nothing.
 */
static inline uintptr_t return_address(uintptr_t word)
{
#ifdef __aarch64__
	register uintptr_t link __asm__("x30") = word;

	__asm__("hint #7" : "+r"(link)); /* xpaclri: a nop for processors that do not sign */
	return link;
#else
	return word;
#endif
}

#endif
