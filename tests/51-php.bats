#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# PHP's fibers: the same output and status with and without the shim, more of them, no system calls, and the
# memory back after a burst.

# shellcheck disable=SC2030,SC2031,SC2154 # bats runs each test in a shell of its own; helper.bash sets pid
load lib/helper
load lib/php

setup() {
	requires php
	cd "$BATS_TEST_TMPDIR" || return
	php=(php -n -d memory_limit=-1)
}

@test "php: fibers in sequence, nested, alive together and beside generators do what they did" {
	fibers_php
	same_twin "${php[@]}" fibers.php
	[[ $status -eq 0 && $output == *'nested 200'* ]]
	(($(log_final create_local) > 2000))
	check_balance
}

@test "php: the log says how many idle stacks there may be, which is more where they take no memory maps" {
	run_pooled php -n -r '1;'
	[[ $(log_open max_batches) -eq 65535 || $(log_open detail) != *'cost no memory maps'* ]]
	rm -f "$LOG"
	run_pooled COPOOL_GUARD=mprotect php -n -r '1;'
	[[ $(log_open max_batches) -eq $(($(</proc/sys/vm/max_map_count) / 2 / 2 / 16)) ]]
	rm -f "$LOG"
	run_pooled COPOOL_MAX_BATCHES=7 php -n -r '1;'
	[[ $(log_open max_batches) -eq 7 ]]
}

@test "php: exit inside a fiber, and an exception that nobody catches, end it as they did" {
	cat >exit.php <<-'END'
		<?php register_shutdown_function(function () { echo "shutdown\n"; });
		$kept = new Fiber(function () { Fiber::suspend(); }); $kept->start();
		$fiber = new Fiber(function () { $inner = new Fiber(function () { exit(5); }); $inner->start(); });
		$fiber->start();
	END
	same_twin "${php[@]}" exit.php
	[[ $status -eq 5 && $output == shutdown ]]
	cat >throw.php <<-'END'
		<?php $fiber = new Fiber(function () { throw new Exception('nobody'); }); $fiber->start();
	END
	same_twin "${php[@]}" throw.php
	[[ $status -eq 255 && $output == *nobody* ]]
}

@test "php: exit, a fatal error and the memory limit reached in a fiber amid others end it as they did" {
	cat >ends.php <<-'END'
		<?php
		for ($i = 0; $i < 50; $i++) {
			$alive[$i] = new Fiber(function () use ($i) { try { Fiber::suspend(); } finally { if ($i % 10 == 0) echo "finally $i\n"; } });
			$alive[$i]->start();
		}
		register_shutdown_function(function () {
			$fiber = new Fiber(function () { echo "shutdown\n"; exit(9); });
			$fiber->start();
		});
		$fiber = new Fiber(function ($how) {
			$inner = new Fiber(function () use ($how) {
				Fiber::suspend();
				if ($how == 'exit') exit(3);
				if ($how == 'fatal') eval('function twice() {} function twice() {}');
				for ($held = []; ; ) $held[] = str_repeat('x', 100000);
			});
			$inner->start();
			$inner->resume();
		});
		$fiber->start($argv[1]);
	END
	local how
	for how in exit fatal memory; do
		rm -f "$LOG"
		same_twin php -n -d memory_limit=16M ends.php $how
		[[ $output == *shutdown* ]]
		check_balance
		(($(log_final create_local) + $(log_final create_depot) + $(log_final create_new) >= 52))
	done
}

@test "php: fiber.stack_size that changes at run time gives stacks of that size, also of more sizes than are pooled" {
	cat >sizes.php <<-'END'
		<?php
		$sum = 0;
		for ($round = 0; $round < 2; $round++) {
			for ($i = 0; $i < 200; $i++) {
				ini_set('fiber.stack_size', (string)(65536 + 4096 * ($i % 100)));
				$fiber = new Fiber(function () use ($i) { Fiber::suspend(); return $i; });
				$fiber->start();
				if ($i % 3 == 0) { $held[] = $fiber; continue; }
				$fiber->resume();
				$sum += $fiber->getReturn();
			}
			foreach ($held as $fiber) { $fiber->resume(); $sum += $fiber->getReturn(); }
			unset($fiber, $held);
		}
		ini_set('fiber.stack_size', '4096');
		try { $fiber = new Fiber(fn() => 1); $fiber->start(); } catch (Exception $e) { echo $e->getMessage(), "\n"; }
		echo "$sum\n";
	END
	same_twin "${php[@]}" sizes.php
	[[ $status -eq 0 && $output == *39800 ]]
	check_balance
	jq -se '[.[] | select(.type == "final") | .live] | length > 30 and all(.[]; . == 0)' "$LOG" >/dev/null
	grep -q 'kinds of stacks' "$LOG"
}

