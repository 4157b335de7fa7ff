#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Other versions of QEMU, from Debian's packages: unpacked, not installed.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2034 # FILTER is read by same_twin
# shellcheck disable=SC2016 # what is in single quotes is for the program to expand
# shellcheck disable=SC2054 # the commas belong to QEMU's options

load lib/helper
load lib/qemu
load lib/packages

setup() {
	requires jq
	cd "$BATS_TEST_TMPDIR" || return
	FILTER=$FILTER_SECONDS
}

null_aio=(--image-opts driver=null-aio,size=1G)

# requires_version VERSION SUITE PACKAGE...: then `qemu PROGRAM` is what to run its PROGRAM with.
requires_version() {
	root=$CACHE/qemu-$1
	requires_unpacked "qemu-$1" "$2" qemu-utils "${@:3}"
	libraries=$root/usr/lib/$(uname -m)-linux-gnu
	requires_libraries "$root/usr/bin/qemu-img" "$libraries"
	[[ $(LD_LIBRARY_PATH=$libraries "$root/usr/bin/qemu-img" --version) == *"version $1."* ]]
}

# The command line of one of its programs.
program() {
	echo "LD_LIBRARY_PATH=$libraries"
	echo "$root/usr/bin/$1"
}

# What any version must do.
check_version() {
	local img io
	mapfile -t img < <(program qemu-img)
	mapfile -t io < <(program qemu-io)
	same_twin "${img[@]}" bench -c 20000 -d 64 "${null_aio[@]}"
	[[ $status -eq 0 ]]
	check_balance
	rm "$LOG"
	random_file raw 16
	run_stock qemu-img create -q -f qcow2 image 16M
	same_twin "${io[@]}" -f qcow2 image -c 'aio_write -q -P 5 0 2M' -c 'aio_write -q -P 6 4M 2M' -c aio_flush \
		-c 'read -q -P 5 0 2M' -c 'read -q -P 6 4M 2M' -c 'read -q -P 0 2M 2M'
	[[ $status -eq 0 && $output == "" ]]
	run_pooled "${img[@]}" convert -O qcow2 raw packed
	run_stock qemu-img compare -f raw -F qcow2 raw packed
	[[ $status -eq 0 ]]
	rm "$LOG"
}

# Bursts that drain to nothing: what QEMU's own pool serves worst.
drained_bursts() {
	local img
	mapfile -t img < <(program qemu-img)
	same_twin "${img[@]}" bench -w -c 30000 -d 1024 --flush-interval=1024 "${null_aio[@]}"
	[[ $status -eq 0 ]]
	check_balance
	[[ $(log_open host) == qemu ]]
}

# Each program that lies in a folder, run with $libraries, ends its coroutines where ours are put back.
programs_are_taken_over() { # FOLDER
	local name found=0
	for name in qemu-img qemu-io qemu-nbd qemu-storage-daemon qemu-system-x86_64; do
		[[ -x $1/$name ]] || continue
		same_twin LD_LIBRARY_PATH="$libraries" "$1/$name" --version
		[[ $status -eq 0 ]]
		[[ $(log_open host) == qemu && $(log_open way) == ending ]]
		rm "$LOG"
		((++found))
	done
	((found >= 3))
}

@test "QEMU: of each version at hand all programs are taken over where their coroutines end" {
	requires_qemu qemu-img
	libraries='' programs_are_taken_over /usr/bin
	requires_version 10.0 bookworm-backports
	programs_are_taken_over "$root/usr/bin"
	requires_version 5.2 bullseye liburing1
	programs_are_taken_over "$root/usr/bin"
}

@test "QEMU 10.0: its coroutines are pooled, with the same output, status and images" {
	requires_version 10.0 bookworm-backports
	check_version
	drained_bursts
	is_pooled_qemu
}

@test "QEMU 10.0: drained bursts come to our pool alone, and none takes the lock of its own" {
	requires_version 10.0 bookworm-backports
	requires_program count_contexts
	drained_bursts
	creates=$(($(pool_final create_local) + $(pool_final create_depot) + $(pool_final create_new)))
	((creates >= 30000 && $(pool_final create_new) <= 1025 && $(pool_final live) == 0))
	mapfile -t img < <(program qemu-img)
	bench=("${img[@]}" bench -w -c 30000 -d 1024 --flush-interval=1024 "${null_aio[@]}")
	run_shown env LD_PRELOAD="$PROGRAMS/count_contexts" COUNT_POOL_LOCKS="$PWD/stock" "${bench[@]}"
	run_pooled LD_PRELOAD="$COPOOL_SO $PROGRAMS/count_contexts" COUNT_POOL_LOCKS="$PWD/pooled" "${bench[@]}"
	echo "locks of its own pool: $(<stock), pooled $(<pooled)"
	(($(<stock) > 10000 && $(<pooled) == 0))
}

