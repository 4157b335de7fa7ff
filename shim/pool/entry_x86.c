/* SPDX-License-Identifier: MIT */
/*
 * Composes the code of instructions that differ only in their offsets. In all of it:
 *
 *	%rdx	this thread's block, from thread_self
 *	%rcx	the cache's `top`, as cache_close() found it
 *
 * If the cache cannot serve, the code for an entry ends in a jump (a tail call) to the caller's slow path, with the cache
 * and its `top` as arguments. The code for the middle of a function calls pool_put_slow() on a stack that it aligns. It
 * preserves all general registers, but no vector registers: it must not be used where the function needs one. Only call,
 * ret and jmp change the flow of control, so a shadow stack stays in step.
 */
#include "pool/entry.h"

#include "pool/fast_path.h"

#include <string.h>

#ifdef OWNER_WORD_BY_ATOMIC
enum { HAS_FAST_PATH = false };
#else
enum { HAS_FAST_PATH = true };
#endif

/* An instruction: its bytes, and what they end with. */
struct writer {
	uint8_t *at;
	int32_t self;  /* of thread_self, from where the processor's %fs points */
	int32_t cache; /* of the pool's cache, in a thread's block */
};

static void put_bytes(struct writer *writer, const void *bytes, size_t count)
{
	memcpy(writer->at, bytes, count);
	writer->at += count;
}

#define PUT(writer, ...)                                                                                     \
	do {                                                                                                 \
		static const uint8_t bytes[] = {__VA_ARGS__};                                                \
		put_bytes(writer, bytes, sizeof bytes);                                                      \
	} while (0)

static void put_offset(struct writer *writer, size_t field)
{
	int32_t offset = writer->cache + (int32_t)field;

	put_bytes(writer, &offset, sizeof offset);
}

/* Closes the cache: cache_close(). */
static void put_close(struct writer *writer)
{
	PUT(writer, 0x64, 0x48, 0x8b, 0x14, 0x25); /* mov %fs:self, %rdx */
	put_bytes(writer, &writer->self, sizeof writer->self);
	PUT(writer, 0x48, 0xc7, 0xc1, (uint8_t)-CACHE_BUSY, 0xff, 0xff, 0xff); /* mov $-CACHE_BUSY, %rcx */
	PUT(writer, 0x48, 0x0f, 0xc1, 0x8a);                                   /* xadd %rcx, top(%rdx) */
	put_offset(writer, offsetof(struct cache, top));
}

/* A conditional jump; land() sets its target. */
static uint8_t *put_branch(struct writer *writer, uint8_t condition)
{
	uint8_t *branch = writer->at;

	*writer->at++ = condition;
	*writer->at++ = 0;
	return branch;
}

static void land(struct writer *writer, uint8_t *branch)
{
	branch[1] = (uint8_t)(writer->at - (branch + 2));
}

static void put_count(struct writer *writer, size_t counter)
{
	PUT(writer, 0x48, 0x83, 0x82); /* addq $1, counter(%rdx) */
	put_offset(writer, counter);
	PUT(writer, 1);
}

/* Opens the cache: cache_open(). On this processor every store is a release. */
static void put_open(struct writer *writer)
{
	PUT(writer, 0x48, 0x89, 0x8a); /* mov %rcx, top(%rdx) */
	put_offset(writer, offsetof(struct cache, top));
}

static void put_return(struct writer *writer)
{
	PUT(writer, 0xc3); /* ret */
}

static void put_cache(struct writer *writer)
{
	PUT(writer, 0x48, 0x8d, 0xb2); /* lea cache(%rdx), %rsi */
	put_offset(writer, 0);
}

static void put_pool(struct writer *writer, const struct pool *pool)
{
	PUT(writer, 0x48, 0xbf); /* movabs $pool, %rdi */
	put_bytes(writer, &pool, sizeof pool);
}

static void put_jump(struct writer *writer, const void *to)
{
	PUT(writer, 0xff, 0x25, 0, 0, 0, 0); /* jmp *0(%rip) */
	put_bytes(writer, &to, sizeof to);
}

/* Finds where everything is. Returns false if there is no fast path: with ThreadSanitizer, or if %fs cannot reach. */
static bool start(struct writer *writer, uint8_t *code, unsigned index)
{
	const char *thread_pointer;
	intptr_t self;

	__asm__("mov %%fs:0, %0" : "=r"(thread_pointer));
	self = (const char *)&thread_self - thread_pointer;
	*writer = (struct writer){.at = code, .self = (int32_t)self};
	writer->cache = (int32_t)(offsetof(struct thread, cache) + index * sizeof(struct cache));
	return HAS_FAST_PATH && self == writer->self;
}

