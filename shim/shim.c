/*
 * The order of start, and its reverse:
 *
 *	constructor: settings -> libc beneath us -> which host -> attach it -> fork handlers -> statistics
 *	destructor:  statistics. Patches stay: threads may still be inside a hook, and the program is ending.
 *
 * Runs before the program's own initialisers, and changes nothing in a program that has nothing to pool.
 */
#include "config.h"
#include "host/host.h"
#include "libc/real.h"
#include "pool/pool.h"
#include "report/report.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

/* Written by the constructor, and read by the statistics thread as long as the process lives. */
static struct {
	struct config config;
	struct host_outcome outcome;
	struct report_host report;
	const struct host *host; /* the one that is attached; NULL: none */
} shim;

static const struct report_host waiting = {
        .name = "none",
        .mode = "none",
        .detail = "the program has no coroutines yet; if it loads a library that has, they will be pooled",
};

/* In the order in which they are asked. */
static const struct host *const hosts[] = {&host_named, &host_qemu, &host_stacks};

static const struct {
	unsigned setting;
	const struct host *host;
} forced[] = {
        {CONFIG_HOST_QEMU, &host_qemu},
        {CONFIG_HOST_STACKS, &host_stacks},
        {CONFIG_HOST_NAMED, &host_named},
};

/* The host of this program, or NULL. */
static const struct host *choose_host(const struct config *config)
{
	for (size_t i = 0; i < sizeof forced / sizeof *forced; i++) {
		if (config->host == forced[i].setting)
			return forced[i].host;
	}
	if (config->host != CONFIG_HOST_AUTO)
		return NULL;
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		if (hosts[i]->is_here(config))
			return hosts[i];
	}
	return NULL;
}

static void after_fork_in_child(void)
{
	pool_fork_child();
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		if (hosts[i]->fork_child != NULL)
			hosts[i]->fork_child();
	}
	report_fork_child();
}

/* QEMU's stacks come from mmap: with the coroutines pooled, the arena frees them from the limit on maps. */
static void start_companion(const struct host *host)
{
	struct host_outcome outcome;
	char detail[HOST_DETAIL_BYTES];

	if (shim.config.host != CONFIG_HOST_AUTO || host != &host_qemu ||
	        !host_stacks.is_here(&shim.config) || host_stacks.attach(&shim.config, &outcome) != 0)
		return;
	memcpy(detail, shim.outcome.detail, sizeof detail);
	host_say(&shim.outcome, "%s; %s", detail, outcome.detail);
}

static int start(const struct host *host)
{
	int error;

	error = pools_init(shim.config.decay_ms, report_wake);
	if (error != 0) {
		host_say(&shim.outcome, "no thread-specific key was left");
		return error;
	}
	error = host->attach(&shim.config, &shim.outcome);
	if (error != 0)
		return error;
	start_companion(host);
	pthread_atfork(pool_fork_prepare, pool_fork_parent, after_fork_in_child);
	return 0;
}

__attribute__((constructor)) static void shim_start(void)
{
	const struct host *host;
	int saved = errno;

	config_read(&shim.config);
	real_init();
	shim.outcome.mode = "none";
	host_say(&shim.outcome, shim.config.host == CONFIG_HOST_OFF ? "switched off by COPOOL_HOST=off"
	                                                            : "the program has no known coroutines");
	host = choose_host(&shim.config);
	shim.host = host != NULL && start(host) == 0 ? host : NULL;
	shim.report = (struct report_host){
	        .name = shim.host != NULL ? host->name : "none",
	        .mode = shim.outcome.mode,
	        .detail = shim.outcome.detail,
	};
	if (shim.host == NULL)
		report_inert(&shim.config, &shim.report);
	else if (shim.outcome.is_waiting)
		report_wait(&shim.config, &waiting, &shim.report);
	else
		report_start(&shim.config, &shim.report);
	errno = saved;
}

__attribute__((destructor)) static void shim_stop(void)
{
	int saved = errno;

	if (shim.host != NULL)
		report_stop();
	errno = saved;
}
