<?php
// life.php FIBERS ALIVE: prints the nanoseconds of one fiber's life (new, start, suspend, resume, free), with so
// many alive at once.
$fibers = (int)$argv[1];
$alive = (int)$argv[2];
$body = static function (): void {
	Fiber::suspend();
};
$held = [];
$start = hrtime(true);
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
printf("%d\n", (hrtime(true) - $start) / $done);
