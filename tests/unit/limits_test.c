/* SPDX-License-Identifier: MIT */
/* How many idle objects the system's limits allow. */
#include "pool/limits.h"

#include "fake_root.h"
#include "pool/depot.h"

#include <errno.h>
#include <sys/resource.h>

static const struct limits none = {ULONG_MAX, UINT64_MAX, UINT64_MAX};

static void test_batches(void)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct limits limits = none;

	tap_is(limits_batches(&none, 2, 1 << 20), DEPOT_MAX_BATCHES,
	        "limits: where there are none it is the depot's");
	limits.maps = 65530;
	tap_is(limits_batches(&limits, 2, 0), 65530 / 2 / 2 / 16,
	        "limits: objects take half of the memory maps");
	tap_is(limits_batches(&limits, 0, 1 << 20), DEPOT_MAX_BATCHES,
	        "limits: what takes no maps may take none");
	limits.address_bytes = 4ULL << 30;
	tap_is(limits_batches(&limits, 2, 1 << 20), 32, "limits: an eighth of the addresses");
	tap_is(limits_batches(&limits, 2, 0), 1023,
	        "limits: whose addresses nobody counts has as many as before");
	limits.memory_bytes = 16 * 8 * 2 * page * 7;
	tap_is(limits_batches(&limits, 2, 1 << 20), 7, "limits: an eighth of the memory, at two pages each");
	limits.memory_bytes = page;
	tap_is(limits_batches(&limits, 2, 1 << 20), 1, "limits: a batch there is in any case");
}

static void test_reading(void)
{
	struct rlimit before, less;
	struct limits limits;

	root_make();
	errno = E2BIG;
	limits_read(&limits, root);
	tap_is(errno, E2BIG, "limits: errno survives the reading");
	tap_is(limits.maps, limits_max_maps(), "limits: vm.max_map_count is read");
	tap_ok(limits.memory_bytes == UINT64_MAX, "limits: no group, no limit");
	put("proc/self/cgroup", "0::/g\n");
	put("sys/fs/cgroup/g/memory.max", "4096000\n");
	getrlimit(RLIMIT_AS, &before);
	less = before;
	less.rlim_cur = 1ULL << 45;
	setrlimit(RLIMIT_AS, &less);
	limits_read(&limits, root);
	setrlimit(RLIMIT_AS, &before);
	tap_is(limits.memory_bytes, 4096000, "limits: that of the group is read");
	tap_ok(limits.address_bytes == 1ULL << 45, "limits: RLIMIT_AS is read");
}

int main(void)
{
	if (mkdtemp(root) == NULL)
		return 1;
	test_batches();
	test_reading();
	root_remove();
	return tap_done();
}
