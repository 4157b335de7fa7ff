#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# copool advise: on logs made up, whose answer is known; and on real ones, held to what really happens.

load lib/helper
load lib/records

setup() {
	requires jq
	log=$BATS_TEST_TMPDIR/log
	cd "$BATS_TEST_TMPDIR" || return
}

advise() {
	run "$COPOOL" advise "$@"
	echo "copool advise $*: $status"
	echo "$output"
}

# bursts DECAY_MS MAX_BATCHES SECONDS GAP CREATES: a log of 1600 objects in use for a moment once in GAP seconds,
# with so many creates a second, of a pool that lost none of them.
bursts() {
	open_record 10 made-up ",\"decay_ms\":$1,\"max_batches\":$2"
	awk -v seconds="$3" -v gap="$4" -v creates="$5" 'BEGIN {
		for (i = 1; i <= seconds; i++) {
			is_burst = i % gap == 1 && i > 1
			bursts += is_burst
			printf "{\"type\":\"%s\",\"time\":%d.5,\"pid\":10,\"uptime_ms\":%d,\"pool\":\"small\"," \
				"\"create_local\":%d,\"create_depot\":%d,\"create_new\":1632,\"destroy_local\":1," \
				"\"destroy_depot\":%d,\"destroy_delete\":0,\"live\":0,\"pooled\":1632,\"peak_live\":0," \
				"\"peak_objects\":1632,\"inherited\":0,\"depot_batches\":100,\"depot_low\":%d," \
				"\"depot_high\":100,\"depot_retries\":0,\"trimmed\":0,\"threads\":1}\n",
				i < seconds ? "sample" : "final", 1000 + i, i * 1000, i * creates, bursts * 100,
				100 + bursts * 100, is_burst || i == 1 ? 0 : 100
		}
	}'
}

# misses DECAY_MS MAX_BATCHES: what the last advice expects.
misses() {
	jq --argjson decay "$1" --argjson batches "$2" \
		'.pools[0].settings[] | select(.decay_ms == $decay and .max_batches == $batches) | .misses' json
}

@test "advise: a table of settings, the present one marked, and a sentence" {
	bursts 60000 1023 130 20 10 >"$log"
	advise "$log"
	[[ $status -eq 0 ]]
	[[ ${lines[0]} == 'made-up [10], small: 3,532 creates in 2 minutes, 1,632 misses' ]]
	grep -qE '^ +max batches +decay ms +mean idle +memory +most idle +misses$' <<<"$output"
	[[ $(grep -c '^  \* ' <<<"$output") -eq 1 ]]
	grep -qE '^  \* +1023 +60000 +1,632 +- +1,600 +1,632$' <<<"$output"
	grep -qE '^    +1023 +never ' <<<"$output"
	[[ $output == *'The log has a sample every 1 s, and says little about shorter times.'* ]]
}

@test "advise: each burst after a gap longer than the window is missed" {
	bursts 60000 1023 100 20 10 >"$log"
	"$COPOOL" advise --json --decay=8000 --max-batches=1023 "$log" >json
	[[ $(misses 60000 1023) == 1632 ]]
	[[ $(misses 8000 1023) == $((1632 + 4 * 1600)) ]]
	[[ $(misses 2000 1023) == $((1632 + 4 * 1600)) ]]
	jq -e '.pools[0].present | .decay_ms == 60000 and .max_batches == 1023' json
}

@test "advise: each burst misses what is above the cap" {
	bursts 60000 1023 100 20 10 >"$log"
	"$COPOOL" advise --json --max-batches=40 "$log" >json
	[[ $(misses 60000 40) == $((1632 + 4 * 960)) ]]
	[[ $(misses 60000 50) == $((1632 + 4 * 800)) ]]
	jq -e '.pools[0].settings[] | select(.max_batches == 40) | .idle_most == 640' json
}

