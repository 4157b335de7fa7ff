#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# qemu-img, unmodified: the same output, status and images as without the shim, and counters that are true.
# shellcheck disable=SC2034 # FILTER is read by same_twin
# shellcheck disable=SC2054 # the commas belong to QEMU's options

load lib/helper
load lib/qemu

setup() {
	requires_qemu qemu-img
	cd "$BATS_TEST_TMPDIR" || return
	FILTER=$FILTER_SECONDS
}

null_aio=(--image-opts driver=null-aio,size=1G)

@test "qemu-img bench: with a null device it says and returns what it does without the shim" {
	same_twin qemu-img bench -c 20000 -d 64 "${null_aio[@]}"
	[[ $status -eq 0 && $output == *"64 in parallel"* ]]
	is_pooled_qemu
	check_balance
	[[ $(pool_final live) -eq 0 ]]
}

@test "qemu-img bench: every request is a create, and hardly one of them is new" {
	requires_sized_pool qemu-img
	run_pooled qemu-img bench -c 20000 -d 64 "${null_aio[@]}"
	[[ $status -eq 0 ]]
	creates=$(($(pool_final create_local) + $(pool_final create_depot) + $(pool_final create_new)))
	((creates >= 20000))
	# One a request in flight, twice while a request's successor begins before it ends, and the program's own.
	(($(pool_final create_new) >= 64 && $(pool_final create_new) <= 2 * 64 + 16))
}

@test "qemu-img bench: reads of a file by 1024 threads' worth of requests need no more coroutines than that" {
	requires_sized_pool qemu-img
	random_file raw 64
	same_twin qemu-img bench -c 20000 -d 1024 -t writeback -i threads -f raw raw
	[[ $status -eq 0 ]]
	check_balance
	(($(pool_final create_new) >= 1024 && $(pool_final create_new) <= 1024 + 32))
}

@test "qemu-img bench: bursts that drain to nothing are served from the pool" {
	same_twin qemu-img bench -w -c 30000 -d 1024 --flush-interval=1024 "${null_aio[@]}"
	[[ $status -eq 0 ]]
	check_balance
	requires_sized_pool qemu-img
	hits=$(($(pool_final create_local) + $(pool_final create_depot)))
	((hits > 28000 && $(pool_final create_new) <= 1024 + 32))
	[[ $(pool_final trimmed) -eq 0 && $(pool_final destroy_delete) -eq 0 ]]
}

@test "qemu-img bench: create_new is what an observer outside of the shim counts" {
	requires_program count_contexts
	for bench in "-c 5000 -d 64" "-w -c 5000 -d 256 --flush-interval=256"; do
		rm -f "$LOG"
		# shellcheck disable=SC2086 # several words
		run_pooled LD_PRELOAD="$COPOOL_SO $PROGRAMS/count_contexts" COUNT_CONTEXTS="$PWD/contexts" \
			qemu-img bench $bench "${null_aio[@]}"
		[[ $status -eq 0 ]]
		[[ $(<contexts) -gt 64 && $(pool_final create_new) -eq $(<contexts) ]]
	done
}

@test "qemu-img bench: the observer sees a coroutine made for most creates when the pool may keep none" {
	requires_program count_contexts
	requires_sized_pool qemu-img
	run_pooled LD_PRELOAD="$COPOOL_SO $PROGRAMS/count_contexts" COUNT_CONTEXTS="$PWD/contexts" COPOOL_MAX_BATCHES=0 \
		qemu-img bench -w -c 5120 -d 512 --flush-interval=512 "${null_aio[@]}"
	[[ $status -eq 0 && $(pool_final create_new) -eq $(<contexts) ]]
	# A thread's cache holds 32 of a burst of 512.
	(($(<contexts) > 4000))
	[[ $(pool_final destroy_delete) -gt 4000 ]]
	check_balance
}

@test "qemu-img bench: no coroutine is new after the first second" {
	run_pooled COPOOL_INTERVAL_MS=100 \
		qemu-img bench -c 100000 -d 64 --image-opts driver=null-aio,size=1G,latency-ns=1000000
	[[ $status -eq 0 ]]
	[[ $(new_after 1000) -eq 0 && $(pool_final create_new) -gt 0 ]]
	check_balance
}

