// SPDX-License-Identifier: MIT
// fiber FIBERS ALIVE: as life.php, with D's core.thread.Fiber.
import core.memory, core.thread, core.time, std.conv, std.stdio;

void main(string[] argument)
{
	long fibers = argument[1].to!long, alive = argument[2].to!long, done;
	auto held = new Fiber[alive];
	auto start = MonoTime.currTime;

	for (; done < fibers; done += alive)
	{
		foreach (ref fiber; held)
		{
			fiber = new Fiber({ Fiber.yield(); });
			fiber.call();
		}
		foreach (ref fiber; held)
		{
			fiber.call();
			destroy(fiber);
		}
	}
	writeln((MonoTime.currTime - start).total!"nsecs" / done);
}
