/* SPDX-License-Identifier: MIT */
#include "doctor/tell.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "amount.h"
#include "clean.h"

enum { ROW = 1024 };

/* One row of facts, to which parts are added. */
struct row {
	char text[ROW];
	size_t used;
};

/* Adds a fact if it is known: `format` has one %s for it. */
__attribute__((format(printf, 5, 0))) static void add(
        struct row *row, const struct sheet *sheet, const char *group, const char *key, const char *format)
{
	const json_t *value = sheet_get(sheet, group, key);
	char number[AMOUNT_BYTES], part[ROW];
	const char *text = json_string_value(value);

	if (json_is_integer(value) && (strcmp(key, "pid") == 0 || strcmp(key, "user") == 0))
		snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_integer(value))
		amount_grouped((double)json_integer_value(value), number);
	if (json_is_integer(value))
		text = number;
	if (text == NULL)
		return;
	int bytes = snprintf(part, sizeof part, format, text);
	if (row->used > 0 && bytes > 0 && row->used + (size_t)bytes + 2 < sizeof row->text)
		row->used += (size_t)snprintf(row->text + row->used, 3, ", ");
	if (bytes > 0 && row->used + (size_t)bytes < sizeof row->text) {
		memcpy(row->text + row->used, part, (size_t)bytes + 1);
		row->used += (size_t)bytes;
	}
}

static void say(struct row *row, bool is_so, const char *text)
{
	if (is_so)
		row->used += (size_t)snprintf(row->text + row->used, sizeof row->text - row->used, "%s%s",
		        row->used > 0 ? ", " : "", text);
}

static void print_row(const char *label, struct row *row)
{
	if (row->used > 0)
		printf("  %-12s %s\n", label, clean(row->text));
	*row = (struct row){.used = 0};
}

static bool is_true(const struct sheet *sheet, const char *group, const char *key)
{
	return json_is_true(sheet_get(sheet, group, key));
}

static void print_program(const struct sheet *sheet)
{
	struct row row = {.used = 0};

	add(&row, sheet, "program", "path", "%s");
	add(&row, sheet, "program", "kind", "%s");
	add(&row, sheet, "program", "interpreter", "run by %s");
	add(&row, sheet, "program", "machine", "%s");
	add(&row, sheet, "program", "linked", "%s");
	print_row("program", &row);
	add(&row, sheet, "program", "is", "%s");
	add(&row, sheet, "program", "version", "%s");
	print_row("is", &row);
	add(&row, sheet, "program", "libc", "%s");
	add(&row, sheet, "library", "needs", "the library needs %s");
	print_row("C library", &row);
	add(&row, sheet, "library", "path", "%s");
	add(&row, sheet, "library", "version", "version %s");
	add(&row, sheet, "library", "decoder", "decoder %s");
	add(&row, sheet, "library", "unwinder", "unwinder %s");
	print_row("library", &row);
	add(&row, sheet, "adapter", "host", "%s");
	add(&row, sheet, "adapter", "way", "way %s");
	say(&row, sheet_get(sheet, "adapter", "source") != NULL, "as the library itself says");
	print_row("adapter", &row);
}

static void print_process(const struct sheet *sheet)
{
	struct row row = {.used = 0};

	add(&row, sheet, "process", "pid", "%s");
	add(&row, sheet, "process", "name", "%s");
	add(&row, sheet, "process", "user", "user %s");
	add(&row, sheet, "process", "maps", "%s memory maps");
	print_row("process", &row);
	add(&row, sheet, "process", "creates", "%s creates");
	add(&row, sheet, "process", "new", "%s of them new");
	add(&row, sheet, "process", "live", "%s live");
	add(&row, sheet, "process", "pooled", "%s idle");
	print_row("counts", &row);
}

static void print_settings(const struct sheet *sheet)
{
	const char *name;
	json_t *setting;

	json_object_foreach(json_object_get(sheet->facts, "settings"), name, setting)
	{
		const char *value = json_string_value(json_object_get(setting, "value"));

		printf("  %-12s %s=%s (%s)\n", "setting", name, clean(value != NULL ? value : ""),
		        clean(json_string_value(json_object_get(setting, "source"))));
	}
}

static void print_machine(const struct sheet *sheet)
{
	struct row row = {.used = 0};

	add(&row, sheet, "kernel", "guard", "guard pages by %s");
	add(&row, sheet, "kernel", "max_map_count", "vm.max_map_count %s");
	add(&row, sheet, "kernel", "most_stacks", "enough for about %s fibers");
	add(&row, sheet, "kernel", "huge_pages", "huge pages %s");
	add(&row, sheet, "kernel", "locked_bytes", "%s bytes may be locked");
	print_row("kernel", &row);
	add(&row, sheet, "confinement", "apparmor", "AppArmor %s");
	add(&row, sheet, "confinement", "selinux", "SELinux %s");
	say(&row, json_integer_value(sheet_get(sheet, "confinement", "seccomp")) != 0, "a seccomp filter");
	say(&row, is_true(sheet, "confinement", "no_new_privs"), "NoNewPrivs");
	say(&row, is_true(sheet, "confinement", "mdwe"), "MDWE");
	say(&row, row.used == 0, "none that is seen");
	print_row("confinement", &row);
	add(&row, sheet, "log", "path", "%s");
	add(&row, sheet, "log", "user",
	        is_true(sheet, "log", "is_writable") ? "user %s can write it" : "user %s cannot write it");
	print_row("log", &row);
}

static void print_findings(const struct sheet *sheet)
{
	const json_t *finding;
	size_t i;

	json_array_foreach(sheet->findings, i, finding)
	{
		const char *level = json_string_value(json_object_get(finding, "level"));

		printf("  %-12s %s\n", strcmp(level, "note") == 0 ? "note" : "in the way",
		        clean(json_string_value(json_object_get(finding, "text"))));
	}
	json_array_foreach(sheet->unread, i, finding)
	        printf("  %-12s %s\n", "not read", clean(json_string_value(finding)));
}

void tell_text(const struct sheet *sheet, const char *name, const struct answer *answer)
{
	printf("%s: %s\n", clean(name), clean(answer->text));
	if (!sheet_has(sheet, "missing")) {
		print_program(sheet);
		print_process(sheet);
		print_settings(sheet);
		print_machine(sheet);
	}
	print_findings(sheet);
	if (answer->next[0] != '\0')
		printf("next: %s\n", clean(answer->next));
}

void tell_json(const struct sheet *sheet, const char *name, const struct answer *answer)
{
	json_t *all = json_object();
	const json_t *value;
	const char *group;

	json_object_set_new(all, "name", json_string(clean(name)));
	json_object_set_new(all, "verdict", json_string(answer->word));
	json_object_set_new(all, "status", json_integer(answer->status));
	json_object_set_new(all, "text", json_string(clean(answer->text)));
	json_object_set_new(
	        all, "next", answer->next[0] != '\0' ? json_string(clean(answer->next)) : json_null());
	json_object_foreach(sheet->facts, group, value) json_object_set(all, group, (json_t *)value);
	json_object_set(all, "findings", sheet->findings);
	json_object_set(all, "unread", sheet->unread);
	clean_json(all, JSON_INDENT(2), stdout);
	json_decref(all);
}
