/* SPDX-License-Identifier: MIT */
/*
 * Stacks that a program treats as it likes, each the same with and without the shim; the first argument says how.
 *
 *	end HOW N	makes N stacks, does one thing more to each, and unmaps all of it
 *	places		looks for room around its stacks with MAP_FIXED_NOREPLACE, and uses what it gets
 *	holes		what may be done to a part that was unmapped, and what may be mapped there
 *	meet N		two threads want the same place, N times
 *	raw HOW		unmaps by a bare system call; a file comes to lie there; the next stack is not in the file
 *	guards N	N lives of stacks with a guard page; then some without, of which all is used, a few of both, and
 *			again some without
 *	paint N		N lives of stacks that are written to before they have their guard page
 *	serve		serves the faults of a stack itself, unmaps it, and uses the next ones
 *	aside		gives itself advice on its stacks by process_madvise
 *	give		gives a stack's pages to a pipe, unmaps it, uses the next ones, and reads the pipe
 *	cancel		threads with a cancellation pending treat their stacks, up to a cancellation point
 *	files N		N children look for descriptors that are not theirs, while threads set guards up
 *	jump N		jumps N times out of whatever it is doing to its stacks, and unmaps them
 *	child N		N children unmap stacks whose guards threads of their parent's are setting up
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, BYTES = 64 << 10, RW = PROT_READ | PROT_WRITE, PLAIN = MAP_PRIVATE | MAP_ANONYMOUS };

/* One call for all, and no jump: that is what makes them alike. */
__attribute__((noinline)) static char *map(void)
{
	char *volatile mapped = mmap(NULL, BYTES, RW, PLAIN | MAP_STACK, -1, 0);

	return mapped;
}

static const char *error_of(int result)
{
	return result == 0 ? "done" : strerrorname_np(errno);
}

static const char *place_of(const void *mapped, const void *wanted)
{
	return mapped == wanted ? "mapped" : mapped == MAP_FAILED ? strerrorname_np(errno) : "elsewhere";
}

/* ---- end ---- */

static int unmap_halves(char *made, int first)
{
	return munmap(made + first * BYTES / 2, BYTES / 2) +
	       munmap(made + (1 - first) * BYTES / 2, BYTES / 2);
}

/* A part in the middle first; that is unmapped twice, which is no mistake. */
static int unmap_middle(char *made)
{
	return munmap(made + 4 * PAGE, PAGE) + munmap(made + 4 * PAGE, 2 * PAGE) + munmap(made, 5 * PAGE) +
	       munmap(made + 6 * PAGE, BYTES - 6 * PAGE);
}

static int grow(char *made, size_t from)
{
	char *moved;

	/* What is to be moved must be one mapping. */
	if (from == 0 && mprotect(made, PAGE, RW) != 0)
		return 1;
	moved = mremap(made + from, BYTES - from, 2 * BYTES, MREMAP_MAYMOVE);

	return moved == MAP_FAILED || munmap(moved, 2 * BYTES) != 0 || (from > 0 && munmap(made, from) != 0);
}

static int shrink(char *made)
{
	return mremap(made, BYTES, BYTES / 4, 0) != made || munmap(made, BYTES / 4) != 0;
}

static int replace(char *made, int pieces)
{
	size_t bytes = BYTES / pieces;
	int failed = 0;

	for (int i = 0; i < pieces; i++)
		failed |= mmap(made + i * bytes, bytes, RW, PLAIN | MAP_FIXED, -1, 0) != made + i * bytes;
	return failed;
}

