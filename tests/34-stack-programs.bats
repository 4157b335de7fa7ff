#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Programs with coroutine stacks that do what is hard on a library that was slipped under them: they say and
# return what they always did, nothing is lost and nothing is counted twice.
# shellcheck disable=SC2030,SC2031,SC2154 # each test is a process of its own; helper.bash sets pid

load lib/helper
load lib/php

setup() {
	requires jq
	requires_program hostile plugin
	cd "$BATS_TEST_TMPDIR" || return
	unset LD_PRELOAD
	export COPOOL_HOST=stacks
	hostile=$PROGRAMS/hostile
}

# hostile SCENARIO [ARGUMENT]: the same with and without the shim, and at rest nothing is left in use.
hostile() {
	same_twin COPOOL_INTERVAL_MS=10 "$hostile" "$@"
	[[ $status -eq 0 && $output == *'0 failures' ]]
	check_balance
	[[ $(log_final live) -eq 0 ]]
	(($(log_final create_local) + $(log_final create_depot) > 0))
}

@test "stack program: children of vfork use stacks in their parent's memory, and become other programs" {
	hostile vfork
}

@test "stack program: threads that spawn programs go on with their stacks" {
	hostile spawn
}

@test "stack program: one that executes itself again, threads and all, counts from zero each time" {
	same_twin COPOOL_INTERVAL_MS=10 "$hostile" exec 1
	[[ $status -eq 0 && $output == '0 failures' ]]
	check_balance
	[[ $(log_final live) -eq 0 && $(log_records open .pid | wc -l) -eq 5 ]]
}

@test "stack program: stacks outlive the library that made them, which may come back elsewhere" {
	for learn in 0 1; do
		rm -f "$LOG"
		COPOOL_LEARN=$learn hostile plugin "$PROGRAMS/plugin"
	done
	log_records final .create_local | awk '{ hits += $1 } END { exit hits < 1000 }'
}

@test "stack program: settings hold after the program has wiped its environment" {
	same_twin COPOOL_INTERVAL_MS=10 "$hostile" clear
	[[ $status -eq 0 && $(log_open interval_ms) -eq 10 && $(log_final create_new) -eq 40 ]]
	check_balance
}

@test "stack program: ten thousand threads have stacks at once, and give them all back" {
	run_stock "$hostile" threads 10000
	[[ $status -eq 0 ]] || skip "there cannot be so many threads here"
	same_twin "$hostile" threads 10000
	[[ $output == $'10000 threads\n0 failures' ]]
	check_balance
	[[ $(log_final live) -eq 0 ]]
}

@test "stack program: capabilities that the program gives up are gone from the process" {
	[[ $EUID -eq 0 ]] || skip "only root has capabilities to give up"
	hostile rights
	[[ ${lines[0]} == 'capset 0, 0 threads with capabilities' ]]
	log_records warning .text | grep -q '^the program gives up capabilities: no more statistics'
}

@test "stack program: one with a filter that kills for all but what its stacks need goes on" {
	local how guard
	for how in deadly refused; do
		for guard in auto poison mprotect; do
			rm -f "$LOG"
			same_twin COPOOL_GUARD=$guard "$hostile" confine $how
			[[ $status -eq 0 && $output == $'confined 0\n0 failures' ]]
			check_log
		done
		# Where all is given back at once.
		same_twin COPOOL_MAX_BATCHES=0 "$hostile" confine $how
		[[ $status -eq 0 && $output == $'confined 0\n0 failures' ]]
	done
}

@test "stack program: a service under systemd's filter, which forbids to look at memory pages, is not killed for our calls" {
	requires php setpriv
	requires_program service
	[[ $(id -u) -eq 0 ]] || skip "only root can make a program that its user may not read"
	small_fibers_php
	install -m 0711 "$(realpath "$(command -v php)")" php-unread
	chmod go+rwx .
	chmod go+x .. ../.. # bats' own
	local user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	run_stock "${user[@]}" "$PROGRAMS/service" ./php-unread -n fibers.php
	stock=$output
	[[ $status -eq 0 ]]
	run_shown "${user[@]}" "$PROGRAMS/service" env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" COPOOL_INTERVAL_MS=10 \
		COPOOL_DECAY_MS=100 COPOOL_PROMETHEUS="$PWD/it.prom" ./php-unread -n -r 'include "./fibers.php"; usleep(300000);'
	[[ $status -eq 0 && $output == "$stock" ]]
	[[ $(log_open mode) == pool ]]
	check_balance
}

