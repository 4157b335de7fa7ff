/*
 * Puts the code together from instructions of which only the offsets differ. In all of it:
 *
 *	%rdx	this thread's block, from thread_self
 *	%rcx	the cache's `top`, as cache_close() found it
 *
 * Both end in a jump to pool_get_slow() or pool_put_slow() when the cache cannot serve, with it as the second
 * argument, so they are tail calls of the function whose entry they stand for.
 */
#include "pool/front.h"

#include <string.h>

#ifdef SINGLE_BY_ATOMIC

size_t front_get(uint8_t code[FRONT_BYTES], struct pool *pool, unsigned index)
{
	(void)code, (void)pool, (void)index;
	return 0;
}

size_t front_put(uint8_t code[FRONT_BYTES], struct pool *pool, unsigned index)
{
	(void)code, (void)pool, (void)index;
	return 0;
}

#else

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

/* A conditional jump, of which land() says where it goes. */
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

/* Opens the cache: cache_open(). On this processor every store releases what is before it. */
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

static void put_slow(struct writer *writer, const struct pool *pool, const void *slow)
{
	PUT(writer, 0x48, 0xbf); /* movabs $pool, %rdi */
	put_bytes(writer, &pool, sizeof pool);
	PUT(writer, 0xff, 0x25, 0, 0, 0, 0); /* jmp *0(%rip) */
	put_bytes(writer, &slow, sizeof slow);
}

/* Where everything is; false when %fs cannot reach that far. */
static bool start(struct writer *writer, uint8_t *code, unsigned index)
{
	const char *thread_pointer;
	intptr_t self;

	__asm__("mov %%fs:0, %0" : "=r"(thread_pointer));
	self = (const char *)&thread_self - thread_pointer;
	*writer = (struct writer){.at = code, .self = (int32_t)self};
	writer->cache = (int32_t)(offsetof(struct thread, cache) + index * sizeof(struct cache));
	return self == writer->self;
}

size_t front_get(uint8_t code[FRONT_BYTES], struct pool *pool, unsigned index)
{
	void *(*const slow)(struct pool *, struct cache *) = pool_get_slow;
	struct writer writer;
	uint8_t *empty;

	if (!start(&writer, code, index))
		return 0;
	put_close(&writer);
	PUT(&writer, 0x48, 0xff, 0xc9);       /* dec %rcx */
	empty = put_branch(&writer, 0x78);    /* js: closed already, or empty */
	PUT(&writer, 0x48, 0x8b, 0x84, 0xca); /* mov slot(%rdx,%rcx,8), %rax */
	put_offset(&writer, offsetof(struct cache, slot));
	put_open(&writer);
	put_count(&writer, offsetof(struct cache, counters.taken));
	put_return(&writer);
	land(&writer, empty);
	put_cache(&writer);
	put_slow(&writer, pool, (const void *)slow);
	return writer.at - code;
}

size_t front_put(uint8_t code[FRONT_BYTES], struct pool *pool, unsigned index)
{
	void (*const slow)(struct pool *, struct cache *, void *) = pool_put_slow;
	struct writer writer;
	uint8_t *full;

	if (!start(&writer, code, index))
		return 0;
	put_close(&writer);
	PUT(&writer, 0x48, 0x83, 0xf9, CACHE_SLOTS - 1); /* cmp $CACHE_SLOTS - 1, %rcx */
	full = put_branch(&writer, 0x77);                /* ja: full, or closed already */
	PUT(&writer, 0x48, 0x89, 0xbc, 0xca);            /* mov %rdi, slot(%rdx,%rcx,8) */
	put_offset(&writer, offsetof(struct cache, slot));
	PUT(&writer, 0x48, 0xff, 0xc1); /* inc %rcx */
	put_open(&writer);
	put_return(&writer);
	land(&writer, full);
	put_cache(&writer);
	PUT(&writer, 0x48, 0x89, 0xfa); /* mov %rdi, %rdx */
	put_slow(&writer, pool, (const void *)slow);
	return writer.at - code;
}

#endif
