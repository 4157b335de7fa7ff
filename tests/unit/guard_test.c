/* Guards of both means: what they stop, and what they leave. */
#include "stack/guard.h"

#include "tap.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RW = PROT_READ | PROT_WRITE, PAGE = 4096, PAGES = 16 };

static const struct {
	enum guard_means means;
	const char *name;
} all_means[] = {{GUARD_MADVISE, "madvise"}, {GUARD_MPROTECT, "mprotect"}};

static char *map(void)
{
	return mmap(NULL, PAGES * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Whether a child that writes there dies of SIGSEGV. */
static bool is_deadly(volatile char *at)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		struct rlimit none = {0, 0};

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSEGV, SIG_DFL);
		*at = 1;
		_exit(0);
	}
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static int count_maps(const char *low)
{
	unsigned long first, last;
	char line[512];
	int count = 0;
	FILE *maps = fopen("/proc/self/maps", "r");

	while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
		count += sscanf(line, "%lx-%lx", &first, &last) == 2 && last > (unsigned long)low &&
		         first < (unsigned long)low + PAGES * PAGE;
	if (maps != NULL)
		fclose(maps);
	return count;
}

static void test_means(enum guard_means means, const char *name)
{
	char *memory = map();
	int maps = count_maps(memory);

	errno = 77;
	tap_is(guard_install(means, memory, 2 * PAGE), means, "guard by %s: it can be had", name);
	tap_ok(is_deadly(memory) && is_deadly(memory + 2 * PAGE - 1), "guard by %s: who touches it dies",
	        name);
	tap_ok(!is_deadly(memory + 2 * PAGE), "guard by %s: who touches the page above lives", name);
	if (means == GUARD_MADVISE)
		tap_is(count_maps(memory), maps, "guard by %s: it takes no memory map", name);
	madvise(memory, PAGES * PAGE, MADV_DONTNEED);
	tap_ok(is_deadly(memory + PAGE), "guard by %s: it survives a trim", name);
	tap_is(guard_remove(means, memory, 2 * PAGE, RW), 0, "guard by %s: it can be taken away", name);
	memset(memory, 1, PAGES * PAGE);
	tap_is(errno, 77, "guard by %s: errno survives all that", name);

	guard_install(means, memory, PAGE);
	tap_is(guard_settle(means, memory, PAGE), 0, "guard by %s: it can be settled", name);
	tap_ok(is_deadly(memory), "guard by %s: settled, it kills", name);
	mprotect(memory, PAGE, RW);
	tap_ok(!is_deadly(memory), "guard by %s: settled, mprotect opens it", name);
	munmap(memory, PAGES * PAGE);
}

static void test_locked(void)
{
	char *memory = map();

	/* Not through libc: a sanitizer makes nothing of it. */
	if (syscall(SYS_mlock, memory, PAGES * PAGE) != 0) {
		tap_skip(strerror(errno), "guard: locked memory gets one by mprotect");
		return;
	}
	tap_is(guard_install(GUARD_MADVISE, memory, PAGE), GUARD_MPROTECT,
	        "guard: locked memory gets one by mprotect");
	tap_ok(is_deadly(memory), "guard: which kills");
	munmap(memory, PAGES * PAGE);
}

static void test_nowhere(void)
{
	char *memory = map();

	munmap(memory, PAGES * PAGE);
	errno = 78;
	tap_is(guard_install(GUARD_MADVISE, memory, PAGE), -ENOMEM, "guard: there is none where nothing is");
	tap_is(guard_remove(GUARD_MPROTECT, memory, PAGE, RW), -ENOMEM, "guard: nor can it be taken away");
	tap_is(errno, 78, "guard: errno survives failure too");
}

int main(void)
{
	tap_is(guard_probe(GUARD_MPROTECT), GUARD_MPROTECT, "guard: who wants mprotect gets it");
	for (size_t i = 0; i < sizeof all_means / sizeof *all_means; i++) {
		if (all_means[i].means == GUARD_MADVISE && guard_probe(GUARD_AUTO) != GUARD_MADVISE) {
			tap_skip("this kernel has no MADV_GUARD_INSTALL", "guard by madvise");
			continue;
		}
		test_means(all_means[i].means, all_means[i].name);
	}
	test_locked();
	test_nowhere();
	return tap_done();
}
