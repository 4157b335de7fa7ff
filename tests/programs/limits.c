/* SPDX-License-Identifier: MIT */
/*
 * Stacks of a program that lives within limits, and of one that is looked at from outside; the first argument
 * says which.
 *
 *	data BYTES	as many stacks as RLIMIT_DATA allows, which counts what strict overcommit counts
 *	lack N		needs most of its data, which is limited, for other things each time that N stacks have come and gone
 *	late N		limits its addresses, and its data, after N stacks have come and gone, and uses what it has then
 *	probe N		asks for what cannot be there, after N stacks have come and gone; says whether anything is gone
 *	among N		the same as late, but every tenth of N stacks stays in use; what the kernel maps between them
 *	child N		the same as late in a child of vfork; says whether what N stacks have left is still there
 *	count N		what the kernel counts for N stacks, in KiB
 *	lock FLAGS	mlockall with these (1 current, 2 future, 4 on fault), within a small RLIMIT_MEMLOCK,
 *			and what became of stacks of before and after
 *	idle N		mlockall of what there is within that limit, after N stacks have come and gone
 *	part FLAGS	the same for mlock and mlock2 of one stack
 *	storm N		four threads make and unmap, while all memory is locked and unlocked N times
 *	place		what can be mapped where a stack was
 *	key		protection keys
 *	stop		runs on a stack, to be stopped in `here`
 *	wait N		N stacks, each with its number; says where the last is, and waits
 *	crash N		the same, and dies
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { PAGE = 4096, BYTES = 128 << 10, MANY = 1 << 16, RW = PROT_READ | PROT_WRITE };
enum { PLAIN = MAP_PRIVATE | MAP_ANONYMOUS };

static char *stack[MANY];

/* One call for all, and no jump: that is what makes them alike. */
__attribute__((noinline)) static char *map(void)
{
	char *volatile mapped = mmap(NULL, BYTES, RW, PLAIN | MAP_STACK, -1, 0);

	return mapped;
}

static char *make(void)
{
	char *made = map();

	if (made == MAP_FAILED)
		return NULL;
	if (mprotect(made, PAGE, PROT_NONE) != 0) {
		munmap(made, BYTES);
		return NULL;
	}
	made[BYTES - 1] = 1;
	return made;
}

static int make_all(int count)
{
	int made = 0;

	while (made < count && (stack[made] = make()) != NULL)
		made++;
	return made;
}

static void unmap_all(int count)
{
	for (int i = 0; i < count; i++)
		munmap(stack[i], BYTES);
}

static const char *error_of(int result)
{
	return result == 0 ? "done" : strerrorname_np(errno);
}

/* A system call says EFAULT where a touch would kill. */
static bool is_guarded(const char *made)
{
	return access(made, F_OK) != 0 && errno == EFAULT;
}

/* ---- what is counted ---- */

static void fill_data(rlim_t bytes)
{
	struct rlimit limit = {bytes, bytes};
	int made;

	setrlimit(RLIMIT_DATA, &limit);
	made = make_all(MANY);
	printf("%s\n", strerrorname_np(errno));
	unmap_all(made);
	printf("made %d\n%s\n", made, make_all(made) == made ? "and again" : "but not again");
}

/* The sizes of the mappings that have a flag, and in which `within` lies unless it is NULL; in KiB. */
static long flagged_kib(const char *flag, const char *within)
{
	FILE *maps = fopen("/proc/self/smaps", "r");
	unsigned long low = 0, high = 0, at = (unsigned long)within;
	long kib = 0, sum = 0;
	char line[512];

	while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
		sscanf(line, "%lx-%lx ", &low, &high);
		sscanf(line, "Size: %ld kB", &kib);
		if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, flag) != NULL &&
		        (within == NULL || (at >= low && at < high)))
			sum += kib;
	}
	if (maps != NULL)
		fclose(maps);
	return sum;
}

static long status_kib(const char *name)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];
	long kib = -1;

	while (status != NULL && fgets(line, sizeof line, status) != NULL) {
		if (strncmp(line, name, strlen(name)) == 0)
			kib = atol(line + strlen(name));
	}
	if (status != NULL)
		fclose(status);
	return kib;
}

