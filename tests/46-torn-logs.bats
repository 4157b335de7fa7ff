#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What reads logs, given logs that are cut, mixed, foreign or huge. tests/fuzz does the same at random.

load lib/helper
load lib/records

setup() {
	log=$BATS_TEST_TMPDIR/log
	whole=$TESTS/fixtures/qemu.jsonl
}

# readers LOG: every verb that reads logs reads this one. Leaves the first status; all are equal.
readers() {
	local each first=
	for each in "show" "show --json" "show --csv" "report -o $BATS_TEST_TMPDIR/page" "plot --script"; do
		# shellcheck disable=SC2086 # several words
		run timeout 300 "$COPOOL" $each "$1"
		[[ $status -eq ${first:=$status} && $status -le 1 ]] || {
			echo "copool $each: $status; the others: $first"
			echo "$output" | head -c 2000
			return 1
		}
	done
}

# in_memory KIB COMMAND...: with so much address space and no more, and silent.
in_memory() {
	local kib=$1
	shift
	(ulimit -v "$kib" && "$@" >"$BATS_TEST_TMPDIR/output" 2>&1) || {
		echo "$* in $kib KiB: $?"
		head -c 2000 "$BATS_TEST_TMPDIR/output"
		return 1
	}
}

@test "readers: a log that ends anywhere is shown up to there" {
	local at bytes ended
	bytes=$(stat -c %s "$whole")
	for ((at = 1200; at <= bytes; at += 331)); do
		head -c "$at" "$whole" >"$log"
		ended=$(wc -l <"$log")
		readers "$log"
		[[ $status -eq 0 ]]
		run "$COPOOL" show --json "$log"
		jq -e --argjson ended "$ended" '.bad_lines == 0 and .cut_off and .processes[0].open.program
			and (.processes[0].pools | length) == ([$ended - 1, 2] | min)' <<<"$output"
	done
}

@test "readers: lines of two processes in turns are told apart" {
	requires jq
	sed 's/"pid":32220/"pid":7/; s/"program":"[^"]*"/"program":"other"/; s/"create_local":/&1/' "$whole" |
		paste -d '\n' "$whole" - >"$log"
	readers "$log"
	run "$COPOOL" show --json "$log"
	jq -e '.bad_lines == 0 and (.processes | map(.pid)) == [32220, 7]' <<<"$output"
	"$COPOOL" show --json "$whole" >"$BATS_TEST_TMPDIR/alone"
	diff <(jq '.processes[0]' <<<"$output") <(jq '.processes[0]' "$BATS_TEST_TMPDIR/alone")
	jq -e '(.processes[0].pools | map("1\(.create_local)" | tonumber)) == (.processes[1].pools | map(.create_local))' <<<"$output"
	"$COPOOL" report "$log" -o - | sed -n 's|.*id="data">\(.*\)</script>.*|\1|p' >"$BATS_TEST_TMPDIR/data"
	jq -e '(.series | length) == 4 and .disorder == 0
		and .series[0].uptime_ms == .series[2].uptime_ms and .series[0].live == .series[2].live' "$BATS_TEST_TMPDIR/data"
}

@test "readers: lines that were torn into each other cost only themselves" {
	{
		head -n 3 "$whole"
		sed -n 4p "$whole" | head -c 200
		sed -n 5p "$whole"
		sed -n 4p "$whole" | tail -c +201
		tail -n 2 "$whole"
	} >"$log"
	readers "$log"
	run "$COPOOL" show "$log"
	[[ $status -eq 0 && $(grep -c '^bad line: ' <<<"$output") -eq 2 ]]
	grep -q '^bad line: .*log line 4: ' <<<"$output"
	grep -q '^bad line: .*log line 5: ' <<<"$output"
	grep -qE '^  qemu-coroutine +795386 ' <<<"$output"
}

