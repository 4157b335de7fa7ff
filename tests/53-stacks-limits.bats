#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Stacks of programs that live within limits, lock their memory, or are looked at by other tools: all as
# without the shim.

# shellcheck disable=SC2030,SC2031,SC2154 # bats runs each test in a shell of its own; helper.bash sets pid
load lib/helper

setup() {
	requires_program limits squeeze
	cd "$BATS_TEST_TMPDIR" || return
	export COPOOL_HOST=stacks
	limits=$PROGRAMS/limits
}

# said WORD: the number that the last run said after it.
said() {
	sed -n "s/^$1 //p" <<<"$output"
}

@test "count: what is only reserved is no data, and no promise of memory" {
	local data accounted slack
	run_stock "$limits" count 500
	data=$(said data) accounted=$(said accounted)
	run_pooled "$limits" count 500
	slack=$((500 * 4 + 2048)) # guards that split no mapping; what the pool keeps itself
	(($(said data) >= data && $(said data) < data + slack))
	(($(said accounted) < accounted + slack))
}

@test "count: at strict overcommit's share of memory, as RLIMIT_DATA, mmap fails as without the shim, with nearly as many stacks" {
	local limit stock
	for limit in $((64 << 20)) $((8 << 20)); do
		run_stock "$limits" data $limit
		stock=$(said made)
		run_pooled "$limits" data $limit
		[[ $status -eq 0 && ${lines[0]} == ENOMEM && ${lines[2]} == 'and again' ]]
		# Less what the pool keeps itself, and guards that split no mapping.
		(($(said made) + 24 >= stock * 96 / 100))
	done
}

@test "count: a limit that a program sets after its stacks leaves it all that it does not use" {
	for stacks in 0 3 2000; do
		same_twin "$limits" late $stacks
		[[ $status -eq 0 && ${lines[2]} == there && ${lines[5]} == there ]]
	done
}

@test "count: what a program maps, opens or grows at its limit has the memory of idle stacks" {
	same_twin "$limits" lack 300
	[[ $status -eq 0 && ${lines[1]} == 'mapped all' && ${lines[3]} == 'opened all' && ${lines[5]} == 'grown to all' ]]
}

@test "count: what lies between stacks in use, where idle ones were given up, is the program's" {
	same_twin "$limits" among 2000
	[[ $status -eq 0 && ${lines[1]} == '0 wrong' ]]
}

@test "count: a program that asks for more than there is keeps its idle stacks" {
	same_twin "$limits" probe 300
	[[ $status -eq 0 && ${lines[1]} == 'huge: ENOMEM' && ${lines[3]} == kept ]]
}

@test "count: at limits that come and go, and with memory locked, threads and children lose nothing that they have" {
	local times=20
	[[ -z ${COPOOL_TEST_FULL-} ]] || times=400
	same_twin "$PROGRAMS/squeeze" $times
	check_balance
	[[ $status -eq 0 && ${lines[0]} == '0 damaged' ]]
	[[ -z ${COPOOL_TEST_FULL-} ]] || run_pooled COPOOL_MAX_BATCHES=0 "$PROGRAMS/squeeze" 400
	[[ $status -eq 0 && ${lines[0]} == '0 damaged' ]]
}

@test "count: a limit that a child of vfork sets on itself costs its parent nothing" {
	same_twin "$limits" child 2000
	[[ $status -eq 0 && ${lines[1]} == there ]]
}

@test "count: where the address space has no room for an arena, stacks come as without it" {
	requires prlimit
	run_stock prlimit --as=$((64 << 20)) "$limits" stop
	[[ $status -eq 0 && $output == ran ]]
	run_pooled prlimit --as=$((64 << 20)) "$limits" stop
	[[ $status -eq 0 && $output == ran ]]
	run_pooled prlimit --as=$((16 << 20)) "$limits" stop
	[[ $status -eq 0 && $output == ran ]]
}

