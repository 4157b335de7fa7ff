/* Guards of all means: what they stop, and what they leave. */
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
	int signal; /* of who touches it */
} all_means[] = {
        {GUARD_MADVISE, "madvise", SIGSEGV},
        {GUARD_POISON, "poison", SIGBUS},
        {GUARD_MPROTECT, "mprotect", SIGSEGV},
};

/* A mapping that is one with no other; its neighbours stay. */
static char *map(void)
{
	char *memory = mmap(NULL, (PAGES + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(memory + PAGE, PAGES * PAGE, RW);
	return memory + PAGE;
}

/* The signal of which a child dies that writes there; 0: it lives. */
static int death_at(volatile char *at)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		struct rlimit none = {0, 0};

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		*at = 1;
		_exit(0);
	}
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
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

/* All of it in a child too: death_at forks, and at first nothing but the guard was ever touched. */
static void test_means(enum guard_means means, const char *name, int signal)
{
	char *memory = map();
	int maps = count_maps(memory);

	errno = 77;
	tap_is(guard_install(means, memory, 2 * PAGE), means, "guard by %s: it can be had", name);
	tap_is(death_at(memory), signal, "guard by %s: who touches it dies", name);
	tap_is(death_at(memory + 2 * PAGE - 1), signal, "guard by %s: at its last byte too", name);
	tap_is(death_at(memory + 2 * PAGE), 0, "guard by %s: who touches the page above lives", name);
	if (means != GUARD_MPROTECT)
		tap_is(count_maps(memory), maps, "guard by %s: it takes no memory map", name);
	memset(memory + 2 * PAGE, 1, (PAGES - 2) * PAGE);
	madvise(memory + 2 * PAGE, (PAGES - 2) * PAGE, MADV_DONTNEED);
	tap_is(death_at(memory + PAGE), signal, "guard by %s: it survives that what is above is trimmed",
	        name);
	if (means != GUARD_POISON) {
		madvise(memory, PAGES * PAGE, MADV_DONTNEED);
		tap_is(death_at(memory + PAGE), signal, "guard by %s: it survives a trim itself", name);
	}
	tap_is(guard_install(means, memory, 2 * PAGE), means, "guard by %s: it can be had again", name);
	tap_is(guard_remove(means, memory, 2 * PAGE, RW), 0, "guard by %s: it can be taken away", name);
	memset(memory, 1, PAGES * PAGE);
	tap_is(errno, 77, "guard by %s: errno survives all that", name);

	guard_install(means, memory, PAGE);
	tap_is(guard_settle(means, memory, PAGE), 0, "guard by %s: it can be settled", name);
	tap_is(death_at(memory), SIGSEGV, "guard by %s: settled, it kills", name);
	mprotect(memory, PAGE, RW);
	tap_is(death_at(memory), 0, "guard by %s: settled, mprotect opens it", name);
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
	tap_is(death_at(memory), SIGSEGV, "guard: which kills");
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
		if (guard_probe(all_means[i].means) != all_means[i].means) {
			tap_skip("this kernel has no such guards", "guard by %s", all_means[i].name);
			continue;
		}
		test_means(all_means[i].means, all_means[i].name, all_means[i].signal);
	}
	test_locked();
	test_nowhere();
	return tap_done();
}
