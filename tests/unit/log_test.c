/* SPDX-License-Identifier: MIT */
/* The log's file: which one it is, which files must not be written to, and what is lost if it cannot be written. */
#include "report/log.h"

#include "adapter/adapter.h"
#include "system/self.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/log_test.XXXXXX";
static struct log log_;

static const char *in_folder(const char *name)
{
	static char path[4][PATH_MAX];
	static unsigned turn;
	char *here = path[turn++ % 4];

	snprintf(here, PATH_MAX, "%s/%s", folder, name);
	return here;
}

/* A file's text; "" if it does not exist. */
static const char *content(const char *name)
{
	static char text[1000];
	FILE *file = fopen(in_folder(name), "r");
	size_t bytes = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;

	text[bytes] = '\0';
	if (file != NULL)
		fclose(file);
	return text;
}

static int opened(const char *name, bool is_private)
{
	int error = log_init(&log_, in_folder(name), "", is_private);

	return error != 0 ? error : log_open(&log_);
}

static int say(const char *text)
{
	return log_write(&log_, text, strlen(text));
}

static bool is_descriptor_free(int fd)
{
	return fcntl(fd, F_GETFD) < 0;
}

static int lowest_free(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

/* Sets the program's name as the constructor finds it. */
static void called(const char *name)
{
	program_invocation_short_name = (char *)name;
	self_know();
}

static void test_names(void)
{
	char wanted[PATH_MAX];

	called("some name");
	tap_is(log_init(&log_, "/a/%n.%p.%%%p", "/start", true), 0, "log: %%p, %%n and %%%% are known");
	snprintf(wanted, sizeof wanted, "/a/some name.%d.%%%d", (int)getpid(), (int)getpid());
	tap_is_text(log_.path, wanted, "log: they stand for process, program and the sign itself");
	log_init(&log_, "b/c", "/start", true);
	tap_is_text(log_.path, "/start/b/c", "log: a relative path begins at the start directory");
	tap_is(log_init(&log_, "b", "", true), -ENOENT, "log: one that begins nowhere is refused");
	tap_is(log_init(&log_, "b", "(unreachable)/x", true), -ENOENT, "log: so is one out of reach");
	tap_is(log_init(&log_, "/a%x", "/", true), -EDOM, "log: another %% sequence is refused");
	tap_is(log_init(&log_, "/a%", "/", true), -EDOM, "log: so is a %% at the end");
	tap_is(log_init(&log_, "/a%P", "/", true), -EDOM, "log: so is one in capitals");
}

static const char *path_of(const char *name)
{
	called(name);
	log_init(&log_, "/a/%n.log", "/start", true);
	return log_.path;
}

/* Whatever the name is, the log stays in its folder. */
static void test_odd_names(void)
{
	static char endless[8000];

	tap_is_text(path_of("a/../../b"), "/a/a_.__.__b.log", "log: a name does not lead to another folder");
	tap_is_text(path_of(".."), "/a/_..log", "log: nor to the one above");
	tap_is_text(path_of(".hidden"), "/a/_hidden.log", "log: a name does not hide the file");
	tap_is_text(path_of("v1.2"), "/a/v1.2.log", "log: a dot within it is kept");
	tap_is_text(path_of("a\n\x1b[31m\x7f"), "/a/a__[31m_.log", "log: control characters are not");
	tap_is_text(path_of("\xc2\x9bx\xe2\x80\xae\xff"), "/a/_x__.log",
	        "log: nor those of eight bits, nor what turns the direction, nor what is no UTF-8");
	tap_is_text(path_of("\xc3\xa9"), "/a/\xc3\xa9.log", "log: letters are");
	memset(endless, 'x', sizeof endless - 1);
	tap_is(strlen(path_of(endless)), strlen("/a/.log") + NAME_MAX - 3, "log: an endless one is cut");
}

static const char *labelled(const char *setting, char *const *argv)
{
	char label[SELF_LABEL_BYTES];

	adapter_qemu.find_label(argv, label, sizeof label);
	self_know_label(setting, label);
	return self_label();
}

static const char *path_of_label(const char *label)
{
	called("some name");
	self_know_label(label, "");
	log_init(&log_, "/a/{label}/{name}.{pid}", "/start", true);
	return log_.path;
}

#define GUEST(...) labelled("", (char *[]){"qemu", __VA_ARGS__, NULL})

/* QEMU's option, read as QEMU does. */
static void test_labels(void)
{
	char wanted[PATH_MAX];

	tap_is_text(labelled("web-1", (char *[]){"qemu", "-name", "guest=other", NULL}), "web-1",
	        "label: what the user says counts");
	tap_is_text(GUEST("-name", "guest=vm one,debug-threads=on"), "vm one", "label: the guest's name");
	tap_is_text(GUEST("-m", "1", "--name", "vm2,process=x"), "vm2", "label: also without its key");
	tap_is_text(GUEST("-name", "debug-threads=on,guest=vm3"), "vm3", "label: also behind another key");
	tap_is_text(GUEST("-name", "process=a,,guest=b,guest=c,,d"), "c,d",
	        "label: two commas are one that belongs to the value");
	tap_is_text(GUEST("-name", "a", "-name", "guest=b"), "b", "label: the last name counts");
	tap_is_text(GUEST("-name", "debug-threads=on"), "", "label: a guest without a name has none");
	tap_is_text(GUEST("-name"), "", "label: nor has one whose name is missing");
	tap_is_text(labelled("", (char *[]){NULL}), "", "label: nor a program without arguments");
	tap_is_text(labelled("", NULL), "", "label: nor one whose arguments are not known");
	snprintf(wanted, sizeof wanted, "/a/a_.__.__b_/some name.%d", (int)getpid());
	tap_is_text(path_of_label("a/../../b\n"), wanted, "log: a label does not lead to another folder");
	snprintf(wanted, sizeof wanted, "/a/some name/some name.%d", (int)getpid());
	tap_is_text(path_of_label(""), wanted, "log: where there is no label, the program's name has to do");
}

static void test_lengths(void)
{
	static char path[PATH_MAX];

	memset(path, 'x', PATH_MAX - 1);
	path[0] = '/';
	tap_is(log_init(&log_, path, "/", true), 0, "log: the longest path fits");
	tap_is(log_init(&log_, path + 1, "/start", true), -ENAMETOOLONG,
	        "log: one that grows too long is refused");
	memcpy(path, "/%n", 3);
	called("some name");
	tap_is(log_init(&log_, path, "/", true), -ENAMETOOLONG, "log: by a program's name, too");
}

static void test_file(void)
{
	struct stat status;
	int fd;

	umask(0);
	tap_is(opened("plain", true), 0, "log: a file that is not there is made");
	tap_ok(stat(in_folder("plain"), &status) == 0 && (status.st_mode & 07777) == 0640,
	        "log: with mode 0640");
	fd = log_.fd;
	tap_ok(fd >= 3, "log: its descriptor is none of the standard ones");
	tap_is(fcntl(fd, F_GETFD), FD_CLOEXEC, "log: and closed on exec");
	tap_ok(fcntl(fd, F_GETFL) & O_APPEND && fcntl(fd, F_GETFL) & O_NONBLOCK,
	        "log: it is appended to, and never blocks");
	say("one\n");
	tap_is(opened("plain", true), 0, "log: a file that is there is opened");
	say("two\n");
	tap_is_text(content("plain"), "one\ntwo\n", "log: and keeps what it holds");
	log_close(&log_);
}

static void test_not_private(void)
{
	int before = lowest_free();

	tap_is(opened("shared", false), 0, "log: one that is not private can be opened");
	tap_is(log_.fd, -1, "log: and is closed at once");
	say("one\n");
	say("two\n");
	tap_is(lowest_free(), before, "log: it leaves no descriptor");
	tap_is_text(content("shared"), "one\ntwo\n", "log: its lines are written");
}

/* In a child, as it closes the standard descriptors. */
static int without_standard(void)
{
	bool is_good;

	for (int fd = 0; fd < 3; fd++)
		close(fd);
	is_good = opened("closed", true) == 0 && log_.fd >= 3;
	for (int fd = 0; fd < 3; fd++)
		is_good = is_good && is_descriptor_free(fd);
	return is_good ? 0 : 1;
}

static int in_child(int (*what)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(what());
	if (child < 0 || waitpid(child, &status, 0) != child)
		exit(EXIT_FAILURE);
	return status;
}

static void test_refused(void)
{
	mkdir(in_folder("folder"), 0755);
	tap_is(opened("folder", true), -EISDIR, "log: a folder is refused");
	tap_is(opened("plain/x", true), -ENOTDIR, "log: so is what lies below a file");
	tap_is(opened("none/x", true), -ENOENT, "log: so is what lies below nothing");
	if (symlink("plain", in_folder("link")) != 0 || symlink("folder", in_folder("by")) != 0)
		exit(EXIT_FAILURE);
	tap_is(opened("link", true), -ELOOP, "log: a link is not followed");
	tap_is(opened("by/x", true), 0, "log: but on the way");
	log_close(&log_);
	mkfifo(in_folder("fifo"), 0600);
	tap_is(opened("fifo", true), -ENXIO, "log: a FIFO that nobody reads is refused, and not waited for");
}

static void test_fifo(void)
{
	char text[10] = "";
	int reader = open(in_folder("fifo"), O_RDONLY | O_NONBLOCK), lines = 0;

	tap_is(opened("fifo", true), 0, "log: a FIFO that somebody reads is opened");
	say("one\n");
	tap_ok(read(reader, text, sizeof text) == 4 && strcmp(text, "one\n") == 0, "log: and gets the lines");
	while (lines < 100000 && say("a line that fills the pipe\n") == 0)
		lines++;
	tap_ok(lines < 100000 && log_.lost == 1,
	        "log: what a full pipe does not take is lost and counted, and not waited for");
	signal(SIGPIPE, SIG_IGN);
	close(reader);
	tap_is(say("two\n"), -EPIPE, "log: so is what nobody will read");
	signal(SIGPIPE, SIG_DFL);
	tap_is(log_.lost, 2, "log: each line counts");
	log_close(&log_);
}

static void test_full(void)
{
	tap_is(log_init(&log_, "/dev/full", "", true), 0, "log: a device has a path as well");
	tap_is(log_open(&log_), 0, "log: a full one can be opened");
	tap_is(say("one\n"), -ENOSPC, "log: a full disk is told");
	tap_is(log_.lost, 1, "log: and the line counted as lost");
	log_close(&log_);
}

static void test_rotation(void)
{
	opened("rotated", true);
	say("one\n");
	rename(in_folder("rotated"), in_folder("rotated.1"));
	say("two\n");
	tap_is_text(content("rotated.1"), "one\ntwo\n",
	        "log: a file that was moved is written to until the log is refreshed");
	log_refresh(&log_);
	say("three\n");
	tap_is_text(content("rotated"), "three\n", "log: then a new one is begun");
	unlink(in_folder("rotated"));
	log_refresh(&log_);
	say("four\n");
	tap_is_text(content("rotated"), "four\n", "log: also when it was removed");
	rename(in_folder("rotated.1"), in_folder("rotated"));
	log_refresh(&log_);
	say("five\n");
	tap_is_text(content("rotated"), "one\ntwo\nfive\n", "log: also when another took its place");
	log_refresh(&log_);
	say("six\n");
	tap_is_text(content("rotated"), "one\ntwo\nfive\nsix\n", "log: what is still the same stays open");
	log_close(&log_);
}

static void test_gone(void)
{
	mkdir(in_folder("gone"), 0755);
	opened("gone/log", true);
	rename(in_folder("gone/log"), in_folder("gone/log.1"));
	rename(in_folder("gone"), in_folder("went"));
	log_refresh(&log_);
	tap_is(say("one\n"), 0, "log: a file that cannot be opened again still serves");
	tap_is_text(content("went/log.1"), "one\n", "log: as long as it has a name");
	unlink(in_folder("went/log.1"));
	log_refresh(&log_);
	tap_is(say("two\n"), -ENOENT, "log: what goes to a file without a name would be lost unseen");
	tap_is(log_.lost, 1, "log: so it is counted");
	rename(in_folder("went"), in_folder("gone"));
	log_refresh(&log_);
	tap_is(say("three\n"), 0, "log: what can be opened again is");
	tap_is_text(content("gone/log"), "three\n", "log: and goes on with the next line");
	log_close(&log_);
}

/* In a child, in which files cannot grow beyond 10 bytes. */
static int cut_off(void)
{
	struct rlimit limit = {10, RLIM_INFINITY};
	bool is_good;

	signal(SIGXFSZ, SIG_IGN);
	opened("cut", true);
	setrlimit(RLIMIT_FSIZE, &limit);
	is_good = say("first\n") == 0 && say("second\n") == -EFBIG && log_.lost == 1;
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &limit);
	is_good = is_good && say("third\n") == 0 && say("fourth\n") == 0;
	return is_good ? 0 : 1;
}

