/* SPDX-License-Identifier: MIT */
/* One table of what an option's value must be, and two lists of options for --help. */
#include "run/settings.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEY_INTERVAL = 'i',
	KEY_LOG = 'l',
	KEY_MAX_BATCHES = 256,
	KEY_DECAY,
	KEY_HOST,
	KEY_CREATE,
	KEY_DESTROY,
	KEY_GUARD,
	KEY_STACK_SIZE,
	KEY_MAX_LIVE,
	KEY_LEARN,
	KEY_ZERO,
	KEY_LOG_MAX,
	KEY_LABEL,
	KEY_PROMETHEUS,
	KEY_ORIGINS,
	KEY_LEAKS
};

static const struct argp_option report_options[] = {
        {"log", KEY_LOG, "PATH", 0,
                "Write statistics to PATH. %p or {pid} stands for the process id, %n or {name} for the "
                "program's name, {label} for the label, %% for a percent sign; `stderr' and `stdout' are "
                "words",
                0},
        {"interval", KEY_INTERVAL, "MS", 0, "Milliseconds from sample to sample (10 to 3600000; 1000)", 0},
        {"log-max", KEY_LOG_MAX, "KIB", 0,
                "Let the log grow to so many KiB (64 to 1073741824; 0: no limit; 65536); samples become "
                "rarer in time",
                0},
        {"label", KEY_LABEL, "NAME", 0,
                "Tell the process by this name from others of its program; QEMU: the guest's name, if it has "
                "one",
                0},
        {"prometheus", KEY_PROMETHEUS, "PATH.prom", 0,
                "Keep the counters in PATH.prom, for node_exporter's textfile collector; %p and %n as in "
                "--log",
                0},
        {"origins", KEY_ORIGINS, "N", OPTION_ARG_OPTIONAL,
                "Record the call stack of every N-th miss (0 to 1000000; 1), for copool origins; needs a log",
                0},
        {"leaks", KEY_LEAKS, NULL, 0,
                "Record who created what is alive at exit, for copool origins; slow; needs a log", 0},
        {0},
};

static const struct argp_option pool_options[] = {
        {"max-batches", KEY_MAX_BATCHES, "N", 0,
                "Keep at most N batches of 16 idle objects in the depot (0 to 65535; as many as the system's "
                "limits bear)",
                0},
        {"decay", KEY_DECAY, "MS", 0,
                "Give back idle objects that nobody needed for this long (100 to 86400000; 0: never; 10000)",
                0},
        {"host", KEY_HOST, "HOST", 0, "What the program is: auto, qemu, stacks, named or off (auto)", 0},
        {"guard", KEY_GUARD, "MEANS", 0,
                "How the guard pages of stacks are set up: auto, madvise, poison or mprotect (auto: madvise "
                "where it works, else mprotect)",
                0},
        {"stack-size", KEY_STACK_SIZE, "BYTES", 0,
                "Take mappings of this size for stacks, whoever asks for them (16384 to 8454144; 0: none)",
                0},
        {"max-live", KEY_MAX_LIVE, "N", 0,
                "Let N stacks be alive at most: requests for more fail as at the system's limit (1 to "
                "1000000000; 0: any number)",
                0},
        {"learn", KEY_LEARN, NULL, 0, "Learn call sites that map stacks, in any program", 0},
        {"zero", KEY_ZERO, NULL, 0, "Hand out every stack zeroed", 0},
        {"create", KEY_CREATE, "SYMBOL/N", 0,
                "The function that makes a coroutine from N integer arguments, for --host=named", 0},
        {"destroy", KEY_DESTROY, "SYMBOL", 0, "The function that takes it back, for --host=named", 0},
        {0},
};

