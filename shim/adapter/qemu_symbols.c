/* SPDX-License-Identifier: MIT */
/* The names, and where they may be. */
#include "adapter/qemu_symbols.h"

#include "system/self.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* QEMU's emulators of user programs are not in the list: they map what those programs ask for. */
bool qemu_is_called_so(void)
{
	static const char *const beginnings[] = {
	        "qemu-system-", "qemu-kvm", "qemu-img", "qemu-io", "qemu-nbd", "qemu-storage-daemon"};
	const char *name = self_name();

	for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
		if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	}
	return strcmp(name, "kvm") == 0;
}

static bool has_functions(struct symbols *tables, bool may_open_files)
{
	struct symbol symbol;

	if (symbols_find(tables, "qemu_coroutine_new", ELF_FUNCTION, &symbol) == 0)
		return true;
	return may_open_files && symbols_open_files(tables, SYMBOLS_DEBUG_ROOT) == 0 &&
	       symbols_find(tables, "qemu_coroutine_new", ELF_FUNCTION, &symbol) == 0;
}

bool qemu_symbols_open(struct qemu_symbols *symbols, bool is_insisted)
{
	bool is_called_so = qemu_is_called_so();

	if (symbols->is_open)
		return true;
	symbols->is_open = symbols_open(&symbols->tables) == 0;
	if (symbols->is_open &&
	        (has_functions(&symbols->tables, is_called_so || is_insisted) || is_called_so))
		return true;
	qemu_symbols_close(symbols);
	return false;
}

bool qemu_symbols_find(struct qemu_symbols *symbols)
{
	const struct {
		const char *name;
		enum elf_kind kind;
		struct symbol *found;
		bool is_needed;
	} wanted[] = {
	        {"qemu_coroutine_new", ELF_FUNCTION, &symbols->new, true},
	        {"qemu_coroutine_delete", ELF_FUNCTION, &symbols->delete, true},
	        {"qemu_coroutine_create", ELF_FUNCTION, &symbols->create, true},
	        {"qemu_aio_coroutine_enter", ELF_FUNCTION, &symbols->enter, true},
	        {"qemu_coroutine_switch", ELF_FUNCTION, &symbols->switching, true},
	        {"qemu_alloc_stack", ELF_FUNCTION, &symbols->alloc_stack, false},
	        {"qemu_coroutine_dec_pool_size", ELF_FUNCTION, &symbols->dec_pool_size, false},
	        {"_TRACE_QEMU_COROUTINE_TERMINATE_DSTATE", ELF_DATA, &symbols->traced, false},
	};
	bool has_all = symbols->is_open;

	for (size_t i = 0; symbols->is_open && i < sizeof wanted / sizeof *wanted; i++) {
		if (symbols_find(&symbols->tables, wanted[i].name, wanted[i].kind, wanted[i].found) == 0)
			continue;
		wanted[i].found->address = NULL;
		has_all &= !wanted[i].is_needed;
	}
	return has_all;
}

void qemu_symbols_close(struct qemu_symbols *symbols)
{
	if (symbols->is_open)
		symbols_close(&symbols->tables);
	symbols->is_open = false;
}
