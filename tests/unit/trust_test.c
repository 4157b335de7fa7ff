/* SPDX-License-Identifier: MIT */
/* Guards of the last use: when they may stay on a stack that is handed out, and what ends that. */
#include "stack/address.h"
#include "stack/lifetime.h"
#include "stack/slot_guard.h"
#include "stack/trust.h"

#include "tap.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RW = PROT_READ | PROT_WRITE, PAGE = TEST_PAGE, BYTES = 16 * PAGE };

static struct arena arena;
static struct arena_class *class;
static char threads[128]; /* addresses of it identify two threads */

static struct arena_place make(void)
{
	struct arena_place place = {0};

	arena_find(&arena, arena_make(class), &place);
	return place;
}

/* What an adapter does when it hands a stack out again. */
static bool hand_out(struct trust *trust, const struct arena_place *place, int thread)
{
	arena_seal(place);
	return trust_hand_out(trust, place, &threads[64 * thread]);
}

/* A system call returns EFAULT where a touch would end the process. */
static bool is_guarded(const struct arena_place *place)
{
	return access((char *)place->base, F_OK) != 0 && errno == EFAULT;
}

static void live(struct trust *trust, const struct arena_place *place, int times)
{
	for (int i = 0; i < times; i++) {
		hand_out(trust, place, 0);
		arena_guard(place, PAGE);
		trust_note_return(trust, place->slot);
	}
}

static void test_proofs(void)
{
	struct trust trust = {0};
	struct arena_place place = make();

	live(&trust, &place, 1);
	hand_out(&trust, &place, 0);
	tap_ok(!is_guarded(&place), "trust: at first no guard stays that nobody asked for");
	arena_guard(&place, PAGE);
	trust_note_return(&trust, place.slot);
	live(&trust, &place, TRUST_PROOFS);
	hand_out(&trust, &place, 0);
	tap_ok(is_guarded(&place), "trust: after enough lives that asked for one it stays");
	trust_note_return(&trust, place.slot);
	hand_out(&trust, &place, 0);
	tap_ok(!is_guarded(&place), "trust: until one did not");
	arena_guard(&place, PAGE);
	trust_note_return(&trust, place.slot);
	live(&trust, &place, 2 * TRUST_PROOFS);
	hand_out(&trust, &place, 0);
	tap_ok(!is_guarded(&place), "trust: for good");
}

static void test_touched(void)
{
	struct trust trust = {0};
	struct arena_place place = make();

	live(&trust, &place, 2);
	hand_out(&trust, &place, 0);
	memset((void *)place.base, 0, PAGE);
	arena_guard(&place, PAGE);
	trust_note_return(&trust, place.slot);
	live(&trust, &place, 2 * TRUST_PROOFS);
	hand_out(&trust, &place, 0);
	tap_ok(!is_guarded(&place), "trust: one whose guard's place was written to before ends it as well");
}

static void test_sure(void)
{
	struct trust trust = {.is_sure = true};
	struct arena_place place = make();

	live(&trust, &place, 1);
	hand_out(&trust, &place, 0);
	tap_ok(is_guarded(&place), "trust: where the code has no choice it stays from the start");
}

/* Three stacks of a class that is proven, each with a guard. */
static void prove(struct trust *trust, struct arena_place *place)
{
	for (int i = 0; i < 3; i++) {
		place[i] = make();
		live(trust, &place[i], i == 0 ? TRUST_PROOFS + 1 : 1);
	}
}

static void test_before(void)
{
	struct trust trust = {0}, other = {0};
	struct arena_place place[3];

	prove(&trust, place);
	hand_out(&trust, &place[0], 0);
	hand_out(&trust, &place[1], 1);
	tap_ok(is_guarded(&place[0]), "trust: a thread may get one while another sets its guard up");
	hand_out(&trust, &place[2], 1);
	tap_ok(!is_guarded(&place[1]),
	        "trust: a thread that asks for the next without having done so has none");
	tap_ok(!is_guarded(&place[2]), "trust: nor gets one with the next");
	tap_is(slot_state(place[1].slot), SLOT_LIVE, "trust: the stack stays in use as it is");
	prove(&other, place);
	hand_out(&other, &place[0], 0);
	arena_guard(&place[0], PAGE);
	hand_out(&other, &place[1], 0);
	tap_ok(is_guarded(&place[0]) && is_guarded(&place[1]), "trust: a thread that has done so keeps it");
}

int main(void)
{
	arena_init(&arena, GUARD_AUTO);
	class = arena_class_start(&arena, 5, BYTES, RW);
	test_proofs();
	test_touched();
	test_sure();
	test_before();
	return tap_done();
}
