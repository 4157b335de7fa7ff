<?php
// SPDX-License-Identifier: MIT
// life.php FIBERS ALIVE: prints the nanoseconds of processor time of one fiber's life (new, start, suspend, resume,
// free), with so many alive at once.
function used(): int
{
	$usage = getrusage();
	return ($usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec']) * 1_000_000_000 +
		($usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec']) * 1000;
}

$fibers = (int)$argv[1];
$alive = (int)$argv[2];
$body = static function (): void {
	Fiber::suspend();
};
$held = [];
$start = used();
for ($done = 0; $done < $fibers; $done += $alive) {
	for ($i = 0; $i < $alive; $i++) {
		$fiber = new Fiber($body);
		$fiber->start();
		$held[] = $fiber;
	}
	foreach ($held as $fiber) {
		$fiber->resume();
	}
	$held = [];
}
printf("%d\n", (used() - $start) / $done);
