/* SPDX-License-Identifier: MIT */
/*
 * The path of a call after commit, and the function that writes each part:
 *
 *	f:		endbr64                 stays
 *			jmp island              patch_commit
 *	island:		jmp *hook               patch_plan
 *			or the caller's code    patch_plan_code, patch_plan_inside
 *	hook:		… original(…) …         the caller's
 *	trampoline:	f's first instructions  prepare(), decode_move()
 *			jmp f + what was moved
 *
 * Islands and trampolines lie in a page of their own near the object, which is writable until commit and executable
 * afterwards. Pages of code are writable only during commit and revert, and not executable then.
 */
#include "patch/patch.h"

#include "libc/real.h"

#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	ISLAND_ALIGN = 16,
	AREA_STEPS_A_TURN = 8, /* each probe goes further by this part of the distance, see map_near() */
};

#define NO_ROOM "%s: no free page near it"

__attribute__((format(printf, 3, 4))) static int fail(
        struct patch_set *set, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(set->reason, sizeof set->reason, format, arguments);
	va_end(arguments);
	return error;
}

void patch_refuse(struct patch_set *set, const char *name, const char *reason)
{
	fail(set, 0, "%s: %s", name, reason);
}

void patch_begin(struct patch_set *set)
{
	memset(set, 0, sizeof *set);
}

/* Unmaps the areas. Nothing may jump to them any more. */
static void empty(struct patch_set *set)
{
	for (size_t i = 0; i < set->areas; i++)
		real_munmap(set->area[i].page, set->area[i].bytes);
	set->areas = set->patches = 0;
}

