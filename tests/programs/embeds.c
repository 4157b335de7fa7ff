/* SPDX-License-Identifier: MIT */
/*
 * A program that runs a PHP script by PHP's library, which it loads when it comes to that: `embeds LIBRARY SCRIPT`. Two
 * rounds of each, the second after PHP has been shut down.
 */
#include <dlfcn.h>
#include <stdio.h>

enum { ROUNDS = 2 };

int main(int count, char **words)
{
	void *library = count == 3 ? dlopen(words[1], RTLD_NOW | RTLD_GLOBAL) : NULL;
	int (*begin)(int, char **), (*run)(const char *, void *, const char *);
	void (*end)(void);

	if (library == NULL) {
		fprintf(stderr, "%s\n", count == 3 ? dlerror() : "embeds LIBRARY SCRIPT");
		return 2;
	}
	*(void **)&begin = dlsym(library, "php_embed_init");
	*(void **)&run = dlsym(library, "zend_eval_string");
	*(void **)&end = dlsym(library, "php_embed_shutdown");
	if (begin == NULL || run == NULL || end == NULL)
		return 2;
	for (int round = 0; round < ROUNDS; round++) {
		if (begin(1, words) != 0 || run(words[2], NULL, "script") != 0)
			return 1;
		end();
	}
	return 0;
}
