#!/usr/bin/env bats
# The fast path as it was compiled: what a create and a destroy execute when the thread's cache serves them.

load lib/helper

# The straight line through FUNCTION, from its entry to its first return: no branch taken.
fast_path() {
	objdump --disassemble="$1" --no-show-raw-insn "$COPOOL_SO" |
		awk -F '\t' '/^ / { sub(/ *#.*/, "", $2); print $2 } $2 ~ /^ret/ { exit }'
}

# Instructions that the fast path must not have: locked, fencing, calling, or entering the kernel.
is_free_of() {
	local path
	path=$(fast_path "$1")
	echo "$path"
	grep -q '^ret' <<<"$path"
	! grep -E '^(lock|xchg +[^%].*\(|xchg .*,[^,]*\(|[lms]fence|call|syscall|sysenter|int|cmpxchg|jmp)' <<<"$path"
}

setup() {
	requires objdump
	[[ $(uname -m) == x86_64 ]] || skip "the processor is not x86-64"
	readelf --wide --symbols "$COPOOL_SO" | grep -q ' hook_new$' || skip "the shim was stripped"
}

@test "fast path: a create from the cache has no locked instruction and no call" {
	is_free_of hook_new
}

@test "fast path: a destroy into the cache has no locked instruction and no call" {
	is_free_of hook_delete
}

@test "fast path: a pair of create and destroy takes at most 21 instructions" {
	local count
	count=$( (fast_path hook_new; fast_path hook_delete) | grep -vc '^endbr64')
	echo "$count instructions"
	((count >= 10 && count <= 21))
}
