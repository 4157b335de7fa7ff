/* SPDX-License-Identifier: MIT */
/*
 * QEMU's own coroutines at work: whatever may become of one, in a program that counts for itself. With the argument
 * "traced" some are traced; with another it does one thing that QEMU dies of. All lines are the same in every run; what was really made and ended goes to the file
 * that PROGRAM_TRUTH names, as one JSON object.
 *
 * QEMU creates and enters coroutines in some fifty places. So that no compiler takes the functions into their only
 * caller, each scenario here is a place of its own: begin() and go_on() are always inlined.
 */
#include "qemu/osdep.h"
#include "qemu/coroutine_int.h"
#include "qemu/thread.h"
#include "block/aio.h"
#include "trace.h"
#include "runtime.h"

enum {
	BURST = 1024,
	MANY = 3000,
	STACK_USED = 16 << 10, /* bytes that each fills of its stack, and looks at again */
	THREADS = 4,
	OF_THREAD = 100,
	LEFT = 5, /* that are alive when the program ends */
};

#define IN_PLACE static inline __attribute__((always_inline))

/* What one coroutine is to do, and has done. */
struct job {
	Coroutine *coroutine;
	struct job *next;
	unsigned id, yields, done;
	char name;
};

static _Atomic unsigned long created, ended, most_alive;

static struct job jobs[MANY];

void qemu_coroutine_inc_pool_size(unsigned int additional);
void qemu_coroutine_dec_pool_size(unsigned int removed);

static void count_created(void)
{
	unsigned long alive = atomic_fetch_add(&created, 1) + 1 - atomic_load(&ended);
	unsigned long most = atomic_load(&most_alive);

	while (alive > most && !atomic_compare_exchange_weak(&most_alive, &most, alive))
		;
}

IN_PLACE Coroutine *begin(CoroutineEntry *entry, void *argument)
{
	count_created();
	return qemu_coroutine_create(entry, argument);
}

IN_PLACE void go_on(Coroutine *coroutine)
{
	qemu_coroutine_enter(coroutine);
}

/* As QEMU's aio_co_enter: inside of a coroutine it is put off until this one yields or ends. */
IN_PLACE void wake(Coroutine *coroutine)
{
	Coroutine *self = qemu_coroutine_self();

	if (qemu_in_coroutine())
		QSIMPLEQ_INSERT_TAIL(&self->co_queue_wakeup, coroutine, co_queue_next);
	else
		qemu_aio_coroutine_enter(qemu_get_current_aio_context(), coroutine);
}

static void has_ended(void)
{
	atomic_fetch_add(&ended, 1);
}

/* Keeps values in its frame and on its stack over each yield. */
static void work(void *argument)
{
	struct job *job = argument;
	volatile unsigned char stack[STACK_USED];
	unsigned left;

	for (size_t i = 0; i < sizeof stack; i += 61)
		stack[i] = (unsigned char)(job->id + i);
	for (left = job->yields; left > 0; left--) {
		qemu_coroutine_yield();
		for (size_t i = 0; i < sizeof stack; i += 61) {
			if (stack[i] != (unsigned char)(job->id + i))
				runtime_die("a stack was changed while its coroutine was suspended");
		}
		job->done++;
	}
	job->done++;
	has_ended();
}

static void ends_at_once(void *argument)
{
	(*(unsigned *)argument)++;
	has_ended();
}

static void prepare(unsigned count, unsigned yields)
{
	for (unsigned i = 0; i < count; i++)
		jobs[i] = (struct job){.id = i, .yields = yields};
}

static unsigned all_done(unsigned count)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum += jobs[i].done;
	return sum;
}

/* ---- scenarios ---- */

static void plain(void)
{
	unsigned sum = 0;

	for (int i = 0; i < 1000; i++)
		go_on(begin(ends_at_once, &sum));
	printf("one after another: %u\n", sum);
}

static void yields(void)
{
	prepare(100, 10);
	for (int i = 0; i < 100; i++)
		jobs[i].coroutine = begin(work, &jobs[i]);
	for (int round = 0; round <= 10; round++) {
		for (int i = 0; i < 100; i++)
			go_on(jobs[(i * 37 + round) % 100].coroutine);
	}
	printf("in turns: %u\n", all_done(100));
}

/* Ends when all those that it has begun have ended. */
static void nest(void *argument)
{
	unsigned *depth = argument, below = *depth - 1;

	if (*depth > 0) {
		go_on(begin(nest, &below));
		go_on(begin(ends_at_once, &below));
		*depth = below + 1;
	}
	has_ended();
}

