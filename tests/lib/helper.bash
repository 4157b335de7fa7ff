# SPDX-License-Identifier: MIT
# What every .bats file begins with: where the products are, a program run with and without the shim, the log's
# records, processes that a test starts. Not for the runner: only a program is ever run under the shim.
# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is for the tests

bats_require_minimum_version 1.5.0

TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
COPOOL_BUILD=${COPOOL_BUILD:-$(dirname "$TESTS")/build}
COPOOL_SO=$COPOOL_BUILD/libcopool.so
COPOOL=$COPOOL_BUILD/copool
PROGRAMS=$COPOOL_BUILD/programs
LOG=${BATS_TEST_TMPDIR-}/log.jsonl
export LC_ALL=C
# What this machine's own programs are told is not for the tests.
[[ ! -e /etc/copool.conf && ! -e /etc/copool.d ]] || export COPOOL_CONFIG=none

# exported [MAP]: the names that the library exports, by its version script.
exported() {
	sed -n '/global:/,/local:/p' "${1:-$COPOOL_BUILD/exports.map}" | tr -s '; \t{}' '\n' | grep -vE '^(global:|local:|)$' | sort
}

# ---- what a test needs ----

# lacks REASON: this test is skipped, with the reason; with COPOOL_TEST_STRICT=1 it fails, since a machine could have that.
# What a machine cannot have by its nature is a plain `skip REASON`.
lacks() {
	[[ ${COPOOL_TEST_STRICT-} == 1 ]] || skip "$*"
	echo "COPOOL_TEST_STRICT: $*"
	return 1
}

requires() { # COMMAND...
	local command
	for command; do
		command -v "$command" >/dev/null || lacks "there is no $command"
	done
}

requires_package() { # PACKAGE...: of Debian
	local package
	for package; do
		dpkg-query --show --showformat='${Status}\n' "$package" 2>/dev/null | grep -qx 'install ok installed' ||
			lacks "the package $package is not installed"
	done
}

requires_program() { # NAME...: a small program from tests/programs
	local program
	for program; do
		[[ -x $PROGRAMS/$program ]] || lacks "the program $program is not built (make programs)"
	done
}

# ---- a command with and without the shim ----

# Runs a program as `run` does, for five minutes at most, and shows what came of it should the test fail.
run_shown() {
	run timeout --foreground --kill-after=5 300 "$@"
	echo "\$ $*"
	echo "status $status, output:"
	head -c 4000 <<<"$output"
}

# run_stock [VARIABLE=VALUE...] COMMAND...
run_stock() {
	run_shown env -u LD_PRELOAD "$@"
}

# run_pooled [VARIABLE=VALUE...] COMMAND...: the same under the shim, its log in $LOG, where also those tell of themselves
# that have nothing to pool.
run_pooled() {
	[[ -e $COPOOL_SO ]] || lacks "there is no $COPOOL_SO (make)"
	run_shown env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" COPOOL_TELL=1 "$@"
}

# same_twin [VARIABLE=VALUE...] COMMAND...: the shim changes neither output nor status. $FILTER, a script for
# `sed -E`, takes out what differs between any two runs, such as the time that one took. Leaves the pooled
# run's status and output. Both read $INPUT, a file.
same_twin() {
	local stock_status stock_output
	run_stock "$@" <"${INPUT-/dev/null}"
	stock_status=$status stock_output=$(filtered)
	run_pooled "$@" <"${INPUT-/dev/null}"
	[[ $status -eq $stock_status ]]
	diff <(echo "$stock_output") <(filtered) | head -c 4000 # stock on the left
	((PIPESTATUS[0] == 0))
}

filtered() {
	sed -E "${FILTER-}" <<<"$output"
}

# The time that a run took, and a rate made from it.
FILTER_SECONDS='s/[0-9]+([.][0-9]+)? sec(onds)?/N seconds/g; s/[0-9.]+ (ops|[KMG]i?B|bytes)\/sec/N \1\/sec/g'

# ---- waiting, and processes ----

BUSY=6 # times as slow as a quiet machine: one that is still waited for

# wait_until SECONDS COMMAND...: until COMMAND succeeds; fails when it never did. SECONDS are those of a machine that has
# nothing else to do: on one that has, all takes several times as long.
wait_until() {
	local deadline=$((${EPOCHREALTIME/./} + $1 * BUSY * 1000000))
	shift
	until "$@"; do
		((${EPOCHREALTIME/./} < deadline)) || {
			echo "waited in vain for: $*"
			return 1
		}
		read -rt 0.05 <> <(:) || :
	done
}

is_gone() { # PID
	local state
	state=$(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null) || return 0
	[[ $state == Z || -z $state ]]
}

