/* SPDX-License-Identifier: MIT */
/* The replay: its arithmetic, and that it does what the pool's own depot and trimming do. */
#include "judge/simulate.h"

#include "pool/depot.h"
#include "pool/trim.h"
#include "tap.h"

enum { STEPS = 2000, STEP_MS = 50, BURST = 160 };

static const struct tuning endless = {60000, 0};

static struct outcome replay(const struct demand_step *step, size_t steps, struct tuning setting)
{
	struct outcome outcome;

	simulate(step, steps, 0, &setting, &outcome);
	return outcome;
}

static struct demand_step burst(float begin, float most, float end, float ms)
{
	return (struct demand_step){.ms = ms,
	        .begin = begin,
	        .end = end,
	        .most = most,
	        .least = begin < end ? begin : end,
	        .rise = most - begin};
}

static void test_misses(void)
{
	struct demand_step step[] = {
	        burst(0, BURST, 0, 100), burst(0, BURST, 0, 100), burst(0, 2 * BURST, 0, 100)};
	struct demand_step swings = burst(0, BURST, 0, 1000), half = burst(0, BURST, 0, 1000);

	tap_is(replay(step, 1, endless).misses, BURST, "replay: what is needed first is a miss");
	tap_is(replay(step, 2, endless).misses, BURST, "replay: what is needed again is not");
	tap_is(replay(step, 3, endless).misses, 2 * BURST, "replay: what is needed beyond that is");
	tap_is(replay(step, 3, (struct tuning){0, 0}).misses, 4 * BURST,
	        "replay: without a depot all is missed");
	tap_is(replay(step, 2, (struct tuning){5, 0}).misses, 2 * BURST - 80,
	        "replay: what the cap does not allow is missed again");
	tap_is(replay(step, 3, (struct tuning){5, 0}).idle_most, 80, "replay: the cap is never exceeded");
	swings.rise = 10 * BURST;
	tap_is(replay(&swings, 1, (struct tuning){5, 0}).misses, BURST + 9 * 80,
	        "replay: each swing within a step misses what the cap does not allow");
	tap_is(replay(&swings, 1, endless).misses, BURST, "replay: no swing misses what is kept");
	half.rise = BURST + BURST / 2;
	tap_is(replay(&half, 1, (struct tuning){5, 0}).misses, BURST,
	        "replay: a small swing fits under the cap");
	swings.rise = 1e12f;
	tap_ok(replay(&swings, 1, (struct tuning){5, 0}).misses > 1e11,
	        "replay: a billion swings take no time");
	tap_is(replay(step, 1, endless).idle, BURST / 2, "replay: idle objects are a mean over time");
}

static void test_decay(void)
{
	struct demand_step step[3] = {
	        burst(0, BURST, 0, 1000), burst(0, 0, 0, 20000), burst(0, BURST, 0, 1000)};
	struct outcome outcome = replay(step, 3, (struct tuning){60000, 10000});

	tap_is(outcome.trimmed, BURST, "replay: what nobody needs through a window goes");
	tap_is(outcome.misses, 2 * BURST, "replay: and is missed when it is needed after all");
	step[1].ms = 8000;
	tap_is(replay(step, 3, (struct tuning){60000, 10000}).misses, BURST,
	        "replay: what is needed within the window stays");
	tap_is(replay(step, 3, (struct tuning){60000, 2000}).misses, 2 * BURST,
	        "replay: a shorter window gives back sooner");
}

/* ---- against the pool's own code ---- */

static struct {
	struct depot depot;
	struct trim trim;
	unsigned in_use, misses, trimmed; /* batches */
	uint64_t now_ms;
} real;

static void *object[BATCH_SIZE];

static void tick(unsigned decay_ms)
{
	unsigned release = trim_advance(&real.trim, &real.depot, decay_ms, real.now_ms);
	_Atomic uint64_t retries = 0;

	for (; release > 0 && depot_pop(&real.depot, object, &retries); release--)
		real.trimmed++;
}

static void really_use(unsigned in_use, const struct tuning *setting)
{
	_Atomic uint64_t retries = 0;

	for (; real.in_use < in_use; real.in_use++)
		real.misses += !depot_pop(&real.depot, object, &retries);
	for (; real.in_use > in_use; real.in_use--)
		depot_push(&real.depot, object, setting->max_batches, &retries);
	if (setting->decay_ms != 0 && real.trim.next_ms == 0)
		tick(setting->decay_ms);
}

static void really_pass(unsigned ms, const struct tuning *setting)
{
	uint64_t end_ms = real.now_ms + ms;

	while (setting->decay_ms != 0 && real.trim.next_ms != 0 && real.trim.next_ms <= end_ms) {
		real.now_ms = real.trim.next_ms;
		tick(setting->decay_ms);
	}
	real.now_ms = end_ms;
}

/* The same bursts, in batches, for the pool and for the replay. */
static void test_reality(struct tuning setting, const char *name)
{
	static struct demand_step step[STEPS];
	unsigned random = 1, in_use = 0;
	struct outcome outcome;

	memset(&real, 0, sizeof real);
	depot_init(&real.depot);
	real.now_ms = 1000000;
	for (int i = 0; i < STEPS; i++) {
		unsigned most = in_use, end = in_use;

		random = random * 1103515245 + 12345;
		if (random >> 16 & 1) {
			most = in_use + (random >> 20) % 60 / (1 + i / 500);
			end = (random >> 26) % (most + 1);
		}
		step[i] = burst(in_use * BATCH_SIZE, most * BATCH_SIZE, end * BATCH_SIZE, STEP_MS);
		really_pass(STEP_MS / 2, &setting);
		really_use(most, &setting);
		really_use(end, &setting);
		really_pass(STEP_MS / 2, &setting);
		if (setting.decay_ms != 0 && depot_depth(&real.depot) == 0)
			tick(setting.decay_ms);
		in_use = end;
	}
	outcome = replay(step, STEPS, setting);
	tap_is(outcome.misses, real.misses * BATCH_SIZE, "replay: %s: misses are the pool's", name);
	tap_is(outcome.trimmed, real.trimmed * BATCH_SIZE, "replay: %s: so is what is given back", name);
	tap_ok(real.misses > 100, "replay: %s: (there was something to miss)", name);
}

int main(void)
{
	test_misses();
	test_decay();
	test_reality((struct tuning){60000, 0}, "no decay");
	test_reality((struct tuning){60000, 2000}, "a decay of 2 s");
	test_reality((struct tuning){60000, 400}, "a decay of 0.4 s");
	test_reality((struct tuning){7, 0}, "a cap of 7");
	test_reality((struct tuning){20, 1000}, "a cap of 20 and a decay of 1 s");
	return tap_done();
}
