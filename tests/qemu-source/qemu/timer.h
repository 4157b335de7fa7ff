/* SPDX-License-Identifier: MIT */
/* In place of QEMU's own, of which its coroutines' header names a type. */
#ifndef COPOOL_TESTS_QEMU_TIMER_H
#define COPOOL_TESTS_QEMU_TIMER_H

typedef int QEMUClockType;

#include "qemu/atomic.h"
#include "qemu/notify.h"

#endif