static void count(int many)
{
	long data = status_kib("VmData:"), accounted = flagged_kib(" ac ", NULL);

	make_all(many);
	printf("data %ld\naccounted %ld\n", status_kib("VmData:") - data,
	        flagged_kib(" ac ", NULL) - accounted);
}

/* ---- locked memory ---- */

static bool is_locked(const char *made)
{
	return flagged_kib(" lo ", made + PAGE) > 0;
}

static void say(const char *name, char *made)
{
	static unsigned char page[BYTES / PAGE];
	int resident = 0;

	mincore(made, BYTES, page);
	for (int i = 1; i < BYTES / PAGE; i++)
		resident += page[i] & 1;
	printf("%s: %s, %d pages resident, guard %s\n", name, is_locked(made) ? "locked" : "not locked",
	        resident, is_guarded(made) ? "there" : "gone");
}

static void drop_rights(rlim_t bytes)
{
	struct rlimit limit = {bytes, bytes};

	setrlimit(RLIMIT_MEMLOCK, &limit);
	if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
		exit(1);
}

static void lock(int flags)
{
	char *live, *after, *again;

	drop_rights(8 << 20);
	unmap_all(make_all(8));
	live = make();
	printf("mlockall %s\n", error_of(mlockall(flags)));
	say("before", live);
	after = make();
	say("after", after);
	munmap(live, BYTES);
	again = make();
	say("in its place", again);
	printf("locked %s\n", status_kib("VmLck:") < 8 << 10 ? "within the limit" : "beyond it");
	printf("munlockall %s\n", error_of(munlockall()));
	say("unlocked", after);
	munmap(after, BYTES);
	munmap(again, BYTES);
	printf("afterwards: %s\n", is_locked(make()) ? "locked" : "not locked");
	printf("locked in the end: %ld\n", status_kib("VmLck:"));
}

static void lock_part(int flags)
{
	char *made = make();
	int result;

	drop_rights(8 << 20);
	result = flags != 0 ? mlock2(made + PAGE, BYTES - PAGE, MLOCK_ONFAULT)
	                    : mlock(made + PAGE, BYTES - PAGE);
	printf("mlock %s\n", error_of(result));
	say("it", made);
	printf("locked %ld\n", status_kib("VmLck:"));
	munmap(made, BYTES);
	made = make();
	say("the next", made);
	printf("locked %ld\n", status_kib("VmLck:"));
}

static _Atomic bool is_over;
static _Atomic int damaged;

static void *make_some(void *me)
{
	char *held[16] = {0}, mark = (char)(long)me;

	for (int i = 0; !is_over; i++) {
		char **at = &held[i * 7 % 16];

		if (*at != NULL) {
			damaged += (*at)[PAGE] != mark || (*at)[BYTES - 1] != mark || !is_guarded(*at);
			damaged += munmap(*at, BYTES) != 0;
		}
		*at = make();
		if (*at != NULL)
			(*at)[PAGE] = (*at)[BYTES - 1] = mark;
		else
			damaged++;
	}
	for (int i = 0; i < 16; i++) {
		if (held[i] != NULL)
			munmap(held[i], BYTES);
	}
	return NULL;
}

static void storm(int times)
{
	pthread_t thread[4];
	int failed = 0;

	for (long i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, make_some, (void *)(i + 1));
	for (int i = 0; i < times; i++) {
		failed += mlockall(i % 2 != 0 ? MCL_CURRENT | MCL_ONFAULT : MCL_CURRENT | MCL_FUTURE) != 0;
		failed += munlockall() != 0;
	}
	is_over = true;
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	printf("%d damaged, %d failed\n", damaged, failed);
}

/* ---- what a program may do ---- */

static void map_in_place(void)
{
	char *made = make(), *other;

	other = mmap(made, BYTES, RW, PLAIN | MAP_FIXED_NOREPLACE, -1, 0);
	printf("over a stack: %s\n", other == MAP_FAILED ? strerrorname_np(errno) : "mapped");
	for (int i = 0; i < 3; i++) {
		munmap(made, BYTES);
		errno = 0;
		other = mmap(made, i == 2 ? PAGE : BYTES, RW, PLAIN | MAP_FIXED_NOREPLACE, -1, 0);
		printf("where it was: %s\n", other == made ? "mapped" : strerrorname_np(errno));
		if (other == made)
			printf("byte %d\n", other[PAGE - 1]++);
	}
}

