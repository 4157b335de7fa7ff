#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# qemu-storage-daemon, unmodified: disks on I/O threads, and threads that come and go.
#
# QEMU 7.2 as Debian has it aborts when a client leaves an export that is on an I/O thread, so clients of such
# exports stay until the daemon goes.
# shellcheck disable=SC2054 # the commas belong to QEMU's options
# shellcheck disable=SC2154 # start_stock and start_pooled set pid

load lib/helper
load lib/qemu

setup() {
	requires_qemu qemu-storage-daemon qemu-img qemu-io socat
	cd "$BATS_TEST_TMPDIR" || return
	random_file a 16
	random_file b 16
	cp a a.original
	cp b b.original
}

uri() { # EXPORT
	echo "nbd+unix:///$1?socket=$PWD/nbd"
}

# The command line for two exports, a and b, of the drivers that are given; with a third argument, each on an I/O
# thread of its own.
two_disks() { # DRIVER_OF_A DRIVER_OF_B [threads]
	local thread_a=${3+,iothread=thread-a} thread_b=${3+,iothread=thread-b}
	daemon=(qemu-storage-daemon
		--object iothread,id=thread-a --object iothread,id=thread-b
		--blockdev "$1,node-name=a" --blockdev "$2,node-name=b"
		--nbd-server "addr.type=unix,addr.path=$PWD/nbd,max-connections=0"
		--export "type=nbd,id=export-a,node-name=a,name=a,writable=on$thread_a"
		--export "type=nbd,id=export-b,node-name=b,name=b,writable=on$thread_b"
		--chardev "socket,id=qmp,path=$PWD/qmp,server=on,wait=off" --monitor chardev=qmp)
}

files=(driver=file,filename=a driver=file,filename=b)
# So slow that clients on a busy machine keep it full all the same.
slow_disk=driver=null-aio,size=1073741824,latency-ns=50000000

# Started, and known by $server.
serve() { # stock|pooled [VARIABLE=VALUE...]
	local twin=$1
	shift
	start_"$twin" "$@" "${daemon[@]}"
	server=$pid
	wait_until 10 test -S qmp
}

# Reads 16 deep until they are stopped.
keep_busy() { # EXPORT
	start_stock qemu-img bench -c 1000000000 -d 16 -f raw "$(uri "$1")"
}

# The commands that write or read one pattern for each of 300 blocks, in the array of that name.
patterns() { # ARRAY COMMAND
	local -n array=$1
	local block
	for ((block = 0; block < 300; block++)); do
		array+=(-c "$2 -q -P $((block % 251 + 1)) $((block * 12))k 4k")
	done
}

@test "qemu-storage-daemon: clients of two I/O threads read back what they wrote at the same time" {
	local client clients=() commands=() reads=()
	patterns commands aio_write
	commands+=(-c aio_flush)
	patterns commands read
	two_disks "${files[@]}" threads
	serve pooled
	for disk in a b; do
		# It stays until it is killed.
		start_stock stdbuf -oL qemu-io -f raw "$(uri $disk)" "${commands[@]}" -c 'read -P 1 0 4k' -c 'sleep 60000'
		clients+=("$pid")
	done
	for client in "${clients[@]}"; do
		wait_until 20 grep -q 'read 4096/4096 bytes at offset 0' "$BATS_TEST_TMPDIR/output.$client"
		[[ $(grep -ci failed "$BATS_TEST_TMPDIR/output.$client") -eq 0 ]]
	done
	stop "$server"
	[[ $status -eq 0 ]]
	check_balance
	is_pooled_qemu
	patterns reads read
	for disk in a b; do
		run_stock qemu-io -f raw $disk "${reads[@]}"
		[[ $status -eq 0 && $output == "" ]]
	done
}

@test "qemu-storage-daemon: 128 requests on each of two I/O threads need that many coroutines and what three threads hold" {
	requires_sized_pool qemu-storage-daemon
	two_disks $slow_disk $slow_disk threads
	serve pooled COPOOL_INTERVAL_MS=100 COPOOL_DECAY_MS=0
	for _ in 1 2 3 4 5 6 7 8; do
		keep_busy a
		keep_busy b
	done
	wait_until 30 sample_is "$server" '.live >= 256'
	before=$(log_records sample "select(.pool == \"$COROUTINES\") | .create_local" | tail -n 1)
	wait_until 30 sample_is "$server" ".create_local > $before + 20000"
	stop "$server"
	log_records final
	check_balance
	# Besides, each of the 16 clients has one that waits for its next request.
	(($(pool_final peak_objects) >= 256 && $(pool_final peak_objects) <= 256 + 16 + 3 * 32))
	# All that was ever made, however long it took.
	[[ $(pool_final create_new) -eq $(pool_final peak_objects) ]]
}

