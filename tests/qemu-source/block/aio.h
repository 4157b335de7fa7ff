/* SPDX-License-Identifier: MIT */
/* In place of QEMU's own. */
#ifndef COPOOL_TESTS_BLOCK_AIO_H
#define COPOOL_TESTS_BLOCK_AIO_H

AioContext *qemu_get_current_aio_context(void);

#endif
