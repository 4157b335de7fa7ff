<?php
// SPDX-License-Identifier: MIT
// alive.php FIBERS: how many can be alive at once, in how many memory maps, with how many bytes resident each.
function status(string $key): int
{
	preg_match("/^$key:\s+(\d+)/m", file_get_contents('/proc/self/status'), $found);
	return (int)$found[1];
}

$held = [];
$before = status('VmRSS');
try {
	while (count($held) < (int)$argv[1]) {
		$fiber = new Fiber(function (): void {
			Fiber::suspend();
		});
		$fiber->start();
		$held[] = $fiber;
	}
} catch (Throwable) {
	array_pop($held); // room to count
	array_splice($held, -100);
}
$maps = 0;
$file = fopen('/proc/self/maps', 'r');
while (fgets($file) !== false) {
	$maps++;
}
printf("%d %d %d\n", count($held), $maps, (status('VmRSS') - $before) * 1024 / count($held));
