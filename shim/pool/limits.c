/* SPDX-License-Identifier: MIT */
/* Reads vm.max_map_count (without /proc: the kernel's default), RLIMIT_AS and the control group's limit. */
#include "pool/limits.h"

#include "system/cgroup.h"
#include "pool/depot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DEFAULT_MAX_MAPS = 65530, MAPS_SHARE = 2, BYTES_SHARE = 8, TOUCHED_PAGES = 2 };

static unsigned long read_max_maps(void)
{
	int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
	unsigned long maps = 0;
	char text[24];
	ssize_t got;

	if (fd < 0)
		return DEFAULT_MAX_MAPS;
	got = read(fd, text, sizeof text - 1);
	close(fd);
	if (got > 0) {
		text[got] = '\0';
		maps = strtoul(text, NULL, 10);
	}
	return maps > 0 ? maps : DEFAULT_MAX_MAPS;
}

unsigned long limits_max_maps(void)
{
	int saved = errno;
	unsigned long maps = read_max_maps();

	errno = saved;
	return maps;
}

void limits_read(struct limits *limits, const char *root)
{
	struct rlimit addresses;
	int saved = errno;

	limits->maps = limits_max_maps();
	limits->address_bytes = UINT64_MAX;
	if (getrlimit(RLIMIT_AS, &addresses) == 0 && addresses.rlim_cur != RLIM_INFINITY)
		limits->address_bytes = addresses.rlim_cur;
	limits->memory_bytes = cgroup_memory_limit(root);
	errno = saved;
}

/* How many batches fit into the `share`th part of `all`, if each object takes `each`. */
static uint64_t fit(uint64_t all, unsigned share, uint64_t each)
{
	return each > 0 && all != UINT64_MAX ? all / share / each / BATCH_SIZE : UINT64_MAX;
}

unsigned limits_batches(const struct limits *limits, unsigned maps, size_t bytes)
{
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE), least = DEPOT_MAX_BATCHES;
	const uint64_t batches[] = {
	        fit(limits->maps, MAPS_SHARE, maps),
	        fit(limits->address_bytes, BYTES_SHARE, bytes),
	        fit(limits->memory_bytes, BYTES_SHARE, TOUCHED_PAGES * page_bytes),
	};

	for (size_t i = 0; i < sizeof batches / sizeof *batches; i++)
		least = batches[i] < least ? batches[i] : least;
	return least > 0 ? (unsigned)least : 1;
}