@test "qemu-storage-daemon: fio finds what it wrote to two disks, 128 requests deep" {
	requires fio
	fio --enghelp | grep -qw nbd || skip "this fio has no engine for nbd"
	two_disks "${files[@]}"
	serve pooled COPOOL_INTERVAL_MS=100
	run_stock fio --ioengine=nbd --rw=randwrite --bs=4k --iodepth=16 --numjobs=8 --size=2M --offset_increment=2M \
		--verify=crc32c --do_verify=1 --verify_fatal=1 --thread --group_reporting --minimal \
		--name=a --uri="$(uri a)" --name=b --uri="$(uri b)"
	[[ $status -eq 0 ]]
	stop "$server"
	[[ $status -eq 0 ]]
	check_balance
	(($(pool_final create_local) + $(pool_final create_depot) >= 4 * 4096 - 512))
	(($(pool_final peak_objects) <= 256 + 16 + 2 * 32))
}

@test "qemu-storage-daemon: I/O threads that come and go under load lose no coroutine" {
	two_disks "$slow_disk" driver=file,filename=b threads
	serve pooled COPOOL_INTERVAL_MS=50
	qmp_open qmp
	keep_busy a
	wait_until 10 sample_is "$server" '.live > 8'
	qmp block-export-del '{"id":"export-b","mode":"hard"}'
	for round in 1 2 3 4 5 6 7 8; do
		qmp object-add "{\"qom-type\":\"iothread\",\"id\":\"late-$round\"}"
		qmp blockdev-add "{\"driver\":\"null-aio\",\"node-name\":\"late-$round\",\"size\":1073741824,
			\"latency-ns\":50000000}"
		qmp block-export-add "{\"type\":\"nbd\",\"id\":\"late-$round\",\"node-name\":\"late-$round\",
			\"name\":\"late\",\"iothread\":\"late-$round\"}"
		keep_busy late
		wait_until 10 sample_is "$server" '.live > 24 and .threads >= 3'
		qmp block-export-del "{\"id\":\"late-$round\",\"mode\":\"hard\"}"
		ended "$pid"
		wait_until 10 qmp blockdev-del "{\"node-name\":\"late-$round\"}"
		qmp object-del "{\"id\":\"late-$round\"}"
		wait_until 10 sample_is "$server" '.threads <= 2'
	done
	qmp quit
	ended "$server"
	[[ $status -eq 0 ]]
	check_balance
	[[ $(pool_final live) -eq 0 ]]
	kept=$(($(pool_final create_new) - $(pool_final destroy_delete) - $(pool_final trimmed)))
	[[ $(pool_final pooled) -eq $kept ]]
	# Eight threads later there are no more objects than two clients need and three threads and the rest hold.
	(($(pool_final create_new) <= 2 * 17 + 3 * 32 + 16))
}

@test "qemu-storage-daemon --daemonize: statistics go on in the daemon until it ends" {
	requires nbdcopy
	two_disks "${files[@]}"
	for twin in stock pooled; do
		rm -f qmp nbd pid
		run_"$twin" COPOOL_INTERVAL_MS=50 "${daemon[@]}" --daemonize --pidfile "$PWD/pid" 3>&-
		[[ $status -eq 0 && $output == "" && -s pid ]]
		child=$(<pid)
		watch_over "$child"
		run_stock nbdcopy "$(uri a)" copy
		[[ $status -eq 0 ]]
		cmp a.original copy
		rm copy
		[[ $twin == stock ]] || wait_until 10 sample_is "$child" '.create_local > 0'
		stop "$child"
	done
	check_balance "$child"
	[[ $(log_records open "select(.pid == $child) | .ppid") -gt 1 ]]
}

@test "qemu-storage-daemon: it quits over QMP with the status that it always had" {
	two_disks "${files[@]}" threads
	for twin in stock pooled; do
		rm -f qmp nbd
		serve "$twin"
		qmp_open qmp
		qmp quit
		ended "$server"
		[[ $status -eq 0 ]]
	done
	check_log
	is_pooled_qemu
}

@test "qemu-storage-daemon: what it refuses it refuses in the same words" {
	same_twin qemu-storage-daemon --blockdev driver=file,filename=nowhere,node-name=a
	[[ $status -eq 1 && $output == *"nowhere"* ]]
	same_twin qemu-storage-daemon --version
	[[ $status -eq 0 ]]
}
