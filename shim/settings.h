/* SPDX-License-Identifier: MIT */
/*
 * The one list of settings. The library's readers (config.c, settings/files.c), the options of `copool run` and `copool compare`, what
 * `copool set` and `copool advise` take, and the completions are made from it. tests/62-settings.bats holds README and
 * the manuals against it.
 *
 * A file that uses the list has a macro for each of the four kinds:
 *
 *   NUMBER(name, variable, option, help, more, zero, low, high, unit, standard, live)
 *   SWITCH(name, variable, option, help, more)         0, the default, or 1
 *   WORD(name, variable, option, help, more, words)    the first word is the default
 *   TEXT(name, variable, option, help, more, bytes, value)
 *
 *   name      in struct config, in records, and for `copool set`
 *   variable  in the environment
 *   option    OPTION(name, short, argument, flags) as argp has them, or NONE
 *   help      what it does, in a few words: the completions show it, and --help begins with it
 *   more      how --help goes on
 *   zero      "0 (its meaning) or " when 0 is good beside low to high, else ""
 *   standard  the default; BATCHES_DERIVED: it depends on the system's limits
 *   live      LIVE: `copool set` can change it; or FIXED
 *   words     with a comma and a blank between them
 *   bytes     the room for a text with its end
 *   value     what a text should be
 */
#ifndef COPOOL_SETTINGS_H
#define COPOOL_SETTINGS_H

#include "system/bounds.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	SETTINGS_LABEL_BYTES = 128,
	SETTINGS_PATH_BYTES = 1024, /* of COPOOL_CONFIG */
};

/* What is reported of the program. */
#define SETTINGS_REPORT(NUMBER, SWITCH, WORD, TEXT)                                                          \
	TEXT(log, "COPOOL_LOG", OPTION("log", 'l', "PATH", 0), "Write statistics to PATH",                   \
	        ". %p or {pid} stands for the process id, %n or {name} for the program's name, {label} for " \
	        "the label, %% for a percent sign. PATH may also be `stderr' or `stdout'",                   \
	        PATH_MAX, "a path, stderr or stdout")                                                        \
	NUMBER(interval_ms, "COPOOL_INTERVAL_MS", OPTION("interval", 'i', "MS", 0),                          \
	        "Take a sample each MS milliseconds", "", "", 10, 3600000, " milliseconds", 1000, FIXED)     \
	NUMBER(log_max_kb, "COPOOL_LOG_MAX_KB", OPTION("log-max", 0, "KIB", 0),                              \
	        "Let the log grow to KIB KiB", "; samples become rarer as it grows", "0 (no limit) or ", 64, \
	        1073741824, " KiB", 65536, FIXED)                                                            \
	TEXT(label, "COPOOL_LABEL", OPTION("label", 0, "NAME", 0),                                           \
	        "Tell the process from others of its program by NAME",                                       \
	        "; by default QEMU has the guest's name, if there is one", SETTINGS_LABEL_BYTES,             \
	        "a name of at most 127 bytes")                                                               \
	TEXT(prometheus, "COPOOL_PROMETHEUS", OPTION("prometheus", 0, "PATH.prom", 0),                       \
	        "Keep the counters in a file for node_exporter",                                             \
	        "'s textfile collector; %p and %n as in --log", PATH_MAX, "a path that ends in .prom")       \
	NUMBER(origins, "COPOOL_ORIGINS", OPTION("origins", 0, "N", OPTION_ARG_OPTIONAL),                    \
	        "Record the call stack of every Nth miss",                                                   \
	        ", for copool origins; without N, of every miss; needs a log", "0 (none) or ", 1, 1000000,   \
	        ": every so many misses", 0, FIXED)                                                          \
	SWITCH(leaks, "COPOOL_LEAKS", OPTION("leaks", 0, NULL, 0),                                           \
	        "Record who created what is alive at exit", ", for copool origins; slow; needs a log")