/* What is to be done beside unmapping it; 1: that was done, too; -1: it failed. */
static int treat(char *made, const char *how)
{
	if (strcmp(how, "dontdump") == 0)
		return -(madvise(made, BYTES, MADV_DONTDUMP) != 0);
	if (strcmp(how, "dontfork") == 0)
		return -(madvise(made, BYTES, MADV_DONTFORK) != 0);
	if (strcmp(how, "lock") == 0)
		return -(mlock(made + BYTES - 2 * PAGE, 2 * PAGE) != 0);
	if (strcmp(how, "closed") == 0)
		return -(mprotect(made + 2 * PAGE, PAGE, PROT_READ) != 0);
	if (strcmp(how, "over") == 0 || strcmp(how, "quarters") == 0)
		return -(replace(made, how[0] == 'q' ? 4 : 1) != 0);
	if (strcmp(how, "lower") == 0 || strcmp(how, "upper") == 0)
		return unmap_halves(made, how[0] == 'u') != 0 ? -1 : 1;
	if (strcmp(how, "middle") == 0)
		return unmap_middle(made) != 0 ? -1 : 1;
	if (strcmp(how, "moved") == 0 || strcmp(how, "grown") == 0)
		return grow(made, how[0] == 'g' ? PAGE : 0) != 0 ? -1 : 1;
	if (strcmp(how, "shrunk") == 0)
		return shrink(made) != 0 ? -1 : 1;
	if (strcmp(how, "stays") == 0)
		return replace(made, 1) != 0 ? -1 : 1;
	return -(strcmp(how, "plain") != 0);
}

static void end(const char *how, int count)
{
	int failed = 0;

	for (int i = 0; i < count; i++) {
		char *made = map();
		int treated;

		if (made == MAP_FAILED || mprotect(made, PAGE, PROT_NONE) != 0)
			exit(1);
		memset(made + PAGE, 1, BYTES - PAGE);
		treated = treat(made, how);
		failed += treated < 0 || (treated == 0 && munmap(made, BYTES) != 0);
	}
	printf("%s: %d failed\n", how, failed);
}

/* ---- places ---- */

/* A place of 64 KiB, if it is free: nobody else gets it, and it is a mapping like any other. */
static int use_place(char *at)
{
	int flags = PLAIN | MAP_FIXED_NOREPLACE, wrong;
	char *made = mmap(at, BYTES, RW, flags, -1, 0);
	unsigned char in_core;

	if (made != at)
		return 0;
	strcpy(made, "precious");
	wrong = mmap(at, BYTES, RW, flags, -1, 0) != MAP_FAILED || strcmp(made, "precious") != 0;
	wrong += mprotect(made, BYTES, PROT_READ) != 0;
	wrong += madvise(made, BYTES, MADV_DONTNEED) != 0;
	wrong += munmap(made, BYTES) != 0;
	wrong += munmap(made, BYTES) != 0;
	if (mincore(made, PAGE, &in_core) == 0)
		wrong += access(made, F_OK) == 0 || errno != EFAULT; /* ours, and closed */
	return wrong;
}

static void places(void)
{
	uintptr_t low = UINTPTR_MAX, high = 0;
	int wrong = 0;

	for (int i = 0; i < 17; i++) {
		uintptr_t made = (uintptr_t)mmap(NULL, 33 * BYTES, RW, PLAIN | MAP_STACK, -1, 0);

		low = made < low ? made : low;
		high = made + 33 * BYTES > high ? made + 33 * BYTES : high;
	}
	for (uintptr_t at = low - (16 << 20); at < high + (64 << 20); at += BYTES)
		wrong += use_place((char *)at);
	printf("%d things were wrong\n", wrong);
}

/* ---- holes ---- */

