/*
 * What the program is called. libc's own word for it points into argv, where programs write their titles over it
 * while they run; here is what it was at the start.
 */
#ifndef COPOOL_LIBC_SELF_H
#define COPOOL_LIBC_SELF_H

/* Called once, by the constructor, before all that asks. */
void self_know(void);

/* The name of the program's file as it was called, without folders; never empty. Outlives the process. */
const char *self_name(void);

#endif
