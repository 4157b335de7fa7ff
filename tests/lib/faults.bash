# SPDX-License-Identifier: MIT
# Calls of libcopool.so that fail, one at a time: tests/programs/faults.c lets them. What is required each time is the
# program's own output and status, counters that balance, and a word in the log of what was lost.
# shellcheck shell=bash

# What a call says when it fails; 0: it does less than it was asked to.
declare -gA FAULT_ERRORS=(
	[close]=5 [close_range]=38 [fcntl]=24 [fstat]=13 [futex]='4 38' [getcwd]=2 [ioctl]=22 [madvise]=22 [open]=24 [poll]=12
	[pread]=5 [read]=5 [rename]=13 [sigtimedwait]=4 [stat]=13 [unlink]=13 [unshare]=1
	[userfaultfd]=1 [write]='28 0'
)
[[ ! ${COPOOL_TEST_FULL-} ]] || FAULT_ERRORS+=(["pread"]='5 0' ["read"]='5 0' ["write"]='28 0 4 11')

# Those that have nobody to tell of it, and those whose failure is none of libcopool.so's business.
# fstat: whether the standard error is still what it was cannot be known. _dl_find_object: fails for what is not loaded.
FAULT_SILENT=' fstat _dl_find_object '

fault_names() { # those that can be made to fail
	local wrappers=$TESTS/programs/faults.c
	sed -nE 's/^\tCALL\((\w+),.*/\1/p' "$wrappers"
	printf '%s\n' futex ioctl userfaultfd malloc
}

# requires_faults: this machine can have it.
requires_faults() {
	requires_program faults
	requires jq
	! nm -D "$COPOOL_SO" | grep -qE ' U __(asan|tsan)_' || skip "the sanitizers are in front of everything"
}

# Which call fails next: all of the first 40 in `make check-full`, then ever fewer.
next_fault() { # NUMBER
	if [[ ! ${COPOOL_TEST_FULL-} ]]; then
		echo $(($1 * 2))
	else
		echo $(($1 + ($1 < 40 ? 1 : $1 / 4)))
	fi
}

# faulty NAME ERROR NUMBER COMMAND...: runs it so; leaves what it said in `out` and `err`, its status in $status, and
# in $reached how many of these calls there were.
faulty() {
	local log=logs/$1.$2.$3.jsonl
	rm -f count faulty.prom "$log"
	truncate -s 8 count
	status=0
	timeout -s KILL 60 env LD_PRELOAD="$PROGRAMS/faults $COPOOL_SO" FAULT_CALL="$1" FAULT_ERRNO="$2" FAULT_AT="$3" \
		FAULT_COUNT="$PWD/count" COPOOL_LOG="$PWD/$log" COPOOL_TELL=1 COPOOL_PROMETHEUS="$PWD/faulty.prom" COPOOL_INTERVAL_MS=10 \
		COPOOL_DECAY_MS=100 "${@:4}" </dev/null >out 2>err || status=$?
	reached=$(od -An -tu8 count)
}

# The program's own, without what differs from run to run and what libcopool.so has to say.
own() { # FILE
	grep -v '^copool: ' "$1" | sed -E "${FILTER-}" || :
}

is_as_stock() {
	[[ $status -eq $(<stock.status) ]] && cmp -s <(own stock.out) <(own out) && cmp -s <(own stock.err) <(own err)
}

# each_fault "NAME..." COMMAND...: each of these calls fails, at each place where the command makes it.
each_fault() {
	local names=$1 name error number
	shift
	mkdir -p logs
	rm -f logs/*
	timeout -s KILL 60 env -u LD_PRELOAD "$@" </dev/null >stock.out 2>stock.err
	echo $? >stock.status
	faulty open 24 999999999 "$@"
	is_as_stock || fault_failed "without a fault" "$@" || return
	mv logs/open.24.999999999.jsonl base.jsonl
	for name in $names; do
		for error in ${FAULT_ERRORS[$name]-12}; do
			number=1
			while faulty "$name" "$error" "$number" "$@" && ((number <= reached)); do
				echo "$name" >>"$BATS_FILE_TMPDIR/reached"
				is_as_stock || fault_failed "$name, number $number of $reached, with error $error" "$@" || return
				! grep -q '^copool: ' err || touch "$(fault_log).said"
				is_silent "$name" || [[ -e $(fault_log) || -e $(fault_log).said ]] ||
					fault_failed "$name, number $number: no log, and no word" "$@" || return
				number=$(next_fault "$number")
			done
			rm -f "$(fault_log)"
		done
	done
}

fault_log() { # of what each_fault is at
	echo "logs/$name.$error.$number.jsonl"
}

is_silent() { # NAME
	[[ $FAULT_SILENT == *" $1 "* ]]
}

fault_failed() { # WHAT COMMAND...
	echo "$1: status $status instead of $(<stock.status) of ${*:2}"
	diff stock.out out | head -20
	diff stock.err err | head -20
	return 1
}

# The logs of each_fault: every line is whole, and the counters balance.
check_fault_logs() {
	local wrong
	wrong=$(jq -Rnr '[inputs | {file: input_filename, record: (fromjson? // {type: "torn"})}] | group_by(.file)[]
		| select(any(.[].record; .type == "torn"
			or (.type == "final" and .inherited + .create_local + .create_depot + .create_new
				- .destroy_local - .destroy_depot - .destroy_delete != .live)))
		| .[0].file' logs/*.jsonl)
	[[ ! $wrong ]] || {
		echo "torn, or out of balance: $wrong"
		return 1
	}
}

# check_faults_told: where a log says less than the one without a fault, it or the standard error says why.
check_faults_told() {
	local file name wrong=
	while read -r file; do
		name=${file#logs/}
		[[ -e $file.said ]] || is_silent "${name%%.*}" || wrong+="$file "
	done < <(
		jq -Rnr --slurpfile base base.jsonl 'def sum: {
				opens: [.[] | select(.type == "open")] | length,
				pools: [.[] | select(.type == "final")] | group_by([.pid, .pool])
					| map(last | {pool, creates: (.create_local + .create_depot + .create_new)}
						# how many stacks a coroutine needs depends on when it was trimmed
						| if .pool | endswith(" qemu") then {pool} else . end) | sort};
			[inputs | {file: input_filename, record: fromjson}] | group_by(.file)[]
			| {file: .[0].file, records: map(.record)}
			| select((.records | sum) != ($base | sum)
				# what QEMU is not helped in, its open record says
				and all(.records[]; .type != "warning" and .mode != "none"
					and (.type != "open" or (.detail | contains("left to its own pool: ") | not)))) | .file' logs/*.jsonl
	)
	[[ ! $wrong ]] || {
		echo "nothing is said of what was lost in $wrong"
		return 1
	}
}
