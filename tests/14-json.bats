#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# --json: every verb that prints figures writes them as JSON, which a strict reader takes, whatever names programs have.
# shellcheck disable=SC2154 # start sets pid
# shellcheck disable=SC2016 # what is in single quotes is for eval

load lib/helper

setup() {
	requires jq python3
	requires_program steps
	cd "$BATS_TEST_TMPDIR" || return
	export COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop
	# A name with a quote, a backslash, an escape sequence, what turns the direction of text, and a byte that is no UTF-8.
	hostile=$'a"b\\c\e]0;title\a\u202e\xff'
	ln -s "$PROGRAMS/steps" "$hostile"
	cat >strict.py <<-'END'
		# Standard input is one JSON value (or, with "lines", one a line), in printable ASCII.
		import json, sys
		text = sys.stdin.buffer.read()
		assert text and all(byte == 10 or 32 <= byte < 127 for byte in text), text
		def once(pairs):
		    assert len(dict(pairs)) == len(pairs), pairs
		    return dict(pairs)
		def refuse(word):
		    raise ValueError(word)
		parts = text.splitlines() if sys.argv[1:] == ["lines"] else [text]
		for part in parts:
		    assert isinstance(json.loads(part, object_pairs_hook=once, parse_constant=refuse), dict)
	END
}

# A process of that name that has made boxes; known by $pid.
start_hostile() {
	rm -f used
	start env -u COPOOL_LOG LD_PRELOAD="$COPOOL_SO" COPOOL_LABEL="$hostile" "./$hostile" use 1000 touch used wait go
	wait_until 10 test -e used
}

# speaks_json [lines] VERB ARGUMENT...: what it writes with --json is right, and it ends as without. The object is in `out`.
speaks_json() {
	local form=() without
	if [[ $1 == lines ]]; then
		form=(lines)
		shift
	fi
	without=0
	"$COPOOL" "$@" >plain 2>&1 || without=$?
	status=0
	"$COPOOL" "$1" --json "${@:2}" >out 2>errors || status=$?
	echo "copool $* --json: $status, without $without"
	cat out errors
	[[ $status -eq $without ]]
	python3 strict.py "${form[@]}" <out
}

# refuses_alike VERB ARGUMENT...: its status and what it says of why are as without --json.
refuses_alike() {
	local without said
	run --separate-stderr "$COPOOL" "$@"
	without=$status said=$stderr
	run --separate-stderr "$COPOOL" "$1" --json "${@:2}"
	echo "copool $*: $status, without $without: $output $stderr"
	[[ $status -eq $without && $status -ne 0 && $stderr == "$said" ]]
}

@test "json: of running processes, and of what is changed in them" {
	start_hostile
	speaks_json show "$pid"
	speaks_json doctor "$pid"
	speaks_json ps
	speaks_json ps --sums --all
	speaks_json lines top -n 2 -d 0.1
	jq -es '.[0].programs != null' out
	speaks_json lines top -n 2 -d 0.1 "$pid"
	jq -es 'length == 2 and (.[0].pools[0] | .live == 0 and .pooled == 1000 and .ended == false)' out
	speaks_json set "$pid"
	jq -e --argjson pid "$pid" '(.max_batches | type == "number") and del(.max_batches) == {pid: $pid, decay_ms: 10000, off: false}' out
	speaks_json set "$pid" max_batches=5000
	jq -e '.max_batches == 5000 and .done and .why_not == null' out
	speaks_json trim "$pid"
	jq -e '.done and .given_back == 0 and .idle <= 32 and .threads == 1' out
	speaks_json off "$pid"
	jq -e '.off and .done' out
	speaks_json on "$pid"
	jq -e '(.off | not) and .done' out
}

@test "json: what is asked for and not done yet says why, with the status 3" {
	start_hostile
	kill -STOP "$pid"
	wait_until 10 eval '[[ $(sed "s/.*) //" "/proc/$pid/stat") == T* ]]'
	speaks_json trim "$pid"
	[[ $status -eq 3 ]]
	jq -e '(.done | not) and (.why_not | startswith("the process is stopped"))' out
	kill -CONT "$pid"
}

@test "json: of logs, with names that could steer a terminal" {
	LD_PRELOAD=$COPOOL_SO COPOOL_LOG=$PWD/log COPOOL_LABEL=$hostile COPOOL_INTERVAL_MS=10 COPOOL_ORIGINS=1 \
		"./$hostile" use 1000 use 1000
	speaks_json show log
	jq -e '.processes[0].open.program | startswith("a\"b\\c")' out
	speaks_json origins log
	speaks_json advise log
	speaks_json lines top -n 1 log
	echo nothing >empty
	for verb in show origins advise "top -n1"; do
		# shellcheck disable=SC2086 # two words
		refuses_alike $verb empty
	done
}

@test "json: of what was recorded, pruned and compared" {
	start_hostile
	speaks_json record --append --for 0.3 --interval 100 -o recorded "$pid"
	jq -e '.samples >= 2 and .ended == false and .log == "recorded"' out
	run -2 "$COPOOL" record --json -o - "$pid"
	mkdir "$hostile.d"
	printf 'copool_interval_seconds{program="x",pid="4194304"} 1\n' >"$hostile.d/x.prom"
	touch -d '1 hour ago' "$hostile.d/x.prom"
	speaks_json prune --dry-run "$hostile.d"
	jq -e '.dry_run and (.files | length == 1)' out
	speaks_json settings --label="$hostile" "$hostile"
	jq -e '.program | startswith("a\"b\\c")' out
	speaks_json compare -n 1 -- "./$hostile" use 1000
	speaks_json doctor "./$hostile"
}

@test "json: a failure says why, and has the status that it has without" {
	local verb
	for verb in show top "record -o $PWD/never" set trim off on observe; do
		# shellcheck disable=SC2086 # words
		refuses_alike $verb 4194305
	done
}