static void holes(void)
{
	int flags = PLAIN | MAP_FIXED_NOREPLACE;
	char *made = map(), *part = made + 4 * PAGE;

	mprotect(made, PAGE, PROT_NONE);
	made[BYTES - 1] = 1;
	printf("over it: %s\n", place_of(mmap(part, PAGE, RW, flags, -1, 0), part));
	printf("unmapped: %s\n", error_of(munmap(part, 2 * PAGE)));
	printf("protected: %s\n", error_of(mprotect(part, PAGE, RW)));
	printf("with its neighbour: %s\n", error_of(mprotect(part - PAGE, 2 * PAGE, RW)));
	printf("advised: %s\n", error_of(madvise(part, PAGE, MADV_DONTNEED)));
	printf("moved: %s\n", error_of(mremap(part, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0));
	printf("more than the hole: %s\n", place_of(mmap(part, 3 * PAGE, RW, flags, -1, 0), part));
	printf("the hole: %s\n", place_of(mmap(part, 2 * PAGE, RW, flags, -1, 0), part));
	printf("again: %s\n", place_of(mmap(part, PAGE, RW, flags, -1, 0), part));
	part[0] = part[2 * PAGE - 1] = 2;
	printf("protected: %s\n", error_of(mprotect(part, PAGE, PROT_READ)));
	printf("nothing new: %s\n", place_of(mmap(part, PAGE, RW, flags, 99, 1), part));
	printf("unmapped: %s\n", error_of(munmap(made, BYTES)));
	printf("a file that is none: %s\n",
	        place_of(mmap(made, BYTES, RW, MAP_PRIVATE | MAP_FIXED_NOREPLACE, -1, 0), made));
	printf("all of it: %s\n", place_of(mmap(made, BYTES, RW, flags, -1, 0), made));
	printf("empty: %s\n", made[BYTES - 1] == 0 && made[0] == 0 ? "yes" : "no");
	printf("unmapped: %s\n", error_of(munmap(made, BYTES)));
}

/* ---- meet ---- */

enum { MANY = 12 };

static struct {
	char *_Atomic place;
	_Atomic int arrived, got;
} meeting;

/* Both threads leave it at the same moment, as near as can be. */
static void arrive(int number)
{
	meeting.arrived++;
	for (int spins = 0; meeting.arrived < 2 * number; spins++) {
		if (spins > 10000)
			sched_yield(); /* there may be one processor only */
	}
}

static void *want(void *rounds)
{
	for (int i = 0; i < *(int *)rounds; i++) {
		arrive(2 * i + 1);
		meeting.got += mmap(meeting.place, MANY * BYTES, RW, PLAIN | MAP_FIXED_NOREPLACE, -1, 0) ==
		               meeting.place;
		arrive(2 * i + 2);
	}
	return NULL;
}

/* Where some stacks were that lay side by side. */
static char *neighbours(void)
{
	char *made[MANY], *low = NULL;

	for (int i = 0; i < MANY; i++) {
		made[i] = map();
		low = low == NULL || made[i] < low ? made[i] : low;
	}
	for (int i = 0; i < MANY; i++)
		munmap(made[i], BYTES);
	return low;
}

static void meet(int rounds)
{
	pthread_t thread;
	int wrong = 0;

	pthread_create(&thread, NULL, want, &rounds);
	meeting.place = neighbours();
	for (int i = 0; i < rounds; i++) {
		meeting.got = 0;
		arrive(2 * i + 1);
		meeting.got += mmap(meeting.place, MANY * BYTES, RW, PLAIN | MAP_FIXED_NOREPLACE, -1, 0) ==
		               meeting.place;
		arrive(2 * i + 2);
		wrong += meeting.got != 1;
		munmap(meeting.place, MANY * BYTES);
	}
	pthread_join(thread, NULL);
	printf("%d times not just one got it\n", wrong);
}

/* ---- raw ---- */

/* A file is mapped until nothing but places of before are left; how often it lay in one of these. */
static int fill(char **was, int count, int fd, size_t bytes, const char *how)
{
	int same = 0;

	for (int i = 0; i < 64 && same < count; i++) {
		char *file = mmap(NULL, bytes, RW, MAP_SHARED, fd, 0);
		int is_here = 0;

		for (int j = 0; j < count; j++)
			is_here |= file >= was[j] && file < was[j] + BYTES;
		if (!is_here)
			continue; /* it fills other gaps first */
		memset(file, 'F', bytes);
		same++;
		if (strcmp(how, "stays") != 0)
			munmap(file, bytes);
	}
	return same;
}

static void unmap_bare(const char *how)
{
	size_t bytes = strcmp(how, "part") == 0 ? BYTES / 4 : strcmp(how, "more") == 0 ? 2 * BYTES : BYTES;
	char *was[8], byte = 0;
	int fd = memfd_create("file", 0), overwritten = 0;

	if (ftruncate(fd, (off_t)bytes) != 0)
		exit(1);
	for (int i = 0; i < 8; i++) {
		was[i] = map();
		mprotect(was[i], PAGE, PROT_NONE);
		was[i][BYTES - 1] = 1;
	}
	for (int i = 0; i < 8; i++)
		syscall(SYS_munmap, was[i], BYTES);
	fill(was, 8, fd, bytes, how);
	for (int i = 0; i < 64; i++) {
		char *made = map();

		memset(made + BYTES / 2, 's', BYTES / 2);
		mprotect(made, PAGE, PROT_NONE);
		overwritten += pread(fd, &byte, 1, (off_t)bytes - 1) != 1 || byte == 's';
		if (i % 2 == 0)
			munmap(made, BYTES);
	}
	printf("%d times a stack was in the file\n", overwritten);
}

/* ---- guards ---- */

/* Uses all of some stacks that are alive at once, but for the guard page of those that have one. */
static void use_all(int count, int is_guarded)
{
	char *made[64];

	for (int i = 0; i < count; i++) {
		made[i] = map();
		if (is_guarded && mprotect(made[i], PAGE, PROT_NONE) != 0)
			exit(1);
	}
	for (int i = 0; i < count; i++) {
		memset(made[i] + is_guarded * PAGE, 1, BYTES - is_guarded * PAGE);
		if (is_guarded && (access(made[i], F_OK) == 0 || errno != EFAULT))
			exit(2); /* a system call says EFAULT where a touch would kill */
		munmap(made[i], BYTES);
	}
}

/* Writes to all of a stack before it has its guard page, as those do that measure how deep it is used. */
static void paint_all(int lives)
{
	for (int i = 0; i < lives; i++) {
		char *made = map();

		memset(made, i % 2 != 0 ? 0x55 : 0, BYTES);
		if (mprotect(made, PAGE, PROT_NONE) != 0 || munmap(made, BYTES) != 0)
			exit(1);
	}
	printf("all could be painted\n");
}

static void mix_guards(int lives)
{
	for (int i = 0; i < lives; i += 50)
		use_all(50, 1);
	use_all(50, 0);
	for (int i = 0; i < 200; i++)
		use_all(1 + i % 7, i % 3 != 0);
	use_all(64, 0);
	printf("all could be used\n");
}

/* ---- serve, aside, give ---- */

static void serve(void)
{
	int faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	struct uffdio_api api = {.api = UFFD_API};
	char *first = map(), *second = map();
	struct uffdio_register all = {
	        .range = {(uintptr_t)first, BYTES}, .mode = UFFDIO_REGISTER_MODE_MISSING};
	struct uffdio_register part = {
	        .range = {(uintptr_t)second + PAGE, PAGE}, .mode = UFFDIO_REGISTER_MODE_MISSING};

	alarm(20); /* what nobody serves hangs */
	mprotect(second, PAGE, PROT_NONE);
	if (ioctl(faults, UFFDIO_API, &api) != 0) {
		printf("no userfaultfd\n");
		return;
	}
	printf("all of it: %s\n", error_of(ioctl(faults, UFFDIO_REGISTER, &all)));
	printf("a page: %s\n", error_of(ioctl(faults, UFFDIO_REGISTER, &part)));
	munmap(first, BYTES);
	munmap(second, BYTES);
	for (int i = 0; i < 50; i++) {
		char *made = map();

		memset(made, 1, BYTES);
		if (i % 2 != 0)
			munmap(made, BYTES);
	}
	printf("the next could be used\n");
}

/* Not to be dumped, and there in no child. */
static void advise_aside(void)
{
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0), status = 0;
	char *made = map();
	struct iovec range = {made, BYTES};
	pid_t child;

	printf("%s\n", process_madvise(self, &range, 1, MADV_DONTFORK, 0) == BYTES ? "taken" : "refused");
	munmap(made, BYTES);
	for (int i = 0; i < 20; i++) {
		made = map();
		made[BYTES - 1] = 7;
		child = fork();
		if (child == 0)
			_exit(made[BYTES - 1] != 7);
		waitpid(child, &status, 0);
		if (status != 0)
			break;
		munmap(made, BYTES);
	}
	printf("a child %s the next stacks\n", status == 0 ? "has" : "lacks");
}

