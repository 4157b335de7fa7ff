<?php
// life.php FIBERS ALIVE: prints the nanoseconds of one fiber's life, with so many alive at once.
[, $fibers, $alive] = $argv;
$held = [];
$start = hrtime(true);
for ($done = 0; $done < $fibers; $done += $alive) {
	for ($i = 0; $i < $alive; $i++) {
		$fiber = new Fiber(function (): void {
			Fiber::suspend();
		});
		$fiber->start();
		$held[] = $fiber;
	}
	foreach ($held as $fiber) {
		$fiber->resume();
	}
	$held = [];
}
printf("%d\n", (hrtime(true) - $start) / $done);