@test "count: after a burst the page tables of its stacks go back as well" {
	requires php
	local release
	release=$(uname -r)
	[[ $(printf '%s\n' 6.14 "$release" | sort -V | head -1) == 6.14 ]] || skip "Linux $release keeps page tables"
	cat >burst.php <<-'END'
		<?php
		function tables(): int {
			preg_match('/VmPTE:\s+(\d+)/', file_get_contents('/proc/self/status'), $found);
			return (int)$found[1];
		}
		$before = tables();
		$alive = [];
		for ($i = 0; $i < 3000; $i++) {
			$alive[$i] = new Fiber(function () { Fiber::suspend(); });
			$alive[$i]->start();
		}
		$high = tables();
		$alive = []; gc_collect_cycles();
		for ($i = 0; $i < 200 && tables() - $before > ($high - $before) / 5; $i++) usleep(50000);
		echo $high - $before > 10000 ? 'much' : 'little', ', ', $i < 200 ? 'back' : 'still there', "\n";
	END
	run_pooled COPOOL_DECAY_MS=200 php -n -d memory_limit=-1 burst.php
	[[ $status -eq 0 && $output == 'much, back' ]]
}

@test "lock: mlockall locks stacks of before and after, and fills them, as without the shim" {
	local guard flags
	for guard in auto poison mprotect; do
		for flags in 1 2 3 5 6 7; do
			same_twin COPOOL_GUARD=$guard "$limits" lock $flags
			[[ $status -eq 0 && ${lines[0]} == 'mlockall done' ]]
		done
	done
	same_twin "$limits" lock 4
	[[ ${lines[0]} == 'mlockall EINVAL' ]]
}

@test "lock: of threads that make stacks while memory is locked and unlocked none loses what it has" {
	[[ $EUID -eq 0 ]] || skip "only root may lock so much"
	for guard in auto mprotect; do
		same_twin COPOOL_GUARD=$guard "$limits" storm 200
		[[ $status -eq 0 && $output == '0 damaged, 0 failed' ]]
	done
}

@test "lock: the user nobody, with stacks in use, may lock as much as without the shim" {
	requires setpriv prlimit
	[[ $EUID -eq 0 ]] || skip "only root can become nobody"
	local limit stock nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	# Who becomes nobody must be able to get at them.
	chmod 755 .
	cp "$limits" "$COPOOL_SO" .
	for limit in 1 8; do
		run_stock prlimit --memlock=$((limit << 20)) "${nobody[@]}" ./limits lock 1
		stock=$status$output
		run_stock prlimit --memlock=$((limit << 20)) "${nobody[@]}" \
			env LD_PRELOAD=./libcopool.so ./limits lock 1
		[[ $status$output == "$stock" ]]
		[[ $limit -eq 8 || ${lines[0]} == 'mlockall ENOMEM' ]]
	done
	[[ $status -eq 0 && ${lines[0]} == 'mlockall done' ]]
}

@test "lock: stacks that the program has unmapped do not count when it locks its memory" {
	same_twin "$limits" idle 300
	[[ $status -eq 0 && ${lines[1]} == 'mlockall done' ]]
}

@test "lock: a stack that was locked by mlock or mlock2 comes again unlocked" {
	for how in 0 1; do
		same_twin "$limits" part $how
		[[ $status -eq 0 && ${lines[0]} == 'mlock done' && ${lines[-1]} == 'locked 0' ]]
	done
}

@test "place: where a stack was unmapped MAP_FIXED_NOREPLACE maps, again and again" {
	same_twin "$limits" place
	[[ $status -eq 0 && $output != *'was: EEXIST'* ]]
}

@test "key: pkey_mprotect is to a stack what it is to other memory" {
	same_twin "$limits" key
	[[ $status -eq 0 && ${lines[0]} == 'no key: done' ]]
}

