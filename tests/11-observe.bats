#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# copool observe: what copool would do for a program that runs without it, found out from outside.
# shellcheck disable=SC2016 # what is in single quotes is for the program to expand
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2154 # start sets pid
# shellcheck disable=SC2054 # the commas belong to QEMU's options

load lib/helper

setup() {
	requires jq
	cd "$BATS_TEST_TMPDIR" || return
}

# starts COMMAND...: in the background, and is that program, which is loaded.
starts() {
	start_stock "$@"
	wait_until 10 is_loaded "$(basename "$1")"
}

is_loaded() { # NAME
	[[ $(readlink "/proc/$pid/exe") == */"$1"?(.*) || $(readlink "/proc/$pid/exe") == */"$1"[0-9.]* ]] &&
		grep -q '/libc[.-]' "/proc/$pid/maps" && [[ $(awk '{ print $1 }' "/proc/$pid/syscall" 2>/dev/null) != "" ]]
}

has_threads() { # N
	[[ $(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l) -eq $1 ]]
}

# Whether this machine lets us set probes: a kernel or a container may not, by its nature.
requires_probes() {
	starts sleep 300
	run "$COPOOL" observe --for 0.1 "$pid"
	[[ $status -eq 0 || $output != *@(CAP_PERFMON|CONFIG_UPROBE_EVENTS)* ]] || skip "no probes here: $output"
	echo "$output"
	[[ $status -eq 0 ]]
}

# observes ARGUMENT...: it answers.
observes() {
	run --separate-stderr "$COPOOL" observe "$@"
	echo "copool observe $*: $status"
	echo "$output"
	echo "$stderr"
	[[ $status -eq 0 ]]
}

