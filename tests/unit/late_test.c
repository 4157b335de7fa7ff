/* SPDX-License-Identifier: MIT */
/* Waiting for a known allocator: this program has one, with the name that perl's Coro uses. */
#include "adapter/late.h"

#include "adapter/sites.h"
#include "libc/elsewhere.h"
#include "system/self.h"
#include "tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STRANGERS = 2000, ASKED = 7 };

static unsigned comes;
static bool is_to_come, forks;
static pid_t child = -1;

/* Returns where it is called from, as the hook of mmap sees it. */
__attribute__((noinline)) static const void *ask(void)
{
	return __builtin_return_address(0);
}

__attribute__((visibility("default"))) const void *coro_stack_alloc(void);

__attribute__((noinline)) const void *coro_stack_alloc(void)
{
	const void *caller = ask();

	late_look(caller);
	return caller;
}

static bool come(void)
{
	comes++;
	/* No other call comes in, not even one from inside. */
	coro_stack_alloc();
	if (!forks)
		return is_to_come;
	forks = false;
	child = fork();
	if (child == 0) {
		late_fork_child();
		coro_stack_alloc();
		_exit(comes == 2 && !late_is_waiting() ? 0 : 1);
	}
	return is_to_come;
}

static void wait_anew(bool comes_then)
{
	comes = 0;
	is_to_come = comes_then;
	late_wait(come);
}

static void test_strangers(void)
{
	static char code[STRANGERS];

	wait_anew(true);
	errno = ASKED;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < STRANGERS; i++)
			late_look(&code[i]);
	}
	tap_ok(comes == 0 && late_is_waiting(), "late: of calls elsewhere, however many, none is waited for");
	tap_ok(errno == ASKED, "late: errno survives");
	tap_ok(!sites_is_known(code) && sites_is_known(coro_stack_alloc()), "late: a known one is known");
	tap_is(comes, 1, "late: among many strangers it is found");
}

static void test_once(void)
{
	wait_anew(true);
	for (int i = 0; i < 3; i++)
		coro_stack_alloc();
	tap_ok(comes == 1 && !late_is_waiting(), "late: what has come does not come again");
	wait_anew(false);
	for (int i = 0; i < 3; i++)
		coro_stack_alloc();
	tap_ok(comes == 1 && !late_is_waiting(), "late: what could not come is not asked again");
}

static void test_fork(void)
{
	int status = -1;

	wait_anew(true);
	forks = true;
	coro_stack_alloc();
	tap_ok(child > 0 && waitpid(child, &status, 0) == child && status == 0,
	        "late: a child that was forked in the middle does it again");
	tap_is(comes, 1, "late: its parent does not");
}

int main(void)
{
	self_know();
	elsewhere_init();
	tap_ok(!late_is_waiting(), "late: nobody waits at first");
	coro_stack_alloc();
	tap_is(comes, 0, "late: nor comes");
	test_strangers();
	test_once();
	test_fork();
	return tap_done();
}