/* Maps a new writable page at exactly that address. NULL: something is there. */
static uint8_t *map_at(uintptr_t address, size_t bytes)
{
	void *page = real_mmap((void *)address, bytes, PROT_READ | PROT_WRITE,
	        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (page == (void *)address)
		return page;
	/* Before Linux 4.17 the address is a hint, and the page is elsewhere. */
	if (page != MAP_FAILED)
		real_munmap(page, bytes);
	return NULL;
}

/*
 * Maps a new page within reach of all of an object. Below the object first, where nothing grows; above it, where the
 * heap grows, from the far end.
 */
static uint8_t *map_near(uintptr_t low, uintptr_t high, size_t bytes)
{
	uintptr_t page = bytes, distance, step;
	uint8_t *found;

	if (high - low >= decode_jump_reach - bytes)
		return NULL;
	for (distance = page; distance < low && high - (low - distance) < decode_jump_reach;
	        distance += step) {
		found = map_at(low - distance, bytes);
		if (found != NULL)
			return found;
		step = (distance / AREA_STEPS_A_TURN + page) & ~(page - 1);
	}
	for (distance = decode_jump_reach - (high - low) - bytes; distance >= page; distance -= step) {
		distance &= ~(page - 1);
		found = map_at(high + distance, bytes);
		if (found != NULL)
			return found;
		step = (distance / AREA_STEPS_A_TURN + page) & ~(page - 1);
	}
	return NULL;
}

/* The area of an object with `needed` free bytes, made if there is none. NULL: no room. */
static struct patch_area *area_for(struct patch_set *set, const struct symbol *target, size_t needed)
{
	size_t bytes = getauxval(AT_PAGESZ);
	struct patch_area *area = set->area;
	uint8_t *page;

	for (; area < set->area + set->areas; area++)
		if (area->image_low == target->image_low && area->bytes - area->used >= needed)
			return area;
	if (set->areas == PATCH_AREA_MAX)
		return NULL;
	page = map_near(target->image_low, target->image_high, bytes);
	if (page == NULL)
		return NULL;
	*area = (struct patch_area){page, bytes, 0, target->image_low};
	set->areas++;
	return area;
}

/* Refuses code that must not be written while this code runs. */
static int check_new(struct patch_set *set, const char *name, const struct symbol *target, size_t bytes)
{
	uintptr_t libc = (uintptr_t)gnu_get_libc_version(); /* a string of libc's */

	if (set->committed || set->patches == PATCH_MAX)
		return fail(set, -ENOSPC, "%s: no more patches can be planned", name);
	if ((target->protection & (PROT_READ | PROT_EXEC)) != (PROT_READ | PROT_EXEC))
		return fail(set, -ENOTSUP, "%s: its code cannot be read", name);
	if (libc >= target->image_low && libc < target->image_high)
		return fail(set, -ENOTSUP, "%s: it is part of the C library, which is in use", name);
	if (bytes > PATCH_CODE_BYTES)
		return fail(set, -ENOSPC, "%s: the code that is to replace it is too long", name);
	return 0;
}

static const struct patch *find_overlap(const struct patch_set *set, const uint8_t *jump)
{
	for (const struct patch *other = set->patch; other < set->patch + set->patches; other++)
		if (jump < other->jump + DECODE_JUMP_BYTES && other->jump < jump + DECODE_JUMP_BYTES)
			return other;
	return NULL;
}

/* The bytes that an island takes for its code. */
static size_t island_bytes(size_t code_bytes)
{
	return (code_bytes + ISLAND_ALIGN - 1) / ISLAND_ALIGN * ISLAND_ALIGN;
}

/* Writes a patch's trampoline behind its island, and fills in the patch. */
static enum decode_refusal prepare(struct patch *patch, uint8_t *island, size_t bytes,
        const struct decode_code *code, const struct decode_prologue *prologue)
{
	enum decode_refusal refusal;
	size_t moved;

	patch->trampoline = island + island_bytes(bytes);
	memcpy(patch->before, patch->jump, DECODE_JUMP_BYTES);
	refusal = decode_move(code, prologue, (uintptr_t)patch->trampoline, patch->trampoline, &moved);
	if (refusal == DECODE_FINE &&
	        !decode_put_jump(patch->after, (uintptr_t)patch->jump, (uintptr_t)island))
		refusal = DECODE_OUT_OF_RANGE;
	return refusal;
}

struct decode_code patch_code(const struct symbol *function)
{
	return (struct decode_code){
	        .bytes = function->address,
	        .address = (uintptr_t)function->address,
	        .size = function->size,
	        .available = function->available,
	        .text_low = function->segment_low,
	        .text_high = (uintptr_t)function->address + function->available,
	        .image_low = function->image_low,
	        .image_high = function->image_high,
	};
}

int patch_plan_code(struct patch_set *set, const char *name, const struct symbol *target, const uint8_t *code,
        size_t bytes, void **original)
{
	const struct decode_code moved = patch_code(target);
	struct decode_prologue prologue;
	enum decode_refusal refusal;
	const struct patch *other;
	struct patch_area *area;
	struct patch *patch;
	uint8_t *island;
	int error;

	set->reason[0] = '\0';
	error = check_new(set, name, target, bytes);
	if (error != 0)
		return error;
	refusal = decode_prologue(&moved, &prologue);
	if (refusal != DECODE_FINE)
		return fail(set, -ENOTSUP, "%s: %s", name, decode_refusal_text(refusal));
	patch = &set->patch[set->patches];
	*patch = (struct patch){.name = name, .protection = target->protection, .original = original};
	patch->jump = (uint8_t *)target->address + prologue.skip;
	patch->is_torn = prologue.is_torn;
	other = find_overlap(set, patch->jump);
	if (other != NULL)
		return fail(set, -ENOTSUP, "%s: it shares its code with %s", name, other->name);
	area = area_for(set, target, island_bytes(prologue.undo_bytes + bytes) + DECODE_MOVED_BYTES);
	if (area == NULL)
		return fail(set, -ENOSPC, NO_ROOM, name);
	island = area->page + area->used;
	if (prologue.undo_bytes > 0)
		memcpy(island, prologue.undo, prologue.undo_bytes);
	memcpy(island + prologue.undo_bytes, code, bytes);
	refusal = prepare(patch, island, prologue.undo_bytes + bytes, &moved, &prologue);
	if (refusal != DECODE_FINE)
		return fail(set, -ENOTSUP, "%s: %s", name, decode_refusal_text(refusal));
	area->used += island_bytes(prologue.undo_bytes + bytes) + DECODE_MOVED_BYTES;
	set->patches++;
	return 0;
}

int patch_plan(
        struct patch_set *set, const char *name, const struct symbol *target, void *hook, void **original)
{
	uint8_t jump[DECODE_FAR_JUMP_BYTES];

	decode_put_far_jump(jump, (uintptr_t)hook);
	return patch_plan_code(set, name, target, jump, sizeof jump, original);
}

int patch_plan_inside(struct patch_set *set, const char *name, const struct symbol *target,
        const struct patch_place *place, const uint8_t *code, size_t bytes)
{
	struct patch *patch = &set->patch[set->patches];
	const struct patch *other;
	struct patch_area *area;
	uint8_t *island;
	bool is_in_reach;
	int error;

	set->reason[0] = '\0';
	error = check_new(set, name, target, bytes);
	if (error != 0)
		return error;
	*patch = (struct patch){.name = name, .protection = target->protection};
	patch->jump = (uint8_t *)target->address + place->at;
	other = find_overlap(set, patch->jump);
	if (other != NULL)
		return fail(set, -ENOTSUP, "%s: it shares its code with %s", name, other->name);
	area = area_for(set, target, island_bytes(bytes));
	if (area == NULL)
		return fail(set, -ENOSPC, NO_ROOM, name);
	island = area->page + area->used;
	memcpy(island, code, bytes);
	memcpy(patch->before, patch->jump, DECODE_JUMP_BYTES);
	is_in_reach = decode_put_jump(patch->after, (uintptr_t)patch->jump, (uintptr_t)island);
	for (size_t i = 0; i < place->exits; i++) {
		uint8_t *jump = island + place->exit[i];

		is_in_reach &= decode_put_jump(jump, (uintptr_t)jump, place->goes_on);
	}
	if (!is_in_reach)
		return fail(set, -ENOTSUP, "%s: %s", name, decode_refusal_text(DECODE_OUT_OF_RANGE));
	area->used += island_bytes(bytes);
	set->patches++;
	return 0;
}

/* Makes written code what instructions are fetched from: on x86-64 it is by itself. */
static void write_back(void *code, size_t bytes)
{
	__builtin___clear_cache((char *)code, (char *)code + bytes);
}

/*
 * Replaces pages by copies in anonymous memory: after they were written, SELinux (execmod) does not let pages of a
 * file become executable again.
 */
static int replace_pages(void *start, size_t bytes, int protection)
{
	void *copy = real_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (copy == MAP_FAILED)
		return -errno;
	memcpy(copy, start, bytes);
	write_back(copy, bytes);
	if (real_mprotect(copy, bytes, protection) == 0 &&
	        real_mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, start) == start)
		return 0;
	real_munmap(copy, bytes);
	return -EACCES;
}

