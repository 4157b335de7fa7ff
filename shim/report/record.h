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
 *   warning  something the user should know: a bad setting, a patch refused, statistics lost
 *   origin   one call site of misses, at exit
 */
#ifndef COPOOL_REPORT_RECORD_H
#define COPOOL_REPORT_RECORD_H

#define RECORD_FORMAT     1
#define RECORD_LINE_BYTES 4096

#define RECORD_OPEN    "open"
#define RECORD_SAMPLE  "sample"
#define RECORD_FINAL   "final"
#define RECORD_WARNING "warning"
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
 *   host         "qemu", "stacks", "named", or "none" when the program has nothing to pool
 *   mode         how the host is served: "pool", or "overflow" when the program's own pool stays above ours,
 *                "observe" when the program is left as it is and only counted, "none" when it is not served
 *   detail       a sentence in English on what was found and done, or why not
 *   ppid         the parent when the process is the child of a fork that went on without exec, else 0
 *   interval_ms  between samples
 *   max_batches  cap on the depot, in batches of RECORD_BATCH_SIZE objects
 *   decay_ms     the window after which unneeded idle objects are given back; 0 = never
 *
 * Keys of `warning`: text, a sentence in English.
 *
 * Keys of `sample` and `final`: uptime_ms (since the process began to report), pool (the pool's name, a
 * string), then the counters.
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
	X(depot_retries, counter, "depot operations tried again because another thread was faster")          \
	X(trimmed, counter, "idle objects given back to the system")                                         \
	X(threads, gauge, "threads that have a cache now")                                                   \
	X(calls_saved, counter, "system calls that the program's own functions would have made")             \
	X(maps_saved, gauge, "memory maps that guard pages would take, had they not been set up by madvise")

#endif
