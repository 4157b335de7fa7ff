/* SPDX-License-Identifier: MIT */
/*
 * Patches functions of the running program: plan each, then commit all or none.
 *
 *	struct patch_set set;
 *	patch_begin(&set);
 *	patch_plan(&set, "f", &symbol, hook_f, (void **)&original_f);	for each function
 *	patch_plan_inside(&set, "g", &symbol, &place, code, bytes);	for each instruction
 *	patch_commit(&set);						or patch_revert(&set) to drop the plan
 *
 * The caller owns the set, which must outlive the patches; there is no other state. Constructor time only, for commit
 * and revert too: no thread may be inside the patched program's code, because its pages cannot be executed while they
 * are written.
 */
#ifndef COPOOL_PATCH_PATCH_H
#define COPOOL_PATCH_PATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patch/decode.h"
#include "patch/symbols.h"

enum { PATCH_CODE_BYTES = 192 }; /* the most that patch_plan_code and patch_plan_inside take */

enum { PATCH_MAX = 24, PATCH_AREA_MAX = 4, PATCH_REASON_BYTES = 256 };

/* A page with the islands and trampolines of one object's functions. */
struct patch_area {
	uint8_t *page;
	size_t bytes;        /* the system's page size */
	size_t used;         /* used from the start */
	uintptr_t image_low; /* the object that it serves */
};

/* A function, or an instruction in the middle of one. */
struct patch {
	const char *name; /* the caller's; must outlive the set */
	uint8_t *jump;    /* where it is written: behind a leading endbr64 or the like, or the instruction */
	int protection;   /* PROT_* bits of the pages at `jump`, except during commit and revert */
	bool is_torn;     /* see decode.h */
	void **original;  /* the caller's: `trampoline` after commit, NULL after revert; may be NULL */
	uint8_t *trampoline; /* runs the function as it was */
	uint8_t before[DECODE_JUMP_BYTES];
	uint8_t after[DECODE_JUMP_BYTES];
};

struct patch_set {
	struct patch patch[PATCH_MAX];
	size_t patches;
	struct patch_area area[PATCH_AREA_MAX];
	size_t areas;
	bool committed;
	char reason[PATCH_REASON_BYTES]; /* why the last call failed, or "" */
};

/* Makes the set empty. */
void patch_begin(struct patch_set *set);

/* A function of the running program in the form that patch/decode.h needs. */
struct decode_code patch_code(const struct symbol *function);

/*
 * Plans that calls of `target` go to `hook`, and that `*original` becomes the function itself. Reads the program and
 * changes nothing. Needs decode_open(). 0 or -errno, with a reason in the set: -ENOTSUP (it cannot be moved, or is
 * part of libc), -ENOSPC (the set is full or committed, or there is no free page within reach of a jump).
 * What was planned before stays planned.
 */
int patch_plan(
        struct patch_set *set, const char *name, const struct symbol *target, void *hook, void **original);

/*
 * As patch_plan; but calls go to a copy of `code`, `bytes` of position-independent instructions. For a hook that is
 * short and often called.
 */
int patch_plan_code(struct patch_set *set, const char *name, const struct symbol *target, const uint8_t *code,
        size_t bytes, void **original);

/* An instruction that becomes a jump. The caller must have checked that nothing jumps into its middle. */
struct patch_place {
	size_t at;        /* its offset in the function; it has DECODE_JUMP_BYTES or more */
	uint64_t goes_on; /* the address where the function continues */
	size_t exit[2];   /* offsets in the new code of the jumps to `goes_on`, which are written then */
	size_t exits;
};

/*
 * Plans that the instruction at `place` of the function `target` becomes a jump to a copy of `code`, which is
 * position-independent but for its exits. The rest of the function stays unchanged. Errors as patch_plan.
 */
int patch_plan_inside(struct patch_set *set, const char *name, const struct symbol *target,
        const struct patch_place *place, const uint8_t *code, size_t bytes);

/* Sets the reason for a failed plan, if the caller has found it; `name` is a function. */
void patch_refuse(struct patch_set *set, const char *name, const char *reason);

/*
 * Writes all patches, or none: on failure the program is unchanged, and the set is empty but for the reason. 0, or
 * -errno: -EBUSY (the code has changed since it was planned for), or what mprotect said. Needs no decoder.
 */
int patch_commit(struct patch_set *set);

/*
 * Restores every byte and empties the set. The trampolines of a committed set stay mapped for threads that are just
 * running them.
 */
void patch_revert(struct patch_set *set);

#endif
