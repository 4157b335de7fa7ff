/*
 * copool run: sets COPOOL_* and LD_PRELOAD and becomes the program. All that is known to make the preload
 * fail in silence is looked for first.
 */
#include <argp.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copool.h"
#include "target.h"

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
	KEY_LEARN,
	KEY_ZERO,
	KEY_LOG_MAX,
	KEY_PROMETHEUS
};

static const struct argp_option options[] = {
        {"log", KEY_LOG, "PATH", 0,
                "Write statistics to PATH. %p stands for the process id, %n for the program's name, %% for "
                "a percent sign; `stderr' and `stdout' are words",
                0},
        {"interval", KEY_INTERVAL, "MS", 0, "Milliseconds from sample to sample (10 to 3600000; 1000)", 0},
        {"log-max", KEY_LOG_MAX, "KIB", 0,
                "Let the log grow to so many KiB (64 to 1073741824; 0: no limit; 65536); samples become "
                "rarer in "
                "time",
                0},
        {"prometheus", KEY_PROMETHEUS, "PATH.prom", 0,
                "Keep the counters in PATH.prom, for node_exporter's textfile collector; %p and %n as in "
                "--log",
                0},
        {"max-batches", KEY_MAX_BATCHES, "N", 0,
                "Keep at most N batches of 16 idle objects in the depot (0 to 65535; as many as the system's "
                "limits bear)",
                0},
        {"decay", KEY_DECAY, "MS", 0,
                "Give back idle objects that nobody needed for this long (100 to 86400000; 0: never; 10000)",
                0},
        {"host", KEY_HOST, "HOST", 0, "What the program is: auto, qemu, stacks, named or off (auto)", 0},
        {"guard", KEY_GUARD, "MEANS", 0,
                "How the guard pages of stacks are set up: auto, madvise, poison or mprotect (auto: the "
                "first that "
                "works)",
                0},
        {"stack-size", KEY_STACK_SIZE, "BYTES", 0,
                "Take mappings of this size for stacks, whoever asks for them (16384 to 8454144; 0: none)",
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
        {.key = KEY_PROMETHEUS, .option = "prometheus", .variable = "COPOOL_PROMETHEUS"},
        {KEY_MAX_BATCHES, "max-batches", "COPOOL_MAX_BATCHES", 0, 65535, false, NULL},
        {KEY_DECAY, "decay", "COPOOL_DECAY_MS", 100, 86400000, true, NULL},
        {KEY_HOST, "host", "COPOOL_HOST", 0, 0, false, " auto qemu stacks named off "},
        {KEY_GUARD, "guard", "COPOOL_GUARD", 0, 0, false, " auto madvise poison mprotect "},
        {KEY_STACK_SIZE, "stack-size", "COPOOL_STACK_SIZE", 16384, 8454144, true, NULL},
        {.key = KEY_LEARN, .option = "learn", .variable = "COPOOL_LEARN"},
        {.key = KEY_ZERO, .option = "zero", .variable = "COPOOL_ZERO"},
        {.key = KEY_CREATE, .option = "create", .variable = "COPOOL_CREATE"},
        {.key = KEY_DESTROY, .option = "destroy", .variable = "COPOOL_DESTROY"},
};

enum { SETTINGS = sizeof(settings) / sizeof(settings[0]) };

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

	snprintf(word, sizeof(word), " %s ", value);
	if (strpbrk(value, " ") || !strstr(setting->words, word))
		argp_error(state, "--%s=%s: must be one of%s", setting->option, value, setting->words);
}

