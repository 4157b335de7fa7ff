/* SPDX-License-Identifier: MIT */
/*
 * The order in which everything starts and ends:
 *
 *	constructor: settings -> libc's functions -> choose an adapter -> attach it -> fork handlers -> statistics
 *	later:       if no adapter fitted, and a library brings something to pool: attach -> statistics
 *	destructor:  end the statistics. Patches stay, as threads may still be inside a hook.
 *
 * The constructor runs before the program's own initializers. It changes nothing in a program that has nothing to pool.
 */
#include "config.h"
#include "adapter/adapter.h"
#include "adapter/late.h"
#include "system/clock.h"
#include "libc/elsewhere.h"
#include "libc/objects.h"
#include "libc/real.h"
#include "system/self.h"
#include "system/warn.h"
#include "pool/pool.h"
#include "pool/fork.h"
#include "pool/upkeep.h"
#include "report/origins/records.h"
#include "report/origins/unwind.h"
#include "report/report.h"
#include "report/summary.h"
#include "report/origins/origins.h"
#include "stack/poison.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <unistd.h>

/* The constructor writes it. The statistics thread reads it as long as the process lives. */
static struct {
	struct config config;
	struct adapter_outcome outcome;
	bool has_failed;                     /* an adapter that knows the program could not be attached */
	struct adapter_outcome late_outcome; /* of an adapter that is attached later */
	struct report_service report,
	        later; /* the second once a pool was withdrawn, or an adapter was attached later */
	const struct adapter *adapter; /* the attached one; NULL: none */
	bool is_claimed;               /* an adapter was wanted, attached or not */
} shim;

static const struct report_service waiting = {
        .name = "none",
        .mode = "none",
        .way = "none",
        .detail = "the program has no coroutines yet; it may load a library that has",
};

/* In the order in which they are asked. */
static const struct {
	unsigned setting; /* the value of COPOOL_HOST that insists on it */
	const struct adapter *adapter;
} adapters[] = {
        {CONFIG_HOST_NAMED, &adapter_named},
        {CONFIG_HOST_QEMU, &adapter_qemu},
        {CONFIG_HOST_STACKS, &adapter_stacks},
};

enum { ADAPTERS = sizeof adapters / sizeof *adapters };

/*
 * While the program still waits for something to pool, the fork handlers do nothing: each page that is written costs
 * memory on both sides, and most children call exec. The handlers of one fork share this state of the forking thread.
 */
static __thread struct {
	bool is_prepared;
	bool was_alone; /* the process had one thread */
	pid_t forked_by; /* the parent, if this thread began the process and something may still be attached; else 0 */
} own_fork;

static void before_fork(void)
{
	own_fork.is_prepared = !late_is_waiting();
	own_fork.was_alone = __libc_single_threaded;
	if (!own_fork.is_prepared)
		return;
	report_fork_prepare();
	records_fork_prepare();
	unwind_fork_prepare();
	pool_fork_prepare();
	poison_fork_prepare();
}

static void after_fork_in_parent(void)
{
	if (!own_fork.is_prepared)
		return;
	poison_fork_parent();
	pool_fork_parent();
	unwind_fork_parent();
	records_fork_parent();
	report_fork_parent();
}

static void after_fork_in_child(void)
{
	objects_fork_child(own_fork.was_alone);
	/* If nothing can be attached any more, not even a system call is made. */
	own_fork.forked_by = late_is_waiting() && report_may_arrive() ? getppid() : 0;
	/* If another thread has attached something since before_fork(), pool_fork_child() copes with pools in any state. */
	if (!own_fork.is_prepared && late_is_waiting())
		return;
	elsewhere_fork_child();
	poison_fork_child();
	pool_fork_child();
	unwind_fork_child();
	records_fork_child();
	origins_fork_child();
	for (size_t i = 0; i < ADAPTERS; i++) {
		if (adapters[i].adapter->fork_child != NULL)
			adapters[i].adapter->fork_child();
	}
	report_fork_child();
}

/*
 * The coroutines' stacks come from mmap. The stacks adapter helps beside the attached one, as its guard pages need no
 * memory maps of their own; and in its place if that could not be attached (`error`). Returns 0 if it was attached,
 * else `error`.
 */
