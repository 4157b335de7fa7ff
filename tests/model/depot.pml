/* SPDX-License-Identifier: MIT */
/*
 * The depot, for spin: shim/pool/lifo.h, transfer.h and depot.c. Each access to what threads share is one step. Threads push
 * and pop batches, keep empty nodes or give them back, and end; in every order, until they have made OPS operations in
 * all. -DFORK adds a thread that closes the gate (gate.c) and forks (fork.c).
 *
 *	-DTHREADS=n -DOPS=n	threads, and pushes and pops of all together
 *	-DSPARES=n		empty nodes that a thread keeps, 1 or 2; all of them go at once, in one bundle
 *	-DFORK			somebody forks, once
 *
 * Each of these is a mistake that must be found, so that it is known that it would be:
 *	-DNO_TAG		the word has no tag				lifo_word
 *	-DEARLY			a node is given back before its batch is read	depot_pop
 *	-DBUNDLE_LATE		a bundle is pushed before what lies with it	push_empty
 *	-DDEPTH_APART		the depth is no part of the word		lifo_push
 *	-DNO_INTERRUPT		fork does not change the words			pool_fork_prepare
 *	-DBAR_FIRST		the gate is looked at before the word is read	lifo_push, lifo_pop
 *
 * A thread's store to its own `inside` may wait in a store buffer until the thread's next locked instruction,
 * as on x86; all else is sequentially consistent. README.md says what that leaves open.
 */
#ifndef THREADS
#define THREADS 2
#endif
#ifndef OPS
#define OPS 5
#endif
#ifndef SPARES
#define SPARES 1
#endif
#ifndef BATCHES
#define BATCHES 3
#endif
#define LIMIT	(BATCHES - 1)		/* how many may be in the depot, and are at first; a thread has the last */
#define HELD	BATCHES			/* how many a thread may have */
#define NODES	(LIMIT + THREADS * (1 + SPARES))	/* [depot.nodes] */

#ifdef NO_TAG
#define NEXT_TAG(tag) 0
#else
#define NEXT_TAG(tag) (tag + 1)
#endif

/* Where a node or a batch is; from MINE on: with a thread. */
#define NOWHERE 0
#define FULL	1
#define EMPTY	2
#define GONE	3
#define MINE	(4 + me)

/* [lifo.word] of the full batches and of the empty nodes. */
typedef word { byte tag; byte depth; byte index };
word fulls, empties;

byte next[NODES + 1];	/* [lifo.next] */
byte batch[NODES + 1];	/* the node's slots; [depot.chunk] is there before the node's number is */
byte with[NODES + 1];	/* the same slots of an empty node: the other one of the bundle, or 0 */
byte made = LIMIT;	/* [depot.nodes] */
byte ops, ended;

bool closed;		/* [gate.closed] */
bool inside[THREADS];	/* [gate.inside], as others see it */

/* Known to the reader of this model, and to no thread. */
byte node_is[NODES + 1], batch_is[BATCHES + 1];
bool moving[THREADS];	/* between a change of `fulls` and what follows from it */

/* The locked instruction: the store buffer is empty then. */
#define DRAIN	inside[me] = inside[me] | is_waiting; is_waiting = false

inline step_in() {
#ifdef FORK
	if
	:: inside[me] = true
	:: is_waiting = true
	fi
#else
	skip
#endif
}

inline step_out() {
#ifdef FORK
	atomic { inside[me] = false; is_waiting = false; moving[me] = false }
#else
	skip
#endif
}

/* One that nobody has used: there always is one when it is needed. */
inline node_make() {
	atomic {
		assert(made < NODES);
		made++;
		node = made;
		assert(node_is[node] == NOWHERE);
		node_is[node] = MINE
	}
}

inline read_word(lifo) {
#ifdef BAR_FIRST
	is_barred = closed;
	atomic { tag = lifo.tag; depth = lifo.depth; index = lifo.index }
#else
	atomic { tag = lifo.tag; depth = lifo.depth; index = lifo.index };
#ifdef FORK
	is_barred = closed
#endif
#endif
}

#define IS_UNCHANGED(lifo) (lifo.tag == tag && lifo.index == index && lifo.depth == depth)

