#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Coroutine stacks on kernels that cannot do what the newest can: Debian 13's, whose guards take memory maps unless
# poison is asked for, and Debian 12's, whose guards always do. Each is booted once, in software emulation, from Debian's packages.

load lib/helper
load lib/packages
load lib/guest
load lib/machine
load lib/php

setup() {
	requires jq php cpio busybox qemu-system-x86_64 qemu-img
	requires_program mappings stacks treats
	[[ -x $COPOOL_BUILD/unit/guard_test ]] || lacks "the unit tests are not built (make unit)"
	cd "$BATS_TEST_TMPDIR" || return
	php='php -n -d memory_limit=-1'
}

teardown_file() {
	stop_machines
}

programs() {
	command -v php qemu-img
	ldconfig -p | sed -n 's/.*libZydis\.so.* => //p' | head -n 1
	find /usr/share/zoneinfo/{UTC,tzdata.zi,zone.tab} 2>/dev/null || :
}

# requires_kernel NAME SUITE VERSION: the machine with SUITE's kernel is up, and its kernel is of that VERSION.
requires_kernel() {
	local files
	requires_unpacked "$1" "$2" pointed-at:linux-image-cloud-amd64
	mapfile -t files < <(programs)
	machine_boot "$1" "${files[@]}"
	in_machine <<<'uname -r'
	[[ $status -eq 0 && $output == [0-9]* ]]
	[[ $output == "$3".* ]] || skip "the kernel of Debian's $2 is $output, not $3"
}

linux_6.12() {
	requires_kernel kernel-6.12 bookworm-backports 6.12
}

linux_6.1() {
	requires_kernel kernel bookworm 6.1
}

# with_maps COUNT: runs the script on standard input in the machine where a process may have so many memory maps.
with_maps() {
	in_machine < <(
		echo "echo $1 >/proc/sys/vm/max_map_count"
		cat
		# shellcheck disable=SC2016 # the machine's
		echo 'said=$?; echo 65530 >/proc/sys/vm/max_map_count; exit $said'
	)
}

# over.php N: a fiber runs over the end of its stack, after N others have come and gone.
over_php() {
	cat >over.php <<-'END'
		<?php
		function deeper($n) { return array_map('deeper', [$n + 1]); }
		for ($i = 0; $i < (int)$argv[1]; $i++) { $f = new Fiber(function () { Fiber::suspend(); }); $f->start(); $f->resume(); }
		$f = new Fiber('deeper');
		$f->start(1);
		echo "not reached\n";
	END
}

# fork.php: children run over the end of a stack: one that the parent used, one that it left idle, a new one.
fork_php() {
	cat >fork.php <<-'END'
		<?php
		function deeper($n) { return array_map('deeper', [$n + 1]); }
		$alive = [];
		for ($i = 0; $i < 40; $i++) { $f = new Fiber(function () { Fiber::suspend(); deeper(1); }); $f->start(); $alive[] = $f; }
		$idle = new Fiber(function () { Fiber::suspend(); }); $idle->start(); $idle->resume(); $idle = null;
		function child($what) {
			$pid = pcntl_fork();
			if ($pid === 0) { $what(); exit(0); }
			pcntl_waitpid($pid, $status);
			echo pcntl_wifsignaled($status) ? 'signal ' . pcntl_wtermsig($status) : 'status ' . pcntl_wexitstatus($status), "\n";
		}
		child(fn() => $alive[20]->resume());
		child(fn() => (new Fiber('deeper'))->start(1));
		child(function () { $keep = new Fiber(function () { Fiber::suspend(); }); $keep->start(); (new Fiber('deeper'))->start(1); });
		child(function () { for ($i = 0; $i < 200; $i++) { $f = new Fiber(function () { Fiber::suspend(); }); $f->start(); $f->resume(); } });
	END
}

# burst.php: 1000 fibers, until their memory is back; then one that runs over the end of a stack that was trimmed.
burst_php() {
	cat >burst.php <<-'END'
		<?php
		function deeper($n) { return array_map('deeper', [$n + 1]); }
		function resident() { preg_match('/^VmRSS:\s+(\d+)/m', file_get_contents('/proc/self/status'), $found); return (int)$found[1]; }
		function alive($n) { for ($alive = []; count($alive) < $n; $alive[] = $f) { $f = new Fiber(function () { Fiber::suspend(); }); $f->start(); } return $alive; }
		$alive = alive(1000);
		$high = resident();
		while ($alive) array_pop($alive)->resume();
		for ($i = 0; $i < 200 && resident() > $high - 3000; $i++) usleep(50000);
		echo $i < 200 ? "the memory is back\n" : "the memory is not back: " . resident() . " of $high KiB\n";
		# What is kept still is used first; it is less than a fourth.
		$alive = alive(400);
		$f = new Fiber('deeper'); $f->start(1);
	END
}

