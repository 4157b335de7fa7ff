/* `name` is written by self_know. */
#include "libc/self.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

static char name[NAME_MAX + 1] = "?";

/* The name may be longer than any file's; the rest is left out. */
static void copy(const char *from)
{
	if (from != NULL && from[0] != '\0')
		snprintf(name, sizeof name, "%s", from);
}

void self_know(void)
{
	const char *path = (const char *)getauxval(AT_EXECFN);
	const char *slash = path != NULL ? strrchr(path, '/') : NULL;

	/* A program may be called without a name; then its file has one. */
	copy(slash != NULL ? slash + 1 : path);
	copy(program_invocation_short_name);
}

const char *self_name(void)
{
	return name;
}
