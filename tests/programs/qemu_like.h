/* SPDX-License-Identifier: MIT */
/*
 * Coroutines as QEMU has them, for programs that do what QEMU rarely does: the same exported functions, the same
 * struct, the same loop in which coroutines end, and a pool of their own whose size is a variable. A coroutine
 * here never runs: it ends whenever it is entered. It knows whether it is idle, live or deleted, and dies loudly
 * when it is handed out or given back in the wrong state. Included by one source of each program; all threads
 * and signal handlers may call.
 *
 * Before the include: POOL_SIZE, what the variable starts with (64 as in 7.1 to 8.2); LOCKED_POOL_SIZE, a
 * variable that is changed under a lock (as from 9.0); UNMOVABLE_NEW, a qemu_coroutine_new that cannot be
 * patched; ODD_LOOP, a loop of another shape; HIDDEN_LOOP, a copy of the loop, in which all coroutines end, that
 * no look at the code can find.
 */
#ifndef COPOOL_TESTS_PROGRAMS_QEMU_LIKE_H
#define COPOOL_TESTS_PROGRAMS_QEMU_LIKE_H

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef POOL_SIZE
#define POOL_SIZE 64
#endif

/* Called by its entry alone, as over the border of a source file. */
#ifdef __clang__
#define EXPORTED __attribute__((noinline, used))
#else
#define EXPORTED __attribute__((noipa, used))
#endif

enum { COROUTINES_MOST = 1 << 14 };

enum state { STATE_DELETED, STATE_IDLE, STATE_LIVE };

struct coroutine {
	void (*entry)(void *argument);
	void *entry_argument;
	struct coroutine *caller;
	struct coroutine *pool_next;
	size_t locks_held;
	void *context;
	const char *scheduled;
	struct coroutine *queue_next;
	struct {
		struct coroutine *first;
		struct coroutine **last;
	} wakeup;
	char more[8];
	void *stack;
	_Atomic int state;
	char rest[0xcc];
};

_Static_assert(offsetof(struct coroutine, wakeup) == 0x40 && offsetof(struct coroutine, stack) == 0x58 &&
                       sizeof(struct coroutine) == 0x130,
        "as in QEMU");

/* A deleted coroutine's place is reused only after all others, so that its use is seen and not a crash. */
static struct coroutine coroutine_table[COROUTINES_MOST];
static _Atomic unsigned next_place;
static _Atomic unsigned coroutines_made, coroutines_deleted, coroutines_exist, coroutines_most;
static int pool_size = POOL_SIZE;
static pthread_mutex_t own_pool_lock = PTHREAD_MUTEX_INITIALIZER;
static struct coroutine *own_pool;
static int own_pool_count;

struct coroutine *qemu_coroutine_new(void);
void qemu_coroutine_delete(struct coroutine *coroutine);
struct coroutine *qemu_coroutine_create(void (*entry)(void *), void *argument);
void qemu_coroutine_inc_pool_size(unsigned change);
void qemu_coroutine_dec_pool_size(unsigned change);

/* Says why, by system calls only, and ends the process. */
static _Noreturn void die(const char *why)
{
	if (write(STDERR_FILENO, why, strlen(why)) < 0 || write(STDERR_FILENO, "\n", 1) < 0)
		_exit(98);
	_exit(99);
}

static void move_state(struct coroutine *coroutine, int from, int to, const char *why)
{
	if (!atomic_compare_exchange_strong(&coroutine->state, &from, to))
		die(why);
}

static struct coroutine *find_place(void)
{
	for (unsigned tries = 0; tries < COROUTINES_MOST; tries++) {
		struct coroutine *place =
		        &coroutine_table[atomic_fetch_add(&next_place, 1) % COROUTINES_MOST];
		int state = STATE_DELETED;

		if (atomic_compare_exchange_strong(&place->state, &state, STATE_IDLE))
			return place;
	}
	die("there are too many coroutines");
}

__attribute__((used)) static struct coroutine *make_coroutine(void)
{
	unsigned exist = atomic_fetch_add(&coroutines_exist, 1) + 1, most = atomic_load(&coroutines_most);

	while (exist > most && !atomic_compare_exchange_weak(&coroutines_most, &most, exist))
		continue;
	atomic_fetch_add(&coroutines_made, 1);
	return find_place();
}

