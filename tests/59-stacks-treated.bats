#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Stacks that a program treats in ways of its own: what it may do next is what it may do without the shim, what it
# has unmapped does not count as alive, and no stack comes to lie in what is not one.
# shellcheck disable=SC2030,SC2031 # bats runs each test in a shell of its own

load lib/helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	requires_program treats
	export COPOOL_HOST=stacks
	treats=$PROGRAMS/treats
}

@test "treated: what the program has unmapped is not alive, whatever it did to it before" {
	for how in plain dontdump dontfork lock closed over quarters lower upper middle moved grown shrunk stays; do
		rm -f "$LOG"
		same_twin "$treats" end $how 50
		[[ $status -eq 0 && $output == "$how: 0 failed" ]]
		check_balance
		[[ $(log_final live) -eq 0 ]]
		(($(log_final peak_objects) <= 2))
	done
}

@test "treated: Prometheus' gauge falls as such stacks are unmapped" {
	same_twin COPOOL_PROMETHEUS="$PWD/stacks.prom" "$treats" end closed 200
	[[ $status -eq 0 ]]
	[[ $(log_final live) -eq 0 && $(log_final pooled) -le 1 ]]
}

@test "treated: advice about huge pages says and does what it did, on all of a stack and on parts" {
	requires_program advises
	[[ -e /sys/kernel/mm/transparent_hugepage ]] || skip "this kernel has no huge pages"
	for guard in auto mprotect poison; do
		same_twin COPOOL_GUARD=$guard "$PROGRAMS/advises" ranges
		[[ $status -eq 0 && $output == *'all but a byte: 0 untouched'*'now no huge pages' ]]
		same_twin COPOOL_GUARD=$guard "$PROGRAMS/advises" minds
		[[ $status -eq 0 && $output == *'there huge pages'*'none again: 0 untouched'*'there no huge pages'* ]]
	done
}

@test "treated: where the kernel refuses that advice, it refuses it here" {
	requires_program advises
	FILTER='/^(there|now) /d' # what they are without it is not the advice's
	for error in 22 1 11; do # EINVAL, as one without huge pages; EPERM; EAGAIN
		same_twin "$PROGRAMS/advises" refused $error ranges
		[[ $status -eq 0 && $output == *'all: -1'* ]]
	done
}

# advices PRELOAD COMMAND...: how often it makes a system call for advice, in $advices.
advices() {
	rm -f "$LOG"
	run_shown strace -f -c -e trace=madvise -o counts -E LD_PRELOAD="$1" -E COPOOL_LOG="$LOG" "${@:2}"
	[[ $status -eq 0 ]]
	advices=$(awk '$NF == "madvise" { print $4 }' counts)
}

@test "treated: stacks that are told to have no huge pages cost no system call for it, but where it was refused" {
	requires_program advises
	requires strace
	strace -c -o works true 2>/dev/null || lacks "strace may not trace here"
	local few
	# The first thousand show that each has a guard page: see trust.h.
	for kernel in '' 'refused 22'; do
		# shellcheck disable=SC2086 # several words
		advices "$COPOOL_SO" "$PROGRAMS/advises" $kernel lives 2000
		few=$advices
		# shellcheck disable=SC2086 # several words
		advices "$COPOOL_SO" "$PROGRAMS/advises" $kernel lives 6000
		((advices - few <= 10))
		(($(log_final calls_saved) > 15000)) # of four in each life
	done
	advices "$COPOOL_SO" "$PROGRAMS/advises" refused 1 lives 6000
	((advices >= 6000))
	COPOOL_MODE=observe advices "$COPOOL_SO" "$PROGRAMS/advises" lives 6000
	((advices >= 6000 && advices <= 6005)) # and at most a few of libc's own
}

@test "treated: room around stacks is found by MAP_FIXED_NOREPLACE once, and is a mapping like any other" {
	same_twin "$treats" places
	[[ $status -eq 0 && $output == '0 things were wrong' ]]
}

@test "treated: a part that was unmapped is not there, until something is mapped in its place" {
	same_twin "$treats" holes
	[[ $status -eq 0 && $output == *'the hole: mapped'*'again: EEXIST'*'all of it: mapped'* ]]
}

@test "treated: of two threads that want the place of a stack one gets it" {
	same_twin "$treats" meet 20000
	[[ $status -eq 0 && $output == '0 times not just one got it' ]]
}

