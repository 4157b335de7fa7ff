#!/usr/bin/env bats
# Stacks that a program treats in ways of its own: what it may do next is what it may do without the shim, what it
# has unmapped does not count as alive, and no stack comes to lie in what is not one.

load lib/helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	requires_guest treats
	export COPOOL_HOST=stacks
	treats=$GUESTS/treats
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
