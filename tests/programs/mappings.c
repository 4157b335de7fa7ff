/* SPDX-License-Identifier: MIT */
/*
 * A program that treats its mappings in every way that there is, in an order that a seed decides, and says
 * what it sees: results, errno, what can be read and written, what is in it. Addresses it does not say. With
 * and without the shim it must say the same. `mappings FIRST COUNT [OPERATIONS]`.
 *
 * What differs by right is not looked at: a stack's contents before they were written, pages under a guard
 * that nobody has written, and what lies where something was unmapped, but for the moment just after; a
 * stack that was unmapped as a whole may be touched until it is reused.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

enum { REGIONS = 5, PAGES = 40, PAGE = 4096, PAIR = 64, RW = PROT_READ | PROT_WRITE };

static struct region {
	char *base; /* NULL: none */
	int pages;
	bool is_mapped[PAGES];
	bool is_known[PAGES]; /* the contents, once they can be read */
	bool is_patched;      /* in how many pieces the kernel keeps it is the kernel's affair */
} regions[REGIONS];

static uint64_t state; /* of the random numbers */
static sigjmp_buf fault;
static volatile sig_atomic_t is_trying; /* else a fault is one */

static unsigned pick(unsigned below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

static void on_fault(int number)
{
	if (is_trying)
		siglongjmp(fault, number);
	signal(number, SIG_DFL);
}

static void say(const char *what, long result)
{
	printf("%s %ld %s\n", what, result, result == -1 ? strerrorname_np(errno) : "");
}

/* 'n', 'r' or 'w': what may be done to the page. */
static char access_of(volatile char *page)
{
	volatile char found = 'n';
	char byte;

	is_trying = 1;
	if (sigsetjmp(fault, 1) == 0) {
		byte = page[8];
		found = 'r';
		page[8] = byte;
		found = 'w';
	}
	is_trying = 0;
	return found;
}

static void mix(uint64_t *digest, uint64_t value)
{
	*digest = (*digest ^ value) * 0x100000001b3;
}

static uint64_t digest_of(const struct region *region, int page)
{
	uint64_t digest = 0xcbf29ce484222325, *words = (uint64_t *)(region->base + page * PAGE);
	char access = access_of((char *)words);

	mix(&digest, access);
	for (int i = 0; i < PAGE / 8 && access != 'n' && region->is_known[page]; i += i < 8 ? 1 : 31)
		mix(&digest, words[i]);
	return digest;
}

/* One line on everything that there is. */
static void look(const char *what)
{
	printf("%s:", what);
	for (int i = 0; i < REGIONS; i++) {
		uint64_t digest = 0;

		for (int page = 0; page < regions[i].pages && regions[i].base != NULL; page++)
			mix(&digest, regions[i].is_mapped[page] ? digest_of(&regions[i], page) : 0);
		printf(" %08x", (unsigned)(digest ^ digest >> 32));
	}
	printf("\n");
}

static bool is_zero(const char *low, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (low[i] != 0)
			return false;
	}
	return true;
}

/* Writes what can be written of some pages, so that their contents are known. */
static void fill(struct region *region, int first, int last)
{
	for (int page = first; page < last; page++) {
		uint64_t *words = (uint64_t *)(region->base + page * PAGE), value = state + page;

		if (!region->is_mapped[page] || access_of((char *)words) != 'w')
			continue;
		for (int i = 0; i < PAGE / 8; i++)
			words[i] = value * 0x9e3779b97f4a7c15 + i;
		region->is_known[page] = true;
	}
}

static void mark(struct region *region, int first, int last, bool is_mapped, bool is_known)
{
	for (int page = first; page < last; page++) {
		region->is_mapped[page] = is_mapped;
		region->is_known[page] = is_known;
	}
}

/* ---- mapping and unmapping ---- */

static void forget(struct region *region)
{
	for (int page = 0; page < region->pages && region->base != NULL; page++) {
		int first = page;

		while (page < region->pages && region->is_mapped[page])
			page++;
		if (page > first && munmap(region->base + first * PAGE, (page - first) * PAGE) != 0)
			say("forget", -1);
	}
	region->base = NULL;
	region->is_patched = false;
}

