#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# copool top: a process or a log as it happens, on a terminal and elsewhere; and copool show of a process. None of
# it needs a log, or the process's help.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2154 # start sets pid
# shellcheck disable=SC2016 # what is in single quotes is for another shell

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

# A process that has made and dropped 1000 boxes and waits for the file `go`; known by $pid.
start_steps() {
	start_unlogged "$steps" use 1000 touch used wait go use 100
	wait_until 10 test -e used
}

# A process that makes and drops fibers until it is stopped.
start_fibers() { # [VARIABLE=VALUE...]
	requires php
	fibers_until_stopped
	start_unlogged "$@" php -n fibers.php
	wait_until 10 counts "$pid" '.create_local > 1000'
}

# counts PID CONDITION: of the process's first pool, seen from outside.
counts() {
	"$COPOOL" show --json "$1" 2>/dev/null | jq -e '.processes[0].pools[0] | . != null and ('"$2"')' >/dev/null
}

# A person in front of a terminal: see lib/terminal.py.
at_terminal() { # ROWS COLUMNS COMMAND...
	/usr/bin/python3 -c 'import pyte' 2>/dev/null || lacks "there is no pyte for python3"
	TERM=${TERMINAL-xterm} LC_ALL=${LOCALE-C.UTF-8} run timeout --kill-after=5 300 /usr/bin/python3 \
		"$TESTS/lib/terminal.py" "$@"
	echo "$output"
	[[ $status -eq 0 ]]
}

without_time() {
	jq -c 'del(.type, .time, .uptime_ms)'
}

# ---- show PID ----

@test "show PID: what is counted from outside is what the final records say of a process at rest" {
	start_pooled COPOOL_DECAY_MS=0 COPOOL_INTERVAL_MS=3600000 "$steps" use 1000 use 100 touch used wait go
	wait_until 10 test -e used
	"$COPOOL" show --json "$pid" | jq -c '.processes[0].pools[]' | without_time >outside
	touch go
	ended "$pid"
	[[ $(jq .create_local outside) -gt 0 && $(jq .pooled outside) -eq 1000 ]]
	log_records final | without_time | diff outside -
}

@test "show PID: what is saved is counted too, in PHP" {
	requires php
	cat >rest.php <<-'END'
		<?php
		for ($round = 0; $round < 2; $round++) {
			$alive = [];
			for ($i = 0; $i < 300; $i++) { $alive[$i] = new Fiber(fn() => Fiber::suspend()); $alive[$i]->start(); }
			for ($i = 50; $i < 300; $i++) $alive[$i]->resume();
		}
		array_splice($alive, 50);
		touch('used');
		while (!file_exists('go')) { usleep(1000); clearstatcache(); }
	END
	start_pooled COPOOL_DECAY_MS=0 COPOOL_INTERVAL_MS=10 php -n rest.php
	wait_until 10 test -e used
	before=$(wc -l <"$LOG")
	wait_until 10 eval "((\$(wc -l <$LOG) > before + 5))"
	"$COPOOL" show --json "$pid" | jq -c '.processes[0].pools[]' | without_time >outside
	[[ $(jq .live outside) -eq 50 && $(jq .pooled outside) -eq 250 && $(jq .calls_saved outside) -gt 0 ]]
	# The last whole line.
	grep '^{"type":"sample".*}$' "$LOG" | tail -n 1 | without_time | diff outside -
	"$COPOOL" show "$pid" | grep -E '^  stack [0-9]+ php +600 +50\.00 % +300 +50 +250 +300 +0 +1$'
}

@test "show PID: a pool that is only observed is counted as its log does, and cannot be changed" {
	start_pooled COPOOL_MODE=observe "$steps" use 1000 use 100 touch used wait go
	wait_until 10 test -e used
	"$COPOOL" show --json "$pid" | jq -c '.processes[0].pools[]' | without_time >outside
	run "$COPOOL" trim "$pid"
	[[ $status -eq 1 && $output == *"nothing is pooled in process $pid"* ]]
	touch go
	ended "$pid"
	[[ $(jq .create_new outside) -eq 1100 ]]
	log_records final | without_time | diff outside -
}

