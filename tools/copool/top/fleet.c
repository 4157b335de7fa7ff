/* SPDX-License-Identifier: MIT */
/*
 * The thread of peek.c looks at one process after the other. If one takes too long, it is left with its thread, and
 * another thread continues with the next. Then those that were left have a second chance, a quarter of a second for
 * all together: they may have been slow, on a busy machine, and not hostile.
 */
#include "top/fleet.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "top/board.h"
#include "log/book.h"
#include "log/owner.h"
#include "clean.h"
#include "judge/judge.h"
#include "process/peek.h"
#include "process/remote.h"
#include "top/screen.h"

enum {
	PATIENCE_MS = 40,       /* for one process; */
	SHORT_MS = 5,           /* or, after others have wasted */
	SPENT_MS = 400,         /* so much time, this */
	SECOND_CHANCE_MS = 250, /* for all that were slow */
	FEW = 1000,             /* fewer creates say nothing yet */
};

/* The processes to look at, and what was found. The thread's, until it is left. */
struct scan {
	const struct fleet *before;
	struct fleet *fleet;
	pid_t *pid;
	size_t count, next; /* `next`: after the current one */
	unsigned patience_ms;
};

/* Of the current process. */
struct look {
	struct fleet_process found;
	int error;
	struct remote remote;
	json_t *open, *samples;
};

/* Copies a word or name without control characters. */
static void keep(char *to, size_t room, const json_t *record, const char *key)
{
	const char *text = json_string_value(json_object_get(record, key));

	clean_copy(to, room, text != NULL ? text : "");
}

static void add(struct fleet_counts *sum, const struct fleet_counts *counts)
{
	sum->creates += counts->creates;
	sum->made += counts->made;
	sum->live += counts->live;
	sum->pooled += counts->pooled;
	sum->peak += counts->peak;
	sum->idle_bytes += counts->idle_bytes;
	sum->is_idle_guessed |= counts->is_idle_guessed;
	sum->creates_rate += counts->creates_rate;
	sum->made_rate += counts->made_rate;
	sum->new_creates += counts->new_creates;
	sum->new_made += counts->new_made;
}

/*
 * In QEMU a stack that is asked for is a coroutine that was missed, and is counted there. So pools that only hold the
 * stacks of another pool's objects are not counted.
 */
static bool is_beneath(const struct fleet_process *process, const json_t *record)
{
	return strcmp(process->host, "qemu") == 0 && strcmp(process->way, "stacks") != 0 &&
	       owner_part_of(record) != NULL;
}

static void take_counters(struct look *look)
{
	struct fleet_process *process = &look->found;
	json_t *record;
	size_t i;

	json_array_foreach(look->samples, i, record)
	{
		uint64_t made = (uint64_t)book_counter(record, "create_new");
		uint64_t hits = (uint64_t)book_counter(record, "create_local") +
		                (uint64_t)book_counter(record, "create_depot");

		process->uptime_ms = (uint64_t)book_counter(record, "uptime_ms");
		process->counts.pooled += (uint64_t)book_counter(record, "pooled");
		if (is_beneath(process, record))
			continue;
		process->counts.made += made;
		process->counts.creates += hits + made;
		process->counts.live += (uint64_t)book_counter(record, "live");
		process->counts.peak += (uint64_t)book_counter(record, "peak_objects");
	}
	process->counts.idle_bytes = look->remote.idle_bytes;
	process->counts.is_idle_guessed = look->remote.is_idle_guessed;
}

__attribute__((format(printf, 2, 3))) static void say(struct fleet_process *process, const char *format, ...)
{
	size_t used = strlen(process->wrong);
	va_list arguments;

	if (used > 0)
		used += (size_t)snprintf(process->wrong + used, FLEET_WRONG - used, "; ");
	if (used >= FLEET_WRONG)
		return;
	va_start(arguments, format);
	vsnprintf(process->wrong + used, FLEET_WRONG - used, format, arguments);
	va_end(arguments);
}

/* What show says of its pools, where that is no good news: of the one that makes most in vain. */
static void judge_pools(struct look *look)
{
	struct book_process process = {.pid = look->found.pid, .open = look->open};
	struct judgement said, worst = {.excess = 0};
	json_t *record;
	size_t i;

	json_array_foreach(look->samples, i, record)
	{
		if (i < POOL_MAX)
			process.pool[process.pools++] = record;
	}
	for (i = 0; i < process.pools; i++) {
		judge(&(struct judge_case){&process, i, NULL, NULL, true}, &said);
		if (said.creates >= FEW && !said.is_beneath && said.excess > worst.excess &&
		        (said.would_help || strcmp(said.grade, "poor") == 0))
			worst = said;
	}
	if (worst.excess > 0)
		say(&look->found, "%.1f %% of creates were avoidable misses%s",
		        100 * worst.excess / worst.creates,
		        worst.would_help ? ", which a pool would save" : "");
}

