#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The coroutines of other languages and libraries: Boost, D, perl's Coro, python's greenlet, ruby; and programs
# that have none.

# shellcheck disable=SC2030,SC2031,SC2154 # bats runs each test in a shell of its own; helper.bash sets pid
load lib/helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

# served POOL-WORD: how many creates of such a pool were hits.
served() {
	jq -n --arg word "$1" '[inputs | select(.type == "final" and (.pool | contains($word)))
		| .create_local + .create_depot] | add // 0' "$LOG"
}

@test "boost: fibers with protected stacks are learned after 16, by themselves" {
	requires g++
	requires_package libboost-fiber-dev
	cat >fiber.cc <<-'END'
		#include <boost/fiber/all.hpp>
		#include <boost/fiber/protected_fixedsize_stack.hpp>
		#include <cstdio>
		int main()
		{
			long sum = 0;
			for (int round = 0; round < 200; round++) {
				std::vector<boost::fibers::fiber> fibers;
				for (int i = 0; i < 20; i++)
					fibers.emplace_back(std::allocator_arg, boost::fibers::protected_fixedsize_stack(),
						[&sum, i] { boost::this_fiber::yield(); sum += i; });
				for (auto &fiber : fibers)
					fiber.join();
			}
			std::printf("%ld\n", sum);
		}
	END
	g++ -O1 -o fiber fiber.cc -lboost_fiber -lboost_context -pthread
	same_twin ./fiber
	[[ $status -eq 0 && $output == 38000 ]]
	(($(served stack) > 3000))
	check_balance
}

@test "boost: coroutines with protected stacks are learned too, also where an exception leaves one" {
	requires g++
	requires_package libboost-coroutine-dev
	cat >coroutine.cc <<-'END'
		#include <boost/coroutine2/all.hpp>
		#include <boost/coroutine2/protected_fixedsize_stack.hpp>
		#include <cstdio>
		#include <stdexcept>
		using coroutine = boost::coroutines2::coroutine<int>;
		int main()
		{
			long sum = 0, thrown = 0;
			for (int i = 0; i < 1000; i++) {
				try {
					coroutine::pull_type source(boost::coroutines2::protected_fixedsize_stack(),
						[i](coroutine::push_type &sink) {
							sink(i);
							if (i % 3 == 0)
								throw std::runtime_error("out");
							sink(1); /* never taken when i is even: unwound from outside */
						});
					sum += source.get();
					if (i % 2)
						source();
				} catch (const std::runtime_error &) {
					thrown++;
				}
			}
			std::printf("%ld %ld\n", sum, thrown);
		}
	END
	g++ -O1 -o coroutine coroutine.cc -lboost_context
	same_twin ./coroutine
	[[ $status -eq 0 && $output == '499500 167' ]]
	(($(served stack) > 900))
}

@test "d: fibers of its run-time library are pooled" {
	requires ldc2
	cat >fiber.d <<-'END'
		import core.thread, std.stdio;
		void main()
		{
			long sum;
			foreach (round; 0 .. 50) {
				Fiber[] fibers;
				foreach (i; 0 .. 20) {
					auto fiber = new Fiber({ auto mine = i; Fiber.yield(); sum += mine; });
					fiber.call();
					fibers ~= fiber;
				}
				foreach (fiber; fibers) {
					fiber.call();
					destroy(fiber);
				}
			}
			writeln(sum);
		}
	END
	ldc2 -link-defaultlib-shared -of=fiber fiber.d
	same_twin ./fiber
	[[ $status -eq 0 && $output =~ ^[0-9]+$ ]]
	(($(served 'stack 20480 d') > 900))
}

# As gdc links it if nothing else is said.
@test "d: fibers of a run-time library that is linked statically are pooled where the user asks for stacks" {
	requires ldc2
	cat >fiber.d <<-'END'
		import core.thread, core.stdc.stdio;
		void main()
		{
			long sum;
			foreach (i; 0 .. 2000) {
				auto fiber = new Fiber({ auto mine = i; Fiber.yield(); sum += mine; });
				fiber.call();
				fiber.call();
				destroy(fiber);
			}
			printf("%ld\n", sum);
		}
	END
	ldc2 -link-defaultlib-shared=false -of=fiber fiber.d
	same_twin COPOOL_HOST=stacks ./fiber
	[[ $status -eq 0 && $output == 1999000 ]]
	(($(served 'stack 20480 d') > 1900))
	run "$COPOOL" doctor ./fiber
	[[ $status -eq 1 && $output == *"it has D's fibers"*"COPOOL_HOST=stacks pools"*'next: copool compare --host=stacks -- ./fiber ARGUMENT...' ]]
	# Stripped it is not known.
	rm -f "$LOG"
	strip fiber
	same_twin COPOOL_HOST=stacks ./fiber
	[[ $status -eq 0 && $(served 'stack 20480 d') -eq 0 ]]
}