@test "valgrind: php under it says what it says without the shim" {
	requires valgrind php
	cat >fibers.php <<-'END'
		<?php
		for ($i = 0; $i < 20; $i++) {
			$fiber = new Fiber(function (int $n): int { return Fiber::suspend($n * 2) + 1; });
			$fiber->resume($fiber->start($i));
			echo $fiber->getReturn(), "\n";
		}
	END
	same_twin COPOOL_HOST=auto valgrind -q --error-exitcode=9 php -n fibers.php
	[[ $status -eq 0 && $output == *39 ]]
	(($(log_final create_local) > 0))
	# Later versions end a program that has very many of the others.
	log_records open .detail | grep -q 'guard pages by mprotect'
}

@test "valgrind: qemu-img under it does what it does without the shim" {
	requires valgrind qemu-img
	# Its coroutines are beyond memcheck, with and without the shim: what is looked at is that it runs.
	FILTER=$FILTER_SECONDS
	same_twin COPOOL_HOST=auto valgrind -q --tool=none qemu-img bench -c 300 -d 16 \
		--image-opts driver=null-aio,size=1G
	[[ $status -eq 0 ]]
	(($(log_final create_local) > 0))
}

# frames [VARIABLE=VALUE...]: what gdb says of a coroutine that was stopped in its 40th life, and of its end.
frames() {
	local set=()
	for each; do
		set+=(-ex "set environment ${each/=/ }")
	done
	gdb -nx -batch -ex 'set startup-with-shell off' -ex 'set debuginfod enabled off' "${set[@]}" \
		-ex 'break here' -ex run -ex 'ignore 1 38' -ex continue -ex backtrace -ex 'up 2' -ex 'print depth' \
		-ex delete -ex continue --args "$limits" stop >frames 2>&1
	cat frames >&2
	grep -E '^#[0-4] |^[$]|^ran$|exited normally' frames | sed -E 's/0x[0-9a-f]{16} in //; s/process [0-9]+//'
}

@test "gdb: a coroutine that is stopped on a recycled stack shows the frames that it has" {
	requires gdb
	frames >stock
	frames LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" >pooled
	grep -q '#4 .*descend (depth=3)' stock
	grep -qx ran stock
	diff stock pooled
	(($(log_final create_local) == 39))
}

@test "gdb: what is on a live stack can be read from outside" {
	requires gdb
	start_pooled "$limits" wait 1000
	wait_until 10 grep -q 0x "$BATS_TEST_TMPDIR/output.$pid"
	run gdb -nx -batch -ex "x/s $(cat "$BATS_TEST_TMPDIR/output.$pid")" -p "$pid"
	[[ $output == *'"the stack 999"'* ]]
}

@test "core: what was on a live stack is in it" {
	requires gdb
	[[ $(</proc/sys/kernel/core_pattern) == core* ]] || skip "core dumps go elsewhere on this machine"
	ulimit -c unlimited
	run_pooled "$limits" crash 1000
	[[ $status -eq 134 ]]
	run gdb -nx -batch -ex "x/s ${lines[0]}" "$limits" core*
	[[ $output == *'"the stack 999"'* ]]
}

@test "core: gcore's holds it where guards are made by mprotect, and is not much larger than without the shim" {
	requires gdb gcore
	local pooled stock
	start_stock "$limits" wait 200
	wait_until 10 grep -q 0x "$BATS_TEST_TMPDIR/output.$pid"
	gcore -o stock "$pid"
	stock=$(du -k "stock.$pid" | cut -f 1)
	start_pooled COPOOL_GUARD=mprotect "$limits" wait 200
	wait_until 10 grep -q 0x "$BATS_TEST_TMPDIR/output.$pid"
	gcore -o pooled "$pid"
	pooled=$(du -k "pooled.$pid" | cut -f 1)
	((pooled < 2 * stock + 16384))
	run gdb -nx -batch -ex "x/s $(cat "$BATS_TEST_TMPDIR/output.$pid")" "$limits" "pooled.$pid"
	[[ $output == *'"the stack 199"'* ]]
}