#ifdef UNMOVABLE_NEW
/* It jumps back into the bytes that a jump to a hook would overwrite. */
__asm__(".text\n"
        ".globl qemu_coroutine_new\n"
        ".type qemu_coroutine_new, @function\n"
        "qemu_coroutine_new:\n"
        "	push $2\n"
        "1:	decl (%rsp)\n"
        "	jnz 1b\n"
        "	pop %rax\n"
        "	jmp make_coroutine\n"
        ".size qemu_coroutine_new, . - qemu_coroutine_new\n");
#else
EXPORTED struct coroutine *qemu_coroutine_new(void)
{
	return make_coroutine();
}
#endif

EXPORTED void qemu_coroutine_delete(struct coroutine *coroutine)
{
	move_state(coroutine, STATE_IDLE, STATE_DELETED, "a coroutine was deleted that was not idle");
	atomic_fetch_add(&coroutines_deleted, 1);
	atomic_fetch_sub(&coroutines_exist, 1);
}

static struct coroutine *own_pool_take(void)
{
	struct coroutine *coroutine = NULL;

	if (pool_size <= 0)
		return NULL;
	pthread_mutex_lock(&own_pool_lock);
	if (own_pool != NULL) {
		coroutine = own_pool;
		own_pool = coroutine->pool_next;
		own_pool_count--;
	}
	pthread_mutex_unlock(&own_pool_lock);
	return coroutine;
}

static int own_pool_put(struct coroutine *coroutine)
{
	int is_kept = 0;

	if (pool_size <= 0)
		return 0;
	pthread_mutex_lock(&own_pool_lock);
	if (own_pool_count < pool_size) {
		coroutine->pool_next = own_pool;
		own_pool = coroutine;
		own_pool_count++;
		is_kept = 1;
	}
	pthread_mutex_unlock(&own_pool_lock);
	return is_kept;
}

EXPORTED struct coroutine *qemu_coroutine_create(void (*entry)(void *), void *argument)
{
	struct coroutine *coroutine = own_pool_take();

	if (coroutine == NULL)
		coroutine = qemu_coroutine_new();
	coroutine->entry = entry;
	coroutine->entry_argument = argument;
	coroutine->wakeup.first = NULL;
	coroutine->wakeup.last = &coroutine->wakeup.first;
	return coroutine;
}

#ifdef LOCKED_POOL_SIZE
static pthread_mutex_t pool_size_lock;
static int is_lock_ready;

/* In the program's own constructor: an early call of inc or dec is a mistake, as in QEMU. */
__attribute__((constructor)) static void make_lock(void)
{
	pthread_mutex_init(&pool_size_lock, NULL);
	is_lock_ready = 1;
}

static void lock_pool_size(void)
{
	if (!is_lock_ready)
		die("inc or dec was called before the lock was there");
	pthread_mutex_lock(&pool_size_lock);
}

EXPORTED void qemu_coroutine_inc_pool_size(unsigned change)
{
	lock_pool_size();
	__asm__ volatile("addl %1, %0" : "+m"(pool_size) : "r"(change) : "memory");
	pthread_mutex_unlock(&pool_size_lock);
}

EXPORTED void qemu_coroutine_dec_pool_size(unsigned change)
{
	lock_pool_size();
	__asm__ volatile("subl %1, %0" : "+m"(pool_size) : "r"(change) : "memory");
	pthread_mutex_unlock(&pool_size_lock);
}
#else
EXPORTED void qemu_coroutine_inc_pool_size(unsigned change)
{
	__asm__ volatile("lock addl %1, %0" : "+m"(pool_size) : "r"(change) : "memory");
}

EXPORTED void qemu_coroutine_dec_pool_size(unsigned change)
{
	__asm__ volatile("lock subl %1, %0" : "+m"(pool_size) : "r"(change) : "memory");
}
#endif

/* ---- the loop in which coroutines are entered, and end ---- */

enum { YIELD = 1, TERMINATE = 2, ENTER = 3 };

int qemu_coroutine_switch(struct coroutine *from, struct coroutine *to, int action);
struct coroutine *qemu_coroutine_self(void);
void qemu_aio_coroutine_enter(void *context, struct coroutine *coroutine);

static struct coroutine leader;

EXPORTED struct coroutine *qemu_coroutine_self(void)
{
	return &leader;
}

EXPORTED int qemu_coroutine_switch(struct coroutine *from, struct coroutine *to, int action)
{
	if (action != ENTER || from != &leader || to->caller != &leader)
		die("a coroutine was entered in another way");
	return TERMINATE;
}

