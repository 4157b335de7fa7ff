#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Programs that have nothing to pool: nothing happens to them, and hardly anything in them.
# shellcheck disable=SC2034 # FILTER and INPUT are read by same_twin
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2016 # what is in single quotes is for the program to expand

load lib/helper

setup() {
	requires jq
	cd "$BATS_TEST_TMPDIR" || return
	unset LD_PRELOAD
}

# The log's only record says that there was nothing to do.
is_inert() {
	check_log
	[[ $(log_open host) == none && $(log_open mode) == none ]]
	[[ $(wc -l <"$LOG") -eq 1 ]]
}

@test "nothing to pool: true, false and a program that is missing return what they always returned" {
	same_twin /bin/true
	[[ $status -eq 0 ]]
	is_inert
	rm "$LOG"
	same_twin /bin/false
	[[ $status -eq 1 ]]
	is_inert
	same_twin bash -c '/nowhere/to/be/found; echo $?'
	[[ $status -eq 0 && $output == *127 ]]
}

# computes PROGRAM OPTION SCRIPT: an interpreter adds its input up, and leaves with a status of its own.
computes() {
	requires "$1"
	INPUT=$BATS_TEST_TMPDIR/input
	seq 1000 >"$INPUT"
	# What lies in front of it in PATH may be a script.
	same_twin "$(readlink -f "/usr/bin/$1")" "$2" "$3"
	[[ $status -eq 7 && $output == 500500 ]]
	is_inert
}

@test "nothing to pool: bash computes the same, from the same input" {
	computes bash -c 'x=0; while read -r n; do ((x += n)); done; echo "$x"; exit 7'
}

@test "nothing to pool: python3 computes the same, from the same input" {
	computes python3 -c 'import sys; print(sum(map(int, sys.stdin))); sys.exit(7)'
}

@test "nothing to pool: perl without coroutines computes the same, from the same input" {
	computes perl -e 'my $x = 0; $x += $_ while <STDIN>; print "$x\n"; exit 7'
}

@test "nothing to pool: perl without coroutines has one thread" {
	requires perl
	same_twin perl -e 'print scalar(() = glob "/proc/self/task/*"), "\n"'
	[[ $status -eq 0 && $output == 1 ]]
}

@test "nothing to pool: threads and child processes of python3 do what they always did" {
	requires python3
	same_twin /usr/bin/python3 -c '
import os, subprocess, threading
done = []
threads = [threading.Thread(target=lambda: done.append(1)) for i in range(20)]
[t.start() for t in threads]
[t.join() for t in threads]
print(len(done), subprocess.run(["/bin/echo", "child"], capture_output=True).stdout)
child = os.fork()
if child == 0:
    os._exit(9)
print(os.WEXITSTATUS(os.waitpid(child, 0)[1]))'
	[[ $status -eq 0 && $output == *"20 b'child\n'"*9 ]]
	check_log
	[[ $(log_records open '.host' | sort -u) == none && $(log_records - '.type' | sort -u) == open ]]
}

@test "nothing to pool: C++ exceptions are caught, also those that come from afar and from threads" {
	requires_program throws
	same_twin "$PROGRAMS/throws"
	[[ $status -eq 0 && ${lines[-1]} == "1001 caught, 51051 destroyed" ]]
	is_inert
}

@test "nothing to pool: a C++ exception that nobody catches ends the program as always" {
	requires_program throws
	same_twin bash -c 'ulimit -c 0; exec "$0" uncaught' "$PROGRAMS/throws"
	[[ $status -eq 134 && $output == *"the ground"* ]]
}

@test "nothing to pool: from inside a process finds no thread, descriptor, code or signal of ours" {
	requires_program looks_inside
	same_twin "$PROGRAMS/looks_inside"
	[[ $status -eq 0 && $output == "threads 1"* && $output != *code* ]]
	is_inert
	# The same where there is no log.
	stock=$output
	run env LD_PRELOAD="$COPOOL_SO" "$PROGRAMS/looks_inside"
	[[ $output == "$stock" ]]
}

@test "nothing to pool: descriptors that were open stay open, and closed ones closed" {
	requires_program looks_inside
	same_twin bash -c 'exec 5</dev/null 9>/dev/zero <&- 2>&-; exec "$0"' "$PROGRAMS/looks_inside"
	[[ $status -eq 0 && $output == *"descriptor 9 /dev/zero"* && $output != *"descriptor 0"* ]]
}

@test "nothing to pool: no library is loaded that was not there before" {
	libraries() {
		grep -o '/[^ ]*\.so[^ ]*' <<<"$output" | sort -u
	}
	run_stock cat /proc/self/maps
	stock=$(libraries)
	run_pooled cat /proc/self/maps
	[[ $(comm -13 <(echo "$stock") <(libraries)) == "$(realpath "$COPOOL_SO")" ]]
}

