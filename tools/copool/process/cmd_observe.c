/* SPDX-License-Identifier: MIT */
/*
 * copool observe: what copool would do for a program that runs without it, found out from outside: nothing is loaded
 * into the process, and it is neither stopped nor restarted.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clean.h"
#include "clock.h"
#include "fold.h"
#include "progress.h"
#include "copool.h"
#include "judge/cost.h"
#include "run/launch.h"
#include "judge/outlook.h"
#include "process/permission.h"
#include "process/places.h"
#include "process/probes.h"
#include "process/remote.h"
#include "verb.h"

enum { LOOK_MS = 10, COST_MS = 100, QEMU_STACK = 1 << 20, NAME = 64 };

/* Kinds of programs; the first that fits counts. */
enum kind { QEMU, PHP, D, CORO, BOOST, MAPPINGS, KINDS };
enum role { CREATE, MADE, ENDED, ROLES };

static const struct {
	const char *name; /* in JSON */
	const char *text;
} kinds[KINDS] = {
        [QEMU] = {"qemu", "QEMU's coroutines"},
        [PHP] = {"php", "PHP's fibers"},
        [D] = {"d", "D's fibers"},
        [CORO] = {"coro", "coroutines of perl's Coro"},
        [BOOST] = {"boost", "Boost's coroutines"},
        [MAPPINGS] = {"mappings", "mappings"},
};

/* The functions to probe: for each kind and role the first that is found. */
static const struct {
	enum kind kind;
	enum role role;
	const char *function, *object;
} known[] = {
        {QEMU, CREATE, "qemu_coroutine_create", NULL},
        {QEMU, MADE, "qemu_coroutine_new", NULL},
        {QEMU, MADE, "qemu_alloc_stack", NULL},
        {QEMU, ENDED, "qemu_coroutine_delete", NULL},
        {QEMU, ENDED, "qemu_free_stack", NULL},
        {PHP, MADE, "zend_fiber_init_context", NULL},
        {PHP, ENDED, "zend_fiber_destroy_context", NULL},
        {D, MADE, "_D4core6thread5fiber5Fiber10allocStackMFNbmmZv", NULL},
        {D, ENDED, "munmap", "libc."}, /* freeStack is inlined */
        {CORO, MADE, "coro_stack_alloc", NULL},
        {CORO, ENDED, "coro_stack_free", NULL},
        {BOOST, CREATE, "make_fcontext", NULL},
        {BOOST, MADE, "mprotect", "libc."},
        {BOOST, ENDED, "munmap", "libc."},
        {MAPPINGS, MADE, "mmap", "libc."},
        {MAPPINGS, ENDED, "munmap", "libc."},
};

enum { KNOWN = sizeof known / sizeof known[0] };

struct observation {
	pid_t pid;
	bool has_pid, json;
	double seconds;  /* to count for */
	double max_cost; /* of the probes, as a share of one processor */
	char program[NAME];
	enum kind kind;
	struct place place[ROLES]; /* those that are probed, without gaps */
	enum role role[ROLES];     /* of each */
	size_t places;
	uint64_t entries[ROLES]; /* of each place, since the start */
	struct probes probes;
	size_t threads; /* of the process, at most */
	struct outlook outlook;
	double space;           /* address space at the start, in bytes */
	double probe_ns[ROLES]; /* what an entry of each place costs */
	const char *early;      /* why it ended early; NULL: it did not */
};

