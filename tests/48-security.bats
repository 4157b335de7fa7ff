#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What .github/SECURITY.md promises, where no other file tries it: files that others planted, programs that run
# with another's rights, memory, and how the products are built.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2016 # what is in single quotes is for another shell
# shellcheck disable=SC2154 # run and start set stderr and pid
# shellcheck disable=SC1003 # a name that ends in a backslash

load lib/helper

setup() {
	requires_program steps
	cd "$BATS_TEST_TMPDIR" || return
	export COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop
	steps=$PROGRAMS/steps
	as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
}

# A folder as /tmp is, and another user who was there first.
shared_folder() {
	[[ $(id -u) -eq 0 ]] || skip "only root can be two users"
	requires setpriv
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
	mkdir -m 1777 shared
	echo precious >victim
	chmod 666 victim
}

# refuses_log PATH REASON: a log at PATH is refused with REASON, the program runs, and the victim is as it was.
refuses_log() {
	run --separate-stderr timeout --kill-after=5 300 env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$1" "$steps" use 100 say fine
	echo "$1: $status, $output, $stderr"
	[[ $status -eq 0 && $output == fine && $stderr == *"COPOOL_LOG=$1: "*"$2"* && $(wc -l <<<"$stderr") -eq 1 ]]
	[[ $(<victim) == precious ]]
}

@test "security: in a folder that all may write to, a log that somebody else put there is not written to" {
	shared_folder
	"${as_nobody[@]}" sh -c 'ln -s ../victim shared/link; ln -s ../nothing shared/dangling; : >shared/file
		mkfifo shared/fifo; mkdir -m 777 shared/folder; chmod 666 shared/file shared/fifo'
	# Kernels that are asked to refuse some of these themselves.
	refuses_log shared/link ''
	refuses_log shared/dangling ''
	refuses_log shared/file ''
	cat <>shared/fifo >leaked &
	watch_over $!
	refuses_log shared/fifo ''
	refuses_log shared/folder 'Is a directory'
	[[ ! -e nothing && ! -s shared/file && ! -s leaked ]]
}

@test "security: in a folder that all may write to, a log with a second name is not written to" {
	shared_folder
	ln victim shared/second
	refuses_log shared/second 'second name'
	ln shared/second victim.2
	rm shared/second
	# Elsewhere it is the user's business.
	LOG=$PWD/victim.2 run_pooled "$steps" use 1
	[[ $status -eq 0 && $(wc -l <victim) -gt 1 ]]
}

@test "security: in a folder that all may write to, one's own log is good" {
	shared_folder
	LOG=shared/log.jsonl
	run_pooled "$steps" use 1
	run_pooled "$steps" use 1
	check_balance
	[[ $(log_records open .pid | wc -l) -eq 2 ]]
	"${as_nobody[@]}" sh -c ': >shared/other'
	LOG=shared/other
	run_pooled "${as_nobody[@]}" "$steps" use 1
	[[ $(log_records final .pid | wc -l) -eq 1 ]]
}

# plants COMMAND [PREFIX...]: a program, started by PREFIX, is about to have a Prometheus file; COMMAND, in which $1 is
# its process, was first, by another user. Leaves the program in $pid, running.
plants() {
	local command=$1
	shift
	rm -rf shared go log
	mkdir -m 1777 shared
	mkdir -m 777 log
	start bash -c '
		setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "$0" planter $$
		so=$1 steps=$2
		shift 2
		exec "$@" env LD_PRELOAD="$so" COPOOL_LOG=log/log COPOOL_INTERVAL_MS=10 \
			COPOOL_PROMETHEUS=shared/%p.prom "$steps" use 100 wait go' \
		"$command" "$COPOOL_SO" "$steps" "$@"
}

has_series() { # FILE
	[[ -f $1 && ! -L $1 ]] && grep -q '^copool_create_total' "$1"
}

told() {
	grep -q '"warning".*COPOOL_PROMETHEUS' log/log
}

@test "security: a link in the way of a Prometheus file is not followed, nor is what it leads to written" {
	shared_folder
	for way in 'ln -s ../victim shared/$1.prom' 'ln -s ../victim shared/$1.prom.$1.tmp' \
		'ln -s ../nothing shared/$1.prom.$1.tmp' 'ln victim shared/$1.prom.$1.tmp' \
		': >shared/$1.prom.$1.tmp' 'mkfifo -m 666 shared/$1.prom.$1.tmp'; do
		# Root may take it away, another user may not.
		plants "$way"
		wait_until 20 has_series "shared/$pid.prom"
		touch go
		ended "$pid"
		[[ $status -eq 0 && $(<victim) == precious && ! -e nothing && -z $(ls shared) ]]
		plants "$way" setpriv --reuid=65533 --regid=65533 --clear-groups
		wait_until 20 told
		[[ ! -s shared/$pid.prom.$pid.tmp || $(<"shared/$pid.prom.$pid.tmp") == precious ]]
		touch go
		ended "$pid"
		[[ $status -eq 0 && $(<victim) == precious && ! -e nothing ]]
	done
	plants 'mkdir shared/$1.prom.$1.tmp'
	wait_until 20 told
	touch go
	ended "$pid"
	[[ $status -eq 0 ]]
}

@test "security: what a program is called goes into names and files as it is" {
	name='%n%s%1$n %p"\'
	ln -s "$steps" "$name"
	mkdir series
	LOG='log.%n.jsonl' start_pooled COPOOL_INTERVAL_MS=10 COPOOL_PROMETHEUS='series/%n.prom' "./$name" use 1 wait go
	wait_until 20 has_series "series/$name.prom"
	grep -qF 'program="%n%s%1$n %p\"\\"' "series/$name.prom"
	touch go
	ended "$pid"
	LOG="log.$name.jsonl"
	check_balance
	[[ $(log_open program) == "$name" && $(echo *log*) == "$LOG" && -z $(ls series) ]]
}

