#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Debian's unmodified QEMU for arm64, patched and run by qemu-user, with processors that sign return addresses and guard
# pages, and with one that does not. The code itself is read by unit tests on any processor: aarch64_code_test and
# aarch64_qemu_test. What qemu-user cannot show: caches of instructions, which it does not have.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2034 # FILTER is read by arm_twin
# shellcheck disable=SC2154 # lib/aarch64 sets $arm_root
# shellcheck disable=SC2054 # the commas belong to QEMU's options

load lib/helper
load lib/packages
load lib/qemu
load lib/aarch64

setup() {
	[[ ${COPOOL_TEST_FULL-} == 1 ]] || skip "a cross compiler and arm64 packages are needed: only in make check-full"
	requires jq
	cd "$BATS_TEST_TMPDIR" || return
	FILTER=$FILTER_SECONDS
	null_aio=(--image-opts driver=null-aio,size=1G)
}

# use_qemu VERSION: $arm_root has that one.
use_qemu() {
	requires_arm_build
	[[ $1 == 7.2 ]] || requires_arm_root aarch64-13 trixie base-files php8.4-cli libunwind8 qemu-utils libjansson4 libelf1t64 libncursesw6
	run -0 qemu-aarch64 -L "$arm_root" "$arm_root/usr/bin/qemu-img" --version
	[[ $output == *"version $1."* ]]
}

counted() { # the creates of the coroutines' pool
	echo $(($(pool_final create_local) + $(pool_final create_depot) + $(pool_final create_new)))
}

# Bursts of 512 that drain to nothing: as many coroutines are made as were in flight at once, and none again.
bursts_are_taken_over() {
	arm_twin "$arm_root/usr/bin/qemu-img" bench -w -c 6000 -d 512 --flush-interval=512 "${null_aio[@]}"
	[[ $status -eq 0 && $output == *'Run completed'* ]]
	is_pooled_qemu
	check_balance
	echo "$(counted) creates, $(pool_final create_new) new"
	(($(counted) >= 6000 && $(pool_final create_new) <= 513 && $(pool_final live) == 0))
}

# Each of the tools, and what they write and read.
tools_are_taken_over() {
	local name
	for name in qemu-img qemu-io qemu-nbd; do
		arm_twin "$arm_root/usr/bin/$name" --version
		[[ $status -eq 0 ]]
		is_pooled_qemu
		rm "$LOG"
	done
	random_file raw 8
	arm_pooled "$arm_root/usr/bin/qemu-img" convert -O qcow2 raw packed
	[[ $status -eq 0 ]]
	is_pooled_qemu
	arm "$arm_root/usr/bin/qemu-img" compare -f raw -F qcow2 raw packed
	[[ $status -eq 0 && $output == *identical* ]]
	rm "$LOG"
	arm_twin "$arm_root/usr/bin/qemu-io" -f qcow2 packed -c 'aio_write -q -P 5 0 2M' -c 'aio_write -q -P 6 4M 2M' -c aio_flush \
		-c 'read -q -P 5 0 2M' -c 'read -q -P 6 4M 2M'
	[[ $status -eq 0 && $output == "" ]]
	is_pooled_qemu
	check_balance
}

@test "aarch64 patches: QEMU 7.2 of Debian 12 is taken over where its coroutines end, with the same output and images" {
	use_qemu 7.2
	bursts_are_taken_over
	rm "$LOG"
	tools_are_taken_over
}

@test "aarch64 patches: QEMU 10.0 of Debian 13 too, whose return addresses are signed and whose pages are guarded" {
	use_qemu 10.0
	run -0 aarch64-linux-gnu-readelf -nW "$arm_root/usr/bin/qemu-img"
	[[ $output == *'BTI, PAC'* ]]
	export QEMU_CPU=max
	bursts_are_taken_over
	rm "$LOG"
	tools_are_taken_over
}

@test "aarch64 patches: and on a processor that does neither" {
	use_qemu 10.0
	export QEMU_CPU=cortex-a57
	bursts_are_taken_over
}

@test "aarch64 patches: with pages of 64 KiB" {
	ARM_PAGE_BYTES=65536
	use_qemu 10.0
	bursts_are_taken_over
}

@test "aarch64 patches: create_new is what an observer outside of the shim counts, and QEMU's pool is not used" {
	local version
	for version in 7.2 10.0; do
		use_qemu "$version"
		rm -f "$LOG"
		arm LD_PRELOAD="$ARM_SO $ARM_BUILD/programs/count_contexts" COPOOL_LOG="$LOG" COUNT_CONTEXTS="$PWD/contexts" \
			COUNT_POOL_LOCKS="$PWD/locks" "$arm_root/usr/bin/qemu-img" bench -w -c 4000 -d 512 --flush-interval=512 "${null_aio[@]}"
		[[ $status -eq 0 ]]
		echo "$version: $(<contexts) contexts, $(<locks) locks"
		(($(<contexts) >= 512 && $(pool_final create_new) == $(<contexts)))
		[[ $version == 7.2 ]] || (($(<locks) == 0))
	done
}

