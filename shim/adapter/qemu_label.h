/* SPDX-License-Identifier: MIT */
/* What QEMU's own options call its guest. Constructor time. */
#ifndef COPOOL_ADAPTER_QEMU_LABEL_H
#define COPOOL_ADAPTER_QEMU_LABEL_H

#include <stddef.h>

/* As adapter.find_label: the guest's name in QEMU's option -name. */
void qemu_label_find(char *const *arguments, char *label, size_t bytes);

#endif
