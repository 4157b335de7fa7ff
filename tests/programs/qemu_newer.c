/* SPDX-License-Identifier: MIT */
/* As QEMU from 9.0 on: its own pool starts with 128, and its size is changed under a lock. */
#define POOL_SIZE 128
#define LOCKED_POOL_SIZE

#include "qemu_like.c"
