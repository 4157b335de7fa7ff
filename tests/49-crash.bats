#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A fault inside copool names copool; and whatever fault, the program dies as it always would.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2016 # what is in single quotes is for gdb
# shellcheck disable=SC2154 # run sets stderr

load lib/helper

setup() {
	requires_guest crashes
	cd "$BATS_TEST_TMPDIR" || return
	crashes=$GUESTS/crashes
	named=(COPOOL_CREATE=box_at/1 COPOOL_DESTROY=box_drop)
}

# dies WAY [VARIABLE=VALUE...]: under copool run, with the status as without; what it says is in $stderr.
dies() {
	local way=$1 stock
	shift
	run timeout --kill-after=5 300 "$crashes" "$way"
	stock=$status
	run --separate-stderr timeout --kill-after=5 300 env "$@" "$COPOOL" run "$crashes" "$way"
	echo "$way: status $stock, $status; $stderr"
	[[ $stock -gt 128 && $status -eq $stock ]]
}

says() { # PATTERN
	[[ $stderr == "copool: crashes ["*"] dies of "*$1*"COPOOL_HOST=off"*"please report"* && $(wc -l <<<"$stderr") -eq 1 ]]
}

@test "crash: a fault inside copool is told, with its place and the way to do without" {
	dies in-pool
	says ' inside copool (libcopool.so+0x'
	# The place is in the function that was at work.
	requires addr2line
	[[ $stderr =~ libcopool.so\+(0x[0-9a-f]+) ]]
	[[ $(addr2line -fi -e "$COPOOL_SO" "${BASH_REMATCH[1]}") == *create* ]]
}

@test "crash: a fault in code that copool moved is told" {
	dies in-moved-code "${named[@]}"
	says ' in code that copool wrote or moved (0x'
}

@test "crash: a fault in copool's own thread is told, though it has none of the program's descriptors" {
	dies in-other-thread
	says " in copool's thread (0x"
}

@test "crash: the program's own faults, and signals that somebody sends, are nothing to copool" {
	local way
	for way in in-program by-division by-instruction by-sender by-overflow put-back; do
		dies "$way"
		[[ -z $stderr ]]
	done
}

@test "crash: a preload alone, and who says no, get no handler and no note" {
	run --separate-stderr env LD_PRELOAD="$COPOOL_SO" "$crashes" in-pool
	[[ $status -eq 139 && -z $stderr ]]
	run --separate-stderr "$COPOOL" run --crash-note=0 "$crashes" in-pool
	[[ $status -eq 139 && -z $stderr ]]
	dies in-pool COPOOL_CRASH_NOTE=0
	[[ -z $stderr ]]
}

@test "crash: switched off, a program that died inside copool lives" {
	# Without a pool the same mistake is the program's own.
	dies in-pool COPOOL_HOST=off
	[[ -z $stderr ]]
	run "$COPOOL" run --host=off "$crashes" handlers
	[[ $status -eq 0 ]]
}

catches_segv() { # PID
	local caught
	caught=$(sed -n 's/^SigCgt:\t//p' "/proc/$1/status")
	(((0x$caught >> 10) & 1))
}

@test "crash: the program sees its signals as they were, whichever way it asks" {
	run_stock "$crashes" handlers
	stock=$output
	run_pooled COPOOL_CRASH_NOTE=1 "$crashes" handlers
	[[ $status -eq 0 && $output == "$stock" ]]
	# There is a handler, nevertheless.
	requires_guest steps
	start_pooled COPOOL_CRASH_NOTE=1 COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop "$GUESTS/steps" use 1 wait go
	wait_until 20 catches_segv "$pid"
	touch go
	ended "$pid"
}

@test "crash: a handler of the program's own gets all faults, and copool says nothing" {
	FILTER=s/x/x/ same_twin COPOOL_CRASH_NOTE=1 "$crashes" own-handler
	[[ $output == *'signal 11'*'signal 11'* ]]
}

# core_of COMMAND...: where it died and why, out of its core file.
core_of() {
	(
		ulimit -c unlimited
		"$@" 2>/dev/null
	) || :
	[[ -e core ]] || return
	gdb --batch -ex 'print $_siginfo.si_signo' -ex 'print $_siginfo.si_code' -ex 'print $_siginfo._sifields._sigfault.si_addr' \
		-ex bt "$crashes" core 2>/dev/null | grep -E '^(#|\$)' | sed -E 's/0x[0-9a-f]{8,} in //; s/0x7f[0-9a-f]*/STACK/'
	rm core
}

@test "crash: the core file is that of the fault, with its signal, its address and its place" {
	requires gdb
	[[ $(</proc/sys/kernel/core_pattern) == core && $(ulimit -H -c) == unlimited ]] || skip "this machine has core files elsewhere"
	rm -f core core.*
	stock=$(core_of "$crashes" in-program)
	[[ $stock == *'$3 = (void *) 0x10'*'#0 '*in_program* ]] || lacks "no core file"
	ours=$(core_of "$COPOOL" run "$crashes" in-program)
	diff <(echo "$stock") <(echo "$ours")
	[[ $(core_of "$COPOOL" run "$crashes" in-pool) == *'= 11'*'#0 '*create* ]]
}