@test "nothing to pool: the shim needs libc and nothing else" {
	requires readelf
	run readelf --dynamic --wide "$COPOOL_SO"
	[[ $(grep -c NEEDED <<<"$output") -eq 1 && $output == *"[libc.so.6]"* ]]
	[[ $output != *TEXTREL* && $output != *RPATH* && $output != *RUNPATH* ]]
	run readelf --segments --wide "$COPOOL_SO"
	[[ $output != *RWE* ]]
}

@test "nothing to pool: a chain of execs runs through, with a line in the log for each" {
	same_twin bash -c 'exec env sh -c "exec stdbuf -i0 /bin/echo the end"'
	[[ $status -eq 0 && $output == "the end" ]]
	check_log
	[[ $(log_records open '.program' | tr '\n' ' ') == "bash env sh stdbuf echo " ]]
	[[ $(log_records open '.host' | sort -u) == none && $(log_records open '.pid' | sort -u | wc -l) -eq 1 ]]
}

@test "nothing to pool: children inherit the preload as it was written" {
	run_pooled bash -c 'env | grep ^LD_PRELOAD='
	[[ $output == "LD_PRELOAD=$COPOOL_SO" ]]
	same_twin env -i /bin/echo without
	[[ $status -eq 0 && $output == without ]]
}

@test "nothing to pool: another preload before or behind it still works" {
	requires stdbuf
	buffers=$(stdbuf -oL env | sed -n 's/^LD_PRELOAD=//p')
	for preload in "$COPOOL_SO $buffers" "$buffers $COPOOL_SO" "$COPOOL_SO:$buffers" "$COPOOL_SO $COPOOL_SO"; do
		rm -f "$LOG"
		run_pooled LD_PRELOAD="$preload" _STDBUF_O=L cat /proc/self/maps
		[[ $status -eq 0 && $output == *libcopool* && $output != *ERROR* ]]
		is_inert
	done
}

@test "nothing to pool: switched off, even a program with coroutines is left alone" {
	requires_program qemu_like
	same_twin COPOOL_HOST=off "$PROGRAMS/qemu_like" churn
	[[ $status -eq 0 ]]
	is_inert
	[[ $(log_open detail) == *COPOOL_HOST=off* ]]
}

@test "nothing to pool: bad settings cost a warning in the log, and nothing else" {
	same_twin COPOOL_INTERVAL_MS=soon COPOOL_MAX_BATCHES=-1 COPOOL_HOST=nobody COPOOL_NONSENSE=1 /bin/echo fine
	[[ $status -eq 0 && $output == fine ]]
	check_log
	for setting in COPOOL_INTERVAL_MS=soon COPOOL_MAX_BATCHES=-1 COPOOL_HOST=nobody COPOOL_NONSENSE; do
		[[ $(log_records warning .text) == *"$setting"* ]]
	done
}

@test "nothing to pool: a log that cannot be written changes nothing" {
	for path in /nowhere/log /dev/full / "$BATS_TEST_TMPDIR" ''; do
		run --separate-stderr env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$path" bash -c 'echo fine; echo me >&2; exit 7'
		[[ $status -eq 7 && $output == fine ]]
		# The user may be told of it.
		# shellcheck disable=SC2154 # run sets it
		[[ $(grep -v "^copool: " <<<"$stderr") == me ]]
	done
}

@test "nothing to pool: a descriptor 2 that was closed at the start gets nothing of ours" {
	for path in /nowhere/log /dev/full stderr; do
		run env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$path" COPOOL_NONSENSE=1 \
			/bin/bash -c 'exec 2>>said; echo mine >&2' 2>&-
		[[ $status -eq 0 && $(<said) == mine ]]
		rm said
	done
}

@test "nothing to pool: a program that runs with another's rights ignores our settings" {
	[[ $(id -u) -eq 0 ]] || lacks "only root can make a set-user-id program"
	requires_program looks_inside
	requires setpriv
	chmod 755 "$BATS_TEST_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_RUN_TMPDIR"
	# Secure mode takes a preload by its name only, from the system's folders, and only a set-user-id one.
	cp "$PROGRAMS/looks_inside" inside
	chmod 4755 inside
	mkdir open
	chmod 777 open
	run_stock setpriv --reuid=65534 --regid=65534 --clear-groups ./inside
	stock=$output
	LOG=$PWD/open/log.jsonl
	run_shown setpriv --reuid=65534 --regid=65534 --clear-groups \
		env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" ./inside
	[[ $status -eq 0 && $(tail -n +2 <<<"$stock") == $(grep -A 100 '^descriptor 0' <<<"$output") ]]
	# Only setpriv's and env's programs before it may have left their line.
	[[ ! -e $LOG ]] || [[ $(log_records open .program) != *inside* ]]
}