/* What an administrator should know, the worst first. */
static void find_wrong(struct look *look, int thread)
{
	struct fleet_process *process = &look->found;
	bool is_observed = strcmp(process->mode, "observe") == 0;

	if (strcmp(process->mode, "off") == 0)
		say(process, "switched off");
	if (strcmp(process->host, "qemu") == 0 && strcmp(process->way, "stacks") == 0 && !is_observed)
		say(process, "only its stacks are pooled");
	judge_pools(look);
	if (!is_observed && thread == RECORD_THREAD_FAILED)
		say(process, "it could not start a thread: nothing is given back");
	if (!is_observed && thread == RECORD_THREAD_ENDED)
		say(process, "its thread has ended: nothing is given back");
	if (look->remote.is_replaced)
		say(process, "the library's file was replaced: restart it for the new one");
	char state = remote_state(&look->remote);
	if (state == 'T' || state == 't')
		say(process, "stopped");
}

/* Fills in what the process says. Zombies and the like end here as well: nothing of them can be read. */
static void look_at(struct look *look)
{
	struct fleet_process *process = &look->found;

	look->error = remote_open(&look->remote, process->pid);
	if (look->error)
		return;
	look->open = remote_open_record(&look->remote);
	if (look->open != NULL)
		look->samples = remote_samples(&look->remote);
	look->error = look->samples != NULL ? 0 : look->remote.error;
	if (look->open == NULL)
		return;
	keep(process->program, sizeof process->program, look->open, "program");
	keep(process->label, sizeof process->label, look->open, "label");
	keep(process->host, sizeof process->host, look->open, "host");
	keep(process->mode, sizeof process->mode, look->open, "mode");
	keep(process->way, sizeof process->way, look->open, "way");
	keep(process->confined, sizeof process->confined, look->open, "confined");
	process->start_ms = look->remote.block.start_ms;
	process->is_idle = strcmp(process->mode, "none") == 0 && strcmp(process->host, "none") == 0;
	if (look->error)
		return;
	take_counters(look);
	find_wrong(look, remote_thread(&look->remote));
}

