/* SPDX-License-Identifier: MIT */
/*
 * Writes Prometheus' text exposition format, version 0.0.4. The new file gets a name that the collector does not read,
 * and is then renamed over the old one.
 */
#include "report/prometheus.h"

#include "config.h"
#include "system/clock.h"
#include "system/self.h"
#include "system/warn.h"
#include "pool/doubt.h"
#include "pool/pool.h"
#include "pool/stats.h"
#include "report/confinement.h"
#include "report/path.h"
#include "report/report.h"
#include "report/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LABEL_BYTES = 512,
	KINDS_MAX = 3
}; /* a label has room for the longest name of a pool, 3 bytes for each byte */

#define OF(field) offsetof(struct pool_stats, field)

/* Families of series. The sum of a family's values must mean something. */
static const struct metric {
	const char *name, *type, *help;
	const char *label; /* tells the values apart; NULL: there is only one */
	struct {
		const char *kind;
		size_t offset; /* in struct pool_stats */
	} value[KINDS_MAX];
} metrics[] = {
        {"copool_create_total", "counter",
                "Objects that the program asked for: from the thread's cache, the depot, or newly made (a "
                "miss).",
                "kind", {{"local", OF(create_local)}, {"depot", OF(create_depot)}, {"new", OF(create_new)}}},
        {"copool_destroy_total", "counter",
                "Objects that the program gave up: kept by the thread, by the depot, or deleted.", "kind",
                {{"local", OF(destroy_local)}, {"depot", OF(destroy_depot)}, {"delete", OF(destroy_delete)}}},
        {"copool_objects", "gauge", "Objects that exist: in the program's hands, or idle.", "state",
                {{"live", OF(live)}, {"pooled", OF(pooled)}}},
        {"copool_objects_peak", "gauge", "Most objects that existed at once.", NULL,
                {{NULL, OF(peak_objects)}}},
        {"copool_live_peak", "gauge", "Most objects in the program's hands, as seen when counters were read.",
                NULL, {{NULL, OF(peak_live)}}},
        {"copool_inherited_objects", "gauge",
                "Objects in the program's hands when it was forked off its parent.", NULL,
                {{NULL, OF(inherited)}}},
        {"copool_depot_batches", "gauge", "Full batches in the depot.", NULL, {{NULL, OF(depot_batches)}}},
        {"copool_depot_retries_total", "counter",
                "Depot operations tried again because another thread was faster.", NULL,
                {{NULL, OF(depot_retries)}}},
        {"copool_trimmed_total", "counter", "Idle objects given back to the system.", NULL,
                {{NULL, OF(trimmed)}}},
        {"copool_threads", "gauge", "Threads that have a cache.", NULL, {{NULL, OF(threads)}}},
        {"copool_calls_saved_total", "counter",
                "System calls that the program would have made without the pool; of QEMU, which has a pool "
                "of its own, about.",
                NULL, {{NULL, OF(calls_saved)}}},
        {"copool_maps_saved", "gauge",
                "Memory maps that guard pages would take, had they not been set up by madvise.", NULL,
                {{NULL, OF(maps_saved)}}},
};

enum { METRICS = sizeof metrics / sizeof *metrics };

static struct {
	const struct config *config; /* prometheus_begin writes this and the next four */
	const struct report_service *service;
	char path[PATH_MAX], new_path[PATH_MAX + 24];
	char program[LABEL_BYTES]; /* as a label's value, like the next one */
	char label[LABEL_BYTES];   /* "": the series have no such label */
	bool has_failed;           /* the file could not be written, and a warning said so */
	bool is_there;             /* the file exists, and this process wrote it */
	int fd;                    /* the new file, while it is written */
	int error;                 /* the first one with that file; 0: none */
	char text[4096];
	size_t used;
} prometheus;

