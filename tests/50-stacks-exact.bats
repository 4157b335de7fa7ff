#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Mappings under the adapter stacks behave as the kernel's do, whatever a program does to them; and a program
# under hard conditions goes on as it would without the shim.

load lib/helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	export COPOOL_HOST=stacks
}

# same_mappings FIRST COUNT [VARIABLE=VALUE...]: the random program says the same with and without the shim.
same_mappings() {
	local first=$1 count=$2
	shift 2
	requires_program mappings
	"$PROGRAMS/mappings" "$first" "$count" >stock
	env "$@" LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" "$PROGRAMS/mappings" "$first" "$count" >pooled
	[[ -s stock ]]
	cmp stock pooled || {
		diff stock pooled | head -20
		return 1
	}
	(($(log_final destroy_local) + $(log_final destroy_depot) > count)) # some were ours
}

@test "mappings: 300 random programs see the same with and without the shim" {
	same_mappings 1 300
}

@test "mappings: so they do when guards are made by mprotect" {
	same_mappings 1001 100 COPOOL_GUARD=mprotect
}

@test "mappings: so they do when guards are poison" {
	same_mappings 6001 100 COPOOL_GUARD=poison
}

@test "mappings: so they do when stacks are handed out zeroed" {
	same_mappings 2001 200 COPOOL_ZERO=1
}

@test "mappings: so they do when call sites are learned" {
	same_mappings 3001 100 COPOOL_LEARN=1
}

@test "mappings: so they do when all memory of a size is taken for stacks" {
	same_mappings 4001 100 COPOOL_STACK_SIZE=65536
}

@test "mappings: so they do when nothing is kept" {
	same_mappings 5001 100 COPOOL_MAX_BATCHES=0 COPOOL_DECAY_MS=100
}

@test "guard: an overflow is stopped at it, on a first stack and on a recycled one" {
	requires_program stacks
	for guard in auto mprotect; do
		export COPOOL_GUARD=$guard
		for lives in 0 1 1000; do
			same_twin "$PROGRAMS/stacks" reach "$lives"
			[[ $status -eq 3 && $output == 'stopped at the guard' ]]
		done
	done
}

@test "guard: an overflow kills the program by SIGSEGV, on a first stack and on a recycled one" {
	requires_program stacks
	for lives in 0 1 1000; do
		same_twin "$PROGRAMS/stacks" overflow "$lives"
		[[ $status -eq 139 ]]
	done
}

@test "guard: one that grows and shrinks from life to life is always what was asked for" {
	requires_program stacks
	for guard in auto mprotect; do
		same_twin COPOOL_GUARD=$guard "$PROGRAMS/stacks" guards
		[[ $output == '0 pages of guards were none' ]]
	done
}

@test "stacks: a sandbox that refuses guards, or every advice, changes nothing" {
	requires_program stacks
	for what in guards madvise poison; do
		for means in auto poison; do
			same_twin COPOOL_GUARD=$means "$PROGRAMS/stacks" refuse "$what"
			[[ $output == $'sandbox 0\n0 failed' ]]
		done
	done
}

@test "stacks: COPOOL_ZERO=1 hands recycled ones out zeroed" {
	requires_program stacks
	run_pooled COPOOL_ZERO=1 "$PROGRAMS/stacks" zero 200
	[[ $output == '0 bytes were not zero' ]]
	(($(log_final create_local) + $(log_final create_depot) >= 200))
}

@test "stacks: at a limit on the address space mmap fails as without the shim, with nearly as many stacks" {
	requires_program stacks
	local limit=$((2 << 30)) stock
	run_stock "$PROGRAMS/stacks" limit $limit
	stock=$(sed -n 's/made //p' <<<"$output")
	# What a sample looks at stacks with takes a few KiB of what is measured here.
	run_pooled COPOOL_INTERVAL_MS=3600000 "$PROGRAMS/stacks" limit $limit
	[[ $status -eq 0 && ${lines[0]} == ENOMEM && ${lines[2]} == 'and again' ]]
	(($(sed -n 's/made //p' <<<"$output") * 10 > stock * 8))
}

@test "stacks: a program that locks its memory within a limit goes on" {
	requires_program stacks
	for limit in $((256 << 20)) $((32 << 20)); do
		same_twin "$PROGRAMS/stacks" lock $limit
		[[ $status -eq 0 ]]
	done
}

