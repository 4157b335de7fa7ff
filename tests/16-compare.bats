#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# copool compare: what it counts, what it concludes, and what it leaves behind. The program may tell the runs apart
# by COPOOL_MODE, which is how tests make them differ.
# shellcheck disable=SC2016 # what is in single quotes is for the program to expand
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2154 # helper.bash sets pid
# shellcheck disable=SC2054 # the commas belong to QEMU's options

load lib/helper
load lib/qemu

setup() {
	requires jq
	cd "$BATS_TEST_TMPDIR" || return
	export TMPDIR=$BATS_TEST_TMPDIR/temporary
	mkdir "$TMPDIR"
}

null_aio=(--image-opts driver=null-aio,size=1G)
bursts=(qemu-img bench -w -c 20480 -d 1024 --flush-interval=1024 "${null_aio[@]}")

# compares STATUS ARGUMENT...: it exits so, and leaves no file. Its table in $output, what else it says in $stderr.
compares() {
	local wanted=$1
	shift
	run "-$wanted" --separate-stderr "$COPOOL" compare "$@"
	echo "copool compare $*: $status:"
	echo "$output"
	echo "stderr: $stderr"
	[[ $status -eq $wanted ]]
	[[ -z $(ls -A "$TMPDIR") ]]
}

verdict() {
	echo "${output##*$'\n'}"
}

# row LABEL: the two figures of a row of one-run tables, blanks between.
row() {
	sed -nE "s/^$1 +//p" <<<"$output" | tr -s ' '
}

# said RECORD...: a program that has its log say, without the pool and with it.
counters() { # CREATES NEW
	printf '{"type":"open","time":1,"pid":7,"format":1,"program":"x","host":"stacks","mode":"m"}\n'
	printf '{"type":"final","time":2,"pid":7,"uptime_ms":1,"pool":"stack 1","create_local":%d,"create_depot":0,"create_new":%d,"peak_objects":%d,"calls_saved":0}\n' \
		$(($1 - $2)) "$2" "$2"
}

# tells STOCK_CREATES STOCK_NEW POOLED_CREATES POOLED_NEW: such a program, for `compares 0 -n 1 -- ./program`.
tells() {
	counters "$1" "$2" >observe
	counters "$3" "$4" >pool
	printf '#!/bin/sh\ncat "$COPOOL_MODE" >"$COPOOL_LOG"\n' >program
	chmod +x program
}

# ---- real programs ----

