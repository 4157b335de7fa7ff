#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The protocols between threads, in every interleaving: tests/model.

load lib/helper

setup() {
	requires spin gcc
	models=$BATS_TEST_DIRNAME/model
	cd "$BATS_TEST_TMPDIR" || return
}

# check MODEL FLAGS...: what the checker says of it, in $output.
check() {
	rm -f pan*
	spin -a "${@:2}" "$models/$1.pml" >spin.out
	# Checkers that spin makes are not without warnings.
	gcc -O2 -w -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -DMEMLIM=6000 -o pan pan.c
	run timeout --kill-after=5 500 ./pan -m1000000
	echo "# $*: $(grep -E 'states, stored' <<<"$output")"
	grep -E 'errors: |assertion violated|invalid end state|out of memory|too small' <<<"$output"
	[[ $status -eq 0 && $output != *"out of memory"* && $output != *"max search depth too small"* ]]
}

# holds STATES MODEL FLAGS...: in all states, of which there are more than so many.
holds() {
	local states
	check "${@:2}"
	[[ $output == *"errors: 0"* ]]
	states=$(awk '/states, stored/ { print $1 }' <<<"$output")
	((states > $1))
	echo "# ${*:2}: $states states, no error" >&3
}

# fails MODEL FLAGS...: the mistake is found.
fails() {
	check "$@"
	[[ $output == *"assertion violated"* && $output == *"errors: 1"* ]]
}

is_long() {
	[[ ${COPOOL_TEST_FULL-} == 1 ]] || skip "takes minutes: only in make check-full"
}

@test "depot model: two threads lose nothing, have nothing twice and leave nothing behind" {
	holds 5000000 depot -DTHREADS=2 -DOPS=6
	holds 3000000 depot -DTHREADS=2 -DOPS=6 -DSPARES=2
}

@test "depot model: three threads neither" {
	holds 1000000 depot -DTHREADS=3 -DOPS=2
}

@test "depot model: fork finds nobody between depot and cache" {
	holds 1000000 depot -DTHREADS=2 -DOPS=2 -DFORK
	holds 500000 depot -DTHREADS=2 -DOPS=2 -DFORK -DSPARES=2
	holds 500000 depot -DTHREADS=3 -DOPS=1 -DFORK
}

@test "depot model: without the tag, and with each of five other mistakes, it is found" {
	fails depot -DOPS=6 -DNO_TAG
	fails depot -DOPS=6 -DEARLY
	fails depot -DOPS=6 -DDEPTH_APART
	fails depot -DOPS=6 -DSPARES=2 -DBUNDLE_LATE
	fails depot -DOPS=3 -DFORK -DNO_INTERRUPT
	fails depot -DOPS=3 -DFORK -DBAR_FIRST
}

@test "sleep model: our thread does not sleep on while something lies in a depot" {
	holds 500000 sleep -DTHREADS=2 -DOPS=3
}

@test "sleep model: without the second look, the fence, or the bell read first, it would" {
	fails sleep -DONE_LOOK
	fails sleep -DNO_FENCE
	fails sleep -DLATE_SEEN
}

@test "models: with more operations and threads the same holds" {
	is_long
	holds 15000000 depot -DTHREADS=3 -DOPS=3
	holds 10000000 depot -DTHREADS=2 -DOPS=3 -DFORK
	holds 5000000 sleep -DTHREADS=3 -DOPS=2
}
