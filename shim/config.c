/* SPDX-License-Identifier: MIT */
/*
 * The settings' table and its reader. Values are copied: a program may change or empty its environment at any
 * time. A bad value costs one warning and nothing else.
 */
#include "config.h"

#include "system/warn.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

enum setting_type { SETTING_NUMBER, SETTING_TEXT, SETTING_WORD };

struct setting {
	const char *name;
	const char *description; /* what a good value is, for the warning */
	enum setting_type type;
	unsigned offset; /* in struct config */
	unsigned bytes;  /* of a text */
	unsigned low, high, standard;
	bool may_be_zero; /* beside low .. high */
	const char *const *words;
};

static const char *const host_words[] = {
        [CONFIG_HOST_AUTO] = "auto",
        [CONFIG_HOST_OFF] = "off",
        [CONFIG_HOST_QEMU] = "qemu",
        [CONFIG_HOST_STACKS] = "stacks",
        [CONFIG_HOST_NAMED] = "named",
        NULL,
};

static const char *const mode_words[] = {
        [CONFIG_MODE_POOL] = "pool", [CONFIG_MODE_OBSERVE] = "observe", NULL};

static const char *const guard_words[] = {"auto", "madvise", "poison", "mprotect", NULL};

#define NUMBER(field, ...) .type = SETTING_NUMBER, .offset = offsetof(struct config, field), __VA_ARGS__
#define TEXT(field)                                                                                          \
	.type = SETTING_TEXT, .offset = offsetof(struct config, field),                                      \
	.bytes = sizeof((struct config *)0)->field
#define WORD(field, list) .type = SETTING_WORD, .offset = offsetof(struct config, field), .words = list

static const struct setting settings[] = {
        {"COPOOL_HOST", "auto, off, qemu, stacks or named", WORD(host, host_words)},
        {"COPOOL_MODE", "pool or observe", WORD(mode, mode_words)},
        {"COPOOL_LOG", "a path, stderr or stdout", TEXT(log)},
        {"COPOOL_TELL", "0, 1 or a process id", NUMBER(tell, .low = 0, .high = 1 << 22)},
        {"COPOOL_SUMMARY", "0, 1 or a process id", NUMBER(summary, .low = 0, .high = 1 << 22)},
        {"COPOOL_LABEL", "a name of at most 127 bytes", TEXT(label)},
        {"COPOOL_LOG_MAX_KB", "0 (no limit) or 64 to 1073741824 KiB",
                NUMBER(log_max_kb, .low = 64, .high = 1 << 30, .standard = 65536, .may_be_zero = true)},
        {"COPOOL_PROMETHEUS", "a path that ends in .prom", TEXT(prometheus)},
        {"COPOOL_INTERVAL_MS", "10 to 3600000 milliseconds",
                NUMBER(interval_ms, .low = 10, .high = 3600000, .standard = 1000)},
        {"COPOOL_MAX_BATCHES", "0 to 65535 batches of 16",
                NUMBER(max_batches, .low = 0, .high = 65535, .standard = BATCHES_DERIVED)},
        {"COPOOL_DECAY_MS", "0 (never) or 100 to 86400000 milliseconds",
                NUMBER(decay_ms, .low = 100, .high = 86400000, .standard = 10000, .may_be_zero = true)},
        {"COPOOL_GUARD", "auto, madvise, poison or mprotect", WORD(guard, guard_words)},
        {"COPOOL_STACK_SIZE", "0 (none) or 16384 to 8454144 bytes",
                NUMBER(stack_bytes, .low = 16384, .high = 8454144, .may_be_zero = true)},
        {"COPOOL_MAX_LIVE", "0 (no limit) or 1 to 1000000000 stacks",
                NUMBER(max_live, .low = 1, .high = 1000000000, .may_be_zero = true)},
        {"COPOOL_LEARN", "0 or 1", NUMBER(learn, .low = 0, .high = 1)},
        {"COPOOL_ZERO", "0 or 1", NUMBER(zero, .low = 0, .high = 1)},
        {"COPOOL_ORIGINS", "0 (none) or 1 to 1000000: every so many misses",
                NUMBER(origins, .low = 0, .high = 1000000)},
        {"COPOOL_LEAKS", "0 or 1", NUMBER(leaks, .low = 0, .high = 1)},
        {"COPOOL_CREATE", "a function's name", TEXT(create)},
        {"COPOOL_DESTROY", "a function's name", TEXT(destroy)},
};

enum { SETTINGS = sizeof settings / sizeof *settings };

static unsigned mistakes;

