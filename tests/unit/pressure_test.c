/* SPDX-License-Identifier: MIT */
/* Whether memory is short, from files like the kernel's in a folder that stands for the root. */
#include "report/pressure.h"

#include "fake_root.h"

static void end(struct pressure *pressure)
{
	if (pressure->events_fd >= 0)
		close(pressure->events_fd);
	if (pressure->stalled_fd >= 0)
		close(pressure->stalled_fd);
}

static void test_nothing(void)
{
	struct pressure pressure = PRESSURE_INIT;

	root_make();
	tap_ok(!pressure_is_felt(&pressure, 1000), "pressure: none where nothing was opened");
	pressure_open(&pressure, root);
	tap_ok(!pressure_is_felt(&pressure, 2000), "pressure: none where nothing tells of it");
	end(&pressure);
}

static void put_events(const char *name, unsigned high, unsigned max)
{
	put(name, "low 5\nhigh %u\nmax %u\noom 0\noom_kill 0\noom_group_kill 0\n", high, max);
}

static void test_second_version(const char *group, const char *seen)
{
	struct pressure pressure;
	char name[PATH_MAX];

	root_make();
	put("proc/self/cgroup", "0::%s\n", group);
	snprintf(name, sizeof name, "sys/fs/cgroup%s/memory.events", seen);
	put_events(name, 7, 3);
	pressure_open(&pressure, root);
	tap_ok(!pressure_is_felt(&pressure, 1000), "pressure: none of what was before, in group %s", group);
	put_events(name, 8, 3);
	tap_ok(pressure_is_felt(&pressure, 2000), "pressure: felt when memory.high was reached");
	tap_ok(!pressure_is_felt(&pressure, 3000), "pressure: once for each time");
	put_events(name, 8, 4);
	tap_ok(pressure_is_felt(&pressure, 4000), "pressure: felt when memory.max was reached");
	put(name, "%s", "");
	tap_ok(!pressure_is_felt(&pressure, 5000), "pressure: none when nothing can be read any more");
	put_events(name, 8, 4);
	tap_ok(!pressure_is_felt(&pressure, 6000), "pressure: nor when it can again, and is as it was");
	end(&pressure);
}

static void test_first_version(void)
{
	struct pressure pressure;

	root_make();
	put("proc/self/cgroup", "9:name=systemd:/\n4:memory:/a/b\n0::/\n");
	put("sys/fs/cgroup/memory/a/b/memory.failcnt", "12\n");
	pressure_open(&pressure, root);
	tap_ok(!pressure_is_felt(&pressure, 1000), "pressure: none of what was before, in the first version");
	put("sys/fs/cgroup/memory/a/b/memory.failcnt", "13\n");
	tap_ok(pressure_is_felt(&pressure, 2000),
	        "pressure: felt when the limit was reached, in the first version");
	end(&pressure);
}

static void put_stalled(const char *name, unsigned total_us)
{
	put(name,
	        "some avg10=0.00 avg60=0.00 avg300=0.00 total=%u\nfull avg10=0.00 avg60=0.00 avg300=0.00 "
	        "total=1\n",
	        total_us);
}

static void test_stalled(const char *name)
{
	struct pressure pressure;

	root_make();
	put("proc/self/cgroup", "0::/group\n");
	put_stalled(name, 5000000);
	pressure_open(&pressure, root);
	pressure_is_felt(&pressure, 1000);
	put_stalled(name, 5090000);
	tap_ok(!pressure_is_felt(&pressure, 2000), "pressure: not felt in 9 %% of the time, by %s", name);
	put_stalled(name, 5210000);
	tap_ok(pressure_is_felt(&pressure, 3000), "pressure: felt when tasks waited for 12 %% of the time");
	put_stalled(name, 5210000);
	tap_ok(!pressure_is_felt(&pressure, 4000), "pressure: and not when they wait no more");
	end(&pressure);
}

static void test_machine(void)
{
	struct pressure pressure;

	root_make();
	put("proc/self/cgroup", "4:memory:/a\n");
	put("sys/fs/cgroup/memory/a/memory.failcnt", "0\n");
	put("sys/fs/cgroup/memory/memory.limit_in_bytes", "1000000\n");
	put_stalled("proc/pressure/memory", 0);
	pressure_open(&pressure, root);
	pressure_is_felt(&pressure, 1000);
	put_stalled("proc/pressure/memory", 900000);
	tap_ok(!pressure_is_felt(&pressure, 2000), "pressure: a group that has a limit feels its own alone");
	end(&pressure);
}

int main(void)
{
	if (mkdtemp(root) == NULL)
		return 1;
	test_nothing();
	test_second_version("/system.slice/a.service", "/system.slice/a.service");
	test_second_version("/not/seen/from/here", "");
	test_first_version();
	test_stalled("sys/fs/cgroup/group/memory.pressure");
	test_stalled("proc/pressure/memory");
	test_machine();
	root_remove();
	return tap_done();
}