@test "stacks: a program whose first thread leaves it to another ends when that one does, with all it printed" {
	requires_program leaves
	local how
	for how in at-once fork; do
		same_twin COPOOL_HOST=stacks timeout --signal=KILL 120 "$PROGRAMS/leaves" $how
		[[ $status -eq 0 && $output == worked ]]
	done
	log_records warning | grep -q 'first thread has ended'
}

# The last thread that libc knows flushes the program's files, and ours has none of them.
@test "stacks: and so it does where our thread is slow to end" {
	requires_program leaves slow_ends
	local how
	for how in at-once fork; do
		run_shown env LD_PRELOAD="$PROGRAMS/slow_ends $COPOOL_SO" COPOOL_LOG="$LOG" COPOOL_HOST=stacks \
			timeout --signal=KILL 120 "$PROGRAMS/leaves" $how
		[[ $status -eq 0 && $output == worked ]]
	done
}

@test "stacks: a fork's child may ask for its first one in a signal handler that interrupts malloc" {
	requires_program handler
	same_twin COPOOL_HOST=stacks timeout --signal=KILL 120 "$PROGRAMS/handler"
	[[ $status -eq 0 && $output == 20 ]]
}

@test "stacks: a program that keeps capabilities while it changes its user, or leaves its user namespace, may do so" {
	requires setpriv unshare
	[[ $EUID -eq 0 ]] || skip "only root may change its user"
	same_twin COPOOL_HOST=stacks COPOOL_LOG=/dev/null setpriv --reuid 65534 --clear-groups id
	[[ $status -eq 0 ]]
	same_twin COPOOL_HOST=stacks COPOOL_LOG=/dev/null unshare --user id
	requires_program aside
	for when in keep keep-first; do
		rm -f "$LOG"
		same_twin COPOOL_HOST=stacks "$PROGRAMS/aside" $when
		[[ $status -eq 0 && $(log_records final | wc -l) -eq 1 ]]
		log_records warning .text | grep -q '^the program keeps capabilities.*no more statistics'
		check_balance
	done
}

@test "learning: a function that makes both guarded stacks and tables goes on to give zeroed tables" {
	requires_program wrapper
	same_twin COPOOL_LEARN=1 "$PROGRAMS/wrapper"
	[[ $status -eq 0 && $output == '0 bytes were not zero' ]]
	(($(log_final create_local "stack 65536") > 0)) # the stacks were learned
}

@test "stacks: of many threads each has its own, and so have children forked at the same time" {
	requires_program stacks
	for guard in auto mprotect; do
		same_twin COPOOL_GUARD=$guard "$PROGRAMS/stacks" threads 40
		[[ $status -eq 0 && $output == '0 damaged, 0 children failed' ]]
	done
}

@test "core: a dump with 1000 stacks alive is hardly larger" {
	local stock
	requires_program stacks
	[[ $(</proc/sys/kernel/core_pattern) == core* ]] || skip "core dumps go elsewhere on this machine"
	ulimit -c unlimited
	run_stock "$PROGRAMS/stacks" crash 1000
	stock=$(cat core* | wc -c)
	rm core*
	run_pooled "$PROGRAMS/stacks" crash 1000
	[[ $status -eq 134 ]]
	(($(cat core* | wc -c) < stock + (16 << 20)))
	(($(du -k core* | cut -f 1) < 32 << 10))
}

# calls_of COMMAND...: how many system calls that concern mappings it makes.
calls_of() {
	strace -f -o "$BATS_TEST_TMPDIR/strace" -e trace=mmap,munmap,mprotect,madvise "$@" >/dev/null
	grep -c '(' "$BATS_TEST_TMPDIR/strace"
}

# few_calls MOST WORD...: of a program's lives of stacks, 10,000 more cost MOST calls at most; # stands for the rounds.
few_calls() {
	local most=$1 few many
	shift
	requires strace
	few=$(calls_of env LD_PRELOAD="$COPOOL_SO" "${@//#/100}") many=$(calls_of env LD_PRELOAD="$COPOOL_SO" "${@//#/600}")
	echo "$few calls for 2000 stacks, $many for 12000: ${*}"
	((many - few <= most))
}