# secure_program: a program that has the library without a preload, so that it is there with another's rights too.
secure_program() {
	gcc -o secure "$TESTS/programs/steps.c" -rdynamic -Wl,--no-as-needed "$COPOOL_SO" -Wl,-rpath,"${COPOOL_SO%/*}" -pthread
	ldd secure | grep -q "$COPOOL_SO" || lacks "the library cannot be linked to"
	"${as_nobody[@]}" ./secure use 1 || lacks "another user cannot reach the library"
}

@test "security: with another's rights no setting counts, though the library is there" {
	shared_folder
	requires gcc setcap
	secure_program
	mkdir -m 777 open
	settings=(COPOOL_LOG="$PWD/open/log" COPOOL_HOST=named COPOOL_PROMETHEUS="$PWD/open/x.prom" COPOOL_NONSENSE=1)
	run_shown "${as_nobody[@]}" env "${settings[@]}" ./secure use 100
	[[ $status -eq 0 && -s open/log ]]
	rm open/log
	# Whose else's rights these are does not matter.
	for rights in 'chmod 4755' 'chmod 2755' 'setcap cap_net_raw+ep'; do
		chmod 755 secure
		$rights secure || lacks "no $rights here"
		run_shown "${as_nobody[@]}" env "${settings[@]}" ./secure use 100
		[[ $status -eq 0 && -z $output && -z $(ls open) ]]
	done
}

# Ways into the memory of a program that would be writable and executable at once.
is_writable_code() {
	grep -E '(mmap|mprotect|pkey_mprotect)\(.*PROT_WRITE\|PROT_EXEC'
}

@test "security: no memory is ever writable and executable, whatever the program" {
	requires strace qemu-img php
	cat >fibers.php <<-'END'
		<?php
		for ($i = 0; $i < 100; $i++) {
			$fiber = new Fiber(static function (): void { Fiber::suspend(); });
			$fiber->start();
		}
	END
	: >traced
	try() {
		run_pooled COPOOL_LOG=log strace -f -o trace -e trace=mmap,mprotect,pkey_mprotect,mremap,execve "$@"
		[[ $status -eq 0 ]]
		grep -q "execve(.*$1" trace
		cat trace >>traced
	}
	try qemu-img bench -c 1000 -d 64 --image-opts driver=null-aio,size=1G
	try php -n fibers.php
	try "$steps" use 100
	[[ $(grep -c 'PROT_READ|PROT_EXEC' traced) -ge 3 ]]
	run ! is_writable_code <traced
	# The same eyes see what they should.
	echo 'mprotect(0x1000, 4096, PROT_READ|PROT_WRITE|PROT_EXEC) = 0' | is_writable_code
}

@test "security: a running program has no memory that is writable and executable" {
	start_pooled "$steps" use 100 wait go
	wait_until 20 grep -q 'libcopool' "/proc/$pid/maps"
	wait_until 20 test -s "$LOG"
	grep -qE '^[0-9a-f]+-[0-9a-f]+ r-xp 0+ 00:00 0 *$' "/proc/$pid/maps" # the islands
	run ! grep -E '^[0-9a-f-]+ .wx' "/proc/$pid/maps"
	touch go
	ended "$pid"
}

# is_hardened FILE FUNCTION: what the compiler and the linker can do is done; prints what is not.
is_hardened() {
	local dynamic segments missing=0
	dynamic=$(readelf --dynamic --wide "$1")
	segments=$(readelf --program-headers --wide "$1")
	lacking() {
		echo "${FILE##*/}: $1"
		missing=1
	}
	FILE=$1
	grep -q 'GNU_RELRO' <<<"$segments" || lacking "RELRO"
	grep -qE 'BIND_NOW|Flags:.*NOW' <<<"$dynamic" || lacking "BIND_NOW"
	! grep -qE 'GNU_STACK.*E +0x|LOAD.* RWE' <<<"$segments" || lacking "a stack that cannot be executed"
	! grep -qE 'RPATH|RUNPATH|TEXTREL' <<<"$dynamic" || lacking "freedom of RPATH and TEXTREL"
	readelf --file-header "$1" | grep -q 'Type: *DYN' || lacking "any address"
	nm --dynamic "$1" | grep -q ' __stack_chk_fail' || lacking "stack protector"
	nm --dynamic "$1" | grep -q ' __[a-z]*_chk@' || lacking "_FORTIFY_SOURCE"
	[[ $(uname -m) != x86_64 ]] || objdump -d --no-show-raw-insn "$1" | grep -A1 "<$2>:" | grep -q endbr64 ||
		lacking "-fcf-protection"
	return $missing
}

@test "security: library and command are built with all that compiler and linker can do" {
	requires readelf nm objdump gcc
	is_hardened "$COPOOL_SO" mmap
	is_hardened "$COPOOL" main
	grep -q -- '-D_FORTIFY_SOURCE=3' "$COPOOL_BUILD/flags"
	grep -q -- '-fstack-protector-strong' "$COPOOL_BUILD/flags"
	printf '#include <stdio.h>\nint f(char *x) { char y[9]; return sprintf(y, "%%s", x); }' >x.c
	gcc -O0 -shared -fPIC -fno-stack-protector -fcf-protection=none -Wl,-z,norelro,-z,lazy,-z,execstack,-rpath,/x -o x.so x.c
	run is_hardened ./x.so f
	[[ $status -eq 1 && $(wc -l <<<"$output") -eq 7 ]]
}