/* Mapped for use at once, and guarded by mprotect or by advice; or reserved, and opened above a guard or between two. */
static void map_and_guard(struct region *region, int flags, int guard)
{
	int kind = pick(4), upper = pick(2);
	size_t bytes = region->pages * PAGE - pick(2) * 100;

	region->base = mmap(NULL, bytes, kind == 0 ? PROT_NONE : RW, flags, -1, 0);
	if (kind == 0)
		say("open",
		        mprotect(region->base + guard * PAGE, (region->pages - guard - upper) * PAGE, RW));
	else if (kind == 1)
		say("guard by advice", madvise(region->base, guard * PAGE, MADV_GUARD_INSTALL));
	else
		say("guard", mprotect(region->base, guard * PAGE, PROT_NONE));
}

static void map_stack(struct region *region)
{
	static const int sizes[] = {4, 5, 16, 33};
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, guard = 1 + pick(2);

	forget(region);
	region->pages = sizes[pick(4)];
	map_and_guard(region, flags, guard);
	mark(region, 0, region->pages, true, false);
	if (pick(3) == 0)
		say("unguard", mprotect(region->base, region->pages * PAGE, RW));
	fill(region, 0, region->pages);
	if (pick(4) == 0)
		say("guard again", mprotect(region->base, guard * PAGE, PROT_NONE));
}

static void map_other(struct region *region)
{
	static const int kinds[] = {MAP_PRIVATE, MAP_SHARED, MAP_PRIVATE | MAP_NORESERVE};

	forget(region);
	region->pages = 1 + pick(PAGES);
	region->base = mmap(NULL, region->pages * PAGE, RW, MAP_ANONYMOUS | kinds[pick(3)], -1, 0);
	mark(region, 0, region->pages, true, true);
	say("other is zero", is_zero(region->base, region->pages * PAGE));
	fill(region, 0, region->pages);
}

static void say_gone(const struct region *region, int first, int last)
{
	int gone = 0;

	for (int page = first; page < last; page++)
		gone += access_of(region->base + page * PAGE) == 'n';
	printf("gone %d of %d\n", gone, last - first);
}

