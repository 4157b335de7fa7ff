#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The worked example of .github/CONTRIBUTING.md: an adapter for one program, built into a copy of the library by the three
# steps that are described there.

load lib/helper

FILTER='s/^boxes .*//' # how often its own functions ran: what pooling changes

setup() {
	requires make cc
	requires_program named
	copy=$BATS_TEST_TMPDIR/copy
	mkdir -p "$copy/build"
	cp -a "$TESTS"/../{shim,Makefile} "$copy"
	# What is built already is not built again.
	cp -a "$COPOOL_BUILD"/{flags,shim} "$copy/build" || lacks "the library is not built (make)"
}

# build_copy: the library with the adapter in it, where the three steps have been taken.
build_copy() {
	local root=$copy/shim
	cp "$TESTS/example/adapter.c" "$root/adapter/example.c"
	sed -i 's|adapter/named\.c|& adapter/example.c|' "$copy/Makefile"
	sed -i 's/^extern const struct adapter /&adapter_example, /' "$root/adapter/adapter.h"
	sed -i 's/^.*&adapter_named},/\t{~0u, \&adapter_example},\n&/' "$root/shim.c"
	grep -c adapter_example "$root"/{shim.c,adapter/adapter.h}
	run env -u MAKEFLAGS -u LD_PRELOAD make -C "$copy" build/libcopool.so
	echo "$output"
	[[ $status -eq 0 && $output == *example.o* && $output != *warning:* ]]
	COPOOL_SO=$copy/build/libcopool.so
}

@test "example: the adapter of CONTRIBUTING.md pools what its program creates, and its output stays the same" {
	build_copy
	same_twin "$PROGRAMS/named" plain 1000
	[[ $(log_open host) == example && $(log_open mode) == pool ]]
	[[ $output == *"boxes 100 "* ]]
	[[ $(log_final create_new box) -eq 100 && $(log_final create_local box) -gt 90000 ]]
	check_balance
}

@test "example: it leaves other programs to the other adapters" {
	build_copy
	cp "$PROGRAMS/named" "$BATS_TEST_TMPDIR/boxes"
	same_twin COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop "$BATS_TEST_TMPDIR/boxes" plain 10
	[[ $(log_open host) == named ]]
}