@test "advise: memory that is not needed is offered at its price" {
	bursts 0 1023 200 1000 10 >"$log" # none after the first
	advise "$log"
	[[ $output == *'COPOOL_DECAY_MS='*' would keep '*' fewer idle objects for no more misses in 3 minutes.'* ]]
	bursts 61000 1023 200 60 100000 >"$log" # 3 more bursts are nothing beside so many creates
	advise "$log"
	[[ $output == *' fewer idle objects for 4,800 more misses in 3 minutes.'* ]]
	bursts 61000 1023 200 60 400 >"$log" # here they are much
	advise "$log"
	[[ $output == *'The present settings are fine'* ]]
}

@test "advise: memory is said where the log has the depth of the stacks" {
	{
		bursts 0 1023 200 1000 10
		echo '{"type":"depth","time":1,"pid":10,"pool":"small","stacks":1632,"mean":8192}'
	} >"$log"
	advise "$log"
	grep -qE '^  \* +1023 +never +1,632 +12.8 MiB ' <<<"$output"
	[[ $output == *' fewer idle objects (about '*' MiB) for no more misses'* ]]
	"$COPOOL" advise --json "$log" | jq -e '.pools[0].present | .idle_bytes == .idle * 8192'
}

@test "advise: too little data is said to be too little" {
	bursts 10000 1023 19 5 10 >"$log"
	advise "$log"
	[[ $status -eq 1 && $output == *'small: no advice: too few samples' ]]
	bursts 10000 1023 20 5 10 >"$log"
	advise "$log"
	[[ $status -eq 0 ]]
	bursts 10000 1023 100 20 10 | sed 's/"depot_low":[0-9]*,//' >"$log"
	advise "$log"
	[[ $status -eq 1 && $output == *'the log is of an older copool, and has no depot_low'* ]]
	bursts 10000 1023 100 20 10 | sed 's/"mode":"pool"/"mode":"observe"/' >"$log"
	advise "$log"
	[[ $status -eq 0 && $output == *'Would not help. Without copool 1,632 of '* ]]
	bursts 1000 1023 100 20 10 >"$log" # it cannot have been so: all would have been trimmed and missed
	advise "$log"
	[[ $status -eq 0 && $output == *'No advice: with the present settings the replay has '*' misses where there were 1,632.'* ]]
	open_record 10 empty >"$log"
	advise "$log"
	[[ $status -eq 1 && $output == *'the logs have no samples'* ]]
	"$COPOOL" advise --json "$log" 2>/dev/null | jq -e '.pools == []'
}

@test "advise: a log that begins late, is mixed, or has bad lines gives what it can" {
	bursts 60000 1023 100 20 10 | sed 1d >"$log"
	advise "$log"
	[[ $status -eq 0 && $output == *'does not say which settings'* ]]
	{
		bursts 60000 1023 100 20 10
		echo nonsense
		bursts 60000 1023 100 20 10 | sed 's/"pid":10/"pid":11/'
		echo '{"type":"sample","time":1,"pid":11,"uptime_ms":1,"pool":"small","depot_low":0,"live":-1e99}'
	} >"$log"
	advise "$log"
	[[ $status -eq 0 && $(grep -c 'creates in 100 seconds, 1,632 misses' <<<"$output") -eq 2 ]]
	[[ $output == *'line 102'* ]]
	advise --json "$log" "$BATS_TEST_TMPDIR/missing"
	[[ $status -eq 1 && $output == *missing* ]]
}

@test "advise: wrong options are told" {
	local wrong
	bursts 60000 1023 100 20 10 >"$log"
	for wrong in --decay=x --decay=50 --decay=-1 --decay=99999999999 --max-batches=65536 --max-batches= --no; do
		run "$COPOOL" advise "$wrong" "$log"
		echo "$wrong: $status $output"
		[[ $status -eq 2 && $output == *"${wrong%%=*}"* ]]
	done
	run "$COPOOL" advise
	[[ $status -eq 2 && $output == *'which log?'* ]]
	run "$COPOOL" advise --help
	[[ $status -eq 0 && $output == *--max-batches* ]]
	run "$COPOOL" advise /dev/full/x
	[[ $status -eq 1 ]]
	run bash -c '"$1" advise "$2" >/dev/full' - "$COPOOL" "$log"
	[[ $status -eq 1 && $output == *'cannot write'* ]]
}