static void reject(const struct setting *setting, const char *value, const char *why)
{
	mistakes++;
	warn("%s=%.200s: %s; it should be %s; the default is used", setting->name, value, why,
	        setting->description);
}

static bool is_in_range(const struct setting *setting, unsigned long long number)
{
	return (number >= setting->low && number <= setting->high) || (number == 0 && setting->may_be_zero);
}

static void read_number(const struct setting *setting, const char *value, unsigned *number)
{
	/* strtoull says ULLONG_MAX to what is larger still, and so out of range. */
	unsigned long long parsed = strtoull(value, NULL, 10);

	if (value[strspn(value, "0123456789")] != '\0')
		reject(setting, value, "not a whole number");
	else if (!is_in_range(setting, parsed))
		reject(setting, value, "out of range");
	else
		*number = parsed;
}

static void read_word(const struct setting *setting, const char *value, unsigned *number)
{
	for (unsigned i = 0; setting->words[i] != NULL; i++) {
		if (strcmp(value, setting->words[i]) == 0) {
			*number = i;
			return;
		}
	}
	reject(setting, value, "not a known word");
}

static void read_text(const struct setting *setting, const char *value, char *text)
{
	if (strlen(value) >= setting->bytes)
		reject(setting, value, "too long");
	else
		strcpy(text, value);
}

static void read_setting(const struct setting *setting, struct config *config)
{
	const char *value = secure_getenv(setting->name);
	void *field = (char *)config + setting->offset;

	if (setting->type == SETTING_NUMBER)
		*(unsigned *)field = setting->standard;
	if (value == NULL)
		return;
	if (value[0] == '\0')
		reject(setting, value, "empty");
	else if (setting->type == SETTING_NUMBER)
		read_number(setting, value, field);
	else if (setting->type == SETTING_WORD)
		read_word(setting, value, field);
	else
		read_text(setting, value, field);
}

/* How many letters differ, after the common start and end of the names. */
static size_t difference(const char *name, size_t bytes, const char *known)
{
	size_t start = 0, end = 0, other = strlen(known);

	while (start < bytes && start < other && name[start] == known[start])
		start++;
	while (end < bytes - start && end < other - start && name[bytes - 1 - end] == known[other - 1 - end])
		end++;
	return (bytes > other ? bytes : other) - start - end;
}

/* A variable that is none of ours, though it looks like one: a slip of the pen should not go unnoticed. */
static void check_name(const char *variable)
{
	size_t bytes = strcspn(variable, "="), nearest = 0;

	for (size_t i = 0; i < SETTINGS; i++) {
		if (strlen(settings[i].name) == bytes && memcmp(variable, settings[i].name, bytes) == 0)
			return;
		if (difference(variable, bytes, settings[i].name) <
		        difference(variable, bytes, settings[nearest].name))
			nearest = i;
	}
	mistakes++;
	warn("%.*s: there is no such setting; did you mean %s?", bytes < 100 ? (int)bytes : 100, variable,
	        settings[nearest].name);
}

static bool is_ours(const char *variable)
{
	return strncmp(variable, "COPOOL_", 7) == 0 && strncmp(variable, "COPOOL_TEST_", 12) != 0 &&
	       strncmp(variable, "COPOOL_BUILD", 12) != 0;
}

/* What is a path to the standard output or error is meant as the word. */
static void name_standard(char *log)
{
	static const char *const folders[] = {"/dev/std", "/dev/fd/", "/proc/self/fd/"};
	static const char *const out[] = {"out", "1"}, *const err[] = {"err", "2"};

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		size_t bytes = strlen(folders[i]);

		if (strncmp(log, folders[i], bytes) != 0)
			continue;
		if (strcmp(log + bytes, out[i != 0]) == 0)
			strcpy(log, "stdout");
		else if (strcmp(log + bytes, err[i != 0]) == 0)
			strcpy(log, "stderr");
	}
}

void config_read(struct config *config)
{
	memset(config, 0, sizeof *config);
	mistakes = 0;
	for (size_t i = 0; i < SETTINGS; i++)
		read_setting(&settings[i], config);
	name_standard(config->log);
	/* Where nothing is kept, nothing is given back. */
	if (config->mode == CONFIG_MODE_OBSERVE)
		config->max_batches = config->decay_ms = 0;
	/* A set-user-id program is told nothing of its user's slips either. */
	for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
		if (is_ours(*variable) && getauxval(AT_SECURE) == 0)
			check_name(*variable);
	}
	if ((config->log[0] != '\0' || config->prometheus[0] != '\0') &&
	        getcwd(config->start_dir, sizeof config->start_dir) == NULL)
		config->start_dir[0] = '\0';
}

unsigned config_mistakes(void)
{
	return mistakes;
}