@test "compare: the table fits into 80 columns, and no number is cut" {
	tells 123456789012 100000000000 123456789013 2
	compares 0 -n 3 -- ./program
	awk 'length($0) > 80 && !/^(helps|does)/ { print; exit 1 }' <<<"$output"
	[[ $(row creates) == "123456789012 123456789013" ]]
	# Where runs differ the range is beside the median, or below it.
	[[ $output =~ CPU\ time\ +[0-9.]+\ s(\ \(|\ +[0-9]) ]]
}

@test "compare: qemu-img in bursts is helped, and the counters are those of observe mode and of the pool" {
	requires_sized_pool qemu-img
	compares 0 -n 2 -- "${bursts[@]}"
	[[ $(verdict) == "helps: "*" % of creates were misses, now "*" %"* ]]
	made=()
	for mode in observe pool; do
		rm -f "$LOG"
		run_pooled COPOOL_MODE=$mode "${bursts[@]}"
		made[${#made[@]}]=$(log_final create_new "$COROUTINES")
	done
	echo "made ${made[*]}"
	compares 0 -n 1 --json -- "${bursts[@]}"
	# How requests meet is not the same each time.
	jq -e --argjson stock "${made[0]}" --argjson pooled "${made[1]}" '
		(.stock.new.median / $stock | . > 0.8 and . < 1.25) and (.pooled.new.median / $pooled | . > 0.8 and . < 1.25)
		and .stock.creates.median == .pooled.creates.median and .stock.creates.median > 20480
		and .stock.calls_saved.median == 0 and .pooled.calls_saved.median > 40000
		and .stock.peak_maps.median > 1000 and .pooled.peak_maps.median < 500' <<<"$output"
}

@test "compare: qemu-img without bursts is told that hardly a create was a miss" {
	requires_qemu qemu-img
	compares 0 -n 1 -- qemu-img bench -c 50000 -d 64 "${null_aio[@]}"
	[[ $(verdict) == "does not help: only 0."*" % of creates were misses, leave it off" ]]
	[[ $stderr == *"50000 read requests"* ]]
}

@test "compare: PHP's fibers are helped" {
	requires php
	compares 0 -n 1 -- php -n -r 'for ($i = 0; $i < 2000; $i++) { $f = new Fiber(fn() => Fiber::suspend()); $f->start(); $f->resume(); }'
	[[ $(verdict) == "helps: 100 % of creates were misses, now 0.05 %" ]]
	[[ $(row creates) == "2000 2000" && $(row new) == "2000 1" && $(row "most objects") == "1 1" ]]
	[[ $(row misses) == "100.00 % 0.05 %" ]]
}

@test "compare: a program that never frees a fiber is told that nothing became better" {
	requires php
	compares 0 -n 1 -- php -n -r 'for ($i = 0; $i < 2000; $i++) { $f = new Fiber(fn() => Fiber::suspend()); $f->start(); $all[] = $f; }'
	[[ $(verdict) == "does not help: 100 % of creates were misses, with copool 100 %, leave it off" ]]
}

@test "compare: a program without coroutines is told so" {
	compares 0 -n 1 ls /
	[[ $(verdict) == "does not help: the program has no known coroutines, leave it off" ]]
	[[ $(row misses) == "- -" && $(row creates) == "0 0" ]]
	requires php
	compares 0 -n 1 -- php -n -r 'echo 1;'
	[[ $(verdict) == "does not help: copool saw no coroutines (stacks from malloc are out of its reach), leave it off" ]]
}

@test "compare: why nothing is pooled is said where there is a reason" {
	requires_program qemu_unmovable
	compares 0 -n 1 -- "$PROGRAMS/qemu_unmovable" churn
	[[ $(verdict) == "does not help: QEMU's coroutines are left to its own pool: "*", leave it off" ]]
	requires qemu-img
	# Switched off, it tells nothing about the pool.
	compares 0 -n 1 --host=off -- "${bursts[@]}"
	[[ $(verdict) == "no verdict: switched off by COPOOL_HOST=off; --host=auto overrules it" ]]
}

@test "compare: a program that ends well only with the pool is helped" {
	requires php
	(($(</proc/sys/vm/max_map_count) <= 65530)) || skip "vm.max_map_count is larger than by default"
	script='for ($i = 0; $i < 33000; $i++) { $f = new Fiber(fn() => Fiber::suspend()); $f->start(); $all[] = $f; } echo "alive";'
	run_pooled php -n -d memory_limit=-1 -r "$script"
	[[ $output == alive ]] || skip "guard pages take memory maps on this kernel"
	compares 0 -n 1 -- php -n -d memory_limit=-1 -r "$script"
	[[ $(verdict) == "helps: without copool the program ends with 255, with copool with 0" ]]
	[[ $(row "exit status") == "255 0" && $stderr == *"mprotect failed"* && $stderr == *alive* ]]
}

@test "compare: named functions and the options of run are served" {
	requires_program named
	compares 0 -n 1 --create=box_make/0 --destroy=box_drop --max-batches=100 -- "$PROGRAMS/named" plain 100
	[[ $(row creates) == "10000 10000" && $(row new) == "10000 100" ]]
	[[ $(verdict) == "helps: 100 % of creates were misses, now 1 %" ]]
}

@test "compare: what a program starts counts as well, one after the other or at once" {
	requires_qemu qemu-img
	compares 0 -n 1 -- sh -c 'qemu-img "$@" & qemu-img "$@"; wait' sh "${bursts[@]:1}"
	[[ $(row creates | cut -d ' ' -f 1) -gt 40960 ]]
	requires_sized_pool qemu-img
	[[ $(verdict) == "helps: "* ]]
}

# ---- the verdict on counts ----

@test "compare: misses that fell by too little, or were too few, are no help" {
	tells 1000 500 1000 5
	compares 0 -n 1 -- ./program
	[[ $(verdict) == "helps: 50 % of creates were misses, now 0.5 %" ]]
	tells 1000 500 1000 490 # a fiftieth of them
	compares 0 -n 1 -- ./program
	[[ $(verdict) == "does not help: 50 % of creates were misses, with copool 49 %, leave it off" ]]
	tells 100000 300 100000 1 # 0.3 %
	compares 0 -n 1 -- ./program
	[[ $(verdict) == "does not help: only 0.3 % of creates were misses, leave it off" ]]
	tells 10 10 10 1 # nine
	compares 0 -n 1 -- ./program
	[[ $(verdict) == "does not help: 100 % of creates were misses, with copool 10 %, leave it off" ]]
}

@test "compare: more misses than before are called so" {
	tells 1000 100 1000 900
	compares 0 -n 1 -- ./program
	[[ $(verdict) == "does not help: 10 % of creates were misses, with copool 90 %, leave it off" ]]
}

@test "compare: creates that a pool in front of ours served are not taken for fewer misses, nor for more" {
	tells 1000 500 500 250
	compares 0 -n 1 -- ./program
	[[ $(row misses) == "50.00 % 25.00 %" && $(row creates) == "1000 500" ]]
}

@test "compare: a median is shown with the least and the most" {
	printf '#!/bin/sh\necho >>runs\n' >program
	counters 1000 100 >one
	counters 1000 300 >two
	cat >>program <<-'END'
		if [ "$(wc -l <runs)" -le 2 ]; then cat one; else cat two; fi >"$COPOOL_LOG"
	END
	chmod +x program
	compares 0 -n 3 -- ./program
	[[ $(row new) == "300 (100 .. 300) 300 (100 .. 300)" && $(row misses) == "30.00 % (10.00 .. 30.00) "* ]]
	[[ $(wc -l <runs) -eq 6 ]]
}

# ---- how runs end ----

@test "compare: the program's exit status is in the table and is its own" {
	compares 3 -n 2 -- sh -c 'exit 3'
	[[ $(row "exit status") == "3 3" ]]
	compares 139 -n 1 -- sh -c 'kill -SEGV $$'
	[[ $(row "exit status") == "SIGSEGV SIGSEGV" ]]
	compares 4 -n 1 -- sh -c '[ $COPOOL_MODE = observe ] || exit 4'
	[[ $(row "exit status") == "0 4" && $(verdict) == "does not help: with copool the program ends with 4, leave it off" ]]
	compares 0 -n 1 -- sh -c '[ $COPOOL_MODE = pool ] || exit 4'
	[[ $(verdict) == "helps: without copool the program ends with 4, with copool with 0" ]]
	compares 5 -n 2 -- sh -c 'echo >>runs; [ $(wc -l <runs) -ne 4 ] || exit 5'
	[[ $(row "exit status") == "0 5 in 1 of 2 runs" && $(verdict) == "does not help: "*"5 in 1 of 2 runs"* ]]
	compares 6 -n 2 -- sh -c '[ $COPOOL_MODE = pool ] || exit 6; echo >>again; [ $(wc -l <again) -ne 1 ] || exit 6'
	[[ $(verdict) == "does not help: the program has no known coroutines, leave it off" ]]
}

@test "compare: of a program that fails there is no verdict, however fast it does" {
	requires php
	compares 7 -n 1 -- php -n -r 'for ($i = 0; $i < 2000; $i++) { $f = new Fiber(fn() => 1); $f->start(); } exit(7);'
	[[ $(verdict) == "no verdict: the program ends with 7; only runs that end with 0 can be compared" ]]
	compares 7 -n 1 --json -- php -n -r 'for ($i = 0; $i < 2000; $i++) { $f = new Fiber(fn() => 1); $f->start(); } exit(7);'
	jq -e '.helps == null and (.verdict | startswith("no verdict: "))' <<<"$output"
	requires_program named
	compares 6 -n 2 --create=box_make/0 --destroy=box_drop -- sh -c '"$0" plain 100 || exit
		[ $COPOOL_MODE = pool ] || exit 6; echo >>again; [ $(wc -l <again) -ne 1 ] || exit 6' "$PROGRAMS/named"
	[[ $(verdict) == "no verdict: the program ends with 6 without copool, with 6 in 1 of 2 runs with it; only runs that end with 0 can be compared" ]]
}

@test "compare: what the program says is shown once, on standard error, and again where a run ends otherwise" {
	compares 0 -n 3 -- sh -c 'echo told; echo warned >&2'
	[[ $stderr == $'told\nwarned' && $output != *told* && $output != *warned* ]]
	compares 0 -n 2 --quiet -- sh -c 'echo told; echo warned >&2'
	[[ $stderr == "" ]]
	compares 7 -n 1 -- sh -c 'echo $COPOOL_MODE; [ $COPOOL_MODE = observe ] || exit 7'
	[[ $stderr == $'observe\ncopool compare: run 2, with the pool, ended with 7:\npool' ]]
}

@test "compare: runs are made in turn, without the pool first" {
	compares 0 -n 3 -- sh -c 'echo $COPOOL_MODE >>modes'
	[[ $(paste -sd ' ' modes) == "observe pool observe pool observe pool" ]]
	rm modes
	compares 0 -- sh -c 'echo $COPOOL_MODE >>modes'
	[[ $(wc -l <modes) -eq 10 ]]
}

@test "compare: every run reads a file from where it stood; a pipe is empty for all, and that is said" {
	seq 100 >input
	{
		read -r first
		compares 0 -n 2 -- sh -c 'cksum >>sums'
	} <input
	[[ $(sort sums | uniq -c | awk '{ print $1 }') -eq 4 ]]
	rm sums
	compares 0 -n 1 -- sh -c 'wc -c >>sums' < <(echo here && wait_until 5 test -s sums)
	[[ $stderr == *"pipe"* && $(sort -u sums) -eq 0 ]]
}

@test "compare: other settings for logs do not get in the way, and are not written to" {
	COPOOL_LOG=$PWD/mine COPOOL_PROMETHEUS=$PWD/mine.prom COPOOL_MODE=pool compares 0 -n 1 -- "${bursts[@]}"
	[[ ! -e mine && ! -e mine.prom && $(row creates) != "0 0" ]]
	COPOOL_PROMETHEUS=$PWD/mine.prom compares 0 -n 1 -- sh -c '! printenv COPOOL_PROMETHEUS'
}

@test "compare: a temporary folder may be called anything; one that cannot be written is status 125" {
	TMPDIR="$PWD/100%p and %n"
	mkdir "$TMPDIR"
	compares 0 -n 1 -- "${bursts[@]}"
	[[ $(row creates) == [1-9]* ]]
	TMPDIR=$PWD/nowhere run "$COPOOL" compare ls
	[[ $status -eq 125 && $output == "copool compare: cannot make a temporary folder (TMPDIR): No such file or directory" ]]
}

@test "compare: a program that goes on in the background is not compared" {
	compares 125 -n 3 -- sh -c 'tail -f /dev/null & echo $! >>left'
	watch_over "$(<left)"
	[[ $output == "" && $stderr == *"processes that it started have not"* && $(wc -l <left) -eq 1 ]]
	# One that leaves something for a moment is.
	compares 0 -n 1 -- sh -c '(read -rt 0.2 x <>fifo; :) & exit 0'
}

# begins ARGUMENT...: starts a comparison and waits until its program has written the file `running`.
begins() {
	start "$COPOOL" compare "$@"
	wait_until 10 test -s running
	program=$(<running)
	watch_over "$program"
}

waits='echo $$ >running; exec tail -f /dev/null'

# What bash starts in the background ignores SIGINT and SIGQUIT.
heeding='import os, signal, sys
for each in signal.SIGINT, signal.SIGQUIT: signal.signal(each, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])'

@test "compare: a signal ends the program, then itself, and no folder stays" {
	requires python3
	for signal in INT TERM HUP QUIT; do
		rm -f running
		start python3 -c "$heeding" "$COPOOL" compare -- bash -c "$waits"
		wait_until 10 test -s running
		program=$(<running)
		watch_over "$program"
		stop "$pid" $signal
		[[ $status -eq $((128 + $(kill -l $signal))) ]]
		is_gone "$program"
		[[ -z $(ls -A "$TMPDIR") ]]
	done
}

@test "compare: the program hears the signal that was sent to copool alone" {
	begins -- bash -c 'trap "echo heard >heard; exit 0" TERM; echo $$ >running; while :; do read -rt 1 x <>fifo; done'
	stop "$pid" TERM
	[[ $status -eq 143 && $(<heard) == heard ]]
}

@test "compare: its parent sees that it ended by the signal" {
	requires python3
	run python3 -c 'import os, signal, subprocess, sys, time
child = subprocess.Popen(sys.argv[1:])
while not os.path.exists("running"): time.sleep(0.02)
child.send_signal(signal.SIGTERM)
print(child.wait(20))' "$COPOOL" compare -- bash -c "$waits"
	[[ ${lines[-1]} == -15 ]]
}

@test "compare: a program that does not heed a signal is killed at the second" {
	begins -- bash -c "trap '' TERM; $waits"
	kill -TERM "$pid"
	kill -TERM "$pid" # may come before the first is seen, and is one with it then
	wait_until 4 eval 'is_gone "$program" || { kill -TERM $pid; false; }'
	stop "$pid"
	[[ $status -eq 143 && -z $(ls -A "$TMPDIR") ]]
}

@test "compare: under nohup it goes on when the terminal goes" {
	mkfifo gate
	start nohup "$COPOOL" compare -n 1 -- bash -c 'echo $$ >running; [[ $COPOOL_MODE == pool ]] || read -r x <gate'
	wait_until 10 test -s running
	kill -HUP "$pid"
	timeout 60 bash -c 'echo go >gate'
	ended "$pid"
	[[ $status -eq 0 ]]
	grep -q '^does not help' "$BATS_TEST_TMPDIR/output.$pid"
}

# ---- JSON and bad input ----

@test "compare: --json has every figure of every run, and the verdict" {
	requires php
	compares 0 -n 3 --json -- php -n -r 'for ($i = 0; $i < 500; $i++) { $f = new Fiber(fn() => 1); $f->start(); } echo "done";'
	jq -e '.program[0] == "php" and .helps == true and (.verdict | startswith("helps: "))
		and (.stock.runs | length) == 3 and (.pooled.runs | length) == 3
		and .stock.creates == {median: 500, low: 500, high: 500}
		and .pooled.new.median == 1 and .pooled.miss_rate.median == 0.002
		and (.stock.wall_s | .low > 0 and .low <= .median and .median <= .high)
		and ([.stock, .pooled] | all(.[].runs[]; .exit_status == 0 and .signal == null and .cpu_s > 0
			and .peak_resident_kib > 1000 and .peak_objects == 1))' <<<"$output"
	compares 134 -n 1 --json -- sh -c 'kill -ABRT $$'
	jq -e '.helps == false and .stock.runs[0].signal == 6 and .stock.runs[0].exit_status == null
		and .stock.miss_rate.median == null' <<<"$output"
	compares 0 -n 1 --json -- sh -c : $'\xff'
	jq -e '.program[3] == "?"' <<<"$output"
}

@test "compare: wrong options are status 2, and name what is wrong" {
	for wrong in --runs=0 --runs=1001 --runs=x --runs= -n-1 --decay=1 --guard=x; do
		run "$COPOOL" compare $wrong -- true
		[[ $status -eq 2 && ${lines[0]} == "copool compare: --"*"=${wrong#*=}"* ]] ||
			[[ $status -eq 2 && ${lines[0]} == "copool compare: --runs=-1: "* ]]
	done
	for wrong in --log=x --observe --nonsense; do
		run "$COPOOL" compare $wrong -- true
		[[ $status -eq 2 && $output == *"${wrong%=*}"* ]]
	done
	run "$COPOOL" compare
	[[ $status -eq 2 && $output == *"which program?"* ]]
}

@test "compare: a program that is not there or cannot be preloaded is refused as by run" {
	compares 127 -- ./nowhere
	[[ $stderr == "copool compare: ./nowhere: no such program" ]]
	requires gcc
	echo 'int main(void) { return 0; }' >static.c
	gcc -static -o static static.c
	compares 126 -- ./static
	[[ $stderr == *"static is statically linked"* ]]
}

@test "compare: an output that cannot be written is status 125" {
	run bash -c '"$0" compare -n 1 true >/dev/full' "$COPOOL"
	[[ $status -eq 125 && $output == *"copool compare: cannot write: No space left on device"* ]]
	run --separate-stderr bash -c '"$0" compare -n 1 true 2>&-' "$COPOOL"
	[[ $status -eq 0 && $output == *"does not help"* && -z $(ls -A "$TMPDIR") ]]
	mkfifo broken
	exec {reader}<>broken
	exec {writer}>broken
	exec {reader}<&-
	run --separate-stderr bash -c '"$0" compare -n 1 echo told 2>&"$1"' "$COPOOL" "$writer"
	[[ $status -eq 0 && $output == *"does not help"* && -z $(ls -A "$TMPDIR") ]]
}
