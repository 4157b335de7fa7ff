/* SPDX-License-Identifier: MIT */
/* A name as long that says nothing. */
#define MAKER coro_table_alloc
#include "late_maker.h"