/* What an option's value must be, and the variable that it becomes. */
static const struct setting {
	int key;
	const char *option;
	const char *variable;
	long low, high;    /* for numbers: high > 0 */
	bool zero;         /* 0 is good as well */
	const char *words; /* for words: each between blanks */
} settings[] = {
        {.key = KEY_LOG, .option = "log", .variable = "COPOOL_LOG"},
        {KEY_INTERVAL, "interval", "COPOOL_INTERVAL_MS", 10, 3600000, false, NULL},
        {KEY_LOG_MAX, "log-max", "COPOOL_LOG_MAX_KB", 64, 1 << 30, true, NULL},
        {.key = KEY_LABEL, .option = "label", .variable = "COPOOL_LABEL"},
        {.key = KEY_PROMETHEUS, .option = "prometheus", .variable = "COPOOL_PROMETHEUS"},
        {KEY_ORIGINS, "origins", "COPOOL_ORIGINS", 0, 1000000, false, NULL},
        {.key = KEY_LEAKS, .option = "leaks", .variable = "COPOOL_LEAKS"},
        {KEY_MAX_BATCHES, "max-batches", "COPOOL_MAX_BATCHES", 0, 65535, false, NULL},
        {KEY_DECAY, "decay", "COPOOL_DECAY_MS", 100, 86400000, true, NULL},
        {KEY_HOST, "host", "COPOOL_HOST", 0, 0, false, " auto qemu stacks named off "},
        {KEY_GUARD, "guard", "COPOOL_GUARD", 0, 0, false, " auto madvise poison mprotect "},
        {KEY_STACK_SIZE, "stack-size", "COPOOL_STACK_SIZE", 16384, 8454144, true, NULL},
        {KEY_MAX_LIVE, "max-live", "COPOOL_MAX_LIVE", 1, 1000000000, true, NULL},
        {.key = KEY_LEARN, .option = "learn", .variable = "COPOOL_LEARN"},
        {.key = KEY_ZERO, .option = "zero", .variable = "COPOOL_ZERO"},
        {.key = KEY_CREATE, .option = "create", .variable = "COPOOL_CREATE"},
        {.key = KEY_DESTROY, .option = "destroy", .variable = "COPOOL_DESTROY"},
};

enum { SETTINGS = sizeof settings / sizeof settings[0] };

static void check_number(const struct argp_state *state, const struct setting *setting, const char *value)
{
	char *end;

	errno = 0;
	long number = strtol(value, &end, 10);
	bool digits = value[0] >= '0' && value[0] <= '9' && *end == '\0' && errno == 0;
	if (digits && ((number >= setting->low && number <= setting->high) || (number == 0 && setting->zero)))
		return;
	argp_error(state, "--%s=%s: must be %sa number from %ld to %ld", setting->option, value,
	        setting->zero ? "0 or " : "", setting->low, setting->high);
}

static void check_word(const struct argp_state *state, const struct setting *setting, const char *value)
{
	char word[64];

	snprintf(word, sizeof word, " %s ", value);
	if (strpbrk(value, " ") != NULL || strstr(setting->words, word) == NULL)
		argp_error(state, "--%s=%s: must be one of%s", setting->option, value, setting->words);
}

/* `--create' and `--destroy' mean nothing without each other, and `named' nothing without both. */
static void check_pair(const struct argp_state *state)
{
	const char *host = getenv("COPOOL_HOST");
	const char *create = getenv("COPOOL_CREATE");
	const char *destroy = getenv("COPOOL_DESTROY");
	bool has_create = create != NULL && *create;
	bool has_destroy = destroy != NULL && *destroy;

	if (has_create != has_destroy)
		argp_error(state, "--%s needs --%s as well", has_create ? "create" : "destroy",
		        has_create ? "destroy" : "create");
	if (host != NULL && strcmp(host, "named") == 0 && !has_create)
		argp_error(state, "--host=named needs --create and --destroy");
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		if (settings[i].key != key)
			continue;
		if (value == NULL) /* an option that is a word of its own */
			return setenv(settings[i].variable, "1", 1) == 0 ? 0 : errno;
		if (*value == '\0')
			argp_error(state, "--%s: the value is empty", settings[i].option);
		if (settings[i].high > 0)
			check_number(state, &settings[i], value);
		if (settings[i].words != NULL)
			check_word(state, &settings[i], value);
		return setenv(settings[i].variable, value, 1) == 0 ? 0 : errno;
	}
	if (key != ARGP_KEY_END)
		return ARGP_ERR_UNKNOWN;
	check_pair(state);
	return 0;
}

const struct argp settings_report = {.options = report_options, .parser = parse};
const struct argp settings_pool = {.options = pool_options, .parser = parse};
