/* SPDX-License-Identifier: MIT */
/* The settings: what each value comes to, and what is said of bad ones. */
#include "config.h"

#include "system/warn.h"
#include "stack/guard.h"
#include "tap.h"

#include <ctype.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

static struct config config;

/* The one warning of the last reading; "" when there was none, "several" when there were more. */
static char said[WARN_BYTES];

static void read_again(void)
{
	char more[WARN_BYTES];

	config_read(&config, "");
	said[0] = '\0';
	if (warn_next(said) && warn_next(more)) {
		strcpy(said, "several");
		while (warn_next(more))
			;
	}
}

static void read_with(const char *name, const char *value)
{
	setenv(name, value, 1);
	read_again();
	unsetenv(name);
}

static bool has_said(const char *name, const char *value)
{
	return strstr(said, name) != NULL && strstr(said, value) != NULL && config_mistakes() == 1;
}

static void test_defaults(void)
{
	read_again();
	tap_is_text(said, "", "config: an environment without settings is no mistake");
	tap_is(config_mistakes(), 0, "config: and counts none");
	tap_is(config.host, CONFIG_HOST_AUTO, "config: by default the host is found");
	tap_is(config.mode, CONFIG_MODE_POOL, "config: by default coroutines are pooled");
	tap_is_text(config.log, "", "config: by default there is no log");
	tap_is(config.interval_ms, 1000, "config: by default a sample is taken each second");
	tap_is(config.max_batches, BATCHES_DERIVED, "config: by default the cap is derived");
	tap_is(config.decay_ms, 10000, "config: by default idle objects decay in ten seconds");
	tap_is_text(config.create, "", "config: by default no function is named");
	tap_is(config.guard, 0, "config: by default the means of guarding is found");
	tap_is(config.stack_size, 0, "config: by default no size is a stack's");
	tap_is(config.learn, 0, "config: by default nothing is learned");
	tap_is(config.zero, 0, "config: by default recycled stacks are as they are");
}

static const struct number {
	const char *name;
	size_t offset;
	unsigned standard;
	const char *good[4]; /* zero is good where it is said */
	const char *bad[4];
} numbers[] = {
        {"COPOOL_INTERVAL_MS", offsetof(struct config, interval_ms), 1000, {"10", "11", "3600000"},
                {"0", "9", "3600001"}},
        {"COPOOL_MAX_BATCHES", offsetof(struct config, max_batches), BATCHES_DERIVED, {"0", "1", "65535"},
                {"65536", "4294967295", "4294967296"}},
        {"COPOOL_DECAY_MS", offsetof(struct config, decay_ms), 10000, {"0", "100", "86400000", "0100"},
                {"1", "99", "86400001"}},
        {"COPOOL_STACK_SIZE", offsetof(struct config, stack_size), 0, {"0", "16384", "8454144"},
                {"1", "16383", "8454145"}},
        {"COPOOL_MAX_LIVE", offsetof(struct config, max_live), 0, {"0", "1", "1000000000"},
                {"1000000001", "4294967296"}},
        {"COPOOL_LEARN", offsetof(struct config, learn), 0, {"0", "1"}, {"2", "10", "4294967297"}},
        {"COPOOL_ZERO", offsetof(struct config, zero), 0, {"0", "1"}, {"2", "10", "4294967297"}},
};

static const char *const never[] = {"", " ", "-1", "+1", "+20", "1 ", " 1", "20 ", "20ms", "0x20", "2e1",
        "20.0", "twenty", "\xff", "20\n", "18446744073709551616", "99999999999999999999999999999999",
        "18446744073709551636"};

static void test_good(const struct number *number, const char *value)
{
	const unsigned *field = (const unsigned *)((const char *)&config + number->offset);

	read_with(number->name, value);
	tap_is(*field, strtoul(value, NULL, 10), "config: %s=%s is taken", number->name, value);
	tap_is_text(said, "", "config: without a word");
}

static bool is_refused(const struct number *number, const char *value)
{
	const unsigned *field = (const unsigned *)((const char *)&config + number->offset);

	read_with(number->name, value);
	return *field == number->standard && has_said(number->name, value);
}

