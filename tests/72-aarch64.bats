#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The pool compiled for aarch64 and run by qemu-user, where Debian's gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and
# qemu-user are installed. It has that processor's atomic instructions, and none of the reordering that a real one
# may do: an x86 host keeps its own order.

load lib/helper

setup() {
	[[ ${COPOOL_TEST_FULL-} == 1 ]] || skip "it takes a cross compiler: only in make check-full"
	command -v aarch64-linux-gnu-gcc >/dev/null || skip "there is no compiler for aarch64"
	command -v qemu-aarch64 >/dev/null || skip "there is no qemu-aarch64"
	root=$BATS_TEST_DIRNAME/..
	cd "$BATS_TEST_TMPDIR" || return
	export COPOOL_TEST_ROUNDS=20000
}

# on_aarch64 FLAGS -- PROGRAM...: these unit tests pass there.
on_aarch64() {
	local flags=() program
	while [[ $1 != -- ]]; do
		flags+=("$1")
		shift
	done
	shift
	for program; do
		aarch64-linux-gnu-gcc -static -std=gnu11 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -DCOPOOL_VERSION='"0"' \
			"${flags[@]}" -I"$root/shim" -I"$root/tests/unit" -o "$program" "$root/tests/unit/$program.c" \
			"$root"/shim/pool/*.c "$root"/shim/libc/*.c -pthread
		run timeout --kill-after=5 300 qemu-aarch64 "./$program"
		echo "$output" | grep -A 2 '^not ok' || :
		[[ $status -eq 0 && $output == *"ok 1 "* ]]
	done
}

@test "aarch64: the pool's unit tests pass" {
	on_aarch64 -- pool_test pool_control_test pool_fork_test tally_test trim_test warn_test
}

@test "aarch64: with compare-and-swap as load-exclusive and store-exclusive the depot and the pool stand their stress" {
	on_aarch64 -march=armv8-a -mno-outline-atomics -- depot_stress_test pool_stress_test
}

@test "aarch64: with the atomic instructions of ARMv8.1 too" {
	on_aarch64 -march=armv8.1-a -- depot_stress_test pool_stress_test
}

@test "aarch64: and where each atomic operation may give way" {
	on_aarch64 -include "$root/tests/unit/perturb.h" -- depot_stress_test pool_stress_test pool_fork_test trim_test
}

# Fork changes the depot's word, and then reads who is inside: a pop that only acquires would not say so there.
@test "aarch64: whoever changes a stack's word publishes what he wrote before, also in a pop" {
	local file
	for file in depot serve; do
		aarch64-linux-gnu-gcc -std=gnu11 -O2 -D_GNU_SOURCE -march=armv8.1-a -I"$root/shim" -c -o $file.o "$root/shim/pool/$file.c"
		aarch64-linux-gnu-objdump -d $file.o >$file.s
		grep $'\tcasal\tx' $file.s
		run -1 grep $'\tcasa\tx' $file.s
	done
}
