/* SPDX-License-Identifier: MIT */
/*
 * contexts WAY LIVES: uses Boost.Context's make_fcontext in one of several ways, and says what it saw of the memory that
 * mmap gave it: whether stacks held anything below where they begin, and how many bytes that it relied on were not zero.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, BYTES = 16 * PAGE, ABOVE = 512, USED = 3 * PAGE };

struct transfer {
	void *context, *data;
};
void *make_fcontext(void *top, size_t bytes, void (*function)(struct transfer));
struct transfer jump_fcontext(void *to, void *data);

static long dirty_stacks, dirty_bytes;

static void body(struct transfer from)
{
	char used[USED];

	memset(used, 0xaa, sizeof used);
	__asm__ volatile("" : : "r"(used) : "memory");
	for (;;)
		from = jump_fcontext(from.context, NULL);
}

static bool is_dirty(const char *low, size_t bytes, bool count)
{
	long dirty = 0;

	for (size_t i = 0; i < bytes; i++)
		dirty += low[i] != 0;
	dirty_bytes += count ? dirty : 0;
	return dirty != 0;
}

/* What a program may rely on is above the stack; what is on it is anything. */
__attribute__((noinline)) static void look_at_stack(char *low)
{
	dirty_stacks += is_dirty(low + PAGE, BYTES - PAGE - ABOVE, false);
	is_dirty(low + BYTES - ABOVE, ABOVE, true);
	memset(low + BYTES - ABOVE, 0x55, ABOVE);
}

__attribute__((noinline)) static void look_at_table(char *low)
{
	is_dirty(low + PAGE, BYTES - PAGE, true);
	memset(low + PAGE, 0x55, BYTES - PAGE);
}

static inline __attribute__((always_inline)) char *map(void)
{
	char *low = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (low == MAP_FAILED || mprotect(low, PAGE, PROT_NONE) != 0)
		abort();
	return low;
}

/* As create_fiber1 is compiled: all in one function. A table now and then comes from the very same call. */
__attribute__((noinline)) static void in_one(long life, long table_each)
{
	char *low = map();

	if (table_each != 0 && life % table_each == table_each - 1) {
		look_at_table(low);
	} else {
		look_at_stack(low);
		jump_fcontext(make_fcontext(low + BYTES - ABOVE, BYTES - ABOVE, body), NULL);
	}
	munmap(low, BYTES);
}

/* One function for both, which makes no contexts. */
__attribute__((noinline)) static char *allocate(void)
{
	return map();
}

__attribute__((noinline)) static void by_wrapper(long life, long lives)
{
	char *low = allocate();

	if (life > lives / 2) {
		look_at_table(low);
	} else {
		look_at_stack(low);
		jump_fcontext(make_fcontext(low + BYTES - ABOVE, BYTES - ABOVE, body), NULL);
	}
	munmap(low, BYTES);
}

/* Makes contexts, but not on what it maps. */
__attribute__((noinline)) static void on_other(void)
{
	static char stack[BYTES] __attribute__((aligned(PAGE)));
	char *low = map();

	look_at_table(low);
	jump_fcontext(make_fcontext(stack + BYTES - ABOVE, BYTES - ABOVE, body), NULL);
	munmap(low, BYTES);
}

/* The stack is a part of what is mapped; a table lies above it. */
__attribute__((noinline)) static void on_part(void)
{
	char *low = map();

	is_dirty(low + BYTES / 2, BYTES / 2, true);
	memset(low + BYTES / 2, 0x55, BYTES / 2);
	jump_fcontext(make_fcontext(low + BYTES / 2, BYTES / 2, body), NULL);
	munmap(low, BYTES);
}

/* One is given back in two halves. */
__attribute__((noinline)) static void in_halves(long life)
{
	char *low = map();

	look_at_stack(low);
	jump_fcontext(make_fcontext(low + BYTES - ABOVE, BYTES - ABOVE, body), NULL);
	if (life == 100)
		munmap(low + BYTES / 2, BYTES / 2);
	munmap(low, life == 100 ? BYTES / 2 : BYTES);
}

/* Reserved, and opened above the guard; now and then two at once, of which one is given back as it is. */
__attribute__((noinline)) static void from_reserved(long life)
{
	int count = life % 3000 == 2999 ? 2 : 1;
	char *low[2];

	for (int i = 0; i < count; i++) {
		low[i] = mmap(NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (low[i] == MAP_FAILED)
			abort();
	}
	mprotect(low[0] + PAGE, BYTES - PAGE, PROT_READ | PROT_WRITE);
	look_at_stack(low[0]);
	jump_fcontext(make_fcontext(low[0] + BYTES - ABOVE, BYTES - ABOVE, body), NULL);
	while (count-- > 0)
		munmap(low[count], BYTES);
}

int main(int count, char **argument)
{
	const char *way = count == 3 ? argument[1] : "";
	long lives = count == 3 ? atol(argument[2]) : 0;

	for (long i = 0; i < lives; i++) {
		if (strcmp(way, "one") == 0)
			in_one(i, 0);
		else if (strcmp(way, "sometimes") == 0)
			in_one(i, 300);
		else if (strcmp(way, "wrapper") == 0)
			by_wrapper(i, lives);
		else if (strcmp(way, "other") == 0)
			on_other();
		else if (strcmp(way, "part") == 0)
			on_part();
		else if (strcmp(way, "halves") == 0)
			in_halves(i);
		else if (strcmp(way, "reserved") == 0)
			from_reserved(i);
		else
			return 2;
	}
	printf("%s, %ld wrong\n", dirty_stacks != 0 ? "as left" : "zeroed", dirty_bytes);
	return 0;
}