static Coroutine *waiting[64];
static unsigned waiting_count;

/* The innermost ends first, as it uses what the one around it has on its stack. */
static void nest_and_wait(void *argument)
{
	unsigned *depth = argument, below = *depth - 1;

	if (*depth > 0) {
		go_on(begin(nest_and_wait, &below));
		waiting[waiting_count++] = qemu_coroutine_self();
		qemu_coroutine_yield();
		*depth = below + 1;
	}
	has_ended();
}

static void nests(void)
{
	unsigned depth = 20, sum = 0;

	go_on(begin(nest, &depth));
	for (int i = 0; i < 10; i++) {
		unsigned deep = 20;

		waiting_count = 0;
		go_on(begin(nest_and_wait, &deep));
		for (unsigned each = 0; each < waiting_count; each++)
			go_on(waiting[each]);
		sum += deep;
	}
	printf("in each other: %u, %u\n", depth, sum);
}

static char order[256];
static size_t order_length;

static void woken(void *argument)
{
	struct job *job = argument;

	qemu_coroutine_yield();
	order[order_length++] = job->name;
	if (job->next != NULL)
		wake(job->next->coroutine);
	if (job->yields > 0) {
		qemu_coroutine_yield();
		order[order_length++] = job->name - 'a' + 'A';
	}
	has_ended();
}

static void wakes(void *argument)
{
	struct job *job = argument;

	order[order_length++] = '(';
	wake(job[0].coroutine);
	wake(job[1].coroutine);
	wake(job[2].coroutine);
	qemu_coroutine_yield();
	order[order_length++] = ';';
	wake(job[1].coroutine);
	wake(job[5].coroutine);
	order[order_length++] = ')';
	has_ended();
}

static void wakes_others(void)
{
	Coroutine *waker;

	for (int round = 0; round < 20; round++) {
		prepare(6, 0);
		for (int i = 0; i < 6; i++) {
			jobs[i].name = 'a' + i;
			jobs[i].next = i < 2 ? &jobs[i + 3] : NULL;
			jobs[i].yields = i == 1;
			jobs[i].coroutine = begin(woken, &jobs[i]);
			go_on(jobs[i].coroutine);
		}
		order_length = 0;
		waker = begin(wakes, jobs);
		go_on(waker);
		go_on(waker);
		order[order_length] = '\0';
		if (round == 0)
			printf("woken in the order %s\n", order);
	}
	printf("the last time in the order %s\n", order);
}

static void bursts(void)
{
	unsigned sum = 0;

	for (int round = 0; round < 10; round++) {
		prepare(BURST, 1);
		for (int i = 0; i < BURST; i++) {
			jobs[i].coroutine = begin(work, &jobs[i]);
			go_on(jobs[i].coroutine);
		}
		for (int i = 0; i < BURST; i++)
			go_on(jobs[(i * 5 + round) % BURST].coroutine);
		sum += all_done(BURST);
	}
	printf("in bursts: %u\n", sum);
}

static void many(void)
{
	prepare(MANY, 2);
	for (int i = 0; i < MANY; i++) {
		jobs[i].coroutine = begin(work, &jobs[i]);
		go_on(jobs[i].coroutine);
	}
	for (int i = MANY; i-- > 0;)
		go_on(jobs[i].coroutine);
	for (int i = 0; i < MANY; i++)
		go_on(jobs[i].coroutine);
	printf("many: %u\n", all_done(MANY));
}

/* As QEMU's disks that come and go. */
static void pool_sizes(void)
{
	unsigned sum = 0;

	for (int round = 0; round < 3; round++) {
		qemu_coroutine_inc_pool_size(256 * (round + 1));
		prepare(500, 1);
		for (int i = 0; i < 500; i++) {
			jobs[i].coroutine = begin(work, &jobs[i]);
			go_on(jobs[i].coroutine);
		}
		for (int i = 0; i < 500; i++)
			go_on(jobs[i].coroutine);
		qemu_coroutine_dec_pool_size(256 * (round + 1));
		sum += all_done(500);
	}
	printf("with pools of other sizes: %u\n", sum);
}

/* ---- threads ---- */

static pthread_barrier_t barrier;

