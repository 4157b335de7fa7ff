/* SPDX-License-Identifier: MIT */
/*
 * The tracer and the traced, which stops itself before and after its work. Where its take and put begin it
 * writes to a pipe before.
 */
#include "steps.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

struct entries {
	uintptr_t take, put;
};

int steps_child(const struct contender *contender, enum pattern pattern, bool is_called)
{
	struct entries entries = {(uintptr_t)contender->take, (uintptr_t)contender->put};
	struct order order = {.pattern = pattern, .is_called = is_called, .threads = 1, .pairs = STEPS_PAIRS};
	struct lane *lane = slice_lane(0, 1);

	if (contender->take_entry != NULL)
		entries = (struct entries){(uintptr_t)contender->take_entry, (uintptr_t)contender->put_entry};
	if (contender->missing != NULL || (contender->start != NULL && !contender->start()))
		return 1;
	if (contender->thread_start != NULL)
		contender->thread_start();
	slice_warm(contender, &order, lane);
	if (write(STDOUT_FILENO, &entries, sizeof entries) != sizeof entries)
		return 1;
	raise(SIGSTOP);
	slice_run_lane(contender, &order, lane, order.pairs);
	raise(SIGSTOP);
	return 0;
}

/* Where the tracer is: in neither function, or in one since so many instructions. */
struct position {
	struct step_counts *in;
	uintptr_t back; /* its return address */
	unsigned long instructions;
};

static void enter(pid_t child, struct position *position, struct step_counts *counts, uintptr_t stack)
{
	position->in = counts;
	position->back = (uintptr_t)ptrace(PTRACE_PEEKDATA, child, (void *)stack, NULL);
	position->instructions = 0;
}

static void leave(struct position *position)
{
	struct step_counts *counts = position->in;

	counts->calls++;
	counts->instructions += position->instructions;
	if (counts->least == 0 || position->instructions < counts->least)
		counts->least = position->instructions;
	if (position->instructions > counts->most)
		counts->most = position->instructions;
	position->in = NULL;
}

static bool is_system_call(pid_t child, uintptr_t at)
{
	return (ptrace(PTRACE_PEEKTEXT, child, (void *)at, NULL) & 0xffff) == 0x050f;
}

/* One instruction: counts it, and sees where it is. */
static void look(pid_t child, struct position *position, struct steps *steps, const struct entries *entries)
{
	struct user_regs_struct registers;

	if (ptrace(PTRACE_GETREGS, child, NULL, &registers) != 0)
		return;
	if (position->in != NULL && registers.rip == position->back)
		leave(position);
	if (position->in == NULL && registers.rip == entries->take)
		enter(child, position, &steps->take, registers.rsp);
	else if (position->in == NULL && registers.rip == entries->put)
		enter(child, position, &steps->put, registers.rsp);
	if (position->in != NULL) {
		position->instructions++;
		position->in->system_calls += is_system_call(child, registers.rip);
	}
}

/* Until the child stops itself; returns the instructions it took to get there, or 0. */
static unsigned long step_to_stop(pid_t child, struct steps *steps, const struct entries *entries)
{
	struct position position = {0};
	unsigned long instructions = 0;
	int status;

	for (;;) {
		look(child, &position, steps, entries);
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0 ||
		        waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
			return 0;
		if (WSTOPSIG(status) == SIGSTOP)
			return instructions;
		instructions++;
	}
}

/* Past the stop at exec, to the one that the child makes itself. */
static bool run_to_stop(pid_t child)
{
	int status;

	for (;;) {
		if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
			return false;
		if (WSTOPSIG(status) == SIGSTOP)
			return true;
		if (ptrace(PTRACE_CONT, child, NULL, WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status)) != 0)
			return false;
	}
}

static _Noreturn void become_child(int out, const char *program, char *const *argument, const char *preload)
{
	unsetenv("LD_PRELOAD");
	if (preload != NULL) {
		setenv("LD_PRELOAD", preload, 1);
		setenv("COPOOL_DECAY_MS", "0", 1);
	}
	dup2(out, STDOUT_FILENO);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
		execv(program, argument);
	_exit(127);
}

bool steps_count(struct steps *steps, const char *program, const char *name, const char *preload,
        enum pattern pattern, bool is_called)
{
	char number[16];
	char *argument[] = {(char *)program, (char *)"stepped", (char *)name, number,
	        (char *)(is_called ? "called" : "inlined"), NULL};
	struct entries entries = {0, 0};
	unsigned long instructions;
	bool is_fine;
	pid_t child;
	int out[2];

	*steps = (struct steps){0};
	snprintf(number, sizeof number, "%d", (int)pattern);
	if (pipe(out) != 0)
		return false;
	child = fork();
	if (child == 0)
		become_child(out[1], program, argument, preload);
	close(out[1]);
	is_fine = child > 0 && run_to_stop(child) && read(out[0], &entries, sizeof entries) == sizeof entries;
	instructions = is_fine ? step_to_stop(child, steps, &entries) : 0;
	steps->pair = (double)instructions / STEPS_PAIRS;
	close(out[0]);
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	return instructions > 0;
}