# observes_many N ARGUMENT...: for as long as it takes, on a machine that others use too, until N are created.
observes_many() {
	local seconds
	for seconds in 0.5 2 8 32 128; do
		observes --for "$seconds" "${@:2}" || return
		[[ ! $output =~ (_create\ +|\"creates\":\ ?)([0-9]+) ]] || ((BASH_REMATCH[2] < $1)) || return 0
	done
	return 1
}

refuses() { # STATUS TEXT ARGUMENT...
	run "$COPOOL" observe "${@:3}"
	echo "copool observe ${*:3}: $status"
	echo "$output"
	[[ $status -eq $1 && $output == *"$2"* ]]
}

# watch FILE: observes $pid in the background, by $observer, into FILE; goes on when all probes are set.
watch() {
	"$COPOOL" observe --for 300 --max-cost 1000 --json "$pid" >"$1" &
	observer=$!
	watch_over "$observer"
	wait_until 20 has_probes "$2"
}

# has_probes N: $observer has that many.
has_probes() {
	[[ $(find "/proc/$observer/fd" -lname 'anon_inode:*perf_event*' 2>/dev/null | wc -l) -eq $1 ]]
}

looks() { # how often $observer has waited
	awk '/^voluntary/ { print $2 }' "/proc/$observer/status"
}

fibers='for (;;) { $f = new Fiber(function () { Fiber::suspend(); }); $f->start(); $f->resume(); }'
bursts=(bench -w -c 100000000 -d 1024 --flush-interval=1024 --image-opts driver=null-aio,size=1G)
plain=(bench -w -c 100000000 -d 32 --image-opts driver=null-aio,size=1G)

@test "observe: each entry is counted, also of threads that start at that time, and none fails to start" {
	requires_program outside
	requires_probes
	starts "$PROGRAMS/outside" 10000 late go
	wait_until 10 has_threads 3
	watch answer 9 # three threads, three functions
	touch late
	wait_until 10 has_threads 5
	wait_until 20 has_probes 15
	touch go
	wait_until 30 is_gone "$observer"
	cat answer
	jq -e '.kind == "qemu" and .creates == 40000 and .new == 20000 and .functions[2].entries == 20000
		and .threads == 5 and .helps and .stopped == "the process has ended"' answer
	ended "$pid"
	[[ $status -eq 0 ]]
}

@test "observe: a program whose file was deleted since is observed all the same" {
	requires_program outside
	requires_probes
	cp "$PROGRAMS/outside" mine
	starts ./mine 10 late go
	wait_until 10 has_threads 3
	rm mine
	watch answer 9
	touch late
	wait_until 20 has_probes 15
	touch go
	wait_until 30 is_gone "$observer"
	jq -e '.creates == 40 and .new == 20' answer
}

@test "observe: where none has ended yet, memory for other things is not taken for more of them than there are" {
	requires_program outside
	requires_probes
	starts "$PROGRAMS/outside" 10000 late go end
	wait_until 10 has_threads 3
	watch answer 9
	touch late
	wait_until 10 has_threads 5 # whose stacks came since
	wait_until 20 has_probes 15
	touch go
	wait_until 20 eval '[[ ! -e late ]]'
	looks_before=$(looks)
	wait_until 20 eval '(($(looks) > looks_before + 1))'
	touch end
	wait_until 30 is_gone "$observer"
	jq -e '.new == 20000 and .saved > 0 and .saved < 20000 and .helps' answer
}

@test "observe: QEMU that makes coroutines again and again is told that the pool helps" {
	requires qemu-img
	requires_probes
	starts qemu-img "${bursts[@]}"
	observes_many 50000 "$pid"
	[[ $output == "qemu-img [$pid]: QEMU's coroutines, for "* ]]
	[[ $output =~ qemu_coroutine_create\ +([0-9]+)\ entries.*qemu_coroutine_new\ +([0-9]+)\ entries ]]
	created=${BASH_REMATCH[1]} made=${BASH_REMATCH[2]}
	# Of 1024 its own pool serves less than a fifth, again and again.
	((made * 10 > created * 7 && made < created))
	[[ $output == *"helps: "*" of CPU time in "*"the probes cost the process about "*"start it with LD_PRELOAD=/"* ]]
	kill -0 "$pid"
}

@test "observe: QEMU that its own pool serves is told to be left alone" {
	requires qemu-img
	requires_probes
	starts qemu-img "${plain[@]}"
	observes_many 1001 --json "$pid"
	jq -e '.helps == false and .creates > 1000 and .saved == 0 and (.verdict | startswith("does not help: only "))' <<<"$output"
}

@test "observe: PHP's fibers are seen, one after the other and all alive at once" {
	requires php
	requires_probes
	starts php -r "$fibers"
	observes_many 1000 --json "$pid"
	jq -e '.kind == "php" and .helps and .new == .creates and .saved > .new / 2' <<<"$output"
	starts php -r 'file_put_contents("ready", ""); while (!file_exists("go")) { usleep(1000); clearstatcache(); }
		for ($i = 0; $i < 5000; $i++) { $f = new Fiber(function () { Fiber::suspend(); }); $f->start(); $all[] = $f; }
		file_put_contents("full", ""); while (!file_exists("end")) { usleep(1000); clearstatcache(); }'
	wait_until 10 test -e ready
	watch answer 2
	touch go
	wait_until 30 test -e full
	kill -INT "$observer"
	wait_until 10 is_gone "$observer"
	cat answer
	jq -e '.helps == false and .new == 5000 and .saved < 50 and .stopped == "stopped by a signal"' answer
	touch end
}

@test "observe: D's fibers, whose end is inlined, are seen" {
	requires ldc2
	requires_probes
	ldc2 -O "$TESTS/bench/fiber.d" -of=fiber >/dev/null
	starts ./fiber 1000000000 10
	observes_many 1000 --json "$pid"
	jq -e '.kind == "d" and .helps and .saved > .new / 2' <<<"$output"
	# Linked statically they are known only to who asks for them.
	observes --for 0.2 "$pid"
	[[ $output == *'start it with LD_PRELOAD='*'copool run -- PROGRAM'* ]]
	cat >fiber.d <<-'END'
		import core.thread;
		void main()
		{
			for (;;) {
				auto fiber = new Fiber({ Fiber.yield(); });
				fiber.call();
				fiber.call();
				destroy(fiber);
			}
		}
	END
	ldc2 -link-defaultlib-shared=false -of=fiber2 fiber.d
	starts ./fiber2
	observes --for 0.5 "$pid"
	[[ $output == *'start it with COPOOL_HOST=stacks LD_PRELOAD='*'copool run --host=stacks -- PROGRAM'* ]]
}

@test "observe: Boost's stacks are told apart by their guard pages: those from malloc are out of reach" {
	requires g++
	[[ -e /usr/include/boost/coroutine2/coroutine.hpp ]] || lacks "there is no boost/coroutine2"
	requires_probes
	cat >coroutine.cc <<-'END'
		#include <boost/coroutine2/coroutine.hpp>
		#include <boost/coroutine2/protected_fixedsize_stack.hpp>
		typedef boost::coroutines2::coroutine<int> coroutine;
		int main(int arguments, char **)
		{
			for (;;) {
				auto body = [](coroutine::push_type &sink) { sink(1); };
				if (arguments > 1)
					coroutine::pull_type source(boost::coroutines2::protected_fixedsize_stack(), body);
				else
					coroutine::pull_type source(body);
			}
		}
	END
	g++ -O2 coroutine.cc -o coroutine -lboost_context
	starts ./coroutine guarded
	observes_many 1000 --json "$pid"
	jq -e '.kind == "boost" and .helps and .new > 100' <<<"$output"
	starts ./coroutine
	observes_many 101 --json "$pid"
	jq -e '.helps == false and .creates > 100 and .new == 0 and (.verdict | contains("from malloc"))' <<<"$output"
}

@test "observe: where nothing is known or nothing happens, nothing is claimed" {
	requires php
	requires_probes # of a sleep, which has mmap alone
	observes --for 0.2 --json "$pid"
	jq -e '.kind == "mappings" and .helps == null and .saved == 0' <<<"$output"
	[[ $stderr == "" ]]
	# Whose memory has no guard pages, as that of Python's greenlet, so COPOOL_LEARN would pool none of it.
	requires python3
	starts /usr/bin/python3 -c 'import mmap, time
while True: mmap.mmap(-1, 16384).close(); time.sleep(0.001)'
	observes_many 100 --json "$pid"
	jq -e '.helps == null and (.verdict | contains(" times. If those are stacks with guard pages, COPOOL_LEARN=1 pools them ")
		and contains("; if they are of one size, COPOOL_STACK_SIZE="))' <<<"$output"
	starts php -r 'for (;;) usleep(1000);'
	observes --for 0.2 "$pid"
	[[ $output == *"copool saw it create no coroutines in this time"* && $output != *"start it with"* ]]
}

@test "observe: it stops early when the probes cost too much" {
	requires php
	requires_probes
	starts php -r "$fibers"
	observes --for 300 --max-cost 1 "$pid"
	[[ $output == *"stopped early: the probes cost the process more than --max-cost allows"* ]]
}

@test "observe: what cannot be observed is said, and why" {
	refuses 2 "which process?"
	refuses 2 "is not a process id" mine
	refuses 2 "from 0.1 to 3600" --for 0 1
	refuses 2 "from 1 to 1000" --max-cost 0 1
	refuses 2 "One process is enough" 1 2
	refuses 1 "there is no process 4194305" 4194305
	# One that has ended, and whose parent has not waited for it: as bash it would.
	mkfifo end
	(
		read -r _ <end &
		echo $! >ended
		exec sleep 60
	) &
	parent=$!
	watch_over "$parent"
	wait_until 10 grep -qx sleep "/proc/$parent/comm"
	echo >end
	wait_until 10 eval '[[ $(cut -d " " -f 3 /proc/$(<ended)/stat) == Z ]]'
	refuses 1 "there is no process $(<ended)" "$(<ended)"
	requires_probes
	start_pooled sleep 300
	wait_until 10 grep -q libcopool "/proc/$pid/maps"
	refuses 1 "already has libcopool.so: see copool show $pid" "$pid"
}

@test "observe: a user who may not set probes is told what he needs" {
	requires setpriv
	[[ $(id -u) -eq 0 ]] || skip "only root can be another user"
	starts sleep 300
	nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	cp "$COPOOL" copool
	chmod 755 . copool
	run "${nobody[@]}" ./copool observe "$pid"
	echo "$output"
	[[ $status -eq 1 && $output == *"may not be looked into"* ]]
	start_stock "${nobody[@]}" sleep 300
	wait_until 10 grep -q 'Uid:.65534' "/proc/$pid/status"
	run "${nobody[@]}" ./copool observe "$pid"
	echo "$output"
	[[ $status -eq 1 && $output == *"you need CAP_PERFMON"* ]]
}

@test "observe: a kernel without uprobes is named" {
	[[ $(id -u) -eq 0 ]] || skip "only root can hide them"
	starts sleep 300
	run unshare --mount bash -c 'mount -t tmpfs none /sys/bus/event_source/devices && exec "$0" observe "$1"' "$COPOOL" "$pid"
	echo "$output"
	[[ $status -eq 1 && $output == *"this kernel has no uprobes"* ]]
}