/* Takes an object from the cache into %rax. Returns the branch for an empty or closed cache. */
static uint8_t *put_take(struct writer *writer)
{
	uint8_t *empty;

	put_close(writer);
	PUT(writer, 0x48, 0xff, 0xc9);       /* dec %rcx */
	empty = put_branch(writer, 0x78);    /* js: closed already, or empty */
	PUT(writer, 0x48, 0x8b, 0x84, 0xca); /* mov slot(%rdx,%rcx,8), %rax */
	put_offset(writer, offsetof(struct cache, slot));
	put_open(writer);
	put_count(writer, offsetof(struct cache, counters.taken));
	return empty;
}

/* Puts the object in register number `object` into the cache. Returns the branch for a full or closed cache. */
static uint8_t *put_keep(struct writer *writer, unsigned object)
{
	uint8_t store[] = {0x48 | (object >> 3) << 2, 0x89, 0x84 | (object & 7) << 3, 0xca};
	uint8_t *full;

	put_close(writer);
	PUT(writer, 0x48, 0x83, 0xf9, CACHE_SLOTS - 1); /* cmp $CACHE_SLOTS - 1, %rcx */
	full = put_branch(writer, 0x77);                /* ja: full, or closed already */
	put_bytes(writer, store, sizeof store);         /* mov %object, slot(%rdx,%rcx,8) */
	put_offset(writer, offsetof(struct cache, slot));
	PUT(writer, 0x48, 0xff, 0xc1); /* inc %rcx */
	put_open(writer);
	return full;
}

size_t entry_get(uint8_t code[ENTRY_CODE_BYTES], unsigned index, const struct entry_arming *arming)
{
	struct writer writer;
	uint8_t *empty;

	if (!start(&writer, code, index))
		return 0;
	empty = put_take(&writer);
	if (arming->bytes > 0)
		put_bytes(&writer, arming->code, arming->bytes);
	put_return(&writer);
	land(&writer, empty);
	PUT(&writer, 0x48, 0xff, 0xc1); /* inc %rcx: `top` as found */
	PUT(&writer, 0x48, 0x8d, 0x92); /* lea cache(%rdx), %rdx */
	put_offset(&writer, 0);
	put_jump(&writer, arming->slow);
	return writer.at - code;
}

/* Room for a jmp that the caller writes. Returns its offset. */
static size_t put_exit(struct writer *writer, const uint8_t *code)
{
	size_t offset = writer->at - code;

	PUT(writer, 0xe9, 0, 0, 0, 0);
	return offset;
}

/* For the slow path, where there is no fast path. */
static void put_any(struct pool *pool, struct cache *unused, void *object, int64_t none)
{
	(void)unused, (void)none;
	pool_put(pool, pool->index, object);
}

size_t entry_put(uint8_t code[ENTRY_CODE_BYTES], struct pool *pool, unsigned index,
        const struct entry_place *place, size_t exit[ENTRY_EXITS], size_t *exits)
{
	void (*slow)(struct pool *, struct cache *, void *, int64_t) = pool_put_slow;
	uint8_t move[] = {0x48 | (place->object >> 3) << 2, 0x89, 0xc2 | (place->object & 7) << 3};
	struct writer writer;
	uint8_t *full, *called;
	bool is_fast = start(&writer, code, index);

	*exits = 0;
	put_bytes(&writer, place->first, place->first_bytes);
	PUT(&writer, 0x51, 0x52); /* push %rcx; push %rdx */
	if (is_fast) {
		full = put_keep(&writer, place->object);
		PUT(&writer, 0x5a, 0x59); /* pop %rdx; pop %rcx */
		exit[(*exits)++] = put_exit(&writer, code);
		land(&writer, full);
	} else {
		slow = put_any;
	}
	PUT(&writer, 0x50, 0x56, 0x57);                               /* push %rax; push %rsi; push %rdi */
	PUT(&writer, 0x41, 0x50, 0x41, 0x51, 0x41, 0x52, 0x41, 0x53); /* push %r8 … push %r11 */
	put_cache(&writer);
	put_bytes(&writer, move, sizeof move); /* mov %object, %rdx */
	PUT(&writer, 0x55, 0x48, 0x89, 0xe5);  /* push %rbp; mov %rsp, %rbp */
	PUT(&writer, 0x48, 0x83, 0xe4, 0xf0);  /* and $-16, %rsp */
	put_pool(&writer, pool);
	PUT(&writer, 0xff, 0x15, 0, 0, 0, 0); /* call *slow(%rip) */
	called = writer.at;
	PUT(&writer, 0x48, 0x89, 0xec, 0x5d);                         /* mov %rbp, %rsp; pop %rbp */
	PUT(&writer, 0x41, 0x5b, 0x41, 0x5a, 0x41, 0x59, 0x41, 0x58); /* pop %r11 … pop %r8 */
	PUT(&writer, 0x5f, 0x5e, 0x58, 0x5a, 0x59);                   /* pop %rdi, %rsi, %rax, %rdx, %rcx */
	exit[(*exits)++] = put_exit(&writer, code);
	called[-4] = (uint8_t)(writer.at - called);
	put_bytes(&writer, &slow, sizeof slow);
	return writer.at - code;
}