/* How the program is served. */
#define SETTINGS_POOL(NUMBER, SWITCH, WORD, TEXT)                                                            \
	WORD(host, "COPOOL_HOST", OPTION("host", 0, "HOST", 0), "The kind of program", "",                   \
	        "auto, off, qemu, stacks, named")                                                            \
	NUMBER(decay_ms, "COPOOL_DECAY_MS", OPTION("decay", 0, "MS", 0),                                     \
	        "Give back idle objects that were not needed for MS milliseconds", "", "0 (never) or ", 100, \
	        86400000, " milliseconds", 10000, LIVE)                                                      \
	NUMBER(max_batches, "COPOOL_MAX_BATCHES", OPTION("max-batches", 0, "N", 0),                          \
	        "Keep at most N batches of 16 idle objects in the depot",                                    \
	        "; by default as many as the system's limits allow", "", 0, 65535, " batches of 16",         \
	        BATCHES_DERIVED, LIVE)                                                                       \
	WORD(guard, "COPOOL_GUARD", OPTION("guard", 0, "MEANS", 0),                                          \
	        "How the guard pages of stacks are set up", "; auto: madvise where it works, else mprotect", \
	        "auto, madvise, poison, mprotect")                                                           \
	NUMBER(stack_size, "COPOOL_STACK_SIZE", OPTION("stack-size", 0, "BYTES", 0),                         \
	        "Treat every mapping of BYTES bytes as a stack", "", "0 (none) or ", 16384, 8454144,         \
	        " bytes", 0, FIXED)                                                                          \
	NUMBER(max_live, "COPOOL_MAX_LIVE", OPTION("max-live", 0, "N", 0), "Let at most N stacks be alive",  \
	        "; requests for more fail as they do at the system's limit", "0 (no limit) or ", 1,          \
	        1000000000, " stacks", 0, FIXED)                                                             \
	SWITCH(learn, "COPOOL_LEARN", OPTION("learn", 0, NULL, 0), "Learn call sites that map stacks",       \
	        ", in any program")                                                                          \
	SWITCH(zero, "COPOOL_ZERO", OPTION("zero", 0, NULL, 0), "Hand out every stack zeroed", "")           \
	TEXT(create, "COPOOL_CREATE", OPTION("create", 0, "SYMBOL/N", 0),                                    \
	        "The function that makes a coroutine", " from N integer arguments, for --host=named", 256,   \
	        "a function's name")                                                                         \
	TEXT(destroy, "COPOOL_DESTROY", OPTION("destroy", 0, "SYMBOL", 0),                                   \
	        "The function that destroys a coroutine", ", for --host=named", 256, "a function's name")    \
	TEXT(config, "COPOOL_CONFIG", OPTION("config", 0, "PATH", 0), "Read the settings in PATH",           \
	        ", a file or a folder of *.conf files, in place of /etc/copool.conf and /etc/copool.d; "     \
	        "`none': no file",                                                                           \
	        SETTINGS_PATH_BYTES, "a file, a folder or none")

/* What `copool run` sets by itself, or by an option that has no value. */
#define SETTINGS_OTHER(NUMBER, SWITCH, WORD, TEXT)                                                           \
	WORD(mode, "COPOOL_MODE", NONE, "", "", "pool, observe")                                             \
	NUMBER(tell, "COPOOL_TELL", NONE, "", "", "0 (nobody) or ", 1, 4194304,                              \
	        ": every process, or the one with this id", 0, FIXED)                                        \
	NUMBER(summary, "COPOOL_SUMMARY", NONE, "", "", "0 (nobody) or ", 1, 4194304,                        \
	        ": every process, or the one with this id", 0, FIXED)

#define SETTINGS(NUMBER, SWITCH, WORD, TEXT)                                                                 \
	SETTINGS_REPORT(NUMBER, SWITCH, WORD, TEXT)                                                          \
	SETTINGS_POOL(NUMBER, SWITCH, WORD, TEXT)                                                            \
	SETTINGS_OTHER(NUMBER, SWITCH, WORD, TEXT)

/* SETTING_decay_ms and so on: places in `settings`. */
#define SETTING_PLACE(name, ...) SETTING_##name,
enum setting_place { SETTINGS(SETTING_PLACE, SETTING_PLACE, SETTING_PLACE, SETTING_PLACE) SETTINGS_ALL };
#undef SETTING_PLACE

enum setting_kind { SETTING_NUMBER, SETTING_SWITCH, SETTING_WORD, SETTING_TEXT };

struct setting {
	const char *name, *variable;
	const char *range; /* what a value must be: "10 to 3600000 milliseconds" */
	const char *words; /* of a word */
	enum setting_kind kind;
	unsigned low, high, standard;
	unsigned bytes; /* of a text */
	bool has_zero;  /* 0 is good beside low to high */
	bool is_live;
};

extern const struct setting settings[SETTINGS_ALL] __attribute__((visibility("hidden")));

/*
 * Reads a value. Returns NULL, with the number, or the word's place among its words, in `*number`; or why the value is
 * bad, with `*number` as it was.
 */
const char *setting_read(const struct setting *setting, const char *value, unsigned *number);

/* The setting whose name (`is_variable`: whose variable) is most like the first `bytes` of `word`. */
const struct setting *setting_nearest(const char *word, size_t bytes, bool is_variable);

#endif
