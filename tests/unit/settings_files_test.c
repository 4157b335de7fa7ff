/* SPDX-License-Identifier: MIT */
/* Files of settings: what a line means, who wins, and what is told of what is wrong. All below a folder of its own. */
#include "settings/files.h"

#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/settings_files_test.XXXXXX";
static struct settings_reading reading;
static char value[SETTINGS_ALL][PATH_MAX]; /* "(default)" where a file has asked for that; "": untouched */
static char said[8192];                    /* all that was told */
static unsigned told;
static const char *label, *config, *decay; /* the environment */

static char *variable(const char *name)
{
	return (char *)(strcmp(name, "COPOOL_LABEL") == 0      ? label
	                : strcmp(name, "COPOOL_CONFIG") == 0   ? config
	                : strcmp(name, "COPOOL_DECAY_MS") == 0 ? decay
	                                                       : NULL);
}

static void take(void *context, enum setting_place place, const char *text)
{
	(void)context;
	snprintf(value[place], sizeof value[place], "%s", text != NULL ? text : "(default)");
}

static void tell(void *context, const char *text)
{
	size_t used = strlen(said);

	(void)context;
	told++;
	snprintf(said + used, sizeof said - used, "%s. ", text);
}

/* Reads as `program`, whose arguments call it `guest`. */
static void read_as(const char *program, const char *guest)
{
	memset(value, 0, sizeof value);
	said[0] = '\0';
	told = 0;
	reading = (struct settings_reading){.program = program,
	        .guest = guest,
	        .root = root,
	        .user = geteuid(),
	        .checks_all = reading.checks_all,
	        .reads_none = reading.reads_none,
	        .variable = variable,
	        .take = take,
	        .tell = tell};
	settings_files_read(&reading);
}

static const char *in_root(const char *path)
{
	static char full[2][PATH_MAX];
	static unsigned last;

	last = !last;
	snprintf(full[last], sizeof full[last], "%s%s", root, path);
	return full[last];
}

static void write_bytes(const char *path, const char *text, size_t bytes)
{
	int fd = open(in_root(path), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, bytes) != (ssize_t)bytes || close(fd) != 0)
		exit(EXIT_FAILURE);
}

static void write_file(const char *path, const char *text)
{
	write_bytes(path, text, strlen(text));
}

/* The one file, read by a program called `tool`. */
static void read_text(const char *text)
{
	write_file("/etc/copool.conf", text);
	read_as("tool", "");
}

static const char *source(enum setting_place place)
{
	static char text[SETTINGS_SOURCE_BYTES];

	return settings_files_source(&reading, place, text);
}

static bool is_told(const char *what)
{
	return told == 1 && strstr(said, what) != NULL;
}

static void test_none(void)
{
	unlink(in_root("/etc/copool.conf"));
	read_as("tool", "");
	tap_is(told, 0, "settings: files that are not there are no mistake");
	tap_is_text(source(SETTING_host), "default", "settings: then all is as by default");
	if (rename(in_root("/etc"), in_root("/other")) != 0)
		exit(EXIT_FAILURE);
	read_as("tool", "");
	tap_is(told, 0, "settings: nor is a root without /etc");
	if (rename(in_root("/other"), in_root("/etc")) != 0)
		exit(EXIT_FAILURE);
}

static void test_lines(void)
{
	read_text("# a comment\n\n  host = off # of this line\r\n\tlog=/a b/c#d = e\t\ndecay_ms =500");
	tap_is_text(value[SETTING_host], "off", "settings: blanks and comments are around a value");
	tap_is_text(value[SETTING_log], "/a b/c#d = e", "settings: and not within");
	tap_is_text(value[SETTING_decay_ms], "500", "settings: the last line may have no end");
	tap_is_text(source(SETTING_host), "/etc/copool.conf:3", "settings: a value's line is known");
	tap_is_text(source(SETTING_decay_ms), "/etc/copool.conf:5", "settings: and the last one's");
	tap_is_text(said, "", "settings: all of this is right");
	read_text("host = off\nhost = qemu\nhost =\n");
	tap_is_text(value[SETTING_host], "(default)", "settings: nothing after the sign means the default");
	tap_is_text(source(SETTING_host), "/etc/copool.conf:3", "settings: and the last line counts");
	read_text(
	        "\xef\xbb\xbf[program other]\nhost = off\n\xef\xbb\xbfzero = 1\n[program tool]\nlearn = 1\n");
	tap_ok(told == 0 && value[SETTING_host][0] == '\0' && value[SETTING_learn][0] == '1',
	        "settings: a file may begin with the mark of UTF-8: %s", said);
}

