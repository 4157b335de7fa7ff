/* SPDX-License-Identifier: MIT */
/*
 * squeeze N: threads with stacks of two sizes, other mappings and memory from malloc, while one limits its addresses
 * and its data, locks all memory, asks for more than there is, and forks, N times. Says how often anything was not as
 * its owner had left it. That there is no memory within a limit is no fault.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	PAGE = 4096,
	SMALL = 64 << 10,
	LARGE = 256 << 10,
	HELD = 48,
	THREADS = 3,
	RW = PROT_READ | PROT_WRITE
};
enum { PLAIN = MAP_PRIVATE | MAP_ANONYMOUS };

/* What a thread has of each kind, and what it does with it. */
enum kind { SMALL_STACK, LARGE_STACK, MAPPING, MEMORY, KINDS };

struct held {
	char *at;
	size_t bytes;
	char mark;
	bool is_split; /* there was no memory to open the page that was closed */
};

static _Atomic bool is_over;
static _Atomic int damaged, denied;

__attribute__((noinline)) static char *map_small(void)
{
	char *volatile mapped = mmap(NULL, SMALL, RW, PLAIN | MAP_STACK, -1, 0);

	return mapped;
}

__attribute__((noinline)) static char *map_large(void)
{
	char *volatile mapped = mmap(NULL, LARGE, RW, PLAIN | MAP_STACK, -1, 0);

	return mapped;
}

static void check(bool is_right, const char *what)
{
	if (!is_right && damaged++ == 0)
		fprintf(stderr, "first: %s, %s\n", what, strerrorname_np(errno));
}

/* Fails only for lack of memory. */
static bool done(long result, const char *what)
{
	check(result == 0 || errno == ENOMEM || errno == EAGAIN, what);
	return result == 0;
}

static struct held make(enum kind kind, char mark)
{
	struct held made = {.mark = mark, .bytes = kind == SMALL_STACK ? SMALL : LARGE};

	if (kind == MEMORY)
		made.at = memalign(PAGE, made.bytes);
	else
		made.at = kind == SMALL_STACK   ? map_small()
		          : kind == LARGE_STACK ? map_large()
		                                : mmap(NULL, made.bytes, RW, PLAIN, -1, 0);
	if (made.at == NULL || made.at == MAP_FAILED)
		return (struct held){0};
	/* Not so other mappings: the kernel need not make one of two again, and moves only one. */
	if (kind != MAPPING)
		done(mprotect(made.at, PAGE, PROT_NONE), kind == MEMORY ? "closing a page" : "a guard");
	if (kind == MEMORY)
		made.is_split = !done(mprotect(made.at, PAGE, RW), "opening a page");
	check(made.at[PAGE] == 0 || kind != MAPPING, "a new mapping is zero");
	made.at[PAGE] = made.at[made.bytes / 2] = made.at[made.bytes - 1] = mark;
	return made;
}

static void drop(enum kind kind, struct held *held)
{
	char *moved;

	if (held->at == NULL)
		return;
	if (kind == MAPPING) {
		moved = mremap(held->at, held->bytes, 2 * LARGE, MREMAP_MAYMOVE);
		if (done(moved == MAP_FAILED ? -1 : 0, "mremap"))
			*held = (struct held){moved, 2 * LARGE, held->mark, false};
		check(held->at[LARGE - 1] == held->mark, "what was moved");
		check(madvise(held->at, held->bytes, MADV_NORMAL) == 0, "madvise");
		held->at[held->bytes / 2] = held->at[held->bytes - 1] = held->mark;
	}
	check(held->at[PAGE] == held->mark && held->at[held->bytes / 2] == held->mark &&
	                held->at[held->bytes - 1] == held->mark,
	        kind <= LARGE_STACK ? "a stack"
	        : kind == MAPPING   ? "a mapping"
	                            : "memory");
	if (kind == MEMORY && held->is_split)
		return; /* malloc needs that page: it stays as it is */
	if (kind == MEMORY)
		free(held->at);
	else
		check(munmap(held->at, held->bytes) == 0, "munmap");
	held->at = NULL;
}

static void *use(void *me)
{
	struct held held[KINDS][HELD] = {0};
	unsigned seed = (unsigned)(long)me;

	for (int i = 0; !is_over; i++) {
		enum kind kind = rand_r(&seed) % KINDS;
		/* At times it has few, at times many. */
		struct held *at = &held[kind][rand_r(&seed) % (i / 512 % 2 != 0 ? HELD : 3)];

		drop(kind, at);
		*at = make(kind, (char)(1 + rand_r(&seed) % 100));
		denied += at->at == NULL;
	}
	for (enum kind kind = 0; kind < KINDS; kind++)
		for (int i = 0; i < HELD; i++)
			drop(kind, &held[kind][i]);
	return NULL;
}

static rlim_t in_use(const char *name)
{
	FILE *file = fopen("/proc/self/status", "r");
	unsigned long kib = 0;
	char line[256];

	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		if (strncmp(line, name, strlen(name)) == 0)
			kib = strtoul(line + strlen(name), NULL, 10);
	}
	if (file != NULL)
		fclose(file);
	return (rlim_t)kib << 10;
}

static void limit(int resource, rlim_t most)
{
	setrlimit(resource, &(struct rlimit){most, RLIM_INFINITY});
}

static void fork_once(void)
{
	pid_t child = fork();
	int status = -1;

	if (child == 0) {
		for (enum kind kind = 0; kind < MEMORY; kind++) {
			struct held some[4];

			for (int i = 0; i < 4; i++)
				some[i] = make(kind, 5);
			for (int i = 0; i < 4; i++)
				drop(kind, &some[i]);
		}
		_exit(damaged != 0);
	}
	if (child > 0)
		waitpid(child, &status, 0);
	check(child < 0 || status == 0, "a child");
}

static void squeeze(int turn)
{
	switch (turn % 5) {
	case 0:
		limit(RLIMIT_AS, in_use("VmSize:") + (1 << 20));
		break;
	case 1:
		limit(RLIMIT_DATA, in_use("VmData:") + (1 << 20));
		break;
	case 2:
		mlockall(turn % 2 != 0 ? MCL_CURRENT | MCL_ONFAULT : MCL_CURRENT);
		munlockall();
		break;
	case 3:
		munmap(mmap(NULL, (size_t)1 << 46, RW, PLAIN, -1, 0), (size_t)1 << 46);
		munmap(mmap(NULL, 8 << 20, RW, PLAIN, -1, 0), 8 << 20);
		mprotect((char *)PAGE, PAGE, RW);
		break;
	default:
		fork_once();
	}
	usleep(1000 * (turn % 7));
	if (turn % 3 == 0) {
		limit(RLIMIT_AS, RLIM_INFINITY);
		limit(RLIMIT_DATA, RLIM_INFINITY);
	}
}

int main(int arguments, char **argument)
{
	int times = arguments > 1 ? atoi(argument[1]) : 1;
	pthread_t thread[THREADS];

	mallopt(M_MMAP_THRESHOLD, LARGE / 2);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, use, (void *)(i + 1));
	for (int i = 0; i < times; i++)
		squeeze(i);
	is_over = true;
	limit(RLIMIT_AS, RLIM_INFINITY);
	limit(RLIMIT_DATA, RLIM_INFINITY);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	printf("%d damaged\n", damaged);
	return damaged != 0;
}