STARTED=() # processes to be stopped in the end

# watch_over PID: stopped when the test ends, whatever came of it.
watch_over() {
	STARTED+=("$1")
}

# start_stock, start_pooled [VARIABLE=VALUE...] COMMAND...: in the background; leaves its process id in $pid,
# and what it says goes to $BATS_TEST_TMPDIR/output.$pid.
start_stock() {
	start env -u LD_PRELOAD "$@"
}

start_pooled() {
	[[ -e $COPOOL_SO ]] || lacks "there is no $COPOOL_SO (make)"
	start env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" COPOOL_TELL=1 "$@"
}

start() {
	local output=$BATS_TEST_TMPDIR/started.${#STARTED[@]}
	echo "\$ $* &"
	: >"$output"
	"$@" >>"$output" 2>&1 </dev/null 3>&- &
	pid=$!
	ln "$output" "$BATS_TEST_TMPDIR/output.$pid"
	watch_over "$pid"
}

# stop PID [SIGNAL]: ends a process, and waits for it as `ended` does; leaves its status, if it is the test's own child.
stop() {
	is_gone "$1" || kill -s "${2-TERM}" "$1" || :
	ended "$1"
}

# ended PID [SECONDS]: waits until a process has ended by itself, as wait_until does (20); its status as above.
ended() {
	local name
	wait_until "${2-20}" is_gone "$1" || {
		name=$(tr '\0' ' ' <"/proc/$1/cmdline")
		kill -KILL "$1"
		echo "$1 did not end: $name"
		return 1
	}
	status=0
	wait "$1" 2>/dev/null || status=$?
	[[ ! -e $BATS_TEST_TMPDIR/output.$1 ]] || head -c 2000 "$BATS_TEST_TMPDIR/output.$1" | sed "s/^/[$1] /"
}

stop_all() {
	local each
	for each in "${STARTED[@]}"; do
		is_gone "$each" || stop "$each" || :
	done
}

# A file that has a teardown of its own calls stop_all in it.
teardown() {
	stop_all
}

# fibers.php: makes and drops fibers until it is stopped, a hundred at a time.
fibers_until_stopped() {
	cat >fibers.php <<-'END'
		<?php
		for (;;) {
			$alive = [];
			for ($i = 0; $i < 100; $i++) { $alive[$i] = new Fiber(fn() => Fiber::suspend()); $alive[$i]->start(); }
			foreach ($alive as $fiber) $fiber->resume();
			usleep(2000);
		}
	END
}

# ---- the log ----

# log_records TYPE [FILTER]: the records of a type, one a line, through jq's FILTER; `-` for all types. Fails
# on a line that is no record.
log_records() {
	jq -rc --arg type "$1" 'select($type == "-" or .type == $type) | '"${2-.}" "$LOG"
}

# log_final COUNTER [POOL [PID]]: of the last final record of each pool and process, the sum.
log_final() {
	jq -n --arg counter "$1" --arg pool "${2-}" --arg pid "${3-}" '
		[inputs | select(.type == "final" and ($pool == "" or .pool == $pool)
				and ($pid == "" or .pid == ($pid | tonumber)))]
		| if length == 0 then error("no final record") else . end
		| group_by([.pid, .pool]) | map(last | .[$counter]) | add' "$LOG"
}

# log_open KEY: what the one open record says. A child of a fork has one as well when it lives for long enough.
log_open() {
	jq -nr --arg key "$1" '[inputs | select(.type == "open" and .ppid == 0)]
		| if length != 1 then error("\(length) open records") else .[0][$key] end' "$LOG"
}

# check_log: every line is a record of ours, whole and short enough.
check_log() {
	awk 'length($0) >= 4096 { print "too long: " $0; exit 1 }' "$LOG"
	[[ $(tail -c 1 "$LOG" | od -An -c) == *'\n'* ]]
	jq -es 'all(.[]; (.type | IN("open", "sample", "final", "depth", "warning", "origin", "way"))
		and (.time | type == "number") and (.pid | type == "number"))' "$LOG" >/dev/null
}

# check_balance [PID]: at rest, what was created and not destroyed is live. There is at least one final record.
check_balance() {
	check_log
	jq -ne --arg pid "${1-}" '
		[inputs | select(.type == "final" and ($pid == "" or .pid == ($pid | tonumber)))]
		| length > 0 and all(.[];
			.inherited + .create_local + .create_depot + .create_new
			- .destroy_local - .destroy_depot - .destroy_delete == .live
			and .live >= 0 and .pooled >= 0
			and .peak_objects >= .live + .pooled and .peak_live >= .live)' "$LOG" >/dev/null || {
		echo "the counters do not balance:"
		log_records final
		return 1
	}
}
