#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# How deep stacks were used: to the page, by programs whose depth is known, and by real ones.

# shellcheck disable=SC2030,SC2031,SC2154 # bats runs each test in a shell of its own; helper.bash sets pid
load lib/helper
load lib/records

setup() {
	requires jq
	cd "$BATS_TEST_TMPDIR" || return
	php=(php -n -d memory_limit=-1)
}

# deep [VARIABLE=VALUE...] ARGUMENT...: the program of that name, its stacks pooled.
deep() {
	local settings=(COPOOL_HOST=stacks)
	requires_program deep
	while [[ $1 == *=* ]]; do
		settings+=("$1")
		shift
	done
	run_pooled "${settings[@]}" "$PROGRAMS/deep" "$@" </dev/null
	[[ $status -eq 0 && $output == 'done' ]]
}

# depth KEY: of the last such record.
depth() {
	log_records depth ".$1" | tail -n 1
}

@test "depth: stacks that were used so deep are seen so deep, to the page" {
	local pages
	for pages in 1 2 7 200; do
		rm -f "$LOG"
		deep 150 "$pages"
		[[ $(depth stacks) -eq 150 && $(depth stack_bytes) -eq 1048576 && $(depth live) -eq 0 ]]
		[[ $(depth p50) -eq $((pages * 4096)) && $(depth deepest) -eq $((pages * 4096)) ]]
		[[ $(depth mean) -eq $((pages * 4096)) ]]
	done
	check_log
}

@test "depth: a stack used to its end is as deep as it is, and its guard is no part of it" {
	local means
	for means in auto poison mprotect; do
		rm -f "$LOG"
		deep COPOOL_GUARD=$means 120 256
		[[ $(depth deepest) -eq 1048576 && $(depth stack_bytes) -eq 1048576 ]]
	done
}

@test "depth: a recycled stack has the depth of its deepest life" {
	deep 130 3 60 5
	[[ $(log_final create_new) -eq 130 && $(depth stacks) -eq 130 ]]
	[[ $(depth p50) -eq $((60 * 4096)) && $(depth deepest) -eq $((60 * 4096)) ]]
}

@test "depth: stacks that are still in use are seen, and said to be" {
	deep 140 keep 9
	[[ $(depth stacks) -eq 140 && $(depth live) -eq 140 && $(depth deepest) -eq $((9 * 4096)) ]]
}

@test "depth: every stack is in one class of the histogram" {
	deep 1000 1
	[[ $(depth to_4096) -eq 1000 ]]
	rm "$LOG"
	deep 1000 9
	[[ $(depth to_65536) -eq 1000 && $(depth to_4096) == null ]]
	log_records depth '([to_entries[] | select(.key | test("^(to_|beyond)")) | .value] | add) == .stacks' >sums
	run ! grep -vx true sums
}

@test "depth: the manual names every key" {
	local word
	deep 10 1
	for word in $(log_records depth 'keys[]' | sort -u); do
		grep -qE "^\.It Li $word( |\$)" "$TESTS/../tools/man/copool-log.5" || {
			echo "$word is not in the manual"
			return 1
		}
	done
	[[ $word == uptime_ms ]]
}

is_trimmed() { # STACKS
	[[ $(log_records sample .trimmed | tail -n 1) -ge $1 ]]
}

@test "depth: what trimming gives back was looked at before" {
	requires_program deep
	mkfifo way
	start_pooled COPOOL_HOST=stacks COPOOL_DECAY_MS=200 COPOOL_INTERVAL_MS=50 "$PROGRAMS/deep" 3000 11 '<way' 2
	exec 4>way
	wait_until 20 is_trimmed 2900
	exec 4>&-
	ended "$pid"
	[[ $status -eq 0 ]]
	# All of the burst, those that were given back while nobody sampled included.
	(($(depth stacks) >= 2900))
	[[ $(depth p50) -eq $((11 * 4096)) && $(depth deepest) -eq $((11 * 4096)) ]]
}

@test "depth: a program that is killed has left a record" {
	requires_program deep
	mkfifo way
	start_pooled COPOOL_HOST=stacks COPOOL_INTERVAL_MS=50 "$PROGRAMS/deep" 100 5 '<way'
	exec 4>way
	wait_until 10 grep -q '"type":"depth"' "$LOG"
	stop "$pid" KILL
	exec 4>&-
	(($(depth stacks) > 0))
	[[ $(depth deepest) -eq $((5 * 4096)) ]]
}

@test "depth: no thread of the program's looks, and without a log nobody does" {
	requires strace
	requires_program deep
	run_pooled COPOOL_HOST=stacks COPOOL_DECAY_MS=0 COPOOL_MAX_BATCHES=4 \
		strace -f -e trace=mincore,pread64,open,openat -o trace "$PROGRAMS/deep" 300 2 2
	[[ $status -eq 0 ]]
	grep -q '/proc/self/pagemap' trace
	local program
	program=$(sed -n '1s/ .*//p' trace)
	(($(grep -c 'pread64(.*, 2048, ' trace) >= 90)) # an entry of 8 bytes for each page
	run ! grep "^$program .*\(mincore\|pread64(.*, 2048, \|pagemap\)" trace
	run_stock LD_PRELOAD="$COPOOL_SO" COPOOL_HOST=stacks \
		strace -f -e trace=mincore,open,openat -o silent "$PROGRAMS/deep" 300 2
	run ! grep 'pagemap\|mincore' silent
}

