/* A descriptor for each guard: a guard is set up once in a slot's life, and the host shall never meet ours.
 */
#include "stack/poison.h"

#include "libc/real.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* From Linux 6.6's header. */
struct poison_request {
	struct uffdio_range range;
	uint64_t mode;
	int64_t updated; /* bytes done, or -errno */
};

#define POISON_FEATURE ((uint64_t)1 << 14)
#define POISON_IOCTL   _IOWR(UFFDIO, 0x08, struct poison_request)

static int poison_range(int fd, void *low, size_t bytes)
{
	struct uffdio_api api = {.api = UFFD_API, .features = POISON_FEATURE};
	struct uffdio_register registration = {
	        .range = {(uintptr_t)low, bytes}, .mode = UFFDIO_REGISTER_MODE_MISSING};
	struct poison_request poison = {.range = {(uintptr_t)low, bytes}};

	if (ioctl(fd, UFFDIO_API, &api) != 0 || ioctl(fd, UFFDIO_REGISTER, &registration) != 0)
		return -errno;
	if (ioctl(fd, POISON_IOCTL, &poison) != 0)
		return -errno;
	return poison.updated == (int64_t)bytes ? 0 : -EAGAIN;
}

int poison_install(void *low, size_t bytes)
{
	int saved = errno, error, fd = -1;

	/*
	 * Linux 6.12 does not join the parts of a mapping again of which only one was ever touched; so all of
	 * it is, by a page that comes and goes.
	 */
	real_own_madvise(low, 1, MADV_POPULATE_WRITE);
	error = poison_remove(low, bytes); /* a page that is there cannot be poisoned */
	if (error == 0) {
		fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
		error = fd >= 0 ? poison_range(fd, low, bytes) : -errno;
	}
	if (fd >= 0)
		close(fd); /* ends the registration, and the mapping is whole again */
	errno = saved;
	return error;
}

int poison_remove(void *low, size_t bytes)
{
	int saved = errno, error;

	error = real_own_madvise(low, bytes, MADV_DONTNEED) == 0 ? 0 : -errno;
	errno = saved;
	return error;
}
