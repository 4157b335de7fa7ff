/* SPDX-License-Identifier: MIT */
/*
 * copool set, trim, off, on: change settings of a running process. They are written to words that its shim reads. The
 * shim's thread does the work, and this waits for it some seconds.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clean.h"
#include "clock.h"
#include "copool.h"
#include "progress.h"
#include "process/remote.h"
#include "verb.h"
#include "settings.h"

enum { WAIT_MS = 5000, LOOK_MS = 20, CACHE_OBJECTS = 2 * RECORD_BATCH_SIZE };

struct change {
	const char *verb;
	pid_t pid;
	bool has_pid, is_json;
	unsigned assignments;
	struct remote_control *wanted; /* where the values go */
	struct remote_control *began;  /* what `default' means */
	char **words;                  /* of the command line, after the pid */
};

/* What `copool set` takes: the live settings of the list, and the switch. */
#define OPTION(name, letter, argument, flags)                                           argument
#define NUMBER(id, variable, option, help, more, zero, low, high, unit, standard, live) live(id, option)
#define LIVE_SETTINGS                                                                   SETTINGS(NUMBER, NO, NO, NO)
#define NO(...)
#define FIXED(...)
#define LIVE(id, argument) {&settings[SETTING_##id], offsetof(struct remote_control, id)},

static const struct setting the_switch = {
        .name = "off", .range = "0 or 1", .kind = SETTING_SWITCH, .high = 1};

static const struct place {
	const struct setting *setting;
	size_t at; /* in struct remote_control */
} places[] = {LIVE_SETTINGS{&the_switch, offsetof(struct remote_control, is_off)}};

enum { PLACES = sizeof places / sizeof places[0] };

#undef LIVE
#define LIVE(id, argument) #id "=" argument ", "
#define KNOWN              LIVE_SETTINGS "off=0, off=1"

