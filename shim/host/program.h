/* What hosts ask about the running program before they change it. */
#ifndef COPOOL_HOST_PROGRAM_H
#define COPOOL_HOST_PROGRAM_H

#include <stdbool.h>

/*
 * Whether the program's own code has not run yet: we came with the program (LD_PRELOAD, or linked to it), not
 * later by dlopen. Only then nobody can be inside its functions.
 */
bool program_is_starting(void);

#endif
