/* SPDX-License-Identifier: MIT */
#include "adapter/ceiling.h"

#include "adapter/request.h"
#include "pool/census.h"
#include "system/warn.h"

unsigned ceiling_most;

void ceiling_init(unsigned most)
{
	ceiling_most = most;
}

bool ceiling_refuses(struct request *request)
{
	if (!request_is_stack(request) || !census_reaches(ceiling_most))
		return false;
	warn_once("COPOOL_MAX_LIVE=%u stacks are alive: further requests fail, as at the system's limit",
	        ceiling_most);
	return true;
}
