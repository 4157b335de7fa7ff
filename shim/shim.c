/* SPDX-License-Identifier: MIT */
/*
 * The order of start, and its reverse:
 *
 *	constructor: settings -> libc beneath us -> which host -> attach it -> fork handlers -> statistics
 *	later:       where there was none, and a library brings it: attach it -> statistics
 *	destructor:  statistics. Patches stay: threads may still be inside a hook, and the program is ending.
 *
 * The constructor runs before the program's own initialisers, and changes nothing in a program that has nothing to pool.
 */
#include "config.h"
#include "adapter/adapter.h"
#include "adapter/late.h"
#include "system/clock.h"
#include "libc/elsewhere.h"
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
#include <unistd.h>

/* Written by the constructor, and read by the statistics thread as long as the process lives. */
static struct {
	struct config config;
	struct adapter_outcome outcome;
	bool has_failed;                     /* a host that knows the program could not be attached */
	struct adapter_outcome late_outcome; /* of a host that is attached in the midst of the program */
	struct report_service report,
	        later;                 /* the second once a pool was withdrawn, or a host has come late */
	const struct adapter *adapter; /* the one that is attached; NULL: none */
	bool is_claimed;               /* a host was wanted, attached or not */
} shim;

static const struct report_service waiting = {
        .name = "none",
        .mode = "none",
        .way = "none",
        .detail = "the program has no coroutines yet; it may load a library that has",
};

/* In the order in which they are asked. */
static const struct {
	unsigned setting; /* of COPOOL_HOST, to insist on it */
	const struct adapter *adapter;
} adapters[] = {
        {CONFIG_HOST_NAMED, &adapter_named},
        {CONFIG_HOST_QEMU, &adapter_qemu},
        {CONFIG_HOST_STACKS, &adapter_stacks},
};

enum { ADAPTERS = sizeof adapters / sizeof *adapters };

/*
 * Where nothing has come yet there is nothing to be done: whatever is written costs a page of memory on both sides, and
 * most children become another program. Of what the thread that forks has done it tells itself.
 */
static __thread struct {
	bool is_prepared;
	pid_t forked_by; /* the process began with this thread, and a fork by that one; 0: it did not */
} own_fork;

static void before_fork(void)
{
	own_fork.is_prepared = !late_is_waiting();
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
	/* Where nothing can come any more there is not even a system call. */
	own_fork.forked_by = late_is_waiting() && report_may_arrive() ? getppid() : 0;
	/* What has come meanwhile, in another thread, was not at rest: pool_fork_child() takes it so. */
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
 * The stacks of the host's coroutines come from mmap. Beside its pool the arena frees them from the limit on
 * memory maps; where the host could not be attached (`error`) its stacks are recycled all the same. Returns
 * `error`, or 0 when this has helped.
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

/* Whether the reason is the user's to mend: a library that is missing, or code that may not be changed. */
static bool is_mendable(int error)
{
	return error == -ELIBACC || error == -ELIBBAD || error == -EACCES || error == -EPERM;
}

/*
 * Where no log says why a host could not be attached, the standard error does; but not in each of the programs that inherit
 * what the user has named, only in that which has it, or which `copool run` has started for it.
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

/* Takes the program over for a host. 0; or -errno, and all is as it was. */
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

/* The sanitizers' own functions, where a program has them: the loader has looked for them already. */
#define SANITIZER(function) extern void function(void) __attribute__((weak))
SANITIZER(__asan_init);
SANITIZER(__hwasan_init);
SANITIZER(__msan_init);
SANITIZER(__tsan_init);

/*
 * What a program is checked by that was built with a sanitizer: it follows stacks from mmap to munmap, and
 * takes what is used again in between for races and for use of what is not its own.
 */
static const char *sanitizer(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return NULL; /* it is ourselves who are checked */
#endif
	return __asan_init != NULL     ? "AddressSanitizer"
	       : __hwasan_init != NULL ? "HWAddressSanitizer"
	       : __msan_init != NULL   ? "MemorySanitizer"
	       : __tsan_init != NULL   ? "ThreadSanitizer"
	                               : NULL;
}

/* The first host that the program, or the user, wants and that can be had; NULL: none. */
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
		/* What the user named may be meant for another program of those that inherit the settings. */
		if (is_wanted && !adapters[i].adapter->is_users_choice)
			return NULL;
	}
	return NULL;
}

/*
 * In the midst of the program, with other threads, perhaps in a signal handler, or under the loader's lock: nothing here
 * takes a lock of libc's, or memory.
 */
static bool come_late(void)
{
	shim.late_outcome.is_late = true;
	if (!report_may_arrive() || pools_init(shim.config.decay_ms, report_wake) != 0 ||
	        adapter_stacks.attach(&shim.config, &shim.late_outcome) != 0)
		return false;
	shim.adapter = &adapter_stacks;
	shim.later = (struct report_service){
	        .name = shim.adapter->name,
	        .mode = shim.late_outcome.mode,
	        .way = shim.late_outcome.way,
	        .detail = shim.late_outcome.detail,
	        .cap = shim.late_outcome.cap,
	};
	report_arrive(&shim.later, own_fork.forked_by);
	return true;
}

/* Nothing was found: a library that the program loads may bring it. Only the program's own start can prepare for that. */
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

__attribute__((constructor)) static void shim_start(int count, char **arguments)
{
	char label[SELF_LABEL_BYTES] = "";
	int saved = errno;

	(void)count;
	self_know();
	config_read(&shim.config);
	real_init();
	elsewhere_init();
	shim.outcome.mode = shim.outcome.way = "none";
	adapter_say(&shim.outcome, shim.config.host == CONFIG_HOST_OFF
	                                   ? "switched off by COPOOL_HOST=off"
	                                   : "the program has no known coroutines");
	origins_ask(&shim.config);
	shim.adapter = start_first();
	if (shim.adapter != NULL && shim.adapter->find_label != NULL)
		shim.adapter->find_label(arguments, label, sizeof label);
	self_know_label(shim.config.label, label);
	if (shim.adapter != NULL)
		origins_start();
	shim.report = (struct report_service){
	        .name = shim.adapter != NULL ? shim.adapter->name : "none",
	        .mode = shim.outcome.mode,
	        .way = shim.outcome.way,
	        .detail = shim.outcome.detail,
	        .has_failed = shim.has_failed,
	        .cap = shim.outcome.cap,
	};
	if (shim.adapter != NULL && shim.adapter->withdrawn != NULL) {
		shim.later = shim.report;
		shim.later.mode = shim.outcome.has_stacks ? "pool" : "none";
		shim.later.way = shim.outcome.has_stacks ? "stacks" : "none";
		shim.later.detail = shim.adapter->withdrawn;
		shim.report.later = &shim.later;
	}
	if (shim.adapter == NULL) {
		wait_for_more();
		/* Many a program closes its standard error before it is our turn at the end. */
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

	/* Else not a system call: one could be death, in a sandbox. */
	if (shim.adapter != NULL) {
		report_stop();
		summary_say(&shim.config, &shim.report);
	}
	errno = saved;
}
