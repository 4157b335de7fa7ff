# SPDX-License-Identifier: MIT
# The report's page: made, and opened in a browser as a reader would.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # page is the tests'; bats sets stderr and status

report() {
	run --separate-stderr "$COPOOL" report "$@"
	echo "copool report $*: $status"
	echo "$stderr"
}

# browse [WIDTH [light|dark [SCRIPT]]]: opens the page; what is seen there goes to $seen. Nothing may complain.
browse() {
	requires chromium python3 jq
	python3 "$TESTS/lib/browser.py" "$page" "${3-$TESTS/lib/page.js}" "$BATS_TEST_TMPDIR/page.png" \
		"${1-1280}" "${2-light}" >"$BATS_TEST_TMPDIR/seen"
	jq . "$BATS_TEST_TMPDIR/seen"
	[[ $(jq -c .complaints "$BATS_TEST_TMPDIR/seen") == '[]' ]]
	seen=$(jq -c .value "$BATS_TEST_TMPDIR/seen")
}

# browse_after STATEMENTS [WIDTH]: the same when these have been run in the page.
browse_after() {
	{
		echo "$1"
		cat "$TESTS/lib/page.js"
	} >"$BATS_TEST_TMPDIR/script.js"
	browse "${2-1280}" light "$BATS_TEST_TMPDIR/script.js"
}

sees() { # FILTER: of jq, true
	jq -e "$1" <<<"$seen" >/dev/null || {
		echo "not so: $1"
		return 1
	}
}

# is_readable [CHARTS]: the page is as it should be, whatever it tells.
is_readable() {
	sees ".canvases == ${1-4} and .blank == 0 and .labelled == ${1-4} and (.charts | length) == ${1-4}"
	sees ".cursors == ${1-4}"
	sees '.narrow and .fits and .spilt == []'
	sees '.contrast >= 4.5 and (.flame | all(.contrast >= 4.5))'
}