static void protect_by_key(void)
{
	char *made = make();

	printf("no key: %s\n", error_of(pkey_mprotect(made, BYTES, RW, -1)));
	made[0] = 1;
	printf("a key that is not ours: %s\n", error_of(pkey_mprotect(made, BYTES, RW, 14)));
	printf("none at all: %s\n", error_of(pkey_mprotect(made, BYTES, RW, 99)));
	made[0]++;
	munmap(made, BYTES);
	printf("unmapped: %s\n", error_of(pkey_mprotect(made, BYTES, RW, -1)));
	made = make();
	printf("%s\n", is_guarded(made) ? "the next has its guard" : "no guard");
}

/* ---- looked at from outside ---- */

__attribute__((noinline)) static void here(const char *text)
{
	__asm__ volatile("" : : "r"(text) : "memory");
}

__attribute__((noinline)) static int descend(int depth)
{
	if (depth == 0)
		here("at the bottom");
	else
		depth += descend(depth - 1);
	__asm__ volatile("" : "+r"(depth));
	return depth;
}

static void run(void)
{
	descend(3);
}

static void stop(void)
{
	ucontext_t main_context, context;

	for (int i = 0; i < 40; i++) {
		stack[0] = make();
		getcontext(&context);
		context.uc_stack.ss_sp = stack[0];
		context.uc_stack.ss_size = BYTES;
		context.uc_link = &main_context;
		makecontext(&context, run, 0);
		swapcontext(&main_context, &context);
		munmap(stack[0], BYTES);
	}
	puts("ran");
}

static void number_all(int many)
{
	int made = make_all(many);

	for (int i = 0; i < made; i++)
		sprintf(stack[i] + BYTES / 2, "the stack %d", i);
	printf("%p\n", (void *)(stack[made - 1] + BYTES / 2));
	fflush(stdout);
}

static void limit(const char *what, int resource)
{
	struct rlimit room = {128 << 20, RLIM_INFINITY};
	void *most;

	printf("%s %s\n", what, setrlimit(resource, &room) == 0 ? "limited" : strerrorname_np(errno));
	most = mmap(NULL, 90 << 20, RW, PLAIN, -1, 0);
	printf("%s\n", most != MAP_FAILED ? "there" : strerrorname_np(errno));
	if (most != MAP_FAILED)
		munmap(most, 90 << 20);
}

static void come_and_go(int count)
{
	int made = make_all(count);

	printf("made %d\n", made);
	while (made > 0)
		munmap(stack[--made], BYTES);
}

static void limit_late(int count)
{
	come_and_go(count);
	limit("addresses", RLIMIT_AS);
	come_and_go(10);
	limit("data", RLIMIT_DATA);
	come_and_go(10);
}

/* In three ways. */
static void lack(int count)
{
	struct rlimit room = {64 << 20, RLIM_INFINITY};
	const size_t most = 50 << 20;
	char *memory;

	setrlimit(RLIMIT_DATA, &room);
	come_and_go(count);
	memory = mmap(NULL, most, RW, PLAIN, -1, 0);
	printf("mapped %s\n", memory != MAP_FAILED ? "all" : strerrorname_np(errno));
	munmap(memory, most);
	come_and_go(count);
	memory = mmap(NULL, most, PROT_NONE, PLAIN, -1, 0);
	printf("opened %s\n", mprotect(memory, most, RW) == 0 ? "all" : strerrorname_np(errno));
	munmap(memory, most);
	come_and_go(count);
	memory = mmap(NULL, PAGE, RW, PLAIN, -1, 0);
	memory = mremap(memory, PAGE, most, MREMAP_MAYMOVE);
	printf("grown to %s\n", memory != MAP_FAILED ? "all" : strerrorname_np(errno));
}

