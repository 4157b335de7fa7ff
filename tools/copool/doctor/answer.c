/* SPDX-License-Identifier: MIT */
#include "doctor/answer.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "copool.h"

enum { STATUS_HELPS, STATUS_HELPS_NOT, STATUS_UNKNOWN = EXIT_USAGE };

__attribute__((format(printf, 4, 5))) static void set(
        struct answer *answer, const char *word, int status, const char *format, ...)
{
	va_list arguments;

	answer->word = word;
	answer->status = status;
	va_start(arguments, format);
	vsnprintf(answer->text, sizeof answer->text, format, arguments);
	va_end(arguments);
}

__attribute__((format(printf, 2, 3))) static void try(struct answer *answer, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(answer->next, sizeof answer->next, format, arguments);
	va_end(arguments);
}

/* One word of a shell command: in single quotes if it must be. */
static const char *word_of(const char *text, char word[PATH_MAX])
{
	static const char plain[] =
	        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_";
	size_t used = 0;

	if (*text != '\0' && text[strspn(text, plain)] == '\0')
		return text;
	word[used++] = '\'';
	for (; *text != '\0' && used < PATH_MAX - 6; text++) {
		if (*text == '\'')
			used += (size_t)sprintf(word + used, "'\\''");
		else
			word[used++] = *text;
	}
	strcpy(word + used, "'");
	return word;
}

static bool is(const char *text, const char *word)
{
	return text != NULL && strcmp(text, word) == 0;
}

static void judge(const struct sheet *sheet, const struct process *process, struct answer *answer)
{
	const char *mode = sheet_get_text(sheet, "adapter", "mode"), *bar = sheet_bar(sheet),
	           *detail = sheet_get_text(sheet, "adapter", "detail"),
	           *brings = sheet_get_text(sheet, "program", "brings"),
	           *likely = sheet_get_text(sheet, "adapter", "likely");
	bool is_loaded = process != NULL && process->is_loaded;

	if (bar != NULL)
		set(answer, "in_the_way", STATUS_HELPS_NOT, "something is in the way: %s", bar);
	else if (sheet_has(sheet, "missing"))
		set(answer, "cannot_tell", STATUS_UNKNOWN, "there is nothing to look at");
	else if (is_loaded && is(mode, "pool"))
		set(answer, "pools", STATUS_HELPS, "copool pools: %s", detail);
	else if (is_loaded && is(mode, "observe"))
		set(answer, "observes", STATUS_HELPS, "copool only counts: %s", detail);
	else if (is(mode, "pool") || is(mode, "observe"))
		set(answer, "can_help", STATUS_HELPS, "copool can help: %s", detail);
	else if (brings != NULL)
		set(answer, "can_help", STATUS_HELPS, "copool can help: it brings %s", brings);
	else if (likely != NULL)
		set(answer, "can_help", STATUS_HELPS, "copool can probably help: it has %s", likely);
	else if (mode != NULL)
		set(answer, "will_not_help", STATUS_HELPS_NOT, "copool will not help: %s", detail);
	else
		set(answer, "cannot_tell", STATUS_UNKNOWN, "that cannot be told from here");
}

/* What to do about what is in the way. */
static void mend(
        const struct sheet *sheet, const char *name, const struct process *process, struct answer *answer)
{
	char folder[PATH_MAX];

	if (sheet_has(sheet, "decoder"))
		try(answer, "apt-get install '^libzydis4[.]'");
	else if (process == NULL && program_is_switched_off(sheet))
		try(answer, "copool compare --host=auto -- %s ARGUMENT...", name);
	else if (sheet_has(sheet, "switched_off"))
		try(answer, "copool on %d", process->pid);
	else if (json_is_true(sheet_get(sheet, "log", "is_missing")))
		try(answer, "install -d -o %s %s", sheet_get_text(sheet, "log", "user"),
		        word_of(sheet_get_text(sheet, "log", "folder"), folder));
	else if (json_is_true(sheet_get(sheet, "log", "is_denied")))
		try(answer, "install -d -o %s %s/copool", sheet_get_text(sheet, "log", "user"),
		        word_of(sheet_get_text(sheet, "log", "folder"), folder));
}

/* It serves until it is stopped, so there is nothing to compare before it is set up. */
static bool is_fpm(const char *path)
{
	const char *base = strrchr(path, '/');

	return strncmp(base != NULL ? base + 1 : path, "php-fpm", strlen("php-fpm")) == 0;
}

static void find_next(const struct sheet *sheet, const struct program *program, const struct process *process,
        struct answer *answer)
{
	const char *brings = sheet_get_text(sheet, "program", "brings"), *name;
	char word[PATH_MAX];

	name = word_of(program->name, word);
	if (program->nearby[0] != '\0')
		try(answer, "copool doctor %s", program->nearby);
	else if (answer->status == STATUS_HELPS_NOT && sheet_bar(sheet) != NULL)
		mend(sheet, name, process, answer);
	else if (process != NULL && process->is_loaded && answer->status == STATUS_HELPS)
		try(answer, "copool show %d", process->pid);
	else if (process != NULL && answer->status == STATUS_HELPS)
		try(answer, "copool observe %d", process->pid);
	else if (answer->status == STATUS_HELPS && brings != NULL)
		try(answer, "copool run --log=%%n-%%p.jsonl -- %s ARGUMENT...", name);
	else if (answer->status == STATUS_HELPS && is_fpm(program->path))
		try(answer, "copool recipe php-fpm");
	else if (answer->status == STATUS_HELPS)
		try(answer, "copool compare -- %s ARGUMENT...", name);
	else if (sheet_has(sheet, "static") && process == NULL)
		try(answer, "copool compare --host=stacks -- %s ARGUMENT...", name);
	else if (sheet_has(sheet, "contexts") && process == NULL)
		try(answer, "copool compare --learn -- %s ARGUMENT...", name);
	else if (sheet_has(sheet, "later") && process == NULL)
		try(answer, "copool doctor --library=FILE %s", name);
}

void answer_find(const struct sheet *sheet, const struct program *program, const struct process *process,
        struct answer *answer)
{
	answer->next[0] = '\0';
	judge(sheet, process, answer);
	find_next(sheet, program, process, answer);
}
