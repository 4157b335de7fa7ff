/* SPDX-License-Identifier: MIT */
/* The system calls themselves: libc's functions have sets of a thousand signals on their stack. */
#include "report/moment.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SIGNALS = 64, FIRST_OF_LIBC = 32, LAST_OF_LIBC = 33 };

/* As the kernel has it. */
struct action {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

static uint64_t usual; /* what the first thread blocks; written by moment_know */

static uint64_t blocked(void)
{
	uint64_t mask = 0;

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
	return mask;
}

/* Whether the program has a handler for it that may run anywhere, in malloc too; or nobody can say. */
static bool is_handled(int number)
{
	struct action action;

	if (number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL ||
	        number == SIGTRAP)
		return false;
	return (number >= FIRST_OF_LIBC && number <= LAST_OF_LIBC) ||
	       syscall(SYS_rt_sigaction, number, NULL, &action, sizeof action.mask) != 0 ||
	       (action.handler != SIG_DFL && action.handler != SIG_IGN);
}

void moment_know(void)
{
	usual = blocked();
}

bool moment_is_handler(void)
{
	int saved = errno;
	uint64_t unusual = blocked() & ~usual;
	bool is_one = false;

	for (int number = 1; number <= SIGNALS && !is_one; number++)
		is_one = (unusual >> (number - 1) & 1) != 0 && is_handled(number);
	errno = saved;
	return is_one;
}
