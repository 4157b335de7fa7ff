#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Memory follows demand: what is given back when memory is short, how much is kept at most, and what an idle process
# costs.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2153,SC2154 # helper.bash sets COPOOL_SO; start sets pid

load lib/helper
load lib/group

NEVER=86400000 # the longest window that there is

setup() {
	requires jq
	requires_program steps
	cd "$BATS_TEST_TMPDIR" || return
	export COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop
	steps=$PROGRAMS/steps
}

teardown() {
	stop_all
	groups_remove
}

# counts CONDITION: of the process's first pool, seen from outside.
counts() {
	"$COPOOL" show --json "$pid" | jq -e '.processes[0].pools[0] | . != null and ('"$1"')' >/dev/null
}

# stays SECONDS CONDITION: that long.
stays() {
	! BUSY=1 wait_until "$1" eval "! counts '$2'"
}

# start_burst [VARIABLE=VALUE...]: a process in $GROUP, if there is one, that has put 61 batches into its depot; `again`
# has it make and drop as much again. There is no log but in a test that sets COPOOL_LOG.
start_burst() {
	local place=(env)
	[[ -z $GROUP ]] || place=(in_group env)
	start "${place[@]}" LD_PRELOAD="$COPOOL_SO" COPOOL_MAX_BATCHES=99 "$@" "$steps" use 1000 touch used wait again use 1000 touch "done" wait go
	wait_until 10 test -e used
}

# The same, where they are still there when they are looked for.
start_idle() {
	start_burst "$@"
	counts '.depot_batches == 61'
}

# ---- pressure ----

@test "pressure: when the group comes to its limit the depots are emptied long before their window ends" {
	requires_group
	requires dd
	start_idle COPOOL_DECAY_MS=$NEVER
	group_limit $((32 << 20))
	# It notices what happens after its first look at what lies in the depot.
	wait_until 20 eval 'press && counts ".depot_batches == 0 and .trimmed == 976"'
	# And goes on as before.
	touch again
	wait_until 10 test -e "done"
	counts '.depot_batches == 61'
	touch go
	ended "$pid"
	[[ $status -eq 0 ]]
}

@test "pressure: what happens in another group, or happened before there was anything idle, empties nothing" {
	requires_group
	requires dd
	local ours=$GROUP
	group_limit $((32 << 20))
	start in_group env LD_PRELOAD="$COPOOL_SO" COPOOL_MAX_BATCHES=99 COPOOL_DECAY_MS=$NEVER "$steps" touch begun wait go \
		use 1000 touch used wait end
	wait_until 10 test -e begun
	wait_until 10 press
	touch go
	wait_until 10 test -e used
	stays 3 '.depot_batches == 61 and .trimmed == 0'
	requires_group b
	group_limit $((32 << 20))
	wait_until 10 press
	stays 2 '.depot_batches == 61 and .trimmed == 0'
	# What happens in its own does.
	GROUP=$ours
	wait_until 20 eval 'press && counts ".trimmed == 976"'
}

@test "pressure: with COPOOL_DECAY_MS=0 nothing is given back" {
	requires_group
	requires dd
	export COPOOL_LOG=$LOG
	start_idle COPOOL_DECAY_MS=0 COPOOL_INTERVAL_MS=100
	group_limit $((32 << 20))
	stays 2 '.trimmed == 0'
	wait_until 10 press
	stays 2 '.depot_batches == 61 and .trimmed == 0'
}

@test "pressure: PHP's stacks of a burst go back to the system" {
	requires php
	requires_group
	cat >burst.php <<-'END'
		<?php
		function burst(int $n) {
			$alive = [];
			for ($i = 0; $i < $n; $i++) { $f = new Fiber(function () { Fiber::suspend(); }); $f->start(); $alive[] = $f; }
			foreach ($alive as $f) $f->resume();
		}
		burst(2000);
		touch('used');
		for ($i = 0; $i < 6000 && !file_exists('go'); $i++) usleep(10000);
		burst(2000);
	END
	start in_group env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" COPOOL_DECAY_MS=$NEVER php -n burst.php
	wait_until 20 test -e used
	counts '.depot_batches > 100'
	group_limit $((48 << 20))
	wait_until 20 eval 'press && counts ".depot_batches == 0 and .trimmed > 1600"'
	touch go
	ended "$pid"
	[[ $status -eq 0 ]]
	check_balance
}

# ---- limits ----

