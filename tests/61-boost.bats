#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Stacks of Boost.Context: when they are handed out as they were left, and that nothing which may rely on zeroes gets
# anything else. boost/contexts.c and boost/lives.cc are the programs.

# shellcheck disable=SC2030,SC2031,SC2154 # bats runs each test in a shell of its own; helper.bash sets them
load lib/helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	requires gcc g++
	requires_package libboost-context-dev
}

# build COMPILER OPTION...: ./contexts
build() {
	"$@" -o contexts "$TESTS/boost/contexts.c" -lboost_context
}

# says WAY WANTED [VARIABLE=VALUE...]: what 5000 lives see without the shim is zeroes, and with it WANTED.
says() {
	local way=$1 wanted=$2
	shift 2
	run_stock ./contexts "$way" 5000
	[[ $status -eq 0 && $output == 'zeroed, 0 wrong' ]] || return
	rm -f "$LOG"
	run_pooled "$@" ./contexts "$way" 5000
	[[ $status -eq 0 && $output == "$wanted" ]]
}

# hits: how many creates were served.
hits() {
	jq -n '[inputs | select(.type == "final") | .create_local + .create_depot] | add // 0' "$LOG"
}

@test "boost: stacks come as they were left where one function maps, guards and uses them, and zero above, however it is compiled" {
	for options in "gcc -O0" "gcc -O1" "gcc -O2" "gcc -O3" "gcc -Os" "gcc -O2 -flto" "gcc -O2 -fno-plt" "gcc -O2 -no-pie" \
		"gcc -O2 -s -Wl,-z,now" "gcc -O2 -fcf-protection=full" "clang -O2" "clang -O3"; do
		[[ $options == gcc* ]] || command -v clang >/dev/null || continue
		# shellcheck disable=SC2086 # words
		build $options
		says one 'as left, 0 wrong'
		(($(hits) > 4900))
		check_balance
	done
}

@test "boost: so they do with every kind of guard page" {
	build gcc -O2
	for guard in mprotect poison madvise; do
		says one 'as left, 0 wrong' COPOOL_GUARD=$guard
	done
}

@test "boost: they come zeroed where the user wants that, or has named their size" {
	build gcc -O2
	says one 'zeroed, 0 wrong' COPOOL_ZERO=1
	(($(hits) > 4900))
	says one 'zeroed, 0 wrong' COPOOL_STACK_SIZE=65536
	(($(hits) > 4900))
}

@test "boost: one function that maps both stacks and tables, or maps and leaves the rest to others, goes on to get zeroes" {
	for options in "gcc -O1" "gcc -O2" "gcc -O3"; do
		# shellcheck disable=SC2086 # words
		build $options
		says wrapper 'zeroed, 0 wrong'
		(($(hits) > 4900))
	done
}

@test "boost: a function that makes contexts, but not on what it maps, goes on to get zeroes" {
	build gcc -O2
	says other 'zeroed, 0 wrong'
	(($(hits) > 4900))
	says part 'zeroed, 0 wrong' # a table lies above the stack
	(($(hits) > 4900))
}

@test "boost: a call of which some mappings are no stacks, or are given back in parts, goes on to get zeroes" {
	build gcc -O2
	says sometimes 'zeroed, 0 wrong'
	(($(hits) > 4900))
	says halves 'zeroed, 0 wrong'
	(($(hits) > 4900))
}

@test "boost: stacks that are reserved, and opened or not, are never looked at from above" {
	build gcc -O2
	run_pooled ./contexts reserved 7000
	[[ $status -eq 0 && $output == *', 0 wrong' ]]
	run_pooled COPOOL_LEARN=1 ./contexts reserved 7000
	[[ $status -eq 0 && $output == *', 0 wrong' ]]
}

@test "boost: a life of a proven stack makes no system call" {
	requires strace
	build gcc -O2
	for lives in 4000 14000; do
		env -u LD_PRELOAD strace -f -e trace=mmap,munmap,mprotect,madvise -o calls.$lives -E LD_PRELOAD="$COPOOL_SO" \
			./contexts one $lives
	done
	(($(wc -l <calls.14000) - $(wc -l <calls.4000) < 100))
}

@test "boost: fibers, coroutines and continuations end, are left and throw in threads as they did" {
	requires_package libboost-fiber-dev libboost-coroutine-dev
	for options in "g++ -O2" "g++ -O0" "clang++ -O2"; do
		[[ $options == g++* ]] || command -v clang++ >/dev/null || continue
		# shellcheck disable=SC2086 # words
		$options -std=gnu++17 -o lives "$TESTS/boost/lives.cc" -lboost_fiber -lboost_context -pthread
		rm -f "$LOG"
		same_twin ./lives 1500 3
		[[ $status -eq 0 && $output =~ ^[0-9]+$ ]]
		(($(hits) > 45000))
		check_balance
	done
}