static void test_numbers(void)
{
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		const struct number *number = &numbers[i];

		for (unsigned k = 0; k < 4 && number->good[k] != NULL; k++)
			test_good(number, number->good[k]);
		for (unsigned k = 0; k < 4 && number->bad[k] != NULL; k++)
			tap_ok(is_refused(number, number->bad[k]),
			        "config: %s=%s is out of range, said once with name and value, and the "
			        "default holds",
			        number->name, number->bad[k]);
		for (size_t k = 0; k < sizeof never / sizeof *never; k++)
			tap_ok(is_refused(number, never[k]),
			        "config: bad number %zu for %s is said once with name and value, and the "
			        "default holds",
			        k, number->name);
	}
}

/* What a setting comes to that is read alone; UINT_MAX when the value is refused. */
static unsigned read_alone(const struct setting *setting, unsigned long long number)
{
	char value[24];
	unsigned read = UINT_MAX;

	snprintf(value, sizeof value, "%llu", number);
	return setting_read(setting, value, &read) == NULL ? read : UINT_MAX;
}

static void test_list(void)
{
	for (unsigned i = 0; i < SETTINGS_ALL; i++) {
		const struct setting *one = &settings[i];
		char variable[64] = "COPOOL_";
		unsigned long long high = one->high;

		for (size_t k = 0; one->name[k] != '\0'; k++)
			variable[7 + k] = (char)toupper(one->name[k]);
		tap_is_text(one->variable, variable, "config: %s has one name", one->name);
		if (one->kind != SETTING_NUMBER && one->kind != SETTING_SWITCH)
			continue;
		tap_ok(read_alone(one, one->low) == one->low && read_alone(one, high) == high,
		        "config: the ends of %s are good", one->name);
		tap_is(read_alone(one, high + 1), UINT_MAX, "config: what is beyond is not");
		tap_is(read_alone(one, 0), one->has_zero || one->low == 0 ? 0 : UINT_MAX,
		        "config: 0 is as the list says");
		tap_ok(one->low < 2 || read_alone(one, one->low - 1) == UINT_MAX,
		        "config: what is below the range is not");
	}
}

static void test_words(void)
{
	static const char *const word[] = {"auto", "off", "qemu", "stacks", "named"};

	for (unsigned i = 0; i < sizeof word / sizeof *word; i++) {
		read_with("COPOOL_HOST", word[i]);
		tap_is(config.host, i, "config: COPOOL_HOST=%s is known", word[i]);
	}
	read_with("COPOOL_HOST", "QEMU");
	tap_ok(has_said("COPOOL_HOST", "QEMU") && config.host == CONFIG_HOST_AUTO,
	        "config: a word in other letters is not the word");
	tap_ok(strstr(said, "one of auto, off, qemu, stacks, named") != NULL,
	        "config: the words that are good are named");
	read_with("COPOOL_HOST", "qem");
	tap_ok(has_said("COPOOL_HOST", "qem"), "config: the beginning of a word is not the word");
}

static void test_guards(void)
{
	static const char *const word[] = {
	        [GUARD_AUTO] = "auto",
	        [GUARD_MADVISE] = "madvise",
	        [GUARD_POISON] = "poison",
	        [GUARD_MPROTECT] = "mprotect",
	};

	for (unsigned i = 0; i < sizeof word / sizeof *word; i++) {
		read_with("COPOOL_GUARD", word[i]);
		tap_is(config.guard, i, "config: COPOOL_GUARD=%s is what stacks call it", word[i]);
	}
	read_with("COPOOL_GUARD", "mprotected");
	tap_ok(has_said("COPOOL_GUARD", "mprotected") && config.guard == GUARD_AUTO,
	        "config: a word that goes on is not the word");
	read_with("COPOOL_GUARD", "");
	tap_ok(has_said("COPOOL_GUARD", "empty") && config.guard == GUARD_AUTO,
	        "config: an empty word is a mistake");
}

static void test_modes(void)
{
	read_with("COPOOL_MODE", "pool");
	tap_is(config.mode, CONFIG_MODE_POOL, "config: COPOOL_MODE=pool is known");
	setenv("COPOOL_MAX_BATCHES", "5", 1);
	read_with("COPOOL_MODE", "observe");
	tap_is(config.mode, CONFIG_MODE_OBSERVE, "config: COPOOL_MODE=observe is known");
	tap_ok(config.max_batches == 0 && config.decay_ms == 0,
	        "config: to observe, nothing is kept and nothing given back");
	unsetenv("COPOOL_MAX_BATCHES");
	read_with("COPOOL_MODE", "watch");
	tap_ok(has_said("COPOOL_MODE", "watch") && config.mode == CONFIG_MODE_POOL &&
	                config.max_batches == BATCHES_DERIVED,
	        "config: another mode is none");
}