@test "perl: Coro's coroutines with stacks of their own are pooled" {
	requires_package libcoro-perl
	cat >coro.pl <<-'END'
		use strict; use Coro; use Coro::State;
		package Tied { sub TIESCALAR { bless [$_[1]] } sub FETCH { Coro::cede; $_[0][0] } } # a switch below C
		my $sum = 0;
		for my $round (1 .. 20) {
			my @all = map { my $n = $_; async { tie my $x, 'Tied', $n; my $got = "$x"; $sum += $got; } } 1 .. 40;
			$_->join for @all;
		}
		print "$sum\n";
	END
	same_twin /usr/bin/perl coro.pl
	[[ $status -eq 0 && $output == 16400 ]]
	(($(served coro) > 100))
}

@test "systemc: threads are pooled by themselves, and recycled ones cost no system call" {
	requires g++ strace
	requires_package libsystemc-dev
	cat >simulation.cc <<-'END'
		#define SC_INCLUDE_DYNAMIC_PROCESSES
		#include <systemc>
		#include <cstdio>
		#include <cstdlib>
		using namespace sc_core;
		SC_MODULE(Top)
		{
			long rounds, sum = 0;
			SC_HAS_PROCESS(Top);
			Top(sc_module_name name, long rounds) : sc_module(name), rounds(rounds) { SC_THREAD(run); }
			void child(int number)
			{
				volatile char kept[500];
				for (int i = 0; i < 500; i++)
					kept[i] = char(i + number);
				wait(1, SC_NS);
				for (int i = 0; i < 500; i++)
					sum += kept[i] == char(i + number);
			}
			void run()
			{
				for (long round = 0; round < rounds; round++) {
					for (int i = 0; i < 20; i++)
						sc_spawn(sc_bind(&Top::child, this, i));
					wait(2, SC_NS);
				}
			}
		};
		int sc_main(int count, char **argument)
		{
			Top top("top", count > 1 ? std::atol(argument[1]) : 100);
			sc_start();
			std::printf("%ld at %s\n", top.sum, sc_time_stamp().to_string().c_str());
			return 0;
		}
	END
	g++ -O1 -o simulation simulation.cc -lsystemc
	export SYSTEMC_DISABLE_COPYRIGHT_MESSAGE=1
	same_twin ./simulation
	[[ $status -eq 0 && $output == '1000000 at 200 ns' ]]
	(($(served 'stack 262144 systemc') > 1900))
	check_balance
	calls() {
		strace -f -o calls -e trace=mmap,munmap,mprotect,madvise env LD_PRELOAD="$COPOOL_SO" ./simulation "$1" >/dev/null
		grep -c '(' calls
	}
	local few many
	few=$(calls 100) many=$(calls 600)
	echo "$few calls for 2000 threads, $many for 12000"
	((many - few < 100))
}

@test "nix: files go into a store, through its streams, and come out as they were" {
	requires nix-store nix-instantiate
	mkdir -p files/folder home store/etc
	for i in {1..60}; do
		head -c $((i * i * 97)) /dev/zero | tr '\0' "$i" >"files/folder/$i"
	done
	printf 'sandbox = false\nbuild-users-group =\n' >store/etc/nix.conf
	cat >load.sh <<-'END'
		set -e
		export HOME=$PWD/home NIX_REMOTE= NIX_STORE_DIR=$PWD/store/store NIX_STATE_DIR=$PWD/store/var
		export NIX_LOG_DIR=$PWD/store/log NIX_CONF_DIR=$PWD/store/etc
		chmod -R u+w store/store back 2>/dev/null && rm -r store/store store/var back || :
		path=$(nix-store --add "$PWD/files")
		nix-store --export "$path" >exported
		nix-store --delete "$path" >/dev/null 2>&1
		nix-store --import <exported
		nix-store --dump "$path" | nix-store --restore back
		diff -r files back && echo same
		nix-store --verify --check-contents 2>&1 | tail -n 1
		nix-instantiate --eval --strict -E 'builtins.foldl'"'"' (sum: n: sum + n) 0 (builtins.genList (n: n) 1000)'
	END
	same_twin COPOOL_HOST=auto bash load.sh
	[[ $status -eq 0 && $output == *same*499500* ]]
	same_twin COPOOL_LEARN=1 COPOOL_HOST=stacks bash load.sh
	[[ $status -eq 0 && $output == *same*499500* ]]
}

