#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The functions that are taken from libc: what they return, what they leave of errno, and of the caller's stack; and what the
# program has none of our threads for.
# shellcheck disable=SC2154 # start_pooled sets pid
# shellcheck disable=SC2016 # what is in single quotes is for the program to expand

load lib/helper

STACK_LIMIT=1024 # bytes that a hook may take of a coroutine's

setup() {
	requires jq
	requires_program aside calls liar steps unloads
	cd "$BATS_TEST_TMPDIR" || return
	unset LD_PRELOAD
	export COPOOL_HOST=stacks
	calls=$PROGRAMS/calls
}

# Every way in which the calls may go another way through the library.
WAYS=("COPOOL_GUARD=auto" "COPOOL_GUARD=mprotect" "COPOOL_GUARD=poison COPOOL_ZERO=1" "COPOOL_MODE=observe"
	"COPOOL_LEARN=1 COPOOL_ORIGINS=1" "COPOOL_LEAKS=1" "COPOOL_MAX_LIVE=70" "COPOOL_MAX_BATCHES=0 COPOOL_DECAY_MS=0")

# all_of WHAT [VARIABLE=VALUE...]: what the program says of each call, a line each.
all_of() {
	local number count
	count=$("$calls" list | wc -l)
	for ((number = 0; number < count; number++)); do
		env "${@:2}" "$calls" "$1" "$number" || echo "status $?"
	done
}

@test "calls: no function that is taken over is left out here" {
	diff <(exported) <("$calls" list | cut -d ' ' -f 1 | sort -u |
		grep -vx fork)
}

