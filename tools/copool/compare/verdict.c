/* SPDX-License-Identifier: MIT */
/*
 * The rules. Counts are exact, and a difference in them counts if it is large enough to matter. Times vary: one is
 * shorter if all runs of one kind took less than all of the other, by 3 % of the median at least; with fewer than five
 * of each kind, by more than either kind varied; with fewer than three, times are not judged.
 */
#include "compare/verdict.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "amount.h"

enum { RUNS_THAT_TELL = 3, RUNS_THAT_SUFFICE = 5, MISSES_WORTH = 16 };

static const double least_share = 0.01, least_fall = 0.1, least_change = 0.03, least_memory = 0.1;

void verdict_rate(struct trial *trial, double least)
{
	double creates = fmax(trial->value[TRIAL_CREATES], least);

	trial->value[TRIAL_MISS_RATE] = creates > 0 ? trial->value[TRIAL_NEW] / creates : NAN;
}

/* -1: less with the pool; 1: more; 0: the runs show no difference. */
static int compare(
        const struct side *stock, const struct side *pooled, enum trial_metric metric, double least)
{
	struct spread a = side_spread(stock, metric), b = side_spread(pooled, metric);
	double difference = fabs(a.median - b.median), spread = fmax(a.high - a.low, b.high - b.low);
	unsigned runs = stock->runs < pooled->runs ? stock->runs : pooled->runs;
	bool is_apart = b.high < a.low || b.low > a.high;

	if (runs < RUNS_THAT_TELL || !is_apart || difference < least * a.median)
		return 0;
	if (runs < RUNS_THAT_SUFFICE && difference <= spread)
		return 0;
	return b.median < a.median ? -1 : 1;
}

/* Appends to a sentence of VERDICT_BYTES. */
__attribute__((format(printf, 2, 3))) static void add(char *text, const char *format, ...)
{
	size_t used = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + used, VERDICT_BYTES - used, format, arguments);
	va_end(arguments);
}

/* Appends how a metric changed, if it did. Returns the same as compare(). */
static int add_change(char *text, const struct side *stock, const struct side *pooled,
        enum trial_metric metric, const char *name)
{
	double a = side_spread(stock, metric).median, b = side_spread(pooled, metric).median;
	int change = compare(stock, pooled, metric, least_change);

	if (change < 0 && metric == TRIAL_WALL && a >= 2 * b)
		add(text, "; %.3g times faster", a / b);
	else if (change < 0)
		add(text, "; %.3g %% less %s", (1 - b / a) * 100, name);
	else if (change > 0)
		add(text, "; %.3g %% more %s", (b / a - 1) * 100, name);
	return change;
}

static double miss_rate(const struct side *side)
{
	double rate = side_spread(side, TRIAL_MISS_RATE).median;

	return isnan(rate) ? 0 : rate;
}

static bool has_adapter(const struct side *side)
{
	bool found = false;

	for (unsigned i = 0; i < side->runs; i++)
		found |= side->trial[i].has_adapter;
	return found;
}

/* Whether the runs fail only with the pool, or only without it, which is the verdict. */
static bool judge_ends(const struct side *stock, const struct side *pooled, enum verdict *found, char *text)
{
	unsigned before = side_failures(stock), after = side_failures(pooled);
	char how[SIDE_STATUS_BYTES];

	if (before == stock->runs && after == 0) {
		*found = VERDICT_HELPS;
		side_status(stock, how);
		add(text, "helps: without copool the program ends with %s, with copool with 0", how);
		return true;
	}
	if (before == 0 && after > 0) {
		*found = VERDICT_DOES_NOT_HELP;
		side_status(pooled, how);
		add(text, "does not help: with copool the program ends with %s, leave it off", how);
		return true;
	}
	return false;
}

