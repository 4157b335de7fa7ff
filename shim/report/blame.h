/* The `origin` records: the stacks that were recorded, in words. */
#ifndef COPOOL_REPORT_BLAME_H
#define COPOOL_REPORT_BLAME_H

struct line;

/* Makes each record in `line`, and has it written. At exit; the statistics thread's. */
void blame_write(struct line *line, int (*write)(void));

#endif
