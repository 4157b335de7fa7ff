/* SPDX-License-Identifier: MIT */
/*
 * A bounded ring of messages with many writers and one reader (Vyukov's bounded queue). The `turn` of each cell says
 * who may use it:
 *
 *	turn = position		free, for the writer that takes this position
 *	turn = position + 1	written, for the reader that comes to this position
 */
#include "system/warn.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { WARN_CELLS = 32 };

struct cell {
	_Atomic unsigned turn; /* less the cell's own number, so that zeroed cells are free */
	const char *format;    /* to be formatted with `number`; NULL: `text` is the message */
	unsigned long number[2];
	char text[WARN_BYTES];
};

static struct {
	struct cell cell[WARN_CELLS];
	_Atomic unsigned tail; /* next position to write */
	unsigned head;         /* next position to read; only the reader uses it */
	_Atomic unsigned dropped;
} ring;

static struct cell *cell_at(unsigned position)
{
	return &ring.cell[position % WARN_CELLS];
}

static unsigned turn_of(unsigned position, unsigned step)
{
	return position + step - position % WARN_CELLS;
}

/* Takes the next position to write. False: its cell has not been read yet. */
static bool take_position(unsigned *taken)
{
	/* [ring.tail] relaxed: hands out positions; [cell.turn] orders the text. */
	unsigned position = atomic_load_explicit(&ring.tail, memory_order_relaxed), seen;

	for (;;) {
		/* [cell.turn] acquire: the reader has finished with the cell; pairs with warn_next. */
		if (atomic_load_explicit(&cell_at(position)->turn, memory_order_acquire) ==
		        turn_of(position, 0)) {
			if (atomic_compare_exchange_weak_explicit(&ring.tail, &position, position + 1,
			            memory_order_relaxed, memory_order_relaxed))
				break;
			continue;
		}
		/* Full, unless another writer was faster. */
		seen = position;
		position = atomic_load_explicit(&ring.tail, memory_order_relaxed);
		if (position == seen) {
			/* [ring.dropped] relaxed: a statistic. */
			atomic_fetch_add_explicit(&ring.dropped, 1, memory_order_relaxed);
			return false;
		}
	}
	*taken = position;
	return true;
}

static void publish(unsigned position)
{
	/* [cell.turn] release: publishes the message to warn_next. */
	atomic_store_explicit(&cell_at(position)->turn, turn_of(position, 1), memory_order_release);
}

void warn(const char *format, ...)
{
	int saved = errno;
	unsigned position;
	va_list arguments;

	if (!take_position(&position))
		return;
	cell_at(position)->format = NULL;
	va_start(arguments, format);
	vsnprintf(cell_at(position)->text, WARN_BYTES, format, arguments);
	va_end(arguments);
	publish(position);
	errno = saved;
}

void warn_keep(const char *format, unsigned long a, unsigned long b)
{
	unsigned position;
	struct cell *cell;

	if (!take_position(&position))
		return;
	cell = cell_at(position);
	cell->format = format;
	cell->number[0] = a;
	cell->number[1] = b;
	publish(position);
}

bool warn_is_any(void)
{
	unsigned position = ring.head;

	/* [cell.turn] relaxed: the message is not read here. */
	return atomic_load_explicit(&cell_at(position)->turn, memory_order_relaxed) == turn_of(position, 1);
}

bool warn_next(char *text)
{
	unsigned position = ring.head;
	struct cell *cell = cell_at(position);

	/* [cell.turn] acquire: sees the message; pairs with publish. */
	if (atomic_load_explicit(&cell->turn, memory_order_acquire) != turn_of(position, 1))
		return false;
	if (cell->format != NULL)
		snprintf(text, WARN_BYTES, cell->format, cell->number[0], cell->number[1]);
	else
		memcpy(text, cell->text, WARN_BYTES);
	ring.head++;
	/* [cell.turn] release: the text has been read; pairs with warn, a round later. */
	atomic_store_explicit(&cell->turn, turn_of(position, WARN_CELLS), memory_order_release);
	return true;
}

void warn_fork_child(void)
{
	/* [all in here] relaxed: the child has one thread. */
	unsigned tail = atomic_load_explicit(&ring.tail, memory_order_relaxed);

	for (unsigned i = 0; i < WARN_CELLS; i++) {
		unsigned position = tail - WARN_CELLS + i;
		struct cell *cell = cell_at(position);
		bool is_read = (int)(position - ring.head) < 0;
		unsigned turn = turn_of(position, is_read ? WARN_CELLS : 1);

		/* Unchanged cells are not written: the child would get its own copy of the page. */
		if (atomic_load_explicit(&cell->turn, memory_order_relaxed) == turn)
			continue;
		if (!is_read)
			cell->format = "a warning was lost in a fork";
		atomic_store_explicit(&cell->turn, turn, memory_order_relaxed);
	}
}

unsigned warn_dropped(void)
{
	/* [ring.dropped] relaxed: a statistic. */
	return atomic_load_explicit(&ring.dropped, memory_order_relaxed);
}

const char *warn_reason(int error)
{
	return strerrordesc_np(error) ?: "unknown error"; /* never translated, so it takes no lock */
}
