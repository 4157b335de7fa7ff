/* SPDX-License-Identifier: MIT */
/* The book as JSON, which `copool show --json` prints and the report's page contains. */
#include "log/book_json.h"

#include "clean.h"
#include "log/stack_size.h"

json_t *json_text(const char *text)
{
	json_t *string = json_string(text);

	return string != NULL ? string : json_string(clean(text));
}

static json_t *process_as_json(const struct book_process *process)
{
	json_t *pools = json_array();
	json_t *depths = json_array();

	for (size_t i = 0; i < process->pools; i++) {
		json_array_append(pools, process->pool[i]);
		if (process->depth[i] != NULL)
			json_array_append_new(depths, stack_size_as_json(process->depth[i]));
	}
	return json_pack("{s:I, s:O?, s:o, s:o}", "pid", process->pid, "open", process->open, "pools", pools,
	        "depths", depths);
}

json_t *book_as_json(const struct book *book)
{
	json_t *processes = json_array();
	json_t *warnings = json_array();
	json_t *mistakes = json_array();

	for (size_t i = 0; i < book->processes; i++)
		json_array_append_new(processes, process_as_json(&book->process[i]));
	for (size_t i = 0; i < book->warnings; i++)
		json_array_append_new(warnings,
		        json_pack("{s:I, s:s, s:I}", "pid", book->warning[i].pid, "text",
		                book->warning[i].text, "count", (json_int_t)book->warning[i].count));
	for (size_t i = 0; i < BOOK_MISTAKES && i < book->mistakes; i++)
		json_array_append_new(
		        mistakes, json_pack("{s:o, s:s}", "where", json_text(book->mistake[i].where), "what",
		                          book->mistake[i].what));
	return json_pack("{s:o, s:o, s:I, s:I, s:o, s:b, s:I, s:I, s:I}", "processes", processes, "warnings",
	        warnings, "idle_processes", (json_int_t)book->idle, "bad_lines", (json_int_t)book->mistakes,
	        "bad", mistakes, "cut_off", book->cut_off, "format", book->newest_format, "unknown_records",
	        (json_int_t)book->unknown, "left_out", (json_int_t)book->left_out);
}