static void flush(void)
{
	size_t done = 0;

	while (done < prometheus.used && prometheus.error == 0) {
		ssize_t wrote = write(prometheus.fd, prometheus.text + done, prometheus.used - done);

		if (wrote > 0)
			done += (size_t)wrote;
		else if (wrote == 0 || errno != EINTR)
			prometheus.error = wrote < 0 ? -errno : -EIO;
	}
	prometheus.used = 0;
}

/* Adds a piece, which may have at most half the buffer. */
__attribute__((format(printf, 1, 2))) static void add(const char *format, ...)
{
	va_list arguments;
	int bytes;

	if (prometheus.used > sizeof prometheus.text / 2)
		flush();
	va_start(arguments, format);
	bytes = vsnprintf(prometheus.text + prometheus.used, sizeof prometheus.text - prometheus.used, format,
	        arguments);
	va_end(arguments);
	if (bytes > 0 && (size_t)bytes < sizeof prometheus.text - prometheus.used)
		prometheus.used += (size_t)bytes;
}

/* Writes one character of a label's value: escaped, or replaced if it is not UTF-8. Returns how many bytes it wrote. */
static size_t escape_character(char *value, const unsigned char *text)
{
	size_t bytes = utf8_bytes(text);

	if (*text == '\n')
		return (size_t)sprintf(value, "\\n");
	if (*text == '\\' || *text == '"')
		return (size_t)sprintf(value, "\\%c", *text);
	if (bytes == 0)
		return (size_t)sprintf(value, "\xef\xbf\xbd");
	memcpy(value, text, bytes);
	return bytes;
}

/* Writes a label's value; cuts long texts. */
static void escape(char *value, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t used = 0;

	while (*at != '\0' && used < LABEL_BYTES - sizeof "\xef\xbf\xbd") {
		size_t bytes = utf8_bytes(at);

		used += escape_character(value + used, at);
		at += bytes > 0 ? bytes : 1;
	}
	value[used] = '\0';
}

static void add_labels(void)
{
	add("{program=\"%s\"", prometheus.program);
	if (prometheus.label[0] != '\0')
		add(",label=\"%s\"", prometheus.label);
	add(",pid=\"%d\"", (int)clock_pid());
}

static void add_metric(const struct metric *metric, const char *pool, const struct pool_stats *stats)
{
	for (size_t i = 0; i < KINDS_MAX && (i == 0 || metric->value[i].kind != NULL); i++) {
		uint64_t value;

		memcpy(&value, (const char *)stats + metric->value[i].offset, sizeof value);
		add("%s", metric->name);
		add_labels();
		add(",pool=\"%s\"", pool);
		if (metric->label != NULL)
			add(",%s=\"%s\"", metric->label, metric->value[i].kind);
		add("} %llu\n", (unsigned long long)value);
	}
}

static void add_info(void)
{
	add("# HELP copool_info What reports: copool's version, and how the program is served.\n"
	    "# TYPE copool_info gauge\ncopool_info");
	add_labels();
	add(",version=\"%s\",host=\"%s\",mode=\"%s\",way=\"%s\"} 1\n", COPOOL_VERSION,
	        prometheus.service->name, prometheus.service->mode, prometheus.service->way);
	add("# HELP copool_interval_seconds How often these series are written.\n"
	    "# TYPE copool_interval_seconds gauge\ncopool_interval_seconds");
	add_labels();
	add("} %u.%03u\n", prometheus.config->interval_ms / 1000, prometheus.config->interval_ms % 1000);
}

/* The format requires that a family's series are together, so this goes through all pools for each family. */
static void add_pools(void)
{
	static struct pool_stats stats[POOL_MAX];
	unsigned count = pool_count();
	/* The counters of a pool that was withdrawn are 0: then the parts of its objects are all that is pooled. */
	bool has_pools_above = !pool_any_withdrawn();
	char name[LABEL_BYTES];

	for (unsigned i = 0; i < count; i++)
		pool_read(pool_at(i), &stats[i]);
	for (unsigned m = 0; m < METRICS && count > 0; m++) {
		add("# HELP %s %s\n", metrics[m].name, metrics[m].help);
		add("# TYPE %s %s\n", metrics[m].name, metrics[m].type);
		for (unsigned i = 0; i < count; i++) {
			/* What are parts of another pool's objects is in that pool's series, but for this. */
			if (has_pools_above && pool_at(i)->kind->is_part &&
			        metrics[m].value[0].offset != OF(maps_saved))
				continue;
			escape(name, pool_name(pool_at(i)));
			add_metric(&metrics[m], name, &stats[i]);
		}
	}
}

