#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What a release says of itself, and that the tool and the library of one understand those of the one before. The
# fixtures are 0.1.0's: logs of qemu-img and PHP, and what its tool read of a process (tests/programs/relic.c).
# shellcheck disable=SC2016 # what is in single quotes is for PHP
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2154 # run sets status and output, start sets pid

load lib/helper
load lib/packages

setup() {
	requires jq
	cd "$BATS_TEST_TMPDIR" || return
	root=$(dirname "$TESTS")
	old=$TESTS/fixtures/0.1.0
}

copool() {
	run_shown "$COPOOL" "$@"
	[[ $status -eq 0 ]]
}

# ---- which release, which commit ----

@test "release: the tool, the library's file and the log's first record name version and commit" {
	requires_program steps
	copool --version
	[[ $output =~ ^copool\ ([0-9.]+)(\ \(([^\)]+)\))?$ ]]
	local version=${BASH_REMATCH[1]} commit=${BASH_REMATCH[3]}
	[[ $(grep -aoE "libcopool $version \([^)]*\)" "$COPOOL_SO") == "libcopool $version ($commit)" ]]
	start_pooled COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop "$PROGRAMS/steps" use 100 touch used wait go
	wait_until 10 test -e used
	"$COPOOL" show --json "$pid" >seen
	touch go
	ended "$pid"
	[[ $(log_open version) == "$version" && $(log_records open '.commit // ""') == "$commit" ]]
	# What is read out of the process says the same.
	[[ $(jq -r '.processes[0].open | "\(.version) \(.commit // "")"' seen) == "$version $commit" ]]
	[[ $(sed -nE 's/^## \[([0-9.]+)\].*/\1/p' "$root/.github/CHANGELOG.md" | head -n 1) == "$version" ]]
}

# commit_of FOLDER [VARIABLE=VALUE...]: what a build there would say.
commit_of() {
	rm -rf said
	env -u MAKEFLAGS -u COPOOL_COMMIT make --no-print-directory -s -C "$1" BUILD="$PWD/said" "${@:2}" "$PWD/said/commit" >&2
	cat said/commit
}

@test "release: the commit is git's, the tarball's, or COPOOL_COMMIT's; where there is none it is left out" {
	requires git
	mkdir empty clone
	cp "$root/Makefile" empty
	[[ -z $(commit_of empty) ]]
	[[ $(commit_of empty COPOOL_COMMIT=abc-1) == abc-1 ]]
	cp "$root/Makefile" "$root/.gitattributes" clone
	echo '$Format:%H$' >clone/.commit # as it is in a clone
	[[ -z $(commit_of clone) ]]
	git -C clone init -q
	git -C clone add .
	git -C clone -c user.name=test -c user.email=test commit -q -m one
	head=$(git -C clone rev-parse HEAD)
	[[ $(commit_of clone) == "${head:0:12}" ]]
	echo >>clone/Makefile
	[[ $(commit_of clone) == "${head:0:12}-dirty" ]]
	git -C clone tag v1 # is no part of it: the version says that
	[[ $(commit_of clone) == "${head:0:12}-dirty" ]]
	mkdir tarball
	git -C clone archive HEAD | tar x -C tarball
	[[ $(commit_of tarball) == "${head:0:12}" ]]
	echo "${head:0:12}-dirty" >tarball/.commit # as make dist writes it
	[[ $(commit_of tarball) == "${head:0:12}-dirty" ]]
	# Within another repository it is not that one's.
	mkdir clone/inside
	cp "$root/Makefile" clone/inside
	[[ -z $(commit_of clone/inside) ]]
}

# ---- the new tool reads the old release ----