typedef int(switch_function)(struct coroutine *, struct coroutine *, int);

static inline __attribute__((always_inline)) void enter_by(
        switch_function *switch_to, void *context, struct coroutine *coroutine)
{
	struct coroutine *self = qemu_coroutine_self();
	struct {
		struct coroutine *first;
		struct coroutine **last;
	} pending;

	coroutine->queue_next = NULL;
	pending.first = coroutine;
	pending.last = &coroutine->queue_next;
	__asm__ volatile("" : : "r"(&pending) : "memory");
	while (pending.first != NULL) {
		struct coroutine *to = pending.first;
		int result;

		pending.first = to->queue_next;
		if (pending.first == NULL)
			pending.last = &pending.first;
		to->queue_next = NULL;
		if (to->caller != NULL)
			die("a coroutine was entered twice");
		to->caller = self;
		to->context = context;
		result = switch_to(self, to, ENTER);
		if (to->wakeup.first != NULL) {
			*to->wakeup.last = pending.first;
			pending.first = to->wakeup.first;
			to->wakeup.first = NULL;
			to->wakeup.last = &to->wakeup.first;
		}
#ifdef ODD_LOOP
		result ^= TERMINATE;
		if (result == 0) {
			__asm__ volatile("" : "+r"(to));
#else
		switch (result) {
		case YIELD:
			break;
		case TERMINATE:
#endif
			if (to->locks_held != 0)
				die("a coroutine ended with locks held");
			to->caller = NULL;
			if (!own_pool_put(to))
				qemu_coroutine_delete(to);
#ifdef ODD_LOOP
		}
#else
			break;
		default:
			die("a coroutine did what none can do");
		}
#endif
	}
}

EXPORTED void qemu_aio_coroutine_enter(void *context, struct coroutine *coroutine)
{
	enter_by(qemu_coroutine_switch, context, coroutine);
}

#ifdef HIDDEN_LOOP
static switch_function *volatile switch_by_address = qemu_coroutine_switch;

static __attribute__((noinline)) void enter(void *context, struct coroutine *coroutine)
{
	enter_by(switch_by_address, context, coroutine);
}
#else
#define enter qemu_aio_coroutine_enter
#endif

/* What the rest of the program calls: a coroutine's life begins and ends. */
static inline struct coroutine *begin(void)
{
	void *argument = &coroutine_table[atomic_load(&next_place) % COROUTINES_MOST];
	struct coroutine *coroutine = qemu_coroutine_create((void (*)(void *))die, argument);

	move_state(coroutine, STATE_IDLE, STATE_LIVE, "a coroutine was handed out that was not idle");
	if (coroutine->entry != (void (*)(void *))die || coroutine->entry_argument != argument ||
	        coroutine->wakeup.last != &coroutine->wakeup.first || coroutine->wakeup.first != NULL)
		die("a coroutine was handed out that was not ready");
	/* What a life may leave behind. */
	coroutine->entry = NULL;
	coroutine->entry_argument = NULL;
	coroutine->wakeup.last = NULL;
	return coroutine;
}

static inline void end(struct coroutine *coroutine)
{
	move_state(coroutine, STATE_LIVE, STATE_IDLE, "a coroutine ended that was not live");
	enter(NULL, coroutine);
}

/* Bursts of `depth` coroutines that live at once. */
static inline void churn(unsigned rounds, unsigned depth)
{
	struct coroutine *burst[1024];

	for (unsigned r = 0; r < rounds; r++) {
		for (unsigned i = 0; i < depth; i++)
			burst[i] = begin();
		for (unsigned i = 0; i < depth; i++)
			end(burst[i]);
	}
}

/* What really happened, for the test: to the file that PROGRAM_TRUTH names, as one JSON object. */
static inline void tell_truth(void)
{
	const char *path = getenv("PROGRAM_TRUTH");
	char text[200];
	int fd, bytes;

	if (path == NULL)
		return;
	bytes = snprintf(text, sizeof text, "{\"made\":%u,\"deleted\":%u,\"most\":%u,\"pool_size\":%d}\n",
	        atomic_load(&coroutines_made), atomic_load(&coroutines_deleted),
	        atomic_load(&coroutines_most), pool_size);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, bytes) != bytes)
		die("PROGRAM_TRUTH cannot be written");
	close(fd);
}

#endif