/* What is in the pipe is what was there when the stack went. */
static void give_pages(void)
{
	char *made = map(), got[PAGE] = "";
	struct iovec range = {made + BYTES - 2 * PAGE, PAGE};
	int ends[2], wrong = 0;

	for (int i = 0; i < 20; i++)
		munmap(map(), BYTES);
	if (pipe(ends) != 0)
		return;
	memset(range.iov_base, 1, PAGE);
	printf("%s\n", vmsplice(ends[1], &range, 1, 0) == PAGE ? "given" : error_of(-1));
	munmap(made, BYTES);
	for (int i = 0; i < 20; i++) {
		made = map();
		memset(made, 2, BYTES);
		munmap(made, BYTES);
	}
	if (read(ends[0], got, PAGE) != PAGE)
		return;
	for (int i = 0; i < PAGE; i++)
		wrong += got[i] != 1;
	printf("%d bytes were wrong\n", wrong);
}

/* ---- cancel ---- */

static const char *_Atomic step;

static void *pass(void *rounds)
{
	char *made;

	pthread_cancel(pthread_self()); /* pending, until a cancellation point */
	for (long i = 0; i < (long)rounds; i++) {
		step = "mmap";
		made = map();
		step = "mprotect";
		mprotect(made, PAGE, PROT_NONE);
		mprotect(made, PAGE, RW);
		mprotect(made, 2 * PAGE, PROT_NONE);
		step = "madvise";
		madvise(made + 8 * PAGE, PAGE, MADV_DONTNEED);
		madvise(made, BYTES, MADV_DONTDUMP);
		step = "mremap";
		mremap(made, BYTES, BYTES / 2, 0);
		step = "munmap";
		munmap(made, BYTES / 4);
		munmap(made + BYTES / 4, BYTES / 4);
	}
	step = "none of these";
	pthread_testcancel();
	step = "nowhere";
	return NULL;
}

