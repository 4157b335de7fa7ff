/* SPDX-License-Identifier: MIT */
/* Whether the pool helps: the rules, on runs that never were. */
#include "compare/verdict.h"

#include "tap.h"

#include <math.h>

enum { RUNS = 7 };

static struct trial stock[RUNS], pooled[RUNS];
static unsigned runs;
static char text[VERDICT_BYTES];

/* All runs of one kind alike: 1000 creates, so many of them new, so many seconds. */
static void fill(struct trial *trial, double made, double time)
{
	for (unsigned i = 0; i < RUNS; i++) {
		memset(&trial[i], 0, sizeof(trial[i]));
		trial[i].has_adapter = true;
		trial[i].value[TRIAL_CREATES] = 1000;
		trial[i].value[TRIAL_NEW] = made;
		trial[i].value[TRIAL_WALL] = trial[i].value[TRIAL_CPU] = time;
		trial[i].value[TRIAL_RESIDENT] = 1000;
		trial[i].value[TRIAL_MAPS] = NAN;
		verdict_rate(&trial[i], 0);
	}
}

static void begin(unsigned count, double stock_made, double pooled_made)
{
	runs = count;
	fill(stock, stock_made, 1);
	fill(pooled, pooled_made, 1);
}

static void set(struct trial *trial, enum trial_metric metric, const double *values)
{
	for (unsigned i = 0; i < runs; i++)
		trial[i].value[metric] = values[i];
}

static bool finds(void)
{
	struct side a = {stock, runs}, b = {pooled, runs};

	return verdict_find(&a, &b, text) == VERDICT_HELPS;
}

static void test_spread(void)
{
	static const double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2};
	struct side side = {stock, 3};

	begin(3, 0, 0);
	set(stock, TRIAL_WALL, odd);
	struct spread spread = side_spread(&side, TRIAL_WALL);
	tap_ok(spread.low == 1 && spread.median == 2 && spread.high == 3,
	        "spread: of an odd number the median is the middle one");
	runs = side.runs = 4;
	set(stock, TRIAL_WALL, even);
	tap_ok(side_spread(&side, TRIAL_WALL).median == 2.5,
	        "spread: of an even number it is between the middle two");
	tap_ok(isnan(side_spread(&side, TRIAL_MAPS).median), "spread: what no run knows is not known");
	stock[2].value[TRIAL_MAPS] = 9;
	tap_ok(side_spread(&side, TRIAL_MAPS).low == 9, "spread: what one run knows is known");
}

static void test_counts(void)
{
	begin(5, 500, 5);
	tap_ok(finds(), "verdict: misses that fall help when time stays");
	tap_is_text(text, "helps: 50 % of creates were misses, now 0.5 %", "verdict: and are named");
	begin(5, 5, 0);
	tap_ok(!finds(), "verdict: misses that were rare are no help");
	tap_is_text(text, "does not help: only 0.5 % of creates were misses, leave it off",
	        "verdict: and it says to leave it off");
	begin(5, 216, 1.7);
	finds();
	tap_is_text(text, "helps: 21.6 % of creates were misses, now 0.17 %", "verdict: shares are short");
	begin(5, 500, 0.004);
	finds();
	tap_ok(strstr(text, "less than 0.001 %") != NULL, "verdict: hardly a miss is not none");
}

static void test_little(void)
{
	static const double ten[] = {10, 10, 10, 10, 10};

	begin(5, 1000, 950);
	tap_ok(!finds(), "verdict: a twentieth of the misses is no help");
	tap_is_text(text, "does not help: 100 % of creates were misses, with copool 95 %, leave it off",
	        "verdict: and both shares are named");
	begin(5, 1000, 890);
	tap_ok(finds(), "verdict: a tenth is");
	begin(5, 10, 1);
	set(stock, TRIAL_CREATES, ten);
	set(pooled, TRIAL_CREATES, ten);
	for (unsigned i = 0; i < runs; i++) {
		verdict_rate(&stock[i], 0);
		verdict_rate(&pooled[i], 0);
	}
	tap_ok(!finds(), "verdict: nine misses are nothing");
}

static void test_time(void)
{
	static const double quick[] = {0.4, 0.41, 0.42, 0.4, 0.4, 0.4, 0.4},
	                    little[] = {0.98, 0.98, 0.98, 0.98, 0.98}, apart[] = {0.9, 0.91, 0.92, 0.9, 0.9},
	                    one_late[] = {0.9, 0.91, 1.0, 0.9, 0.9},
	                    slow[] = {1.2, 1.3, 1.2, 1.2, 1.2, 1.2, 1.2};

	begin(5, 500, 5);
	set(pooled, TRIAL_WALL, quick);
	tap_ok(finds() && strstr(text, "; 2.5 times faster") != NULL,
	        "verdict: half the time is times faster");
	begin(5, 5, 0);
	set(pooled, TRIAL_WALL, apart);
	tap_ok(finds() && strstr(text, "helps: only 0.5 %") == text &&
	                strstr(text, "; 10 % less time") != NULL,
	        "verdict: less time helps, whatever was counted");
	set(pooled, TRIAL_WALL, one_late);
	tap_ok(!finds() && strstr(text, "time") == NULL, "verdict: times that overlap say nothing");
	set(pooled, TRIAL_WALL, little);
	tap_ok(!finds() && strstr(text, "time") == NULL, "verdict: 2 %% are nothing");
	begin(5, 500, 5);
	set(pooled, TRIAL_WALL, slow);
	tap_ok(!finds(), "verdict: what makes the program slower does not help, whatever was counted");
	tap_is_text(text,
	        "does not help: 50 % of creates were misses, now 0.5 %; 20 % more time, leave it off",
	        "verdict: and both are named");
	begin(5, 5, 0);
	set(pooled, TRIAL_CPU, apart);
	tap_ok(finds() && strstr(text, "; 10 % less CPU time") != NULL,
	        "verdict: less CPU time helps where the wall's says nothing");
	set(pooled, TRIAL_WALL, slow);
	tap_ok(!finds(), "verdict: but not against the wall's");
}

