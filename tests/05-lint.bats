#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The rules of the source tree. Each is tried on the tree, and then on a copy that breaks it.

load lib/helper
load lib/lint

setup() {
	root=$BATS_TEST_DIRNAME/..
	copy=$BATS_TEST_TMPDIR/copy
	library=${COPOOL_SO:-$root/build/libcopool.so}
}

# sees LINT FILE LINE: LINT fails on a copy of the tree in which LINE was added to FILE.
sees() {
	rm -rf "$copy"
	mkdir "$copy"
	cp -a "$root"/{shim,tools,tests,Makefile,README.md,LICENSE,.clang-format,.github} "$copy"
	mkdir -p "$copy/$(dirname "$2")"
	printf '%b\n' "$3" >>"$copy/$2"
	run "$1" "$copy"
	echo "$1 with $2 and: $3"
	echo "$output"
	[[ $status -ne 0 && $output == *"${2##*/}"* ]]
}

@test "lint: every C file is formatted as .clang-format says" {
	requires clang-format
	formatter || skip "clang-format is not version 14"
	lint_format "$root"
	sees lint_format shim/config.h 'int  f(void) ;'
}

@test "lint: a comment that begins with text does not end in a line of its own" {
	lint_comment_ends "$root"
	sees lint_comment_ends shim/config.h '/* a comment\n */'
}

@test "lint: a string literal that goes on in the next line fills its own" {
	lint_literals "$root"
	sees lint_literals shim/config.h 'static const char text[] = "one "\n\t"two";'
}

@test "lint: every shell script passes shellcheck" {
	requires shellcheck
	lint_shell "$root"
	# shellcheck disable=SC2016 # to be expanded there
	sees lint_shell tools/bootstrap 'rm $1'
	# shellcheck disable=SC2016
	sees lint_shell tests/10-run.bats '@test "x" { rm $x; }'
}

@test "lint: every header compiles alone with gcc and with clang" {
	requires gcc clang
	lint_headers "$root"
	sees lint_headers shim/lone.h 'size_t f(void);'
}

@test "lint: includes only go down the stairs" {
	lint_includes "$root"
	sees lint_includes shim/pool/pool.c '#include "config.h"'
	sees lint_includes shim/settings.c '#include "config.h"'
	sees lint_includes shim/pool/pool.c '#include "stack/arena.h"'
	sees lint_includes shim/adapter/qemu.c '#include "report/report.h"'
	sees lint_includes shim/report/report.c '#include "adapter/adapter.h"'
	sees lint_includes shim/libc/real.c '#include "pool/pool.h"'
	sees lint_includes shim/adapter/stacks.c '#include "adapter/named.h"'
}

@test "lint: the command's includes only go down its stairs" {
	lint_tool_stairs "$root"
	sees lint_tool_stairs tools/copool/log/book.c '#include "judge/judge.h"'
	sees lint_tool_stairs tools/copool/top/board.c '#include "draw/page.h"'
	sees lint_tool_stairs tools/copool/clean.c '#include "log/book.h"'
}

@test "lint: a file includes its own header first" {
	lint_own_header_first "$root"
	printf '#include <stdio.h>\n#include "pool/late.h"\n' >"$BATS_TEST_TMPDIR/late.c"
	lint_late() {
		cp "$BATS_TEST_TMPDIR/late.c" "$1/shim/pool/late.c"
		lint_own_header_first "$1"
	}
	sees lint_late shim/pool/late.h ''
}

@test "lint: the tools include only the log's format and the list of settings" {
	lint_tools_include "$root"
	sees lint_tools_include tools/copool/main.c '#include "config.h"'
	sees lint_tools_include tools/copool/main.c '#include "pool/pool.h"'
	sees lint_tools_include tools/copool/main.c '#include "settings.c"'
}

@test "lint: every door stays the only one" {
	lint_doors "$root"
	sees lint_doors shim/shim.c 'char *f(void) { return getenv("HOME"); }'
	sees lint_doors shim/adapter/qemu.c 'void *f(void) { return dlsym(0, "f"); }'
	sees lint_doors shim/pool/pool.c 'static __thread int x;'
	sees lint_doors shim/shim.c 'int f(void) { return pthread_create(0, 0, 0, 0); }'
	sees lint_doors shim/adapter/qemu.c '__attribute__((constructor)) void f(void);'
	sees lint_doors shim/pool/pool.c 'int f(void) { return munmap(0, 0); }'
	sees lint_doors shim/pool/pool.c 'void f(void) { real_mprotect(0, 0, 0); }'
	sees lint_doors shim/report/report.c 'void f(void) { abort(); }'
	sees lint_doors shim/report/report.c 'void f(int x) { assert(x); }'
	sees lint_doors shim/adapter/named.c 'static _Atomic int x;'
}

@test "lint: every atomic operation says its order" {
	lint_atomics "$root"
	sees lint_atomics shim/pool/pool.c 'int f(_Atomic int *x) { return atomic_load(x); }'
	sees lint_atomics shim/pool/pool.c 'int f(_Atomic int *x) { return atomic_fetch_add(x, 1); }'
}