/* Whether it is a thread of the kernel, which cannot have the library. */
static bool is_kernel(pid_t pid)
{
	enum { FLAGS = 6, KERNEL_THREAD = 0x00200000 };
	char path[64], text[512];
	unsigned flags = 0;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true; /* it is gone */
	ssize_t got = read(fd, text, sizeof text - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	const char *end = strrchr(text, ')');
	return end == NULL || sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1 ||
	       flags & KERNEL_THREAD;
}

/* Computes what happened since the previous look, or since the process began. */
static void find_rates(struct fleet_process *now, const struct fleet_process *before)
{
	struct fleet_counts *counts = &now->counts;
	uint64_t creates = before != NULL ? before->counts.creates : 0,
	         made = before != NULL ? before->counts.made : 0;
	uint64_t ms = now->uptime_ms - (before != NULL ? before->uptime_ms : 0);

	/* A counter that was read while it changed may be behind an earlier reading. */
	counts->new_creates = counts->creates > creates ? counts->creates - creates : 0;
	counts->new_made = counts->made > made ? counts->made - made : 0;
	if (counts->new_made > counts->new_creates)
		counts->new_made = counts->new_creates;
	counts->creates_rate = ms ? (double)counts->new_creates * 1000 / (double)ms : 0;
	counts->made_rate = ms ? (double)counts->new_made * 1000 / (double)ms : 0;
}

static int by_pid(const void *left, const void *right)
{
	const struct fleet_process *one = left, *other = right;

	return (one->pid > other->pid) - (one->pid < other->pid);
}

static int by_name(const void *left, const void *right)
{
	const struct fleet_process *one = left, *other = right;
	int order = strcmp(one->program, other->program);

	order = order ? order : strcmp(one->label, other->label);
	return order ? order : by_pid(left, right);
}

/* The same process at the previous look, which is sorted by process ID. */
static const struct fleet_process *find_before(
        const struct fleet *before, const struct fleet_process *process)
{
	const struct fleet_process *found =
	        before->count ? bsearch(process, before->process, before->count, sizeof *process, by_pid)
	                      : NULL;

	return found != NULL && found->start_ms == process->start_ms && found->uptime_ms <= process->uptime_ms
	               ? found
	               : NULL;
}

/* Returns 0 or -ENOMEM. */
static int keep_process(struct fleet *fleet, const struct fleet *before, struct fleet_process *process)
{
	if (fleet->count == FLEET_PROCESSES) {
		fleet->is_cut = true;
		return 0;
	}
	if (fleet->count == fleet->room) {
		size_t room = fleet->room ? 2 * fleet->room : 64;
		struct fleet_process *more = realloc(fleet->process, room * sizeof *more);

		if (more == NULL)
			return -ENOMEM;
		fleet->process = more;
		fleet->room = room;
	}
	find_rates(process, find_before(before, process));
	fleet->idle += process->is_idle;
	fleet->process[fleet->count++] = *process;
	return 0;
}

/* Keeps what is known of a process that cannot be read completely. */
static int keep_odd(struct scan *scan, struct look *look)
{
	struct fleet_process *process = &look->found;

	if (!process->program[0])
		snprintf(process->program, sizeof process->program, "?");
	if (!process->mode[0])
		snprintf(process->mode, sizeof process->mode, "?");
	say(process, "%s",
	        look->error == -EPROTO ? "its copool is newer than this one" : "its counters make no sense");
	return keep_process(scan->fleet, scan->before, process);
}

/* Runs in the thread of peek.c. Returns 0, -ENOMEM, or what ended a look. */
static int scan_on(void *context)
{
	struct scan *scan = context;
	int error = 0;

	while (error == 0 && scan->next < scan->count) {
		struct look look = {.found.pid = scan->pid[scan->next++]};

		peek_until(clock_now_ms() + scan->patience_ms);
		look_at(&look);
		if (look.error == 0)
			error = keep_process(scan->fleet, scan->before, &look.found);
		else if (look.error == -EPERM)
			scan->fleet->unreadable += !is_kernel(look.found.pid);
		else if (look.error == -EPROTO || look.error == -EBADMSG)
			error = keep_odd(scan, &look);
		else if (look.error == -EINTR || look.error == -ETIMEDOUT)
			error = look.error;
		json_decref(look.open);
		json_decref(look.samples);
	}
	return error;
}

/* Looks at all of `scan`, and moves those that were too slow to its beginning. Returns 0, -ENOMEM or -EINTR. */
static int scan_all(struct scan *scan)
{
	uint64_t spent = 0;
	size_t slow = 0;
	int error;

	do {
		remote_set_patience(scan->patience_ms);
		uint64_t began = clock_now_ms();
		error = peek_look(scan_on, scan);
		if (error != -ETIMEDOUT)
			break;
		scan->pid[slow++] = scan->pid[scan->next - 1];
		uint64_t took = clock_now_ms() - began;
		spent += took < 2 * scan->patience_ms ? took : 2 * scan->patience_ms;
		if (spent > SPENT_MS)
			scan->patience_ms = SHORT_MS;
	} while (true);
	scan->count = slow;
	scan->next = 0;
	return error;
}

/* Lists all processes except this one. Returns 0 or -errno. */
static int list(struct scan *scan)
{
	DIR *processes = opendir("/proc");
	struct dirent *entry;
	size_t room = 0;
	pid_t pid;

	if (processes == NULL)
		return -errno;
	while ((entry = readdir(processes))) {
		if (!remote_pid(entry->d_name, &pid) || pid == getpid())
			continue;
		if (scan->count == room) {
			room = room ? 2 * room : 1024;
			pid_t *more = realloc(scan->pid, room * sizeof *more);
			if (more == NULL) {
				closedir(processes);
				return -ENOMEM;
			}
			scan->pid = more;
		}
		scan->pid[scan->count++] = pid;
	}
	closedir(processes);
	return 0;
}

int fleet_look(struct fleet *fleet)
{
	struct fleet before = *fleet;
	struct scan scan = {.before = &before, .fleet = fleet, .patience_ms = PATIENCE_MS};
	int error = list(&scan);

	*fleet = (struct fleet){0};
	if (before.count)
		qsort(before.process, before.count, sizeof *before.process, by_pid);
	if (error == 0)
		error = scan_all(&scan);
	if (error == 0 && scan.count > 0) {
		unsigned share = SECOND_CHANCE_MS / (unsigned)scan.count;
		scan.patience_ms = share > SHORT_MS ? share : SHORT_MS;
		error = scan_all(&scan);
		fleet->silent = (unsigned)scan.count;
	}
	remote_set_patience(REMOTE_PATIENCE_MS);
	free(before.process);
	free(scan.pid);
	if (fleet->count)
		qsort(fleet->process, fleet->count, sizeof *fleet->process, by_name);
	return error;
}

void fleet_close(struct fleet *fleet)
{
	free(fleet->process);
	*fleet = (struct fleet){0};
}

size_t fleet_group(const struct fleet *fleet, size_t first, struct fleet_counts *sum, char *mode)
{
	const struct fleet_process *one = &fleet->process[first];
	size_t count = 0;

	*sum = (struct fleet_counts){0};
	snprintf(mode, FLEET_WORD, "%s", one->mode);
	for (; first + count < fleet->count; count++) {
		const struct fleet_process *other = &fleet->process[first + count];

		if (strcmp(one->program, other->program) != 0 || strcmp(one->label, other->label) != 0)
			break;
		if (strcmp(mode, other->mode) != 0)
			snprintf(mode, FLEET_WORD, "mixed");
		add(sum, &other->counts);
	}
	return count;
}

void fleet_share(char text[16], const struct fleet_counts *counts)
{
	uint64_t hits = counts->new_creates - counts->new_made;

	track_share(text, counts->new_creates ? (double)hits / (double)counts->new_creates : -1);
}

void fleet_bytes(char text[16], const struct fleet_counts *counts)
{
	screen_bytes(text, (double)counts->idle_bytes, counts->is_idle_guessed);
}