static void test_wrong(void)
{
	static const struct {
		const char *line, *told;
	} wrong[] = {
	        {"hots = off", "there is no setting `hots'; did you mean host?"},
	        {"COPOOL_GUARD = auto", "did you mean guard?"},
	        {"host", "a line is NAME = VALUE"},
	        {"= off", "there is no setting `'"},
	        {"host = of", "host = of: not a known word; it should be one of auto, off"},
	        {"decay_ms = 1 s", "not a whole number; it should be 0 (never) or 100 to 86400000"},
	        {"decay_ms = 1", "out of range"},
	        {"config = /elsewhere", "only the environment can name another file"},
	        {"[tool]", "a section is [program NAME] or [label NAME]"},
	        {"[program]", "a section is [program NAME]"},
	        {"[program tool", "ends in `]'"},
	        {"[program tool] x", "ends in `]'"},
	        {"[program tool]\nlog = /x\n[label x", "ends in `]'"},
	};
	char text[200];

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		snprintf(text, sizeof text, "zero = 1\n%s\n[program tool]\nlearn = 1\n", wrong[i].line);
		read_text(text);
		tap_ok(is_told(wrong[i].told) && strstr(said, "/etc/copool.conf:") != NULL,
		        "settings: wrong line %zu is told: %s", i, said);
		tap_ok(strcmp(value[SETTING_zero], "1") == 0 && strcmp(value[SETTING_learn], "1") == 0,
		        "settings: and the rest of the file holds");
	}
	read_text("[programs tool]\nhost = off\n[label x\nhost = off\n");
	tap_ok(told == 2 && value[SETTING_host][0] == '\0',
	        "settings: what follows a wrong section is nobody's");
	read_text("program other]\nhost = off\n(program tool[\nhost = off\n[program tool]\nzero = 1\n");
	tap_ok(told == 2 && value[SETTING_host][0] == '\0' && value[SETTING_zero][0] == '1',
	        "settings: nor what follows a line that may have been meant as one: %s", said);
	read_text("[label x]\nlabel = y\n");
	tap_is(told, 0, "settings: what is wrong in others' sections is not told");
	reading.checks_all = true;
	read_as("tool", "");
	reading.checks_all = false;
	tap_ok(is_told("cannot change the label"), "settings: unless all are checked");
	read_as("tool", "x");
	tap_ok(is_told("cannot change the label"), "settings: or they are no others'");
}

static void test_limits(void)
{
	static char text[SETTINGS_FILE_BYTES + 10];
	unsigned bytes = SETTINGS_LINE_BYTES - 1;

	memset(text, 'x', sizeof text);
	memcpy(text, "log = ", 6);
	text[bytes] = '\n';
	strcpy(text + bytes + 1, "zero = 1\n");
	read_text(text);
	tap_ok(told == 0 && strlen(value[SETTING_log]) == bytes - 6, "settings: the longest line is taken");
	text[bytes] = 'x';
	text[bytes + 1] = '\n';
	strcpy(text + bytes + 2, "zero = 1\n");
	read_text(text);
	tap_ok(is_told("conf:1: ignored: the line is longer than 1023 bytes"),
	        "settings: a longer one is told: %s", said);
	tap_ok(value[SETTING_log][0] == '\0' && strcmp(value[SETTING_zero], "1") == 0,
	        "settings: and is left out, alone");
	write_bytes("/etc/copool.conf", "host = off\0 log = x\nzero = 1\n", 29);
	read_as("tool", "");
	tap_ok(is_told("zero byte") && value[SETTING_host][0] == '\0' &&
	                strcmp(value[SETTING_zero], "1") == 0,
	        "settings: so is a line with a zero byte");
	memset(text, '\n', sizeof text);
	memcpy(text + SETTINGS_FILE_BYTES - 9, "zero = 1\n", 9);
	write_bytes("/etc/copool.conf", text, SETTINGS_FILE_BYTES);
	read_as("tool", "");
	tap_ok(told == 0 && strcmp(value[SETTING_zero], "1") == 0,
	        "settings: the largest file is read to its end");
	write_bytes("/etc/copool.conf", text, SETTINGS_FILE_BYTES + 1);
	read_as("tool", "");
	tap_ok(is_told("larger than 64 KiB") && value[SETTING_zero][0] == '\0',
	        "settings: of a larger one, nothing");
	for (unsigned i = 0; i < 20; i++)
		strcpy(text + 2 * i, "x\n");
	read_text(text);
	tap_is(told, SETTINGS_TOLD_MOST + 1, "settings: of many mistakes the first are told");
	tap_ok(strstr(said, "12 more lines") != NULL, "settings: and how many more there are");
}