@test "depth: a recursion of PHP's engine moves the mark by what it takes" {
	requires php
	cat >down.php <<-'END'
		<?php
		function down(int $n) { return $n == 0 ? 0 : array_map('down', [$n - 1])[0] + 1; }
		for ($i = 0; $i < 3; $i++) { $f = new Fiber(fn() => down((int)$argv[1])); $f->start(); echo $f->getReturn(), "\n"; }
	END
	local levels deepest=()
	for levels in 100 300 500; do
		rm -f "$LOG"
		run_pooled "${php[@]}" down.php $levels
		[[ $status -eq 0 && $output == *$levels* ]]
		deepest+=("$(depth deepest)")
	done
	echo "${deepest[*]}"
	local first=$((deepest[1] - deepest[0])) second=$((deepest[2] - deepest[1]))
	# The same number of levels takes the same room, to the page; and not less than a frame is.
	((first >= 200 * 128 && first - second <= 4096 && second - first <= 4096))
}

burst_php() {
	cat >burst.php <<-'END'
		<?php
		$alive = [];
		for ($i = 0; $i < (int)$argv[1]; $i++) {
			$f = new Fiber(function () { usort($GLOBALS['list'], fn($a, $b) => $a <=> $b); Fiber::suspend(); });
			$list = [3, 1, 2]; $f->start(); $alive[] = $f;
		}
		foreach ($alive as $f) $f->resume();
		echo ini_get('fiber.stack_size'), " done\n";
	END
}

@test "depth: copool show recommends a size, and PHP does with it" {
	requires php
	burst_php
	run_pooled "${php[@]}" burst.php 500
	[[ $status -eq 0 ]]
	run "$COPOOL" show "$LOG"
	echo "$output"
	local size
	size=$(sed -n 's/.*500 stacks seen: .* of 2 MiB; fiber.stack_size=\([0-9]*K\) is enough$/\1/p' <<<"$output")
	[[ $size =~ ^[0-9]+K$ ]]
	"$COPOOL" show --json "$LOG" >json
	jq -e --argjson kib "${size%K}" '.processes[0].depths | length == 1
		and .[0].recommended_bytes == $kib * 1024 and .[0].recommended_bytes >= 2 * .[0].deepest' json
	run_pooled "${php[@]}" -d fiber.stack_size="$size" burst.php 500
	[[ $status -eq 0 && $output == "$size done" ]]
}

@test "depth: nothing is recommended when few stacks were seen, or none would be safe" {
	deep 99 1
	run "$COPOOL" show "$LOG"
	echo "$output"
	[[ $output == *'99 stacks seen: 99.9 % use 4 KiB, the deepest 4 KiB, of 1 MiB; too few to recommend a size'* ]]
	rm "$LOG"
	deep 100 1
	run "$COPOOL" show "$LOG"
	[[ $output == *'100 stacks seen: '*'; stacks of 64 KiB are enough'* ]]
	rm "$LOG"
	deep 100 65
	run "$COPOOL" show "$LOG"
	echo "$output"
	[[ $output == *'the deepest 260 KiB, of 1 MiB; no smaller size would be safe'* ]]
}

@test "depth: QEMU's stacks are seen while its coroutines are pooled" {
	requires qemu-img
	run_pooled qemu-img bench -c 20000 -d 200 -w --flush-interval=200 --image-opts driver=null-aio,size=1G
	[[ $status -eq 0 ]]
	[[ $(log_records depth .pool) == 'stack 1052672 qemu' ]]
	(($(depth stacks) >= 200 && $(depth deepest) >= 4096 && $(depth deepest) <= 65536))
	run "$COPOOL" show "$LOG"
	echo "$output"
	[[ $output == *'of 1 MiB; QEMU has no setting for it'* ]]
}

@test "depth: show passes over records that make no sense" {
	{
		open_record 10 odd
		counters final 10 small 1 1 1
		echo '{"type":"depth","time":1,"pid":10,"pool":"small","stacks":-5,"p999":"x","deepest":1e300,"stack_bytes":null}'
		echo '{"type":"depth","time":1,"pid":10,"pool":"other","stacks":5}'
		echo '{"type":"depth","time":1,"pid":11,"pool":"small","stacks":5}'
		echo '{"type":"depth","time":1,"pid":10,"stacks":5}'
	} >odd.jsonl
	run "$COPOOL" show odd.jsonl
	echo "$output"
	[[ $status -eq 0 && $output == *'small: 0 stacks seen: '* && $output == *'bad line:'* ]]
	[[ $output == *'2 records left out'* ]]
}