@test "treated: a file that comes to lie where a bare system call has unmapped a stack is never one" {
	for how in whole part more stays; do
		same_twin "$treats" raw $how
		[[ $status -eq 0 && $output == '0 times a stack was in the file' ]]
	done
}

@test "treated: a fork's child unmaps at once what its parent's threads were treating" {
	for guard in auto mprotect poison; do
		same_twin COPOOL_GUARD=$guard "$treats" child 20
		[[ $status -eq 0 && $output == '0 children failed' ]]
	done
}

@test "treated: where some stacks of a call have a guard page and others none, each has what was asked for" {
	for guard in auto mprotect poison; do
		for lives in 0 50 1000 20000; do
			same_twin COPOOL_GUARD=$guard "$treats" guards $lives
			[[ $status -eq 0 && $output == 'all could be used' ]]
			check_balance
		done
	done
}

@test "treated: D's fibers with and without a guard page have what they asked for" {
	requires ldc2
	cat >mixed.d <<-'END'
		import core.thread.fiber, core.stdc.stdlib, core.stdc.string, std.stdio;
		enum TOTAL = 64 * 1024;
		__gshared int sum;
		void use(size_t bytes) { auto low = cast(ubyte*) alloca(bytes); memset(low, 1, bytes); sum += low[bytes / 2]; }
		void run(int count, size_t bytes, size_t guard, size_t used) {
			Fiber[] all;
			foreach (i; 0 .. count) all ~= new Fiber(delegate() { use(used); Fiber.yield(); }, bytes, guard);
			foreach (turn; 0 .. 2) foreach (each; all) each.call();
			foreach (each; all) destroy(each);
		}
		void main() {
			foreach (round; 0 .. 5) {
				run(60, TOTAL - 4096, 4096, 8 * 1024);
				run(60, TOTAL, 0, TOTAL - 3072);
				run(1, TOTAL, 0, TOTAL - 3072);
			}
			writeln(sum, " were used");
		}
	END
	ldc2 -O1 mixed.d
	same_twin COPOOL_HOST=auto ./mixed
	[[ $status -eq 0 && $output == '605 were used' ]]
	check_balance
}

@test "treated: a stack whose faults the program serves itself is never handed out again" {
	same_twin "$treats" serve
	[[ $output != 'no userfaultfd' ]] || skip "userfaultfd is not to be had here"
	[[ $status -eq 0 && $output == *'the next could be used' ]]
}

@test "treated: advice that the program gives itself by process_madvise holds for no later stack" {
	same_twin "$treats" aside
	[[ $status -eq 0 && $output == *'a child has the next stacks' ]]
}

@test "treated: what a pipe was given of a stack stays as it was, whoever uses the stack next" {
	same_twin "$treats" give
	[[ $status -eq 0 && $output == *given*'0 bytes were wrong' ]]
}

@test "treated: nothing that a program does to its stacks is a cancellation point" {
	local guard
	for guard in auto mprotect poison; do
		same_twin COPOOL_GUARD=$guard "$treats" cancel
		[[ $status -eq 0 && $output != *'cancelled in m'* ]]
	done
}

@test "poison: a fork's child gets no descriptor of ours" {
	same_twin COPOOL_GUARD=poison "$treats" files 200
	[[ $status -eq 0 && $output == '0 children found something' ]]
}

@test "guard: where advice is taken and not followed there are guards nevertheless" {
	requires qemu-x86_64
	ulimit -c 0
	for lives in 0 100; do
		run_shown env -u LD_PRELOAD qemu-x86_64 -E LD_PRELOAD="$COPOOL_SO" -E COPOOL_LOG="$LOG" \
			"$PROGRAMS/stacks" reach $lives
		[[ $status -eq 3 && $output == 'stopped at the guard' ]]
	done
	[[ $(log_records open .detail) == *'guard pages by mprotect'* ]]
}

@test "treated: a stack that is written to before it has its guard page can be, however many were" {
	for guard in auto mprotect poison; do
		same_twin COPOOL_GUARD=$guard "$treats" paint 5000
		[[ $status -eq 0 && $output == 'all could be painted' ]]
	done
}

@test "treated: a program that jumps out of a hook in a signal handler goes on with its stacks, and waits for nobody" {
	for guard in auto mprotect poison; do
		same_twin COPOOL_GUARD=$guard "$treats" jump 1000
		[[ $status -eq 0 && $output == '0 were slow, 0 failed' ]]
	done
}