static void unmap(struct region *region, int first, int last)
{
	char *low = region->base + first * PAGE;

	say("unaligned", munmap(low + 8, PAGE));
	say("nothing", munmap(low, 0));
	say("endless", munmap(low, SIZE_MAX - PAGE));
	say("beyond", munmap(low, (size_t)1 << 48));
	say("unmap", munmap(low, (last - first) * PAGE - pick(2) * 7));
	if (first > 0 || last < region->pages)
		say_gone(region, first, last);
	say("unmap twice", munmap(low, (last - first) * PAGE));
	mark(region, first, last, false, false);
	region->is_patched = true;
	if (pick(3) != 0)
		return;
	say("fill the gap",
	        mmap(low, (last - first) * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == low);
	mark(region, first, last, true, true);
	say("which is zero", is_zero(low, (last - first) * PAGE));
}

static void *unmap_all(void *region)
{
	forget(region);
	return NULL;
}

static void unmap_from_thread(struct region *region)
{
	pthread_t thread;

	pthread_create(&thread, NULL, unmap_all, region);
	pthread_join(thread, NULL);
}

static void map_over(struct region *region, int first, int last)
{
	int protection = pick(3) == 0 ? PROT_READ : RW, kind = pick(2) ? MAP_SHARED : MAP_PRIVATE;
	char *low = region->base + first * PAGE;
	size_t bytes = (last - first) * PAGE;

	say("over", mmap(low, bytes, protection, kind | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == low);
	mark(region, first, last, true, true);
	region->is_patched = true;
	say("over is zero", is_zero(low, bytes));
	fill(region, first, last);
}

/* Two stacks that lie side by side, and one call that reaches into both. */
static void span(void)
{
	size_t bytes = 6 * PAGE;
	char *stack[PAIR], *low = NULL, *found = NULL;
	int made = 0;

	for (; made < PAIR && found == NULL; made++) {
		stack[made] = mmap(NULL, bytes, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
		mprotect(stack[made], PAGE, PROT_NONE);
		for (int i = 0; i < made && found == NULL; i++) {
			low = stack[made] < stack[i] ? stack[made] : stack[i];
			found = low + bytes == stack[made] || low + bytes == stack[i] ? low : NULL;
		}
	}
	say("side by side", found != NULL);
	if (found != NULL && pick(2)) {
		say("both", munmap(low, 2 * bytes));
	} else if (found != NULL) {
		say("across",
		        pick(2) ? munmap(low + 3 * PAGE, bytes) : mprotect(low + 3 * PAGE, bytes, PROT_NONE));
		say("across is gone", access_of(low + 3 * PAGE) == 'n' && access_of(low + 8 * PAGE) == 'n');
		say("the rest is there",
		        access_of(low + 2 * PAGE) == 'w' && access_of(low + 9 * PAGE) == 'w');
		say("guard is there", access_of(low) == 'n');
	}
	for (int i = 0; i < made; i++) {
		if (stack[i] != low && stack[i] != low + bytes)
			munmap(stack[i], bytes);
	}
	if (found != NULL)
		munmap(low, 2 * bytes); /* nothing was mapped since */
}

/* ---- changing ---- */

static void protect(struct region *region, int first, int last)
{
	static const int protections[] = {PROT_NONE, PROT_READ, RW, RW, PROT_READ | PROT_EXEC, RW | PROT_EXEC,
	        PROT_READ | 8 /* PROT_SEM */, 0x40, PROT_GROWSDOWN | RW};
	char *low = region->base + first * PAGE;
	int protection = protections[pick(9)];

	if (pick(8) == 0) {
		say("protect unaligned", mprotect(low + 4, PAGE, RW));
		say("protect nothing", mprotect(low, 0, PROT_NONE));
		say("protect endless", mprotect(low, SIZE_MAX - PAGE, PROT_NONE));
	}
	region->is_patched = true;
	say("protect", mprotect(low, (last - first) * PAGE, protection));
	fill(region, first, first + 1);
}

static void advise(struct region *region, int first, int last)
{
	static const int advices[] = {MADV_DONTNEED, MADV_FREE, MADV_DONTFORK, MADV_DOFORK, MADV_HUGEPAGE,
	        MADV_NOHUGEPAGE, MADV_WILLNEED, MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_POPULATE_WRITE,
	        MADV_DONTDUMP, MADV_DODUMP, MADV_SEQUENTIAL, MADV_COLD, MADV_GUARD_INSTALL, MADV_GUARD_REMOVE,
	        9999};
	char *low = region->base + first * PAGE;
	int advice = advices[pick(sizeof advices / sizeof *advices)];

	region->is_patched = true;
	printf("advice %d ", advice);
	say("advise", madvise(low, (last - first) * PAGE, advice));
	if (advice == MADV_FREE) {
		for (int page = first; page < last; page++)
			region->is_known[page] = false;
		fill(region, first, last);
	}
}

static void lock(struct region *region, int first, int last)
{
	char *low = region->base + first * PAGE;
	size_t bytes = (last - first) * PAGE;

	region->is_patched = true;
	say("lock", pick(2) ? mlock(low, bytes) : mlock2(low, bytes, MLOCK_ONFAULT));
	if (pick(2))
		say("unlock", munlock(low, bytes));
}

/* A move of the whole, to where the kernel wants, or over another region. */
static void move(struct region *region, struct region *target)
{
	int flags = MREMAP_MAYMOVE, pages = pick(2) ? region->pages : 1 + (int)pick(PAGES);
	size_t bytes = region->pages * PAGE;
	char *wanted = NULL, *moved;
	struct region before;
	bool stays;

	if (target != region && target->base != NULL && pick(2)) {
		forget(target);
		target->base = mmap(NULL, PAGES * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
		mprotect(target->base, PAGE, PROT_NONE);
		target->pages = PAGES;
		wanted = target->base;
		flags |= MREMAP_FIXED;
	}
	if (pick(3) == 0)
		flags |= MREMAP_DONTUNMAP;
	stays = (flags & MREMAP_DONTUNMAP) != 0;
	moved = mremap(region->base, bytes, pages * PAGE, flags, wanted);
	printf("flags %d wanted %d ", flags, wanted == NULL || moved == MAP_FAILED || moved == wanted);
	say("move", moved == MAP_FAILED ? -1 : 0);
	if (wanted != NULL) {
		/* Whatever came of it, what was there is not looked at any more. */
		munmap(target->base + (moved == wanted ? pages : 0) * PAGE,
		        (target->pages - (moved == wanted ? pages : 0)) * PAGE);
		target->base = NULL;
	}
	if (moved == MAP_FAILED)
		return;
	before = *region;
	if (stays) {
		for (int page = 0; page < region->pages; page++)
			region->is_known[page] = true;
		look("left behind");
		munmap(region->base, bytes);
		*region = before;
	}
	for (int page = region->pages; page < pages; page++)
		region->is_mapped[page] = region->is_known[page] = true;
	region->base = moved;
	region->pages = pages;
}

static void resize(struct region *region, int first, int last)
{
	char *low = region->base + first * PAGE;
	size_t bytes = (last - first) * PAGE;

	say("flags", mremap(low, bytes, bytes, MREMAP_FIXED, low) == MAP_FAILED ? -1 : 0);
	say("no flags", mremap(low, bytes, bytes, 0x100) == MAP_FAILED ? -1 : 0);
	say("to nothing", mremap(low, bytes, 0, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
	say("the same", mremap(low, bytes, bytes, 0) == low ? 0 : -1);
	if (last < region->pages)
		say("grow", mremap(low, bytes, bytes + PAGE, 0) == MAP_FAILED ? -1 : 0);
	if (last - first < 2)
		return;
	if (mremap(low, bytes, PAGE, 0) != low) {
		say("shrink", -1);
		return;
	}
	say_gone(region, first + 1, last);
	mark(region, first + 1, last, false, false);
	region->is_patched = true;
}

/* ---- fork ---- */

static void child(void)
{
	look("child");
	for (int i = 0; i < REGIONS; i++)
		fill(&regions[i], 0, regions[i].base != NULL ? regions[i].pages : 0);
	look("child has written");
	for (int i = 0; i < REGIONS; i++)
		forget(&regions[i]);
	for (int i = 0; i < REGIONS; i++)
		map_stack(&regions[i]);
	look("child has mapped");
	fflush(stdout);
	_exit(7);
}

static void fork_once(void)
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		child();
	waitpid(pid, &status, 0);
	say("child's status", status);
}

/* ---- one seed ---- */

static bool has_hole(const struct region *region, int first, int last)
{
	for (int page = first; page < last; page++) {
		if (!region->is_mapped[page])
			return true;
	}
	return false;
}

static void operate(void)
{
	struct region *region = &regions[pick(REGIONS)];
	int what = pick(17), first, last;

	if (region->base == NULL || what < 3) {
		what == 0 ? map_other(region) : map_stack(region);
		return;
	}
	first = pick(3) == 0 ? 0 : pick(region->pages);
	last = pick(3) == 0 ? region->pages : first + 1 + (int)pick(region->pages - first);
	if (what == 15)
		span();
	else if (what == 16)
		fork_once();
	else if (what == 3)
		unmap_from_thread(region);
	else if (has_hole(region, first, last))
		forget(region);
	else if (what <= 5)
		unmap(region, first, last);
	else if (what == 6)
		map_over(region, first, last);
	else if (what <= 9)
		protect(region, first, last);
	else if (what <= 11)
		advise(region, first, last);
	else if (what == 12)
		lock(region, first, last);
	else if (what == 13 && !region->is_patched)
		move(region, &regions[pick(REGIONS)]);
	else if (what == 14 && !region->is_patched)
		resize(region, first, last);
}

int main(int count, char **arguments)
{
	unsigned first = count > 1 ? atoi(arguments[1]) : 1, seeds = count > 2 ? atoi(arguments[2]) : 1;
	unsigned operations = count > 3 ? atoi(arguments[3]) : 50;
	static char buffer[1 << 16];

	setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	for (unsigned seed = first; seed < first + seeds; seed++) {
		state = seed * 0x9e3779b97f4a7c15;
		for (unsigned i = 0; i < operations; i++) {
			printf("%u.%u ", seed, i);
			operate();
			look("now");
		}
		for (int i = 0; i < REGIONS; i++)
			forget(&regions[i]);
	}
	return 0;
}