static int stale_standard(void)
{
	bool is_good;

	close(STDERR_FILENO);
	if (open(in_folder("program's"), O_RDWR | O_CREAT, 0600) != STDERR_FILENO)
		return 2;
	log_init(&log_, "stderr", "", false);
	is_good = !log_is_standard(STDERR_FILENO) && log_open(&log_) == -EBADF && say("ours\n") == -EBADF;
	return is_good ? 0 : 1;
}

static void test_standard(void)
{
	int error, fds[2];

	if (pipe(fds) != 0 || dup2(STDOUT_FILENO, 20) != 20 || dup2(fds[1], STDOUT_FILENO) != STDOUT_FILENO)
		exit(EXIT_FAILURE);
	log_know_standard();
	log_init(&log_, "stdout", "/", true);
	error = log_open(&log_);
	say("one\n");
	while (say("a line that fills the pipe\n") == 0)
		;
	dup2(20, STDOUT_FILENO);
	tap_ok(error == 0 && log_.lost == 1, "log: stdout is a log, and a full pipe there does not stop us");
	tap_is(log_open(&log_), -EBADF, "log: a descriptor of that number that is another file is none");
	close(fds[0]);
	close(fds[1]);
	log_know_standard();
	tap_is(in_child(stale_standard), 0,
	        "log: what the program opens as descriptor 2 does not get our lines");
	tap_is_text(content("program's"), "", "log: not one byte of them");
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

int main(void)
{
	if (mkdtemp(folder) == NULL)
		return EXIT_FAILURE;
	test_names();
	test_odd_names();
	test_labels();
	test_lengths();
	test_file();
	test_not_private();
	tap_is(in_child(without_standard), 0,
	        "log: where the standard descriptors are closed, they stay free");
	test_refused();
	test_fifo();
	test_full();
	test_rotation();
	test_gone();
	tap_is(in_child(cut_off), 0, "log: a line that is cut off is lost");
	tap_is_text(content("cut"), "first\nseco\nthird\nfourth\n", "log: and no other line with it");
	test_standard();
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return tap_done();
}
