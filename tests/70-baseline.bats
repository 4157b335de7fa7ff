#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The pool's work, counted: instructions one step at a time, operations on the depot. No clock, so a busy machine
# changes nothing. Compared with tests/fixtures/baseline.json, which `make baseline` renews.

# shellcheck disable=SC2016 # what is in single quotes is for jq

load lib/helper

TOLERANCE=0.05 # of what the baseline says
SLACK=0.1      # beside it: operations in 1000 pairs, where the baseline says none

setup() {
	requires jq
	pools=$COPOOL_BUILD/bench/pools
	baseline=$TESTS/fixtures/baseline.json
	[[ -x $pools ]] || lacks "the bench is not built (make pools)"
	[[ $(uname -m) == x86_64 ]] || skip "the processor is not x86-64"
}

# Leaves the counts of the build in $now; compared are only those that the baseline's compiler made.
count_now() {
	now=$BATS_TEST_TMPDIR/now.json
	"$pools" baseline >"$now" || lacks "nothing can be counted here"
	local key
	for key in compiler flags; do
		[[ $(jq -r ".$key" "$now") == $(jq -r ".$key" "$baseline") ]] ||
			skip "the baseline is for $(jq -r ".compiler + \" \" + .flags" "$baseline"), this is $(
				jq -r ".compiler + \" \" + .flags" "$now")"
	done
}

# beyond BASELINE NOW FILTER: the counts that differ by more than they may, a line each.
beyond() {
	jq -rn --slurpfile was "$1" --slurpfile is "$2" --argjson part $TOLERANCE --argjson slack $SLACK '
		$was[0].counts as $was | $is[0].counts as $is | ($was + $is | keys[]) as $key
		| select($was[$key] == null or $is[$key] == null
			or ('"$3"' > $part * $was[$key] + (if $was[$key] == 0 then $slack else 0 end)))
		| "\($key): \($was[$key]) -> \($is[$key])"'
}

@test "baseline: nothing that is counted has grown by more than a twentieth" {
	count_now
	run beyond "$baseline" "$now" '$is[$key] - $was[$key]'
	echo "more than the baseline has (if it must be so, make baseline):"
	echo "$output"
	[[ $status -eq 0 && -z $output ]]
}

@test "baseline: it is renewed when a count has fallen, so that the gain is kept" {
	count_now
	run beyond "$baseline" "$now" '$was[$key] - $is[$key]'
	echo "less than the baseline has (make baseline keeps it):"
	echo "$output"
	[[ $status -eq 0 && -z $output ]]
}

@test "baseline: at the edge of a batch the depot is left alone, and no pair enters the kernel" {
	count_now
	jq -e '.counts | to_entries | map(select(.key | test("edge|ping-pong|system calls")))
		| length == 8 and all(.value <= 0.1)' "$now"
}

@test "baseline: an instruction more, an operation more and a count that is gone are all seen" {
	local changed=$BATS_TEST_TMPDIR/changed.json change
	for change in '."instructions, create from the cache" += 1' '."depot operations in 1000 pairs, edge 2" += 0.2' \
		'."system calls, create" += 1' 'del(."instructions, inlined pair")'; do
		jq ".counts |= ($change)" "$baseline" >"$changed"
		run beyond "$baseline" "$changed" '$is[$key] - $was[$key]'
		echo "$change: $output"
		[[ $status -eq 0 && $(wc -l <<<"$output") -eq 1 && -n $output ]]
	done
	run beyond "$baseline" "$baseline" '$is[$key] - $was[$key]'
	[[ $status -eq 0 && -z $output ]]
}