static int start_stacks(int error)
{
	struct adapter_outcome stacks = {.has_stacks = true, .learn_bytes = shim.outcome.learn_bytes};
	char detail[ADAPTER_DETAIL_BYTES];

	if (adapter_stacks.attach(&shim.config, &stacks) != 0)
		return error;
	memcpy(detail, shim.outcome.detail, sizeof detail);
	adapter_say(&shim.outcome, "%s; %s", detail, stacks.detail);
	if (error != 0) {
		shim.outcome.mode = stacks.mode;
		shim.outcome.way = stacks.way;
		shim.outcome.is_waiting = stacks.is_waiting;
		shim.outcome.cap = stacks.cap;
	}
	return 0;
}

/* Whether the user can do something about it: a library is missing, or code may not be changed. */
static bool is_mendable(int error)
{
	return error == -ELIBACC || error == -ELIBBAD || error == -EACCES || error == -EPERM;
}

/*
 * Without a log the standard error says why an adapter could not be attached. Programs that merely inherit the names
 * of functions say nothing: only one that has such functions, or that `copool run` has started, does.
 */
static void note_failure(const struct adapter *adapter, int error)
{
	bool is_meant = !shim.outcome.is_another ||
	                (adapter->is_users_choice && shim.config.tell == (unsigned)clock_pid());

	shim.has_failed |= is_meant;
	if (is_meant && shim.config.log[0] == '\0' && (adapter->is_users_choice || is_mendable(error)))
		warn("%s", shim.outcome.detail);
}

static bool hear_of_forks(void)
{
	return pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
}

/* Attaches an adapter. Returns 0, or -errno with the program unchanged. */
static int start(const struct adapter *adapter)
{
	int error;

	shim.outcome.is_another = false;
	error = adapter->attach(&shim.config, &shim.outcome);
	if (error != 0)
		note_failure(adapter, error);
	if (shim.outcome.has_stacks)
		error = start_stacks(error);
	if (error != 0)
		return error;
	if (!hear_of_forks())
		warn("there was no memory to notice forks: children write no statistics");
	return 0;
}

/* The sanitizers' own functions; not NULL if the program has them. */
#define SANITIZER(function) extern void function(void) __attribute__((weak))
SANITIZER(__asan_init);
SANITIZER(__hwasan_init);
SANITIZER(__msan_init);
SANITIZER(__tsan_init);

/*
 * The sanitizer that the program was built with; NULL: none. A sanitizer follows stacks from mmap to munmap, and would
 * take their reuse in between for races and invalid accesses.
 */
static const char *sanitizer(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return NULL; /* copool itself is checked */
#endif
	return __asan_init != NULL     ? "AddressSanitizer"
	       : __hwasan_init != NULL ? "HWAddressSanitizer"
	       : __msan_init != NULL   ? "MemorySanitizer"
	       : __tsan_init != NULL   ? "ThreadSanitizer"
	                               : NULL;
}

/* How the program is served, as the log says. */
static struct report_service service(const struct adapter_outcome *outcome)
{
	return (struct report_service){
	        .name = shim.adapter != NULL ? shim.adapter->name : "none",
	        .mode = outcome->mode,
	        .way = outcome->way,
	        .detail = outcome->detail,
	        .cap = outcome->cap,
	};
}

/* Attaches the first adapter that the program or the user wants; NULL: none could be attached. */
static const struct adapter *start_first(void)
{
	const char *checker;
	bool is_ready = false;

	for (size_t i = 0; i < ADAPTERS; i++) {
		bool is_wanted =
		        shim.config.host == adapters[i].setting ||
		        (shim.config.host == CONFIG_HOST_AUTO && adapters[i].adapter->is_here(&shim.config));

		if (is_wanted && (checker = sanitizer()) != NULL) {
			adapter_say(&shim.outcome, "left alone: the program checks itself with %s", checker);
			shim.has_failed = shim.config.host == CONFIG_HOST_AUTO;
			return NULL;
		}
		if (is_wanted && !is_ready && pools_init(shim.config.decay_ms, report_wake) != 0) {
			adapter_say(&shim.outcome, "no thread-specific key was left");
			shim.has_failed = true;
			return NULL;
		}
		is_ready |= is_wanted;
		shim.is_claimed |= is_wanted;
		if (is_wanted && start(adapters[i].adapter) == 0)
			return adapters[i].adapter;
		/* Functions that the user named may be another program's: all programs inherit the settings. */
		if (is_wanted && !adapters[i].adapter->is_users_choice)
			return NULL;
	}
	return NULL;
}