@test "php: a fiber that forks goes on, and its children have their own" {
	php -n -m | grep -qx pcntl || lacks "php has no pcntl"
	cat >inside.php <<-'END'
		<?php
		$forks = 0;
		$fiber = new Fiber(function () use (&$forks) {
			for ($i = 0; $i < 4; $i++) {
				$child = pcntl_fork();
				if ($child === 0) {
					for ($k = 0; $k < 100; $k++) { $held[$k] = new Fiber(function () { Fiber::suspend(); return 1; }); $held[$k]->start(); }
					$sum = 0;
					foreach ($held as $one) { $one->resume(); $sum += $one->getReturn(); }
					exit($sum === 100 ? 7 : 1);
				}
				Fiber::suspend();
				pcntl_waitpid($child, $status);
				$forks += pcntl_wexitstatus($status) === 7;
			}
		});
		$fiber->start();
		while (!$fiber->isTerminated()) {
			$other = new Fiber(fn() => Fiber::suspend());
			$other->start();
			$other->resume();
			$fiber->resume();
		}
		echo "$forks forks\n";
	END
	same_twin "${php[@]}" inside.php
	[[ $output == '4 forks' ]]
	check_balance
}

@test "php: a process that forks goes on with its fibers on both sides" {
	php -m | grep -qx pcntl || lacks "php has no pcntl"
	cat >fork.php <<-'END'
		<?php
		$alive = [];
		for ($i = 0; $i < 50; $i++) { $alive[$i] = new Fiber(function () use ($i) { Fiber::suspend(); return $i; }); $alive[$i]->start(); }
		$pid = pcntl_fork();
		$sum = 0;
		foreach ($alive as $fiber) { $fiber->resume(); $sum += $fiber->getReturn(); }
		for ($i = 0; $i < 500; $i++) { $fiber = new Fiber(function () { Fiber::suspend(); }); $fiber->start(); $fiber->resume(); }
		if ($pid === 0) { exit($sum === 1225 ? 4 : 1); }
		pcntl_waitpid($pid, $status);
		echo "$sum ", pcntl_wexitstatus($status), "\n";
	END
	same_twin "${php[@]}" fork.php
	[[ $output == '1225 4' ]]
}

@test "php: 100,000 fibers alive take less than a thousand memory maps" {
	many_php
	run_pooled "${php[@]}" many.php 100000
	[[ $status -eq 0 && $output == *'100000 alive'*done ]]
	[[ $(log_open detail) == *'by madvise'* ]] || skip "this kernel's guards take memory maps"
	(($(sed -n 's/.* alive, \([0-9]*\) maps/\1/p' <<<"$output") < 1000))
}

@test "php: where guards take memory maps, too many fibers end as they did" {
	(($(</proc/sys/vm/max_map_count) <= 100000)) || skip "vm.max_map_count is too high to be reached"
	cat >limit.php <<-'END'
		<?php
		$alive = [];
		try {
			for ($i = 0; $i < 100000; $i++) { $f = new Fiber(function () { Fiber::suspend(); }); $f->start(); $alive[] = $f; }
		} catch (Throwable $e) {
			$f = null;
			for ($many = count($alive); count($alive) > 1000; array_pop($alive));
			echo get_class($e), ': ', $e->getMessage(), "\n";
		}
		foreach ($alive as $f) $f->resume();
		echo $many > 30000 ? 'many' : $many, " done\n";
	END
	same_twin COPOOL_GUARD=mprotect "${php[@]}" limit.php
	[[ $status -eq 0 && $output == *'many done' ]]
}