/* Copies without a call: memcpy might be the program's own, in the very page that cannot run now. */
static void copy_code(uint8_t *to, const uint8_t *from)
{
#if defined(__aarch64__)
	uint32_t jump;

	__asm__ volatile("ldr %w0, [%2]\n\tstr %w0, [%1]" : "=&r"(jump) : "r"(to), "r"(from) : "memory");
#elif defined(__x86_64__)
	size_t bytes = DECODE_JUMP_BYTES;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
#else
	for (size_t bytes = DECODE_JUMP_BYTES; bytes > 0; bytes--)
		*(volatile uint8_t *)to++ = *from++;
#endif
}

/* The pages in which a jump lies. */
static uintptr_t pages_of(const struct patch *patch, size_t *bytes)
{
	uintptr_t page = getauxval(AT_PAGESZ);
	uintptr_t low = (uintptr_t)patch->jump & ~(page - 1);

	*bytes = (((uintptr_t)patch->jump + DECODE_JUMP_BYTES + page - 1) & ~(page - 1)) - low;
	return low;
}

/* Whether pages are the file's, unchanged: /proc/self/pagemap says so of each. */
static bool are_of_file(int pagemap, uintptr_t low, size_t bytes)
{
	const uint64_t of_file = (uint64_t)1 << 63 | (uint64_t)1 << 61; /* present; and no copy */
	uintptr_t page = getauxval(AT_PAGESZ);

	for (uintptr_t at = low; at < low + bytes; at += page) {
		uint64_t entry;

		if (pread(pagemap, &entry, sizeof entry, (off_t)(at / page * sizeof entry)) != sizeof entry ||
		        (entry & of_file) != of_file)
			return false;
	}
	return true;
}

/*
 * A uprobe (perf, bpftrace, SystemTap) at the function's entry would execute the file's first instruction, and go on
 * behind it: in the middle of the jump. The kernel sets probes only in pages of files. A page that was changed before
 * is left as it is: it may have probes already, which would kill the program in a page of no file.
 */