static uint32_t *value_of(struct remote_control *control, const struct place *place)
{
	return (uint32_t *)(void *)((char *)control + place->at);
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct change *change = state->input;

	switch (key) {
	case 'j':
		change->is_json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (!change->has_pid && !remote_pid(value, &change->pid))
			argp_error(state, "`%s' is not a process id", value);
		else if (change->has_pid && strcmp(change->verb, "set") != 0)
			argp_error(state, "what is `%s'? One process is enough", value);
		if (!change->has_pid)
			change->words = state->argv + state->next;
		change->has_pid = true;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which process?");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

#define STATUS                                                                                               \
	"The exit status is 0 if it is done; 1 if it cannot be, 2 for a wrong argument, and 3 if it is "     \
	"requested but not done yet: the message says when it will be."

static const struct argp_option options[] = {
        {"json", 'j', NULL, 0, "Write one JSON object instead of words", 0}, {0}};

static const struct argp argp_set = {.options = options,
        .parser = parse,
        .args_doc = "PID [SETTING...]",
        .doc = "Changes settings of a running process; without a SETTING, shows them. A SETTING is one of " KNOWN
               ". The names are those of the COPOOL_ variables. For the first two, the word `default' means the "
               "value with which the process began. off=1 does what `copool off' does, off=0 what `copool on' does.\v" STATUS};
static const struct argp argp_trim = {.options = options,
        .parser = parse,
        .args_doc = "PID",
        .doc = "Makes a running process give back now what is idle in its depots. Objects in the caches of "
               "its threads stay, at most 32 each.\v" STATUS};
static const struct argp argp_off = {.options = options,
        .parser = parse,
        .args_doc = "PID",
        .doc = "Stops a running process from pooling: what is idle is given back, and destroyed objects go "
               "to the program's own function. Only each thread's cache of at most 32 objects continues.\v" STATUS};
static const struct argp argp_on = {.options = options,
        .parser = parse,
        .args_doc = "PID",
        .doc = "Makes a running process pool again after `copool off'.\v" STATUS};

/* Returns 0, or EXIT_USAGE after a message. */
static int assign(const struct change *change, const char *word)
{
	size_t length = strcspn(word, "=");
	const struct place *place = NULL;
	const char *why;

	for (size_t i = 0; i < PLACES && word[length] != '\0'; i++) {
		const char *name = places[i].setting->name;
		if (strlen(name) == length && strncmp(word, name, length) == 0)
			place = &places[i];
	}
	if (place == NULL) {
		fprintf(stderr, "copool set: `%s' is none of " KNOWN "\n", clean(word));
		return EXIT_USAGE;
	}
	if (strcmp(word + length + 1, "default") == 0 && place->setting != &the_switch) {
		*value_of(change->wanted, place) = *value_of(change->began, place);
		return 0;
	}
	why = setting_read(place->setting, word + length + 1, value_of(change->wanted, place));
	if (why != NULL)
		fprintf(stderr, "copool set: %s: %s; it must be %s\n", clean(word), why,
		        place->setting->range);
	return why != NULL ? EXIT_USAGE : 0;
}

/* ---- what a process holds ---- */

struct holding {
	json_int_t idle, batches, trimmed, threads;
	size_t pools;
};

static int look(struct remote *remote, struct holding *holding)
{
	json_t *samples = remote_samples(remote), *sample;
	size_t i;

	*holding = (struct holding){0};
	if (samples == NULL)
		return -1;
	json_array_foreach(samples, i, sample)
	{
		json_int_t threads = json_integer_value(json_object_get(sample, "threads"));

		holding->idle += json_integer_value(json_object_get(sample, "pooled"));
		holding->batches += json_integer_value(json_object_get(sample, "depot_batches"));
		holding->trimmed += json_integer_value(json_object_get(sample, "trimmed"));
		holding->threads = threads > holding->threads ? threads : holding->threads;
	}
	holding->pools = json_array_size(samples);
	json_decref(samples);
	return 0;
}

/* ---- asking, and waiting ---- */

/* Whether the shim's thread, which does `thread`, has nothing to do. */
static bool is_in_force(const struct holding *holding, int thread)
{
	return holding->batches == 0 && (thread == RECORD_THREAD_SLEEPS || thread == RECORD_THREAD_AT_USE ||
	                                        thread == RECORD_THREAD_AT_NEED);
}

/* Waits until all is done. Returns 0, 1 if the process cannot be seen any more, or EXIT_ASKED. */
static int await(struct remote *remote, struct holding *holding)
{
	uint64_t end = clock_now_ns(CLOCK_MONOTONIC) + (uint64_t)WAIT_MS * 1000000;
	struct remote_control control;

	do {
		if (remote_read_control(remote, &control) != 0 || look(remote, holding) != 0)
			return 1;
		if (control.done == control.asked || is_in_force(holding, remote_thread(remote)))
			return 0;
		int thread = remote_thread(remote);
		if (thread == RECORD_THREAD_FAILED || thread == RECORD_THREAD_ENDED ||
		        thread == RECORD_THREAD_AT_NEED || thread == RECORD_THREAD_AT_USE ||
		        remote_state(remote) == 'T' || remote_state(remote) == 't')
			return EXIT_ASKED;
		progress_say("process %d has not done it yet", remote->pid);
		nanosleep(&(struct timespec){0, LOOK_MS * 1000000}, NULL);
	} while (clock_now_ns(CLOCK_MONOTONIC) < end);
	return EXIT_ASKED;
}

static int await_done(struct remote *remote, struct holding *holding)
{
	progress_begin();
	int status = await(remote, holding);
	progress_end();
	return status;
}

/* Why the request is not done. */
static const char *reason(struct remote *remote)
{
	char state = remote_state(remote);

	if (state == 'T' || state == 't')
		return "the process is stopped; it will be done when it continues";
	switch (remote_thread(remote)) {
	case RECORD_THREAD_AT_USE:
	case RECORD_THREAD_AT_NEED:
		return "copool has no thread there yet; it starts, and gives back what is idle, when the "
		       "program next gives a batch to the pool";
	case RECORD_THREAD_FAILED:
		return "copool could not start its thread there, so nothing idle will be given back";
	case RECORD_THREAD_ENDED:
		return "copool's thread there has ended, because the process or its first thread is ending; "
		       "nothing idle will be given back";
	default:
		return "copool's thread there has not done it yet";
	}
}

/* What is in force, or asked for; and what was given back, where something was asked for. `why`: it is not done. */
static int print_json(struct remote *remote, const struct remote_control *control,
        const struct holding *before, const struct holding *after, const char *why)
{
	struct remote_control on = *control;
	uint32_t cap;

	on.is_off = 0;
	if (remote_cap(remote, &on, &cap) != 0)
		return -1;
	json_t *object = json_pack("{s:i, s:I, s:o, s:b}", "pid", (int)remote->pid, "decay_ms",
	        (json_int_t)control->decay_ms, "max_batches",
	        cap == BATCHES_DERIVED ? json_null() : json_integer(cap), "off", control->is_off != 0);
	if (after != NULL) {
		json_int_t back = after->trimmed - before->trimmed;
		json_t *rest = json_pack("{s:b, s:o, s:I, s:I, s:I}", "done", why == NULL, "why_not",
		        why != NULL ? json_string(why) : json_null(), "given_back", back > 0 ? back : 0,
		        "idle", after->idle, "threads", after->threads);
		json_object_update(object, rest);
		json_decref(rest);
	}
	clean_json(object, JSON_INDENT(2), stdout);
	json_decref(object);
	return 0;
}

static int print_control(struct remote *remote, const struct remote_control *control)
{
	struct remote_control on = *control;
	uint32_t cap;

	on.is_off = 0;
	if (remote_cap(remote, &on, &cap) != 0)
		return -1;
	printf("decay_ms=%" PRIu32, control->decay_ms);
	if (cap == BATCHES_DERIVED)
		printf(" max_batches=default");
	else
		printf(" max_batches=%" PRIu32, cap);
	printf(" off=%d\n", control->is_off != 0);
	return 0;
}

static void print_outcome(struct remote *remote, const struct change *change, const struct holding *before,
        const struct holding *after)
{
	json_int_t back = after->trimmed - before->trimmed;

	if (strcmp(change->verb, "set") == 0)
		print_control(remote, change->wanted);
	else if (strcmp(change->verb, "on") == 0)
		printf("process %d pools again\n", remote->pid);
	if (strcmp(change->verb, "trim") == 0 || back > 0)
		printf("given back: %" JSON_INTEGER_FORMAT " idle objects; %" JSON_INTEGER_FORMAT
		       " stay in the caches of %" JSON_INTEGER_FORMAT " %s\n",
		        back > 0 ? back : 0, after->idle - after->batches * RECORD_BATCH_SIZE, after->threads,
		        after->threads == 1 ? "thread" : "threads");
	if (change->wanted->is_off && strcmp(change->verb, "trim") != 0)
		printf("off: the depots of process %d keep nothing more; the caches of its threads continue, "
		       "at most %d objects of a kind each\n",
		        remote->pid, CACHE_OBJECTS);
}

static int fail(const struct change *change, const char *why)
{
	fprintf(stderr, "copool %s: %s\n", change->verb, why);
	return 1;
}

/* Whether something may have to be given back; all else takes effect when it is written. */
static bool needs_thread(const struct change *change, const struct remote_control *now)
{
	const struct remote_control *wanted = change->wanted;

	return strcmp(change->verb, "trim") == 0 || wanted->is_off ||
	       (wanted->decay_ms != now->decay_ms && wanted->decay_ms != 0) ||
	       (wanted->max_batches != now->max_batches && wanted->max_batches != BATCHES_DERIVED);
}

/* Writes what is wanted, waits for it, and reports the outcome. */
static int carry_out(struct remote *remote, struct change *change)
{
	struct remote_control now;
	struct holding before, after;
	int status = 0;

	if (look(remote, &before) != 0 || remote_read_control(remote, &now) != 0)
		return fail(change, remote->why);
	if (needs_thread(change, &now))
		change->wanted->asked = (uint32_t)clock_now_ns(CLOCK_MONOTONIC) | 1;
	if (strcmp(change->verb, "trim") == 0)
		change->wanted->emptied = change->wanted->asked;
	if (remote_ask(remote, change->wanted) != 0)
		return fail(change, remote->why);
	after = before;
	if (needs_thread(change, &now))
		status = await_done(remote, &after);
	if (status == 1)
		return fail(change, remote->why);
	const char *why = status == EXIT_ASKED ? reason(remote) : NULL;
	if (change->is_json)
		return print_json(remote, change->wanted, &before, &after, why) == 0
		               ? status
		               : fail(change, remote->why);
	if (why != NULL)
		printf("requested, but not done yet: %s\n", why);
	else
		print_outcome(remote, change, &before, &after);
	return status;
}

/* Whether the process pools anything. Returns 0, or 1 after a message. */
static int check_pooled(struct remote *remote, const struct change *change)
{
	json_t *open = remote_open_record(remote);
	char why[1024];
	int status = 0;

	if (open == NULL)
		return fail(change, remote->why);
	const char *mode = json_string_value(json_object_get(open, "mode"));
	if (strcmp(mode, "none") == 0 || strcmp(mode, "observe") == 0) {
		snprintf(why, sizeof why, "nothing is pooled in process %d: %s", remote->pid,
		        clean(json_string_value(json_object_get(open, "detail"))));
		status = fail(change, why);
	}
	json_decref(open);
	return status;
}

static int change_process(const char *verb, const struct argp *argp, int argc, char **argv)
{
	static struct remote remote;
	struct remote_control wanted, began = {.max_batches = BATCHES_DERIVED};
	struct change change = {.verb = verb, .wanted = &wanted, .began = &began};
	int status = 0;

	if (argp_parse(argp, argc, argv, 0, NULL, &change) != 0)
		return fail(&change, "out of memory");
	/* A wrong word is an error even if the process cannot be changed. */
	for (char **word = change.words; strcmp(verb, "set") == 0 && *word != NULL && status == 0; word++)
		status = assign(&change, *word);
	if (status)
		return status;
	if (remote_open(&remote, change.pid) != 0 || remote_read_control(&remote, &wanted) != 0)
		return fail(&change, remote.why);
	status = check_pooled(&remote, &change);
	if (status)
		return status;
	began.decay_ms = remote.block.decay_ms;
	if (strcmp(verb, "set") == 0 && *change.words == NULL) {
		status = change.is_json ? print_json(&remote, &wanted, NULL, NULL, NULL)
		                        : print_control(&remote, &wanted);
		return status == 0 ? 0 : fail(&change, remote.why);
	}
	for (char **word = change.words; strcmp(verb, "set") == 0 && *word != NULL; word++)
		assign(&change, *word);
	if (strcmp(verb, "off") == 0 || strcmp(verb, "on") == 0)
		wanted.is_off = strcmp(verb, "off") == 0;
	return verb_end(verb, carry_out(&remote, &change), 1);
}

int cmd_set(int argc, char **argv)
{
	return change_process("set", &argp_set, argc, argv);
}

int cmd_trim(int argc, char **argv)
{
	return change_process("trim", &argp_trim, argc, argv);
}

int cmd_off(int argc, char **argv)
{
	return change_process("off", &argp_off, argc, argv);
}

int cmd_on(int argc, char **argv)
{
	return change_process("on", &argp_on, argc, argv);
}