static void cancel(void)
{
	pthread_t thread;
	void *result;

	for (long i = 0; i < 3; i++) {
		pthread_create(&thread, NULL, pass, (void *)(1 + 20 * i));
		pthread_join(thread, &result);
		printf("%s in %s\n", result == PTHREAD_CANCELED ? "cancelled" : "not cancelled", step);
	}
}

/* ---- child ---- */

enum { THREADS = 4, EACH = 20 };

static char *stack[THREADS][EACH];
static _Atomic int is_over;
static pthread_barrier_t are_made;

static void *guard_and_open(void *number)
{
	char **mine = stack[(long)number];

	for (int i = 0; i < EACH; i++) {
		mine[i] = map();
		memset(mine[i] + BYTES / 2, 1, BYTES / 2);
	}
	pthread_barrier_wait(&are_made);
	for (unsigned i = 0; !is_over; i++) {
		mprotect(mine[i % EACH], PAGE, PROT_NONE);
		mprotect(mine[i % EACH], PAGE, RW);
	}
	return NULL;
}

/* How often the thread has waited for something: unlike time, the same on a busy machine. */
static long waits(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

/* In a child: what threads have that are not there. */
static int unmap_theirs(void)
{
	long before = waits();
	int wrong = 0;

	for (int i = 0; i < THREADS * EACH; i++) {
		char *made = stack[i / EACH][i % EACH];

		made[BYTES - 1]++;
		wrong += munmap(made, BYTES) != 0;
	}
	for (int i = 0; i < 100; i++)
		wrong += map() == MAP_FAILED;
	return wrong + (waits() - before > 20);
}

static void fork_children(int count)
{
	pthread_t thread[THREADS];
	int failed = 0, status;

	pthread_barrier_init(&are_made, NULL, THREADS + 1);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, guard_and_open, (void *)i);
	pthread_barrier_wait(&are_made);
	for (int i = 0; i < count; i++) {
		pid_t child = fork();

		if (child == 0)
			_exit(unmap_theirs() != 0);
		waitpid(child, &status, 0);
		failed += status != 0;
	}
	is_over = 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	printf("%d children failed\n", failed);
}

