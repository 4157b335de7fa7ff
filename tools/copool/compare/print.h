/* SPDX-License-Identifier: MIT */
/* The runs without the pool beside those with it: medians, on standard output. */
#ifndef COPOOL_TOOLS_COMPARE_PRINT_H
#define COPOOL_TOOLS_COMPARE_PRINT_H

#include "compare/sides.h"
#include "compare/verdict.h"

void print_table(const struct side *stock, const struct side *pooled, const char *verdict);

/* `words`: the program and its arguments, up to NULL. */
void print_json(char **words, const struct side *stock, const struct side *pooled, enum verdict found,
        const char *verdict);

#endif
