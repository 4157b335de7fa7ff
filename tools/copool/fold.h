/* SPDX-License-Identifier: MIT */
/*
 * Breaks long lines between words on a terminal, and indents the rest as the line began. Elsewhere a line stays one line,
 * for programs that read it.
 */
#ifndef COPOOL_TOOLS_FOLD_H
#define COPOOL_TOOLS_FOLD_H

/* Makes standard output do so, if it is a terminal. Must be called before anything is written to it. */
void fold_stdout(void);

#endif
