/* A pool size that no QEMU has. */
#define POOL_SIZE 100

#include "qemu_like.c"