# limit.php: as many fibers as there can be, below 3000, and then some of them to their end.
limit_php() {
	cat >limit.php <<-'END'
		<?php
		$alive = [];
		try {
			for ($i = 0; $i < 3000; $i++) { $f = new Fiber(function () { Fiber::suspend(); }); $f->start(); $alive[] = $f; }
		} catch (Throwable $e) {
			$f = null;
			for ($many = count($alive); count($alive) > 100; array_pop($alive));
			echo get_class($e), ': ', $e->getMessage(), "\n";
		}
		foreach ($alive as $f) $f->resume();
		echo $many > 800 ? 'many' : $many, " done\n";
	END
}

# What an unmodified program must do with any kernel.
check_programs() { # [VARIABLE=VALUE...]
	fibers_php
	fork_php
	to_machine fibers.php fork.php
	same_in_machine "$@" "$php fibers.php"
	[[ $status -eq 0 && $output == *'nested 200'* ]]
	machine_log
	check_balance
	(($(log_final create_local) > 2000))
	for first in 1 1001; do
		same_in_machine "$@" COPOOL_HOST=stacks "/copool/mappings $first 20 >said && wc said && md5sum said"
		[[ $status -eq 0 ]]
	done
}

# The module's own tests; none of the guards that the kernel has is left out.
check_units() { # MEANS...
	local means
	for test in guard arena; do
		in_machine <<<"/copool/${test}_test"
		[[ $status -eq 0 && $output != *'not ok'* ]]
		[[ $test != guard ]] || for means; do
			[[ $output == *"ok"*"- guard by $means: touching its first byte kills"* ]]
		done
	done
}

@test "Linux 6.12: guards take memory maps, and the log says what poison would give" {
	linux_6.12
	many_php
	over_php
	to_machine many.php over.php
	for wanted in auto madvise; do
		in_machine <<<"pooled COPOOL_GUARD=$wanted $php many.php 50"
		[[ $status -eq 0 && $output == '50 alive'*done ]]
		machine_log
		[[ $(log_open detail) == *'guard pages by mprotect'* ]]
		[[ $wanted != auto || $(log_open detail) == *'COPOOL_GUARD=poison would lift it'*SIGBUS* ]]
		[[ $(log_final maps_saved) -eq 0 ]]
	done
	for lives in 0 1 100; do
		same_in_machine "$php over.php $lives"
		[[ $status -eq 139 ]]
	done
	check_programs
}

@test "Linux 6.12: poison that is asked for is had as root and as nobody, and the log says what that means" {
	linux_6.12
	many_php
	to_machine many.php
	for who in root nobody; do
		in_machine <<<"rm -f log.jsonl; su -s /bin/sh $who -c 'exec pooled COPOOL_GUARD=poison $php many.php 50'"
		[[ $status -eq 0 && $output == '50 alive'*done ]]
		machine_log
		[[ $(log_open detail) == *'guard pages by poison cost no memory maps'*SIGBUS* ]]
		[[ $(log_final maps_saved) -eq 50 ]]
	done
	check_units poison mprotect
}

@test "Linux 6.12: with poison more fibers are alive than vm.max_map_count has room for" {
	linux_6.12
	many_php
	to_machine many.php
	with_maps 2000 <<<"$php many.php 3000"
	[[ $status -eq 0 && $output == *'mprotect failed'*done ]]
	for who in root nobody; do
		with_maps 2000 <<<"rm -f log.jsonl; su -s /bin/sh $who -c 'exec pooled COPOOL_GUARD=poison $php many.php 3000'"
		[[ $status -eq 0 && $output == '3000 alive'*done ]]
		(($(sed -n 's/.* alive, \([0-9]*\) maps/\1/p' <<<"$output") < 500))
	done
	machine_log
	check_balance
}

