/* SPDX-License-Identifier: MIT */
/* The pages that `copool recipe` prints, each ended by a zero byte, and an empty one after the last. */
	.section .rodata
	.global service_pages
	.hidden service_pages
service_pages:
	.incbin "service/pages"
	.byte 0

	.section .note.GNU-stack, "", %progbits