@test "show PID: threads that have counted are added up, in qemu-storage-daemon" {
	requires_qemu qemu-storage-daemon qemu-img
	start_pooled COPOOL_DECAY_MS=0 COPOOL_INTERVAL_MS=50 qemu-storage-daemon \
		--object iothread,id=thread --blockdev driver=null-co,node-name=a,size=1073741824 \
		--nbd-server "addr.type=unix,addr.path=$PWD/nbd,max-connections=0" \
		--export type=nbd,id=export-a,node-name=a,name=a,writable=on,iothread=thread
	server=$pid
	wait_until 10 test -S nbd
	start_stock qemu-img bench -c 1000000000 -d 16 -f raw "nbd+unix:///a?socket=$PWD/nbd"
	wait_until 20 counts "$server" '.create_local > 10000 and .threads >= 2'
	kill -STOP "$pid"
	agrees() {
		diff <("$COPOOL" show --json "$server" | jq -c '.processes[0].pools[]' | without_time | sort) \
			<(grep '^{"type":"sample".*}$' "$LOG" | tail -n "$pools" | without_time | sort)
	}
	pools=$("$COPOOL" show --json "$server" | jq '.processes[0].pools | length')
	wait_until 10 agrees
	stop "$server"
	kill -KILL "$pid"
}

@test "show PID: says of the process what its log would" {
	start_unlogged COPOOL_DECAY_MS=500 COPOOL_MAX_BATCHES=7 "$steps" use 1 touch used wait go
	wait_until 10 test -e used
	run "$COPOOL" show --json "$pid"
	[[ $status -eq 0 ]]
	[[ $(jq -c '.processes[0].open | [.pid, .program, .host, .mode, .decay_ms, .max_batches, .ppid]' <<<"$output") == \
		"[$pid,\"steps\",\"named\",\"pool\",500,7,0]" ]]
	run "$COPOOL" show --pid "$pid"
	[[ $status -eq 0 && $output == "steps [$pid], last seen after "*"host named: "* ]]
}

@test "show PID, top PID: of a process that has nothing to pool they say why" {
	unset COPOOL_CREATE COPOOL_DESTROY
	start_unlogged sleep 60
	wait_until 10 eval '"$COPOOL" show $pid'
	run "$COPOOL" show "$pid"
	[[ $status -eq 0 && $output == "sleep [$pid]"*"host none (none): the program has no known coroutines"* ]]
	[[ $output == *$'\n'"1 process had nothing to pool" ]]
	run --separate-stderr "$COPOOL" top -n 1 "$pid"
	[[ $status -eq 0 && $output != *sleep* && $stderr == "copool top: nothing is pooled in process $pid: the program has no known coroutines" ]]
}

@test "show PID: a process that is stopped, chrooted, or whose library is gone can be looked into" {
	cp "$COPOOL_SO" gone.so
	start env -u COPOOL_LOG LD_PRELOAD="$PWD/gone.so" "$steps" use 1000 touch used wait go
	wait_until 10 test -e used
	rm gone.so used
	kill -STOP "$pid"
	counts "$pid" '.pooled == 1000'
	kill -CONT "$pid"
	[[ $(id -u) -eq 0 ]] || skip "only root can chroot"
	mkdir empty
	start_unlogged "$steps" root empty use 1000 touch used wait go
	wait_until 10 test -e empty/used
	counts "$pid" '.pooled == 1000'
}

@test "show PID: qemu-system in its sandbox can be looked into" {
	requires_qemu qemu-system-x86_64
	start_unlogged qemu-system-x86_64 -accel tcg -machine q35 -display none -nodefaults -S \
		-blockdev driver=null-co,node-name=a,size=1048576 \
		-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
	# It makes a coroutine when it opens its disk.
	wait_until 20 counts "$pid" '.create_new + .create_local > 0'
	grep -qE '^Seccomp:\s+2' "/proc/$pid/status"
	"$COPOOL" show "$pid" | grep -q '  host qemu by ending: '
}

@test "show PID: the child of a fork counts for itself" {
	start_unlogged "$steps" use 1000 fork use 64 touch used wait go
	wait_until 10 test -e used
	child=$(pgrep -P "$pid")
	watch_over "$child"
	counts "$child" '.create_local + .create_depot == 64'
	counts "$pid" '.create_new == 1000'
	[[ $("$COPOOL" show --json "$child" | jq .processes[0].open.ppid) -eq $pid ]]
}

