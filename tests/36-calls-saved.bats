#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# System calls saved, as copool says, against what strace counts without the pool and with it.
# shellcheck disable=SC2054 # the commas belong to QEMU's options

load lib/helper
load lib/qemu
load lib/packages

FEW=100 # so many calls make no difference: an estimate may miss by what a cache holds, 64, and the arena makes some of its own

setup() {
	requires jq strace
	cd "$BATS_TEST_TMPDIR" || return
	strace -c -o works true 2>/dev/null || lacks "strace may not trace here"
	img=(qemu-img)
}

null_aio=(--image-opts driver=null-aio,size=1G)

requires_qemu_10() {
	local root=$CACHE/qemu-10.0 libraries
	requires_unpacked qemu-10.0 bookworm-backports qemu-utils
	libraries=$root/usr/lib/$(uname -m)-linux-gnu
	requires_libraries "$root/usr/bin/qemu-img" "$libraries"
	img=(-E "LD_LIBRARY_PATH=$libraries" "$root/usr/bin/qemu-img")
}

# calls PRELOAD COMMAND...: with what strace is told of its environment before it; how often it maps, unmaps, protects and advises memory, in
# $calls.
calls() {
	rm -f "$LOG"
	run_shown strace -f -c -o counts -E LD_PRELOAD="$1" -E COPOOL_LOG="$LOG" "${@:2}"
	[[ $status -eq 0 ]]
	calls=$(awk '$NF ~ /^(mmap|munmap|mprotect|madvise)$/ { sum += $4 } END { print sum }' counts)
}

# says_what_is_true ARGUMENT...: of qemu-img bench. Within 1 %, or a few dozen. Starting and ending is not counted.
says_what_is_true() {
	local saved=0 said off
	calls "" "${img[@]}" bench -c 1 -d 1 "${null_aio[@]}"
	((saved -= calls)) || :
	calls "" "${img[@]}" bench "$@"
	((saved += calls)) || :
	calls "$COPOOL_SO" "${img[@]}" bench -c 1 -d 1 "${null_aio[@]}"
	((saved += calls)) || :
	calls "$COPOOL_SO" "${img[@]}" bench "$@"
	((saved -= calls)) || :
	is_pooled_qemu
	check_balance
	said=$(jq -s 'map(select(.type == "final").calls_saved) | add' "$LOG")
	echo "saved $saved, said $said"
	off=$((said > saved ? said - saved : saved - said))
	((off <= FEW || off * 100 <= saved))
}

bursts=(-w -c 40960 -d 1024 --flush-interval=1024)

@test "calls saved: requests that QEMU's own pool serves save hardly any" {
	requires_qemu qemu-img
	says_what_is_true -c 50000 -d 64 "${null_aio[@]}"
}

@test "calls saved: of bursts they are those that strace counts" {
	requires_qemu qemu-img
	says_what_is_true "${bursts[@]}" "${null_aio[@]}"
}

@test "calls saved: of bursts on a raw file they are those that strace counts" {
	requires_qemu qemu-img
	truncate -s 64M raw
	says_what_is_true "${bursts[@]}" -s 512 -t writeback -i threads -f raw raw
}

@test "calls saved: of QEMU 10.0, whose own pool is another, they are those that strace counts" {
	requires_qemu_10
	truncate -s 64M raw
	says_what_is_true -c 50000 -d 64 "${null_aio[@]}"
	says_what_is_true "${bursts[@]}" "${null_aio[@]}"
	says_what_is_true "${bursts[@]}" -s 512 -t writeback -i threads -f raw raw
}
