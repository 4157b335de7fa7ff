#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Settings that make no sense, and logs that cannot be written: one warning that names variable and value, the
# default, and a program that runs as it always did.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2154 # run --separate-stderr sets stderr
# shellcheck disable=SC2016 # what is in single quotes is for another shell

load lib/helper
load lib/qemu

setup() {
	requires jq
	requires_program steps
	mkdir "$BATS_TEST_TMPDIR/here"
	cd "$BATS_TEST_TMPDIR/here" || return
	export COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop
	steps=$PROGRAMS/steps
}

teardown() {
	[[ -z ${loop-} ]] || losetup --detach "$loop"
	stop_all
}

# The program runs as always, and the log has one warning, with all WORDs in it.
warns_once() { # VARIABLE=VALUE WORD...
	rm -f "$LOG"
	run_pooled "$1" "$steps" use 100 say fine
	shift
	[[ $status -eq 0 && $output == fine ]]
	check_balance
	[[ $(log_records warning | wc -l) -eq 1 ]]
	for word; do
		[[ $(log_records warning .text) == *"$word"* ]]
	done
}

# The program runs as always, and standard error has one line, with all WORDs in it.
complains_once() { # VARIABLE=VALUE WORD...
	run --separate-stderr timeout 90 env LD_PRELOAD="$COPOOL_SO" "$1" "$steps" use 100 say fine
	echo "$1: $status, $output, $stderr"
	shift
	[[ $status -eq 0 && $output == fine ]]
	[[ $(wc -l <<<"$stderr") -eq 1 && $stderr == "copool: "* ]]
	for word; do
		[[ $stderr == *"$word"* ]]
	done
}

not_numbers=(abc -1 +1 ' ' '10 ' 1e3 0x10 10.5 10ms 99999999999999999999999999 $'10\n' '٣')

@test "bad input: what is no number is named with its variable, and the default is used" {
	for value in "${not_numbers[@]}"; do
		for variable in COPOOL_INTERVAL_MS COPOOL_MAX_BATCHES COPOOL_DECAY_MS \
			COPOOL_STACK_SIZE COPOOL_MAX_LIVE COPOOL_LEARN COPOOL_ZERO; do
			warns_once "$variable=$value" "$variable=$value" default
			[[ $(log_open interval_ms) -eq 1000 && $(log_open decay_ms) -eq 10000 ]]
			[[ $(log_open max_batches) -gt 0 ]]
		done
	done
}

@test "bad input: a number out of range is named with the range" {
	warns_once COPOOL_INTERVAL_MS=9 COPOOL_INTERVAL_MS=9 '10 to 3600000'
	warns_once COPOOL_INTERVAL_MS=0 COPOOL_INTERVAL_MS=0
	warns_once COPOOL_INTERVAL_MS=3600001 COPOOL_INTERVAL_MS=3600001
	warns_once COPOOL_MAX_BATCHES=65536 COPOOL_MAX_BATCHES=65536 '0 to 65535'
	warns_once COPOOL_DECAY_MS=99 COPOOL_DECAY_MS=99 '100 to 86400000'
	warns_once COPOOL_DECAY_MS=86400001 COPOOL_DECAY_MS=86400001
	warns_once COPOOL_STACK_SIZE=16383 COPOOL_STACK_SIZE=16383 '16384 to 8454144'
	warns_once COPOOL_STACK_SIZE=8454145 COPOOL_STACK_SIZE=8454145
	warns_once COPOOL_MAX_LIVE=1000000001 COPOOL_MAX_LIVE=1000000001 '1 to 1000000000'
	warns_once COPOOL_LEARN=2 COPOOL_LEARN=2 '0 or 1'
	warns_once COPOOL_ZERO=2 COPOOL_ZERO=2 '0 or 1'
}

@test "bad input: an empty value is a mistake, not a default chosen in silence" {
	for variable in COPOOL_INTERVAL_MS COPOOL_MAX_BATCHES COPOOL_DECAY_MS COPOOL_HOST \
		COPOOL_GUARD COPOOL_STACK_SIZE COPOOL_MAX_LIVE COPOOL_LEARN COPOOL_ZERO; do
		warns_once "$variable=" "$variable=:" empty
	done
	complains_once COPOOL_LOG= COPOOL_LOG= empty
}

@test "bad input: a word that is none is named with those that are" {
	for value in QEMU qem 'qemu ' 1 $'\xff'; do
		warns_once "COPOOL_HOST=$value" 'one of auto, off, qemu, stacks, named'
		warns_once "COPOOL_GUARD=$value" 'one of auto, madvise, poison, mprotect'
	done
}

@test "bad input: a variable that does not exist is told the nearest that does" {
	warns_once COPOOL_INTERVAL=100 COPOOL_INTERVAL: COPOOL_INTERVAL_MS
	warns_once COPOOL_MAXBATCHES=1 COPOOL_MAXBATCHES: COPOOL_MAX_BATCHES
	warns_once COPOOL_LOGS=x COPOOL_LOGS: COPOOL_LOG
	warns_once COPOOL_GARD=auto COPOOL_GARD: COPOOL_GUARD
}