@test "limit: a group's limit on memory sets how much is kept, and a number in COPOOL_MAX_BATCHES sets it aside" {
	requires php
	requires_group
	local page wanted
	page=$(getconf PAGE_SIZE)
	group_limit $((64 << 20))
	wanted=$(((64 << 20) / 8 / (2 * page) / 16))
	((wanted < 1000)) || skip "pages are too small for this test"
	(in_group env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" "$steps" use 4000)
	[[ $(log_open max_batches) -eq $wanted && $(log_final depot_batches) -eq $wanted ]]
	rm "$LOG"
	(in_group env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" COPOOL_MAX_BATCHES=200 "$steps" use 4000)
	[[ $(log_open max_batches) -eq 200 && $(log_final depot_batches) -eq 200 ]]
	rm "$LOG"
	(in_group env -u COPOOL_CREATE LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" php -n -r '1;')
	[[ $(log_open max_batches) -eq $wanted ]]
}

@test "limit: RLIMIT_AS sets how many of QEMU's coroutines are kept, and a number in COPOOL_MAX_BATCHES sets it aside" {
	requires prlimit qemu-img
	unset COPOOL_CREATE COPOOL_DESTROY
	local bench=(qemu-img bench -c 3000 -d 1024 -w --flush-interval=1024 --image-opts "driver=null-aio,size=1G")
	run_pooled "${bench[@]}"
	[[ $status -eq 0 && $(log_open max_batches) -gt 300 ]]
	rm "$LOG"
	prlimit --pid=$BASHPID --as=$((4 << 30))
	run_pooled "${bench[@]}"
	[[ $status -eq 0 && $(log_open max_batches) -eq 32 ]]
	rm "$LOG"
	run_pooled COPOOL_MAX_BATCHES=300 "${bench[@]}"
	[[ $status -eq 0 && $(log_open max_batches) -eq 300 ]]
}

# ---- an idle process ----

# watch SECONDS: the system calls of our thread in $pid through so many seconds, in `calls`, each with its time. The
# first line is the call that it was in.
watch() {
	local thread tracer until
	thread=$(grep -lx copool "/proc/$pid/task"/*/comm)
	thread=${thread%/comm}
	strace -ttt -o calls -p "${thread##*/}" 2>/dev/null 3>&- &
	tracer=$!
	wait_until 10 grep -q . calls
	until=$((${EPOCHREALTIME/./} + $1 * 1000000))
	wait_until $(($1 + 10)) eval "((\${EPOCHREALTIME/./} >= $until))"
	kill -INT $tracer
	wait $tracer || :
	cat calls
}

# is_silent: it made none, and is in the one that it was in, a sleep.
is_silent() {
	[[ $(wc -l <calls) -eq 1 && $(<calls) =~ futex|restart_syscall ]]
}

# opens_nothing: a sandbox may kill for that.
opens_nothing() {
	! grep -vE ' (futex(_waitv)?|restart_syscall|pread64|madvise|munmap|brk|clock_[a-z]*)\(|<detached' calls
}

# may_trace: strace works here.
may_trace() {
	requires strace
	strace -o /dev/null true 2>/dev/null || skip "nobody may trace here"
}

@test "idle: with nothing to trim and nothing to write our thread makes no system call at all" {
	may_trace
	start env LD_PRELOAD="$COPOOL_SO" "$steps" use 32 touch used wait go
	wait_until 10 test -e used
	watch 2
	is_silent
	touch go
	ended "$pid"
}

@test "idle: with a log and no sample due it makes none either" {
	may_trace
	start env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" COPOOL_INTERVAL_MS=3600000 "$steps" use 32 touch used wait go
	wait_until 10 test -e used
	watch 2
	is_silent
	touch go
	ended "$pid"
}

@test "idle: when all that was idle has been given back it makes none any more" {
	may_trace
	start_burst COPOOL_DECAY_MS=100
	wait_until 20 counts '.trimmed > 0'
	wait_until 20 counts '.depot_batches == 0'
	# Its last round may not be over.
	watch 2
	is_silent || {
		watch 2
		is_silent
	}
}

# wakes_once_a_second: from one sleep's begin to the next it was a second or longer; of the first only the end was
# seen. The tracer's clock may differ a little from the kernel's.
wakes_once_a_second() {
	awk '/futex|restart_syscall/ { times[++count] = $1 }
		END {
			span = times[count] - times[2]
			print count " sleeps, " span " s from the second to the last"
			exit !(count >= 3 && count - 2 <= span / 0.95)
		}' calls
}

@test "idle: while something is to be trimmed it wakes at most once a second, with a log and without" {
	may_trace
	start_idle COPOOL_DECAY_MS=10000
	watch 4
	wakes_once_a_second
	opens_nothing
	grep -q pread64 calls || [[ ! -e /proc/pressure/memory ]]
	stop "$pid"
	rm used
	COPOOL_LOG=$LOG start_idle COPOOL_DECAY_MS=10000
	watch 4
	wakes_once_a_second
	log_records sample
	[[ $(log_records sample | wc -l) -ge 3 ]]
}

# ---- demand ----

@test "demand: bursts repeated within a window make nothing new" {
	local words=() i
	for i in {1..4}; do
		words+=(use 1000 touch "at$i" wait "next$i")
	done
	start env LD_PRELOAD="$COPOOL_SO" COPOOL_DECAY_MS=6000 "$steps" "${words[@]}"
	for i in {1..4}; do
		wait_until 10 test -e "at$i"
		# More than a window in all.
		stays 2 '.create_new == 1000 and .trimmed == 0'
		touch "next$i"
	done
	ended "$pid"
	[[ $status -eq 0 ]]
}
