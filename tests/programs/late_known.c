/* SPDX-License-Identifier: MIT */
/* perl Coro's name for it. */
#define MAKER coro_stack_alloc
#include "late_maker.h"