@test "lint: every word with an order is in a model, or tests/model/README.md says why not" {
	lint_modelled "$root"
	sees lint_modelled tests/model/README.md '| [depot.unheard_of] | depot.pml |'
	printf '\t/* [pool.secret] acquire: a word that nobody accounts for */\n' >"$BATS_TEST_TMPDIR/late.c"
	lint_secret() {
		cat "$BATS_TEST_TMPDIR/late.c" >>"$1/shim/pool/pool.c"
		lint_modelled "$1"
	}
	sees lint_secret tests/model/README.md ''
}

@test "lint: no memory is writable and executable at once" {
	lint_write_xor_execute "$root"
	sees lint_write_xor_execute shim/patch/patch.c \
		'void f(void *x) { real_mprotect(x, 1,\n\tPROT_READ | PROT_WRITE | PROT_EXEC); }'
}

@test "lint: pool, stack and patch know no program by name" {
	lint_names_no_program "$root"
	sees lint_names_no_program shim/pool/pool.c '/* as in QEMU */'
}

@test "lint: files and functions keep to their sizes" {
	lint_lengths "$root"
	sees lint_lengths shim/pool/pool.c "$(yes '/* */' | head -n 500)"
	sees lint_lengths shim/pool/pool.c "void f(void)\n{\n$(yes '/* */' | head -n 61)\n}"
}

@test "lint: every file names its licence" {
	lint_licences "$root"
	sees lint_licences shim/unlicensed.c 'int x;'
}

@test "lint: no file is called common, util or internal" {
	lint_file_names "$root"
	sees lint_file_names shim/pool/util.c 'int x;'
}

@test "lint: the Makefile lists all that can be built or run" {
	lint_listed "$root"
	sees lint_listed shim/pool/another.c 'int x;'
	sees lint_listed tests/99-another.bats '@test "x" { true; }'
}

@test "lint: every test that tests/README.md names exists" {
	lint_named_tests "$root"
	(($(grep -cE '^\|.*\| ([0-9]{2}|unit:) ' "$root/tests/README.md") > 60))
	sees lint_named_tests tests/README.md '| dies twice | 31 program: it may die twice |'
	sees lint_named_tests tests/README.md '| dies twice | unit: death_test |'
	lint_unmapped() {
		mv "$1/tests/10-run.bats" "$1/tests/10-walk.bats"
		lint_named_tests "$1"
	}
	sees lint_unmapped tests/README.md ''
}

@test "lint: what README and the other documents link to, and what those about the source name, exists" {
	lint_documents "$root"
	# shellcheck disable=SC2016 # backquotes of the documents
	{
		sees lint_documents README.md '[a page](tools/nowhere.md)'
		sees lint_documents shim/README.md 'see `pool/nowhere.c`'
		sees lint_documents .github/CONTRIBUTING.md 'see `shim/nowhere.c`'
		sees lint_documents tests/README.md 'see `lib/nowhere.bash`'
		sees lint_documents shim/README.md 'a miss is decided in `no_such_function()`'
	}
}

@test "lint: README's picture is what its script draws of its figures" {
	requires python3
	diff "$root/tools/effect.svg" <("$root/tools/effect")
}

@test "lint: the manual pages have no mistakes" {
	requires mandoc
	lint_manuals "$root"
	sees lint_manuals tools/man/copool.1 '.Xyzzy'
}

@test "lint: the library needs libc alone" {
	requires readelf
	lint_needed "$library"
	echo 'double log(double); double f(double x); double f(double x) { return log(x); }' >"$BATS_TEST_TMPDIR/x.c"
	gcc -shared -fPIC -Wl,--no-as-needed -o "$BATS_TEST_TMPDIR/x.so" "$BATS_TEST_TMPDIR/x.c" -lm
	run lint_needed "$BATS_TEST_TMPDIR/x.so"
	[[ $status -ne 0 && $output == libm.so.6 ]]
}

@test "lint: the library exports what the table of hooked functions lists, and nothing else" {
	requires nm
	local map=${library%/*}/exports.map
	lint_exports "$library" "$map"
	printf '{\n\tglobal:\n\t\tmissing;\n\tlocal:\n\t\t*;\n};\n' >"$BATS_TEST_TMPDIR/map"
	run lint_exports "$library" "$BATS_TEST_TMPDIR/map"
	[[ $status -ne 0 && $output == *"< missing"* ]]
	echo 'int extra; int f(void) { return extra; }' >"$BATS_TEST_TMPDIR/x.c"
	gcc -shared -fPIC -o "$BATS_TEST_TMPDIR/x.so" "$BATS_TEST_TMPDIR/x.c"
	run lint_exports "$BATS_TEST_TMPDIR/x.so" "$map"
	[[ $status -ne 0 && $output == *"> extra"* ]]
}

@test "lint: the library has no executable stack, no text relocations, and is read-only after the start" {
	requires readelf
	lint_hardened "$library"
	echo 'int x;' >"$BATS_TEST_TMPDIR/x.c"
	gcc -shared -fPIC -Wl,-z,execstack,-z,norelro,-z,lazy -o "$BATS_TEST_TMPDIR/x.so" "$BATS_TEST_TMPDIR/x.c"
	run lint_hardened "$BATS_TEST_TMPDIR/x.so"
	[[ $status -ne 0 && $output == *GNU_STACK* && $output == *"no RELRO"* && $output == *"not bound"* ]]
}