# ---- ends in the middle ----

@test "stack program: a first thread that ends by the system call for threads ends the program, or leaves it to others" {
	local how
	for how in "exit 7" "join 7"; do
		rm -f "$LOG"
		# shellcheck disable=SC2086 # two words
		same_twin timeout --signal=KILL 120 "$hostile" $how
		[[ $status -eq $([[ $how == exit* ]] && echo 7 || echo 3) ]]
		[[ $how != exit* ]] || log_records warning .text | grep -q 'first thread has ended'
		# Without a log nothing but that thread's end wakes ours.
		# shellcheck disable=SC2086
		run_shown timeout --signal=KILL 120 env LD_PRELOAD="$COPOOL_SO" "$hostile" $how
		[[ $status -eq $([[ $how == exit* ]] && echo 7 || echo 3) ]]
	done
}

whole_records() { # TYPE
	jq -Rr --arg type "$1" 'fromjson? | select(.type == $type) | .pid' "$LOG"
}

has_samples_of() { # PID
	[[ -e $LOG ]] && whole_records sample | grep -qx "$1"
}

@test "stack program: killed by SIGKILL at any moment it costs a line at most, and the next process none" {
	local round
	for round in {1..6}; do
		start_pooled COPOOL_INTERVAL_MS=10 "$hostile" churn
		wait_until 10 has_samples_of "$pid"
		stop "$pid" KILL
	done
	run_pooled "$hostile" clear
	[[ $(whole_records open | wc -l) -eq 7 ]]
	(($(jq -Rr 'select(. != "") | fromjson? // "torn"' "$LOG" | grep -cx torn || :) <= 6))
	run_shown "$COPOOL" show "$LOG"
	[[ $status -eq 0 && $output == *'ended after'* ]]
}

@test "stack program: a line that a killed process left cut off costs itself alone" {
	printf '{"type":"sample","time":1,"pi' >"$LOG"
	run_pooled "$hostile" clear
	[[ $status -eq 0 && $(head -n 1 "$LOG") == '{"type":"sample","time":1,"pi' ]]
	sed -i 1d "$LOG"
	check_balance
	[[ $(log_open host) == stacks ]]
}

# ---- company ----

@test "stack program: with jemalloc in front of it and behind it programs do what they did" {
	requires php qemu-img
	requires_package libjemalloc2
	local jemalloc preload stock
	jemalloc=$(dpkg -L libjemalloc2 | grep 'libjemalloc\.so\.2$')
	small_fibers_php
	export COPOOL_HOST=auto
	run_stock php -n fibers.php
	stock=$output
	for preload in "$jemalloc $COPOOL_SO" "$COPOOL_SO $jemalloc"; do
		rm -f "$LOG"
		run_pooled LD_PRELOAD="$preload" php -n fibers.php
		[[ $status -eq 0 && $output == "$stock" ]]
		check_balance
		(($(log_final create_local) > 300))
		rm -f "$LOG"
		run_pooled LD_PRELOAD="$preload" qemu-img bench -c 1000 -d 64 --image-opts driver=null-aio,size=1G
		[[ $status -eq 0 ]]
		check_balance
		[[ $(log_final create_new qemu-coroutine) -le 96 ]]
	done
}

@test "stack program: a program that a sanitizer checks is left alone, and is told nothing new" {
	requires gcc
	local check
	for check in address thread; do
		rm -f "$LOG"
		gcc -O1 -g -fsanitize=$check -o checked "$TESTS/programs/hostile.c" -pthread || lacks "gcc has no -fsanitize=$check"
		# AddressSanitizer wants to be first, or not to care.
		same_twin ASAN_OPTIONS=verify_asan_link_order=0 ./checked clear
		[[ $status -eq 0 && $output == '0 failures' ]]
		[[ $(log_open host) == none && $(log_open detail) == *Sanitizer ]]
	done
	same_twin ./checked spawn
	[[ $status -eq 0 && $output == '0 failures' ]]
}

@test "stack program: under strace it does what it did" {
	requires strace php
	small_fibers_php
	export COPOOL_HOST=auto
	same_twin strace -f -o trace php -n fibers.php
	[[ $status -eq 0 ]]
	(($(log_final create_local "stack 2101248 php") > 300))
}