@test "php: a fiber on a stack that was never used before takes no more page faults, memory and page tables than without" {
	cat >faults.php <<-'END'
		<?php
		function status($key) { preg_match("/^$key:\s+(\d+)/m", file_get_contents('/proc/self/status'), $found); return $found[1]; }
		$alive = array_fill(0, 4000, null);
		for ($i = 0; $i < 2000; $i++) { $alive[$i] = new Fiber(function () { Fiber::suspend(); }); $alive[$i]->start(); }
		$faults = getrusage()['ru_minflt']; $resident = status('VmRSS'); $tables = status('VmPTE');
		for (; $i < 4000; $i++) { $alive[$i] = new Fiber(function () { Fiber::suspend(); }); $alive[$i]->start(); }
		echo getrusage()['ru_minflt'] - $faults, ' ', status('VmRSS') - $resident, ' ', status('VmPTE') - $tables;
	END
	local stock taken i
	run_stock "${php[@]}" faults.php
	read -ra stock <<<"$output"
	run_pooled "${php[@]}" faults.php
	read -ra taken <<<"$output"
	[[ $(log_open detail) == *'by madvise'* ]] || skip "this kernel's guards take memory maps"
	for i in 0 1 2; do
		((stock[i] > 1000 && taken[i] * 100 <= stock[i] * 103))
	done
}

@test "php: COPOOL_MAX_LIVE ends a recursion of fibers as the system's limit does, with one warning" {
	cat >deep.php <<-'END'
		<?php function deeper($n) { global $most; $most = $n;
			$fiber = new Fiber(function () use ($n) { deeper($n + 1); }); $fiber->start(); }
		for ($round = 0; $round < 3; $round++) {
			try { deeper(0); } catch (Throwable $error) { echo $error->getMessage(), "\n"; }
			echo $most, "\n";
		}
		$one = new Fiber(fn() => print("still\n")); $one->start();
	END
	run_pooled COPOOL_MAX_LIVE=1000 "${php[@]}" deep.php
	[[ $status -eq 0 && ${lines[0]} == *'Cannot allocate memory'* && ${lines[1]} == 1000 && ${lines[5]} == 1000 ]]
	[[ ${lines[6]} == still && $(log_final peak_objects) -eq 1000 ]]
	[[ $(log_records warning .text | grep -c 'COPOOL_MAX_LIVE=1000') -eq 1 ]]
	check_balance
	# Idle stacks do not count, nor does what only observes refuse.
	cat >turns.php <<-'END'
		<?php for ($round = 0; $round < 50; $round++) {
			$all = []; for ($i = 0; $i < 900; $i++) { $all[$i] = new Fiber(fn() => Fiber::suspend()); $all[$i]->start(); } }
		echo "fine\n";
	END
	for way in COPOOL_MAX_LIVE=1900 COPOOL_MODE=observe; do
		rm -f "$LOG"
		run_pooled COPOOL_MAX_LIVE=1800 $way "${php[@]}" turns.php
		[[ $status -eq 0 && $output == fine && $(log_records warning | wc -l) -eq 0 ]]
	done
}

@test "php: a fiber makes no system call of its own once there are stacks" {
	requires strace jq
	no_calls run_pooled php 4
}

