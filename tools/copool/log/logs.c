/* SPDX-License-Identifier: MIT */
#include "log/logs.h"

#include <stdio.h>
#include <string.h>

#include "log/book_json.h"
#include "clean.h"
#include "progress.h"
#include "report/record.h"

int logs_read_one(struct book *book, const char *verb, const char *log, json_t *unread)
{
	char text[256];

	progress_begin();
	book->watch.reading = progress_bytes;
	int error = book_read(book, log);
	progress_end();
	if (error == 0)
		return 0;
	snprintf(text, sizeof text, "%.128s: %s", log, strerror(-error));
	if (unread != NULL)
		json_array_append_new(unread, json_text(text));
	fprintf(stderr, "copool %s: %s: %s\n", verb, clean(log), strerror(-error));
	return 1;
}

int logs_check(const struct book *book, const char *verb, int status)
{
	if (status == 0 && book->records == 0)
		fprintf(stderr, "copool %s: the logs have no records\n", verb);
	return status || book->records == 0;
}

int logs_read(struct book *book, const char *verb, char **logs, json_t *unread)
{
	int status = 0;

	for (; *logs != NULL; logs++)
		status |= logs_read_one(book, verb, *logs, unread);
	return logs_check(book, verb, status);
}

void logs_tell(const struct book *book, const char *verb)
{
	for (size_t i = 0; i < BOOK_MISTAKES && i < book->mistakes; i++)
		fprintf(stderr, "copool %s: bad line: %s: %s\n", verb, clean(book->mistake[i].where),
		        book->mistake[i].what);
	if (book->mistakes > BOOK_MISTAKES)
		fprintf(stderr, "copool %s: bad lines: %llu in all\n", verb, book->mistakes);
	if (book->cut_off)
		fprintf(stderr, "copool %s: the last line is cut off\n", verb);
	if (book->newest_format > RECORD_FORMAT)
		fprintf(stderr,
		        "copool %s: written by a newer copool (format %" JSON_INTEGER_FORMAT
		        "); what this one does not know is left out\n",
		        verb, book->newest_format);
	if (book->left_out)
		fprintf(stderr, "copool %s: %llu records left out: there are too many processes or pools\n",
		        verb, book->left_out);
}
