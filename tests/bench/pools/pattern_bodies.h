/* SPDX-License-Identifier: MIT */
/* The patterns themselves, for one WAY to TAKE and PUT; included by patterns.h alone, once a way. */

static void PATTERN_NAME(ping_pong, WAY)(struct lane *lane, unsigned long pairs)
{
	(void)lane;
	for (unsigned long i = 0; i < pairs; i++) {
		void *object = TAKE();

		USE(object);
		PUT(object);
	}
}

/* Takes so many, puts them in the order in which they came; as often as it takes. */
static inline __attribute__((always_inline)) void PATTERN_NAME(saw, WAY)(
        struct lane *lane, unsigned long pairs, unsigned long height)
{
	for (unsigned long done = 0; done < pairs; done += height) {
		for (unsigned long i = 0; i < height; i++) {
			void *object = TAKE();

			USE(object);
			lane->held[i] = object;
		}
		for (unsigned long i = 0; i < height; i++)
			PUT(lane->held[i]);
	}
}

static void PATTERN_NAME(saw_64, WAY)(struct lane *lane, unsigned long pairs)
{
	PATTERN_NAME(saw, WAY)(lane, pairs, 64);
}

static void PATTERN_NAME(saw_1000, WAY)(struct lane *lane, unsigned long pairs)
{
	PATTERN_NAME(saw, WAY)(lane, pairs, 1000);
}

static void PATTERN_NAME(saw_wide, WAY)(struct lane *lane, unsigned long pairs)
{
	PATTERN_NAME(saw, WAY)(lane, pairs, lane->wide);
}

/* Puts so many that the pool is at the edge of a batch, and then swings over it. The caller holds them. */
static inline __attribute__((always_inline)) void PATTERN_NAME(edge, WAY)(
        struct lane *lane, unsigned long pairs, unsigned long height)
{
	for (unsigned long done = 0; done < pairs; done += height) {
		for (unsigned long i = 0; i < height; i++)
			PUT(lane->held[i]);
		for (unsigned long i = 0; i < height; i++) {
			void *object = TAKE();

			USE(object);
			lane->held[i] = object;
		}
	}
}

#define EDGE(height)                                                                                         \
	static void PATTERN_NAME(edge_##height, WAY)(struct lane * lane, unsigned long pairs)                \
	{                                                                                                    \
		PATTERN_NAME(edge, WAY)(lane, pairs, height);                                                \
	}
EDGE(2)
EDGE(4)
EDGE(8)
EDGE(16)
EDGE(32)
#undef EDGE

static void PATTERN_NAME(walk, WAY)(struct lane *lane, unsigned long pairs)
{
	unsigned long held = 0, takes = 0;

	for (unsigned long i = 0; takes < pairs; i++) {
		if (lane->walk[i % WALK_STEPS]) {
			void *object = TAKE();

			USE(object);
			lane->held[held++] = object;
			takes++;
		} else {
			PUT(lane->held[--held]);
		}
	}
	while (held > 0)
		PUT(lane->held[--held]);
}

/* By the parcel: two threads that wait for each other's every step show what the ring costs, and not the pool. */
static void PATTERN_NAME(produce, WAY)(struct ring *ring, unsigned long pairs)
{
	unsigned long head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	for (unsigned long end = head + pairs; head != end; head += RING_PARCEL) {
		while (head - ring->tail_seen == RING_SLOTS) {
			/* [ring.tail] acquire: the slots that were read; pairs with consume. */
			ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
			__builtin_ia32_pause();
		}
		for (unsigned long i = head; i < head + RING_PARCEL; i++) {
			void *object = TAKE();

			USE(object);
			ring->slot[i % RING_SLOTS] = object;
		}
		/* [ring.head] release: the slots; pairs with consume. */
		atomic_store_explicit(&ring->head, head + RING_PARCEL, memory_order_release);
	}
}

static void PATTERN_NAME(consume, WAY)(struct ring *ring, unsigned long pairs)
{
	unsigned long tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	for (unsigned long end = tail + pairs; tail != end; tail += RING_PARCEL) {
		while (tail == ring->head_seen) {
			/* [ring.head] acquire: the slots before it; pairs with produce. */
			ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
			__builtin_ia32_pause();
		}
		for (unsigned long i = tail; i < tail + RING_PARCEL; i++) {
			void *object = ring->slot[i % RING_SLOTS];

			USE(object);
			PUT(object);
		}
		/* [ring.tail] release: the slots were read; pairs with produce. */
		atomic_store_explicit(&ring->tail, tail + RING_PARCEL, memory_order_release);
	}
}

static void PATTERN_NAME(hand_over, WAY)(struct lane *lane, unsigned long pairs)
{
	/* Of whole parcels, on both sides. */
	pairs = (pairs + RING_PARCEL - 1) / RING_PARCEL * RING_PARCEL;
	if (lane->produces && lane->consumes) {
		for (unsigned long done = 0; done < pairs; done += RING_SLOTS / 2) {
			PATTERN_NAME(produce, WAY)(lane->ring, RING_SLOTS / 2);
			PATTERN_NAME(consume, WAY)(lane->ring, RING_SLOTS / 2);
		}
	} else if (lane->produces) {
		PATTERN_NAME(produce, WAY)(lane->ring, pairs);
	} else {
		PATTERN_NAME(consume, WAY)(lane->ring, pairs);
	}
}

static pattern_function *const PATTERN_NAME(patterns, WAY)[PATTERNS] = {
        [PING_PONG] = PATTERN_NAME(ping_pong, WAY),
        [SAW_64] = PATTERN_NAME(saw_64, WAY),
        [SAW_1000] = PATTERN_NAME(saw_1000, WAY),
        [EDGE_2] = PATTERN_NAME(edge_2, WAY),
        [EDGE_4] = PATTERN_NAME(edge_4, WAY),
        [EDGE_8] = PATTERN_NAME(edge_8, WAY),
        [EDGE_16] = PATTERN_NAME(edge_16, WAY),
        [EDGE_32] = PATTERN_NAME(edge_32, WAY),
        [HAND_OVER] = PATTERN_NAME(hand_over, WAY),
        [WALK] = PATTERN_NAME(walk, WAY),
        [SAW_WIDE] = PATTERN_NAME(saw_wide, WAY),
};