@test "php: a server with a fiber a connection answers a real client" {
	requires curl
	cat >serve.php <<-'END'
		<?php
		$server = stream_socket_server('tcp://127.0.0.1:0');
		stream_set_blocking($server, false);
		file_put_contents('port.new', substr(strrchr(stream_socket_get_name($server, false), ':'), 1));
		rename('port.new', 'port');
		$waiting = []; $served = 0;
		while ($served < (int)$argv[1]) {
			$read = [$server, ...array_column($waiting, 0)]; $write = $except = null;
			if (!stream_select($read, $write, $except, 20)) break;
			foreach ($read as $socket) {
				if ($socket === $server) {
					if (!($client = @stream_socket_accept($server, 0))) continue;
					$fiber = new Fiber(function () use ($client, &$served) {
						stream_set_blocking($client, false);
						for ($request = ''; !str_contains($request, "\r\n\r\n"); $request .= $part) {
							Fiber::suspend();
							if (($part = fread($client, 8192)) === '' && feof($client)) return;
						}
						$body = 'hello ' . strtok(substr($request, 5), ' ') . "\n";
						fwrite($client, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " . strlen($body) . "\r\n\r\n$body");
						fclose($client);
						$served++;
					});
					$fiber->start();
					$waiting[(int)$client] = [$client, $fiber];
				} else {
					[, $fiber] = $waiting[(int)$socket];
					$id = (int)$socket;
					$fiber->resume();
					if ($fiber->isTerminated()) unset($waiting[$id]);
				}
			}
		}
		echo "served $served\n";
	END
	start_pooled "${php[@]}" serve.php 300
	local server=$pid
	wait_until 10 test -e port
	curl -sS --noproxy '*' --max-time 30 "http://127.0.0.1:$(<port)/[1-300]" >answers
	ended "$server"
	[[ $status -eq 0 ]]
	diff <(seq -f 'hello %.0f' 300) answers
	grep -qx 'served 300' "output.$server"
	(($(log_final create_local) > 200))
}

# pages FILE: 600 of the bench's server on $port, of many connections at once, and how it says that there is none.
pages() {
	curl -sS --noproxy '*' --max-time 60 --parallel --parallel-max 30 "http://127.0.0.1:$port/page/[1-300]" -o "$1.page.#1"
	curl -sS --noproxy '*' --max-time 60 --parallel --parallel-max 30 "http://127.0.0.1:$port/item/[1-300]" -o "$1.item.#1"
	curl -sS --noproxy '*' --max-time 60 -o "$1.none" --write-out '%{http_code}\n' "http://127.0.0.1:$port/nothing"
}

@test "php: the server of make bench gives the same pages on many connections, and ends with no fiber left" {
	requires curl
	local how server
	mkfifo life
	for how in stock pooled; do
		"start_$how" bash -c 'exec "$@" <life' bash "${php[@]}" "$TESTS/bench/server.php"
		server=$pid
		exec 4>life
		wait_until 10 test -s "output.$server"
		port=$(<"output.$server")
		[[ $(pages $how) == 404 ]]
		exec 4>&-
		ended "$server"
		[[ $status -eq 0 && $(<"output.$server") == "$port" ]]
	done
	for how in stock pooled; do
		cat "$how".{item,page}.{1..300} "$how.none" >"$how"
		[[ $(grep -c '=' "$how") -eq 1200 ]]
	done
	cmp stock pooled
	check_balance
	(($(log_final create_local) + $(log_final create_depot) + $(log_final create_new) > 1500))
	(($(log_final live) == 0))
}

resident() { # PID: KiB
	sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"
}

is_back() { # PID KIB
	(($(resident "$1") * 10 <= $2 * 11))
}

@test "php: after a burst of 20,000 fibers an idle process gives the memory back within two windows" {
	cat >burst.php <<-'END'
		<?php
		function burst(int $n) {
			$alive = [];
			for ($i = 0; $i < $n; $i++) { $f = new Fiber(function () { Fiber::suspend(); }); $f->start(); $alive[] = $f; }
			foreach ($alive as $f) $f->resume();
		}
		function resident() {
			preg_match('/^VmRSS:\s+(\d+)/m', file_get_contents('/proc/self/status'), $found);
			return (int)$found[1];
		}
		burst(100); gc_collect_cycles(); gc_mem_caches();
		if (($argv[1] ?? '') == 'own') {
			$before = resident();
			burst(20000); gc_collect_cycles(); gc_mem_caches();
			echo resident() - $before;
			exit;
		}
		touch('before');
		fgets(STDIN);
		burst(20000); gc_collect_cycles(); gc_mem_caches();
		touch('after');
		$read = [STDIN]; $write = $except = null;
		stream_select($read, $write, $except, 60);
	END
	# What PHP keeps of its own heap after such a burst is not the pool's: stock PHP says how much.
	local own
	run_stock "${php[@]}" burst.php own
	own=$output
	((own >= 0 && own < 8192))
	mkfifo way
	local burst before high
	env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" COPOOL_DECAY_MS=1000 "${php[@]}" burst.php <way >out 2>&1 3>&- &
	burst=$!
	watch_over $burst
	exec 4>way
	wait_until 10 test -e before
	before=$(resident $burst)
	echo go >&4
	wait_until 20 test -e after
	high=$(resident $burst)
	wait_until 3 is_back $burst $((before + own)) || {
		echo "before $before KiB, after the burst $high, now $(resident $burst), of which PHP's own $own"
		return 1
	}
	((high > 2 * before)) # there was something to give back
	exec 4>&-
	ended $burst
	[[ $status -eq 0 ]]
}