@test "bad input: all mistakes are told, each once" {
	run_pooled COPOOL_INTERVAL_MS=x COPOOL_DECAY_MS=y COPOOL_MAX_BATCHES=z COPOOL_HOST=w COPOOL_V=v "$steps" use 1
	[[ $status -eq 0 ]]
	[[ $(log_records warning .text | grep -o 'COPOOL_[A-Z_]*[=:][a-z]\?' | sort) == \
		"$(printf '%s\n' COPOOL_DECAY_MS=y COPOOL_HOST=w COPOOL_INTERVAL_MS=x COPOOL_MAX_BATCHES=z COPOOL_V:)" ]]
}

@test "bad input: a value of 100,000 letters is cut in the warning" {
	value=$(head -c 100000 /dev/zero | tr '\0' 7)
	warns_once "COPOOL_INTERVAL_MS=$value" COPOOL_INTERVAL_MS=7777
	warns_once "COPOOL_HOST=$value" COPOOL_HOST=7777
	complains_once "COPOOL_LOG=$value" COPOOL_LOG=7777 'too long'
}

@test "bad input: without a log it is told on standard error, in one line" {
	complains_once COPOOL_INTERVAL_MS=never COPOOL_INTERVAL_MS=never
	complains_once COPOOL_DECAY_MS=$'one\ntwo\e[31m' 'COPOOL_DECAY_MS=one?two?[31m'
}

@test "bad input: without a log and a thread, too" {
	run --separate-stderr env LD_PRELOAD="$COPOOL_SO" COPOOL_DECAY_MS=0 COPOOL_INTERVAL_MS=never "$steps" use 1
	[[ $status -eq 0 && $stderr == "copool: COPOOL_INTERVAL_MS=never: "* ]]
}

@test "bad input: with a log, standard error stays the program's" {
	run --separate-stderr env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" COPOOL_INTERVAL_MS=never "$steps" use 1
	[[ $status -eq 0 && $stderr == "" ]]
}

@test "bad input: a program with nothing to pool says nothing of it without a log" {
	unset COPOOL_CREATE COPOOL_DESTROY
	run env LD_PRELOAD="$COPOOL_SO" COPOOL_INTERVAL_MS=never COPOOL_NONSENSE=1 sh -c 'echo fine | cat'
	[[ $status -eq 0 && $output == fine ]]
}

@test "bad input: where a terminal stops background processes that write, a warning does not stop the program" {
	requires script
	cat >session <<-'END'
		stty tostop
		set -m
		env LD_PRELOAD="$COPOOL_SO" COPOOL_HOST=off COPOOL_TELL=1 COPOOL_LOG=/nowhere/log "$steps" touch there &
		# A job that is stopped never ends.
		wait -n
		echo "status $?" >ended
		kill -KILL %1 2>/dev/null
	END
	export COPOOL_SO steps
	run timeout 120 script --quiet --return --command 'bash session' /dev/null </dev/null
	echo "$output"
	[[ -e there && $(<ended) == "status 0" && $output == *"copool: COPOOL_LOG=/nowhere/log: "* ]]
}

@test "bad input: an unmodified QEMU does the same with every setting wrong" {
	requires_qemu qemu-img
	FILTER=$FILTER_SECONDS same_twin COPOOL_INTERVAL_MS=-1 COPOOL_MAX_BATCHES=x COPOOL_DECAY_MS=1 COPOOL_HOST=qumu \
		COPOOL_CREATE='' COPOOL_DESTROY='' qemu-img bench -c 2000 -d 64 --image-opts driver=null-aio,size=1G
	[[ $status -eq 0 ]]
	is_pooled_qemu
	check_balance
	[[ $(log_records warning | wc -l) -eq 6 ]]
}

# ---- logs ----

@test "bad input: a log that cannot be opened is told once, with its path and the reason" {
	mkdir folder
	mkfifo fifo
	requires python3
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
	: >file
	ln -s file link
	ln -s nothing dangling
	ln -s loop loop
	complains_once COPOOL_LOG=/nowhere/log COPOOL_LOG=/nowhere/log 'No such file'
	complains_once COPOOL_LOG=folder COPOOL_LOG=folder 'Is a directory'
	complains_once COPOOL_LOG=/ COPOOL_LOG=/ 'Is a directory'
	complains_once COPOOL_LOG=file/log COPOOL_LOG=file/log 'Not a directory'
	complains_once COPOOL_LOG=link COPOOL_LOG=link 'symbolic link'
	complains_once COPOOL_LOG=dangling COPOOL_LOG=dangling 'symbolic link'
	complains_once COPOOL_LOG=loop COPOOL_LOG=loop 'symbolic link'
	complains_once COPOOL_LOG=fifo COPOOL_LOG=fifo 'nobody reads'
	complains_once COPOOL_LOG=socket COPOOL_LOG=socket 'a socket'
	complains_once COPOOL_LOG=/proc/version COPOOL_LOG=/proc/version
	complains_once COPOOL_LOG=/sys/log COPOOL_LOG=/sys/log
	[[ ! -s file && ! -e nothing ]]
	[[ $(ls -A) == $'dangling\nfifo\nfile\nfolder\nlink\nloop\nsocket' ]]
}

