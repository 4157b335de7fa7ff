/* SPDX-License-Identifier: MIT */
/* What runs without and with the pool came to, side by side, on standard output. */
#ifndef COPOOL_TOOLS_COMPARE_SIDES_H
#define COPOOL_TOOLS_COMPARE_SIDES_H

#include <stdbool.h>

#include "compare/verdict.h"

void sides_print_table(const struct side *stock, const struct side *pooled, const char *verdict);

/* `words`: the program and its arguments, up to NULL. */
void sides_print_json(char **words, const struct side *stock, const struct side *pooled, enum verdict found,
        const char *verdict);

#endif
