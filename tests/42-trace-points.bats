#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The static trace points: in the library's notes, and seen by a tracer where it may trace.

# shellcheck disable=SC2030,SC2031,SC2154,SC2317 # bats runs each test in a shell of its own; helper.bash sets pid
load lib/helper

setup() {
	requires readelf
	cd "$BATS_TEST_TMPDIR" || return
}

@test "probes: refill, spill, new, delete and trim are in the library's notes, with two arguments each" {
	readelf --notes --wide "$COPOOL_SO" >notes
	grep -q stapsdt notes || lacks "the library was built without sys/sdt.h"
	local name
	for name in refill spill new delete trim; do
		grep -A1 'Provider: copool' notes | grep -qw "Name: $name"
		[[ $(grep -A2 "Name: $name\$" notes | sed -n 's/.*Arguments: //p' | wc -w) -eq 2 ]]
	done
	[[ $(grep -c 'Provider: copool' notes) -eq 5 ]]
}

@test "probes: bpftrace counts each of them as often as the log does" {
	requires php
	command -v bpftrace >/dev/null || skip "there is no bpftrace"
	cat >fibers.php <<-'END'
		<?php
		$body = static function (): void { Fiber::suspend(); };
		touch("ready");
		while (!file_exists("go")) { usleep(10000); clearstatcache(); }
		for ($round = 0; $round < 20; $round++) {
			$held = [];
			for ($i = 0; $i < 500; $i++) ($held[$i] = new Fiber($body))->start();
			unset($held);
		}
	END
	start_pooled COPOOL_DECAY_MS=0 php -n fibers.php
	local program=$pid
	wait_until 20 test -e ready
	start_stock bpftrace -p "$program" -e "
		BEGIN { printf(\"traces\\n\"); }
		usdt:$COPOOL_SO:copool:refill /str(arg0) == \"stack 2101248 php\"/ { @refill = count(); }
		usdt:$COPOOL_SO:copool:spill { @spill = count(); }
		usdt:$COPOOL_SO:copool:new { @new = count(); }"
	local tracer=$pid
	traces() { grep -q '^traces' "output.$tracer" || is_gone "$tracer"; }
	wait_until 30 traces
	! is_gone "$tracer" || skip "bpftrace may not trace here: $(tail -n 1 "output.$tracer")"
	touch go
	ended "$program"
	stop "$tracer" INT
	local pair
	for pair in refill:create_depot spill:destroy_depot new:create_new; do
		echo "$pair $(log_final "${pair#*:}")"
		grep -qx "@${pair%:*}: $(log_final "${pair#*:}")" "output.$tracer"
	done
}
