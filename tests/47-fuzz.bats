#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The fuzzers of tests/fuzz: each is given its corpus and seeds, then so many inputs made of them, the same ones
# at every run. With COPOOL_TEST_FULL=1 two minutes' worth of others instead.
# shellcheck disable=SC2154 # tests/fuzz/limits sets max_len and runs

load lib/helper

# fuzz TARGET: what it found wrong is shown, in base64 too.
fuzz() {
	local program=$COPOOL_BUILD/fuzz/$1_fuzz limit=(-seed=1) empty=$BATS_TEST_TMPDIR/new
	[[ -x $program ]] || lacks "the fuzzers are not built (make fuzz; clang with libFuzzer)"
	# shellcheck disable=SC1091 # it is no script
	. "$TESTS/fuzz/limits"
	if [[ ${COPOOL_TEST_FULL-} == 1 ]]; then
		limit=(-max_total_time=120)
	else
		limit+=(-runs="${runs[$1]}")
	fi
	mkdir "$empty"
	run timeout --kill-after=5 900 "$program" "${limit[@]}" -max_len="${max_len[$1]}" -timeout=120 -verbosity=0 \
		-print_final_stats=1 -artifact_prefix="$BATS_TEST_TMPDIR/" "$empty" "$TESTS/fuzz/corpus/$1" "$TESTS/fuzz/seeds/$1"
	echo "$output" | tail -n 60
	[[ $status -eq 0 ]]
	# Its seeds alone are more than a handful.
	[[ $output =~ number_of_executed_units:\ ([0-9]+) ]]
	((BASH_REMATCH[1] >= 100))
}

@test "fuzz: symbol tables that are cut, overlap, go round in circles or claim to be huge are read or refused" {
	fuzz elf
}

@test "fuzz: the entry of a function is left alone, or does the same where it was moved to" {
	fuzz decode
	[[ $output =~ \ ([0-9]+)\ instructions\ compared ]]
	if [[ $output == *"nobody may be traced"* ]]; then
		skip "nobody may be traced here, so that moved code is not run"
	fi
	((BASH_REMATCH[1] >= 1000))
	# The shapes that are sought are among the seeds.
	[[ $output =~ \ ([0-9]+)\ endings,\ ([0-9]+)\ creates ]]
	((BASH_REMATCH[1] >= 1 && BASH_REMATCH[2] >= 1))
}

@test "fuzz: code for aarch64 is left alone, or means the same where it was moved to" {
	fuzz aarch64
	# The shapes that are sought are among the seeds.
	[[ $output =~ of\ which\ ([0-9]+)\ were\ moved\;\ ([0-9]+)\ endings,\ ([0-9]+)\ creates ]]
	((BASH_REMATCH[1] >= 1000 && BASH_REMATCH[2] >= 2 && BASH_REMATCH[3] >= 2))
}

@test "fuzz: any environment gives settings that are in their ranges, and each mistake is told" {
	fuzz config
}

@test "fuzz: any file of settings gives good values, each from a line of it, and each mistake is told" {
	fuzz settings
}

@test "fuzz: any log is read by every verb, line by line, and the page made of it is whole" {
	fuzz readers
}