@test "show PID: what cannot be looked into is told by what is missing" {
	start sleep 60
	run "$COPOOL" show "$pid"
	[[ $status -eq 1 && $output == *"copool show: there is no libcopool.so in process $pid: start it with \`copool run -- PROGRAM', or with LD_PRELOAD"* ]]
	stop "$pid"
	run "$COPOOL" show "$pid"
	[[ $status -eq 1 && $output == *"copool show: there is no process $pid"* ]]
	run "$COPOOL" show --pid 12x
	[[ $status -eq 2 && $output == *"--pid=12x: not a process id"* ]]
}

@test "show PID: who may not look is told whose process it is" {
	requires setpriv
	[[ $(id -u) -eq 0 ]] || skip "only root can become somebody else"
	start_steps
	cp "$COPOOL" copool
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
	nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	"${nobody[@]}" ./copool --version || lacks "another user cannot reach the tests' folder"
	for verb in show top trim; do
		run "${nobody[@]}" ./copool $verb "$pid"
		[[ $status -eq 1 && $output == *"it belongs to user 0, and this is user 65534"*"CAP_SYS_PTRACE"* ]]
	done
}

@test "show PID: root without CAP_SYS_PTRACE is told so of a process that is more" {
	requires setpriv
	[[ $(id -u) -eq 0 ]] || skip "only root can give up capabilities"
	start_steps
	# It has a capability that the command lacks.
	run setpriv --bounding-set=-sys_ptrace --inh-caps=-all "$COPOOL" show "$pid"
	if grep -qE '^CapEff:\s+0+$' "/proc/$pid/status"; then skip "root has no capabilities here"; fi
	capable=$(awk '/^CapEff/ { print substr($2, length($2) - 4, 1) }' "/proc/$pid/status")
	[[ $capable == [89a-f] ]] || skip "there is no CAP_SYS_PTRACE here to be given up"
	[[ $status -eq 1 && $output == *"CAP_SYS_PTRACE is needed"* ]]
}

@test "show PID: a number that is a file's name is that file" {
	start_steps
	printf '{"type":"open","time":1,"pid":77,"format":1,"program":"filed","host":"named","mode":"pool","detail":"x"}\n' >"$pid"
	run "$COPOOL" show "$pid"
	[[ $status -eq 0 && $output == "filed [77]"* ]]
	run "$COPOOL" show --pid "$pid"
	[[ $status -eq 0 && $output == "steps [$pid]"* ]]
}

@test "show PID: whatever a process says of itself, it is shown or refused" {
	requires_program nonsense
	coproc NONSENSE { exec "$PROGRAMS/nonsense" 2>&1; }
	# shellcheck disable=SC2153 # made by coproc
	watch_over "$NONSENSE_PID"
	read -rt 60 -u "${NONSENSE[0]}" process
	run "$COPOOL" show --json "$process"
	[[ $status -eq 0 && $(jq '.processes[0].pools[0].create_new' <<<"$output") -eq 42 ]]
	for word in newer unready small pools threads chunk; do
		echo "$word" >&"${NONSENSE[1]}"
		read -rt 60 -u "${NONSENSE[0]}" _
		run timeout 60 "$COPOOL" show "$process"
		echo "$word: $status $output"
		[[ $status -eq 1 && $output == *"copool show: "* ]]
		case $word in
		newer) [[ $output == *"newer than this one"* ]] ;;
		unready) [[ $output == *"only just begun"* ]] ;;
		*) [[ $output == *"make no sense"* ]] ;;
		esac
	done
	for word in far withdrawn; do
		echo "$word" >&"${NONSENSE[1]}"
		read -rt 60 -u "${NONSENSE[0]}" _
		run "$COPOOL" show --json "$process"
		echo "$word: $status $output"
		[[ $status -eq 0 ]]
		[[ $word == far || $(jq -c '.processes[0].pools[0] | [.create_new, .calls_saved]' <<<"$output") == "[0,0]" ]]
	done
	for ((seed = 1; seed <= ${COPOOL_TEST_FULL:+20}100; seed++)); do
		echo "$seed" >&"${NONSENSE[1]}"
		read -rt 60 -u "${NONSENSE[0]}" _
		status=0
		timeout 60 "$COPOOL" show --json "$process" >shown 2>&1 || status=$?
		((status <= 1)) || {
			echo "seed $seed: $status"
			return 1
		}
		[[ -s shown ]]
	done
}