@test "release: 0.1.0's logs are shown, judged, drawn and replayed" {
	local log
	for log in qemu php; do
		[[ $(jq -r 'select(.type == "open") | .version' "$old/$log.jsonl" | sort -u) == 0.1.0 ]]
		copool show "$old/$log.jsonl"
		[[ $output == *" creates, "*" were served from the pool."* ]]
		copool show --json "$old/$log.jsonl"
		# What the last record of each pool says is what is shown.
		diff <(jq -S '[.processes[].pools[] | {pool, create_local, create_depot, create_new, live, calls_saved}]' <<<"$output") \
			<(jq -sS '[[.[] | select(.type == "final")] | group_by([.pid, .pool])[] | last
				| {pool, create_local, create_depot, create_new, live, calls_saved}]' "$old/$log.jsonl")
		copool report -o page.html "$old/$log.jsonl"
		grep -q '0\.1\.0' page.html
		copool top -n 1 "$old/$log.jsonl"
		[[ $output == *"$(jq -r 'select(.type == "final") | .pool' "$old/$log.jsonl" | head -n 1)"* ]]
		copool top -n 1 --json "$old/$log.jsonl"
		jq -e . >/dev/null <<<"$output"
	done
	# It counted every hit as saved calls, also where QEMU's own pool would have served it.
	copool show "$old/qemu.jsonl"
	[[ $output == *"saved at most "* && $output != *"Without copool"* ]]
	copool advise "$old/php.jsonl" # as 0.1.0 advises
	[[ $output == *"COPOOL_DECAY_MS=500 would save 1,104 misses in 1.68 seconds"* ]]
	copool advise --json "$old/php.jsonl"
	jq -e . >/dev/null <<<"$output"
	copool origins "$old/qemu.jsonl"
	[[ $output == *" misses, from "* ]]
	copool origins --json "$old/qemu.jsonl"
	jq -e . >/dev/null <<<"$output"
}

@test "release: the counters of a process that has 0.1.0's library are read" {
	requires_program relic
	start "$PROGRAMS/relic" be "$old/process"
	wait_until 10 test -s "$BATS_TEST_TMPDIR/output.$pid"
	copool show "$pid"
	[[ $output == *qemu-coroutine* && $output == *"stack 1052672"* && $output == *"saved at most 249810 "* ]]
	copool show --json "$pid"
	diff <(jq -S '[.processes[0].pools[] | {pool, create_local, create_depot, create_new, destroy_local, destroy_depot,
			destroy_delete, live, pooled, threads, calls_saved}]' <<<"$output") "$old/process.json"
	[[ $(jq -r '.processes[0].open.version' <<<"$output") == 0.1.0 ]]
	copool top -n 1 "$pid"
	copool top -n 1 --json "$pid"
	copool ps
	[[ $output == *qemu-img* ]]
	copool ps --json
	jq -e . >/dev/null <<<"$output"
}

@test "release: a setting that is gone is known by its name, and said to do nothing" {
	requires php
	run_pooled COPOOL_CRASH_NOTE=1 php -n -r 'echo "fine\n";'
	[[ $status -eq 0 && $output == fine ]]
	[[ $(log_records warning .text) == "COPOOL_CRASH_NOTE is a setting of copool 0.1.0, and does nothing any more" ]]
	# One that never was is a mistake, as before.
	rm "$LOG"
	run_pooled COPOOL_CRASH_NOTES=1 php -n -r 'echo "fine\n";'
	[[ $(log_records warning .text) == "COPOOL_CRASH_NOTES: there is no such setting; did you mean "* ]]
}

# ---- both releases at work ----

# requires_old: $old_build has 0.1.0's tool and library, built from the history.
requires_old() {
	[[ ${COPOOL_TEST_FULL-} == 1 ]] || skip "0.1.0 is built: only in make check-full"
	requires git make qemu-img php
	old_build=$CACHE/0.1.0/build
	[[ -e $old_build/complete ]] || {
		git -C "$root" archive dfc8ecf >old.tar 2>/dev/null || skip "the history does not reach back to 0.1.0"
		rm -rf "$CACHE/0.1.0"
		mkdir -p "$CACHE/0.1.0"
		tar x -C "$CACHE/0.1.0" -f old.tar
		make -s -C "$CACHE/0.1.0" build/libcopool.so build/copool >/dev/null 2>&1 || lacks "0.1.0 cannot be built here"
		touch "$old_build/complete"
	}
	[[ $("$old_build/copool" --version) == "copool 0.1.0" ]]
}

# pools_of FILE: what the tools of both releases must agree on.
pools_of() {
	jq -S '[.processes[] | .pools[] | {pool, create_new, live, peak_objects, creates: (.create_local + .create_depot + .create_new),
		destroys: (.destroy_local + .destroy_depot + .destroy_delete)}]' "$1"
}

