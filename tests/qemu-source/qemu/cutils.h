/* SPDX-License-Identifier: MIT */
/* In place of QEMU's own. */
#ifndef COPOOL_TESTS_QEMU_CUTILS_H
#define COPOOL_TESTS_QEMU_CUTILS_H

int qemu_strtoi(const char *text, const char **end, int base, int *result);

#endif
