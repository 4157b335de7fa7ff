/* SPDX-License-Identifier: MIT */
/* A loop whose code is not that of any QEMU. */
#define ODD_LOOP

#include "qemu_like.c"