/*
 * Creates the new file. A file that already has its name was left by a killed process, or is a trap: it is removed, if
 * possible. Returns a descriptor or -errno.
 */
static int make_file(const char *path)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	int fd = path_open(path, flags, 0644);

	if (fd == -EEXIST && unlink(path) == 0)
		fd = path_open(path, flags, 0644);
	return fd;
}

/* Writes the file. Returns 0 or -errno. */
static int write_file(void)
{
	prometheus.error = 0;
	prometheus.used = 0;
	prometheus.fd = make_file(prometheus.new_path);
	if (prometheus.fd < 0)
		return prometheus.fd;
	/* The collector runs as another user, so the program's umask must not count. */
	fchmod(prometheus.fd, 0644);
	add_info();
	add_pools();
	flush();
	close(prometheus.fd);
	if (prometheus.error == 0 && rename(prometheus.new_path, prometheus.path) != 0)
		prometheus.error = -errno;
	if (prometheus.error != 0)
		unlink(prometheus.new_path);
	return prometheus.error;
}

static void warn_of_file(int error, const char *consequence)
{
	char why[CONFINEMENT_BYTES] = "after % comes p, n, % or {, and in braces pid, name or label";
	char name[SETTINGS_SOURCE_BYTES];

	if (error != -EDOM)
		confinement_explain(error, prometheus.new_path, why);
	warn("%s=%.300s: %s; %s", config_called(SETTING_prometheus, name), prometheus.config->prometheus, why,
	        consequence);
}

/*
 * Whether a file can be created in its folder. Returns 0 or -errno. It is tried: a security module denies by path what
 * the folder's mode allows.
 */
static int check_folder(void)
{
	int fd = make_file(prometheus.new_path);

	if (fd < 0)
		return fd;
	close(fd);
	unlink(prometheus.new_path);
	return 0;
}

bool prometheus_begin(const struct config *config, const struct report_service *service, bool is_child)
{
	const char *setting = config->prometheus;
	char name[SETTINGS_SOURCE_BYTES];
	size_t bytes = strlen(setting);
	int error;

	prometheus.config = config;
	prometheus.service = service;
	prometheus.has_failed = prometheus.is_there = false;
	if (bytes == 0 || (is_child && !path_names_process(setting)))
		return false;
	error = path_expand(prometheus.path, setting, config->start_dir);
	if (error != 0) {
		warn_of_file(error, "there will be no such file");
		return false;
	}
	if (bytes < 5 || strcmp(setting + bytes - 5, ".prom") != 0)
		warn("%s=%.300s: the collector reads only files that end in .prom",
		        config_called(SETTING_prometheus, name), setting);
	snprintf(prometheus.new_path, sizeof prometheus.new_path, "%s.%d.tmp", prometheus.path,
	        (int)clock_pid());
	error = check_folder();
	if (error != 0)
		warn_of_file(error, "it is tried again at each interval");
	prometheus.has_failed = error != 0;
	escape(prometheus.program, self_name());
	escape(prometheus.label, self_label());
	return true;
}

void prometheus_tell_way(const struct report_service *service)
{
	prometheus.service = service;
}

void prometheus_write(void)
{
	int error = write_file();

	prometheus.is_there |= error == 0;
	if (error != 0 && !prometheus.has_failed)
		warn_of_file(error, "it is tried again at each interval");
	prometheus.has_failed = error != 0;
}

void prometheus_end(void)
{
	if (prometheus.is_there)
		unlink(prometheus.path);
	prometheus.is_there = false;
}
