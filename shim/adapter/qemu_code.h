/* SPDX-License-Identifier: MIT */
/*
 * What QEMU's coroutine functions look like in machine code. Each function here checks whether code has the form that
 * the patches of qemu.c need; nothing is changed. Needs decode_open(). qemu_code_x86.c and qemu_code_aarch64.c, and
 * what both share in qemu_code.c.
 *
 * Functions that return text return NULL, or a few words for the log on what is wrong.
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
 *		cmp	$1, %eax; je next	COROUTINE_YIELD: the loop continues
 *		cmp	$2, %eax; jne abort	COROUTINE_TERMINATE
 *		cmpq	$0, 0x20(%co); jne ...	the assertion that it holds no locks
 *		...				tracing
 *	at:	movq	$0, 0x10(%co)		coroutine_delete begins: co->caller = NULL
 *		...				QEMU's own pool
 *	next:	mov	..., %co		the loop continues
 *
 * On aarch64 the same is `bl`, `cmp w0, #1`, …, `ldr x0, [co, #32]; cbnz x0, …`, and `str xzr, [co, #16]`. Each of
 * these branches may also be the opposite one, with what follows elsewhere.
 *
 * COROUTINE_YIELD leads to `next` too, so the code there does not depend on anything after that branch.
 */
struct qemu_ending {
	size_t at; /* an offset in the function */
	unsigned length;
	unsigned object; /* the number of the register %co, which calls preserve */
	uint64_t next;   /* an address */
};

const char *qemu_code_ending(const struct decode_code *enter, uint64_t switch_at, struct qemu_ending *ending);

/*
 * Whether qemu_coroutine_create sets the four words of a coroutine that we set instead, and no others but the link of
 * QEMU's own pool.
 */
const char *qemu_code_create(const struct decode_code *create);

/* The callers of qemu_coroutine_new and qemu_coroutine_switch. */
struct qemu_callers {
	struct references new, switching;
};

/* Searches the code around `enter`, as far as copies of these functions can be. */
void qemu_code_callers(const struct decode_code *enter, uint64_t new_at, uint64_t switch_at,
        uint64_t delete_at, struct qemu_callers *callers);

/* Whether only qemu_coroutine_create calls qemu_coroutine_new: there is no inlined copy of create. */
const char *qemu_code_only_create(const struct qemu_callers *callers, const struct decode_code *create);

/*
 * Whether only qemu_aio_coroutine_enter calls qemu_coroutine_switch with COROUTINE_ENTER: coroutines end nowhere
 * else.
 */
const char *qemu_code_only_enter(const struct qemu_callers *callers, const struct decode_code *enter);

/*
 * The number that the code before a call of qemu_coroutine_switch, which references_find() has found, has last moved to
 * its third argument: the action that it asks for. It may have been in another register before, if a compiler loads it
 * before a loop. 0: there is none. Nothing before `low` is read.
 */
unsigned qemu_code_action(uintptr_t low, uintptr_t place);

#define QEMU_CODE_UNKNOWN "the code in which coroutines end is not what is known"

/* Whether any code calls the function. If it was inlined everywhere, nothing reaches its entry. */
bool qemu_code_is_called(const struct decode_code *function);

/* Instructions that do to a coroutine in %rax what qemu_coroutine_create does; none where they are not used. */
extern const uint8_t qemu_code_arm[];
extern const size_t qemu_code_arm_bytes;

#endif
