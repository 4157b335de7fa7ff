/* SPDX-License-Identifier: MIT */
/*
 * Advice about huge pages, given to stacks in all ways; prints what came of each. The same with and without the shim.
 *
 *	ranges		all of a stack and parts of it, and what the kernel has noted of them
 *	minds		the opposite after it, and after other treatment
 *	lives N		N lives of stacks that are told to have no huge pages, as PHP's are from 8.4 on
 *	refused E WHAT	the same where the kernel refuses such advice with errno E: EINVAL, as one without huge pages
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, BYTES = 64 << 10, RW = PROT_READ | PROT_WRITE };

/* One call for all, and no jump: that is what makes them alike. */
__attribute__((noinline)) static char *map(void)
{
	char *volatile mapped = mmap(NULL, BYTES, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (mapped == MAP_FAILED)
		exit(1);
	return mapped;
}

/* Whether the mapping that an address lies in has a flag: "hg" is to have huge pages, "nh" none. */
static int has_flag(const char *address, const char *flag)
{
	FILE *maps = fopen("/proc/self/smaps", "r");
	unsigned long at = (unsigned long)address, low = 0, high = 0, begin, end;
	char line[512];
	int found = 0;

	while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
		if (sscanf(line, "%lx-%lx ", &begin, &end) == 2) {
			low = begin;
			high = end;
		} else if (strncmp(line, "VmFlags:", 8) == 0 && at >= low && at < high) {
			found = strstr(line, flag) != NULL;
		}
	}
	if (maps != NULL)
		fclose(maps);
	return found;
}

static const char *pages_of(const char *address)
{
	return has_flag(address, " hg")   ? "huge pages"
	       : has_flag(address, " nh") ? "no huge pages"
	                                  : "any pages";
}

static void advise(const char *how, char *low, size_t bytes, int advice)
{
	int result;

	errno = 77;
	result = madvise(low, bytes, advice);
	printf("%s: %d %s\n", how, result, errno == 77 ? "untouched" : strerrorname_np(errno));
}

static void advise_ranges(void)
{
	char *stack = map();

	mprotect(stack, PAGE, PROT_NONE);
	advise("none", stack, 0, MADV_NOHUGEPAGE);
	advise("unaligned", stack + 1, PAGE, MADV_NOHUGEPAGE);
	advise("endless", stack, SIZE_MAX - PAGE, MADV_NOHUGEPAGE);
	advise("more than there is", stack, SIZE_MAX / 2, MADV_NOHUGEPAGE);
	advise("a byte", stack + 4 * PAGE, 1, MADV_NOHUGEPAGE);
	printf("there %s\n", pages_of(stack + 4 * PAGE));
	advise("its last page", stack + BYTES - PAGE, PAGE, MADV_NOHUGEPAGE);
	printf("there %s\n", pages_of(stack + BYTES - 1));
	advise("its guard page", stack, PAGE, MADV_NOHUGEPAGE);
	advise("above the guard", stack + PAGE, BYTES - PAGE, MADV_NOHUGEPAGE);
	advise("all", stack, BYTES, MADV_NOHUGEPAGE);
	advise("all but a byte", stack, BYTES - 1, MADV_NOHUGEPAGE);
	printf("now %s\n", pages_of(stack + PAGE));
	munmap(stack, BYTES);
}

/* Advice that was followed by the opposite, and by other treatment. */
static void change_minds(void)
{
	char *stack = map(), *next;

	mprotect(stack, PAGE, PROT_NONE);
	advise("none", stack, BYTES, MADV_NOHUGEPAGE);
	advise("some", stack + 4 * PAGE, 4 * PAGE, MADV_HUGEPAGE);
	printf("below %s, there %s, above %s\n", pages_of(stack + 2 * PAGE), pages_of(stack + 6 * PAGE),
	        pages_of(stack + 9 * PAGE));
	advise("none again", stack, BYTES, MADV_NOHUGEPAGE);
	printf("there %s\n", pages_of(stack + 6 * PAGE));
	advise("all", stack + PAGE, BYTES - PAGE, MADV_HUGEPAGE);
	munmap(stack, BYTES);
	next = map();
	printf("the next has %shuge pages\n", has_flag(next + PAGE, " hg") ? "" : "no ");
	mprotect(next + 2 * PAGE, PAGE, PROT_READ);
	advise("treated", next, BYTES, MADV_NOHUGEPAGE);
	printf("there %s, above %s\n", pages_of(next + 2 * PAGE), pages_of(next + 3 * PAGE));
	munmap(next + 4 * PAGE, PAGE);
	advise("with a hole", next, BYTES, MADV_NOHUGEPAGE);
	advise("the hole", next + 4 * PAGE, PAGE, MADV_NOHUGEPAGE);
	munmap(next, BYTES);
	next = map();
	munmap(next, BYTES);
	advise("unmapped", next, BYTES, MADV_NOHUGEPAGE);
}

static void live(int lives)
{
	int refused = 0;

	for (int i = 0; i < lives; i++) {
		char *stack = map();

		refused += madvise(stack, BYTES, MADV_NOHUGEPAGE) != 0;
		if (mprotect(stack, PAGE, PROT_NONE) != 0)
			exit(1);
		stack[BYTES - 1] = 1;
		munmap(stack, BYTES);
	}
	printf("%d lived, %d times refused\n", lives, refused);
}

static void refuse(unsigned error)
{
	struct sock_filter filter[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_NOHUGEPAGE, 0, 1),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		exit(1);
}

int main(int count, char **arguments)
{
	const char *what = count > 1 ? arguments[1] : "";

	if (strcmp(what, "ranges") == 0) {
		for (int i = 0; i < 3; i++)
			advise_ranges();
	} else if (strcmp(what, "minds") == 0) {
		change_minds();
	} else if (strcmp(what, "lives") == 0 && count > 2) {
		live(atoi(arguments[2]));
	} else if (strcmp(what, "refused") == 0 && count > 3) {
		refuse((unsigned)atoi(arguments[2]));
		execv(arguments[0], arguments + 2);
		return 1;
	} else {
		return 2;
	}
	return 0;
}
