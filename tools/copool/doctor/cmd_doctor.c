/* SPDX-License-Identifier: MIT */
/*
 * copool doctor: whether copool can help a program, or a running process, and what is in the way. It changes nothing
 * and needs no root; what it may not read it names.
 */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clean.h"
#include "copool.h"
#include "doctor/force.h"
#include "doctor/machine.h"
#include "doctor/tell.h"
#include "doctor/process.h"
#include "doctor/program.h"
#include "doctor/sheet.h"
#include "doctor/answer.h"
#include "doctor/writable.h"
#include "fold.h"
#include "process/remote.h"
#include "run/launch.h"
#include "verb.h"

enum { KEY_LOG = 'l', KEY_USER = 'u', KEY_LIBRARY = 'L' };

struct doctor {
	bool is_json;
	const char *log, *user, *library;
	char **names;
};

static const struct argp_option options[] = {
        {"json", 'j', NULL, 0, "Write one JSON object", 0},
        {"log", KEY_LOG, "PATH", 0, "Check whether this log could be written (as COPOOL_LOG)", 0},
        {"user", KEY_USER, "USER", 0, "Who is to start the program and to write the log; by default you", 0},
        {"library", KEY_LIBRARY, "FILE", 0, "A library that PROGRAM loads later, such as Apache's PHP module",
                0},
        {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct doctor *doctor = state->input;

	switch (key) {
	case 'j':
		doctor->is_json = true;
		return 0;
	case KEY_LOG:
		doctor->log = value;
		return 0;
	case KEY_USER:
		doctor->user = value;
		return 0;
	case KEY_LIBRARY:
		doctor->library = value;
		return 0;
	case ARGP_KEY_END:
		if (doctor->names != NULL && doctor->names[1] != NULL)
			argp_error(state, "one program at a time");
		return 0;
	}
	return verb_arguments(key, state, &doctor->names, "which program, or which process?");
}

static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "PROGRAM|PID",
        .doc = "Says whether copool can help PROGRAM, or the process PID, what is in the way, and which command to "
               "try next.\v"
               "PROGRAM is started under the library and killed before its first instruction: nothing of it or "
               "of its libraries runs but the functions by which the loader binds others. A file that another "
               "user (not root) could change is not started, nor is that of a process whose files are not "
               "this system's. Nothing is changed, and no log is written. A program whose name is a number is "
               "./NUMBER.\n\n"
               "The exit status is 0 if copool can help, or does; 1 if it will not, or if something is in the "
               "way; 2 if that cannot be told, or for a wrong option.\n\n"
               "Example: copool doctor --user=www-data --log=/var/log/copool/%n.jsonl php-fpm8.2",
};

static void find_library(struct sheet *sheet, struct program *program)
{
	if (launch_find_shim(program->shim) != 0) {
		program->shim[0] = '\0';
		sheet_find(sheet, SHEET_BAR, "no_library",
		        "libcopool.so is neither beside copool nor where it is installed");
		return;
	}
	sheet_text(sheet, "library", "path", program->shim);
	if (strpbrk(program->shim, " :") != NULL)
		sheet_find(sheet, SHEET_BAR, "library_path",
		        "LD_PRELOAD cannot name %s: it has a space or a colon", program->shim);
}

static void find_user(const struct doctor *doctor, struct writer *writer)
{
	char number[16];

	snprintf(number, sizeof number, "%u", (unsigned)geteuid());
	if (writer_find(writer, doctor->user != NULL ? doctor->user : number) == 0)
		return;
	fprintf(stderr, "copool doctor: there is no user `%s'\n", clean(doctor->user));
	exit(EXIT_USAGE);
}

static void look_at_program(struct sheet *sheet, const struct doctor *doctor, struct program *program)
{
	char folder[PATH_MAX], set[PATH_MAX];
	const char *log = doctor->log != NULL ? doctor->log : set;
	struct writer writer;

	find_user(doctor, &writer);
	program->target.user = writer.user;
	program->target.group = writer.group;
	if (!program_find(sheet, program, doctor->names[0]))
		return;
	find_library(sheet, program);
	machine_libraries(sheet);
	machine_kernel(sheet);
	machine_confinement(sheet);
	machine_preload_file(sheet, "");
	program_examine(sheet, program);
	program_try(sheet, program);
	if (doctor->library != NULL)
		program_library(sheet, doctor->library);
	program_hint(sheet, program);
	struct force force = {.program = program->path, .user = writer.user};
	force_tell(sheet, &force, set);
	if (*log != '\0')
		writable_check(sheet, &writer, log, "", getcwd(folder, sizeof folder) != NULL ? folder : "/");
}

static void look_at_process(struct sheet *sheet, const struct doctor *doctor, struct program *program,
        struct process *process, pid_t pid)
{
	if (!process_find(sheet, process, program, pid))
		return;
	if (doctor->user != NULL)
		find_user(doctor, &process->writer);
	find_library(sheet, program);
	machine_libraries(sheet);
	machine_kernel(sheet);
	process_examine(sheet, process);
	process_library(sheet, process);
	program->is_loaded = process->is_loaded;
	if (program->path[0] != '\0')
		program_examine(sheet, program);
	if (!process->is_loaded && program->path[0] != '\0') {
		if (process->root[0] == '\0')
			program_try(sheet, program);
		else
			sheet_unread(
			        sheet, "how it would be served: another file has its program's path here");
	}
	const char *mode = sheet_get_text(sheet, "adapter", "mode");
	if (mode == NULL || strcmp(mode, "none") == 0)
		process_known(sheet, process);
	program_hint(sheet, program);
	const char *log = doctor->log != NULL ? doctor->log : process->log;
	if (*log != '\0' && process->folder[0] != '\0')
		writable_check(sheet, &process->writer, log, process->root, process->folder);
}

int cmd_doctor(int argc, char **argv)
{
	static struct program program;
	static struct process process;
	static struct answer answer;
	struct doctor doctor = {.is_json = false};
	struct sheet sheet;
	pid_t pid = 0;

	argp_parse(&argp, argc, argv, 0, NULL, &doctor);
	sheet_begin(&sheet);
	bool is_process = remote_pid(doctor.names[0], &pid);
	program.name = doctor.names[0];
	if (access("/proc/self/exe", F_OK) != 0)
		sheet_find(&sheet, SHEET_NOTE, "missing", "there is no /proc, of which most is read");
	else if (is_process)
		look_at_process(&sheet, &doctor, &program, &process, pid);
	else
		look_at_program(&sheet, &doctor, &program);
	answer_find(&sheet, &program, is_process ? &process : NULL, &answer);
	if (doctor.is_json) {
		tell_json(&sheet, doctor.names[0], &answer);
	} else {
		fold_stdout();
		tell_text(&sheet, doctor.names[0], &answer);
	}
	sheet_end(&sheet);
	return verb_end("doctor", answer.status, EXIT_USAGE);
}
