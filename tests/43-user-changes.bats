#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Programs that are root when they start, and then become somebody who may not write where the log is.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2016 # what is in single quotes is for another shell

load lib/helper

setup() {
	[[ $(id -u) -eq 0 ]] || skip "only root can become another user"
	requires jq
	requires_program becomes
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
	cd "$BATS_TEST_TMPDIR" || return
	unset LD_PRELOAD
	export COPOOL_HOST=stacks
	mkdir -m 700 roots
	install -d -o 65534 -m 755 theirs
	mkdir -m 1777 files
	cd files || return
	LOG=$BATS_TEST_TMPDIR/roots/log.jsonl
}

# lost COUNT: there is word of children whose records are lost, COUNT times in the log, and as often on stderr.
lost() {
	local words
	words=$(log_records warning .text)
	echo "$words"
	[[ $(grep -c '^process [0-9]*, a forked child, cannot open this log as user 65534 (Permission denied)' <<<"$words") -eq $1 ]]
}

@test "users: children that become another user by any of libc's calls have their records in root's log, each of them" {
	local way
	for way in setuid seteuid setreuid setresuid; do
		rm -f "$LOG"
		same_twin "$PROGRAMS/becomes" $way $way
		[[ $status -eq 0 && $output == "$way: 0"$'\n'"$way: 0" ]]
		check_balance
		[[ $(log_records final 'select(.create_new == 40)' | wc -l) -eq 2 && $(log_records warning | wc -l) -eq 0 ]]
	done
	[[ $(stat -c '%U %a' "$LOG") == 'root 640' ]]
}

@test "users: a child that then closes all descriptors, and opens files on their numbers, has its records, and they nothing of ours" {
	same_twin "$PROGRAMS/becomes" closes
	[[ $status -eq 0 && $output == 'closes: 0' ]]
	check_balance
	[[ $(log_records final .create_new) -eq 40 ]]
}

@test "users: a process that becomes another user itself goes on with its log" {
	same_twin "$PROGRAMS/becomes" itself
	[[ $status -eq 0 ]]
	check_balance
	[[ $(log_records final .create_new) -eq 40 && $(log_records open | wc -l) -eq 1 ]]
}

@test "users: with %p, a log each, where root alone can make one" {
	LOG=roots/%p.jsonl
	same_twin COPOOL_LOG="$BATS_TEST_TMPDIR/roots/%p.jsonl" "$PROGRAMS/becomes" setuid setuid setuid
	cat "$BATS_TEST_TMPDIR"/roots/*.jsonl >all
	LOG=$PWD/all
	check_balance
	[[ $(log_records final 'select(.create_new == 40)' | wc -l) -eq 3 ]]
	[[ $(find "$BATS_TEST_TMPDIR/roots" -name '*.jsonl' | wc -l) -eq 4 ]]
}

@test "users: records that cannot arrive are told of once, in the log, and on stderr: a child that changes by a bare system call" {
	run_pooled "$PROGRAMS/becomes" raw raw raw setuid
	[[ $status -eq 0 && $(grep -c '^copool: process' <<<"$output") -eq 1 ]]
	lost 1
	check_balance
	[[ $(log_records final | wc -l) -eq 1 ]]
}

@test "users: and of a program of several threads, whose child could wait for ever for one of its own" {
	run_pooled "$PROGRAMS/becomes" threads
	[[ $status -eq 0 && $output == *'threads: 0'* ]]
	lost 1
}

# By the child, or by the first process, should it come out of its fork so late.
@test "users: and of what children fork in their turn, which one that has the log tells" {
	run_pooled "$PROGRAMS/becomes" grandchild
	[[ $status -eq 0 && $output == *'grandchild: 0' ]]
	lost 1
}

@test "users: where the user may write, such children have their records, as the warning says" {
	run_pooled COPOOL_LOG="$BATS_TEST_TMPDIR/theirs/%p.jsonl" "$PROGRAMS/becomes" raw threads grandchild
	[[ $status -eq 0 && $output == $'raw: 0\nthreads: 0\ngrandchild: 0' ]]
	cat "$BATS_TEST_TMPDIR"/theirs/*.jsonl >all
	LOG=$PWD/all
	check_balance
	[[ $(log_records final 'select(.create_new == 40)' | wc -l) -eq 3 && $(log_records warning | wc -l) -eq 0 ]]
}

@test "users: a child that keeps capabilities while it changes its user says in the log that it has no statistics" {
	run_pooled "$PROGRAMS/becomes" keeps
	[[ $status -eq 0 && $output == 'keeps: 0' ]]
	check_log
	[[ $(log_records warning .text) == 'the program keeps capabilities while it changes its user: no more statistics'* ]]
	[[ $(log_records open .ppid | sort -n | tail -n 1) -eq $(log_open pid) ]]
}

@test "users: in a folder of another user's, root writes to no file by a second name, and through no link" {
	local planted
	for planted in 'ln "$0" theirs/log' 'ln -s "$0" theirs/log'; do
		rm -f "$BATS_TEST_TMPDIR/theirs/log" "$BATS_TEST_TMPDIR/victim"
		echo precious >"$BATS_TEST_TMPDIR/victim"
		(cd "$BATS_TEST_TMPDIR" && sh -c "$planted" "$BATS_TEST_TMPDIR/victim")
		LOG=$BATS_TEST_TMPDIR/theirs/log
		run_pooled "$PROGRAMS/becomes" setuid
		[[ $status -eq 0 && $output == *"COPOOL_LOG=$LOG: "*'setuid: 0'* ]]
		[[ $(<"$BATS_TEST_TMPDIR/victim") == precious ]]
	done
	# What is root's own there is good.
	rm "$LOG"
	run_pooled "$PROGRAMS/becomes" setuid
	run_pooled "$PROGRAMS/becomes" setuid
	check_balance
	[[ $(log_records final | wc -l) -eq 2 ]]
}
