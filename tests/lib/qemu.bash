# SPDX-License-Identifier: MIT
# What the tests of real QEMU programs share: which version it is, images, QMP.
# shellcheck shell=bash

COROUTINES=qemu-coroutine # the pool's name in the log

requires_qemu() { # PROGRAM...
	requires jq "$@"
}

# requires_sized_pool PROGRAM: a QEMU whose own pool stays empty, 5.2 and later.
requires_sized_pool() {
	local version
	version=$("$1" --version | sed -nE '1s/.* version ([0-9]+)\.([0-9]+).*/\1 \2/p')
	[[ $version ]] || lacks "$1 does not say its version"
	read -r major minor <<<"$version"
	((major * 100 + minor >= 502)) ||
		skip "$1 is of version $major.$minor, and keeps coroutines of its own"
}

pool_final() { # COUNTER [PID]: of the coroutines' pool
	log_final "$1" "$COROUTINES" "${2-}"
}

# The creates of the coroutines' pool that came after an uptime, in all samples that are later.
new_after() { # MILLISECONDS [PID]
	jq -n --arg pool "$COROUTINES" --argjson ms "$1" --arg pid "${2-}" '
		[inputs | select(.type == "sample" or .type == "final") | select(.pool == $pool)
			| select($pid == "" or .pid == ($pid | tonumber))]
		| [.[] | select(.uptime_ms >= $ms) | .create_new] as $late
		| if ($late | length) < 3 then error("too few samples") else $late[-1] - $late[0] end' "$LOG"
}

# sample_is PID CONDITION: what a log that is still written says last of the pool, asked with jq.
sample_is() {
	jq -nRe --argjson pid "$1" --arg pool "$COROUTINES" '
		[inputs | fromjson? | select(.pid == $pid and .pool == $pool)] | last
		| . != null and ('"$2"')' "$LOG" >/dev/null
}

# is_pooled_qemu: the log's one process is QEMU with its coroutines in our pool.
is_pooled_qemu() {
	[[ $(log_open host) == qemu && $(log_open mode) == pool && $(log_open way) == ending ]]
}

random_file() { # PATH MEBIBYTES
	head -c "$2M" /dev/urandom >"$1"
}

# ---- QMP ----

# qmp_open SOCKET: opens the one conversation of the test.
qmp_open() {
	wait_until 10 test -S "$1"
	coproc QMP_CLIENT { exec socat - "UNIX-CONNECT:$1,retry=100,interval=0.05" 3>&-; }
	exec {qmp_in}<&"${QMP_CLIENT[0]}" {qmp_out}>&"${QMP_CLIENT[1]}"
	# shellcheck disable=SC2153 # made by coproc
	watch_over "$QMP_CLIENT_PID"
	qmp qmp_capabilities
}

# qmp COMMAND [ARGUMENTS]: sends it with ARGUMENTS (JSON) and waits for its answer; fails when that is an error.
qmp() {
	local answer arguments=${2-'{}'}
	printf '{"execute":"%s","arguments":%s}\n' "$1" "$arguments" >&"$qmp_out"
	while read -rt 120 answer <&"$qmp_in"; do
		case $answer in
		*'"error"'*)
			echo "qmp $1: $answer"
			return 1
			;;
		*'"return"'*) return 0 ;;
		esac
	done
	# It may have gone before it could answer.
	[[ $1 == quit ]]
}

# qmp_event NAME: waits until it has come.
qmp_event() {
	local answer
	while read -rt 120 answer <&"$qmp_in"; do
		[[ $answer != *"\"event\": \"$1\""* ]] || return 0
	done
	echo "qmp: no $1"
	return 1
}

# qmp_answer COMMAND: leaves its answer in $answer.
qmp_answer() {
	printf '{"execute":"%s"}\n' "$1" >&"$qmp_out"
	while read -rt 120 answer <&"$qmp_in"; do
		[[ $answer != *'"return"'* && $answer != *'"error"'* ]] || return 0
	done
	return 1
}

# Ends the conversation, so that another can be opened.
qmp_close() {
	local client=$QMP_CLIENT_PID
	exec {qmp_in}<&- {qmp_out}>&-
	kill "$client" 2>/dev/null || :
	wait "$client" 2>/dev/null || :
}
