/* SPDX-License-Identifier: MIT */
/*
 * The statistics log's format, described once: the shim writes it, tools/ and the manual read it.
 *
 * JSON Lines: one object a line, each below RECORD_LINE_BYTES, in UTF-8, the keys in the order given here.
 * Every record begins with type, time and pid. A reader skips types and keys that it does not know; a change
 * that would mislead a reader raises RECORD_FORMAT.
 *
 *   open     the process began to report. One for each process, also for one that has nothing to pool.
 *   sample   one pool's counters, once an interval
 *   final    one pool's counters at exit; the last word on that pool
 *   way      how the program is served has changed: what of it is pooled was found not to come back, or it was
 *            switched off (mode "off") or on again
 *   warning  something the user should know: a bad setting, a patch refused, statistics lost
 *   depth    how deep one pool's stacks were used: at exit, and when there is news of it
 *   origin   one call stack that caused misses, or created what is alive, at exit, and before when it is new or has
 *            doubled (COPOOL_ORIGINS, COPOOL_LEAKS)
 */
#ifndef COPOOL_REPORT_RECORD_H
#define COPOOL_REPORT_RECORD_H

#include "system/bounds.h"

#define RECORD_FORMAT     1
#define RECORD_LINE_BYTES 4096

#define RECORD_OPEN    "open"
#define RECORD_SAMPLE  "sample"
#define RECORD_FINAL   "final"
#define RECORD_WAY     "way"
#define RECORD_WARNING "warning"
#define RECORD_DEPTH   "depth"
#define RECORD_ORIGIN  "origin"

/*
 * Keys of every record. `time` is in seconds since 1970 with milliseconds (a JSON number), `pid` the process.
 */
#define RECORD_KEY_TYPE "type"
#define RECORD_KEY_TIME "time"
#define RECORD_KEY_PID  "pid"

/*
 * Keys of `open`, after the common ones:
 *   format       RECORD_FORMAT
 *   version      copool's version
 *   program      the program's name (its file name), a string
 *   label        what tells the process from others of its program, a string; left out when there is none
 *   host         "qemu", "stacks", "named", or "none" when the program has nothing to pool
 *   mode         how the host is served: "pool", "observe" when the program is left as it is and only
 *                counted, "none" when it is not served
 *   way          by what: "ending" (QEMU's coroutines, taken where they end), "switch" (taken when they switch
 *                back), "stacks" (what mmap and munmap say), "named" (the functions that the user named),
 *                "none"; in observe mode "observe" or "stacks"
 *   detail       a sentence in English on what was found and done, or why not
 *   ppid         the parent when the process is the child of a fork that went on without exec, else 0
 *   interval_ms  between samples
 *   max_batches  cap on the depot, in batches of RECORD_BATCH_SIZE objects
 *   decay_ms     the window after which unneeded idle objects are given back; 0 = never
 *   again        1: in the place of the record that this process has written when it had nothing to pool
 *
 * Keys of `way`: mode, way and detail, which take the place of those in `open`.
 *
 * Keys of `warning`: text, a sentence in English.
 *
 * Keys of `origin`:
 *   pool    the pool's name
 *   kind    "miss"; or "leak": objects that were created there and are alive at exit
 *   count   how many; of misses of which only every N-th is recorded, each counts as N
 *   every   N, where only every N-th miss is recorded, so that count is an estimate
 *   stack   its number in the process: a later record of the same kind, pool and number takes this one's place
 *   frames  the call stack, a list of strings, innermost first: "module+0xoffset function", the offset
 *           being that of the call; without the function where it has no name; "0xaddress" outside of
 *           all modules; ["?"] for what is not known
 *   cut     1: there were more frames, on the outer side
 *
 * Keys of `sample` and `final`: uptime_ms (since the process began to report), pool (the pool's name, a
 * string), then the counters.
 *
 * Keys of `depth`: uptime_ms and pool, then what RECORD_DEPTHS lists, cumulative, then how many stacks were
 * used how deep: to_4096, to_8192, and so on, each twice the one before, for stacks that deep at most and
 * deeper than the one before says; beyond counts what is deeper than all of them. Those that are 0 are left
 * out.
 */
#define RECORD_BATCH_SIZE 16

/*
 * The counters, cumulative since the process began (in a fork's child: since the fork) unless said otherwise.
 * X(name, kind, help): kind `counter` only grows; `gauge` is the state now; `peak` the highest gauge so far.
 * Where the mode is "observe", create_local and destroy_local count what the program's own pool served, what
 * lies in that pool counts as live, and what only a pool of ours could have is 0.
 * At rest: inherited + create_local + create_depot + create_new
 *          - destroy_local - destroy_depot - destroy_delete = live      holds exactly,
 *      and live + pooled = objects that exist.
 */
#define RECORD_COUNTERS(X)                                                                                   \
	X(create_local, counter, "creates served from the thread's own cache")                               \
	X(create_depot, counter, "creates served after taking a batch from the depot")                       \
	X(create_new, counter, "creates that fell back to the program's own function: misses")               \
	X(destroy_local, counter, "destroyed objects kept in the thread's own cache")                        \
	X(destroy_depot, counter, "destroyed objects kept after moving a batch to the depot")                \
	X(destroy_delete, counter, "destroyed objects given to the program's own function")                  \
	X(live, gauge, "objects in the program's hands")                                                     \
	X(pooled, gauge, "idle objects in caches and depot")                                                 \
	X(peak_live, peak, "most objects in the program's hands, as seen when counters were read")           \
	X(peak_objects, peak, "most objects that existed at once, exact")                                    \
	X(inherited, gauge, "objects in the program's hands when it was forked off its parent")              \
	X(depot_batches, gauge, "full batches in the depot")                                                 \
	X(depot_low, gauge, "fewest full batches in the depot since the sample before")                      \
	X(depot_high, gauge, "most of them since the sample before")                                         \
	X(depot_retries, counter, "depot operations tried again because another thread was faster")          \
	X(trimmed, counter, "idle objects given back to the system")                                         \
	X(threads, gauge, "threads that have a cache now")                                                   \
	X(calls_saved, counter, "system calls that the program would have made; of QEMU, about")             \
	X(maps_saved, gauge, "memory maps that guard pages would take, had they not been set up by madvise")

/* A stack's depth: from its top to the lowest page that it ever touched, as far as that was seen. */
#define RECORD_DEPTHS(X)                                                                                     \
	X(stacks, "stacks that were looked at")                                                              \
	X(live, "of these, in the program's hands at the last look")                                         \
	X(stack_bytes, "bytes that a stack has, its guard page not counted")                                 \
	X(mean, "their mean depth in bytes")                                                                 \
	X(p50, "depth in bytes that does for 50 % of them")                                                  \
	X(p90, "for 90 %")                                                                                   \
	X(p99, "for 99 %")                                                                                   \
	X(p999, "for 99.9 %")                                                                                \
	X(deepest, "for all")

#define RECORD_DEPTH_TO     "to_" /* and a number of bytes */
#define RECORD_DEPTH_BEYOND "beyond"

#endif