static void test_ranks(void)
{
	read_text("[program to?l]\nhost = stacks\n[program t*]\nguard = poison\n[program other]\nhost = off\n"
	          "[label *]\nguard = mprotect\n");
	tap_is_text(value[SETTING_host], "stacks", "settings: a section is for programs of its name");
	tap_is_text(value[SETTING_guard], "poison", "settings: and for no label where there is none");
	read_as("tool", "guest-7");
	tap_is_text(value[SETTING_guard], "mprotect", "settings: a label comes before a program");
	read_as("toool", "");
	tap_is_text(value[SETTING_host], "", "settings: other programs have none of it");
	write_file("/etc/copool.d/50-x.conf", "host = off\n[label guest-7]\nhost = auto\n");
	read_as("tool", "");
	tap_is_text(value[SETTING_host], "stacks",
	        "settings: a program comes before what is for every one, in any file");
	read_as("tool", "guest-7");
	tap_is_text(value[SETTING_host], "auto", "settings: a label before both");
	tap_is_text(source(SETTING_host), "/etc/copool.d/50-x.conf:3", "settings: the file is known");
	read_as("other", "guest-8");
	tap_is_text(value[SETTING_host], "off", "settings: of another label it is the program's");
	decay = "700";
	read_text("[label x]\ndecay_ms = 500\n");
	read_as("tool", "x");
	tap_is_text(value[SETTING_decay_ms], "700", "settings: the environment comes before all");
	tap_is_text(source(SETTING_decay_ms), "environment", "settings: and is named");
	decay = "7";
	read_as("tool", "x");
	tap_ok(strcmp(value[SETTING_decay_ms], "500") == 0 &&
	                is_told("what is said in /etc/copool.conf:2 is used"),
	        "settings: where it is wrong, the file counts: %s", said);
	decay = NULL;
	unlink(in_root("/etc/copool.d/50-x.conf"));
}

static void test_labels(void)
{
	read_text("[label given]\nzero = 1\n[label guest]\nlearn = 1\n[label own]\nleaks = 1\n");
	read_as("tool", "guest");
	tap_ok(value[SETTING_learn][0] == '1' && value[SETTING_zero][0] == '\0',
	        "settings: a label may be the arguments'");
	write_file("/etc/copool.d/label.conf", "[program tool]\nlabel = own\n");
	read_as("tool", "guest");
	tap_ok(value[SETTING_leaks][0] == '1' && value[SETTING_learn][0] == '\0',
	        "settings: a file's comes before it, though that file is the last");
	label = "given";
	read_as("tool", "guest");
	tap_ok(value[SETTING_zero][0] == '1' && value[SETTING_leaks][0] == '\0',
	        "settings: and the environment's before both");
	label = NULL;
	unlink(in_root("/etc/copool.d/label.conf"));
	read_text("[label *]\nhots = off\n");
	read_as("tool", "x");
	tap_is(told, 1, "settings: what is wrong in a label's section is told once");
	read_text("hots = off\nlabel = one\n[label one]\nzero = 1\n[program tool]\nlabel = two\n");
	tap_is(told, 1, "settings: so is what is wrong before one");
	tap_is_text(value[SETTING_zero], "", "settings: a section is for the label that holds in the end");
}

