#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# How tests are counted: .ci/run and tests/run, on programs that say what is wanted.
# shellcheck disable=SC2016 # what is in single quotes is for the scripts to expand

load lib/helper

setup() {
	root=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	tree=$BATS_TEST_TMPDIR/tree
	mkdir -p "$tree/tools" "$tree/tests" "$tree/.ci"
}

# script PATH LINES: an executable one.
script() {
	printf '#!/bin/sh\n%s\n' "$2" >"$1"
	chmod +x "$1"
}

# ci LINES STATUS: .ci/run where bootstrap does that.
ci() {
	cp "$root/.ci/run" "$tree/.ci"
	script "$tree/tools/bootstrap" "$1; exit $2"
	run "$tree/.ci/run"
	echo "$output"
}

# counts WANTED SCRIPT...: tests/run's last line on such programs.
counts() {
	local wanted=$1 number=0 programs=()
	shift
	cp "$root/tests/run" "$tree/tests"
	for text; do
		number=$((number + 1))
		script "$tree/tests/program$number" "$text"
		programs+=("tests/program$number")
	done
	run "$tree/tests/run" "${programs[@]}"
	echo "$output"
	[[ ${lines[-1]} == "$wanted" ]]
}

@test "ci: the last line is the tests' own" {
	ci 'echo "3 passed, 0 failed, 2 skipped"' 0
	[[ $status -eq 0 && ${lines[-1]} == "3 passed, 0 failed, 2 skipped" ]]
	ci 'echo "3 passed, 1 failed"; echo "make: *** [check] Error 1"' 2
	[[ $status -eq 1 && ${lines[-1]} == "3 passed, 1 failed" ]]
}

@test "ci: a build that fails is one failed" {
	ci 'echo "make: *** [all] Error 1" >&2' 2
	[[ $status -eq 1 && ${lines[-1]} == "0 passed, 1 failed" ]]
	ci 'echo nothing' 0
	[[ $status -eq 1 && ${lines[-1]} == "0 passed, 1 failed" ]]
}

@test "ci: tests that all passed before make failed are one failed" {
	ci 'echo "3 passed, 0 failed"; false' 2
	[[ $status -eq 1 && ${lines[-1]} == "3 passed, 1 failed" ]]
}

@test "ci: a skip is a failure unless asked otherwise" {
	ci 'echo "strict $COPOOL_TEST_STRICT"; echo "1 passed, 0 failed"' 0
	[[ $output == *"strict 1"* ]]
	export COPOOL_TEST_STRICT=0
	ci 'echo "strict $COPOOL_TEST_STRICT"; echo "1 passed, 0 failed"' 0
	[[ $output == *"strict 0"* ]]
}

@test "tests/run: what TAP says is added up" {
	counts '2 passed, 0 failed' 'echo "ok 1 - a"; echo "ok 2 - b"; echo 1..2'
	[[ $status -eq 0 ]]
	counts '3 passed, 1 failed, 1 skipped' 'echo 1..2; echo "ok 1 a"; echo "ok 2 b"' \
		'echo 1..3; echo "ok 1 a"; echo "not ok 2 b"; echo "ok 3 c # SKIP no d"; exit 1'
	[[ $status -eq 1 && $output == *"not ok 2 b"* ]]
}

@test "tests/run: skips are said with their reasons" {
	counts '1 passed, 0 failed, 1 skipped' 'echo 1..2; echo "ok 1 a"; echo "ok 2 b # skip no qemu"'
	[[ $status -eq 0 && $output == *"no qemu"* ]]
}

@test "tests/run: what the plan promised and nobody said has failed" {
	counts '1 passed, 2 failed' 'echo 1..3; echo "ok 1 a"'
	[[ $status -eq 1 ]]
	counts '1 passed, 1 failed' 'echo "ok 1 a"'
	counts '0 passed, 1 failed' ':'
	counts '2 passed, 1 failed' 'echo 1..1; echo "ok 1 a"; echo "ok 2 b"'
}

@test "tests/run: a program that ends badly has failed, whatever it said before" {
	counts '1 passed, 1 failed' 'echo 1..1; echo "ok 1 a"; exit 3'
	[[ $status -eq 1 ]]
	counts '1 passed, 1 failed' 'echo 1..1; echo "ok 1 a"; kill -SEGV $$'
	run "$tree/tests/run" tests/none
	[[ $status -eq 1 && ${lines[-1]} == "0 passed, 1 failed" ]]
}

@test "tests/run: a program that hangs is stopped" {
	COPOOL_TEST_LIMIT_S=1 counts '1 passed, 1 failed' 'echo 1..2; echo "ok 1 a"; sleep 300'
	[[ $status -eq 1 && $output == *"stopped after 1 s"* ]]
}

@test "tests/run: what has failed once has failed, though it would not a second time" {
	cp "$root/tests/run" "$tree/tests"
	printf '@test "second" {\n[ -e "%s" ] || { touch "%s"; false; }\n}\n' "$tree/tests/tried" "$tree/tests/tried" \
		>"$tree/tests/unsteady.bats"
	COPOOL_TEST_AGAIN=1 run "$tree/tests/run" tests/unsteady.bats
	echo "$output"
	[[ $status -eq 1 && ${lines[-1]} == "0 passed, 1 failed" ]]
	run grep AGAIN "$root/.ci/run"
	[[ $status -ne 0 ]]
}

@test "tests/run: no test at all is no success" {
	cp "$root/tests/run" "$tree/tests"
	run "$tree/tests/run"
	[[ $status -eq 1 ]]
	counts '0 passed, 0 failed, 1 skipped' 'echo "1..0 # SKIP nothing here"'
	[[ $status -eq 1 ]]
}