static sigjmp_buf out;

static void jump_out(int number)
{
	(void)number;
	siglongjmp(out, 1);
}

/* Not for long: also where it was left in the middle of something. */
static void jump(int times)
{
	struct itimerval soon = {.it_value.tv_usec = 300}, never = {{0, 0}, {0, 0}};
	char *volatile mine[16];
	volatile int turn = 0, slow = 0, failed = 0;
	long before;

	signal(SIGALRM, jump_out);
	for (int i = 0; i < 16; i++)
		mine[i] = map();
	while (turn++ < times) {
		if (sigsetjmp(out, 1) == 0) {
			soon.it_value.tv_usec = 100 + turn * 37 % 400;
			setitimer(ITIMER_REAL, &soon, NULL);
			for (unsigned i = 0;; i++) {
				mprotect(mine[i % 16], PAGE, PROT_NONE);
				mprotect(mine[i % 16], PAGE, RW);
				mprotect(mine[i % 16], 2 * PAGE, PROT_NONE);
				mprotect(mine[i % 16], 2 * PAGE, RW);
			}
		}
		setitimer(ITIMER_REAL, &never, NULL);
	}
	for (int i = 0; i < 16; i++) {
		before = waits();
		failed += mprotect(mine[i], BYTES, RW) != 0;
		memset(mine[i], 1, BYTES);
		failed += munmap(mine[i], BYTES) != 0;
		slow += waits() - before > 200;
	}
	for (int i = 0; i < 40; i++)
		memset(map(), 1, BYTES);
	printf("%d were slow, %d failed\n", slow, failed);
}

/* Descriptors in a child that lead to no file of ours; those of the program that has started us were there before. */
static int foreign_files(void)
{
	char name[64], leads_to[64];
	int found = 0;

	for (int fd = 0; fd < 64; fd++) {
		ssize_t length;

		snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
		length = readlink(name, leads_to, sizeof leads_to - 1);
		leads_to[length > 0 ? length : 0] = '\0';
		found += strstr(leads_to, "userfaultfd") != NULL;
	}
	return found;
}

static void look_at_files(int count)
{
	pthread_t thread[THREADS];
	int found = 0, status;

	pthread_barrier_init(&are_made, NULL, THREADS + 1);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, guard_and_open, (void *)i);
	pthread_barrier_wait(&are_made);
	for (int i = 0; i < count; i++) {
		pid_t child = fork();

		if (child == 0)
			_exit(foreign_files());
		waitpid(child, &status, 0);
		found += status != 0;
	}
	is_over = 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	printf("%d children found something\n", found);
}

int main(int count, char **arguments)
{
	const char *what = count > 1 ? arguments[1] : "", *how = count > 2 ? arguments[2] : "";

	if (strcmp(what, "end") == 0)
		end(how, count > 3 ? atoi(arguments[3]) : 1);
	else if (strcmp(what, "places") == 0)
		places();
	else if (strcmp(what, "holes") == 0)
		holes();
	else if (strcmp(what, "meet") == 0)
		meet(atoi(how));
	else if (strcmp(what, "raw") == 0)
		unmap_bare(how);
	else if (strcmp(what, "guards") == 0)
		mix_guards(atoi(how));
	else if (strcmp(what, "paint") == 0)
		paint_all(atoi(how));
	else if (strcmp(what, "serve") == 0)
		serve();
	else if (strcmp(what, "aside") == 0)
		advise_aside();
	else if (strcmp(what, "give") == 0)
		give_pages();
	else if (strcmp(what, "jump") == 0)
		jump(atoi(how));
	else if (strcmp(what, "cancel") == 0)
		cancel();
	else if (strcmp(what, "files") == 0)
		look_at_files(atoi(how));
	else if (strcmp(what, "child") == 0)
		fork_children(atoi(how));
	else
		return 2;
	return 0;
}
