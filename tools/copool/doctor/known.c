/* SPDX-License-Identifier: MIT */
#include "doctor/known.h"

#include <string.h>

#include "process/places.h"

#define D_ALLOCATE "_D4core6thread5fiber5Fiber10allocStackMFNbmmZv"

static const struct {
	const char *function, *of;
} known[] = {
        {"qemu_coroutine_new", "QEMU's coroutines"},
        {"zend_fiber_init_context", "PHP's fibers"},
        {D_ALLOCATE, "D's fibers"},
        {"coro_stack_alloc", "coroutines of perl's Coro"},
        {"qemu_alloc_stack", "QEMU's coroutines"},
        {"_ZN7sc_core13sc_cor_pkg_qt6createEmPFvPvES1_", "SystemC's threads"},
        {"pdns_ffi_param_get_qname", "the PowerDNS recursor's threads"},
};

enum { KNOWN = sizeof known / sizeof *known };

const char *known_in(const struct elf_file *image)
{
	uint64_t value;

	for (size_t i = 0; i < KNOWN; i++) {
		if (image_has(image, known[i].function, true, &value))
			return known[i].of;
	}
	return NULL;
}

int known_in_process(pid_t pid, const char **of)
{
	struct place place[KNOWN] = {0};
	int error;

	*of = NULL;
	for (size_t i = 0; i < KNOWN; i++)
		place[i].function = known[i].function;
	error = places_find(pid, place, KNOWN);
	for (size_t i = 0; i < KNOWN && error == 0 && *of == NULL; i++) {
		if (place[i].is_found)
			*of = known[i].of;
	}
	return error;
}

const char *known_hint(const char *name, const struct elf_file *image, const char **code)
{
	static const struct {
		const char *name, *code, *hint;
	} names[] = {
	        {"ruby", "own_pool", "Ruby pools its fibers itself"},
	        {"python", "later", "python's greenlet is pooled with COPOOL_STACK_SIZE=16384"},
	        {"perl", "later", "perl's Coro is pooled by itself once a script loads it"},
	        {"apache2", "later", "PHP's fibers are pooled by themselves once Apache loads mod_php"},
	        {"httpd", "later", "PHP's fibers are pooled by themselves once Apache loads mod_php"},
	};
	static const char *const switching[] = {
	        "swapcontext", "makecontext", "make_fcontext", "jump_fcontext"};
	uint64_t value;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strncmp(name, names[i].name, strlen(names[i].name)) != 0)
			continue;
		*code = names[i].code;
		return names[i].hint;
	}
	if (image_lists(image, D_ALLOCATE)) {
		*code = "static";
		return "it has D's fibers, of a run-time library that is linked statically: COPOOL_HOST=stacks pools "
		       "their stacks";
	}
	*code = "contexts";
	for (size_t i = 0; i < sizeof switching / sizeof *switching; i++) {
		if (image_has(image, switching[i], false, &value))
			return "it switches contexts itself; COPOOL_LEARN=1 pools their stacks if it maps them with a "
			       "guard page";
	}
	return NULL;
}