@test "Linux 6.12: with poison qemu-img keeps more requests in flight than vm.max_map_count has room for" {
	linux_6.12
	local bench='qemu-img bench -d 3000 -c 6000 --image-opts driver=null-aio,size=1G'
	with_maps 2000 <<<"$bench"
	[[ $status -ne 0 && $output == *'failed to set up stack guard page'* ]]
	with_maps 2000 <<<"pooled COPOOL_GUARD=poison $bench"
	[[ $status -eq 0 && $output == *'Run completed'* ]]
	machine_log
	[[ $(log_open host) == qemu && $(log_open detail) == *'by poison'* ]]
	[[ $(log_final peak_objects qemu-coroutine) -ge 3000 ]]
}

@test "Linux 6.12: with poison a program that runs over the end of a stack ends, by SIGBUS, on a first and on a recycled one" {
	linux_6.12
	over_php
	to_machine over.php
	for lives in 0 1 100; do
		in_machine <<<"$php over.php $lives"
		[[ $status -eq 139 && $output != *'not reached'* ]]
		in_machine <<<"pooled COPOOL_GUARD=poison $php over.php $lives"
		[[ $status -eq 135 && $output != *'not reached'* ]]
	done
	# That is how the kernel puts it.
	in_machine <<<'dmesg | tail -n 5'
	[[ $output == *'due to hardware memory corruption'* ]]
}

@test "Linux 6.12: with poison the memory is back after a burst, and trimmed stacks have their guards" {
	linux_6.12
	burst_php
	to_machine burst.php
	in_machine <<<"pooled COPOOL_GUARD=poison COPOOL_DECAY_MS=300 $php burst.php"
	[[ $status -eq 135 && $output == 'the memory is back'* ]]
}

@test "Linux 6.12: with poison a fork's child has the guards of its parent" {
	linux_6.12
	fork_php
	to_machine fork.php
	in_machine <<<"$php fork.php"
	[[ $status -eq 0 && $output == $'signal 11\nsignal 11\nsignal 11\nstatus 0' ]]
	in_machine <<<"pooled COPOOL_GUARD=poison $php fork.php"
	[[ $status -eq 0 && $output == $'signal 7\nsignal 7\nsignal 7\nstatus 0' ]]
}

@test "Linux 6.12: with poison programs do what they do without the shim" {
	linux_6.12
	check_programs COPOOL_GUARD=poison
	# A sandbox that the program puts itself into.
	for what in madvise poison; do
		same_in_machine COPOOL_HOST=stacks COPOOL_GUARD=poison /copool/stacks refuse $what
		[[ $status -eq 0 && $output == $'sandbox 0\n0 failed' ]]
	done
	for what in 'files 20' 'child 5' cancel 'guards 100'; do
		same_in_machine COPOOL_HOST=stacks COPOOL_GUARD=poison "/copool/treats $what"
		[[ $status -eq 0 && $output != *'cancelled in m'* ]]
	done
}

@test "Linux 6.1: guards take memory maps, and the log names the limit, its value and what raises it" {
	linux_6.1
	many_php
	to_machine many.php
	for wanted in auto madvise poison mprotect; do
		with_maps 2000 <<<"pooled COPOOL_GUARD=$wanted $php many.php 50"
		[[ $status -eq 0 && $output == '50 alive'*done ]]
		machine_log
		[[ $(log_open detail) == *'by mprotect'*'vm.max_map_count=2000 limits them (sysctl vm.max_map_count raises it)'* ]]
		[[ $(log_final maps_saved) -eq 0 ]]
	done
	check_units mprotect
}

@test "Linux 6.1: too many fibers end in the error that they end in without the shim, as root and as nobody" {
	linux_6.1
	limit_php
	to_machine limit.php
	for who in root nobody; do
		with_maps 2000 <<<"su -s /bin/sh $who -c 'exec $php limit.php'"
		[[ $status -eq 0 && $output == *'mprotect failed: Cannot allocate memory'*'many done' ]]
		stock=$output
		with_maps 2000 <<<"rm -f log.jsonl; su -s /bin/sh $who -c 'exec pooled $php limit.php'"
		[[ $status -eq 0 && $output == "$stock" ]]
	done
	machine_log
	check_balance
}

@test "Linux 6.1: programs do what they do without the shim, overflows and children too" {
	linux_6.1
	check_programs
	over_php
	to_machine over.php
	for lives in 0 1 100; do
		same_in_machine "$php over.php $lives"
		[[ $status -eq 139 ]]
	done
	same_in_machine "$php fork.php"
	[[ $output == $'signal 11\nsignal 11\nsignal 11\nstatus 0' ]]
}