@test "bad input: a link on the way to a log is followed" {
	mkdir folder
	ln -s folder way
	LOG=way/log run_pooled "$steps" use 1
	LOG=folder/log check_balance
}

@test "bad input: a full disk is told once, with the path" {
	complains_once COPOOL_LOG=/dev/full COPOOL_LOG=/dev/full 'No space left'
}

@test "bad input: a log without write permission is told once, with the path" {
	: >"$LOG"
	chmod 444 "$LOG"
	nobody=()
	if [[ $(id -u) -eq 0 ]]; then
		requires setpriv
		nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
		chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
		"${nobody[@]}" "$steps" || lacks "another user cannot reach the programs"
	fi
	# Of setpriv, which has the right, the line is in the log.
	run --separate-stderr env COPOOL_HOST=named LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" \
		"${nobody[@]}" "$steps" use 1 say fine
	[[ $status -eq 0 && $output == fine ]]
	[[ $(grep -c "^copool: COPOOL_LOG=$LOG: Permission denied; there will be no log" <<<"$stderr") -eq 1 ]]
	[[ $(wc -l <<<"$stderr") -eq 1 ]]
}

@test "bad input: a % that means nothing is told once, and makes no file" {
	for path in log.%d log.% %s%s%s%n 'log.%-5p'; do
		complains_once "COPOOL_LOG=$path" "COPOOL_LOG=$path" '% comes'
	done
	[[ $(ls -A) == "" ]]
}

@test "bad input: a path that grows too long is told once" {
	long=$(printf '%0300d/' {1..14})
	complains_once "COPOOL_LOG=${long::4000}%n%n%n%n%n%n%n%n%n%n%n%n%n%n%n%n%n%n%n%n%n" 'COPOOL_LOG=0000' 'too long'
	complains_once "COPOOL_LOG=/${long::300}" 'COPOOL_LOG=/000' 'too long'
}

@test "bad input: a device that nobody drives is told once" {
	[[ $(id -u) -eq 0 ]] || skip "only root can make a device"
	mknod device b 240 0 || skip "no device can be made here"
	complains_once COPOOL_LOG=device COPOOL_LOG=device 'no such device'
}

@test "bad input: a block device is not written to" {
	requires losetup
	[[ $(id -u) -eq 0 ]] || skip "only root can make a device"
	truncate -s 1M disk
	loop=$(losetup --find --show disk) || skip "no device can be made here"
	complains_once "COPOOL_LOG=$loop" "COPOOL_LOG=$loop" 'not supported'
	cmp disk <(head -c 1M /dev/zero)
}

@test "bad input: a descriptor 2 that was closed at the start gets nothing, and what is opened in its place neither" {
	for setting in COPOOL_LOG=/nowhere/log COPOOL_LOG=/dev/full COPOOL_LOG=stderr COPOOL_LOG= COPOOL_INTERVAL_MS=x; do
		rm -f said
		run env LD_PRELOAD="$COPOOL_SO" "$setting" "$steps" use 100 touch there fork use 100 2>&-
		[[ $status -eq 0 && -e there && ! -s there ]]
		env LD_PRELOAD="$COPOOL_SO" "$setting" bash -c 'exec 2>&-; exec 2>said; exec "$0" use 1 fork use 1' "$steps"
		[[ $setting == COPOOL_LOG=stderr || $(grep -vc '^copool: ' said) -eq 0 ]]
	done
}

@test "bad input: a descriptor 1 that is closed is no log" {
	run --separate-stderr bash -c 'exec env LD_PRELOAD="$1" COPOOL_LOG=stdout "$0" use 1 >&-' "$steps" "$COPOOL_SO"
	[[ $status -eq 0 && $stderr == *'COPOOL_LOG=stdout: '* ]]
}

@test "bad input: a fork's child does not say again what its parent said" {
	complains_once COPOOL_LOG=/nowhere/log /nowhere/log
	run --separate-stderr env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG=/nowhere/log "$steps" use 100 fork use 100
	[[ $status -eq 0 && $(wc -l <<<"$stderr") -eq 1 ]]
}

@test "bad input: functions that nobody has leave the program alone, and the log names them" {
	run_pooled COPOOL_CREATE=$'no\nsuch "function"' "$steps" use 100 say fine
	[[ $status -eq 0 && $output == fine ]]
	check_log
	[[ $(log_open host) == none && $(log_open detail) ]]
}