/* lifo_pop: the node, or 0. */
inline pop(lifo, place) {
	node = 0;
	do
	:: read_word(lifo);
		if
		:: index == 0 || is_barred -> break
		:: else
		fi;
		after = next[index];
		atomic {
			DRAIN;
			if
			:: IS_UNCHANGED(lifo) ->
				lifo.tag = NEXT_TAG(lifo.tag);
				lifo.depth = lifo.depth - 1;
				lifo.index = after;
				node = index;
				after = 0;
				assert(node_is[node] == place);	/* nobody else's, and not lost */
				node_is[node] = MINE;
				moving[me] = place == FULL;
				break
			:: else
			fi
		}
	od;
	atomic { tag = 0; depth = 0; index = 0; after = 0; is_barred = false }
}

/* lifo_push: `is_done` says whether. */
inline push(lifo, place, limit, may_be_barred) {
	is_done = false;
	do
	:: read_word(lifo);
		if
		:: depth >= limit || (may_be_barred && is_barred) -> break
		:: else
		fi;
		next[node] = index;
		atomic {
			DRAIN;
			if
			:: IS_UNCHANGED(lifo) ->
				lifo.tag = NEXT_TAG(lifo.tag);
				lifo.index = node;
				assert(node_is[node] == MINE);
				node_is[node] = place;
				if
				:: place == FULL ->
					assert(batch_is[batch[node]] == MINE);
					batch_is[batch[node]] = FULL;
					moving[me] = true
				:: else
				fi;
				node = 0;
				is_done = true;
#ifdef DEPTH_APART
			:: else
			fi
		}
		if
		:: is_done ->
#endif
				lifo.depth = lifo.depth + 1;
				assert(place == EMPTY || lifo.depth <= LIMIT);
				break
		:: else
		fi
#ifndef DEPTH_APART
		}
#endif
	od;
	atomic { tag = 0; depth = 0; index = 0; is_barred = false }
}

/* push_empty: the node, and `other` with it. */
inline push_empty(may_be_barred) {
	kept = node;
#ifndef BUNDLE_LATE
	with[kept] = other;
#endif
	push(empties, EMPTY, 255, may_be_barred);
	if
	:: is_done ->
#ifdef BUNDLE_LATE
		with[kept] = other;
#endif
		other = 0
	:: else
	fi;
	kept = 0
}

/* A node, and the `other` of its bundle, or a new one. */
inline get_empty() {
	pop(empties, EMPTY);
	if
	:: node == 0 -> node_make()
	:: else ->
		other = with[node];
		atomic {
			if
			:: other != 0 ->
				assert(node_is[other] == EMPTY);
				node_is[other] = MINE
			:: else
			fi
		}
	fi
}

inline keep() {
	atomic {
		if
		:: other != 0 -> spare[spares] = other; spares++; other = 0
		:: else
		fi;
		spare[spares] = node;
		spares++;
		node = 0
	}
}

/* depot_stock, where a thread has no spares: [spares.count], its own. */
inline stock() {
	if
	:: spares == 0 -> step_in(); get_empty(); keep(); step_out()
	:: else
	fi
}

/* depot_unstock, where it has no room for another; what is refused stays. */
inline unstock() {
	if
	:: spares == SPARES ->
		atomic {
			spares--;
			node = spare[spares];
			if
			:: spares > 0 -> spares--; other = spare[spares]
			:: else
			fi
		};
		step_in();
		moved = other;
		atomic {
			if
			:: other != 0 -> node_is[other] = EMPTY
			:: else
			fi
		};
		push_empty(true);
		if
		:: is_done
		:: else ->
			atomic {
				if
				:: other != 0 -> node_is[other] = MINE
				:: else
				fi
			};
			keep()
		fi;
		moved = 0;
		step_out()
	:: else
	fi
}

/* transfer_push */
inline transfer_push() {
	node = spare[spares - 1];
	batch[node] = held[holds - 1];
	push(fulls, FULL, LIMIT, true);
	if
	:: is_done -> atomic { spares--; spare[spares] = 0; holds--; held[holds] = 0 }
	:: else -> node = 0
	fi
}

inline batch_read() {
	atomic {
		assert(batch_is[batch[kept]] == FULL);	/* or it was lost, or is somebody's already */
		batch_is[batch[kept]] = MINE;
		held[holds] = batch[kept];
		holds++
	}
}

