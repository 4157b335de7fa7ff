#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# copool set, trim, off, on: changes in a running process, which notices nothing but their effect.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2154 # start sets pid
# shellcheck disable=SC2016 # what is in single quotes is for eval

load lib/helper
load lib/qemu

setup() {
	requires jq
	requires_program steps
	cd "$BATS_TEST_TMPDIR" || return
	export COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop
	steps=$PROGRAMS/steps
}

# start_unlogged [VARIABLE=VALUE...] COMMAND...: as start_pooled, with no log.
start_unlogged() {
	start env -u COPOOL_LOG LD_PRELOAD="$COPOOL_SO" "$@"
}

# A process that has made and dropped 1000 boxes, does so again when there is the file `again`, and ends when
# there is the file `go`; known by $pid.
start_steps() {
	start_unlogged "$@" "$steps" use 1000 touch used wait again use 1000 touch "done" wait go
	wait_until 10 test -e used
}

again() {
	touch again
	wait_until 10 test -e "done"
}

# counts CONDITION: of the process's first pool, seen from outside.
counts() {
	"$COPOOL" show --json "$pid" | jq -e '.processes[0].pools[0] | . != null and ('"$1"')' >/dev/null
}

# tells VERB ARGUMENT...: it is done, and says so.
tells() {
	run "$COPOOL" "$@"
	echo "copool $*: $status"
	echo "$output"
	[[ $status -eq 0 ]]
}

refuses() { # STATUS TEXT VERB ARGUMENT...
	local wanted=$1 text=$2
	shift 2
	run "$COPOOL" "$@"
	echo "copool $*: $status"
	echo "$output"
	[[ $status -eq $wanted && $output == *"$text"* ]]
}

@test "trim: what is idle in the depots is given back, and the caches stay" {
	start_steps
	counts '.pooled == 1000 and .depot_batches == 61 and .trimmed == 0'
	tells trim "$pid"
	[[ $output == "given back: 976 idle objects; 24 stay in the caches of 1 thread" ]]
	counts '.pooled == 24 and .depot_batches == 0 and .trimmed == 976'
	# Once: what comes later stays.
	again
	counts '.depot_batches == 61'
	tells trim "$pid"
	[[ $output == "given back: 976 "* ]]
	touch go
	ended "$pid"
	[[ $status -eq 0 ]]
}

@test "set: without a value it shows what holds" {
	start_steps COPOOL_DECAY_MS=7000 COPOOL_MAX_BATCHES=99
	tells set "$pid"
	[[ $output == "decay_ms=7000 max_batches=99 off=0" ]]
	tells set "$pid" max_batches=3 decay_ms=100
	[[ ${lines[0]} == "decay_ms=100 max_batches=3 off=0" ]]
	tells set "$pid"
	[[ $output == "decay_ms=100 max_batches=3 off=0" ]]
	tells set "$pid" decay_ms=default max_batches=default off=1
	[[ ${lines[0]} == "decay_ms=7000 max_batches=99 off=1" ]]
}

@test "set: a decay that becomes shorter empties the depots by itself, and 0 ends that" {
	start_steps COPOOL_DECAY_MS=86400000
	tells set "$pid" decay_ms=100
	wait_until 10 counts '.depot_batches == 0'
	counts '.trimmed == 976'
	tells set "$pid" decay_ms=0
	again
	counts '.depot_batches == 61'
	# Many windows of the old decay.
	tells set "$pid" max_batches=60
	counts '.depot_batches == 60'
}

