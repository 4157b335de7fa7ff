<?php
// SPDX-License-Identifier: MIT
// burst.php FIBERS: a burst of so many fibers that are alive at once, or of as many as there can be. Prints how many,
// their memory maps, bytes resident and bytes of page tables each, then microseconds of processor time: until the first
// fiber has run, for each of all to start, and for each to end.
function status(string $key): int
{
	preg_match("/^$key:\s+(\d+)/m", file_get_contents('/proc/self/status'), $found);
	return (int)$found[1] * 1024;
}

function used(): int
{
	$usage = getrusage();
	return ($usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec']) * 1_000_000 +
		$usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec'];
}

function maps(): int
{
	$maps = 0;
	$file = fopen('/proc/self/maps', 'r');
	while (fgets($file) !== false) {
		$maps++;
	}
	return $maps;
}

$body = static function (): void {
	Fiber::suspend();
};
$held = array_fill(0, (int)$argv[1], null); // what it takes is not the fibers'
$resident = status('VmRSS');
$tables = status('VmPTE');
$alive = 0;
$start = used();
try {
	for (; $alive < count($held); $alive++) {
		$fiber = new Fiber($body);
		$fiber->start();
		if ($alive === 0) {
			$first = used();
		}
		$held[$alive] = $fiber;
	}
} catch (Throwable) {
	for ($freed = 0; $freed < 100; $freed++) {
		$held[--$alive] = null; // room to count
	}
}
$last = used();
$resident = status('VmRSS') - $resident;
$tables = status('VmPTE') - $tables;
$maps = maps();
$held = array_slice($held, 0, $alive);
$fiber = null;
$end = used();
foreach ($held as $fiber) {
	$fiber->resume();
}
$ended = used();
printf("%d %d %d %d %d %.2f %.2f\n", $alive, $maps, $resident / $alive, $tables / $alive, $first - $start,
	($last - $start) / $alive, ($ended - $end) / $alive);
