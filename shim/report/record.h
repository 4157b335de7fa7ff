/* SPDX-License-Identifier: MIT */
/*
 * The log's format. The shim writes it, the tools read it, and copool-log(5) describes it.
 *
 * JSON Lines: one object a line, shorter than RECORD_LINE_BYTES, in UTF-8, with the keys in the order given here. Every
 * record begins with type, time and pid. A reader skips types and keys that it does not know. A change that would
 * mislead a reader raises RECORD_FORMAT.
 *
 *   open     the process begins to report. Each process writes one, also if it has nothing to pool.
 *   sample   one pool's counters, once an interval
 *   final    one pool's counters at exit
 *   way      how the program is served has changed: a pool was withdrawn because its objects did not come back, or
 *            pooling was switched off (mode "off") or on again
 *   warning  something the user should know: a bad setting, a patch refused, statistics lost
 *   depth    how deep one pool's stacks were used; at exit, and before if that has changed much
 *   origin   one call stack that caused misses, or that created objects which are still alive (COPOOL_ORIGINS,
 *            COPOOL_LEAKS); at exit, and before if the stack is new or its count has doubled
 */
#ifndef COPOOL_REPORT_RECORD_H
#define COPOOL_REPORT_RECORD_H

#include "report/record_block.h" /* the same counters, read out of a process: readers of the format need this one header */
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

/* Keys of every record. `time` is in seconds since 1970, a number with milliseconds; `pid` is the process id. */
#define RECORD_KEY_TYPE "type"
#define RECORD_KEY_TIME "time"
#define RECORD_KEY_PID  "pid"

/*
 * Keys of `open`, after the common ones:
 *   format       RECORD_FORMAT
 *   version      copool's version
 *   commit       the commit it was built from, with "-dirty" behind it if files were changed; left out if not known
 *   program      the name of the program's file, a string
 *   label        distinguishes the process from others of its program, a string; left out if there is none
 *   host         the adapter: "qemu", "stacks", "named", or "none" if the program has nothing to pool
 *   mode         "pool"; "observe" if the program is left as it is and only counted; "none" if it is not served
 *   way          how its coroutines are found: "ending" (QEMU's, where they end), "switch" (QEMU's, when they switch
 *                back), "stacks" (by mmap and munmap), "named" (by the functions that the user named), "none"; in
 *                observe mode "observe" or "stacks"
 *   detail       an English sentence on what was found and done, or why nothing was
 *   ppid         the parent if the process is the child of a fork that went on without exec, else 0
 *   interval_ms  milliseconds between samples
 *   max_batches  the cap on each depot, in batches of RECORD_BATCH_SIZE objects
 *   decay_ms     idle objects that are not needed for so long are given back; 0: never
 *   page_bytes   the size of a page: depths and idle memory are whole pages. Absent before 0.2.0, which knew 4096 alone
 *   confined     what confines the process, as far as it can see: security module, filter, NoNewPrivs, MDWE; left out if
 *                nothing does
 *   settings     what was set, by a file or the environment: a list of strings NAME=VALUE; a long value is cut
 *   sources      where: a list as long, of "FILE:LINE" or "environment"
 *   again        1: replaces the record that this process wrote when it had nothing to pool
 *
 * Keys of `way`: mode, way and detail, which replace those in `open`.
 *
 * Keys of `warning`: text, an English sentence.
 *
 * Keys of `origin`:
 *   pool    the pool's name
 *   kind    "miss"; or "leak": objects that were created there and are still alive
 *   count   how many; if only every N-th miss is recorded, each of them counts as N
 *   every   N, if only every N-th miss is recorded; then count is an estimate
 *   stack   its number in the process: a later record of the same kind, pool and number replaces this one
 *   frames  the call stack, a list of strings, innermost first: "module+0xoffset function". The offset is that of the
 *           call. The function is left out if its name is not known; "0xaddress" is outside of all modules; ["?"] is
 *           an unknown stack
 *   cut     1: there were more frames, on the outer side
 *
 * Keys of `sample` and `final`: uptime_ms (since the process began to report), then
 *   pool     the pool's name, a string
 *   owner    whose objects it has: "qemu", "php", "d", "coro", "boost", "systemc" or "pdns"; "stacks" for stacks of
 *            other programs; "named" for what the user named. Absent before 0.2.0
 *   part_of  the name of the pool of whose objects those of this one are parts, and by which they are counted as well;
 *            left out when there is none
 * and the counters.
 *
 * Keys of `depth`: uptime_ms, pool, owner and part_of, then what RECORD_DEPTHS lists, then how many stacks were used how deep: to_4096,
 * to_8192 and so on, each twice the one before. Each counts the stacks that were deeper than the one before says, but
 * not deeper than it says itself; beyond counts the rest. Counts of 0 are left out.
 */
#define RECORD_BATCH_SIZE 16

/*
 * The counters, cumulative since the process began (in a fork's child: since the fork) unless their help says
 * otherwise. X(name, kind, help): a `counter` only grows, a `gauge` is the present state, a `peak` is the highest gauge
 * so far. In mode "observe" create_local and destroy_local count what the program's own pool served, the objects in
 * that pool count as live, and counters that only copool's pool could have are 0.
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

/* A stack's depth is from its top to the lowest page that was ever touched, as far as that was seen. */
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

#define RECORD_DEPTH_TO     "to_" /* followed by a number of bytes */
#define RECORD_DEPTH_BEYOND "beyond"

#endif