/*
 * Attaches the stacks adapter while the program runs. The calling thread may be in a signal handler or hold the
 * loader's lock, and there are others. So nothing here takes a lock of libc or allocates memory.
 */
static bool come_late(void)
{
	shim.late_outcome.is_late = true;
	if (!report_may_arrive() || pools_init(shim.config.decay_ms, report_wake) != 0 ||
	        adapter_stacks.attach(&shim.config, &shim.late_outcome) != 0)
		return false;
	shim.adapter = &adapter_stacks;
	shim.later = service(&shim.late_outcome);
	report_arrive(&shim.later, own_fork.forked_by);
	return true;
}

/* Nothing was found, but a library that the program loads may bring something. That must be prepared at start. */
static void wait_for_more(void)
{
	if (shim.is_claimed || shim.config.host != CONFIG_HOST_AUTO || sanitizer() != NULL ||
	        !hear_of_forks()) {
		report_inert(&shim.config, &shim.report);
		return;
	}
	origins_start();
	report_wait(&shim.config, &shim.report);
	adapter_stacks.wait(come_late);
}

/* What the program's arguments call this instance of it, before its kind is known: sections of settings go by it. */
static void find_label(char **arguments, char *label, size_t bytes)
{
	label[0] = '\0';
	for (size_t i = 0; i < ADAPTERS; i++) {
		if (adapters[i].adapter->is_called_so != NULL && adapters[i].adapter->is_called_so())
			adapters[i].adapter->find_label(arguments, label, bytes);
	}
}

/* Why nothing is pooled, unless an adapter knows better. */
static void say_why_not(void)
{
	char source[SETTINGS_SOURCE_BYTES];

	if (shim.config.host == CONFIG_HOST_OFF)
		adapter_say(&shim.outcome, "switched off by %s=off", config_called(SETTING_host, source));
	else
		adapter_say(&shim.outcome, "the program has no known coroutines");
}

__attribute__((constructor)) static void shim_start(int count, char **arguments)
{
	char label[SELF_LABEL_BYTES];
	int saved = errno;

	(void)count;
	self_know();
	find_label(arguments, label, sizeof label);
	config_read(&shim.config, label);
	real_init();
	elsewhere_init();
	shim.outcome.mode = shim.outcome.way = "none";
	say_why_not();
	origins_ask(&shim.config);
	shim.adapter = start_first();
	if (label[0] == '\0' && shim.adapter != NULL && shim.adapter->find_label != NULL)
		shim.adapter->find_label(arguments, label, sizeof label);
	self_know_label(shim.config.label, label);
	if (shim.adapter != NULL)
		origins_start();
	shim.report = service(&shim.outcome);
	shim.report.has_failed = shim.has_failed;
	if (shim.adapter != NULL && shim.adapter->withdrawn != NULL) {
		shim.later = shim.report;
		shim.later.mode = shim.outcome.has_stacks ? "pool" : "none";
		shim.later.way = shim.outcome.has_stacks ? "stacks" : "none";
		shim.later.detail = shim.adapter->withdrawn;
		shim.report.later = &shim.later;
	}
	if (shim.adapter == NULL) {
		wait_for_more();
		/* Now: at the end the program may have closed its standard error. */
		summary_say(&shim.config, &shim.report);
	} else if (shim.outcome.is_waiting) {
		report_wait(&shim.config, &waiting);
		report_arrive(&shim.report, 0);
	} else {
		report_start(&shim.config, &shim.report, shim.adapter->starts_at_once);
	}
	errno = saved;
}

__attribute__((destructor)) static void shim_stop(void)
{
	int saved = errno;

	/* Otherwise no system call is made: a sandbox might kill the process for it. */
	if (shim.adapter != NULL) {
		report_stop();
		summary_say(&shim.config, &shim.report);
	}
	errno = saved;
}