# hostile MODE: a process that says of itself what a reader must not believe; its id in $pid.
hostile() {
	requires_program nonsense
	rm -f said
	mkfifo said
	start "$PROGRAMS/nonsense" "$1" >/dev/null
	wait_until 10 test -s "$BATS_TEST_TMPDIR/output.$pid"
}

@test "show PID: names that could steer a terminal, and pools of one name, are told apart and harmless" {
	hostile names
	run "$COPOOL" show "$pid"
	echo "$output" | cat -v
	[[ $status -eq 0 && $output == *"?31mred"* && $output != *$'\xc2\x9b'* && $output != *$'\e'* && $output != *$'\xe2\x80\xae'* ]]
	[[ $(grep '^  ?31mred?' <<<"$output" | grep -vc ': ') -eq 2 && $output == *"#2"* ]]
	[[ $("$COPOOL" show --json "$pid" | jq '[.processes[0].pools[].create_new] | add') -eq 84 ]]
	[[ $("$COPOOL" top --plain -n 1 "$pid" | grep -c "$pid") -eq 2 ]]
}

@test "show PID, top, set: a process with a page that nobody serves, or with endless threads, holds nobody up" {
	for way in unserved endless; do
		hostile $way
		[[ $way == endless ]] || grep -q served "$BATS_TEST_TMPDIR/output.$pid" || lacks "userfaultfd"
		for verb in show 'top --plain -n 2' trim; do
			SECONDS=0
			# shellcheck disable=SC2086 # several words
			run timeout --signal=KILL 120 "$COPOOL" $verb "$pid"
			echo "$way, $verb: $SECONDS s, $status, $output"
			# Each has ended by itself.
			[[ $status -le 3 && $output ]]
			((SECONDS < 60))
		done
	done
}

