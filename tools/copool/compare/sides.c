/* SPDX-License-Identifier: MIT */
#include "compare/sides.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "amount.h"

struct spread side_spread(const struct side *side, enum trial_metric metric)
{
	struct spread spread = {NAN, NAN, NAN};
	double *value = malloc(side->runs * sizeof *value);
	unsigned known = 0;

	for (unsigned i = 0; value != NULL && i < side->runs; i++) {
		if (!isnan(side->trial[i].value[metric]))
			value[known++] = side->trial[i].value[metric];
	}
	if (known > 0) {
		amount_sort(value, known);
		spread.low = value[0];
		spread.high = value[known - 1];
		spread.median = (value[known / 2] + value[(known - 1) / 2]) / 2;
	}
	free(value);
	return spread;
}

unsigned side_failures(const struct side *side)
{
	unsigned failures = 0;

	for (unsigned i = 0; i < side->runs; i++)
		failures += side->trial[i].status != 0;
	return failures;
}

void side_status(const struct side *side, char *text)
{
	unsigned failures = side_failures(side), alike = 0, i = 0;
	char word[32] = "0";

	while (failures > 0 && side->trial[i].status == 0)
		i++;
	int status = side->trial[i].status;
	if (WIFSIGNALED(status) && sigabbrev_np(WTERMSIG(status)) != NULL)
		snprintf(word, sizeof word, "SIG%s", sigabbrev_np(WTERMSIG(status)));
	else
		snprintf(word, sizeof word, "%d",
		        WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	for (i = 0; i < side->runs; i++)
		alike += side->trial[i].status == status;
	if (alike == side->runs)
		snprintf(text, SIDE_STATUS_BYTES, "%s", word);
	else
		snprintf(text, SIDE_STATUS_BYTES, "%s in %u of %u runs", word, alike, side->runs);
}
