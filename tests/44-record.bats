#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# copool record, and copool report of a process: a log of one that writes none, from outside.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2154 # start sets pid
# shellcheck disable=SC2016 # what is in single quotes is for another shell

load lib/helper

setup() {
	requires jq php
	requires_program steps
	cd "$BATS_TEST_TMPDIR" || return
	steps=$PROGRAMS/steps
}

# A process that makes and drops fibers until it is stopped, and has no log.
start_fibers() {
	cat >fibers.php <<-'END'
		<?php
		while (!file_exists('stop')) {
			$alive = [];
			for ($i = 0; $i < 500; $i++) { $alive[$i] = new Fiber(fn() => Fiber::suspend()); $alive[$i]->start(); }
			foreach ($alive as $fiber) $fiber->resume();
			usleep(5000);
			clearstatcache();
		}
	END
	start env -u COPOOL_LOG LD_PRELOAD="$COPOOL_SO" COPOOL_LABEL=fibers php -n fibers.php
	wait_until 10 eval '"$COPOOL" show --json $pid 2>/dev/null | jq -e ".processes[0].pools[0].create_local > 1000"'
}

@test "record: of a process that has no log a log is made, which report, plot and advise read" {
	start_fibers
	run_stock "$COPOOL" record "$pid" -o log.jsonl --for 2 --interval 50
	[[ $status -eq 0 && $output =~ ^[0-9]+\ samples\ of\ process\ $pid\ in\ log\.jsonl$ ]]
	check_log
	[[ $(log_open label) == fibers && $(log_open interval_ms) -eq 50 && $(log_records sample | wc -l) -ge 3 ]]
	[[ $(log_records warning .text) == "recorded from outside by copool record, and the process went on" ]]
	# The counters grow, and the depot's extremes are those of the time between.
	log_records sample '[.create_local, .depot_low, .depot_batches, .depot_high]' |
		jq -es '([.[][0]] | . == sort and .[0] < .[-1]) and all(.[]; .[1] <= .[2] and .[2] <= .[3])'
	[[ $(stat -c %a log.jsonl) == 640 ]]
	"$COPOOL" report log.jsonl -o page.html
	[[ $(<page.html) == *fibers* ]]
	"$COPOOL" plot --script log.jsonl | grep -q 'php'
	run_stock "$COPOOL" advise log.jsonl
	[[ $status -eq 0 && $output == *"mean idle"* ]]
	[[ $("$COPOOL" show log.jsonl) == "php fibers [$pid], last seen after"* ]]
}

@test "record: ends when the process does, and says so" {
	start_fibers
	run_stock "$COPOOL" record "$pid" -o log.jsonl -i 50 3>&- &
	wait_until 10 eval '[[ $(grep -c sample log.jsonl) -gt 2 ]]'
	touch stop
	ended "$pid"
	wait $!
	wait_until 10 eval 'grep -q "until the process ended" log.jsonl'
	check_log
	"$COPOOL" show log.jsonl
}

@test "record: SIGINT ends it with a whole log" {
	start_fibers
	"$COPOOL" record "$pid" -o log.jsonl -i 50 2>said 3>&- &
	local recorder=$!
	watch_over "$recorder"
	wait_until 10 eval '[[ $(grep -c sample log.jsonl) -gt 2 ]]'
	kill -INT "$recorder"
	status=0
	wait "$recorder" || status=$?
	[[ $status -eq 0 && $(<said) == *"samples of process $pid in log.jsonl" ]]
	check_log
}

@test "record: a file that is there is never overwritten, and added to when asked" {
	start_fibers
	echo precious >log.jsonl
	run "$COPOOL" record "$pid" -o log.jsonl --for 0.1
	[[ $status -eq 1 && $output == *"log.jsonl exists already; --append adds to it" && $(<log.jsonl) == precious ]]
	run "$COPOOL" record "$pid" --append -o log.jsonl --for 0.1
	[[ $status -eq 0 && $(head -n 1 log.jsonl) == precious && $(grep -c '"type":"open"' log.jsonl) -eq 1 ]]
	"$COPOOL" record "$pid" -o - --for 0.1 2>/dev/null | jq -es '.[0].type == "open" and .[1].type == "sample"'
}

@test "record: a program that becomes another one is followed" {
	export COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop
	start env -u COPOOL_LOG LD_PRELOAD="$COPOOL_SO" bash -c 'COPOOL_LABEL=first "$0" use 10 touch one wait two
		exec "$0" use 1' "$steps"
	wait_until 10 test -e one
	local first
	first=$(pgrep -P "$pid")
	"$COPOOL" record "$first" -o log.jsonl -i 20 2>/dev/null 3>&- &
	wait_until 10 eval '[[ $(grep -c sample log.jsonl 2>/dev/null) -gt 1 ]]'
	touch two
	wait $!
	check_log
	[[ $(log_records open .label) == '"first"' || $(log_records open .label) == first ]]
}

@test "record: what cannot be recorded leaves no file, and is told" {
	start sleep 60
	run "$COPOOL" record "$pid" -o log.jsonl
	[[ $status -eq 1 && $output == *"no libcopool.so in process $pid"* && ! -e log.jsonl ]]
	start_fibers
	run "$COPOOL" record "$pid" -o none/log.jsonl
	[[ $status -eq 1 && $output == *"cannot write none/log.jsonl: No such file"* ]]
	run "$COPOOL" record "$pid" -o /dev/full
	[[ $status -eq 1 && $output == *"exists already"* ]]
	run "$COPOOL" record "$pid" -a -o /dev/full
	[[ $status -eq 1 && $output == *"cannot write"* ]]
	for wrong in "$pid" "-o log x" "-o log" "$pid -o log --for 0" "$pid -o log -i 9" "$pid $pid -o log"; do
		# shellcheck disable=SC2086 # several words
		run "$COPOOL" record $wrong
		[[ $status -eq 2 && ! -e log ]]
	done
}

@test "report PID: a page of a process that has no log" {
	start_fibers
	run "$COPOOL" report "$pid" --for 1 -i 100 -o page.html
	[[ $status -eq 0 && $output == "" ]]
	[[ $(<page.html) == *'"label":"fibers"'* || $(<page.html) == *fibers* ]]
	[[ $(<page.html) != *"recorded from outside"* ]]
	run "$COPOOL" report 4194305 -o other.html
	[[ $status -eq 1 && $output == *"there is no process 4194305"* && ! -e other.html ]]
}

@test "record: how long a process has been running is right, also from another time namespace" {
	local here there
	requires unshare
	unshare --time --monotonic 1000000 --fork true 2>/dev/null || skip "no time namespace can be made here"
	start_pooled COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop "$steps" use 10 touch used wait go
	wait_until 10 test -e used
	here=$("$COPOOL" show --json "$pid" | jq '.processes[0].pools[0].uptime_ms')
	there=$(unshare --time --monotonic 1000000 --fork "$COPOOL" show --json "$pid" | jq '.processes[0].pools[0].uptime_ms')
	echo "after $here ms, and there after $there ms"
	[[ $there -ge $here && $there -lt 1000000000 ]]
	touch go
	ended "$pid"
}
