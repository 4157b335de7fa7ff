/* SPDX-License-Identifier: MIT */
/* What all adapters share. */
#include "adapter/adapter.h"

#include <stdarg.h>
#include <stdio.h>

void adapter_say(struct adapter_outcome *outcome, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(outcome->detail, sizeof outcome->detail, format, arguments);
	va_end(arguments);
}
