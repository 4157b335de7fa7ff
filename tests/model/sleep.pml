/* SPDX-License-Identifier: MIT */
/*
 * Sleeping and waking, for spin: serve() in shim/report/statistics_thread.c, and report_wake() in report.c. The statistics
 * thread sleeps until it is woken when every depot is empty; a push that finds it asleep rings the bell. It must not stay
 * asleep while a depot holds something. Each access to shared words is one step.
 *
 *	-DTHREADS=n -DOPS=n	threads of the program, and pushes and pops of each
 *
 * Mistakes that must be found:
 *	-DONE_LOOK		the depot is not looked at again after ASLEEP was written
 *	-DNO_FENCE		ASLEEP may still be in the store buffer at the second look
 *	-DLATE_SEEN		the bell is read after the second look
 */
#ifndef THREADS
#define THREADS 2
#endif
#ifndef OPS
#define OPS 3
#endif

#define RUNNING 0
#define ASLEEP	1

byte depth;	/* [lifo.word]: what of it matters here */
byte phase;	/* [phase], as others see it */
byte bell;	/* [bell]: the futex's word */
bool is_waiting, is_timed;
byte seen, ended;

/* A plain store of our thread's, which may reach others later, and what makes sure that it has. */
bool has_stored;
byte stored;
#define STORE(value)	stored = value; has_stored = true
#define DRAIN		atomic { if :: has_stored -> phase = stored; has_stored = false :: else fi }

active proctype buffer() {
end:
	do
	:: atomic { has_stored -> phase = stored; has_stored = false }
	od
}

active proctype our_thread() {
	bool is_empty;

	do
	:: seen = bell;
		is_empty = depth == 0;
		if
		:: is_empty ->
			DRAIN;	/* one store of a thread's reaches others before the next */
			atomic { STORE(ASLEEP) };
#ifndef NO_FENCE
			DRAIN;	/* seq_cst, and the fence */
#endif
#ifndef ONE_LOOK
			is_empty = depth == 0
#endif
		:: else
		fi;
#ifdef LATE_SEEN
		seen = bell;
#endif
		/* The kernel compares and goes to sleep in one step. */
		atomic {
			is_timed = !is_empty;
			is_waiting = bell == seen;
			is_empty = false
		}
end:
		atomic { !is_waiting || is_timed -> is_waiting = false; is_timed = false };
		/* What is idle is given back at some time. */
		atomic {
			if
			:: depth > 0 -> depth--
			:: true
			fi
		};
		DRAIN;
		atomic { STORE(RUNNING) }
	od
}

active [THREADS] proctype program() {
	byte ops;

	do
	:: ops < OPS ->
		atomic { ops++; depth++ };	/* lifo_push: the locked instruction */
		if
		:: phase == ASLEEP ->		/* [phase] seq_cst: after it */
			atomic {
				if
				:: phase == ASLEEP -> phase = RUNNING
				:: else -> goto rung
				fi
			};
			bell++;
			is_waiting = false	/* FUTEX_WAKE */
		:: else
		fi;
rung:		skip
	:: ops < OPS -> atomic { ops++; if :: depth > 0 -> depth-- :: else fi }
	:: ops == OPS -> break
	od;
	ended++
}

/* At the end no thread rings any more: a sleep without an end is for good. */
active proctype reader() {
	ended == THREADS;
	assert(!(is_waiting && !is_timed && depth > 0))
}