has_threads() { # PID NUMBER
	[[ $(find "/proc/$1/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l) -eq $2 ]]
}

@test "top: SIGINT and SIGTERM end it while it waits for a page that nobody serves, or for a log that does not come" {
	hostile unserved
	grep -q served "$BATS_TEST_TMPDIR/output.$pid" || lacks "userfaultfd"
	for name in INT TERM; do
		case $name in INT) ends=0 ;; TERM) ends=143 ;; esac
		"$COPOOL" top --plain "$pid" >out 2>&1 3>&- &
		watcher=$!
		watch_over "$watcher"
		wait_until 10 has_threads "$watcher" 3
		kill -$name "$watcher"
		wait_until 1 is_gone "$watcher"
		status=0
		wait "$watcher" || status=$?
		[[ $status -eq $ends ]]
		at_terminal 24 80 "$COPOOL" top -d 60 "$pid" <<-END
			threads 3
			signal $name
			end $ends
		END
	done
	mkfifo fifo
	exec 9<>fifo
	"$COPOOL" top --plain - <&9 >out 2>&1 3>&- 9>&- &
	watcher=$!
	watch_over "$watcher"
	wait_until 10 has_threads "$watcher" 2
	kill -TERM "$watcher"
	wait_until 1 is_gone "$watcher"
}

# ---- top, plain ----

@test "top: on a pipe it is a line for each look, with the rates of the interval" {
	start_fibers
	run "$COPOOL" top -d 0.2 -n 4 "$pid"
	[[ $status -eq 0 && ${#lines[@]} -eq 5 ]]
	[[ ${lines[0]} =~ ^time.*creates/s ]]
	for line in "${lines[@]:1}"; do
		[[ $line =~ ^[0-9:]{8}\ +$pid\ stack\ [0-9]+\ php\ +[1-9][0-9]*\.[0-9]\ +[0-9.]+% ]]
	done
	[[ ${lines[4]} == *100.00%* ]]
}

@test "top: a process that ends while it is watched ends it, and is told" {
	start_fibers
	("$COPOOL" top -d 0.1 "$pid" >out 2>&1; echo "status $?" >>out) &
	watcher=$!
	watch_over "$watcher"
	wait_until 10 eval '(($(wc -l <out) > 3))'
	stop "$pid"
	wait_until 10 grep -q '^status 0' out
	grep -q "^copool top: process $pid has ended" out
}

@test "top: a process that becomes another program by exec is told from one that has ended" {
	start_unlogged "$steps" use 1000 touch used wait go become-sleep 60
	wait_until 10 test -e used
	"$COPOOL" top -d 0.1 "$pid" >out 2>&1 &
	watcher=$!
	watch_over "$watcher"
	wait_until 10 eval '(($(wc -l <out) > 2))'
	touch go
	# sleep has nothing to pool, but is there.
	wait_until 10 grep -q ' ended$' out
	kill -0 "$watcher"
	stop "$pid"
	ended "$watcher"
	[[ $status -eq 0 ]]
	grep -q "^copool top: process $pid has ended" out
}

@test "top: follows a log, through rotation, and knows what has ended" {
	start_pooled COPOOL_INTERVAL_MS=20 "$steps" use 1000 touch used wait go use 50
	wait_until 10 test -e used
	"$COPOOL" top -d 0.1 "$LOG" >out 2>&1 &
	watch_over "$!"
	wait_until 10 eval '(($(wc -l <out) > 2))'
	mv "$LOG" old
	said=$(wc -l <out)
	wait_until 10 test -e "$LOG"
	wait_until 10 eval "((\$(wc -l <out) > $said + 2))"
	touch go
	ended "$pid"
	wait_until 10 grep -qE "^[0-9:]{8} +$pid box_make.* ended$" out
	# Said once.
	[[ $(grep -c ' ended$' out) -eq 1 ]]
}

@test "top: a log on standard input, and one that is no log" {
	printf '%s\n' '{"type":"open","time":1,"pid":9,"format":1,"program":"p","mode":"pool"}' \
		'{"type":"sample","time":2,"pid":9,"uptime_ms":1000,"pool":"small","create_local":90,"create_depot":5,"create_new":5,"live":3,"pooled":4,"peak_objects":7,"threads":1}' \
		'{"type":"sample","time":3,"pid":9,"uptime_ms":2000,"pool":"small","create_local":190,"create_depot":5,"create_new":5,"live":3,"pooled":4,"peak_objects":7,"threads":1}' >log
	run "$COPOOL" top -n 1 - <log
	[[ $status -eq 0 && ${lines[1]} =~ \ 9\ small\ +100\.0\ +100\.00%\ +0\.0\ +3\ +4\ +7\ +1$ ]]
	run "$COPOOL" top -n 1 none
	[[ $status -eq 1 && $output == *"none: No such file"* ]]
	run "$COPOOL" top -n 1 .
	[[ $status -eq 1 && $output == *"Is a directory"* ]]
	echo "no log" >text
	: >empty
	run "$COPOOL" top -n 1 text
	[[ $status -eq 1 && $output == *"copool top: text: this is no log of copool: it has no line that is a record" ]]
	run "$COPOOL" top -n 1 empty
	[[ $status -eq 1 && $output == *"copool top: empty: it has no record" ]]
	run "$COPOOL" top -n 1 - <text
	[[ $status -eq 1 && $output == *"copool top: standard input: this is no log"* ]]
	# A name that begins with digits is a name.
	cp log 1.jsonl
	run "$COPOOL" top -n 1 1.jsonl
	[[ $status -eq 0 && ${lines[1]} == *" 9 small "* ]]
	run "$COPOOL" top -d 0 log
	[[ $status -eq 2 && $output == *"--delay=0: must be a number from 0.1 to 3600"* ]]
	run "$COPOOL" top -n 0 log
	[[ $status -eq 2 ]]
	run bash -c '"$0" top -n 1 log >/dev/full' "$COPOOL"
	[[ $status -eq 1 && $output == *"cannot write"* ]]
}

# ---- top, on a terminal ----

@test "top: on a terminal of 80 by 24 it shows pools and a chart, and q quits" {
	start_fibers
	at_terminal 24 80 "$COPOOL" top -d 0.1 "$pid" <<-END
		see ^copool top: php .$pid.
		see every 0.1 s
		see ^    PID POOL +CREATES/s +HITS +NEW/s +LIVE  POOLED   PEAK THR
		see ^ +$pid stack \d+ php +\d+ 100.00%
		see creates/s of stack \d+ php, php .$pid.
		see ^ *[0-9.]+k? \|
		see [▁▂▃▄▅▆▇]██+
		see ^q quit
		type c
		see ^hits of stack
		see ^  100% \|
		see ^    0% \+
		see ██+
		type c
		see ^live of
		type p
		see paused
		type p
		see every
		type q
		end 0
	END
}

@test "top: where the locale has no blocks the chart is made of ASCII" {
	start_fibers
	LOCALE=C TERMINAL=vt100 at_terminal 24 80 "$COPOOL" top -d 0.1 "$pid" <<-END
		see ####
		not [^ -~\n]
		type q
		end 0
	END
}

@test "top: a large terminal is used: the chart takes what is free, with a scale and times that fit" {
	start_fibers COPOOL_DECAY_MS=5000 COPOOL_MAX_BATCHES=512 COPOOL_LABEL=fleet
	at_terminal 50 200 "$COPOOL" top -d 0.1 "$pid" <<-END
		see ^copool top: php fleet .$pid. .*every 0.1 s
		see ^pool by stacks; up [0-9.:]+( s)?; resident [0-9.]+M; idle memory ~[0-9.]+[KM]
		see ^decay_ms 5000, max_batches 512
		see ^    PID POOL +CREATES/s +HITS +NEW/s +LIVE +POOLED +PEAK THR PROGRAM
		see ^ +$pid stack \d+ php +\d+ 100.00% .* php fleet
		see ^creates/s of .*\n(.{7}\|.*\n){40}     0 \+-
		see ^ *[0-9.]+k? \|.*\n(       \|.*\n){8,9} *[0-9.]+k? \|
		see [0-9.]+ s ago +now$
		not no room
		type q
		end 0
	END
}

@test "top: what does not fit is left out whole, and said" {
	start_fibers
	at_terminal 24 60 "$COPOOL" top -d 0.1 "$pid" <<-END
		see ^    PID POOL +CREATES/s +HITS   NEW/s    LIVE$
		see ^ +$pid stack \d+ php +\d+ 100.00% +\d+ +\d+$
		see no room for POOLED, PEAK, THR, PROGRAM
		size 24 80
		see ^    PID POOL .* THR *$
		see no room for PROGRAM
		type q
		end 0
	END
}

@test "top: ? helps, and any key leaves the page" {
	start_fibers
	at_terminal 24 80 "$COPOOL" top -d 0.1 "$pid" <<-END
		see \? help
		type ?
		see CREATES/s  coroutines or stacks that the program asked for
		not ^creates/s of
		type x
		see ^creates/s of
		type q
		end 0
	END
}

@test "top: a terminal that cannot move its cursor gets plain lines" {
	start_fibers
	TERMINAL=dumb at_terminal 24 100 "$COPOOL" top -d 0.1 -n 3 "$pid" <<-END
		see ^time +pid pool
		see ^[0-9:]+ +$pid stack
		end 0
	END
}

# ---- top of all processes ----

@test "top: without arguments it shows all processes, enter goes into one, esc back" {
	# Where there are no others.
	unshare --pid --fork --mount-proc true || skip "there are no namespaces of processes to be had"
	cat >fleet.sh <<-'END'
		for number in 100 200; do
			LD_PRELOAD=$COPOOL_SO "$steps" use "$number" touch "used.$number" wait go &
			until [ -e "used.$number" ]; do read -rt 0.05 <> <(:); done
		done
		exec "$COPOOL" top -d 60
	END
	export COPOOL COPOOL_SO steps
	at_terminal 24 80 unshare --pid --fork --mount-proc bash fleet.sh <<-END
		see ^copool top: 2 processes +every 60 s
		see ^   2 of steps +pool +\\d+ +0.00% +0 +300 +~2.3M
		not ^ +\\d+   steps
		type \\r
		see ^ +\\d+   steps +pool +\\d+ +0.00% +0 +100 +~800K
		see ^ +\\d+   steps +pool +\\d+ +0.00% +0 +200 +~1.6M
		type jj\\r
		see ^copool top: steps .\\d+.
		see ^ +\\d+ box_make.. +\\d+ +0.00% +\\d+ +0 +200
		see esc back
		type \\x1b
		see ^copool top: 2 processes
		type \\x1b
		see \\A(?!(?s:.*) \\d+   steps)
		type ?
		see enter +open a program
		type x
		see ^   2 of steps
		type q
		end 0
	END
}

@test "top: of all processes, plain, it is a line for each program" {
	own=$PWD/own-$$
	ln -s "$steps" "$own"
	for number in 100 200; do
		start_unlogged "$own" use "$number" touch "used.$number" wait go
		wait_until 10 test -e "used.$number"
	done
	run "$COPOOL" top -d 0.1 -n 2
	echo "$output"
	[[ $status -eq 0 && ${lines[0]} =~ ^time\ +processes\ program\ +mode\ +creates/s ]]
	[[ $(grep -cE "^[0-9:]{8} +2 ${own##*/} +pool +[0-9.]+ +(0\.00%|-) +[0-9.]+ +0 +300$" <<<"$output") -eq 2 ]]
}

@test "top: follows the size of its terminal, however small" {
	start_fibers
	at_terminal 24 80 "$COPOOL" top -d 0.1 "$pid" <<-END
		see ^creates/s of
		size 40 120
		see THR PROGRAM
		see \d php
		size 6 30
		see ^copool top: php
		size 1 5
		see ^q qui
		size 2 1
		see ^q
		size 24 80
		see ^creates/s of
		type q
		end 0
	END
}

@test "top: signals and a terminal that goes away end it, and the terminal is as it was" {
	start_fibers
	for name in INT TERM HUP QUIT; do
		case $name in INT) ends=0 ;; TERM) ends=143 ;; HUP) ends=129 ;; QUIT) ends=131 ;; esac
		at_terminal 24 80 "$COPOOL" top -d 60 "$pid" <<-END
			see ^creates/s of
			signal $name
			end $ends
		END
	done
	at_terminal 24 80 "$COPOOL" top -d 60 "$pid" <<-END
		see ^creates/s of
		hang
		end 129
	END
}