static void hide_from_probes(const struct patch_set *set)
{
	int pagemap = -1;

	for (const struct patch *patch = set->patch; patch < set->patch + set->patches; patch++) {
		size_t bytes;
		uintptr_t low = pages_of(patch, &bytes);

		if (patch->is_torn && pagemap < 0)
			pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
		if (patch->is_torn && pagemap >= 0 && are_of_file(pagemap, low, bytes))
			replace_pages((void *)low, bytes, patch->protection);
	}
	if (pagemap >= 0)
		close(pagemap);
}

/* Writes a jump's bytes to the code. On failure nothing is written. */
static int write_code(const struct patch *patch, const uint8_t *bytes)
{
	size_t length;
	uintptr_t low = pages_of(patch, &length), high = low + length;
	uint8_t old[DECODE_JUMP_BYTES];
	int error = 0;

	memcpy(old, patch->jump, DECODE_JUMP_BYTES);
	if (real_mprotect((void *)low, high - low, (patch->protection & ~PROT_EXEC) | PROT_WRITE) != 0) {
		error = -errno;
		real_mprotect(
		        (void *)low, high - low, patch->protection); /* it may have changed one page of two */
		return error;
	}
	copy_code(patch->jump, bytes);
	write_back(patch->jump, DECODE_JUMP_BYTES);
	if (real_mprotect((void *)low, high - low, patch->protection) != 0)
		error = replace_pages((void *)low, high - low, patch->protection);
	if (error != 0) {
		copy_code(patch->jump, old);
		write_back(patch->jump, DECODE_JUMP_BYTES);
	}
	return error;
}

/* Restores a function's own bytes. If that fails, the hook stays and keeps its original. */
static int take_out(struct patch *patch)
{
	int error = write_code(patch, patch->before);

	if (patch->original != NULL)
		*patch->original = error == 0 ? NULL : patch->trampoline;
	return error;
}

/* Whether the program's code is still what was planned for. */
static int check_unchanged(struct patch_set *set)
{
	for (struct patch *patch = set->patch; patch < set->patch + set->patches; patch++)
		if (memcmp(patch->jump, patch->before, DECODE_JUMP_BYTES) != 0)
			return fail(set, -EBUSY, "%s: its code has changed", patch->name);
	return 0;
}

/* Makes islands and trampolines executable, and no longer writable. */
static int seal_areas(struct patch_set *set)
{
	for (struct patch_area *area = set->area; area < set->area + set->areas; area++) {
		write_back(area->page, area->used);
		if (real_mprotect(area->page, area->bytes, PROT_READ | PROT_EXEC) != 0)
			return fail(set, -errno, "executable memory: %m");
	}
	return 0;
}

/* Writes all jumps, or none. */
static int write_jumps(struct patch_set *set)
{
	size_t done = 0;
	int error = 0;

	hide_from_probes(set);
	while (done < set->patches && error == 0) {
		error = write_code(&set->patch[done], set->patch[done].after);
		if (error == 0)
			done++;
	}
	if (error == 0)
		return 0;
	errno = -error;
	fail(set, error, "%s: its code cannot be written: %m", set->patch[done].name);
	while (done-- > 0)
		if (take_out(&set->patch[done]) != 0)
			set->areas = 0; /* the areas stay mapped: a jump still leads there */
	return error;
}

int patch_commit(struct patch_set *set)
{
	int error;

	set->reason[0] = '\0';
	error = check_unchanged(set);
	if (error == 0)
		error = seal_areas(set);
	if (error == 0)
		error = write_jumps(set);
	if (error != 0) {
		empty(set);
		return error;
	}
	for (size_t i = 0; i < set->patches; i++)
		if (set->patch[i].original != NULL)
			*set->patch[i].original = set->patch[i].trampoline;
	set->committed = true;
	return 0;
}

void patch_revert(struct patch_set *set)
{
	set->reason[0] = '\0';
	if (!set->committed) {
		empty(set);
		return;
	}
	for (size_t i = 0; i < set->patches; i++)
		if (take_out(&set->patch[i]) != 0)
			fail(set, 0, "%s: its code cannot be written", set->patch[i].name);
	set->areas = set->patches = 0;
	set->committed = false;
}
