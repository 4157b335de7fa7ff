#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Real programs and small ones under a libcopool.so whose every atomic operation may first yield the processor, so that other threads
# run where they hardly ever do (unit/perturb.h): the same output as without it, and counters that balance.
# Each run prints its seed; COPOOL_SEED=N tries it again.

load lib/helper
load lib/php
load lib/qemu

setup() {
	requires jq
	requires_program limits mappings stacks qemu_like
	cd "$BATS_TEST_TMPDIR" || return
	COPOOL_SO=$COPOOL_BUILD/san-perturb/libcopool.so
	[[ -e $COPOOL_SO ]] || lacks "there is no $COPOOL_SO (make check builds it)"
	# shellcheck disable=SC2034 # same_twin's
	FILTER='/^# COPOOL_SEED=/d'
}

# does_the_same [VARIABLE=VALUE...] COMMAND...: and more than once, since other operations are delayed each time.
does_the_same() {
	for _ in 1 2 3; do
		rm -f "$LOG"
		same_twin "$@"
		[[ $status -eq 0 ]]
		check_balance
	done
}

@test "perturbed: threads make stacks while memory is locked and unlocked" {
	[[ $EUID -eq 0 ]] || skip "only root may lock so much"
	local guard
	for guard in auto poison mprotect; do
		does_the_same COPOOL_HOST=stacks COPOOL_GUARD=$guard "$PROGRAMS/limits" storm 30
	done
}

@test "perturbed: random programs that do all that can be done to mappings" {
	does_the_same COPOOL_HOST=stacks "$PROGRAMS/mappings" 1 100
}

@test "perturbed: threads with stacks of their own, and children forked at the same time" {
	does_the_same COPOOL_HOST=stacks COPOOL_DECAY_MS=100 "$PROGRAMS/stacks" threads 20
}

@test "perturbed: threads create and destroy, for themselves, for others, in signal handlers and around forks" {
	local scenario
	for scenario in threads short-threads hand-over signals thread-keys forks; do
		does_the_same COPOOL_DECAY_MS=100 COPOOL_INTERVAL_MS=10 "$PROGRAMS/qemu_like" $scenario
	done
}

@test "perturbed: QEMU copies an image" {
	requires qemu-img
	head -c 8M /dev/urandom >image
	does_the_same sh -c 'qemu-img convert -m 16 -W -f raw -O qcow2 image other && qemu-img compare -f raw -F qcow2 image other'
}

@test "perturbed: PHP's fibers" {
	requires php
	small_fibers_php
	does_the_same php -n fibers.php
}
