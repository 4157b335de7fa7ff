#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Another processor: the library, the command and the unit tests compiled for aarch64, and unmodified arm64 programs of
# Debian under the library, run by qemu-user. It has that processor's instructions and none of the reordering that a real
# one may do: an x86 host keeps its own order. It has no guards by madvise, no userfaultfd, no ptrace and no seccomp.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2016 # what is in single quotes is for the program to expand
# shellcheck disable=SC2034 # FILTER is read by arm_twin
# shellcheck disable=SC2154 # lib/aarch64 sets $arm_root

load lib/helper
load lib/packages
load lib/php
load lib/aarch64

setup() {
	requires jq
	root=$BATS_TEST_DIRNAME/..
	cd "$BATS_TEST_TMPDIR" || return
	export COPOOL_TEST_ROUNDS=20000
}

# served POOL-WORD: how many creates of such a pool were hits.
served() {
	jq -n --arg word "$1" '[inputs | select(.type == "final" and (.pool | contains($word)))
		| .create_local + .create_depot] | add // 0' "$LOG"
}

# Both commands, that of this machine and that for aarch64, read what such a program has written.
log_can_be_read() { # WORD...: of what they say
	local word
	check_log
	check_balance
	run_stock "$COPOOL" show "$LOG"
	[[ $status -eq 0 ]] || return
	for word; do
		[[ $output == *"$word"* ]] || return
	done
	cp "$LOG" copied
	run_stock "$COPOOL" show --json copied
	local here=$output
	arm "$ARM_BUILD/copool" show --json copied
	[[ $status -eq 0 ]] && diff <(jq -S . <<<"$here") <(jq -S . <<<"$output")
}

requires_full() {
	[[ ${COPOOL_TEST_FULL-} == 1 ]] || skip "arm64 packages are fetched: only in make check-full"
}

# ---- what is compiled ----