static void test_few_runs(void)
{
	static const double quick[] = {0.5, 0.5, 0.5}, wide[] = {0.9, 0.5, 0.95},
	                    wide_stock[] = {1, 1.5, 1.1};

	begin(2, 5, 0);
	set(pooled, TRIAL_WALL, quick);
	tap_ok(!finds() && strstr(text, "time") == NULL, "verdict: two runs of each say nothing of time");
	runs = 3;
	set(pooled, TRIAL_WALL, quick);
	tap_ok(finds(), "verdict: three do when the difference is larger than their spread");
	set(pooled, TRIAL_WALL, wide);
	set(stock, TRIAL_WALL, wide_stock);
	tap_ok(!finds() && strstr(text, "time") == NULL, "verdict: and do not when it is not");
}

static void test_memory(void)
{
	static const double more[] = {1500, 1500, 1510, 1500, 1500}, bit[] = {1050, 1050, 1050, 1050, 1050};

	begin(5, 500, 5);
	set(pooled, TRIAL_RESIDENT, more);
	tap_ok(finds() && strstr(text, "; 50 % more memory") != NULL, "verdict: more memory is said");
	set(pooled, TRIAL_RESIDENT, bit);
	tap_ok(finds() && strstr(text, "memory") == NULL, "verdict: a twentieth more is not");
}

static void test_ends(void)
{
	begin(5, 500, 5);
	stock[0].status = 6;
	tap_ok(!finds() && strstr(text,
	                           "no verdict: the program ends with SIGABRT in 1 of 5 runs without copool, "
	                           "with 0 with it") != NULL,
	        "verdict: of a program that fails now and then there is none");
	pooled[0].status = 6;
	tap_ok(!finds() && strstr(text, "no verdict: the program ends with SIGABRT in 1 of 5 runs; ") != NULL,
	        "verdict: nor of one that fails as often with copool");
	for (unsigned i = 0; i < RUNS; i++) {
		stock[i].status = 6;
		pooled[i].status = 0;
	}
	tap_ok(finds() && strstr(text, "helps: without copool the program ends with SIGABRT") != NULL,
	        "verdict: one that ends well only with it is helped");
	stock[0].status = 0;
	tap_ok(!finds(), "verdict: but not one that ends well without it now and then");
	for (unsigned i = 0; i < RUNS; i++)
		stock[i].status = 0;
	pooled[1].status = 3 << 8;
	tap_ok(!finds() &&
	                strstr(text, "does not help: with copool the program ends with 3 in 1 of 5 runs") !=
	                        NULL,
	        "verdict: one that fails only with it is not helped");
}

static void test_nothing(void)
{
	begin(5, 0, 0);
	for (unsigned i = 0; i < RUNS; i++)
		stock[i].has_adapter = pooled[i].has_adapter = false;
	tap_ok(!finds() && strstr(text, "the library was not loaded") != NULL,
	        "verdict: a program that leaves no log was not reached");
	strcpy(pooled[0].reason, "the program has no known coroutines");
	tap_ok(!finds(), "verdict: a program that cannot be pooled is not helped");
	tap_is_text(text, "does not help: the program has no known coroutines, leave it off",
	        "verdict: and is told why");
}

static void test_rate(void)
{
	struct trial trial = {.value[TRIAL_CREATES] = 100, .value[TRIAL_NEW] = 50};

	verdict_rate(&trial, 0);
	tap_ok(trial.value[TRIAL_MISS_RATE] == 0.5, "rate: it is of the creates that were counted");
	verdict_rate(&trial, 1000);
	tap_ok(trial.value[TRIAL_MISS_RATE] == 0.05, "rate: or of more, where more are known of");
	verdict_rate(&trial, 10);
	tap_ok(trial.value[TRIAL_MISS_RATE] == 0.5, "rate: never of fewer");
	trial.value[TRIAL_CREATES] = 0;
	verdict_rate(&trial, 0);
	tap_ok(isnan(trial.value[TRIAL_MISS_RATE]), "rate: of no creates there is none");
}

int main(void)
{
	test_rate();
	test_spread();
	test_counts();
	test_little();
	test_time();
	test_few_runs();
	test_memory();
	test_ends();
	test_nothing();
	return tap_done();
}
