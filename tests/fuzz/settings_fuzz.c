/* SPDX-License-Identifier: MIT */
/*
 * A file of settings, read for one program and guest. Each value that is taken is good, and comes from a line that the file
 * has, for this program or label; every mistake is told in one sentence, or counted.
 */
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "settings/files.h"

static struct {
	int fd; /* the file */
	char path[32];
	unsigned told, lines;
} file = {.fd = -1};

static char *variable(const char *name)
{
	return strcmp(name, "COPOOL_CONFIG") == 0 ? file.path : NULL;
}

static void take(void *context, enum setting_place place, const char *value)
{
	unsigned number;

	(void)context;
	fuzz_must(place < SETTINGS_ALL, "a setting of the number %u", place);
	if (value == NULL)
		return;
	fuzz_must(setting_read(&settings[place], value, &number) == NULL, "%s = %s", settings[place].name,
	        value);
	fuzz_must(strlen(value) < SETTINGS_LINE_BYTES, "%s is longer than a line", settings[place].name);
}

static void tell(void *context, const char *text)
{
	(void)context;
	file.told++;
	fuzz_must(strlen(text) < 512 && strncmp(text, "WRONG", 5) != 0, "told: %s", text);
}

/* Reads the file; returns how many sources it has. */
static void read_for(const char *program, const char *guest, bool checks_all)
{
	struct settings_reading reading = {.program = program,
	        .guest = guest,
	        .user = geteuid(),
	        .checks_all = checks_all,
	        .variable = variable,
	        .take = take,
	        .tell = tell};
	char text[SETTINGS_SOURCE_BYTES];

	file.told = 0;
	settings_files_read(&reading);
	for (unsigned i = 0; i < SETTINGS_ALL; i++) {
		const struct settings_source *source = &reading.source[i];

		settings_files_source(&reading, i, text);
		fuzz_must(source->rank <= SETTINGS_ENVIRONMENT && source->file == 0, "%s is from %s",
		        settings[i].name, text);
		fuzz_must(source->rank == SETTINGS_DEFAULT || source->rank == SETTINGS_ENVIRONMENT ||
		                  (source->line >= 1 && source->line <= file.lines),
		        "%s is from %s of %u", settings[i].name, text, file.lines);
	}
	fuzz_must(reading.source[SETTING_config].rank == SETTINGS_ENVIRONMENT, "the file has named another");
	fuzz_must(checks_all ? file.told == reading.wrong
	                     : file.told == (reading.wrong > SETTINGS_TOLD_MOST ? SETTINGS_TOLD_MOST + 1
	                                                                        : reading.wrong),
	        "%u are wrong, and %u were told", reading.wrong, file.told);
	fuzz_must(reading.wrong <= 2 * file.lines, "%u of %u lines are wrong", reading.wrong, file.lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (file.fd < 0) {
		file.fd = memfd_create("settings", 0);
		fchmod(file.fd, 0600);
		snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.fd);
	}
	if (ftruncate(file.fd, 0) != 0 || pwrite(file.fd, data, bytes, 0) != (ssize_t)bytes)
		return 0;
	file.lines = 1;
	for (size_t i = 0; i < bytes; i++)
		file.lines += data[i] == '\n';
	read_for("php-fpm8.2", "guest-7", false);
	read_for("qemu-img", "", true);
	return 0;
}