@test "qemu-img bench: most objects is exact, and all of them are made and none lost" {
	run_pooled COPOOL_DECAY_MS=0 qemu-img bench -w -c 10000 -d 512 --flush-interval=512 "${null_aio[@]}"
	[[ $status -eq 0 ]]
	made=$(($(pool_final create_new) - $(pool_final destroy_delete) - $(pool_final trimmed)))
	[[ $(pool_final peak_objects) -eq $(pool_final create_new) ]]
	[[ $(($(pool_final live) + $(pool_final pooled))) -eq $made ]]
}

@test "qemu-img bench: the depot never holds more batches than COPOOL_MAX_BATCHES" {
	requires_sized_pool qemu-img
	run_pooled COPOOL_MAX_BATCHES=2 COPOOL_INTERVAL_MS=10 \
		qemu-img bench -w -c 60000 -d 512 --flush-interval=512 "${null_aio[@]}"
	[[ $status -eq 0 ]]
	check_balance
	[[ $(log_records - 'select(.depot_batches? > 2)') == "" ]]
	# Two batches in the depot, two in the cache, and less than one that is shared.
	(($(pool_final pooled) > 32 && $(pool_final pooled) < 5 * 16))
	[[ $(pool_final destroy_delete) -gt 0 ]]
}

@test "qemu-img: images that it converts, compares and checks are the same to the byte" {
	random_file base 16
	run_stock qemu-img convert -O qcow2 base base.qcow2
	for twin in stock pooled; do
		run_$twin qemu-img create -q -f qcow2 -F qcow2 -b base.qcow2 $twin.qcow2
		[[ $status -eq 0 ]]
		run_$twin qemu-img convert -O raw $twin.qcow2 $twin.raw
		[[ $status -eq 0 ]]
		run_$twin qemu-img convert -c -m 16 -W -O qcow2 $twin.qcow2 $twin.packed.qcow2
		[[ $status -eq 0 ]]
	done
	cmp base stock.raw
	cmp base pooled.raw
	for image in pooled.qcow2 pooled.packed.qcow2; do
		same_twin qemu-img compare base.qcow2 $image
		[[ $status -eq 0 && $output == "Images are identical." ]]
		same_twin qemu-img check $image
		[[ $status -eq 0 ]]
	done
	same_twin qemu-img map --output=json pooled.qcow2
	[[ $status -eq 0 ]]
	check_balance
}

@test "qemu-img: what fails fails in the same words and with the same status" {
	random_file one 1
	random_file two 1
	same_twin qemu-img compare -f raw one two
	[[ $status -eq 1 && $output == *"mismatch"* ]]
	same_twin qemu-img info nowhere
	[[ $status -eq 1 && $output == *"nowhere"* ]]
	same_twin qemu-img bench -c 100 --image-opts driver=null-aio,size=1G,nonsense=1
	[[ $status -eq 1 ]]
	same_twin qemu-img check -f qcow2 one
	[[ $status -eq 1 ]]
	same_twin qemu-img
	[[ $status -eq 1 ]]
}

@test "qemu-img: without a log it leaves nothing behind and says nothing of ours" {
	run env LD_PRELOAD="$COPOOL_SO" qemu-img bench -c 5000 -d 64 "${null_aio[@]}"
	[[ $status -eq 0 && ${#lines[@]} -eq 2 && $output != *copool* ]]
	[[ $(ls -A) == "" ]]
}

@test "qemu-img: who insists that it is QEMU gets what auto finds, and of another program it is said that it is not" {
	requires_qemu qemu-img
	run_pooled COPOOL_HOST=qemu qemu-img bench -c 2000 -d 64 --image-opts driver=null-aio,size=1G
	[[ $status -eq 0 ]]
	is_pooled_qemu
	check_balance
	rm "$LOG"
	run_pooled COPOOL_HOST=qemu cat /dev/null
	[[ $status -eq 0 && $(log_open mode) == none && $(log_open detail) == *"not QEMU"* ]]
}