static void limit_child(int count)
{
	struct rlimit room = {128 << 20, RLIM_INFINITY};
	long before;
	pid_t child;

	come_and_go(count);
	before = status_kib("VmSize:");
	child = vfork();
	if (child == 0)
		_exit(setrlimit(RLIMIT_AS, &room) != 0);
	waitpid(child, NULL, 0);
	printf("%s\n", status_kib("VmSize:") >= before ? "there" : "gone");
	come_and_go(count);
}

/* By malloc and by mmap, which the kernel puts where there is room. */
static void map_among(int count)
{
	struct rlimit room = {(rlim_t)count * BYTES, RLIM_INFINITY};
	int made = make_all(count), wrong = 0;
	char *memory;

	for (int i = 0; i < made; i++) {
		if (i % 10 != 0)
			munmap(stack[i], BYTES);
	}
	printf("limited %d\n", setrlimit(RLIMIT_AS, &room));
	for (int i = 0; i < 50; i++) {
		memory = memalign(PAGE, 3 * BYTES);
		wrong += memory == NULL || mprotect(memory, PAGE, PROT_NONE) != 0 ||
		         mprotect(memory, PAGE, RW) != 0 || madvise(memory, BYTES, MADV_NORMAL) != 0;
		memory = mmap(NULL, 3 * BYTES, RW, PLAIN, -1, 0);
		memory = mremap(memory, 3 * BYTES, 5 * BYTES, MREMAP_MAYMOVE);
		wrong += memory == MAP_FAILED;
	}
	for (int i = 0; i < made; i += 10)
		wrong += stack[i][BYTES - 1] != 1 || munmap(stack[i], BYTES) != 0;
	printf("%d wrong\n", wrong);
}

static void probe(int count)
{
	const size_t huge = (size_t)1 << 46;
	long before;

	come_and_go(count);
	before = status_kib("VmSize:");
	printf("huge: %s\n",
	        mmap(NULL, huge, RW, PLAIN, -1, 0) == MAP_FAILED ? strerrorname_np(errno) : "there");
	printf("no memory: %s\n", mprotect((char *)PAGE, PAGE, RW) != 0 ? strerrorname_np(errno) : "there");
	for (int i = 0; i < 3; i++)
		mmap(NULL, (size_t)1 << 45, RW, PLAIN | MAP_HUGETLB, -1, 0);
	printf("%s\n", status_kib("VmSize:") >= before ? "kept" : "gone");
	come_and_go(count);
}

static void lock_idle(int count)
{
	come_and_go(count);
	drop_rights(8 << 20);
	printf("mlockall %s\n", mlockall(MCL_CURRENT) == 0 ? "done" : strerrorname_np(errno));
	come_and_go(3);
}

int main(int arguments, char **argument)
{
	const char *what = arguments > 1 ? argument[1] : "";
	long number = arguments > 2 ? atol(argument[2]) : 0;

	if (strcmp(what, "data") == 0)
		fill_data(number);
	else if (strcmp(what, "lack") == 0)
		lack((int)number);
	else if (strcmp(what, "late") == 0)
		limit_late((int)number);
	else if (strcmp(what, "among") == 0)
		map_among((int)number);
	else if (strcmp(what, "probe") == 0)
		probe((int)number);
	else if (strcmp(what, "child") == 0)
		limit_child((int)number);
	else if (strcmp(what, "count") == 0)
		count((int)number);
	else if (strcmp(what, "lock") == 0)
		lock((int)number);
	else if (strcmp(what, "idle") == 0)
		lock_idle((int)number);
	else if (strcmp(what, "part") == 0)
		lock_part((int)number);
	else if (strcmp(what, "storm") == 0)
		storm((int)number);
	else if (strcmp(what, "place") == 0)
		map_in_place();
	else if (strcmp(what, "key") == 0)
		protect_by_key();
	else if (strcmp(what, "stop") == 0)
		stop();
	else if (strcmp(what, "wait") == 0 || strcmp(what, "crash") == 0)
		number_all((int)number);
	else
		return 2;
	if (strcmp(what, "wait") == 0)
		pause();
	if (strcmp(what, "crash") == 0)
		abort();
	return 0;
}