@test "reserved: stacks that are opened above their guard or between two behave the same, and recycled ones make no system call" {
	requires_program reserved
	local means kind
	for means in auto poison mprotect; do
		for kind in 300 '300 between' odd; do
			# shellcheck disable=SC2086 # several words
			same_twin COPOOL_GUARD=$means "$PROGRAMS/reserved" $kind
			# shellcheck disable=SC2086
			same_twin COPOOL_GUARD=$means COPOOL_ZERO=1 "$PROGRAMS/reserved" $kind
		done
	done
	few_calls 20 "$PROGRAMS/reserved" '#'
	few_calls 20 "$PROGRAMS/reserved" '#' between
	few_calls 20 COPOOL_GUARD=mprotect "$PROGRAMS/reserved" '#' between
}

@test "reserved: without MAP_STACK they are learned on request, come zeroed, and are unlearned by the first that is treated otherwise" {
	requires_program reserved
	local means kind
	unset COPOOL_HOST
	for means in auto poison mprotect; do
		rm -f "$LOG"
		same_twin COPOOL_LEARN=1 COPOOL_GUARD=$means "$PROGRAMS/reserved" 100 plain between zero
		(($(log_final create_local) + $(log_final create_depot) > 1900))
		check_balance
		for kind in never bottom reading parts; do
			rm "$LOG"
			same_twin COPOOL_LEARN=1 COPOOL_GUARD=$means "$PROGRAMS/reserved" exception $kind plain between zero
			(($(log_final create_local) + $(log_final create_depot) + $(log_final create_new) < 250)) # of 600
			check_balance
		done
	done
	rm "$LOG"
	same_twin COPOOL_STACK_SIZE=262144 "$PROGRAMS/reserved" 100 plain zero
	(($(log_final create_local) + $(log_final create_depot) > 1900))
	rm "$LOG"
	same_twin COPOOL_LEARN=1 COPOOL_MODE=observe "$PROGRAMS/reserved" 100 plain between
	(($(log_final create_new) > 1900))
	few_calls 10020 COPOOL_LEARN=1 "$PROGRAMS/reserved" '#' plain between # to clear it; without us three
}

@test "reserved: an overflow into the guard below or above a recycled one kills by SIGSEGV" {
	requires_program reserved
	local means side
	for means in auto mprotect; do
		for side in below above; do
			run_pooled COPOOL_GUARD=$means "$PROGRAMS/reserved" overflow $side
			[[ $status -eq 139 && $output == *'at the edge'* && $output != *beyond* ]]
		done
	done
}

@test "guards: those that are opened again before munmap unlearn no call, and cost two system calls a life" {
	requires_program guards
	local means
	for means in auto poison mprotect; do
		same_twin COPOOL_GUARD=$means "$PROGRAMS/guards" opened 100
		rm "$LOG"
		same_twin COPOOL_LEARN=1 COPOOL_GUARD=$means "$PROGRAMS/guards" opened 100 plain
		(($(log_final create_local) + $(log_final create_depot) > 1900))
		check_balance
	done
	few_calls 20020 "$PROGRAMS/guards" opened '#' # without us four
}

@test "guards: those that a program installs by madvise are recycled, cost nothing, and are not there for a program that installs none" {
	requires_program guards
	local kind variables
	for variables in A=1 COPOOL_GUARD=poison COPOOL_GUARD=mprotect COPOOL_ZERO=1 COPOOL_STACK_SIZE=65536 \
		COPOOL_LEARN=1; do
		for kind in 'advised 100' 'some 10' 'some 100' 'other 10' 'other 100' 'other 100 plain'; do
			# shellcheck disable=SC2086 # several words
			same_twin "$variables" "$PROGRAMS/guards" $kind
			check_balance
		done
	done
	if "$PROGRAMS/guards" can; then
		few_calls 20 "$PROGRAMS/guards" advised '#'
	fi
}

@test "guards: an overflow into one that the program installed kills by SIGSEGV, on a first stack and on a recycled one" {
	requires_program guards
	local means rounds
	for means in auto mprotect; do
		for rounds in 0 10 100; do
			run_pooled COPOOL_GUARD=$means "$PROGRAMS/guards" overflow $rounds
			[[ $status -eq 139 && $output == *'at the edge'* && $output != *beyond* ]]
		done
	done
}