@test "calls: each returns what it did, and errno is what it was after success and failure" {
	local way stock
	stock=$(all_of errno)
	grep -q ', errno 77$' <<<"$stock"
	for way in "${WAYS[@]}"; do
		echo "$way:"
		# shellcheck disable=SC2086 # two settings
		diff <(echo "$stock") <(all_of errno LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" $way)
	done
}

@test "calls: none takes more than a KiB of the caller's stack, also the one that starts our thread, and with a warning" {
	local way most
	all_of depth >stock
	for way in "${WAYS[@]}"; do
		rm -f "$LOG"
		# shellcheck disable=SC2086
		all_of depth LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" $way >pooled
		paste stock pooled <("$calls" list) | awk -v limit=$STACK_LIMIT -v way="$way" '
			$2 - $1 > limit || $2 !~ /^[0-9]+$/ { print way ": " $2 - $1 " bytes: " $0; bad = 1 } END { exit bad }'
	done
	[[ $(wc -l <pooled) -eq $("$calls" list | wc -l) ]]
}

@test "calls: a warning that a coroutine's stack has no room to put together is in the log" {
	local number
	number=$("$calls" list | grep -n 'too many kinds' | cut -d : -f 1)
	run_pooled "$calls" errno $((number - 1))
	[[ $(log_records warning .text) == *"more than 40 kinds of stacks"* ]]
}

# ---- one thread ----

@test "calls: a program that has pooled nothing has one thread, whatever was asked for, and its open record" {
	local way
	for way in COPOOL_HOST=stacks COPOOL_LEARN=1 COPOOL_STACK_SIZE=65536 COPOOL_MODE=observe COPOOL_ORIGINS=1 \
		COPOOL_LEAKS=1 COPOOL_PROMETHEUS="$PWD/x.prom"; do
		rm -f "$LOG"
		run_pooled "$way" bash -c 'ls /proc/$$/task | wc -l'
		[[ $status -eq 0 && $output == 1 ]]
		[[ $(log_records open .host | sort -u) == stacks && $(log_records final | wc -l) -eq 0 ]]
	done
}

@test "calls: the thread comes with the first stack" {
	run_stock "$PROGRAMS/aside" alone
	[[ $output == $'1\n1' ]]
	run_pooled "$PROGRAMS/aside" alone
	[[ $output == $'1\n2' ]]
	check_balance
	# Without a file to open nobody waits for it.
	run_shown env LD_PRELOAD="$COPOOL_SO" "$PROGRAMS/aside" alone
	[[ $output == $'1\n2' ]]
}

@test "calls: PHP without a fiber has one thread, and Python's fork no reason to warn" {
	requires php python3
	export COPOOL_HOST=auto
	same_twin php -n -r 'echo count(glob("/proc/self/task/*")), "\n";'
	[[ $output == 1 ]]
	export COPOOL_LEARN=1
	same_twin python3 -W error -c 'import os
print(len(os.listdir("/proc/self/task")))
os.waitpid(os.fork() or os._exit(0), 0)'
	[[ $status -eq 0 && $output == 1 ]]
}

# ---- what takes a process of one thread ----

@test "calls: namespaces of users and of time can be joined after the thread has started, and it comes back" {
	[[ $(id -u) -eq 0 ]] || skip "only root may join them"
	same_twin COPOOL_INTERVAL_MS=10 "$PROGRAMS/aside" join
	[[ $status -eq 0 && $output == *"users: done"*"time: done" ]]
	check_balance
	[[ $(log_records final 'select(.create_new > 0)' | wc -l) -eq 1 && $(log_records warning | wc -l) -eq 0 ]]
	log_open host
}

@test "calls: a user namespace of its own is to be had as often as without the shim, and what is refused is refused" {
	same_twin "$PROGRAMS/aside" own
	[[ $status -eq 0 && $output == *"own users: done"* ]]
	check_balance
	rm "$LOG"
	same_twin "$PROGRAMS/aside" refused
	[[ $status -eq 0 && $output == *"Bad file descriptor"*"Invalid argument"* ]]
	check_balance
}

@test "calls: a program whose filter refuses it another user is told so" {
	same_twin "$PROGRAMS/aside" filtered
	[[ $status -eq 0 && $output == *"another user: Operation not permitted" ]]
	log_records warning | grep -q 'under a filter'
	check_balance
}

@test "calls: a folder that the program has left can be unmounted, though the thread came while it was there" {
	[[ $(id -u) -eq 0 ]] || skip "only root may mount"
	same_twin "$PROGRAMS/aside" unmount
	[[ $status -eq 0 && $output == *"to leave it: done"*"to unmount it: done" ]]
	check_balance
}

@test "calls: a thread that stepped aside goes on with samples, and with giving memory back" {
	start_pooled COPOOL_INTERVAL_MS=20 COPOOL_DECAY_MS=100 "$PROGRAMS/aside" back end
	wait_until 10 trimmed
	touch end
	ended "$pid"
	[[ $status -eq 0 ]]
	check_balance "$pid"
}

@test "calls: a clock that is set back, as a time namespace may do, holds up neither samples nor giving memory back" {
	[[ $(id -u) -eq 0 ]] || skip "only root may join one"
	[[ $(cut -d . -f 1 /proc/uptime) -gt 300 ]] || skip "the machine's clock cannot be set back by much"
	start_pooled COPOOL_INTERVAL_MS=20 COPOOL_DECAY_MS=100 "$PROGRAMS/aside" earlier end
	wait_until 10 trimmed
	touch end
	ended "$pid"
	[[ $status -eq 0 && $(<"$BATS_TEST_TMPDIR/output.$pid") == "time: done" ]]
	check_balance "$pid"
	jq -es 'map(select(.uptime_ms != null).uptime_ms) | max < 20000' "$LOG"
}

trimmed() {
	[[ $(log_records sample 'select(.trimmed > 0)' 2>/dev/null | wc -l) -gt 2 ]]
}

@test "calls: a program that forbids itself threads and files before its first stack lives on, and its log says what is lost" {
	same_twin "$PROGRAMS/aside" confined
	[[ $status -eq 0 && $output == *"a filter: done" ]]
	check_log
	[[ $(log_records warning .text) == *"confined itself"* && $(log_records final | wc -l) -eq 0 ]]
	run_shown env LD_PRELOAD="$COPOOL_SO" "$PROGRAMS/aside" confined
	[[ $status -eq 0 ]]
}

@test "calls: a child of vfork that gives up what it may do takes nothing from its parent" {
	for when in launch launch-first; do
		rm -f "$LOG"
		same_twin "$PROGRAMS/aside" $when
		check_balance
		[[ $(log_records warning | wc -l) -eq 0 && $(log_records final 'select(.create_new > 0)' | wc -l) -eq 1 ]]
	done
}

@test "calls: a child of vfork that has the first stack keeps nothing from its parent" {
	local start=$SECONDS
	same_twin "$PROGRAMS/aside" vfork
	[[ $status -eq 0 ]]
	((SECONDS - start < 2))
	check_balance
}

@test "calls: without a log nothing is said on standard error once the program runs" {
	local i
	for i in keep keep-first confined; do
		same_twin "$PROGRAMS/aside" $i
		run_shown env LD_PRELOAD="$COPOOL_SO" "$PROGRAMS/aside" $i
		[[ $status -eq 0 && $output != *copool* ]]
	done
}

# ---- what others change ----

@test "calls: where another preload changes the time, the process and dlsym, samples come and memory goes back" {
	local preload
	for preload in "$PROGRAMS/liar:$COPOOL_SO" "$COPOOL_SO:$PROGRAMS/liar"; do
		rm -f "$LOG" used end
		start_pooled LD_PRELOAD="$preload" COPOOL_INTERVAL_MS=20 COPOOL_DECAY_MS=100 COPOOL_HOST=named \
			COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop "$PROGRAMS/steps" use 2000 touch used wait end
		wait_until 10 test -e used
		wait_until 10 trimmed
		touch end
		ended "$pid"
		[[ $status -eq 0 ]]
		[[ $(log_records - .pid | sort -u) == "$pid" ]]
		check_balance
	done
}

@test "calls: libfaketime changes nothing for samples, nor for giving memory back" {
	requires_package faketime
	local library moment
	library=$(dpkg -L libfaketime | grep 'libfaketime\.so\.1$')
	for moment in -1d +10d '2020-01-01 00:00:00'; do
		rm -f "$LOG" used end
		start_pooled LD_PRELOAD="$library:$COPOOL_SO" FAKETIME="$moment" COPOOL_INTERVAL_MS=20 COPOOL_DECAY_MS=100 \
			COPOOL_HOST=named COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop "$PROGRAMS/steps" use 2000 touch used wait end
		wait_until 10 test -e used
		wait_until 10 trimmed
		touch end
		ended "$pid"
		[[ $status -eq 0 ]]
	done
}

@test "calls: a program that unloads the library that it loaded while it ran goes on, through threads that end and forks" {
	run_shown env COPOOL_LOG="$LOG" "$PROGRAMS/unloads" "$COPOOL_SO"
	[[ $status -eq 0 && $output == fine ]]
}