@test "QEMU 10.0: create_new is what an observer outside of the shim counts" {
	requires_version 10.0 bookworm-backports
	requires_program count_contexts
	mapfile -t img < <(program qemu-img)
	run_pooled LD_PRELOAD="$COPOOL_SO $PROGRAMS/count_contexts" COUNT_CONTEXTS="$PWD/contexts" \
		"${img[@]}" bench -w -c 5000 -d 512 --flush-interval=512 "${null_aio[@]}"
	[[ $status -eq 0 && $(<contexts) -ge 512 && $(pool_final create_new) -eq $(<contexts) ]]
}

@test "QEMU 5.2: its coroutines are pooled, with the same output, status and images" {
	requires_version 5.2 bullseye liburing1
	check_version
	drained_bursts
	is_pooled_qemu
}

@test "QEMU 5.2: drained bursts make no more coroutines than are needed at once" {
	requires_version 5.2 bullseye liburing1
	drained_bursts
	(($(pool_final create_new) <= 1025 && $(pool_final live) == 0))
	(($(pool_final create_local) + $(pool_final create_depot) > 28000))
}

# ---- without a patch ----

# by_stacks WHY COMMAND...: its bursts take their stacks from us, and nothing is patched; the log says why. Most of the
# mappings that it makes without us are not made.
by_stacks() {
	local why=$1 mapped stock
	shift
	requires strace
	run_shown "${before[@]}" strace -f -c -o stock -e trace=mmap,munmap "$@"
	[[ $status -eq 0 && $output == *"Run completed"* ]]
	run_shown "${before[@]}" strace -f -c -o pooled -e trace=mmap,munmap -E LD_PRELOAD="$COPOOL_SO" -E COPOOL_LOG="$LOG" "$@"
	[[ $status -eq 0 && $output == *"Run completed"* ]]
	[[ $(log_open host) == qemu && $(log_open mode) == pool && $(log_open way) == stacks ]]
	[[ $(log_open detail) == *"own pool: "*$why* ]]
	check_balance
	[[ $(log_records final .pool | sort -u) == "stack "*" qemu" ]]
	stock=$(awk '$NF == "total" { print $4 }' stock) mapped=$(awk '$NF == "total" { print $4 }' pooled)
	echo "calls: $stock, pooled $mapped"
	((stock > 10000 && mapped < stock / 10))
	# Where there is no log, the standard error says it once.
	run_shown "${before[@]}" env LD_PRELOAD="$COPOOL_SO" "$1" bench -c 1 -d 1 "${null_aio[@]}"
	[[ $status -eq 0 && $(grep -c "^copool: .*own pool: .*$why" <<<"$output") -eq 1 ]]
}

bursts=(bench -w -c 15000 -d 1024 --flush-interval=1024 "${null_aio[@]}")

@test "QEMU: where there is no decoder to read its code with, its stacks are recycled" {
	requires_qemu qemu-img
	requires unshare ldconfig
	unshare --mount true 2>/dev/null || skip "no mount namespace can be made here"
	zydis=$(ldconfig -p | sed -n 's/.*libZydis\.so.* => //p' | head -n 1)
	[[ $zydis ]] || lacks "the library Zydis is not installed"
	: >empty
	before=(unshare --mount bash -c 'mount --bind empty "$1" && exec "${@:2}"' bash "$(realpath "$zydis")")
	by_stacks Zydis qemu-img "${bursts[@]}"
}

# What systemd's MemoryDenyWriteExecute= asks of the kernel, from Linux 6.3 on; programs that it starts inherit it.
deny_write_execute='import ctypes, os, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0: sys.exit(99)
os.execvp(sys.argv[1], sys.argv[1:])'

@test "QEMU: where nothing may become executable, its stacks are recycled" {
	requires_qemu qemu-img
	requires python3
	python3 -c "$deny_write_execute" true || skip "the kernel has no PR_SET_MDWE"
	before=(python3 -c "$deny_write_execute")
	by_stacks executable qemu-img "${bursts[@]}"
}

@test "QEMU 10.0: where nothing may become executable, its stacks are recycled" {
	requires_version 10.0 bookworm-backports
	requires python3
	python3 -c "$deny_write_execute" true || skip "the kernel has no PR_SET_MDWE"
	mapfile -t img < <(program qemu-img)
	before=(env "${img[0]}" python3 -c "$deny_write_execute")
	by_stacks executable "${img[1]}" "${bursts[@]}"
}

@test "QEMU: 60,000 coroutines at once are not too many where nothing may become executable" {
	requires_qemu qemu-img
	requires python3
	python3 -c "$deny_write_execute" true || skip "the kernel has no PR_SET_MDWE"
	random_file raw 16
	run_shown python3 -c "$deny_write_execute" env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" \
		qemu-img bench -c 60000 -d 60000 -t none -i threads -f raw raw
	[[ $(log_open way) == stacks ]]
	[[ $(log_open detail) == *"cost no memory maps"* ]] || skip "guard pages take memory maps here"
	[[ $status -eq 0 && $output == *"Run completed"* ]]
}
