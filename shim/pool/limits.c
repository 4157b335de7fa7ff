/* Reads vm.max_map_count. Without /proc the kernel's default is taken. */
#include "pool/limits.h"

#include "pool/depot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { DEFAULT_MAX_MAPS = 65530 };

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

unsigned limits_batches(unsigned maps)
{
	unsigned long batches = limits_max_maps() / 2 / maps / BATCH_SIZE;

	if (batches < 1)
		return 1;
	return batches < DEPOT_MAX_BATCHES ? batches : DEPOT_MAX_BATCHES;
}