@test "advise: a long log takes bounded memory, and loses no burst" {
	bursts 60000 1023 100000 20 10 >"$log"
	(ulimit -v 65536 && "$COPOOL" advise --json --decay=0 --max-batches=40 "$log" >json)
	# Thinned, each burst is one still: the cap misses its part of it.
	jq -e '.pools[0] | .samples == 100000 and (.settings[] | select(.max_batches == 40 and .decay_ms == 0)
		| .misses >= 4990 * 960 and .misses <= 5010 * 960 + 1632)' json
}

# really CREATE_NEW: what a pool's final record in $LOG says.
really() {
	log_final create_new "$1"
}

# is_near EXPECTED REAL: within a half more or less, the promise of the manual.
is_near() {
	echo "expected $1, really $2"
	awk -v expected="$1" -v real="$2" 'BEGIN { exit !(expected * 3 >= real * 2 && expected * 2 <= real * 3) }'
}

# expects DECAY_MS MAX_BATCHES POOL: misses that the log at hand lets expect under these.
expects() {
	"$COPOOL" advise --json --decay="$1" --max-batches="$2" "$LOG" |
		jq --argjson decay "$1" --argjson batches "$2" --arg pool "$3" '.pools[] | select(.pool == $pool)
			| .settings[] | select(.decay_ms == $decay and .max_batches == $batches) | .misses'
}

@test "advise: what is expected of another decay and cap is what really happens: PHP, bursts and pauses" {
	requires php
	cat >bursts.php <<-'END'
		<?php
		function burst(int $n) {
			$alive = [];
			for ($i = 0; $i < $n; $i++) { $f = new Fiber(function () { Fiber::suspend(); }); $f->start(); $alive[] = $f; }
			foreach ($alive as $f) $f->resume();
		}
		foreach ([[2000, 200], [1000, 200], [1500, 1800], [1000, 200], [2000, 1800], [1600, 0]] as [$n, $ms]) { burst($n); usleep($ms * 1000); }
	END
	local pool='stack 2101248 php' keeps decays capped kept
	run_pooled COPOOL_INTERVAL_MS=50 COPOOL_MAX_BATCHES=1000 php -n bursts.php
	kept=$(really "$pool")
	decays=$(expects 800 1000 "$pool")
	capped=$(expects 10000 40 "$pool")
	rm "$LOG"
	run_pooled COPOOL_INTERVAL_MS=50 COPOOL_MAX_BATCHES=1000 COPOOL_DECAY_MS=800 php -n bursts.php
	is_near "$decays" "$(really "$pool")"
	keeps=$(expects 10000 1000 "$pool")
	(($(really "$pool") > kept + 1500)) # it is another thing
	is_near "$keeps" "$kept"            # and the other way round
	rm "$LOG"
	run_pooled COPOOL_INTERVAL_MS=50 COPOOL_MAX_BATCHES=40 php -n bursts.php
	is_near "$capped" "$(really "$pool")"
}

@test "advise: what is expected of another cap is what really happens: QEMU, many bursts within a sample" {
	requires qemu-img
	bench() {
		rm -f "$LOG"
		run_pooled COPOOL_INTERVAL_MS=10 COPOOL_MAX_BATCHES="$1" qemu-img bench -c 400000 -d 1024 -w \
			--flush-interval=1024 --image-opts driver=null-aio,size=1G
		[[ $status -eq 0 ]]
	}
	local capped
	bench 1000
	capped=$(expects 10000 32 qemu-coroutine)
	advise "$LOG"
	[[ $output == *'no advice: this pool only counts'* ]]
	bench 32
	is_near "$capped" "$(really qemu-coroutine)"
	advise "$LOG"
	[[ $output == *'COPOOL_MAX_BATCHES='*' would save '*' misses in '*' more idle objects (about '* ]]
}
