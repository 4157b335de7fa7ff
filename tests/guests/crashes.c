/* SPDX-License-Identifier: MIT */
/*
 * A program that dies, or does not, in the way that it is told: crashes WAY. With a pool as QEMU from 9.0 on,
 * whose idle coroutines are written to when they are handed out.
 */
#define POOL_SIZE 128
#define LOCKED_POOL_SIZE

#include "qemu_like.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* sigset */

enum { FEW = 100 };

static char *volatile nowhere = (char *)16;
static sigjmp_buf back;

long *box_at(long *where);
void box_drop(long *box);
void in_program(void);

/* Begins with a read of what it is given. */
EXPORTED long *box_at(long *where)
{
	return (long *)where[32];
}

EXPORTED void box_drop(long *box)
{
	*box = 0;
}

static void *create_one(void *unused)
{
	qemu_coroutine_create((void (*)(void *))die, NULL);
	return unused;
}

/* What has ended cannot be written to any more. */
static void put_out_of_reach(void)
{
	uintptr_t low = ((uintptr_t)coroutine_table + 4095) & ~4095ul;
	struct coroutine *some[FEW];

	for (int i = 0; i < FEW; i++)
		some[i] = begin();
	for (int i = 0; i < FEW; i++)
		end(some[i]);
	mprotect((void *)low, (uintptr_t)coroutine_table + sizeof coroutine_table - low, PROT_NONE);
}

/* Another thread, whose cache is empty, is to get one of them. */
static void in_pool(void)
{
	pthread_t thread;

	put_out_of_reach();
	pthread_create(&thread, NULL, create_one, NULL);
	pthread_join(thread, NULL);
}

static void in_moved_code(void)
{
	box_at((long *)nowhere);
}

EXPORTED void in_program(void)
{
	*nowhere = 1;
}

static void by_division(void)
{
	volatile int zero = 0, one = 1;

	one /= zero;
}

static void by_instruction(void)
{
	__builtin_trap();
}

static void by_sender(void)
{
	kill(getpid(), SIGSEGV);
}

__attribute__((noinline)) static int dig(volatile char *above)
{
	volatile char here[4096];

	here[0] = above[0];
	return nowhere != NULL ? dig(here) + here[1] : 0;
}

static void by_overflow(void)
{
	dig("x");
}

/* The one thread that this program has not started, or the only one. */
static void in_other_thread(void)
{
	DIR *folder = opendir("/proc/self/task");
	struct dirent *entry;
	int thread = getpid();

	while ((entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != getpid())
			thread = atoi(entry->d_name);
	}
	closedir(folder);
	syscall(SYS_tgkill, getpid(), thread, SIGSEGV);
	for (;;)
		pause();
}

static void on_signal(int number)
{
	printf("signal %d\n", number);
	fflush(stdout);
	siglongjmp(back, 1);
}

static void print_handler(const char *what, sighandler_t handler)
{
	printf("%s: %s\n", what,
	        handler == SIG_DFL     ? "default"
	        : handler == SIG_IGN   ? "ignored"
	        : handler == on_signal ? "the program's"
	        : handler == SIG_ERR   ? "error"
	        : handler == SIG_HOLD  ? "held"
	                               : "unknown");
}

static void print_action(int number)
{
	struct sigaction action;
	int result;

	memset(&action, 0xff, sizeof action);
	result = sigaction(number, NULL, &action);
	printf("sigaction %d: %d, flags %#x, blocks %d, ", number, result, (unsigned)action.sa_flags,
	        sigismember(&action.sa_mask, SIGINT));
	print_handler("handler", action.sa_handler);
}

/* All ways to ask for what is set, and to set it. */
static void handlers(void)
{
	static const int numbers[] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGUSR1};
	struct sigaction mine = {.sa_handler = on_signal}, old;

	for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
		print_action(numbers[i]);
	print_handler("signal", signal(SIGSEGV, on_signal));
	print_action(SIGSEGV);
	print_handler("signal", signal(SIGSEGV, SIG_DFL));
	print_handler("sysv_signal", sysv_signal(SIGILL, on_signal));
	print_handler("sysv_signal", sysv_signal(SIGILL, SIG_IGN));
	print_handler("sigset", sigset(SIGFPE, on_signal));
	sigaction(SIGFPE, &mine, &old);
	print_handler("old", old.sa_handler);
	sigaction(SIGFPE, &old, NULL);
	print_action(SIGFPE);
	errno = 0;
	printf("no such signal: %d, ", sigaction(1000, NULL, &old));
	printf("%d\n", errno);
}

/* What is set is looked at, kept, and put back. */
static void put_back(void)
{
	struct sigaction mine = {.sa_handler = on_signal}, old;

	sigaction(SIGSEGV, &mine, &old);
	sigaction(SIGSEGV, &old, NULL);
	print_action(SIGSEGV);
	fflush(stdout);
	in_program();
}

/* The program's own handler gets what is the program's and what is not. */
static void own_handler(void)
{
	signal(SIGSEGV, on_signal);
	if (sigsetjmp(back, 1) == 0)
		in_program();
	put_out_of_reach();
	if (sigsetjmp(back, 1) == 0)
		create_one(NULL);
	print_action(SIGSEGV);
}

static const struct {
	const char *name;
	void (*run)(void);
} ways[] = {
        {"in-pool", in_pool},
        {"in-moved-code", in_moved_code},
        {"in-program", in_program},
        {"in-other-thread", in_other_thread},
        {"by-division", by_division},
        {"by-instruction", by_instruction},
        {"by-sender", by_sender},
        {"by-overflow", by_overflow},
        {"handlers", handlers},
        {"put-back", put_back},
        {"own-handler", own_handler},
};

int main(int argc, char **argv)
{
	churn(10, 300); /* so that there is something to trim, and who does it */
	for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
		if (argc == 2 && strcmp(argv[1], ways[i].name) == 0) {
			ways[i].run();
			return 0;
		}
	}
	return 2;
}
