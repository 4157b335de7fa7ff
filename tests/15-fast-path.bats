#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The fast path as it runs in a program: what a create and a destroy execute when the thread's cache serves them.

load lib/helper

setup() {
	requires objdump
	[[ $(uname -m) == x86_64 ]] || skip "the processor is not x86-64"
	[[ -x $COPOOL_BUILD/unit/entry_x86_test ]] || lacks "there is no unit/entry_x86_test (make unit)"
	cd "$BATS_TEST_TMPDIR" || return
	"$COPOOL_BUILD/unit/entry_x86_test" get put
}

# The straight line through the code in FILE, from its first instruction to its first return, or to the jump back into
# the function that has it: no branch taken.
fast_path() {
	objdump --disassemble-all --target=binary --architecture=i386:x86-64 --no-show-raw-insn "$1" |
		awk -F '\t' '/^ / { sub(/ *#.*/, "", $2); print $2 } $2 ~ /^(ret|jmp)/ { exit }'
}

# Instructions that the fast path must not have: locked, fencing, calling, or entering the kernel.
is_free_of_them() {
	local path
	path=$(fast_path "$1")
	echo "$path"
	grep -q "^$2" <<<"$path"
	path=$(sed '$d' <<<"$path")
	! grep -E '^(lock|xchg +[^%].*\(|xchg .*,[^,]*\(|[lms]fence|call|syscall|sysenter|int|cmpxchg|jmp|\(bad\))' <<<"$path"
}

@test "fast path: a create from the cache has no locked instruction and no call" {
	is_free_of_them get ret
}

@test "fast path: a destroy into the cache has no locked instruction and no call" {
	is_free_of_them put jmp
}

@test "fast path: a pair takes at most 28 instructions, of which QEMU has six as well, and a jump to each half" {
	local count
	count=$( (fast_path get; fast_path put) | wc -l)
	echo "$count instructions"
	((count >= 20 && count <= 28))
}
