#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# qemu-nbd, unmodified: clients get the same bytes, also from a server that forked into the background. A server
# serves at most 16 requests of one client at once.
# shellcheck disable=SC2054 # the commas belong to QEMU's options
# shellcheck disable=SC2154 # start_stock and start_pooled set pid

load lib/helper
load lib/qemu

setup() {
	requires_qemu qemu-nbd qemu-img nbdinfo nbdcopy
	cd "$BATS_TEST_TMPDIR" || return
	random_file image 16
	cp image original
	served=(--format=raw image)
	uri="nbd+unix:///?socket=$PWD/nbd"
}

# A server in the foreground, for any number of clients; stock or pooled.
serve() { # stock|pooled [VARIABLE=VALUE...]
	local twin=$1
	shift
	start_"$twin" "$@" qemu-nbd --persistent --shared=8 --socket="$PWD/nbd" "${served[@]}"
	server=$pid
	wait_until 10 test -S nbd
}

# A disk that is slow enough for all requests to be in flight.
slow_disk=(--image-opts driver=null-aio,size=16777216,latency-ns=2000000)

# Six clients at once, 6000 reads.
burst() {
	local client clients=()
	for client in 1 2 3 4 5 6; do
		start_stock qemu-img bench -c 1000 -d 16 -f raw "$uri"
		clients+=("$pid")
	done
	for client in "${clients[@]}"; do
		ended "$client"
		[[ $status -eq 0 ]]
	done
}

@test "qemu-nbd: a client reads the image's own bytes" {
	serve pooled
	run_stock nbdcopy "$uri" copy
	[[ $status -eq 0 ]]
	cmp original copy
	run_stock nbdinfo --size "$uri"
	[[ $output -eq 16777216 ]]
	stop "$server"
	check_balance
	is_pooled_qemu
	(($(pool_final create_local) > 0))
}

@test "qemu-nbd: what a client writes is in the image" {
	random_file other 16
	serve pooled
	run_stock nbdcopy --flush --connections=4 other "$uri"
	[[ $status -eq 0 ]]
	stop "$server"
	cmp other image
	check_balance
}

@test "qemu-nbd: signals end it with the status that they always gave" {
	for signal in TERM INT KILL; do
		for twin in stock pooled; do
			rm -f nbd
			serve "$twin"
			burst
			stop "$server" $signal
			echo "$twin, $signal: $status"
			[[ $twin == stock ]] || [[ $status -eq $stock_status ]]
			stock_status=$status
		done
	done
	check_log
}

@test "qemu-nbd: it serves a client that is pooled too" {
	serve pooled
	server_log=$LOG
	LOG=$PWD/client.jsonl
	run_pooled qemu-img bench -c 4000 -d 64 -f raw "$uri"
	[[ $status -eq 0 ]]
	check_balance
	is_pooled_qemu
	run_pooled qemu-img convert -f raw -O raw "$uri" copy
	cmp original copy
	LOG=$server_log
	stop "$server"
	check_balance
}

@test "qemu-nbd: clients that vanish leave no coroutine behind" {
	serve pooled COPOOL_INTERVAL_MS=50
	for _ in 1 2 3 4 5; do
		start_stock qemu-img bench -c 100000000 -d 64 -f raw "$uri"
		wait_until 10 sample_is "$server" '.live > 2'
		stop "$pid" KILL
		wait_until 10 sample_is "$server" '.live <= 2'
	done
	stop "$server"
	check_balance
	(($(pool_final peak_objects) <= 2 * 16 + 32))
}

@test "qemu-nbd: what a burst needed is given back when it is idle" {
	served=("${slow_disk[@]}")
	serve pooled COPOOL_INTERVAL_MS=50 COPOOL_DECAY_MS=200
	burst
	wait_until 10 sample_is "$server" '.live <= 2 and .depot_batches == 0 and .trimmed > 0'
	# Caches keep theirs, and the shared rest.
	sample_is "$server" '.pooled <= 32 * .threads + 16'
	burst
	stop "$server"
	check_balance
}

@test "qemu-nbd: with decay switched off everything is kept" {
	served=("${slow_disk[@]}")
	serve pooled COPOOL_INTERVAL_MS=50 COPOOL_DECAY_MS=0
	burst
	wait_until 10 sample_is "$server" '.live <= 2 and .uptime_ms > 1500'
	sample_is "$server" '.trimmed == 0 and .pooled > 64'
	stop "$server"
	check_balance
}

@test "qemu-nbd --fork: it serves, and ends, as without the shim" {
	for twin in stock pooled; do
		rm -f nbd pid
		run_"$twin" qemu-nbd --fork --persistent --pid-file="$PWD/pid" --format=raw --socket="$PWD/nbd" image \
			>said 2>&1 3>&-
		cat said
		[[ $status -eq 0 && $output == "" && -S nbd && -s pid ]]
		watch_over "$(<pid)"
		rm -f copy
		run_stock nbdcopy "$uri" copy
		[[ $status -eq 0 ]]
		cmp original copy
		stop "$(<pid)"
		[[ ! -S nbd ]]
	done
}

@test "qemu-nbd --fork: statistics go on in the child, which names its parent" {
	run_pooled COPOOL_INTERVAL_MS=50 qemu-nbd --fork --persistent --pid-file="$PWD/pid" --format=raw \
		--socket="$PWD/nbd" image 3>&-
	[[ $status -eq 0 ]]
	child=$(<pid)
	watch_over "$child"
	# Its log says the time as who looks at it from outside, although it uses its pool only now.
	uptime() { "$COPOOL" show --json "$child" | jq '.processes[0].pools[0].uptime_ms'; }
	is_old() { (($(uptime) > 1000)); }
	wait_until 10 is_old
	early=$(uptime)
	burst
	wait_until 10 sample_is "$child" '.create_local > 1000'
	[[ $(log_records - "select(.pid == $child and .uptime_ms) | .uptime_ms < $early" | grep -c true) -eq 0 ]]
	stop "$child"
	check_balance "$child"
	(($(pool_final create_local "$child") + $(pool_final create_depot "$child") >= 6000))
	parent=$(log_records open "select(.pid == $child) | .ppid")
	[[ $parent -gt 1 && $(log_records open "select(.pid == $parent) | .ppid") -eq 0 ]]
	[[ $(log_records open "select(.pid == $child) | .host") == qemu ]]
	check_log
}
