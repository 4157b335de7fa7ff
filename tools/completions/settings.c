/* SPDX-License-Identifier: MIT */
/*
 * settings bash|zsh|fish: writes what that shell's completions say of the settings in shim/settings.h. settings list:
 * writes the list as the tests read it, a setting a line, its fields between tabs.
 */
#include "settings.h"

#include <argp.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { FIXED = false, LIVE = true };

struct described {
	const char *name;
	int letter;
	const char *argument; /* NULL: it has none */
	int flags;
	const char *help;
	const char *verbs; /* the option is for: "run", or "run compare"; NULL: there is no option */
};

#define OPTION(name, letter, argument, flags)     name, letter, argument, flags
#define NONE                                      NULL, 0, NULL, 0
#define ENTRY(...)                                {__VA_ARGS__},
#define FOR_RUN(id, variable, option, help, ...)  ENTRY(option, help, "run")
#define FOR_BOTH(id, variable, option, help, ...) ENTRY(option, help, "run compare")
#define FOR_NONE(id, variable, option, help, ...) ENTRY(option, help, NULL)

/* In the order of `settings`. */
static const struct described options[] = {SETTINGS_REPORT(FOR_RUN, FOR_RUN, FOR_RUN, FOR_RUN) SETTINGS_POOL(
        FOR_BOTH, FOR_BOTH, FOR_BOTH, FOR_BOTH) SETTINGS_OTHER(FOR_NONE, FOR_NONE, FOR_NONE, FOR_NONE)};

static bool is_of(const struct described *option, const char *verbs)
{
	return option->verbs != NULL && strcmp(option->verbs, verbs) == 0;
}

/* Whether the next word may be the option's value. */
static bool takes_word(const struct described *option)
{
	return option->argument != NULL && (option->flags & OPTION_ARG_OPTIONAL) == 0;
}

static bool takes_path(const struct described *option)
{
	return takes_word(option) && strncmp(option->argument, "PATH", 4) == 0;
}

/* The words that a value can be, with blanks between them; "" when it is no word. */
static const char *words(int i)
{
	static char text[128];
	size_t used = 0;

	if (settings[i].kind == SETTING_SWITCH)
		return "0 1";
	for (const char *at = settings[i].words; at != NULL && *at != '\0'; at++) {
		if (*at != ',')
			text[used++] = *at;
	}
	text[used] = '\0';
	return text;
}

/* "Give back" as "give back". */
static const char *brief(const char *help)
{
	static char text[128];

	snprintf(text, sizeof text, "%s", help);
	text[0] = (char)tolower(text[0]);
	return text;
}

static void print_live(const char *format)
{
	for (int i = 0; i < SETTINGS_ALL; i++) {
		if (settings[i].is_live)
			printf(format, settings[i].name);
	}
}

/* ---- bash ---- */

static void print_names(const char *variable, bool is_wanted(const struct described *option))
{
	printf("%s=\"", variable);
	for (int i = 0; i < SETTINGS_ALL; i++) {
		if (options[i].verbs == NULL || !is_wanted(&options[i]))
			continue;
		printf(" --%s", options[i].name);
		if (options[i].letter != 0 && is_wanted == takes_word)
			printf(" -%c", options[i].letter);
	}
	printf(" \"\n");
}

static bool is_for_run(const struct described *option)
{
	return is_of(option, "run");
}

static bool is_for_both(const struct described *option)
{
	return is_of(option, "run compare");
}

static void print_bash(void)
{
	print_names("_copool_run_options", is_for_run);
	print_names("_copool_both_options", is_for_both);
	print_names("_copool_values", takes_word);
	print_names("_copool_paths", takes_path);
	printf("_copool_live=\"");
	print_live("%s= ");
	printf("\"\n_copool_words()\n{\n\tcase $1 in\n");
	for (int i = 0; i < SETTINGS_ALL; i++) {
		if (options[i].verbs != NULL && takes_word(&options[i]) && words(i)[0] != '\0')
			printf("\t--%s) echo \"%s\" ;;\n", options[i].name, words(i));
	}
	printf("\tesac\n}\n");
}

/* ---- zsh ---- */

/* What follows an option's name: [help]:what:(words). */
static void print_zsh_rest(int i)
{
	const struct described *option = &options[i];

	printf("[%s]", brief(option->help));
	if (option->argument != NULL)
		printf("%s:%s", (option->flags & OPTION_ARG_OPTIONAL) != 0 ? ":" : "", option->argument);
	if (takes_path(option))
		printf(":_files");
	else if (option->argument != NULL && words(i)[0] != '\0')
		printf(":(%s)", words(i));
	printf("'\n");
}

static void print_zsh_options(const char *array, const char *verbs)
{
	printf("\tlocal -a %s=(\n", array);
	for (int i = 0; i < SETTINGS_ALL; i++) {
		const struct described *option = &options[i];

		if (!is_of(option, verbs))
			continue;
		if (option->letter != 0) {
			printf("\t\t'(-%c --%s)-%c+", option->letter, option->name, option->letter);
			print_zsh_rest(i);
			printf("\t\t'(-%c --%s)--%s=", option->letter, option->name, option->name);
		} else {
			printf("\t\t'--%s", option->name);
			if (option->argument != NULL)
				printf(takes_word(option) ? "=" : "=-");
		}
		print_zsh_rest(i);
	}
	printf("\t)\n");
}

static void print_zsh(void)
{
	print_zsh_options("run_options", "run");
	print_zsh_options("both_options", "run compare");
	printf("\tlocal live='");
	print_live("%s= ");
	printf("'\n");
}

/* ---- fish ---- */

static void print_fish(void)
{
	for (int i = 0; i < SETTINGS_ALL; i++) {
		const struct described *option = &options[i];

		if (option->verbs == NULL)
			continue;
		printf("complete -c copool -n '__fish_seen_subcommand_from %s' -l %s", option->verbs,
		        option->name);
		if (option->letter != 0)
			printf(" -s %c", option->letter);
		if (takes_path(option))
			printf(" -r -F");
		else if (takes_word(option))
			printf(" -x");
		if (takes_word(option) && words(i)[0] != '\0')
			printf(" -a '%s'", words(i));
		printf(" -d '%s'\n", brief(option->help));
	}
	printf("set -l live");
	print_live(" %s=");
	printf("\n");
}

/* ---- the list ---- */

static void print_list(void)
{
	static const char *const kind[] = {[SETTING_NUMBER] = "number",
	        [SETTING_SWITCH] = "switch",
	        [SETTING_WORD] = "word",
	        [SETTING_TEXT] = "text"};

	for (int i = 0; i < SETTINGS_ALL; i++) {
		const struct setting *setting = &settings[i];

		printf("%s\t%s\t--%s\t%s\t%u\t%u\t", setting->name, setting->variable,
		        options[i].name != NULL ? options[i].name : "", kind[setting->kind], setting->low,
		        setting->high);
		if (setting->standard == BATCHES_DERIVED)
			printf("derived");
		else
			printf("%u", setting->standard);
		printf("\t%s\t%s\t%s\n", setting->has_zero ? "zero" : "-", setting->is_live ? "live" : "-",
		        words(i));
	}
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (strcmp(what, "bash") == 0)
		print_bash();
	else if (strcmp(what, "zsh") == 0)
		print_zsh();
	else if (strcmp(what, "fish") == 0)
		print_fish();
	else if (strcmp(what, "list") == 0)
		print_list();
	else
		return 2;
	return ferror(stdout) || fflush(stdout) != 0;
}
