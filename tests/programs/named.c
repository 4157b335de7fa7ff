/* SPDX-License-Identifier: MIT */
/*
 * A program with handles: each create counts and each object knows the arguments that it was made with.
 *
 *	named plain ROUNDS	box_make() and box_drop()
 *	named sized ROUNDS	block_make(size, kind) with changing arguments, and block_drop()
 *	named foreign ROUNDS	objects that another function made, destroyed by box_drop()
 *	named numbers ROUNDS	handles that are no addresses: number_make() and number_drop()
 *	named many ROUNDS	block_make(size, 0) with ever other sizes, and block_drop()
 *	named leaf ROUNDS	token_make() and token_drop(), which call nothing
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APART __attribute__((noinline, noclone))
#define ALONE __attribute__((noipa)) /* its caller relies on nothing but how functions are called */

struct box {
	unsigned long number;
	char rest[120];
};

struct block {
	size_t bytes;
	int kind;
	char rest[];
};

enum { TOKENS = 100 };

struct token {
	struct token *next;
	unsigned long number;
};

static struct token tokens[TOKENS], *idle_tokens;
static unsigned long boxes_made, boxes_dropped, blocks_made, blocks_dropped, wrong;

struct box *box_make(void);
void box_drop(struct box *box);
struct box *box_make_elsewhere(void);
struct block *block_make(size_t bytes, int kind);
uint64_t number_make(void);
void number_drop(uint64_t number);
void block_drop(struct block *block);
struct token *token_make(void);
void token_drop(struct token *token);

APART struct box *box_make(void)
{
	struct box *box = calloc(1, sizeof *box);

	box->number = ++boxes_made;
	return box;
}

APART struct box *box_make_elsewhere(void)
{
	struct box *box = malloc(sizeof *box);

	box->number = 0;
	return box;
}

APART void box_drop(struct box *box)
{
	if (box == NULL)
		return;
	boxes_dropped++;
	free(box);
}

APART struct block *block_make(size_t bytes, int kind)
{
	struct block *block = malloc(sizeof *block + bytes);

	blocks_made++;
	block->bytes = bytes;
	block->kind = kind;
	return block;
}

APART void block_drop(struct block *block)
{
	blocks_dropped++;
	free(block);
}

/* The lowest, and those above all addresses. Like other functions that create, these can call others. */
APART uint64_t number_make(void)
{
	if (++boxes_made == 0)
		perror("too many");
	return boxes_made == 1 ? 1 : ((uint64_t)1 << 60) + boxes_made * 16;
}

APART void number_drop(uint64_t number)
{
	if (number == 0)
		perror("no number");
	boxes_dropped += number != 0;
}

ALONE struct token *token_make(void)
{
	struct token *token = idle_tokens;

	if (token == NULL)
		return &tokens[boxes_made++ % TOKENS];
	idle_tokens = token->next;
	return token;
}

ALONE void token_drop(struct token *token)
{
	token->next = idle_tokens;
	idle_tokens = token;
	boxes_dropped++;
}

static void run_plain(unsigned long rounds)
{
	struct box *held[100];

	for (unsigned long i = 0; i < rounds; i++) {
		for (unsigned k = 0; k < 100; k++)
			held[k] = box_make();
		for (unsigned k = 0; k < 100; k++)
			memset(held[k]->rest, (int)k, sizeof held[k]->rest);
		for (unsigned k = 0; k < 100; k++)
			box_drop(held[k]);
		box_drop(NULL);
	}
}

static void run_sized(unsigned long rounds)
{
	for (unsigned long i = 0; i < rounds; i++) {
		size_t bytes = 16 << i % 7;
		int kind = (int)(i % 5);
		struct block *block = block_make(bytes, kind);

		wrong += block->bytes != bytes || block->kind != kind;
		memset(block->rest, 1, bytes);
		block_drop(block);
	}
}

static void run_foreign(unsigned long rounds)
{
	for (unsigned long i = 0; i < rounds; i++) {
		box_drop(box_make_elsewhere());
		box_drop(box_make());
	}
}

static void run_numbers(unsigned long rounds)
{
	for (unsigned long i = 0; i < rounds; i++)
		number_drop(number_make());
	wrong = boxes_made - boxes_dropped;
}

static void run_many(unsigned long rounds)
{
	for (unsigned long i = 0; i < rounds; i++)
		block_drop(block_make(i, 0));
}

/* So many values live over the calls that registers must hold some which a call may change. */
static APART unsigned long use_tokens(
        unsigned long a, unsigned long b, unsigned long c, unsigned long d, double e)
{
	struct token *first = token_make(), *second = token_make();

	first->number = a;
	second->number = b;
	token_drop(second);
	token_drop(first);
	return a + 2 * b + 3 * c + 4 * d + (unsigned long)e;
}

static void run_leaf(unsigned long rounds)
{
	for (unsigned long i = 0; i < rounds; i++)
		wrong += use_tokens(i, i + 1, i + 2, i + 3, (double)i) != 11 * i + 20;
}

int main(int count, char **argument)
{
	unsigned long rounds = count > 2 ? strtoul(argument[2], NULL, 10) : 0;

	if (count > 1 && strcmp(argument[1], "plain") == 0)
		run_plain(rounds);
	else if (count > 1 && strcmp(argument[1], "sized") == 0)
		run_sized(rounds);
	else if (count > 1 && strcmp(argument[1], "foreign") == 0)
		run_foreign(rounds);
	else if (count > 1 && strcmp(argument[1], "numbers") == 0)
		run_numbers(rounds);
	else if (count > 1 && strcmp(argument[1], "many") == 0)
		run_many(rounds);
	else if (count > 1 && strcmp(argument[1], "leaf") == 0)
		run_leaf(rounds);
	else
		return 2;
	printf("wrong %lu\n", wrong);
	fprintf(stderr, "boxes %lu %lu blocks %lu %lu\n", boxes_made, boxes_dropped, blocks_made,
	        blocks_dropped);
	return wrong != 0;
}
