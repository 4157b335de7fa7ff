# SPDX-License-Identifier: MIT
# PHP scripts that more than one file runs.
# shellcheck shell=bash
# shellcheck disable=SC2154 # run sets status

# Fibers in all the ways that PHP has, and what came of them.
fibers_php() {
	cat >fibers.php <<-'END'
		<?php
		function life(int $n): int {
			$fiber = new Fiber(function (int $n): int { return $n + Fiber::suspend($n * 2); });
			$got = $fiber->start($n);
			$fiber->resume($got);
			return $fiber->getReturn();
		}
		$sum = 0;
		for ($i = 0; $i < 3000; $i++) $sum += life($i);
		echo "sequence $sum\n";

		$alive = [];
		for ($i = 0; $i < 1000; $i++) {
			$alive[$i] = new Fiber(function () use ($i) { $x = range(0, $i % 50); Fiber::suspend(); return array_sum($x); });
			$alive[$i]->start();
		}
		$sum = 0;
		foreach ($alive as $fiber) { $fiber->resume(); $sum += $fiber->getReturn(); }
		echo "alive $sum\n";

		function nest(int $depth): int {
			if ($depth == 0) return 0;
			$fiber = new Fiber(fn() => nest($depth - 1) + 1);
			$fiber->start();
			return $fiber->getReturn();
		}
		echo 'nested ', nest(200), "\n";

		function numbers() { for ($i = 0; $i < 5; $i++) yield Fiber::suspend($i); }
		$fiber = new Fiber(function () { foreach (numbers() as $n) echo "generated $n\n"; });
		$n = $fiber->start();
		while (!$fiber->isTerminated()) $n = $fiber->resume($n * $n);

		$fiber = new Fiber(function () { try { Fiber::suspend(); } finally { echo "finally\n"; } });
		$fiber->start();
		try { $fiber->throw(new LogicException('through')); } catch (LogicException $e) { echo $e->getMessage(), "\n"; }
		for ($i = 0; $i < 100; $i++) {
			$fiber = new Fiber(function () { throw new RuntimeException('out'); });
			try { $fiber->start(); } catch (RuntimeException $e) { $caught = ($caught ?? 0) + 1; }
		}
		echo "caught $caught\n";
		$forgotten = new Fiber(function () { try { Fiber::suspend(); } finally { echo "destroyed\n"; } });
		$forgotten->start();
		$forgotten = null;
		preg_match('/(?:.|\n)*?x/', str_repeat("a\n", 20000), $m);
		echo 'preg ', preg_last_error_msg(), "\n";
	END
}

# many.php N: so many fibers alive at once, or as many as there can be.
many_php() {
	cat >many.php <<-'END'
		<?php
		$alive = [];
		try {
			for ($i = 0; $i < (int)$argv[1]; $i++) { $f = new Fiber(function () { Fiber::suspend(); }); $f->start(); $alive[] = $f; }
		} catch (Throwable $e) { echo get_class($e), ': ', $e->getMessage(), "\n"; }
		echo count($alive), ' alive, ', count(file('/proc/self/maps')), " maps\n";
		foreach ($alive as $f) $f->resume();
		echo "done\n";
	END
}

# The same of fewer fibers, for who runs it often.
small_fibers_php() {
	fibers_php
	sed -i 's/3000/300/; s/< 1000/< 40/; s/nest(200)/nest(20)/' fibers.php
}

# quiet.php ALIVE: lives of fibers, so many at once; then 2000 and 4000 of them between calls that can be found in a trace.
quiet_php() {
	cat >quiet.php <<-'END'
		<?php
		function lives(int $fibers, int $alive) {
			$body = static function (): void { Fiber::suspend(); };
			for ($done = 0; $done < $fibers; $done += $alive) {
				$held = [];
				for ($i = 0; $i < $alive; $i++) { $held[$i] = new Fiber($body); $held[$i]->start(); }
				foreach ($held as $fiber) $fiber->resume();
			}
		}
		lives(20000, (int)$argv[1]);
		file_exists('/mark-1'); lives(2000, (int)$argv[1]);
		file_exists('/mark-2'); lives(4000, (int)$argv[1]);
		file_exists('/mark-3');
	END
}

# calls_between_marks TRACE: how many system calls the thread that runs PHP made for the 2000 fibers, and how many for the 4000.
calls_between_marks() {
	awk 'NR == 1 { main = $1 }
		$1 != main || / resumed>| --- SIG/ { next }
		/"\/mark-[0-9]"/ { part = substr($0, index($0, "/mark-") + 6, 1); next }
		part == 1 || part == 2 { calls[part]++; print >"/dev/stderr" }
		END { print calls[1] + 0, part == 3 ? calls[2] + 0 : "cut off" }' "$1"
}

# no_calls RUN PROGRAM CALLS: once there are stacks no fiber makes a system call, and the log says how many that saved, of
# CALLS that PHP makes for each. RUN runs a command under the shim.
no_calls() {
	local alive calls
	quiet_php
	for alive in 1 100 1000; do
		rm -f "$LOG"
		# Nothing is given back in this time: a busy machine may take longer than a window.
		COPOOL_DECAY_MS=0 "$1" strace -f -o trace "$2" -n quiet.php $alive
		[[ $status -eq 0 ]] || return
		calls=$(calls_between_marks trace)
		echo "$2, $alive alive: $calls system calls"
		[[ $calls == '0 0' ]] || return
		(($(log_final calls_saved) >= 26000 * $3 - 100 - 10 * alive)) || return # what comes first takes some
		[[ $(log_records final .pool) == 'stack 2101248 php' ]] || return
	done
}
