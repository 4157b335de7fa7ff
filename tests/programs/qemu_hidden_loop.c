/* SPDX-License-Identifier: MIT */
/* Coroutines end where nobody can know. */
#define HIDDEN_LOOP

#include "qemu_like.c"