/* `--create' and `--destroy' mean nothing without each other, and `named' nothing without both. */
static void check_pair(const struct argp_state *state)
{
	const char *host = getenv("COPOOL_HOST");
	const char *create = getenv("COPOOL_CREATE");
	const char *destroy = getenv("COPOOL_DESTROY");
	bool has_create = create && *create;
	bool has_destroy = destroy && *destroy;

	if (has_create != has_destroy)
		argp_error(state, "--%s needs --%s as well", has_create ? "create" : "destroy",
		        has_create ? "destroy" : "create");
	if (host && strcmp(host, "named") == 0 && !has_create)
		argp_error(state, "--host=named needs --create and --destroy");
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	char ***program = state->input;

	for (size_t i = 0; i < SETTINGS; i++) {
		if (settings[i].key != key)
			continue;
		if (value == NULL) /* an option that is a word of its own */
			return setenv(settings[i].variable, "1", 1) == 0 ? 0 : errno;
		if (*value == '\0')
			argp_error(state, "--%s: the value is empty", settings[i].option);
		if (settings[i].high > 0)
			check_number(state, &settings[i], value);
		if (settings[i].words)
			check_word(state, &settings[i], value);
		return setenv(settings[i].variable, value, 1) == 0 ? 0 : errno;
	}
	switch (key) {
	case ARGP_KEY_ARGS:
		*program = state->argv + state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which program?");
		return 0;
	case ARGP_KEY_END:
		check_pair(state);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "PROGRAM [ARGUMENT...]",
        .doc = "Runs PROGRAM with libcopool.so preloaded, so that its coroutines are recycled.\v"
               "What an option does not say is taken from the environment (see libcopool(7)).\n\n"
               "The exit status is PROGRAM's; or 2 for a wrong option, 125 when copool itself fails, 126 "
               "when "
               "PROGRAM cannot be run with a preload, 127 when it is not found.\n\n"
               "Example: copool run --log=/tmp/%n.%p.jsonl -- qemu-img bench -d 1024 disk.img",
};

/* Finds libcopool.so from where this program lies. 0, or -errno. */
static int find_shim(char *shim)
{
	static const char *const places[] = {"libcopool.so", "../lib/copool/libcopool.so"};
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length < 0)
		return -errno;
	self[length] = '\0';
	const char *folder = dirname(self);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char path[PATH_MAX + 32];
		snprintf(path, sizeof(path), "%s/%s", folder, places[i]);
		if (realpath(path, shim))
			return 0;
	}
	return -ENOENT;
}

/* Puts the shim in front of what is preloaded already. 0, or -errno. */
static int set_preload(const char *shim)
{
	const char *before = getenv("LD_PRELOAD");
	char *preload;

	if (!before || *before == '\0')
		return setenv("LD_PRELOAD", shim, 1) == 0 ? 0 : -errno;
	if (asprintf(&preload, "%s:%s", shim, before) < 0)
		return -ENOMEM;
	int error = setenv("LD_PRELOAD", preload, 1) == 0 ? 0 : -errno;
	free(preload);
	return error;
}

/* Whether the log can be written, as far as that is known before %p and %n are. 0, or -errno. */
static int check_log(const char *log)
{
	char folder[PATH_MAX];
	struct stat status;

	if (strcmp(log, "stderr") == 0 || strcmp(log, "stdout") == 0)
		return 0;
	if ((size_t)snprintf(folder, sizeof(folder), "%s", log) >= sizeof(folder))
		return -ENAMETOOLONG;
	if (!strchr(log, '%') && stat(log, &status) == 0) {
		if (S_ISDIR(status.st_mode))
			return -EISDIR;
		return access(log, W_OK) == 0 ? 0 : -errno;
	}
	const char *parent = dirname(folder);
	if (strchr(parent, '%'))
		return 0;
	if (stat(parent, &status) != 0)
		return -errno;
	if (!S_ISDIR(status.st_mode))
		return -ENOTDIR;
	return access(parent, W_OK | X_OK) == 0 ? 0 : -errno;
}

int cmd_run(int argc, char **argv)
{
	char **program = NULL;
	char shim[PATH_MAX], path[PATH_MAX], reason[2 * PATH_MAX];
	int error = argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &program);

	if (error) {
		fprintf(stderr, "copool run: %s\n", strerror(error));
		return EXIT_OURS;
	}
	error = find_shim(shim);
	if (error) {
		fprintf(stderr, "copool run: libcopool.so is neither beside copool nor in ../lib/copool\n");
		return EXIT_OURS;
	}
	if (strpbrk(shim, " :")) {
		fprintf(stderr, "copool run: LD_PRELOAD cannot name `%s': it has a space or a colon\n", shim);
		return EXIT_OURS;
	}
	const char *log = getenv("COPOOL_LOG");
	error = log && *log ? check_log(log) : 0;
	if (error) {
		fprintf(stderr, "copool run: cannot write the log %s: %s\n", log, strerror(-error));
		return EXIT_OURS;
	}
	error = target_find(program[0], path);
	if (error) {
		fprintf(stderr, "copool run: %s: %s\n", program[0],
		        error == -ENOENT ? "no such program" : strerror(-error));
		return error == -ENOENT ? EXIT_NOT_FOUND : EXIT_REFUSED;
	}
	if (target_check(path, shim, reason, sizeof(reason)) != 0) {
		fprintf(stderr, "copool run: %s %s\n", path, reason);
		return EXIT_REFUSED;
	}
	error = set_preload(shim);
	if (error == 0) {
		execvp(path, program);
		error = -errno;
	}
	fprintf(stderr, "copool run: %s: %s\n", path, strerror(-error));
	return error == -ENOENT ? EXIT_NOT_FOUND : EXIT_REFUSED;
}
