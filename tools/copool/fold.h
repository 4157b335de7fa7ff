/* SPDX-License-Identifier: MIT */
/*
 * Long lines on a terminal break between words, and go on as far in as they began; elsewhere a line stays one, for
 * programs that read it.
 */
#ifndef COPOOL_TOOLS_FOLD_H
#define COPOOL_TOOLS_FOLD_H

/* From now on standard output does so, if it is a terminal; before anything was written to it. */
void fold_stdout(void);

#endif
