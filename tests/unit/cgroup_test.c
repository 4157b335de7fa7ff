/* SPDX-License-Identifier: MIT */
/* The files of a memory control group, in a folder in place of the root. */
#include "system/cgroup.h"

#include "fake_root.h"

#include <errno.h>

/* Opens the file, and closes it; whether it held `text`. */
static bool opens(const char *second, const char *first, const char *text)
{
	char got[CGROUP_TEXT_BYTES];
	int fd = cgroup_open(root, second, first);
	bool is_read = cgroup_read(fd, got);

	if (fd >= 0)
		close(fd);
	return is_read && strcmp(got, text) == 0;
}

static void test_none(void)
{
	char text[CGROUP_TEXT_BYTES] = "x";

	root_make();
	errno = E2BIG;
	tap_is(cgroup_open(root, "memory.max", "memory.limit_in_bytes"), -1,
	        "cgroup: none where there is no /proc");
	tap_is(cgroup_memory_limit(root), -1, "cgroup: no limit either");
	tap_ok(!cgroup_is_denied(root), "cgroup: nothing is denied where there is nothing");
	tap_is(errno, E2BIG, "cgroup: errno survives that");
	tap_ok(!cgroup_read(-1, text) && text[0] == '\0', "cgroup: what is not open is empty");
	put("proc/self/cgroup", "nonsense\n::\n:\n\n");
	tap_is(cgroup_open(root, "memory.max", "memory.limit_in_bytes"), -1, "cgroup: none in nonsense");
}

static void test_second(void)
{
	root_make();
	put("proc/self/cgroup", "0::/a.slice/b\n");
	put("sys/fs/cgroup/a.slice/b/file", "of b");
	put("sys/fs/cgroup/file", "of the root");
	tap_ok(opens("file", "other", "of b"), "cgroup: a file of version 2 is found in its group");
	tap_ok(!opens(NULL, "file", "of b"), "cgroup: but not by its name of version 1");
	put("sys/fs/cgroup/a.slice/b/cgroup.procs", "1\n");
	tap_ok(!cgroup_is_denied(root), "cgroup: what can be opened is not denied");
	put("proc/self/cgroup", "0::/not/seen/from/here\n");
	tap_ok(opens("file", NULL, "of the root"), "cgroup: a group that is not seen is the root of what is");
}

static void test_first(void)
{
	root_make();
	put("proc/self/cgroup", "9:name=memory:/wrong\n4:cpu,memory:/a:b\n3:memoryless:/wrong\n0::/wrong\n");
	put("sys/fs/cgroup/memory/a:b/file", "of a:b");
	put("sys/fs/cgroup/wrong/file", "wrong");
	tap_ok(opens("events", "file", "of a:b"),
	        "cgroup: version 1 is found beside version 2, by its controller");
}

static void test_limits(void)
{
	root_make();
	put("proc/self/cgroup", "0::/a/b\n");
	put("sys/fs/cgroup/a/b/memory.max", "max\n");
	tap_ok(cgroup_memory_limit(root) == UINT64_MAX, "cgroup: \"max\" is no limit");
	put("sys/fs/cgroup/a/memory.max", "9223372036854771712\n");
	tap_ok(cgroup_memory_limit(root) == UINT64_MAX,
	        "cgroup: nor is the number that version 1 has for it");
	put("sys/fs/cgroup/a/memory.max", "1073741824\n");
	tap_is(cgroup_memory_limit(root), 1 << 30, "cgroup: the limit of a group above holds");
	put("sys/fs/cgroup/a/b/memory.max", "268435456\n");
	tap_is(cgroup_memory_limit(root), 256 << 20, "cgroup: the least limit is the one");
	put("proc/self/cgroup", "4:memory:/c\n0::/a/b\n");
	put("sys/fs/cgroup/memory/c/memory.limit_in_bytes", "134217728\n");
	put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	tap_is(cgroup_memory_limit(root), 128 << 20, "cgroup: in version 1 as in version 2");
	put("proc/self/cgroup", "4:memory:/\n");
	put("sys/fs/cgroup/memory/memory.limit_in_bytes", "33554432\n");
	tap_is(cgroup_memory_limit(root), 32 << 20, "cgroup: a container's limit lies at its root");
}

int main(void)
{
	if (mkdtemp(root) == NULL)
		return 1;
	test_none();
	test_second();
	test_first();
	test_limits();
	root_remove();
	return tap_done();
}
