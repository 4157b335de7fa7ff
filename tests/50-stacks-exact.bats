#!/usr/bin/env bats
# Mappings under the host stacks behave as the kernel's do, whatever a program does to them; and a program
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
	requires_guest mappings
	"$GUESTS/mappings" "$first" "$count" >stock
	env "$@" LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" "$GUESTS/mappings" "$first" "$count" >pooled
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
	requires_guest stacks
	for guard in auto mprotect; do
		export COPOOL_GUARD=$guard
		for lives in 0 1 1000; do
			same_twin "$GUESTS/stacks" reach "$lives"
			[[ $status -eq 3 && $output == 'stopped at the guard' ]]
		done
	done
}

@test "guard: an overflow kills the program by SIGSEGV, on a first stack and on a recycled one" {
	requires_guest stacks
	for lives in 0 1 1000; do
		same_twin "$GUESTS/stacks" overflow "$lives"
		[[ $status -eq 139 ]]
	done
}

@test "guard: one that grows and shrinks from life to life is always what was asked for" {
	requires_guest stacks
	for guard in auto mprotect; do
		same_twin COPOOL_GUARD=$guard "$GUESTS/stacks" guards
		[[ $output == '0 pages of guards were none' ]]
	done
}

@test "stacks: a sandbox that refuses guards, or every advice, changes nothing" {
	requires_guest stacks
	for what in guards madvise poison; do
		for means in auto poison; do
			same_twin COPOOL_GUARD=$means "$GUESTS/stacks" refuse "$what"
			[[ $output == $'sandbox 0\n0 failed' ]]
		done
	done
}

@test "stacks: COPOOL_ZERO=1 hands recycled ones out zeroed" {
	requires_guest stacks
	run_pooled COPOOL_ZERO=1 "$GUESTS/stacks" zero 200
	[[ $output == '0 bytes were not zero' ]]
	(($(log_final create_local) + $(log_final create_depot) >= 200))
}

@test "stacks: a limit on the address space is reached as gently, and bears nearly as many" {
	requires_guest stacks
	local limit=$((2 << 30)) stock
	run_stock "$GUESTS/stacks" limit $limit
	stock=$(sed -n 's/made //p' <<<"$output")
	# What a sample looks at stacks with takes a few KiB of what is measured here.
	run_pooled COPOOL_INTERVAL_MS=3600000 "$GUESTS/stacks" limit $limit
	[[ $status -eq 0 && ${lines[0]} == ENOMEM && ${lines[2]} == 'and again' ]]
	(($(sed -n 's/made //p' <<<"$output") * 10 > stock * 8))
}

@test "stacks: a program that locks its memory within a limit goes on" {
	requires_guest stacks
	for limit in $((256 << 20)) $((32 << 20)); do
		same_twin "$GUESTS/stacks" lock $limit
		[[ $status -eq 0 ]]
	done
}

@test "stacks: a program whose first thread leaves it to another ends when that one does, with all it printed" {
	requires_guest leaves
	local how
	for how in at-once fork; do
		same_twin COPOOL_HOST=stacks timeout --signal=KILL 120 "$GUESTS/leaves" $how
		[[ $status -eq 0 && $output == worked ]]
	done
	log_records warning | grep -q 'first thread has ended'
}

# The last thread that libc knows flushes the program's files, and ours has none of them.
@test "stacks: and so it does where our thread is slow to end" {
	requires_guest leaves slow_ends
	local how
	for how in at-once fork; do
		run_shown env LD_PRELOAD="$GUESTS/slow_ends $COPOOL_SO" COPOOL_LOG="$LOG" COPOOL_HOST=stacks \
			timeout --signal=KILL 120 "$GUESTS/leaves" $how
		[[ $status -eq 0 && $output == worked ]]
	done
}

@test "stacks: a fork's child may ask for its first one in a signal handler that interrupts malloc" {
	requires_guest handler
	same_twin COPOOL_HOST=stacks timeout --signal=KILL 120 "$GUESTS/handler"
	[[ $status -eq 0 && $output == 20 ]]
}

@test "stacks: a program that keeps capabilities while it changes its user, or leaves its user namespace, may do so" {
	requires setpriv unshare
	[[ $EUID -eq 0 ]] || skip "only root may change its user"
	same_twin COPOOL_HOST=stacks COPOOL_LOG=/dev/null setpriv --reuid 65534 --clear-groups id
	[[ $status -eq 0 ]]
	same_twin COPOOL_HOST=stacks COPOOL_LOG=/dev/null unshare --user id
	requires_guest aside
	for when in keep keep-first; do
		rm -f "$LOG"
		same_twin COPOOL_HOST=stacks "$GUESTS/aside" $when
		[[ $status -eq 0 && $(log_records final | wc -l) -eq 1 ]]
		log_records warning .text | grep -q '^the program keeps capabilities.*no more statistics'
		check_balance
	done
}

@test "learning: a function that makes both guarded stacks and tables goes on to give zeroed tables" {
	requires_guest wrapper
	same_twin COPOOL_LEARN=1 "$GUESTS/wrapper"
	[[ $status -eq 0 && $output == '0 bytes were not zero' ]]
	(($(log_final create_local "stack 65536") > 0)) # the stacks were learned
}

@test "stacks: of many threads each has its own, and so have children forked meanwhile" {
	requires_guest stacks
	for guard in auto mprotect; do
		same_twin COPOOL_GUARD=$guard "$GUESTS/stacks" threads 40
		[[ $status -eq 0 && $output == '0 damaged, 0 children failed' ]]
	done
}

@test "core: a dump with 1000 stacks alive is hardly larger" {
	local stock
	requires_guest stacks
	[[ $(</proc/sys/kernel/core_pattern) == core* ]] || skip "core dumps go elsewhere on this machine"
	ulimit -c unlimited
	run_stock "$GUESTS/stacks" crash 1000
	stock=$(cat core* | wc -c)
	rm core*
	run_pooled "$GUESTS/stacks" crash 1000
	[[ $status -eq 134 ]]
	(($(cat core* | wc -c) < stock + (16 << 20)))
	(($(du -k core* | cut -f 1) < 32 << 10))
}

@test "reserved: stacks that are opened above their guard behave the same, and recycled ones make no system call" {
	requires_guest reserved
	local means
	for means in auto poison mprotect; do
		same_twin COPOOL_HOST=stacks COPOOL_GUARD=$means "$GUESTS/reserved" 300
		same_twin COPOOL_HOST=stacks COPOOL_GUARD=$means "$GUESTS/reserved" odd
	done
	requires strace
	calls_of() {
		strace -f -o "$BATS_TEST_TMPDIR/strace" -e trace=mmap,munmap,mprotect,madvise \
			env COPOOL_HOST=stacks LD_PRELOAD="$COPOOL_SO" "$GUESTS/reserved" "$1" >/dev/null
		grep -c '(' "$BATS_TEST_TMPDIR/strace"
	}
	local few many
	few=$(calls_of 10) many=$(calls_of 510)
	echo "$few calls for 200 stacks, $many for 10200"
	((many - few < 20))
}
