#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The seed experiment, short: a virtual machine with two disks on two I/O threads, fio with 128 requests at once on
# each. `make bench-vm` has all of it.
# shellcheck disable=SC2154 # run_shown sets status and output

load lib/helper
load lib/qemu
load lib/packages
load lib/records

setup() {
	requires jq
	cd "$BATS_TEST_TMPDIR" || return
	export COPOOL_BUILD
	vm=$TESTS/bench/vm/run
	figures=$PWD/figures.json
}

requires_machine() {
	requires qemu-system-x86_64 fio busybox cpio
	requires_unpacked kernel bookworm pointed-at:linux-image-cloud-amd64
}

# A machine takes ten seconds, and a minute where others keep this one busy.
run_machines() { # WORD...
	run timeout --foreground --kill-after=5 800 "$vm" --json="$figures" "$@"
	echo "$output"
}

# figure MODE KEY: of the one run in that mode.
figure() {
	jq -e --arg mode "$1" ".runs[] | select(.mode == \$mode) | .$2" "$figures"
}

@test "vm: bursts of 128 from fio on two disks need at most 273 coroutines, and none is made again; QEMU's own pool makes many again" {
	requires_machine
	requires_sized_pool qemu-system-x86_64
	# 64 bursts to each disk, however long a busy machine takes for them.
	run_machines --requests=8192 installed bursts virtio-scsi null-aio
	[[ $status -eq 0 && $output == *"bursts, virtio-scsi, null-aio"* ]]
	jq . "$figures"
	(($(figure pool creates) > 300 && $(figure pool peak_objects) >= 200 && $(figure pool peak_objects) <= 273))
	(($(figure pool made_again) == 0))
	(($(figure observe made_again) > 0 && $(figure observe new) > $(figure pool new)))
}

@test "vm: random reads of a file, 128 at once on two disks, need at most 273 coroutines" {
	requires_machine
	requires_sized_pool qemu-system-x86_64
	run_machines --requests=8192 installed reads virtio-blk file pool
	[[ $status -eq 0 ]]
	(($(figure pool creates) > 300 && $(figure pool peak_objects) <= 273))
	(($(figure pool made_again) == 0))
}

# ---- what is made of a log ----

# A QEMU that says its version, and writes the log on standard input.
pretend() { # VERSION STATUS
	cat >made-up
	cat >pretended <<-END
		#!/bin/sh
		[ "\$1" != --version ] || exec echo 'QEMU emulator version $1'
		cat '$PWD/made-up' >>"\$COPOOL_LOG"
		echo fio is done
		exit $2
	END
	chmod +x pretended
}

# at_peak UPTIME_MS TYPE CREATES NEW LIVE PEAK_OBJECTS: the counters of QEMU's coroutines.
moment() {
	at "$1" counters "$2" 10 "$COROUTINES" $(($3 - $4)) 0 "$4" |
		jq -c ".live = $5 | .peak_objects = $6"
}

# The machine starts, the load begins, the peak is seen after a second; NEW and MOST are what there is at the end.
log_with() { # NEW MOST
	open_record 10 qemu ",\"decay_ms\":10000,\"way\":\"${way-ending}\""
	moment 4000 sample 3 3 1 3
	moment 5000 sample 1000 258 200 258
	moment 6000 sample 9000 258 256 258
	moment 9000 sample 30000 258 100 258
	moment 12000 sample 50000 "$1" 100 "$2"
	moment 15000 final 90000 "$1" 1 "$2"
}

measured() { # [WORD...]
	run_shown "$vm" --qemu="$PWD/pretended" --json="$figures" reads virtio-blk null-aio "$@"
}

@test "vm: a new one after the peak fails in pool mode, unless a higher peak needed it" {
	requires_machine
	pretend 7.2 0 < <(log_with 258 258)
	measured pool
	[[ $status -eq 0 && $(figure pool new_after_peak) -eq 0 && $(figure pool peak_objects) -eq 258 ]]
	[[ $(figure pool ready_s) == 5 && $(figure pool peak_seen_s) == 1 && $(figure pool creates) -eq 90000 ]]
	[[ $(figure pool new_percent) == 0.287 ]]
	pretend 7.2 0 < <(log_with 262 262)
	measured pool
	[[ $status -eq 0 && $(figure pool new_after_peak) -eq 4 && $(figure pool new_for_higher_peak) -eq 4 ]]
	[[ $(figure pool made_again) -eq 0 && $(figure pool new_after_5_s) -eq 4 ]]
	pretend 7.2 0 < <(log_with 259 258)
	measured pool
	[[ $status -eq 1 && $output == *"made again after the peak"* ]]
	measured observe
	[[ $status -eq 0 && $(figure observe made_again) -eq 1 ]]
}

@test "vm: more than 273 fails in pool mode, but not for six disks, nor of a QEMU that keeps coroutines of its own" {
	requires_machine
	pretend 7.2.22 0 < <(log_with 273 273)
	measured
	[[ $status -eq 0 ]]
	pretend 7.2.22 0 < <(log_with 274 274)
	measured
	[[ $status -eq 1 && $output == *" no"* && $(figure pool is_within || :) == false ]]
	run_shown "$vm" --qemu="$PWD/pretended" --json="$figures" reads six-disks null-aio
	[[ $status -eq 0 ]]
	pretend 10.0.2 0 < <(way=stacks log_with 274 274)
	measured
	[[ $status -eq 0 && $output == *"QEMU 10.0 keeps"* ]]
}

@test "vm: a machine that fails is a failure, and so is one without a final record" {
	requires_machine
	pretend 7.2 3 < <(log_with 258 258)
	measured pool
	[[ $status -eq 1 && $output == *"failed (exit status 3)"* ]]
	pretend 7.2 0 < <(log_with 258 258 | grep -v final)
	measured pool
	[[ $status -eq 1 && $output == *"no final record"* ]]
}

@test "vm: what it is asked for and cannot do, it says" {
	refused() { # MESSAGE ARGUMENT...
		run_shown "$vm" "${@:2}"
		[[ $status -eq 2 && $output == "bench-vm: "*"$1"* ]]
	}
	refused '"writes"' writes
	refused '--fast' --fast
	refused '--seconds=2' --seconds=2
	refused '--seconds=' --seconds=
	refused '--requests=0' --requests=0
	refused '--requests=200001' --requests=200001
	refused '--seconds=601' --seconds=601
	refused 'there is no nosuchqemu' --qemu=nosuchqemu
	refused 'does not say its version' --qemu=true
	refused 'nowhere/a' --json=nowhere/a
	run_shown "$vm" --help
	[[ $status -eq 0 && $output == *bursts*virtio-scsi*null-aio*observe* ]]
}