@test "top: pools of long names are told apart, in 80 columns and in more" {
	for place in 0x1a2b 0x3c4d; do
		printf '{"type":"sample","time":2,"pid":9,"uptime_ms":1000,"pool":"stack 65536 libsomething.so+%s","create_local":9000,"create_depot":0,"create_new":0,"live":3,"pooled":4,"peak_objects":7,"threads":1}\n' $place
	done >log
	at_terminal 24 80 "$COPOOL" top -d 0.1 log <<-'END'
		see ^ +9 stack 65..o\+0x1a2b +9000 100.00%
		see ^ +9 stack 65..o\+0x3c4d +9000 100.00%
		size 24 120
		see ^ +9 stack 65536 libsomething.so\+0x3c4d +9000 100.00%
		type q
		end 0
	END
	[[ $("$COPOOL" top --plain -n 1 log | grep -c 'libsomething.so+0x[13]') -eq 2 ]]
}

@test "top: a signal ends it when the terminal is stopped, too" {
	start_fibers
	at_terminal 24 80 "$COPOOL" top -d 0.1 "$pid" <<-'END'
		see ^creates/s of
		stop
		signal TERM
		end 143
	END
}

@test "top: on a terminal a process that ends is told, and stays to be looked at" {
	start_fibers
	at_terminal 24 80 "$COPOOL" top -d 0.1 "$pid" <<-END
		see ^creates/s of
		do kill $pid
		see ^process $pid has ended
		see ^ +$pid stack \d+ php +ended
		see ^creates/s of
		type q
		end 0
	END
}

@test "top: a log of several processes, in which the arrows choose" {
	for pool in small large; do
		printf '{"type":"sample","time":2,"pid":9,"uptime_ms":1000,"pool":"%s","create_local":9000,"create_depot":0,"create_new":0,"live":3,"pooled":4,"peak_objects":7,"threads":1}\n' $pool
	done >log
	printf '{"type":"sample","time":2,"pid":10,"uptime_ms":1000,"pool":"evil\\u001b[2J","create_local":0,"create_depot":0,"create_new":1,"live":1,"pooled":0,"peak_objects":7,"threads":1}\n' >>log
	echo nonsense >>log
	at_terminal 24 80 "$COPOOL" top -d 0.1 log <<-'END'
		see ^copool top: log
		see bad lines: 1,
		see ^ +9 small +9000 100.00%
		see ^ +10 evil\?\[2J +1 +0.00%
		see ^creates/s of small
		type \x1bOB
		see ^creates/s of large
		type \t
		see ^creates/s of evil
		type \t
		see ^creates/s of evil
		type \x1bOA
		see ^creates/s of large
		type q
		end 0
	END
}