static void test_folder(void)
{
	static const char *const others[] = {"a.conf~", ".b.conf", "c.conf.dpkg-old", "d", ".conf"};
	char path[100];

	read_text("decay_ms = 1000\n");
	write_file("/etc/copool.d/20.conf", "decay_ms = 2000\n");
	write_file("/etc/copool.d/10.conf", "decay_ms = 3000\ninterval_ms = 50\n");
	read_as("tool", "");
	tap_is_text(value[SETTING_decay_ms], "2000", "settings: of files, the last by name counts");
	tap_is_text(source(SETTING_interval_ms), "/etc/copool.d/10.conf:2", "settings: each is named");
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		snprintf(path, sizeof path, "/etc/copool.d/%s", others[i]);
		write_file(path, "zero = 1\n");
	}
	read_as("tool", "");
	tap_ok(told == 0 && value[SETTING_zero][0] == '\0',
	        "settings: what does not end in .conf is no file of ours");
	for (unsigned i = 30; i < 62; i++) {
		snprintf(path, sizeof path, "/etc/copool.d/%u.conf", i);
		write_file(path, "decay_ms = 4000\n");
	}
	read_as("tool", "");
	tap_is(reading.names, SETTINGS_FILES_MOST, "settings: so many files are read");
	tap_ok(is_told("the last files"), "settings: and it is told that there are more: %s", said);
	tap_is_text(source(SETTING_decay_ms), "/etc/copool.d/59.conf:1",
	        "settings: the last by name are left out");
	for (unsigned i = 30; i < 62; i++) {
		snprintf(path, sizeof path, "/etc/copool.d/%u.conf", i);
		unlink(in_root(path));
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		snprintf(path, sizeof path, "/etc/copool.d/%s", others[i]);
		unlink(in_root(path));
	}
	memset(path, 0, sizeof path);
	memset(memcpy(path, "/etc/copool.d/", 14) + 14, '0', 59);
	strcat(path, ".conf");
	write_file(path, "zero = 1\n");
	read_as("tool", "");
	tap_ok(is_told("longer than 63") && value[SETTING_zero][0] == '\0',
	        "settings: a name that is too long is told");
	unlink(in_root(path));
}

static void test_trust(void)
{
	read_text("host = off\n");
	chmod(in_root("/etc/copool.conf"), 0664);
	read_as("tool", "");
	tap_ok(is_told("its group or others may write to it"),
	        "settings: a file that a group may write to is refused");
	chmod(in_root("/etc/copool.conf"), 0646);
	read_as("tool", "");
	tap_ok(is_told("may write to it") && value[SETTING_host][0] == '\0', "settings: or others");
	chmod(in_root("/etc/copool.conf"), 0444);
	if (geteuid() == 0) {
		tap_ok(chown(in_root("/etc/copool.conf"), 12345, 0) == 0, "settings: a file is given away");
		read_as("tool", "");
		tap_ok(is_told("another user") && value[SETTING_host][0] == '\0',
		        "settings: then it is refused");
		tap_ok(chown(root, 12345, 0) == 0, "settings: the root folder is given away, too");
		read_as("tool", "");
		tap_ok(told == 0 && value[SETTING_host][0] != '\0',
		        "settings: what belongs to the root folder's owner is root's: %s", said);
		if (chown(in_root("/etc/copool.conf"), 0, 0) != 0 || chown(root, 0, 0) != 0)
			exit(EXIT_FAILURE);
	} else {
		tap_skip("only root can give files away", "settings: another user's file is refused");
	}
	chmod(in_root("/etc/copool.d"), 0777);
	read_as("tool", "");
	tap_ok(is_told("/etc/copool.d: ignored") && strcmp(value[SETTING_host], "off") == 0,
	        "settings: so is a folder that others may write to, alone");
	chmod(in_root("/etc/copool.d"), 0755);
	reading.reads_none = true;
	read_as("tool", "");
	reading.reads_none = false;
	tap_is_text(value[SETTING_host], "", "settings: a program in secure mode reads none");
}