/* Whether runs fail with both, or now and then: they did not do their work and cannot be measured. */
static bool judge_failing(
        const struct side *stock, const struct side *pooled, enum verdict *found, char *text)
{
	char before[SIDE_STATUS_BYTES], after[SIDE_STATUS_BYTES];

	if (side_failures(stock) == 0 && side_failures(pooled) == 0)
		return false;
	*found = VERDICT_NONE;
	side_status(stock, before);
	side_status(pooled, after);
	if (strcmp(before, after) == 0)
		add(text, "no verdict: the program ends with %s", before);
	else
		add(text, "no verdict: the program ends with %s without copool, with %s with it", before,
		        after);
	add(text, "; only runs that end with 0 can be compared");
	return true;
}

/* Whether a setting switches the pool off, so that there is only one kind of runs. */
static bool judge_off(const struct side *stock, const struct side *pooled, enum verdict *found, char *text)
{
	const char *reason = pooled->trial[0].reason;

	if (has_adapter(stock) || has_adapter(pooled) || strncmp(reason, "switched off by ", 16) != 0)
		return false;
	*found = VERDICT_NONE;
	add(text, "no verdict: %s; --host=auto overrules it", reason);
	return true;
}

/* Whether there is nothing that a pool could serve. */
static bool judge_nothing(const struct side *stock, const struct side *pooled, char *text)
{
	const char *reason = pooled->trial[0].reason;

	if (!has_adapter(stock) && !has_adapter(pooled)) {
		add(text, "does not help: %s, leave it off",
		        *reason ? reason : "the library was not loaded, or could not write its log");
		return true;
	}
	if (side_spread(stock, TRIAL_CREATES).high > 0 || side_spread(pooled, TRIAL_CREATES).high > 0)
		return false;
	add(text,
	        "does not help: copool saw no coroutines (stacks from malloc are out of its reach), leave it off");
	return true;
}

bool verdict_is_worth(double creates, double before, double after)
{
	double fall = before - after;

	return fall >= least_share && fall >= least_fall * before && fall * creates >= MISSES_WORTH;
}

static bool do_misses_fall(const struct side *stock, const struct side *pooled)
{
	return verdict_is_worth(
	        side_spread(stock, TRIAL_CREATES).median, miss_rate(stock), miss_rate(pooled));
}

static void add_misses(char *text, const struct side *stock, const struct side *pooled, bool fell)
{
	double before = miss_rate(stock), after = miss_rate(pooled);
	bool is_little = !fell && before < least_share;
	char share[AMOUNT_BYTES];

	add(text, "%s%s of creates were misses", is_little ? "only " : "", amount_share(before, share));
	if (!is_little)
		add(text, "%s%s", fell ? ", now " : ", with copool ", amount_share(after, share));
}

enum verdict verdict_find(const struct side *stock, const struct side *pooled, char *text)
{
	char why[VERDICT_BYTES] = "";
	enum verdict found = VERDICT_DOES_NOT_HELP;

	text[0] = '\0';
	if (judge_off(stock, pooled, &found, text) || judge_ends(stock, pooled, &found, text) ||
	        judge_nothing(stock, pooled, text) || judge_failing(stock, pooled, &found, text))
		return found;
	bool fell = do_misses_fall(stock, pooled);
	add_misses(why, stock, pooled, fell);
	int wall = add_change(why, stock, pooled, TRIAL_WALL, "time");
	int cpu = add_change(why, stock, pooled, TRIAL_CPU, "CPU time");
	if (compare(stock, pooled, TRIAL_RESIDENT, least_memory) > 0)
		add_change(why, stock, pooled, TRIAL_RESIDENT, "memory");
	/* Users notice wall time; CPU time decides only if that shows no difference. */
	int time = wall != 0 ? wall : cpu;
	bool helps = time < 0 || (fell && time == 0);
	add(text, "%s: %s%s", helps ? "helps" : "does not help", why, helps ? "" : ", leave it off");
	return helps ? VERDICT_HELPS : VERDICT_DOES_NOT_HELP;
}