@test "release: 0.1.0's tool reads the logs of the new library" {
	requires_old
	run_pooled COPOOL_INTERVAL_MS=50 COPOOL_ORIGINS=1 qemu-img bench -w -c 100000 -d 1024 --flush-interval=1024 \
		--image-opts driver=null-aio,size=1G
	run_pooled COPOOL_INTERVAL_MS=20 php -n -r 'for ($r = 0; $r < 20; $r++) { $a = []; for ($i = 0; $i < 200; $i++) {
		$f = $a[$i] = new Fiber(fn() => Fiber::suspend()); $f->start(); } foreach ($a as $f) $f->resume(); usleep(30000); }'
	check_balance
	local verb
	for verb in show advise origins; do
		run_shown "$old_build/copool" "$verb" "$LOG"
		[[ $status -eq 0 && $output != *"understand"* && $output != *"bad line"* ]]
	done
	run_shown "$old_build/copool" report -o page.html "$LOG"
	[[ $status -eq 0 && -s page.html ]]
	"$old_build/copool" show --json "$LOG" >by-old
	"$COPOOL" show --json "$LOG" >by-new
	[[ $(jq .bad_lines by-old) -eq 0 ]]
	diff <(pools_of by-old) <(pools_of by-new)
}

@test "release: 0.1.0's tool reads a process that has the new library, and changes its settings" {
	requires_old
	fibers_until_stopped
	start_pooled php -n fibers.php
	local php=$pid
	wait_until 10 has_creates "$old_build/copool" "$php"
	kill -STOP "$php"
	"$old_build/copool" show --json "$php" >by-old
	"$COPOOL" show --json "$php" >by-new
	diff <(pools_of by-old) <(pools_of by-new)
	kill -CONT "$php"
	works_on "$old_build/copool" "$php"
}

@test "release: the new tool reads a process that has 0.1.0's library, and changes its settings" {
	requires_old
	fibers_until_stopped
	COPOOL_SO=$old_build/libcopool.so start env LD_PRELOAD="$old_build/libcopool.so" php -n fibers.php
	local php=$pid
	wait_until 10 has_creates "$COPOOL" "$php"
	kill -STOP "$php"
	"$old_build/copool" show --json "$php" >by-old
	"$COPOOL" show --json "$php" >by-new
	diff <(pools_of by-old) <(pools_of by-new)
	# And so does what is kept of it in a file.
	block_of "$php"
	"$PROGRAMS/relic" dump "$php" "$block" >kept
	kill -CONT "$php"
	works_on "$COPOOL" "$php"
	copool ps
	[[ $output == *php* ]]
	copool record --for=1 --interval=100 -o recorded "$php"
	copool show recorded
	copool report --for=1 -o page.html "$php"
	stop "$php"
	start "$PROGRAMS/relic" be "$PWD/kept"
	wait_until 10 test -s "$BATS_TEST_TMPDIR/output.$pid"
	"$COPOOL" show --json "$pid" >by-relic
	diff <(pools_of by-old) <(pools_of by-relic)
}

has_creates() { # TOOL PID
	"$1" show --json "$2" 2>/dev/null | jq -e '.processes[0].pools[0].create_local > 1000' >/dev/null
}

works_on() { # TOOL PID
	local verb
	for verb in "set $2 decay_ms=500" "trim $2" "off $2" "on $2" "top -n 1 $2"; do
		# shellcheck disable=SC2086 # words
		run_shown "$1" $verb
		[[ $status -eq 0 ]]
	done
	run_shown "$1" show "$2"
	[[ $status -eq 0 && $output == *"stack 2101248 php"* ]]
}

# block_of PID: where the block of 0.1.0's library is in it.
block_of() {
	local base offset
	base=$(awk '/libcopool\.so/ { split($1, part, "-"); print part[1]; exit }' "/proc/$1/maps")
	offset=$(nm "$old_build/libcopool.so" | awk '$3 == "copool_block" { print $1 }')
	block=$(printf '%x' $((0x$base + 0x$offset)))
}