# Without what needs headers of arm64 packages. In make check nothing is run: make check-full runs every unit test.
@test "aarch64: the library compiles without a warning" {
	local sources flags
	requires aarch64-linux-gnu-gcc
	[[ -e /usr/aarch64-linux-gnu/include/stdio.h ]] || lacks "the package libc6-dev-arm64-cross is not installed"
	mapfile -t sources < <(shim_for_arm | grep -v /unwind.c)
	((${#sources[@]} > 100))
	flags=(-std=gnu11 -Wall -Wextra -Wshadow -Wundef -Werror -D_GNU_SOURCE -DCOPOOL_VERSION='"0"' -DCOPOOL_COMMIT='""' -I"$root/shim")
	aarch64-linux-gnu-gcc "${flags[@]}" -fsyntax-only -O2 -fPIC "${sources[@]}"
}

@test "aarch64: the library, the command, the unit tests and the programs compile without a warning" {
	requires_full
	requires_arm_build
	run -0 aarch64-linux-gnu-readelf -hlW "$ARM_SO" "$ARM_BUILD/copool"
	[[ $(grep -c 'Machine: *AArch64' <<<"$output") -eq 2 ]]
	# The largest pages that a kernel may have.
	run ! grep -E '^ *LOAD .* 0x(1000|4000)$' <<<"$output"
	run -0 aarch64-linux-gnu-readelf -dW "$ARM_SO"
	# The loader has the stack protector's word.
	run ! grep '(NEEDED)' <(grep -v -e '\[libc.so.6\]' -e '\[ld-linux-aarch64.so.1\]' <<<"$output")
	diff <(exported) <(exported "$ARM_BUILD/exports.map")
}

@test "aarch64: clang compiles them too" {
	requires_full
	requires clang
	requires_arm_12
	make --no-print-directory -C "$root" WERROR=1 CC="clang --target=aarch64-linux-gnu --sysroot=$arm_root" \
		BUILD="$ARM_BUILD/clang" all unit
}

# What these unit tests ask for and qemu-user 7.2 has not, or does otherwise: patterns of their lines.
NOT_IN_QEMU=(
	'arena: (of a limit on address space it takes an eighth|locked slots are guarded, .*)' # ignores RLIMIT_AS, has no mlockall
	'limits: RLIMIT_AS is read'
	'arena: slots come zeroed also where advice to drop memory does nothing' # has no seccomp
	'guard: (locked memory gets one by mprotect|which kills|there is none where nothing is)' # says 0 to all advice
	'start over: (and its guard|but takes no memory, .*|and would take none either)' # to MADV_POPULATE_WRITE too
	'upper, [a-z]*: .*'
	'mappings: a key that there is not is invalid' # has no protection keys
	'mappings: it leaves no hole'                  # replaces in spite of MAP_FIXED_NOREPLACE
	"origin: a handler's stack goes on with what it interrupted" # returns from signals in a page of no object
)

# unit_test_passes PROGRAM: but for those lines. readers_test takes half a minute of a processor.
unit_test_passes() {
	local pattern
	run timeout --kill-after=5 900 qemu-aarch64 ${arm_root:+-L "$arm_root"} "$1"
	echo "$1: status $status, $(grep -c '^ok' <<<"$output") passed"
	[[ $output == *'ok 1 '* && $output =~ (^|$'\n')1\.\.[0-9] ]] || return
	for pattern in "${NOT_IN_QEMU[@]}"; do
		output=$(sed -E "/^not ok [0-9]+ - $pattern$/d" <<<"$output")
	done
	! grep -A 3 '^not ok' <<<"$output"
}

# report_test is left out: qemu-user dies in its forks (cpu_exec: assertion failed: cpu == current_cpu).
@test "aarch64: the unit tests pass" {
	local program failed=0
	requires_full
	requires_arm_build
	cd "$root" || return
	export COPOOL_TEST_ROUNDS=2000
	for program in "$ARM_BUILD"/unit/*_test; do
		[[ $program == */report_test ]] || unit_test_passes "$program" || failed=1
	done
	((failed == 0))
}

# on_aarch64 FLAGS -- PROGRAM...: these unit tests pass there, linked statically.
on_aarch64() {
	local flags=() program parts
	requires_full
	requires aarch64-linux-gnu-gcc qemu-aarch64
	while [[ $1 != -- ]]; do
		flags+=("$1")
		shift
	done
	shift
	mapfile -t parts < <(shim_for_arm pool libc system tables)
	for program; do
		aarch64-linux-gnu-gcc -static -std=gnu11 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -DCOPOOL_VERSION='"0"' -DCOPOOL_COMMIT='""' \
			"${flags[@]}" -I"$root/shim" -I"$root/tests/unit" -o "$program" "$root/tests/unit/$program.c" \
			"${parts[@]}" -pthread 2>&1 | grep -v 'statically linked applications' || :
		run timeout --kill-after=5 300 qemu-aarch64 "./$program"
		echo "$output" | grep -A 2 '^not ok' || :
		[[ $status -eq 0 && $output == *"ok 1 "* ]]
	done
}

@test "aarch64: with compare-and-swap as load-exclusive and store-exclusive the depot and the pool stand their stress" {
	on_aarch64 -march=armv8-a -mno-outline-atomics -- depot_stress_test pool_stress_test
}

@test "aarch64: with the atomic instructions of ARMv8.1 too" {
	on_aarch64 -march=armv8.1-a -- depot_stress_test pool_stress_test
}

@test "aarch64: and where each atomic operation may be delayed at random" {
	on_aarch64 -include "$root/tests/unit/perturb.h" -- depot_stress_test pool_stress_test pool_fork_test trim_test
}

# Fork changes the depot's word, and then reads which threads are inside: a pop that only acquires would not say so there.
@test "aarch64: a thread that changes a stack's word publishes what it wrote before, also in a pop" {
	local file
	requires_full
	requires aarch64-linux-gnu-gcc aarch64-linux-gnu-objdump
	for file in depot slow_path; do
		aarch64-linux-gnu-gcc -std=gnu11 -O2 -D_GNU_SOURCE -march=armv8.1-a -I"$root/shim" -c -o $file.o "$root/shim/pool/$file.c"
		aarch64-linux-gnu-objdump -d $file.o >$file.s
		grep $'\tcasal\tx' $file.s
		run -1 grep $'\tcasa\tx' $file.s
	done
}

# ---- unmodified programs ----

# php_is_pooled PROGRAM
php_is_pooled() {
	fibers_php
	arm_twin "$1" -n fibers.php
	[[ $status -eq 0 ]]
	[[ $(log_open mode) == pool && $(log_open way) == stacks && $(log_open page_bytes) -eq 4096 ]]
	(($(served php) > 3000))
	log_can_be_read 'stack 2101248 php: Good.'
}

@test "aarch64: PHP 8.2 of Debian 12 does what it did, and its fibers' stacks are pooled" {
	requires_full
	requires_arm_build
	php_is_pooled "$arm_root/usr/bin/php8.2"
}

@test "aarch64: PHP 8.4 of Debian 13, whose return addresses are signed, too" {
	requires_full
	requires_arm_build
	requires_arm_root aarch64-13 trixie base-files php8.4-cli libunwind8 qemu-utils libjansson4 libelf1t64 libncursesw6
	php_is_pooled "$arm_root/usr/bin/php8.4"
}

@test "aarch64: D's fibers do what they did, and their stacks are pooled" {
	requires ldc2
	requires_full
	requires_arm_build
	cat >fiber.d <<-'END'
		import core.thread, core.memory, std.stdio;
		void main() {
			long sum;
			foreach (round; 0 .. 300) {
				auto held = new Fiber[10];
				foreach (i, ref fiber; held) { fiber = new Fiber({ sum += i; Fiber.yield(); sum += round; }); fiber.call(); }
				foreach (ref fiber; held) { fiber.call(); destroy(fiber); }
				if (round % 50 == 0) GC.collect();
			}
			writeln(sum);
		}
	END
	ldc2 -mtriple=aarch64-linux-gnu -c -of=fiber.o fiber.d
	aarch64-linux-gnu-gcc --sysroot="$arm_root" -o fiber fiber.o -lphobos2-ldc-shared -ldruntime-ldc-shared
	arm_twin ./fiber
	[[ $status -eq 0 && $output == 462000 ]]
	(($(served ' d') > 2500))
	log_can_be_read ' d: '
}

@test "aarch64: Boost's fibers, coroutines and contexts do what they did, and their stacks are pooled after 16" {
	requires aarch64-linux-gnu-g++
	requires_full
	requires_arm_build
	aarch64-linux-gnu-g++ --sysroot="$arm_root" -O1 -o lives "$TESTS/boost/lives.cc" -lboost_fiber -lboost_context -pthread
	arm_twin ./lives 300 2
	[[ $status -eq 0 ]]
	(($(served stack) > 2000))
	log_can_be_read
}

# qemu_is_pooled PROGRAM: its coroutines are taken over where they end.
qemu_is_pooled() {
	FILTER=$FILTER_SECONDS
	arm_twin "$1" bench -w -c 4000 -d 512 --flush-interval=512 --image-opts driver=null-aio,size=1G
	[[ $status -eq 0 && $output == *'Run completed'* ]]
	[[ $(log_open host) == qemu && $(log_open mode) == pool ]]
	[[ $(log_open way) == ending ]]
}

@test "aarch64: QEMU 7.2 of Debian 12 does what it did, and its coroutines are pooled" {
	requires_full
	requires_arm_build
	qemu_is_pooled "$arm_root/usr/bin/qemu-img"
	(($(served qemu) > 1000))
	log_can_be_read
}

@test "aarch64: QEMU 10.0 of Debian 13 does, too" {
	requires_full
	requires_arm_build
	requires_arm_root aarch64-13 trixie base-files php8.4-cli libunwind8 qemu-utils libjansson4 libelf1t64 libncursesw6
	qemu_is_pooled "$arm_root/usr/bin/qemu-img"
	(($(served qemu) > 1000))
	log_can_be_read
}

@test "aarch64: origins of misses have the program's functions, also where return addresses are signed" {
	requires_full
	requires_arm_build
	requires_arm_root aarch64-13 trixie base-files php8.4-cli libunwind8 qemu-utils libjansson4 libelf1t64 libncursesw6
	arm_pooled COPOOL_ORIGINS=1 "$arm_root/usr/bin/php8.4" -n -r \
		'$held = []; for ($i = 0; $i < 50; $i++) { $held[] = $f = new Fiber(fn() => Fiber::suspend()); $f->start(); } echo "done\n";'
	[[ $status -eq 0 && $output == *done ]]
	log_records origin .frames >frames
	grep zend_fiber frames
}

@test "aarch64: copool run says that a program is for another processor" {
	requires_full
	requires_arm_12
	run_stock "$COPOOL" run -- "$arm_root/usr/bin/php8.2" -v
	[[ $status -ne 0 && $output == *'is a program for aarch64; libcopool.so is for another machine'* ]]
}

@test "aarch64: copool doctor asks for no decoder, which the library has there itself" {
	requires_full
	requires_arm_build
	arm "$ARM_BUILD/copool" doctor --json "$arm_root/usr/bin/qemu-img"
	[[ $status -eq 0 ]]
	jq -e '.library.decoder == "built in" and (.library.unwinder | test("aarch64"))' <<<"$output"
	jq -e '.verdict == "can_help" and all(.findings[]; .level == "note" and .code != "decoder")' <<<"$output"
}

@test "aarch64: memory tags are the program's: mappings that have them are not pooled, and addresses may be tagged" {
	requires_full
	requires_arm_build
	cat >tags.c <<-'END'
		#include <arm_acle.h>
		#include <stdint.h>
		#include <stdio.h>
		#include <sys/mman.h>
		#include <sys/prctl.h>
		enum { BYTES = 128 << 10, TAGS = 0x20 /* PROT_MTE */, RW = PROT_READ | PROT_WRITE };
		static __attribute__((noinline)) char *map(int protection)
		{
			char *volatile made = mmap(NULL, BYTES, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
			return made;
		}
		static char *tagged(char *at) { return (char *)((uintptr_t)at | (uintptr_t)0xa5 << 56); }
		/* Whether a word of memory keeps a tag. */
		static int keeps_tags(char *at)
		{
			char *with = __arm_mte_create_random_tag(at, 1 << ((uintptr_t)at >> 56 & 15));
			__arm_mte_set_tag(with);
			return __arm_mte_get_tag(at) == with;
		}
		int main(void)
		{
			int wrong = 0, kept = 0;
			prctl(55 /* PR_SET_TAGGED_ADDR_CTRL */, 1 | 1 << 1 | 0xfffe << 3, 0, 0, 0);
			for (int i = 0; i < 200; i++) {
				char *stack = tagged(map(RW));
				wrong += mprotect(stack, 4096, PROT_NONE) != 0;
				stack[BYTES - 1] = 1;
				wrong += munmap(stack, BYTES) != 0;
			}
			for (int i = 0; i < 20; i++) {
				char *stack = map(RW | TAGS);
				kept += keeps_tags(stack);
				munmap(stack, BYTES);
				stack = map(RW);
				wrong += mprotect(stack, BYTES, RW | TAGS) != 0;
				kept += keeps_tags(stack);
				munmap(stack, BYTES);
				stack = map(RW);
				wrong += mprotect(stack, BYTES, RW | 0x10 /* PROT_BTI */) != 0;
				munmap(stack, BYTES);
				stack = map(RW);
				wrong += keeps_tags(stack);
				munmap(stack, BYTES);
			}
			printf("%d wrong, %d kept\n", wrong, kept);
		}
	END
	aarch64-linux-gnu-gcc --sysroot="$arm_root" -O1 -march=armv8.5-a+memtag -o tags tags.c
	arm_twin COPOOL_HOST=stacks ./tags
	[[ $status -eq 0 && $output == '0 wrong, 40 kept' ]]
	(($(served stack) > 190))
	check_balance
}

# ---- pages of 64 KiB ----

@test "aarch64: with pages of 64 KiB PHP's stacks are pooled, and depths are such pages" {
	ARM_PAGE_BYTES=65536
	requires_full
	requires_arm_build
	fibers_php
	arm_twin "$arm_root/usr/bin/php8.2" -n fibers.php
	[[ $status -eq 0 ]]
	[[ $(log_open page_bytes) -eq 65536 ]]
	(($(served 'stack 2162688 php') > 3000))
	check_balance
}

@test "aarch64: and QEMU's" {
	ARM_PAGE_BYTES=65536
	requires_full
	requires_arm_build
	qemu_is_pooled "$arm_root/usr/bin/qemu-img"
	[[ $(log_records final .pool) == *'stack 1114112 qemu'* ]]
	(($(served qemu) > 1000))
	check_balance
}
