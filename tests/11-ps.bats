#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# copool ps: all processes that have the library. Others on this machine may have it, too: each test looks at its own.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2154 # start sets pid
# shellcheck disable=SC2016 # what is in single quotes is for another shell

load lib/helper
load lib/qemu

setup() {
	requires jq
	requires_program steps nonsense
	cd "$BATS_TEST_TMPDIR" || return
	export COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop
	# A program that no other test runs.
	steps=$PWD/steps-$BATS_TEST_NUMBER-$$
	ln -s "$PROGRAMS/steps" "$steps"
	name=${steps##*/}
}

# A process that has made and dropped boxes and waits for the file `go`; known by $pid.
start_steps() { # NUMBER [VARIABLE=VALUE...]
	local number=$1
	shift
	rm -f used
	start env -u COPOOL_LOG LD_PRELOAD="$COPOOL_SO" "$@" "$steps" use "$number" touch used wait go
	wait_until 10 test -e used
}

# What ps says of our program, as JSON; through jq's FILTER.
ps_json() { # FILTER [OPTION...]
	local filter=$1
	shift
	"$COPOOL" ps --json "$@" | jq -c --arg name "$name" "$filter"
}

@test "ps: each process is there with its label and mode, and what show says of it" {
	start_steps 1000 COPOOL_LABEL=one
	local one=$pid
	start_steps 64 COPOOL_LABEL=two COPOOL_MODE=observe
	ps_json '.processes[] | select(.program == $name) | [.pid, .label, .mode, .host, .creates, .new, .live, .pooled]' >seen
	[[ $(<seen) == "[$one,\"one\",\"pool\",\"named\",1000,1000,0,1000]"$'\n'"[$pid,\"two\",\"observe\",\"named\",64,64,0,0]" ]]
	"$COPOOL" show --json "$one" | jq -e --argjson ps "$(ps_json ".processes[] | select(.pid == $one)")" \
		'.processes[0].pools[0] | .pooled == $ps.pooled and .peak_objects == $ps.peak_objects and .create_new == $ps.new'
	run_stock "$COPOOL" ps
	[[ $output =~ PID\ PROGRAM\ +MODE\ +CREATES/s\ +HITS\ +LIVE\ +IDLE\ MEMORY ]]
	[[ $output =~ $one\ $name\ one\ +pool\ +[0-9.k]+\ +0\.00%\ +0\ +1000\ +~7\.8M ]]
	[[ $output =~ $pid\ $name\ two\ +observe\ +[0-9.k]+\ +0\.00%\ +0\ +0\ +0B ]]
}

@test "ps: a program's workers are added up, those of another label for themselves" {
	start_steps 100
	start_steps 200
	start_steps 300 COPOOL_LABEL=other
	ps_json '.programs[] | select(.program == $name) | [.label, .processes, .creates, .pooled]' >seen
	[[ $(<seen) == $'[null,2,300,300]\n["other",1,300,300]' ]]
	"$COPOOL" ps | grep -A 2 "^ *2 of $name " >table
	[[ $(awk '{ print $NF }' table | xargs) == "~2.3M ~800K ~1.6M" && $(grep -c "^ *[0-9]\+   $name  *pool" table) -eq 2 ]]
	run_stock "$COPOOL" ps --sums
	[[ $(grep -c "$name" <<<"$output") -eq 2 ]]
}

@test "ps: with --delay rates and hits are those of that time" {
	requires php
	fibers_until_stopped
	unset COPOOL_CREATE COPOOL_DESTROY
	start env -u COPOOL_LOG LD_PRELOAD="$COPOOL_SO" php -n fibers.php
	wait_until 10 eval '"$COPOOL" show --json $pid 2>/dev/null | jq -e ".processes[0].pools[0].create_local > 1000"'
	"$COPOOL" ps --json --delay 0.5 | jq -e --argjson pid "$pid" \
		'.processes[] | select(.pid == $pid) | .creates_per_second > 0 and .hit_share == 1 and .live <= 100'
	"$COPOOL" ps --json | jq -e --argjson pid "$pid" '.processes[] | select(.pid == $pid) | .hit_share < 1'
}

@test "ps: what is wrong with a process is said below it" {
	start_steps 10
	kill -STOP "$pid"
	wait_until 10 eval '[[ $("$COPOOL" ps) =~ $pid\ $name\ .*$'"'\\n'"'\ +!\ stopped ]]'
	kill -CONT "$pid"
	"$COPOOL" off "$pid"
	[[ $("$COPOOL" ps) =~ $pid\ $name\ +off\ [^!]*!\ switched\ off ]]
	touch go
	ended "$pid"
	rm go
	# All objects are made again each time.
	rm -f used
	start env -u COPOOL_LOG LD_PRELOAD="$COPOOL_SO" COPOOL_MAX_BATCHES=0 "$steps" use 1000 use 1000 use 1000 touch used wait go
	wait_until 10 test -e used
	[[ $("$COPOOL" ps) =~ $pid\ +$name\ [^!]*!\ [0-9.]+\ %\ of\ creates\ were\ avoidable\ misses ]]
	# The library's file has been replaced since.
	cp "$COPOOL_SO" own.so
	rm used
	start env -u COPOOL_LOG LD_PRELOAD="$PWD/own.so" "$steps" use 10 touch used wait go
	wait_until 10 test -e used
	rm own.so
	[[ $("$COPOOL" ps) =~ $pid\ +$name\ [^!]*!\ the\ library\'s\ file\ was\ replaced ]]
	[[ $(ps_json ".processes[] | select(.pid == $pid) | .wrong") == '"the library'* ]]
}

@test "ps: a process that has nothing to pool is counted, and shown when asked for" {
	unset COPOOL_CREATE COPOOL_DESTROY
	start env -u COPOOL_LOG LD_PRELOAD="$COPOOL_SO" "$steps" touch used wait go
	wait_until 10 test -e used
	[[ $("$COPOOL" ps) != *"$name"* && $("$COPOOL" ps) =~ [1-9][0-9]*\ with\ the\ library\ ha(s|ve)\ nothing\ to\ pool ]]
	[[ $("$COPOOL" ps --all) =~ $pid\ $name\ +none ]]
	[[ $(ps_json '.nothing_to_pool >= 1 and ([.processes[] | select(.program == $name)] == [])') == true ]]
}

@test "ps: processes of others are counted, and the rest is shown" {
	requires setpriv
	[[ $EUID -eq 0 ]] || skip "only root can be another user"
	start_steps 10
	chmod 755 "$BATS_TEST_TMPDIR"
	cp "$COPOOL" copool
	run setpriv --reuid=65534 --regid=65534 --clear-groups ./copool ps
	echo "$output"
	[[ $status -eq 0 && $output != *"$name"* && $output =~ [0-9]+\ other\ processes\ may\ not\ be\ looked\ into ]]
}

@test "ps: processes that lie, hang or have endless threads hold nobody up, and hide no other" {
	start_steps 10
	local good=$pid way process
	for way in unserved endless; do
		start env -u COPOOL_LOG "$PROGRAMS/nonsense" "$way"
		wait_until 10 test -s "$BATS_TEST_TMPDIR/output.$pid"
	done
	coproc NONSENSE { exec "$PROGRAMS/nonsense" 2>&1; }
	# shellcheck disable=SC2153 # made by coproc
	watch_over "$NONSENSE_PID"
	read -rt 60 -u "${NONSENSE[0]}" process
	echo small >&"${NONSENSE[1]}"
	read -rt 60 -u "${NONSENSE[0]}" _
	local begin=${EPOCHREALTIME/./}
	run_stock "$COPOOL" ps
	[[ $output == *"$good $name"* ]]
	[[ $output =~ $process\ \?\ +\?\ [^!]*!\ its\ counters\ make\ no\ sense ]]
	[[ $output == *"be read in time"* ]]
	# Far less than the five seconds that each would have alone.
	((${EPOCHREALTIME/./} - begin < 5000000 * BUSY))
}

@test "ps: two hundred processes take a few system calls each" {
	requires strace
	local each
	for each in {1..200}; do
		start env -u COPOOL_LOG LD_PRELOAD="$COPOOL_SO" "$steps" use 10 touch "used.$each" wait go
	done
	for each in {1..200}; do
		wait_until 20 test -e "used.$each"
	done
	[[ $(ps_json '.programs[] | select(.program == $name) | [.processes, .creates]') == "[200,2000]" ]]
	strace -f -qq -e trace=futex,process_vm_readv -o calls "$COPOOL" ps >seen
	[[ $(grep -c "   $name " seen) -eq 200 ]]
	# One thread does all of it, and is not woken for each process, which on a busy machine takes longest. The other one
	# waits a few milliseconds at a time.
	local processes wakes
	processes=$(find /proc -maxdepth 1 -name '[0-9]*' | wc -l)
	wakes=$(grep -c 'FUTEX_WAKE' calls) || :
	echo "$wakes wakes, $(grep -c readv calls) readv, $processes processes"
	((wakes < 100 && $(grep -c readv calls) < 200 * processes))
	touch go
}

@test "ps: on 80 columns no number is cut, a long name loses its middle" {
	/usr/bin/python3 -c 'import pyte' 2>/dev/null || lacks "there is no pyte for python3"
	start_steps 10 COPOOL_LABEL=a-label-that-is-as-long-as-those-that-clouds-give-to-their-guests-0042
	TERM=xterm LC_ALL=C.UTF-8 run timeout 300 /usr/bin/python3 "$TESTS/lib/terminal.py" 60 80 \
		sh -c '"$1" ps; read -r key' sh "$COPOOL" <<-END
			see PROGRAM +MODE +CREATES/s +HITS +LIVE +IDLE MEMORY
			see $pid [^ ]+\.\.[^ ]*0042 +pool +[0-9.k]+ +0\.00% +0 +10 +~80K
			type \\n
			end 0
		END
	echo "$output"
	[[ $status -eq 0 ]]
}

@test "ps: wrong use is told" {
	run "$COPOOL" ps 1234
	[[ $status -eq 2 && $output == *"copool show 1234"* ]]
	run "$COPOOL" ps --delay 0
	[[ $status -eq 2 && $output == *"from 0.1 to 3600"* ]]
	"$COPOOL" ps --help | grep -q 'CAP_SYS_PTRACE'
}