/* Begins some, and ends those that another thread began. */
static void *relay(void *argument)
{
	unsigned self = (unsigned)(uintptr_t)argument;

	for (int round = 0; round < 20; round++) {
		struct job *own = &jobs[self * OF_THREAD], *others = &jobs[(self + 1) % THREADS * OF_THREAD];

		for (int i = 0; i < OF_THREAD; i++) {
			own[i] = (struct job){.id = self * OF_THREAD + i, .yields = 1, .done = own[i].done};
			own[i].coroutine = begin(work, &own[i]);
			go_on(own[i].coroutine);
		}
		pthread_barrier_wait(&barrier);
		for (int i = 0; i < OF_THREAD; i++)
			go_on(others[i].coroutine);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void *leave_behind(void *argument)
{
	(void)argument;
	for (int i = 0; i < OF_THREAD; i++) {
		jobs[i].coroutine = begin(work, &jobs[i]);
		go_on(jobs[i].coroutine);
	}
	return NULL;
}

static void start(pthread_t *thread, void *(*function)(void *), uintptr_t argument)
{
	if (pthread_create(thread, NULL, function, (void *)argument) != 0)
		runtime_die("no thread can be started");
}

static void threads(void)
{
	pthread_t thread[THREADS];
	unsigned sum;

	prepare(MANY, 0);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		start(&thread[i], relay, i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	sum = all_done(MANY);
	prepare(OF_THREAD, 1);
	start(&thread[0], leave_behind, 0);
	pthread_join(thread[0], NULL);
	for (int i = 0; i < OF_THREAD; i++)
		go_on(jobs[i].coroutine);
	printf("over threads: %u, of one that has ended: %u\n", sum, all_done(OF_THREAD));
}

/* ---- tracing ---- */

static void traced(void)
{
	trace_events_enabled_count = 3;
	qemu_loglevel = LOG_TRACE;
	_TRACE_QEMU_AIO_COROUTINE_ENTER_DSTATE = 1;
	_TRACE_QEMU_COROUTINE_YIELD_DSTATE = 1;
	_TRACE_QEMU_COROUTINE_TERMINATE_DSTATE = 1;
	for (int round = 0; round < 2; round++) {
		prepare(100, 2);
		for (int i = 0; i < 100; i++) {
			jobs[i].coroutine = begin(work, &jobs[i]);
			for (int step = 0; step < 3; step++)
				go_on(jobs[i].coroutine);
		}
		message_with_timestamp = true;
	}
	trace_events_enabled_count = 0;
	printf("traced: %lu entered, %lu yielded, %lu terminated\n", runtime_traced_enter,
	        runtime_traced_yield, runtime_traced_terminate);
}

/* ---- what QEMU dies of ---- */

static void ends_with_a_lock(void *argument)
{
	(void)argument;
	qemu_coroutine_self()->locks_held++;
}

static void enters_itself(void *argument)
{
	(void)argument;
	qemu_coroutine_enter(qemu_coroutine_self());
}

static void die_of(const char *cause)
{
	Coroutine *coroutine;
	unsigned sum = 0;

	for (int i = 0; i < 50; i++)
		go_on(begin(ends_at_once, &sum));
	fflush(stdout);
	if (strcmp(cause, "locks") == 0) {
		go_on(begin(ends_with_a_lock, NULL));
	} else if (strcmp(cause, "recursion") == 0) {
		go_on(begin(enters_itself, NULL));
	} else if (strcmp(cause, "schedule") == 0) {
		coroutine = begin(ends_at_once, &sum);
		coroutine->scheduled = "die_of";
		go_on(coroutine);
	} else if (strcmp(cause, "nobody") == 0) {
		qemu_coroutine_yield();
	}
	runtime_die("it did not die");
}

/* ---- */

static void tell(void)
{
	const char *path = getenv("PROGRAM_TRUTH");
	FILE *file = path != NULL ? fopen(path, "w") : NULL;

	if (path == NULL)
		return;
	if (file == NULL)
		runtime_die("PROGRAM_TRUTH cannot be written");
	fprintf(file,
	        "{\"created\": %lu, \"ended\": %lu, \"alive\": %lu, \"most_alive\": %lu, \"stacks_made\": "
	        "%lu, \"stacks_freed\": %lu}\n",
	        created, ended, created - ended, most_alive, runtime_stacks_made, runtime_stacks_freed);
	fclose(file);
}

int main(int arguments, char **argument)
{
	if (arguments > 1 && strcmp(argument[1], "traced") == 0) {
		plain();
		traced();
		plain();
		tell();
		return 0;
	}
	if (arguments > 1)
		die_of(argument[1]);
	plain();
	yields();
	nests();
	wakes_others();
	bursts();
	threads();
	pool_sizes();
	many();
	bursts();
	prepare(LEFT, 1);
	for (int i = 0; i < LEFT; i++) {
		jobs[i].coroutine = begin(work, &jobs[i]);
		go_on(jobs[i].coroutine);
	}
	printf("alive: %lu\n", created - ended);
	tell();
	return 0;
}
