#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# qemu-system-x86_64, unmodified, in software emulation and in its own sandbox.
# shellcheck disable=SC2034 # FILTER is read by same_twin
# shellcheck disable=SC2054 # the commas belong to QEMU's options
# shellcheck disable=SC2154 # start_stock and start_pooled set pid

load lib/helper
load lib/qemu
load lib/packages
load lib/guest

setup() {
	requires_qemu qemu-system-x86_64 qemu-img socat
	cd "$BATS_TEST_TMPDIR" || return
	machine=(qemu-system-x86_64 -accel tcg -machine q35 -m 256 -display none -nodefaults -no-user-config
		-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny)
	monitor=(-chardev "socket,id=qmp,path=$PWD/qmp,server=on,wait=off" -mon chardev=qmp,mode=control)
}

# Two virtio disks, each on an I/O thread.
two_disks() { # BLOCKDEV_OF_A BLOCKDEV_OF_B
	disks=(-object iothread,id=thread-a -object iothread,id=thread-b
		-blockdev "$1,node-name=a" -blockdev "$2,node-name=b"
		-device virtio-blk-pci,drive=a,iothread=thread-a,num-queues=1,queue-size=128
		-device virtio-blk-pci,drive=b,iothread=thread-b,num-queues=1,queue-size=128)
}

# A guest with Debian's kernel, which runs the script on standard input.
make_guest() {
	requires busybox cpio
	requires_unpacked kernel bookworm pointed-at:linux-image-cloud-amd64
	guest_archive "$PWD/guest" "$CACHE/kernel" || lacks "the guest cannot be made"
	guest_initrd guest initrd
	# Whether the timer ticks in time, and threads run in time, says how busy this machine is: the guest's kernel looks
	# for none of it.
	local unhurried='no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1 workqueue.watchdog_thresh=0'
	unhurried+=' sysctl.kernel.hung_task_timeout_secs=0'
	guest=(-no-reboot -serial stdio -kernel "$(echo "$CACHE"/kernel/boot/vmlinuz-*)" -initrd initrd
		-append "console=ttyS0 quiet panic=-1 $unhurried")
}

@test "qemu-system: stopped at the start it quits as without the shim" {
	for twin in stock pooled; do
		rm -f qmp
		start_"$twin" "${machine[@]}" "${monitor[@]}" -S
		qmp_open qmp
		qmp query-status
		qmp quit
		ended "$pid"
		[[ $status -eq 0 && ! -s $BATS_TEST_TMPDIR/output.$pid ]]
	done
	check_log
	is_pooled_qemu
}

@test "qemu-system: each guest has its own name in records, Prometheus, the log's path and show" {
	local names=("vm-1" "vm 2") options=("vm-1,debug-threads=on" "guest=vm 2") at
	for at in 0 1; do
		LOG="$PWD/{label}.jsonl" start_pooled COPOOL_PROMETHEUS="$PWD/{label}.prom" COPOOL_INTERVAL_MS=50 \
			"${machine[@]}" -name "${options[at]}" -S
		wait_until 20 grep -q "^copool_info{program=\"qemu-system-x86_64\",label=\"${names[at]}\",pid=\"$pid\"" \
			"${names[at]}.prom"
		[[ $(jq -r 'select(.type == "open") | .label' "${names[at]}.jsonl") == "${names[at]}" ]]
		[[ $("$COPOOL" show "$pid") == "qemu-system-x86_64 ${names[at]} [$pid], "* ]]
		stop "$pid"
	done
}

@test "qemu-system: a disk is backed up to the byte by jobs of a stopped machine" {
	random_file a 32
	run_stock qemu-img create -q -f qcow2 c 32M
	two_disks driver=file,filename=a driver=null-co,size=1048576
	start_pooled "${machine[@]}" "${monitor[@]}" "${disks[@]}" -blockdev driver=file,filename=c,node-name=file \
		-blockdev driver=qcow2,file=file,node-name=c -S
	qmp_open qmp
	qmp blockdev-backup '{"job-id":"backup","device":"a","target":"c","sync":"full"}'
	qmp_event BLOCK_JOB_COMPLETED
	qmp quit
	ended "$pid"
	[[ $status -eq 0 ]]
	run_stock qemu-img compare -f raw -F qcow2 a c
	[[ $status -eq 0 ]]
	check_balance
	(($(pool_final create_local) > 0))
}

@test "qemu-system: a device that is missing is missed in the same words" {
	same_twin "${machine[@]}" -blockdev driver=file,filename=nowhere,node-name=a
	[[ $status -eq 1 && $output == *nowhere* ]]
	same_twin "${machine[@]}" -device nothing
	[[ $status -eq 1 ]]
}

@test "qemu-system -daemonize: statistics go on in the daemon until it ends" {
	for twin in stock pooled; do
		rm -f qmp pid
		run_"$twin" COPOOL_INTERVAL_MS=50 "${machine[@]:0:10}" "${monitor[@]}" -S -daemonize -pidfile pid 3>&-
		[[ $status -eq 0 && $output == "" && -s pid ]]
		child=$(<pid)
		watch_over "$child"
		qmp_open qmp
		qmp quit
		ended "$child"
	done
	check_log
	[[ $(log_records open "select(.pid == $child) | .ppid") -gt 1 ]]
	[[ $(log_records final "select(.pid == $child) | .pool") == *"$COROUTINES"* ]]
}

@test "qemu-system: a guest copies one disk to another, and powers off" {
	make_guest <<-'END'
		dd if=/dev/vda of=/dev/vdb bs=64k 2>/dev/null
		sync
		echo 3 >/proc/sys/vm/drop_caches
		cmp /dev/vda /dev/vdb && echo the disks are the same
	END
	FILTER='s/^\[ *[0-9.]+\] //'
	two_disks driver=file,filename=a driver=file,filename=b
	random_file a 32
	for twin in stock pooled; do
		rm -f b
		truncate -s 32M b
		run_"$twin" "${machine[@]}" "${disks[@]}" "${guest[@]}"
		[[ $status -eq 0 && $output == *"the disks are the same"* ]]
		cmp a b
		[[ $twin == stock ]] || [[ $(filtered) == "$stock_output" ]]
		stock_output=$(filtered)
	done
	check_balance
	is_pooled_qemu
}
