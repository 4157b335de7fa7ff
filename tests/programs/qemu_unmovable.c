/* SPDX-License-Identifier: MIT */
/* A qemu_coroutine_new whose first instructions cannot run elsewhere. */
#define UNMOVABLE_NEW

#include "qemu_like.c"
