/* SPDX-License-Identifier: MIT */
/*
 * Patches function entries of the running program: plan each, then commit all or none.
 *
 *	struct patch_set set;
 *	patch_begin(&set);
 *	patch_plan(&set, "f", &symbol, hook_f, (void **)&original_f);	once a function
 *	patch_plan_inside(&set, "g", &symbol, &place, code, bytes);	once an instruction
 *	patch_commit(&set);						or patch_revert(&set) to drop the plan
 *
 * The caller owns the set, which must outlive the patches; there is no other state. Constructor time only,
 * for commit and revert alike: no thread may be inside the patched program's code, because its pages cannot
 * be executed while they are written.
 */
#ifndef COPOOL_PATCH_PATCH_H
#define COPOOL_PATCH_PATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patch/decode.h"
#include "patch/symbols.h"

enum { PATCH_CODE_BYTES = 192 }; /* that patch_plan_code and patch_plan_inside take at most */

enum { PATCH_MAX = 24, PATCH_AREA_MAX = 4, PATCH_REASON_BYTES = 256 };

/* One page with the islands and trampolines of one object's functions. */
struct patch_area {
	uint8_t *page;
	size_t bytes;        /* the system's page size */
	size_t used;         /* bytes handed out from the start */
	uintptr_t image_low; /* the object that it serves */
};

/* One function, or one instruction in the middle of it. */
struct patch {
	const char *name; /* the caller's; must outlive the set */
	uint8_t *jump;    /* where the jump goes: the entry, behind a leading endbr64; or the instruction */
	int protection;   /* PROT_* bits of the pages at `jump`, outside of commit and revert */
	void **original;  /* set to `trampoline` by commit, to NULL again by revert; the caller's.
	                        NULL: there is none, the patch is inside the function */
	uint8_t *trampoline; /* calls the function as it was */
	uint8_t before[DECODE_JUMP_BYTES];
	uint8_t after[DECODE_JUMP_BYTES];
};

struct patch_set {
	struct patch patch[PATCH_MAX];
	size_t patches;
	struct patch_area area[PATCH_AREA_MAX];
	size_t areas;
	bool committed;
	char reason[PATCH_REASON_BYTES]; /* why the last call failed; "" when none did */
};

/* An empty set. */
void patch_begin(struct patch_set *set);

/* A function of the running program as decode.h wants it. */
struct decode_code patch_code(const struct symbol *function);

/*
 * Plans that calls of the function `target` go to `hook`, and that `*original` becomes the way to the
 * function itself. Reads the program and changes nothing in it. Needs decode_open(). Returns 0 or -errno,
 * with a reason in the set: -ENOTSUP (cannot be moved, or is part of the C library), -ENOSPC (the set is full
 * or committed, or there is no free page within 2 GiB). What was planned before stays planned.
 */
int patch_plan(
        struct patch_set *set, const char *name, const struct symbol *target, void *hook, void **original);

/*
 * As patch_plan; but calls go to a copy of `code`, `bytes` of instructions that may run anywhere, and from
 * there wherever it says. For a hook that is short and often called.
 */
int patch_plan_code(struct patch_set *set, const char *name, const struct symbol *target, const uint8_t *code,
        size_t bytes, void **original);

/* An instruction that becomes a jump. The caller has seen to it that nothing jumps into its middle. */
struct patch_place {
	size_t at;        /* its offset in the function; it has at least DECODE_JUMP_BYTES */
	uint64_t goes_on; /* the address where the function goes on afterwards */
	size_t exit[2];   /* offsets in the new code of the 32-bit distances to `goes_on` */
	size_t exits;
};

/*
 * Plans that the instruction at `place` of the function `target` becomes a jump to a copy of `code`, which may
 * run anywhere but for its exits. The rest of the function stays as it is. Errors as patch_plan.
 */
int patch_plan_inside(struct patch_set *set, const char *name, const struct symbol *target,
        const struct patch_place *place, const uint8_t *code, size_t bytes);

/* Sets the reason why a plan fails that the caller has looked into: `name` is a function. */
void patch_refuse(struct patch_set *set, const char *name, const char *reason);

/*
 * Does all that was planned, or nothing: on failure the program is as it was before and the set is empty,
 * but for the reason. 0, or -errno: -EBUSY (the code is no longer what was planned for), or what mprotect
 * said. Needs no decoder.
 */
int patch_commit(struct patch_set *set);

/*
 * Puts every byte back and empties the set. The trampolines of a committed set stay mapped, so a
 * hook that is on its way to the original still gets there.
 */
void patch_revert(struct patch_set *set);

#endif
