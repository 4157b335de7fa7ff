#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# qemu-io, unmodified: what is written under the shim is read back, by both.
# shellcheck disable=SC2034 # FILTER and INPUT are read by same_twin

load lib/helper
load lib/qemu

setup() {
	requires_qemu qemu-io qemu-img
	cd "$BATS_TEST_TMPDIR" || return
	FILTER='s/[0-9.]+ [KMG]iB\/sec/N\/sec/g; s/[0-9.]+ ops\/sec/N ops\/sec/g; s/[0-9:.]+ sec/N sec/g
		s/[0-9.]+ (EiB|PiB|TiB|bytes)\/sec/N\/sec/g; s/and [0-9.]+ [kMG]?iB/N/; s/\([0-9.]+ [^ ]*\/sec/(N\/sec/'
}

# One pattern for each of many blocks.
patterns() { # COMMAND FIRST LAST OPTION...
	local block command=$1 first=$2 last=$3
	shift 3
	for ((block = first; block <= last; block++)); do
		printf -- '%s\n' "$command $* -P $((block % 251 + 1)) $((block * 12))k 4k"
	done
}

@test "qemu-io: patterns written under the shim are read with it and without" {
	for format in raw qcow2; do
		run_stock qemu-img create -q -f $format $format 16M
		patterns write 0 200 >commands
		run_pooled qemu-io -f $format $format <commands
		[[ $status -eq 0 && $output != *"failed"* ]]
		patterns read 0 200 >commands
		INPUT=commands same_twin qemu-io -f $format $format
		[[ $status -eq 0 && $output != *"erification failed"* ]]
		[[ $(grep -c '^qemu-io> read 4096/4096' <<<"$output") -eq 201 ]]
	done
	check_balance
}

@test "qemu-io: a pattern that is not there is reported as without the shim" {
	run_stock qemu-img create -q -f qcow2 image 16M
	same_twin qemu-io -f qcow2 image -c 'write -P 7 0 64k' -c 'read -P 8 0 64k' -c 'read -P 7 0 64k'
	[[ $status -eq 1 && $(grep -c "attern verification failed" <<<"$output") -eq 1 ]]
}

@test "qemu-io: hundreds of requests in flight at once keep their data" {
	run_stock qemu-img create -q -f qcow2 image 16M
	{
		patterns aio_write 0 500 -q
		echo aio_flush
		patterns aio_read 0 500 -q
		echo aio_flush
	} >commands
	INPUT=commands same_twin qemu-io -f qcow2 -t none image
	[[ $status -eq 0 && $output != *"ailed"* ]]
	is_pooled_qemu
	check_balance
	patterns read 0 500 -q >commands
	run_stock qemu-io -f qcow2 image <commands
	[[ $status -eq 0 && $output != *"ailed"* ]]
	run_stock qemu-img check image
	[[ $status -eq 0 ]]
}

@test "qemu-io: zeroes, discards and snapshots end in the same image" {
	for twin in stock pooled; do
		run_stock qemu-img create -q -f qcow2 $twin 16M
		run_$twin qemu-io -f qcow2 $twin -c 'write -P 1 0 8M' -c 'write -z 1M 1M' -c 'discard 3M 1M' \
			-c 'write -z -u 5M 512k' -c 'write -P 9 5M 4k' -c flush
		[[ $status -eq 0 ]]
		run_$twin qemu-img snapshot -c first $twin
		[[ $status -eq 0 ]]
		run_$twin qemu-io -f qcow2 $twin -c 'write -P 2 0 2M'
		run_$twin qemu-img snapshot -a first $twin
		[[ $status -eq 0 ]]
	done
	run_stock qemu-img compare stock pooled
	[[ $status -eq 0 && $output == "Images are identical." ]]
	same_twin qemu-img map --output=json pooled
	run_stock qemu-io -f qcow2 pooled -c 'read -P 1 0 1M' -c 'read -P 0 1M 1M' -c 'read -P 9 5M 4k'
	[[ $status -eq 0 && $output != *"ailed"* ]]
}

@test "qemu-io: a request that fails fails as without the shim, and its coroutine comes back" {
	same_twin qemu-io --image-opts \
		driver=blkdebug,image.driver=null-co,image.size=1M,inject-error.0.event=none,inject-error.0.iotype=read \
		-c 'read 0 4k' -c 'read 4k 4k' -c 'write 0 4k'
	[[ $output == *"Input/output error"* ]]
	check_balance
	[[ $(pool_final live) -eq 0 ]]
}
