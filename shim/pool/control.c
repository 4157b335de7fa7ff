/* SPDX-License-Identifier: MIT */
#include "pool/control.h"

#include "system/bounds.h"
#include "pool/depot.h"
#include "pool/trim.h"

static struct pool_control control;
static uint32_t emptied; /* the control's, as last done; the statistics thread's */

/* [control] acquire: of what is asked for, the words that were written before `asked`. */
static uint32_t read_word(const _Atomic uint32_t *word)
{
	return atomic_load_explicit((_Atomic uint32_t *)word, memory_order_acquire);
}

/* [control] release: `done` is written when all is; pairs with the reader outside. */
static void set_word(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
}

struct pool_control *control_words(void)
{
	return &control;
}

void control_init(unsigned decay_ms)
{
	set_word(&control.decay_ms, decay_ms);
	set_word(&control.max_batches, BATCHES_DERIVED);
}

bool pool_is_asked(void)
{
	return read_word(&control.asked) != read_word(&control.done);
}

bool pool_is_off(void)
{
	return read_word(&control.is_off) != 0;
}

unsigned control_limit(unsigned max_batches)
{
	unsigned limit = read_word(&control.max_batches);

	if (pool_is_off())
		return 0;
	if (limit == BATCHES_DERIVED)
		limit = max_batches;
	return limit < DEPOT_MAX_BATCHES ? limit : DEPOT_MAX_BATCHES;
}

unsigned control_decay_ms(void)
{
	unsigned decay_ms = read_word(&control.decay_ms);

	return decay_ms == 0 || decay_ms >= TRIM_STEPS ? decay_ms : TRIM_STEPS;
}

struct control_request control_request(void)
{
	struct control_request request = {.asked = read_word(&control.asked)};

	request.emptied = read_word(&control.emptied);
	request.is_emptying = request.emptied != emptied;
	return request;
}

void control_set_done(const struct control_request *request)
{
	emptied = request->emptied;
	set_word(&control.done, request->asked);
}