@test "set: a process that began with decay 0 and without a thread gets one that gives back" {
	start_steps COPOOL_DECAY_MS=0
	[[ $(ls "/proc/$pid/task") == "$pid" ]]
	# For what leaves nothing to give back there is none needed.
	tells on "$pid"
	tells set "$pid" max_batches=default decay_ms=0
	[[ $output == "decay_ms=0 max_batches="*" off=0" ]]
	refuses 3 "no thread there yet" set "$pid" decay_ms=100
	[[ $(ls "/proc/$pid/task") == "$pid" ]]
	again
	wait_until 10 counts '.depot_batches == 0 and .trimmed > 900'
	tasks=("/proc/$pid/task"/*)
	[[ ${#tasks[@]} -eq 2 ]]
	tells trim "$pid"
	touch go
	ended "$pid"
	[[ $status -eq 0 ]]
}

@test "set: a smaller max_batches is kept to at once and later, and its default comes back" {
	start_steps COPOOL_DECAY_MS=86400000
	tells set "$pid" max_batches=5
	[[ $output == *"given back: 896 idle objects; 24 stay in the caches of 1 thread"* ]]
	counts '.depot_batches == 5'
	again
	counts '.depot_batches == 5 and .destroy_delete > 800'
	tells set "$pid" max_batches=default
	"$COPOOL" show --json "$pid" | jq -e '.processes[0].open.max_batches > 1000'
}

@test "off: the depots keep nothing, what stays is told, and on brings them back" {
	start_steps
	tells off "$pid"
	[[ $output == *"given back: 976 idle objects"*"off: "*"at most 32 objects"* ]]
	counts '.depot_batches == 0'
	again
	counts '.depot_batches == 0 and .destroy_delete >= 960 and .pooled <= 32'
	tells set "$pid"
	[[ $output == *" off=1" ]]
	"$COPOOL" show "$pid" | grep -q '  host named (off): '
	tells on "$pid"
	[[ $output == "process $pid pools again" ]]
	tells set "$pid"
	[[ $output == *" off=0" ]]
}

@test "off: the log tells when it was off, and no reader judges the pool by that" {
	start_pooled COPOOL_INTERVAL_MS=20 "$steps" use 1000 touch used wait again use 1000 touch "done" wait go
	wait_until 10 test -e used
	said() { [[ $(log_records way .mode | tr '\n' ' ') == "$1" ]]; }
	tells off "$pid"
	wait_until 10 said "off "
	again
	tells on "$pid"
	wait_until 10 said "off pool "
	touch go
	ended "$pid"
	[[ $status -eq 0 ]]
	check_balance
	run "$COPOOL" show "$LOG"
	[[ $output == *"host named: "*"Switched off for a time. copool off was used"* && $output != *"at its cap"* ]]
	"$COPOOL" show --json "$LOG" | jq -e '.processes[0].verdicts[0].grade == ""'
	run "$COPOOL" advise "$LOG"
	[[ $status -eq 1 && $output == *"copool off was used"* ]]
}

@test "off: set off=0 brings the pool back, and what is destroyed then is kept" {
	start_steps
	tells set "$pid" off=1
	counts '.depot_batches == 0'
	tells set "$pid" off=0
	again
	counts '.depot_batches == 61 and .destroy_delete == 0'
}

@test "off: a child that is forked later is off as its parent" {
	start_unlogged "$steps" use 1000 touch used wait again fork use 1000 touch "done" wait go
	wait_until 10 test -e used
	parent=$pid
	tells off "$pid"
	again
	pid=$(pgrep -P "$parent")
	watch_over "$pid"
	counts '.depot_batches == 0 and .destroy_delete >= 960'
	tells on "$pid"
	tells set "$pid"
	[[ $output == *" off=0" ]]
	tells set "$parent"
	[[ $output == *" off=1" ]]
}

@test "control: a thread that sleeps since nothing is idle is not waited for" {
	start_unlogged COPOOL_DECAY_MS=500 "$steps" use 16 touch used wait go
	wait_until 10 test -e used
	# Less than the second for which a busy thread would have to be waited for.
	before=${EPOCHREALTIME/./}
	tells set "$pid" decay_ms=300
	tells trim "$pid"
	[[ $output == "given back: 0 idle objects; 16 stay "* ]]
	tells off "$pid"
	((${EPOCHREALTIME/./} - before < 900000))
}

@test "control: what a stopped process is asked for is done when it goes on" {
	start_steps COPOOL_DECAY_MS=86400000
	kill -STOP "$pid"
	refuses 3 "the process is stopped" trim "$pid"
	counts '.pooled == 1000'
	kill -CONT "$pid"
	wait_until 10 counts '.depot_batches == 0 and .trimmed == 976'
}

@test "control: without a thread it says when it will be done, and then it is" {
	start_steps COPOOL_DECAY_MS=0
	refuses 3 "when the program next gives a batch to the pool" trim "$pid"
	counts '.pooled == 1000 and .trimmed == 0'
	again
	# As many as are idle when it starts, which the first batch that comes back makes it do.
	wait_until 10 counts '.trimmed >= 16'
	touch go
	ended "$pid"
	[[ $status -eq 0 ]]
}

@test "control: where the thread cannot be started it says that nothing is given back" {
	requires setpriv
	[[ $(id -u) -eq 0 ]] || skip "only root can become somebody else"
	chmod 777 . && chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR"
	# A user of his own, who may have one thread.
	start_unlogged prlimit --nproc=1 setpriv --reuid=64321 --regid=64321 --clear-groups "$steps" use 1000 touch used wait go
	wait_until 10 test -e used || lacks "another user cannot reach the programs"
	[[ $(ls "/proc/$pid/task") == "$pid" ]] || skip "the limit does not hold here"
	refuses 3 "could not start its thread" trim "$pid"
}

@test "control: many at once are all served" {
	start_steps COPOOL_DECAY_MS=86400000
	for i in 1 2 3 4 5 6; do
		"$COPOOL" trim "$pid" >trim.$i 2>&1 &
		watch_over "$!"
		"$COPOOL" set "$pid" decay_ms=$((i * 1000)) >set.$i 2>&1 &
		watch_over "$!"
	done
	for each in "${STARTED[@]:1}"; do
		ended "$each"
		[[ $status -eq 0 ]]
	done
	counts '.depot_batches == 0 and .trimmed == 976'
	[[ $("$COPOOL" set "$pid") =~ ^decay_ms=[1-6]000\  ]]
}

@test "control: the process has the descriptors, threads and signals that it had" {
	start_steps
	facts() {
		find "/proc/$pid/fd" -type l -printf '%f %l\n' | sort
		ls "/proc/$pid/task"
		grep -E '^(Sig[^Q]|Shd)' "/proc/$pid/status"
	}
	facts >before
	tells trim "$pid"
	tells off "$pid"
	tells set "$pid" decay_ms=100 off=0
	tells on "$pid"
	facts | diff before -
}

@test "control: what has nothing to pool is an error" {
	unset COPOOL_CREATE COPOOL_DESTROY
	start_unlogged sleep 60
	wait_until 10 eval '"$COPOOL" show "$pid"'
	for verb in set trim off on; do
		refuses 1 "copool $verb: nothing is pooled in process $pid: the program has no known coroutines" $verb "$pid"
	done
	start_stock sleep 60
	wait_until 10 eval '[[ $(</proc/$pid/comm) == sleep ]]'
	for verb in set trim off on; do
		refuses 1 "copool $verb: there is no libcopool.so in process $pid" $verb "$pid"
	done
	stop "$pid"
	refuses 1 "copool off: there is no process $pid" off "$pid"
}

@test "control: a wrong word is told, and changes nothing" {
	start_steps
	local word
	for word in decay_ms=99 decay_ms=86400001 decay_ms= decay_ms=1s decay_ms=-1 max_batches=65536 max_batches=x off=2 \
		off=default; do
		refuses 2 "copool set: $word: " set "$pid" max_batches=1 "$word"
		[[ $output == *"; it must be "*[01]* ]]
	done
	refuses 2 "\`colour=1' is none of decay_ms=MS, max_batches=N, off=0, off=1" set "$pid" colour=1
	refuses 2 "\`decay' is none of" set "$pid" decay
	refuses 2 "which process" set
	refuses 2 "\`php' is not a process id" off php
	refuses 2 "is not a process id" trim 0
	refuses 2 "One process is enough" trim "$pid" "$pid"
	tells set "$pid"
	[[ $output == "decay_ms=10000 max_batches="*" off=0" && $output != *max_batches=1\ * ]]
	counts '.depot_batches == 61'
}

@test "control: PHP's fibers live on through all of it" {
	requires php
	cat >fibers.php <<-'END'
		<?php
		touch('begun');
		for ($sum = 0, $i = 0; !file_exists('go'); $i++, clearstatcache()) {
			$alive = [];
			for ($j = 0; $j < 200; $j++) {
				$alive[$j] = new Fiber(function (int $n): int { return $n + Fiber::suspend($n); });
				$alive[$j]->start($j);
			}
			foreach ($alive as $j => $fiber) { $fiber->resume(1); if ($fiber->getReturn() !== $j + 1) exit(1); }
		}
		echo "fine\n";
	END
	start_pooled COPOOL_INTERVAL_MS=100 php -n fibers.php
	wait_until 10 counts '.create_local > 1000'
	for _ in 1 2 3; do
		tells off "$pid"
		tells trim "$pid"
		tells set "$pid" max_batches=2 decay_ms=100
		tells on "$pid"
		tells set "$pid" max_batches=default decay_ms=default
	done
	touch go
	ended "$pid"
	[[ $status -eq 0 && $(<"$BATS_TEST_TMPDIR/output.$pid") == fine ]]
	check_balance
}

@test "control: qemu-storage-daemon serves a client through all of it" {
	requires_qemu qemu-storage-daemon qemu-img
	random_file disk 16
	start_pooled COPOOL_INTERVAL_MS=100 qemu-storage-daemon --blockdev driver=file,filename=disk,node-name=a \
		--nbd-server "addr.type=unix,addr.path=$PWD/nbd,max-connections=0" \
		--export type=nbd,id=export-a,node-name=a,name=a,writable=on
	server=$pid
	wait_until 10 test -S nbd
	start_stock qemu-img bench -c 1000000000 -d 64 -f raw "nbd+unix:///a?socket=$PWD/nbd"
	client=$pid
	pid=$server
	wait_until 10 counts '.create_local > 1000'
	for _ in 1 2 3; do
		tells off "$server"
		tells trim "$server"
		tells on "$server"
		tells set "$server" max_batches=1
		tells set "$server" max_batches=default
	done
	before=$("$COPOOL" show --json "$server" | jq '.processes[0].pools[0].create_local')
	wait_until 10 counts ".create_local > $before + 1000"
	kill -0 "$client"
	stop "$client"
	run_stock qemu-img compare -f raw disk "nbd+unix:///a?socket=$PWD/nbd"
	[[ $status -eq 0 ]]
	stop "$server"
	[[ $status -eq 0 ]]
	check_balance
}
