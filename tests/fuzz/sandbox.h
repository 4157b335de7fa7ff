/* SPDX-License-Identifier: MIT */
/*
 * A process that runs code which nobody has read: it has five windows of memory and nothing else, no
 * descriptor, no system call, and is traced one instruction at a time. The tracer sees the windows too, so
 * code and data are put there and looked at without a call. One sandbox, one thread.
 */
#ifndef COPOOL_TESTS_FUZZ_SANDBOX_H
#define COPOOL_TESTS_FUZZ_SANDBOX_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

enum {
	SANDBOX_CODE_BYTES = 4096,
	SANDBOX_DATA_BYTES = 1 << 16,
	SANDBOX_VECTORS_BYTES = 1 << 14, /* room for the processor's state beside `regs` */
};

enum sandbox_window {
	SANDBOX_TEXT,
	SANDBOX_NEAR,  /* right behind the text */
	SANDBOX_ABOVE, /* nearly 2 GiB above it */
	SANDBOX_BELOW, /* nearly 2 GiB below it */
	SANDBOX_DATA,  /* cannot be executed; the others cannot be written */
	SANDBOX_WINDOWS,
};

struct sandbox_state {
	struct user_regs_struct regs;
	uint8_t vectors[SANDBOX_VECTORS_BYTES];
	size_t vectors_bytes;
	int signal; /* that the last step raised; 0: none */
	siginfo_t info;
};

/* Starts the process, unless it is there. 0 or -errno: -EPERM where nobody may trace. */
int sandbox_open(void);

/* Where the process sees a window, and where we do. */
uint64_t sandbox_address(enum sandbox_window window);
uint8_t *sandbox_bytes(enum sandbox_window window);

/*
 * Fills the data with a pattern, points the registers into it, and goes to `rip`. `variant` chooses between
 * registers that are addresses, numbers, or both; `flags` are some of the processor's.
 */
void sandbox_reset(struct sandbox_state *state, uint64_t rip, unsigned variant, unsigned flags);

/* Runs one instruction. 0; or -ESRCH: the process is gone. */
int sandbox_step(struct sandbox_state *state);

/* Reads the state beside the registers. */
void sandbox_read_vectors(struct sandbox_state *state);

#endif