@test "python: greenlet's frame chunks are pooled when their size is named, and come zeroed" {
	requires_package python3-greenlet
	cat >greenlets.py <<-'END'
		from greenlet import greenlet
		total = 0
		def body(n):
		    global total
		    got = main.switch()
		    total += n + got
		main = greenlet.getcurrent()
		for r in range(20):
		    alive = [greenlet(body) for _ in range(50)]
		    for i, g in enumerate(alive): g.switch(i)
		    for g in alive: g.switch(1)
		print(total)
	END
	same_twin COPOOL_STACK_SIZE=16384 /usr/bin/python3 greenlets.py
	[[ $status -eq 0 && $output == 25500 ]]
	(($(served 'stack 16384') > 800))
}

@test "ruby: fibers, which it pools itself, do what they did" {
	requires ruby
	cat >fibers.rb <<-'END'
		sum = 0
		20.times { (0...100).map { |i| Fiber.new { Fiber.yield; sum += i } }.each(&:resume).each(&:resume) }
		e = Enumerator.new { |y| 5.times { |i| y << i } }
		puts sum, e.next, e.next
		begin; Fiber.new { raise 'out' }.resume; rescue => x; puts x.message; end
	END
	for host in auto stacks; do
		same_twin COPOOL_HOST=$host ruby --disable-gems fibers.rb
		[[ $status -eq 0 && ${lines[0]} == 99000 ]]
	done
}

# ---- programs without coroutines ----

# same_unrelated COMMAND...: to the byte, and with learning too.
same_unrelated() {
	same_twin COPOOL_HOST=stacks "$@"
	[[ $status -eq 0 ]] || return
	same_twin COPOOL_HOST=stacks COPOOL_LEARN=1 "$@"
	[[ $status -eq 0 ]]
}

@test "unrelated: a compiler makes the same object file" {
	requires gcc
	cp "$TESTS/programs/wrapper.c" .
	same_unrelated sh -c 'gcc -O2 -c -o wrapper.o wrapper.c && md5sum wrapper.o'
}

@test "unrelated: git packs and checks a repository as it did" {
	requires git
	git init -q repository
	(
		cd repository
		for i in {1..60}; do
			seq "$i" 3000 >file
			git add file
			git -c user.name=a -c user.email=b@c commit -qm "$i" --date='@1700000000 +0000'
		done
	)
	same_unrelated git -C repository fsck --strict --no-progress
	same_unrelated sh -c 'git -C repository -c pack.threads=1 pack-objects --all --stdout -q </dev/null | sha1sum'
	same_unrelated git -C repository log --stat --oneline --no-abbrev
}

@test "unrelated: an interpreter computes what it did" {
	requires python3 perl
	cat >threads.py <<-'END'
		import hashlib, mmap, threading, zlib
		out = [None] * 8
		def work(n):
		    data = bytes((i * n) & 255 for i in range(100000))
		    area = mmap.mmap(-1, 1 << 20); area[:len(data)] = data
		    out[n] = hashlib.sha256(zlib.decompress(zlib.compress(area[:]))).hexdigest()
		    area.close()
		    for size in (16384, 65536, 1 << 20) * 10: # the memory of those who went before is not seen
		        with mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as area:
		            out[n] += str(any(area[:]))
		            area[:] = b'x' * size
		threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
		for t in threads: t.start()
		for t in threads: t.join()
		print('\n'.join(out))
	END
	same_unrelated python3 threads.py
	# shellcheck disable=SC2016 # perl's own
	same_unrelated perl -e 'my %h; $h{$_ % 977} .= chr(65 + $_ % 26) for 1 .. 200000; print join(",", map { length $h{$_} } sort { $a <=> $b } keys %h), "\n"'
}

@test "unrelated: a data base answers as it did" {
	requires sqlite3
	same_unrelated sqlite3 :memory: 'with recursive n(i) as (select 1 union all select i+1 from n where i < 50000)
		select count(*), sum(i), max(hex(i)) from (select i from n order by hex(i));'
}