@test "readers: a counter below 0 makes a bad line, and no figure" {
	requires jq
	{
		cat "$whole"
		tail -n 1 "$whole" | sed -E 's/"(create_local|uptime_ms)":[0-9]+/"\1":-9223372036854775808/g'
	} >"$log"
	readers "$log"
	[[ $status -eq 0 && $("$COPOOL" show "$log" 2>&1) == *"a counter below 0"* ]]
	run --separate-stderr "$COPOOL" show --json "$log"
	"$COPOOL" show --json "$whole" >"$BATS_TEST_TMPDIR/alone"
	diff <(jq '.processes' <<<"$output") <(jq '.processes' "$BATS_TEST_TMPDIR/alone")
	jq -e '.bad_lines == 1' <<<"$output"
}

@test "readers: a log of a newer format is read as far as it is known" {
	sed 's/"format":1/"format":3,"levels":{"a":[1]}/; s/"live":/"warm":{"x":1},"live":/' "$whole" >"$log"
	echo '{"type":"weather","time":1,"pid":32220,"wind":[1,2]}' >>"$log"
	readers "$log"
	[[ $status -eq 0 ]]
	run "$COPOOL" show "$log"
	[[ $output == *"newer copool (format 3)"* && $output == *"1 records of unknown types"* && $output != *"bad line"* ]]
	grep -qE '^  qemu-coroutine +795386 ' <<<"$output"
}

@test "readers: of an empty log, a folder, a device and noise they say what is wrong" {
	: >"$log"
	readers "$log"
	[[ $status -eq 1 ]]
	readers "$BATS_TEST_TMPDIR"
	[[ $status -eq 1 && $output == *"directory"* ]]
	readers /dev/null
	[[ $status -eq 1 && $output == *"no records"* ]]
	head -c 300000 /dev/urandom >"$log"
	readers "$log"
	[[ $status -eq 1 && $output == *"bad line"* ]]
	printf '\xef\xbb\xbf{}\r\n\0\0\0' >"$log"
	readers "$log"
	[[ $status -eq 1 ]]
}

@test "readers: two GiB of nothing take no memory" {
	truncate -s 2G "$log"
	cat "$whole" >>"$log"
	in_memory 30000 "$COPOOL" show "$log"
	grep -q 'line 1: too long' "$BATS_TEST_TMPDIR/output"
	grep -qE '^  qemu-coroutine +795386 ' "$BATS_TEST_TMPDIR/output"
}

@test "readers: a long log takes no more memory than a short one" {
	local samples=60000
	[[ ${COPOOL_TEST_FULL-} != 1 ]] || samples=3000000 # more than 1 GB
	many_samples "$samples" >"$log"
	in_memory 30000 "$COPOOL" show --json "$log"
	in_memory 30000 "$COPOOL" plot --script "$log"
	[[ $(wc -l <"$BATS_TEST_TMPDIR/output") -lt 1100 ]]
	in_memory 30000 "$COPOOL" report "$log" -o "$BATS_TEST_TMPDIR/page"
	[[ $(stat -c %s "$BATS_TEST_TMPDIR/page") -lt 400000 ]]
}

@test "readers: many processes with many pools take bounded memory, and what found no room is counted" {
	requires jq
	awk 'BEGIN {
		for (round = 1; round <= 3; round++)
			for (pid = 1; pid <= 4000; pid++)
				for (pool = 0; pool < 12; pool++)
					printf "{\"type\":\"sample\",\"time\":%d,\"pid\":%d,\"uptime_ms\":%d,\"pool\":\"pool %d\"," \
						"\"create_local\":%d,\"create_depot\":1,\"create_new\":1,\"destroy_local\":1," \
						"\"destroy_depot\":2,\"destroy_delete\":3,\"live\":5,\"pooled\":42,\"peak_live\":990," \
						"\"peak_objects\":999}\n", round, pid, round * 1000, pool, round
	}' >"$log"
	in_memory 200000 "$COPOOL" show --json "$log"
	jq -e '.left_out > 0 and (.processes | length) > 1000' "$BATS_TEST_TMPDIR/output"
	in_memory 300000 "$COPOOL" report "$log" -o "$BATS_TEST_TMPDIR/page"
	grep -q 'records left out' "$BATS_TEST_TMPDIR/output"
}
