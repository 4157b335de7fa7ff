/* SPDX-License-Identifier: MIT */
/*
 * What reads logs, given logs: those of the corpus, changed byte by byte, word by word and line by line. What
 * must hold is said in readers.h.
 */
#include "fuzz.h"
#include "readers.h"

static unsigned random_state;

static size_t draw(size_t below)
{
	random_state = random_state * 1103515245 + 12345;
	return (random_state >> 8) % below;
}

static const char *const odd[] = {"-9223372036854775808", "9223372036854775807", "9007199254740993", "1e308",
        "-1", "18446744073709551616", "null", "[]", "{}", "\"\"", "true", "0.5", "\"</script><script>\"",
        "\"\\u0000\"", "\"\xff\"", "\n", "\n\n", "\r\n", "{\"type\":\"weather\",\"pid\":1}\n", "[[[[[[[[",
        "\"type\":\"final\"", "\"type\":\"open\"", "\"type\":\"origin\""};

struct log {
	char *bytes;
	size_t length, room;
};

static void replace(struct log *log, size_t at, size_t old, const char *with, size_t length)
{
	if (log->length - old + length > log->room)
		return;
	memmove(log->bytes + at + length, log->bytes + at + old, log->length - at - old);
	memcpy(log->bytes + at, with, length);
	log->length = log->length - old + length;
}

/* Replaces a number or a word of the log by something odd. */
static void replace_word(struct log *log)
{
	size_t at = draw(log->length);
	const char *with = odd[draw(sizeof(odd) / sizeof(odd[0]))];

	while (at > 0 && !strchr(":,\n", log->bytes[at - 1]))
		at--;
	size_t old = 0;
	while (at + old < log->length && !strchr(",}\n", log->bytes[at + old]))
		old++;
	replace(log, at, old, with, strlen(with));
}

/* Writes a piece of the log once more, somewhere. */
static void copy_span(struct log *log)
{
	static char span[2000];
	size_t from = draw(log->length);
	size_t length = draw(log->length - from < sizeof(span) ? log->length - from : sizeof(span));

	memcpy(span, log->bytes + from, length);
	replace(log, draw(log->length), 0, span, length);
}

/* Makes a line about as long as a line may be. */
static void stretch(struct log *log)
{
	static char blanks[RECORD_LINE_BYTES + 400];

	memset(blanks, ' ', sizeof(blanks));
	replace(log, draw(log->length), 0, blanks, RECORD_LINE_BYTES - 400 + draw(800));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed)
{
	struct log log = {(char *)data, bytes, room};

	random_state = seed;
	for (size_t left = 1 + draw(4); left-- > 0 && log.length > 0;) {
		size_t way = draw(8);

		if (way < 3)
			replace_word(&log);
		else if (way == 3)
			copy_span(&log);
		else if (way == 4 && draw(4) == 0)
			stretch(&log);
		else
			log.length = LLVMFuzzerMutate(data, log.length, room);
	}
	return log.length > 0 ? log.length : LLVMFuzzerMutate(data, bytes, room);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	readers_open();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct text text;
	struct book book;
	const char *wrong;

	if (bytes > sizeof(text.bytes))
		return 0;
	memcpy(text.bytes, data, bytes);
	text.length = bytes;
	wrong = try_log(&text, &book);
	fuzz_must(wrong == NULL, "%s", wrong);
	fuzz_must(try_verb(bytes), "a verb failed");
	return 0;
}