static const struct argp_option options[] = {
        {"for", 's', "SECONDS", 0, "Count for this long (0.1 to 3600; 5)", 0},
        {"max-cost", 'c', "PERCENT", 0,
                "Stop early if the probes cost the process more than this share of a processor (1 to 1000; "
                "50)",
                0},
        {"json", 'j', NULL, 0, "Write one JSON object", 0},
        {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct observation *mine = state->input;

	switch (key) {
	case 's':
		mine->seconds = verb_number(state, "for", value, 0.1, 3600);
		return 0;
	case 'c':
		mine->max_cost = verb_number(state, "max-cost", value, 1, 1000) / 100;
		return 0;
	case 'j':
		mine->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (mine->has_pid)
			argp_error(state, "what is `%s'? One process is enough", value);
		else if (!remote_pid(value, &mine->pid))
			argp_error(state, "`%s' is not a process id", value);
		mine->has_pid = true;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which process?");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {.options = options,
        .parser = parse,
        .args_doc = "PID",
        .doc = "Says what copool would do for a running program that was started without it: counts for some "
               "seconds how often the functions that create coroutines are called, and how many of these "
               "calls a pool would have served.\v"
               "The kernel does the counting (uprobes), so nothing is loaded into the process, and it is not "
               "stopped. While it runs, each call of such a function costs the process a trap of about a "
               "microsecond; the total is shown. You need CAP_PERFMON or root. The exit status is 0; 1 if "
               "the process cannot be observed; 2 for a wrong option."};

static volatile sig_atomic_t is_stopped;

static void stop(int signal)
{
	(void)signal;
	is_stopped = 1;
}

static double now(void)
{
	return (double)clock_now_ns(CLOCK_MONOTONIC) / 1e9;
}

/* CPU time that a process has used, in seconds; 0: not known. */
static double cpu_of(pid_t pid)
{
	clockid_t clock;

	return clock_getcpuclockid(pid, &clock) == 0 ? (double)clock_now_ns(clock) / 1e9 : 0;
}

/* ---- what is to be counted ---- */

/* Chooses the kind of program, and which functions are probed. Returns false if none can be. */
static bool choose(struct observation *mine, const struct place *found)
{
	for (enum kind kind = QEMU; kind < KINDS; kind++) {
		bool has[ROLES] = {false};

		mine->places = 0;
		for (size_t i = 0; i < KNOWN; i++) {
			if (known[i].kind != kind || !found[i].is_found || has[known[i].role])
				continue;
			has[known[i].role] = true;
			mine->role[mine->places] = known[i].role;
			mine->place[mine->places++] = found[i];
		}
		mine->kind = kind;
		if (has[MADE] && (has[CREATE] || kind != BOOST))
			return true;
	}
	return false;
}

/* Fills in what is observed. Returns 0, or 1 after a message. */
static int find(struct observation *mine)
{
	struct place place[KNOWN] = {0};
	char why[REMOTE_WHY], path[64];
	struct remote remote;
	int error, opened;

	snprintf(path, sizeof path, "/proc/%d/comm", mine->pid);
	FILE *file = fopen(path, "re");
	if (file == NULL || fgets(mine->program, sizeof mine->program, file) == NULL)
		snprintf(mine->program, sizeof mine->program, "process");
	mine->program[strcspn(mine->program, "\n")] = '\0';
	if (file != NULL)
		fclose(file);
	for (size_t i = 0; i < KNOWN; i++) {
		place[i].function = known[i].function;
		place[i].object = known[i].object;
	}
	error = places_find(mine->pid, place, KNOWN);
	opened = error == 0 ? remote_open(&remote, mine->pid) : error;
	/* A process that has ended, and whose parent has not waited for it, still has a folder in /proc. */
	if (opened == -ESRCH)
		error = -ESRCH;
	if (error == -EACCES || error == -EPERM) {
		permission_explain(mine->pid, why, sizeof why);
		fprintf(stderr, "copool observe: %s\n", why);
	} else if (error == -ESRCH) {
		fprintf(stderr, "copool observe: there is no process %d\n", mine->pid);
	} else if (error) {
		fprintf(stderr, "copool observe: process %d: %s\n", mine->pid, strerror(-error));
	} else if (opened == 0) {
		fprintf(stderr, "copool observe: process %d already has libcopool.so: see copool show %d\n",
		        mine->pid, mine->pid);
	} else if (!choose(mine, place)) {
		fprintf(stderr,
		        "copool observe: process %d (%s) has none of the functions that copool knows, and no "
		        "glibc\n",
		        mine->pid, clean(mine->program));
	} else {
		return 0;
	}
	return 1;
}

/* ---- counting ---- */

static uint64_t count_of(const struct observation *mine, enum role role)
{
	for (size_t i = 0; i < mine->places; i++) {
		if (mine->role[i] == role)
			return mine->entries[i];
	}
	return 0;
}

/* How much address space the process has, in bytes; 0: not known. */
static double space_of(pid_t pid)
{
	unsigned long pages = 0;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/statm", pid);
	FILE *file = fopen(path, "re");
	if (file != NULL && fscanf(file, "%lu", &pages) != 1)
		pages = 0;
	if (file != NULL)
		fclose(file);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/*
 * How many have ended. If QEMU's delete is inlined, or was not called yet, the live ones are estimated from the address
 * space that the process has gained since the start. Other memory that it gained makes them more, up to all that were
 * made, never fewer.
 */
static uint64_t count_ended(const struct observation *mine, uint64_t made)
{
	uint64_t ended = count_of(mine, ENDED);
	double space = mine->kind == QEMU && ended == 0 && made > 0 ? space_of(mine->pid) : 0;
	double alive = (space - mine->space) / QEMU_STACK;

	if (ended > 0)
		return ended;
	if (space == 0)
		return mine->outlook.ended;
	return alive < (double)made ? made - (uint64_t)(int64_t)alive : 0;
}

static int look(struct observation *mine)
{
	int error = probes_read(&mine->probes, mine->entries);
	uint64_t creates = count_of(mine, CREATE), made = count_of(mine, MADE);

	if (error != 0)
		return error;
	mine->threads = mine->probes.threads > mine->threads ? mine->probes.threads : mine->threads;
	/* Not every guard page is a coroutine stack's. */
	if (mine->kind == BOOST && made > creates)
		made = creates;
	outlook_add(&mine->outlook, creates, made, count_ended(mine, made));
	return 0;
}

/* What the probes have cost the process, in seconds of CPU time. */
static double probes_seconds(const struct observation *mine)
{
	double ns = 0;

	for (size_t i = 0; i < mine->places; i++)
		ns += (double)mine->entries[i] * mine->probe_ns[i];
	return ns / 1e9;
}

/* Why to end early; NULL: go on. `from`, `cost`: the beginning of an interval, and what the probes had cost then. */
static const char *find_early_end(const struct observation *mine, double time, double *from, double *cost)
{
	double took = time - *from, costs = probes_seconds(mine);

	if (is_stopped)
		return "stopped by a signal";
	if (took < COST_MS / 1000.0)
		return NULL;
	bool is_dear = (costs - *cost) / took > mine->max_cost;
	*from = time;
	*cost = costs;
	return is_dear ? "stopped early: the probes cost the process more than --max-cost allows" : NULL;
}

/* Counts until the time is over. Returns 0, or -errno. */
static int count(struct observation *mine)
{
	struct pollfd process = {.fd = (int)syscall(SYS_pidfd_open, mine->pid, 0), .events = POLLIN};
	double start = now(), cpu = cpu_of(mine->pid), from = start, cost = 0;
	int error = 0;

	progress_begin();
	while (error == 0 && mine->early == NULL && now() < start + mine->seconds) {
		double used = cpu_of(mine->pid);

		if (poll(&process, 1, LOOK_MS) > 0)
			mine->early = "the process has ended";
		error = look(mine);
		mine->outlook.seconds = now() - start;
		mine->outlook.cpu_seconds = used > cpu ? used - cpu : mine->outlook.cpu_seconds;
		progress_say("%.1f of %.1f s, %.0f creates", mine->outlook.seconds, mine->seconds,
		        (double)mine->outlook.creates);
		if (error == 0 && mine->early == NULL)
			mine->early = find_early_end(mine, now(), &from, &cost);
	}
	progress_end();
	if (process.fd >= 0)
		close(process.fd);
	return error;
}

/* ---- the answer ---- */

/* Returns 1 if copool helps, 0 if not, -1 if that cannot be told. */
static int judge(const struct observation *mine, char text[OUTLOOK_TEXT])
{
	const struct outlook *outlook = &mine->outlook;

	if (mine->kind == BOOST && outlook->creates > 0 && outlook->made == 0) {
		snprintf(text, OUTLOOK_TEXT,
		        "does not help: its %" PRIu64
		        " coroutines got no guard page, so their stacks come from malloc, where copool "
		        "cannot reach them, or from the program's own pool",
		        outlook->creates);
		return 0;
	}
	if (mine->kind != MAPPINGS) {
		bool helps = outlook_find(outlook, text);
		return outlook->creates == 0 ? -1 : helps;
	}
	snprintf(text, OUTLOOK_TEXT,
	        "it has no function that copool knows to create coroutines; its C library mapped memory %" PRIu64
	        " time%s%s",
	        outlook->made, outlook->made == 1 ? "" : "s",
	        outlook_saved(outlook) > 0
	                ? ". If those are stacks with guard pages, COPOOL_LEARN=1 pools them (copool run "
	                  "--observe --learn shows it); if they are of one size, COPOOL_STACK_SIZE= does"
	                : "");
	return -1;
}

/* Whether the library looks for its allocator only where it is told to: where it is linked statically. */
static bool needs_host(const struct observation *mine)
{
	bool is_static = false;

	for (size_t i = 0; i < mine->places; i++)
		is_static |= mine->role[i] == MADE && !mine->place[i].is_dynamic;
	return is_static && (mine->kind == PHP || mine->kind == D || mine->kind == CORO);
}

static void print_text(const struct observation *mine, const char *verdict, bool helps)
{
	double seconds = mine->outlook.seconds, cost = probes_seconds(mine);
	char shim[PATH_MAX];
	bool is_host = needs_host(mine);

	fold_stdout();
	printf("%s [%d]: %s, for %.1f s; %zu thread%s%s%s\n", clean(mine->program), mine->pid,
	        kinds[mine->kind].text, seconds, mine->threads, mine->threads == 1 ? "" : "s",
	        mine->early != NULL ? "; " : "", mine->early != NULL ? mine->early : "");
	for (size_t i = 0; i < mine->places; i++) {
		printf("  %-28s %12" PRIu64 " entries %12.0f a second\n", mine->place[i].function,
		        mine->entries[i], seconds > 0 ? (double)mine->entries[i] / seconds : 0);
	}
	printf("%s\n", verdict);
	if (mine->outlook.stack_ns > 0 && helps)
		printf("a stack costs %.2g us to map, guard, use once and unmap, measured on this machine "
		       "just now\n",
		        mine->outlook.stack_ns / 1000);
	if (cost > 0)
		printf("the probes cost the process about %.2g s of CPU time\n", cost);
	if (helps)
		printf("start it with %sLD_PRELOAD=%s, or with: copool run %s-- PROGRAM ...\n",
		        is_host ? "COPOOL_HOST=stacks " : "",
		        launch_find_shim(shim) == 0 ? shim : "libcopool.so", is_host ? "--host=stacks " : "");
}

static int print_json(const struct observation *mine, const char *verdict, int helps)
{
	const struct outlook *outlook = &mine->outlook;
	json_t *functions = json_array();

	for (size_t i = 0; i < mine->places; i++)
		json_array_append_new(functions,
		        json_pack("{s:s, s:s, s:I}", "function", mine->place[i].function, "file",
		                mine->place[i].object_name, "entries", (json_int_t)mine->entries[i]));
	json_t *object = json_pack(
	        "{s:i, s:s, s:s, s:f, s:f, s:i, s:o, s:I, s:I, s:I, s:f, s:f, s:f, s:o, s:s, s:o}", "pid",
	        (int)mine->pid, "program", clean(mine->program), "kind", kinds[mine->kind].name, "seconds",
	        outlook->seconds, "cpu_seconds", outlook->cpu_seconds, "threads", (int)mine->threads,
	        "functions", functions, "creates", (json_int_t)outlook->creates, "new",
	        (json_int_t)outlook->made, "saved", (json_int_t)outlook_saved(outlook), "saved_seconds",
	        outlook_saved_seconds(outlook), "stack_ns", outlook->stack_ns, "probes_seconds",
	        probes_seconds(mine), "helps", helps < 0 ? json_null() : json_boolean(helps), "verdict",
	        verdict, "stopped", mine->early != NULL ? json_string(mine->early) : json_null());
	if (object == NULL) {
		fprintf(stderr, "copool observe: out of memory\n");
		return 1;
	}
	clean_json(object, JSON_INDENT(2), stdout);
	json_decref(object);
	return 0;
}

int cmd_observe(int argc, char **argv)
{
	struct observation mine = {.seconds = 5, .max_cost = 0.5};
	struct sigaction action = {.sa_handler = stop};
	char verdict[OUTLOOK_TEXT];
	int error, status = 0;

	argp_parse(&argp, argc, argv, 0, NULL, &mine);
	if (find(&mine) != 0)
		return 1;
	mine.outlook.stack_ns = cost_stack_ns();
	for (size_t i = 0; i < mine.places; i++)
		mine.probe_ns[i] = probes_cost_ns(&mine.place[i]);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (probes_open(&mine.probes, mine.pid, mine.place, mine.places) != 0) {
		fprintf(stderr, "copool observe: process %d: %s\n", mine.pid, mine.probes.why);
		return 1;
	}
	mine.space = space_of(mine.pid);
	error = count(&mine);
	probes_close(&mine.probes);
	if (error != 0) {
		fprintf(stderr, "copool observe: the counters cannot be read: %s\n", strerror(-error));
		return 1;
	}
	int helps = judge(&mine, verdict);
	if (mine.json)
		status = print_json(&mine, verdict, helps);
	else
		print_text(&mine, verdict, helps > 0);
	return verb_end("observe", status, 1);
}
