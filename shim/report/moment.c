/* SPDX-License-Identifier: MIT */
/* Uses system calls directly: libc's functions put sets of a thousand signals on the stack. */
#include "report/moment.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SIGNALS = 64, FIRST_OF_LIBC = 32, LAST_OF_LIBC = 33 };

/* The kernel's struct sigaction. */
struct action {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

static uint64_t usual; /* the signals that the first thread blocks; moment_know writes it */

static uint64_t blocked(void)
{
	uint64_t mask = 0;

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
	return mask;
}

/* Whether the program has a handler for it that may interrupt anything, malloc included; true if that is not known. */
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