/* What is no file: nothing waits for it. */
static void test_kinds(void)
{
	unlink(in_root("/etc/copool.conf"));
	if (mkfifo(in_root("/etc/copool.conf"), 0644) != 0)
		exit(EXIT_FAILURE);
	read_as("tool", "");
	tap_ok(is_told("/etc/copool.conf: ignored: not a file"), "settings: a FIFO is not waited for: %s",
	        said);
	unlink(in_root("/etc/copool.conf"));
	mkdir(in_root("/etc/copool.conf"), 0755);
	read_as("tool", "");
	tap_ok(is_told("not a file"), "settings: a folder is no file");
	rmdir(in_root("/etc/copool.conf"));
	if (symlink("copool.conf", in_root("/etc/copool.conf")) != 0)
		exit(EXIT_FAILURE);
	read_as("tool", "");
	tap_ok(is_told("symbolic links"), "settings: a link that leads to itself is told: %s", said);
	unlink(in_root("/etc/copool.conf"));
	write_file("/etc/other", "zero = 1\n");
	if (symlink("other", in_root("/etc/copool.conf")) != 0)
		exit(EXIT_FAILURE);
	read_as("tool", "");
	tap_ok(told == 0 && value[SETTING_zero][0] == '1', "settings: a link to a file is followed");
	unlink(in_root("/etc/copool.conf"));
	if (symlink("nowhere", in_root("/etc/copool.d/30.conf")) != 0)
		exit(EXIT_FAILURE);
	read_as("tool", "");
	tap_ok(is_told("30.conf: ignored: No such file"),
	        "settings: a link in the folder that leads nowhere is told");
	unlink(in_root("/etc/copool.d/30.conf"));
}

static void test_elsewhere(void)
{
	read_text("zero = 1\n");
	config = "/etc/copool.d";
	read_as("tool", "");
	tap_ok(value[SETTING_zero][0] == '\0' && strcmp(value[SETTING_decay_ms], "2000") == 0,
	        "settings: COPOOL_CONFIG may name a folder");
	tap_is_text(source(SETTING_decay_ms), "/etc/copool.d/20.conf:1", "settings: whose files are named");
	config = "/etc/copool.conf";
	read_as("tool", "");
	tap_ok(value[SETTING_zero][0] == '1' && value[SETTING_decay_ms][0] == '\0', "settings: or a file");
	config = "none";
	read_as("tool", "");
	tap_ok(told == 0 && value[SETTING_zero][0] == '\0', "settings: or none");
	config = "/etc/nothing";
	read_as("tool", "");
	tap_ok(is_told("/etc/nothing: ignored: No such file"), "settings: a missing one is told");
	config = "etc/copool.conf";
	read_as("tool", "");
	tap_ok(is_told("etc/copool.conf: ignored: its path is relative") && value[SETTING_zero][0] == '\0',
	        "settings: below another root a relative path leads nowhere: %s", said);
	config = "";
	read_as("tool", "");
	tap_ok(is_told("COPOOL_CONFIG=") && value[SETTING_zero][0] == '1',
	        "settings: an empty one is a mistake");
	config = NULL;
}

int main(void)
{
	if (mkdtemp(root) == NULL || mkdir(in_root("/etc"), 0755) != 0 ||
	        mkdir(in_root("/etc/copool.d"), 0755) != 0)
		return EXIT_FAILURE;
	test_none();
	test_lines();
	test_wrong();
	test_limits();
	test_ranks();
	test_labels();
	test_folder();
	test_trust();
	test_kinds();
	test_elsewhere();
	unlink(in_root("/etc/other"));
	unlink(in_root("/etc/copool.conf"));
	unlink(in_root("/etc/copool.d/10.conf"));
	unlink(in_root("/etc/copool.d/20.conf"));
	rmdir(in_root("/etc/copool.d"));
	rmdir(in_root("/etc"));
	rmdir(root);
	return tap_done();
}