/* transfer_pop */
inline transfer_pop() {
	pop(fulls, FULL);
	if
	:: node != 0 ->
#ifdef EARLY
		early = node;
		push_empty(false);
		kept = early;
		batch_read();
		early = 0;
#else
		kept = node;
		batch_read();
		keep();
#endif
		kept = 0
	:: else
	fi
}

/* depot_push, for a thread without spares: it gets a node, and gives back the other one of its bundle. */
inline depot_push() {
	get_empty();
	batch[node] = held[holds - 1];
	moved = other;
	other = 0;
	kept = node;
	push(fulls, FULL, LIMIT, true);
	if
	:: is_done -> atomic { holds--; held[holds] = 0; kept = 0; node = moved; moved = 0 }
	:: else -> atomic { node = kept; kept = 0; other = moved; moved = 0; is_refused = true }
	fi;
	if
	:: node != 0 ->
		atomic {
			if
			:: other != 0 -> node_is[other] = EMPTY
			:: else
			fi
		};
		push_empty(false)
	:: else
	fi
}

/* retire_thread, through gate_enter: a locked instruction, and past a closed gate. What is left is destroyed outside. */
inline retire() {
	atomic { inside[me] = true };
	if
	:: closed	/* its nodes are not used again */
	:: else ->
		is_refused = false;
		do
		:: holds > 0 && !is_refused -> depot_push()
		:: else -> break
		od;
		if
		:: spares > 0 ->
			atomic {
				spares--;
				node = spare[spares];
				if
				:: spares > 0 -> spares--; other = spare[spares]; node_is[other] = EMPTY
				:: else
				fi
			};
			push_empty(false)
		:: else
		fi
	fi;
	step_out();
	do
	:: holds > 0 -> atomic { holds--; batch_is[held[holds]] = GONE; held[holds] = 0 }
	:: else -> break
	od
}

proctype thread(byte me) {
	byte tag, depth, index, after, node, other, kept, moved, spares, holds;
	byte held[HELD], spare[SPARES];
	bool is_done, is_barred, is_waiting, is_refused;
#ifdef EARLY
	byte early;
#endif

	if
	:: me == 0 -> held[0] = BATCHES; holds = 1
	:: else
	fi;
	do
	:: atomic { ops < OPS && holds < HELD -> ops++ };
		unstock();
		if
		:: spares < SPARES -> step_in(); transfer_pop(); step_out()
		:: else
		fi
	:: atomic { ops < OPS && holds > 0 -> ops++ };
		stock();
		step_in();
		transfer_push();
		step_out()
	:: break
	od;
	retire();
	ended++
}

#ifdef FORK
proctype forker() {
	byte i;

	closed = true;
#ifndef NO_INTERRUPT
	fulls.tag = NEXT_TAG(fulls.tag);
	empties.tag = NEXT_TAG(empties.tag);
#endif
	for (i : 0 .. THREADS - 1) {
		!inside[i]
	}
	/* What the child gets: nobody is on the way between depot and cache, whatever happens until it opens. */
	do
	:: d_step {
			for (i : 0 .. THREADS - 1) {
				assert(!moving[i])
			}
			i = 0
		}
	:: break
	od;
	closed = false
}
#endif

init {
	byte i, at, found;

	atomic {
		for (i : 1 .. LIMIT) {
			batch[i] = i;
			batch_is[i] = FULL;
			node_is[i] = FULL;
			next[i] = i - 1
		}
		fulls.index = LIMIT;
		fulls.depth = LIMIT;
		batch_is[BATCHES] = 4;
		for (i : 0 .. THREADS - 1) {
			run thread(i)
		}
#ifdef FORK
		run forker()
#endif
	}
	ended == THREADS;
	/* Each batch that was not destroyed lies in the depot, once. */
	d_step {
		at = fulls.index;
		do
		:: at != 0 ->
			assert(batch_is[batch[at]] == FULL);
			batch_is[batch[at]] = GONE;
			found++;
			at = next[at]
		:: else -> break
		od;
		assert(found == fulls.depth);
		for (i : 1 .. BATCHES) {
			assert(batch_is[i] != FULL)
		}
	}
}
