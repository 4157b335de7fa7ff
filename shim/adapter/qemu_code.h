/* SPDX-License-Identifier: MIT */
/*
 * What QEMU's coroutine functions look like in machine code. Each function looks at code and says whether it is
 * what the takeover in qemu.c was made for; nothing is changed here. Needs decode_open(). x86-64; another
 * processor gets a file of its own.
 *
 * What returns text returns NULL, or why not: a few words for the log.
 */
#ifndef COPOOL_ADAPTER_QEMU_CODE_H
#define COPOOL_ADAPTER_QEMU_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patch/decode.h"
#include "patch/references.h"

/*
 * Where qemu_aio_coroutine_enter has seen a coroutine end, and is about to delete it or to keep it in QEMU's own
 * pool: coroutine_delete, always inlined. The code is the same in all releases from 5.2 to 11.1:
 *
 *		call	qemu_coroutine_switch
 *		...				the wake-up queue
 *		cmp	$1, %eax; je next	COROUTINE_YIELD: the loop goes on
 *		cmp	$2, %eax; jne abort	COROUTINE_TERMINATE
 *		cmpq	$0, 0x20(%co); jne ...	the assertion that it holds no locks
 *		...				tracing
 *	at:	movq	$0, 0x10(%co)		coroutine_delete begins: co->caller = NULL
 *		...				QEMU's own pool
 *	next:	mov	..., %co		the loop goes on
 *
 * `next` is reached from COROUTINE_YIELD as well, so the code there relies on nothing that happens after the
 * `je`.
 */
struct qemu_ending {
	size_t at; /* an offset in the function */
	unsigned length;
	unsigned object; /* the number of the register %co: one of those that calls keep */
	uint64_t next;   /* an address */
};

const char *qemu_code_ending(const struct decode_code *enter, uint64_t switch_at, struct qemu_ending *ending);

/*
 * Whether qemu_coroutine_create sets the four words of a coroutine that we set in its place, and no others but
 * the link of QEMU's own pool.
 */
const char *qemu_code_create(const struct decode_code *create);

/* Who calls qemu_coroutine_new and qemu_coroutine_switch. */
struct qemu_callers {
	struct references new, switching;
};

/* Looks through the code that `enter` is part of, as far as copies of these functions can be. */
void qemu_code_callers(const struct decode_code *enter, uint64_t new_at, uint64_t switch_at,
        uint64_t delete_at, struct qemu_callers *callers);

/*
 * Whether qemu_coroutine_new is called by qemu_coroutine_create alone: there is no inlined copy of create.
 */
const char *qemu_code_only_create(const struct qemu_callers *callers, const struct decode_code *create);

/*
 * Whether qemu_coroutine_switch is called with COROUTINE_ENTER by qemu_aio_coroutine_enter alone: coroutines end
 * nowhere else.
 */
const char *qemu_code_only_enter(const struct qemu_callers *callers, const struct decode_code *enter);

/* Whether any code calls the function: one that was inlined everywhere is not reached by its entry. */
bool qemu_code_is_called(const struct decode_code *function);

/* Instructions that do with a coroutine in %rax what qemu_coroutine_create does with its arguments. */
extern const uint8_t qemu_code_arm[];
extern const size_t qemu_code_arm_bytes;

#endif