static void test_texts(void)
{
	static char text[PATH_MAX + 10];

	read_with("COPOOL_LOG", "a path");
	tap_is_text(config.log, "a path", "config: a text is taken as it is");
	memset(text, 'x', sizeof text - 1);
	read_with("COPOOL_LOG", text);
	tap_ok(has_said("COPOOL_LOG", "too long") && config.log[0] == '\0',
	        "config: a path that is too long is refused");
	text[PATH_MAX] = '\0';
	read_with("COPOOL_LOG", text);
	tap_ok(has_said("COPOOL_LOG", "too long"), "config: so is one by a letter");
	text[PATH_MAX - 1] = '\0';
	read_with("COPOOL_LOG", text);
	tap_is(strlen(config.log), PATH_MAX - 1, "config: the longest path fits");
	text[sizeof config.create] = '\0';
	read_with("COPOOL_CREATE", text);
	tap_ok(has_said("COPOOL_CREATE", "too long"), "config: a name that is too long is refused");
	read_with("COPOOL_DESTROY", "");
	tap_ok(has_said("COPOOL_DESTROY", "empty"), "config: an empty value is a mistake");
	read_with("COPOOL_LOG", "");
	tap_ok(has_said("COPOOL_LOG", "empty"), "config: an empty path is a mistake");
}

static void test_copies(void)
{
	setenv("COPOOL_LOG", "before", 1);
	config_read(&config, "");
	memset(getenv("COPOOL_LOG"), '#', strlen("before"));
	tap_is_text(config.log, "before", "config: values are copies, whatever becomes of the environment");
	clearenv();
	setenv("COPOOL_CONFIG", "none", 1);
	config_read(&config, "");
	tap_is_text(config.log, "", "config: an environment that was cleared has no settings");
}

static void test_names(void)
{
	read_with("COPOOL_INTERVAL", "10");
	tap_ok(has_said("COPOOL_INTERVAL:", "COPOOL_INTERVAL_MS?"),
	        "config: an unknown name is told the nearest one");
	read_with("COPOOL_MAX_BATCH", "1");
	tap_ok(has_said("COPOOL_MAX_BATCH:", "COPOOL_MAX_BATCHES?"), "config: a shortened one too");
	read_with("COPOOL_DEKAY_MS", "1");
	tap_ok(has_said("COPOOL_DEKAY_MS:", "COPOOL_DECAY_MS?"), "config: a mistyped one too");
	read_with("COPOOL_", "1");
	tap_ok(has_said("COPOOL_:", "did you mean COPOOL_"), "config: a name of nothing too");
	read_with("COPOOL_TEST_STRICT", "1");
	tap_is_text(said, "", "config: COPOOL_TEST_... is not ours to judge");
	read_with("COPOOL_BUILD", "1");
	tap_is_text(said, "", "config: nor is COPOOL_BUILD");
	read_with("COPOOLED", "1");
	tap_is_text(said, "", "config: nor is a name that only begins like ours");
}

static void test_start_dir(void)
{
	char here[PATH_MAX], gone[] = "/tmp/config_test.XXXXXX";

	read_again();
	tap_is_text(
	        config.start_dir, "", "config: without a log, the directory of the start is not asked for");
	read_with("COPOOL_LOG", "x");
	tap_is_text(
	        config.start_dir, getcwd(here, sizeof here), "config: the directory of the start is kept");
	if (mkdtemp(gone) == NULL || chdir(gone) != 0 || rmdir(gone) != 0)
		return;
	read_with("COPOOL_LOG", "x");
	tap_is_text(config.start_dir, "", "config: a directory that has no name any more is none");
	if (chdir(here) != 0)
		exit(EXIT_FAILURE);
}

int main(void)
{
	clearenv();
	setenv("COPOOL_CONFIG", "none", 1);
	test_defaults();
	test_numbers();
	test_list();
	test_words();
	test_guards();
	test_modes();
	test_texts();
	test_names();
	test_start_dir();
	test_copies();
	return tap_done();
}
