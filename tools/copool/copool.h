/* SPDX-License-Identifier: MIT */
/* The verbs of the command `copool`, one cmd_VERB.c each. */
#ifndef COPOOL_TOOLS_COPOOL_H
#define COPOOL_TOOLS_COPOOL_H

/* Exit statuses; the last three as in env(1). */
enum {
	EXIT_USAGE = 2,
	EXIT_ASKED = 3,       /* set, trim, off, on: requested, but not done yet */
	EXIT_OURS = 125,      /* run, compare: copool itself failed */
	EXIT_REFUSED = 126,   /* the program exists but cannot be run with a preload */
	EXIT_NOT_FOUND = 127, /* no such program */
};

/* One verb: argv[0] is "copool VERB". Returns the exit status. */
int cmd_compare(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_observe(int argc, char **argv);
int cmd_origins(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_plot(int argc, char **argv);
int cmd_recipe(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_advise(int argc, char **argv);
int cmd_prune(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_set(int argc, char **argv);
int cmd_settings(int argc, char **argv);
int cmd_trim(int argc, char **argv);
int cmd_off(int argc, char **argv);
int cmd_on(int argc, char **argv);

#endif