@test "boost: a fiber that overflows a stack which was used before still ends in SIGSEGV" {
	requires_package libboost-fiber-dev libboost-coroutine-dev
	g++ -O2 -std=gnu++17 -o lives "$TESTS/boost/lives.cc" -lboost_fiber -lboost_context -pthread
	same_twin sh -c './lives 1500 2 overflow; echo $?'
	[[ ${lines[-1]} -eq 139 ]]
}

# A library with coroutines, and a program that works with it; both print a sum.
make_library() { # COMPILER OPTION...
	cat >work.cc <<-'END'
		#include <boost/coroutine2/all.hpp>
		#include <boost/coroutine2/protected_fixedsize_stack.hpp>
		using coroutine = boost::coroutines2::coroutine<long>;
		extern "C" long work(long lives)
		{
			long sum = 0;
			for (long i = 0; i < lives; i++) {
				coroutine::pull_type source(boost::coroutines2::protected_fixedsize_stack(),
					[i](coroutine::push_type &sink) { sink(i); sink(1); });
				sum += source.get();
			}
			return sum;
		}
	END
	"$@" -shared -fPIC -o libwork.so work.cc -lboost_context
}

@test "boost: stacks of a library that the program comes with are learned, and known where it says what its functions are" {
	requires_package libboost-coroutine-dev
	cat >user.c <<-'END'
		#include <stdio.h>
		long work(long lives);
		int main(void) { printf("%ld\n", work(5000)); }
	END
	make_library g++ -O2
	gcc -o user user.c -L. -lwork -Wl,-rpath,"$PWD"
	same_twin ./user
	[[ $status -eq 0 && $output == 12497500 ]]
	(($(hits) > 4900))
	[[ $(log_records final .pool) == 'stack 135168' ]]
	make_library g++ -O0
	rm "$LOG"
	same_twin ./user
	[[ $status -eq 0 && $output == 12497500 ]]
	(($(hits) == 4999))
	[[ $(log_records final .pool) == 'stack 135168 boost' ]]
}

@test "boost: an allocator that is not inlined is known by the program's symbol table, and learned where that is stripped" {
	requires_package libboost-coroutine-dev
	make_library g++ -O0
	printf '#include <stdio.h>\nextern "C" long work(long); int main(void) { printf("%%ld\\n", work(5000)); }\n' >>work.cc
	g++ -O0 -o whole work.cc -lboost_context
	same_twin ./whole
	[[ $status -eq 0 && $output == 12497500 ]]
	(($(hits) == 4999))
	[[ $(log_records final .pool) == 'stack 135168 boost' ]]
	strip whole
	rm "$LOG"
	same_twin ./whole
	[[ $status -eq 0 && $output == 12497500 ]]
	(($(hits) > 4900 && $(hits) < 4999))
	[[ $(log_records final .pool) == 'stack 135168' ]]
}

@test "boost: a library that comes and goes keeps its zeroes, and what it leaves is nobody's" {
	requires_package libboost-coroutine-dev
	cat >loader.c <<-'END'
		#include <dlfcn.h>
		#include <stdio.h>
		int main(void)
		{
			for (int i = 0; i < 3; i++) {
				void *library = dlopen("./libwork.so", RTLD_NOW | RTLD_LOCAL);
				long (*work)(long) = (long (*)(long))dlsym(library, "work");
				printf("%ld\n", work(3000));
				dlclose(library);
			}
		}
	END
	make_library g++ -O2
	gcc -o loader loader.c
	same_twin ./loader
	[[ $status -eq 0 && $output == $'4498500\n4498500\n4498500' ]]
	same_twin COPOOL_HOST=stacks COPOOL_LEARN=1 ./loader
	[[ $status -eq 0 && $output == $'4498500\n4498500\n4498500' ]]
	(($(hits) > 8900))
	requires strace # it zeroes them
	strace -f -e trace=madvise -o calls -E LD_PRELOAD="$COPOOL_SO" -E COPOOL_HOST=stacks -E COPOOL_LEARN=1 ./loader
	(($(grep -c MADV_DONTNEED calls) > 8900))
}

@test "boost: a program that has a make_fcontext of its own gets what it calls, to the last argument" {
	cat >own.c <<-'END'
		#include <stdio.h>
		__attribute__((noinline)) double make_fcontext(long a, double b, long c, long d, long e, long f, long g, double h)
		{
			return a + b * 2 + c * 3 + d * 4 + e * 5 + f * 6 + g * 7 + h * 8;
		}
		void *jump_fcontext(void *, void *);
		void *volatile other = (void *)jump_fcontext; /* the library is here all the same */
		int main(void) { printf("%.3f\n", make_fcontext(1, 0.5, 2, 3, 4, 5, 6, 0.25)); }
	END
	gcc -O2 -rdynamic -o own own.c -lboost_context
	same_twin ./own
	[[ $status -eq 0 && $output == 114.000 ]]
}