@test "aarch64 patches: what QEMU traces of its coroutines is the same" {
	local version
	for version in 7.2 10.0; do
		use_qemu "$version"
		rm -f "$LOG"
		# Process numbers, times and addresses differ.
		FILTER='s/^[0-9]+@[0-9.]+://; s/0x[0-9a-f]+/ADDRESS/g; '$FILTER_SECONDS
		arm_twin "$arm_root/usr/bin/qemu-img" -T 'qemu_coroutine_*' bench -c 100 -d 8 "${null_aio[@]}"
		[[ $status -eq 0 && $(grep -c qemu_coroutine_terminate <<<"$output") -ge 100 ]]
		is_pooled_qemu
	done
}

@test "aarch64 patches: to observe, its coroutines are counted and left to its own pool" {
	local version
	for version in 7.2 10.0; do
		use_qemu "$version"
		rm -f "$LOG"
		arm_pooled COPOOL_MODE=observe "$arm_root/usr/bin/qemu-img" bench -w -c 2000 -d 512 --flush-interval=512 "${null_aio[@]}"
		[[ $status -eq 0 && $(log_open way) == observe ]]
		(($(pool_final create_new) >= 512 && $(counted) >= 2000))
	done
}

# another_ending OFFSET: a copy of qemu-img that means the same, but ends a coroutine by `stur` in place of `str`.
another_ending() {
	cp "$arm_root/usr/bin/qemu-img" other-img
	[[ $(od -An -tx4 -j "$1" -N 4 other-img) == *f9000a7f ]] || skip "this qemu-img has its ending elsewhere"
	printf '\x7f\x02\x01\xf8' | dd of=other-img bs=1 seek="$1" conv=notrunc status=none
}

@test "aarch64 patches: QEMU 10.0 that ends its coroutines in another way is taken over where they switch back" {
	use_qemu 10.0
	another_ending $((0x1b6e70))
	arm_twin ./other-img bench -w -c 4000 -d 512 --flush-interval=512 "${null_aio[@]}"
	[[ $status -eq 0 && $output == *'Run completed'* ]]
	[[ $(log_open host) == qemu && $(log_open way) == switch ]]
	check_balance
	(($(pool_final create_new) <= 513 && $(pool_final live) <= 1))
}

@test "aarch64 patches: QEMU 7.2 that ends its coroutines in another way keeps its own pool, and its stacks are recycled" {
	use_qemu 7.2
	another_ending $((0x17e5e8))
	arm_twin ./other-img bench -w -c 4000 -d 512 --flush-interval=512 "${null_aio[@]}"
	[[ $status -eq 0 && $output == *'Run completed'* ]]
	[[ $(log_open host) == qemu && $(log_open way) == stacks && $(log_open detail) == *'is not what is known'* ]]
	check_balance
}

@test "aarch64 patches: functions that the user names are patched too" {
	requires_arm_build
	FILTER='s/^boxes .*//' # how often its own functions ran
	for QEMU_CPU in cortex-a57 max; do
		export QEMU_CPU
		rm -f "$LOG"
		arm_twin COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop "$ARM_BUILD/programs/named" plain 200
		[[ $status -eq 0 && $output == *'boxes 100 '* ]]
		[[ $(log_open host) == named && $(log_open mode) == pool && $(log_final create_new 'box_make()') -eq 100 ]]
		check_balance
	done
}

# The unit test of patching, in a program whose pages are guarded from the start.
@test "aarch64 patches: pages that were patched are guarded as before" {
	requires_arm_build
	local shim=$TESTS/../shim
	# The constructors of libgcc and of the C library's start have no landing pads.
	aarch64-linux-gnu-gcc --sysroot="$arm_root" -std=gnu11 -O1 -D_GNU_SOURCE -DCOPOOL_VERSION='"0"' -DPADS_ARE_NEEDED \
		-mbranch-protection=standard -mno-outline-atomics -nostartfiles -rdynamic -Wl,-z,force-bti,--no-warnings \
		-I"$shim" -I"$TESTS/unit" -o guarded "$TESTS/unit/patch_aarch64_test.c" "$shim"/{libc,system,tables}/*.c \
		"$shim"/pool/[!e]*.c "$shim"/pool/entry_aarch64.c \
		"$shim"/patch/{a64,decode,decode_aarch64,elf,elf_symbols,patch,symbols}.c -pthread 2>said || {
		cat said
		return 1
	}
	run qemu-aarch64 -cpu max -L "$arm_root" ./guarded
	echo "$output"
	[[ $status -eq 0 && $output == *'ok 1 - guards: indirect calls lead to landing pads only'* ]]
}
