#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Programs that have no coroutines until they load a library that has: it is found when its first stack is asked for,
# and until then nothing happens to them.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own

load lib/helper

setup() {
	requires jq
	requires_program late late_known late_other looks_inside
	cd "$BATS_TEST_TMPDIR" || return
	unset LD_PRELOAD
}

# late HOW [VARIABLE=VALUE...]: the program does what it does without the shim, and its counters balance.
late() {
	same_twin "${@:2}" "$PROGRAMS/late" "$1" "$PROGRAMS/late_known" "$PROGRAMS/late_other"
	[[ $status -eq 0 && $output == *'0 failures' ]]
	check_log
	[[ $(log_records warning) == '' ]]
}

# served: how many stacks came out of a pool of Coro's, in all processes.
served() {
	check_balance
	echo $(($(log_final create_local) + $(log_final create_depot)))
}

@test "late: what a library brings is pooled from its first stack on, and the log says when it came" {
	late plain
	[[ $(served) -ge 280 && $(log_final live) -eq 0 && $(log_records final .pool) == 'stack 65536 coro' ]]
	[[ $(log_records open '[.host, .mode, .way]' | tr -d '\n') == '["none","none","none"]["stacks","pool","stacks"]' ]]
	[[ $(log_records open '.detail' | head -n 1) == 'the program has no known coroutines' ]]
	[[ $(log_records open .again | tr '\n' ' ') == 'null 1 ' ]]
	run "$COPOOL" show "$LOG"
	[[ $output == *'host stacks'* && $output != *'had nothing to pool'* ]]
}

@test "late: several threads may ask for their first one at once" {
	late threads
	# Who comes while another thread is taking the program over is served by the kernel; that one's are pooled.
	(($(served) >= 280))
	[[ $(log_final live) -eq 0 && $(log_records open .host | grep -c stacks) -eq 1 ]]
}

@test "late: the first may be asked for in a signal handler that interrupts malloc" {
	late handler
	(($(served) >= 280))
}

@test "late: the first may be asked for where a page is all the room there is" {
	late small
	(($(served) >= 280))
}

@test "late: stacks that were there before are treated and unmapped as without the shim" {
	late before
	(($(served) >= 280))
	[[ $(log_final live) -eq 0 ]]
}

@test "late: asking for the first is no cancellation point" {
	late cancel
	[[ $output == $'not yet cancelled\n0 failures' ]]
	(($(served) >= 280))
}

@test "late: a library's constructor and destructor may ask for the first" {
	late plain LATE_CONSTRUCTOR=1
	(($(served) >= 320))
	rm "$LOG"
	late again LATE_CONSTRUCTOR=1
	(($(served) >= 2000))
}

@test "late: children of a fork find it each for itself, before and after their parent" {
	late fork
	[[ $(log_records final .pid | sort -u | wc -l) -eq 6 ]]
	parent=$(log_records open 'select(.ppid == 0) | .pid' | sort -u)
	[[ $(log_records open 'select(.ppid != 0) | .ppid' | sort | uniq -c | tr -s ' ') == " 5 $parent" ]]
	(($(served) >= 6 * 280))
	[[ $(log_final live) -eq 0 ]]
}

@test "late: a fork while another thread is asking for the first leaves both sides whole" {
	late race
	(($(served) >= 30 * 280))
}

@test "late: a program that has taken on a filter that kills is left alone from then on, and so are its children" {
	late confined
	[[ $(log_records - .type) == open && $(log_open host) == none ]]
}

@test "late: a library that is loaded time after time has one pool" {
	late again
	(($(served) >= 560))
	[[ $(log_records final .pool) == 'stack 65536 coro' ]]
}

@test "late: a library that is loaded where another was is asked again whether it makes stacks" {
	export PROGRAM_TRUTH=$PWD/truth
	late reload
	[[ $output == '0 bytes that are not zero'* ]]
	[[ $(<truth) == 'same place' ]] || skip "the other library has come to lie elsewhere"
	[[ $(log_final create_local) -lt 2010 ]]
}

@test "late: what has not come costs no thread, descriptor, code or signal" {
	same_twin "$PROGRAMS/looks_inside"
	[[ $status -eq 0 && $output == "threads 1"* ]]
	[[ $(log_records - .type) == open ]]
}

@test "late: switched off, or meant for another kind of program, it is not waited for" {
	for setting in COPOOL_HOST=off COPOOL_HOST=qemu COPOOL_HOST=named; do
		rm -f "$LOG"
		same_twin "$setting" "$PROGRAMS/late" plain "$PROGRAMS/late_known"
		[[ $status -eq 0 && $(log_records open .host | sort -u) == none && $(log_records final) == '' ]]
	done
}

@test "late: to observe is to count, and to leave the stacks to the program" {
	late plain COPOOL_MODE=observe
	check_balance
	[[ $(log_final create_new) -eq 300 && $(log_records open .mode | tail -n 1) == observe ]]
}

@test "late: settings mean what they mean where it is found at the start" {
	late plain COPOOL_MAX_BATCHES=0 COPOOL_ZERO=1 COPOOL_DECAY_MS=0 COPOOL_GUARD=mprotect
	check_balance
	[[ $(log_records open .max_batches | tail -n 1) -eq 0 && $(log_records open .detail | tail -n 1) == *mprotect* ]]
}

@test "late: a program that has PHP's library within it, loaded as it runs, has its fibers pooled" {
	requires_program embeds
	libraries=(/usr/lib/libphp[0-9]*.so)
	library=${libraries[-1]}
	[[ -e $library ]] || lacks "there is no PHP library (libphp-embed)"
	# shellcheck disable=SC2016 # PHP's own
	same_twin "$PROGRAMS/embeds" "$library" 'for ($i = 0; $i < 1000; $i++) { $fiber = new Fiber(fn($x) => Fiber::suspend($x));
		if ($fiber->start($i) !== $i) exit(1); $fiber->resume(); } echo "fine\n";'
	[[ $status -eq 0 && $output == $'fine\nfine' ]]
	check_balance
	[[ $(log_final create_local) -eq 1999 && $(log_final create_new) -eq 1 ]]
	[[ $(log_records final .pool) == 'stack 2101248 php' ]]
}
