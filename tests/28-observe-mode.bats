#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Observe mode: the program is what it is without the shim, and what it did is counted.
# shellcheck disable=SC2034 # FILTER is read by same_twin
# shellcheck disable=SC2016 # what is in single quotes is for the program to expand
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2054 # the commas belong to QEMU's options

load lib/helper
load lib/qemu
load lib/packages

setup() {
	requires jq
	cd "$BATS_TEST_TMPDIR" || return
	export COPOOL_MODE=observe
	truth=$PWD/truth.json
}

null_aio=(--image-opts driver=null-aio,size=1G)
bursts=(bench -w -c 20480 -d 1024 --flush-interval=1024 "${null_aio[@]}")

is_observed() { # HOST
	[[ $(log_open host) == "$1" && $(log_open mode) == observe ]]
	check_balance
}

creates() { # POOL: those of any kind
	echo $(($(log_final create_local "$1") + $(log_final create_depot "$1") + $(log_final create_new "$1")))
}

# What only a pool of ours could have done.
nothing_is_pooled() {
	local counter
	for counter in create_depot destroy_depot pooled depot_batches depot_retries trimmed calls_saved maps_saved; do
		[[ $(log_final $counter) -eq 0 ]] || {
			echo "$counter is $(log_final $counter)"
			return 1
		}
	done
}

# tells_truth POOL SIZE: the program counted the same, and the size of its own pool is what it was.
tells_truth() {
	echo "the program says: $(<"$truth")"
	[[ $(log_final create_new "$1") -eq $(jq .made "$truth") ]]
	[[ $(log_final destroy_delete "$1") -eq $(jq .deleted "$truth") ]]
	[[ $(log_final peak_objects "$1") -eq $(jq .most "$truth") ]]
	[[ $(jq .pool_size "$truth") -eq $2 ]]
}

@test "observe: a QEMU's own pool serves it as without the shim, and every create and miss is counted" {
	requires_program qemu_like qemu_newer
	same_twin PROGRAM_TRUTH="$truth" "$PROGRAMS/qemu_like" churn
	[[ $status -eq 0 && $output == fine ]]
	is_observed qemu
	nothing_is_pooled
	tells_truth "$COROUTINES" 64
	[[ $(log_final live) -eq $(($(jq .made "$truth") - $(jq .deleted "$truth"))) ]]
	(($(log_final create_local) > 0 && $(log_final create_new) > 64))
	rm "$LOG"
	same_twin PROGRAM_TRUTH="$truth" "$PROGRAMS/qemu_newer" churn
	[[ $status -eq 0 ]]
	is_observed qemu
	tells_truth "$COROUTINES" 128
}

@test "observe: what a program's own pool serves is the same number as without the shim" {
	requires_program qemu_like
	run_stock PROGRAM_TRUTH="$truth" "$PROGRAMS/qemu_like" churn
	stock=$(jq -c . "$truth")
	run_pooled PROGRAM_TRUTH="$truth" "$PROGRAMS/qemu_like" churn
	[[ $(jq -c . "$truth") == "$stock" ]]
	# All creates are those that the pool sees when it is the only one.
	mine=$(creates "$COROUTINES")
	rm "$LOG"
	run_pooled COPOOL_MODE=pool "$PROGRAMS/qemu_like" churn
	[[ $(log_open mode) == pool && $(creates "$COROUTINES") -eq $mine && $mine -gt 1000 ]]
}

@test "observe: no counter falls while threads are at work, and what was made is never taken for what was idle" {
	requires_program several
	run_pooled COPOOL_HOST=stacks COPOOL_INTERVAL_MS=10 "$PROGRAMS/several" threads 4000
	[[ $status -eq 0 ]]
	is_observed stacks
	[[ $(log_records sample | wc -l) -ge 5 ]]
	jq -se '[.[] | select(.type == "sample" or .type == "final")]
		| all(.[]; .create_local == 0 and .destroy_local == 0)
		and all(range(1; length) as $i
			| ["create_new", "destroy_delete", "create_depot", "destroy_depot", "trimmed", "calls_saved"][] as $name
			| .[$i][$name] >= .[$i - 1][$name]; .)' "$LOG"
}

@test "observe: threads, signals, forks, hints and errno are as without the shim" {
	requires_program qemu_like
	for scenario in threads short-threads hand-over signals forks errno thread-keys hints; do
		rm -f "$LOG"
		same_twin "$PROGRAMS/qemu_like" $scenario
		[[ $status -eq 0 && $output == fine ]]
		[[ $(log_records open .mode | sort -u) == observe ]]
		check_balance
	done
}

@test "observe: a fork's child counts for itself, and says what it inherited" {
	requires_program qemu_like
	same_twin "$PROGRAMS/qemu_like" fork-exit
	[[ $status -eq 0 ]]
	check_balance
	child=$(log_records open 'select(.ppid != 0 and .mode == "observe") | .pid')
	# Those that the parent held and what lies in its pool, which is the child's now.
	[[ $(pool_final inherited "$child") -ge 60 && $(pool_final create_new "$child") -gt 0 ]]
	(($(pool_final live "$child") <= $(pool_final inherited "$child") + $(pool_final create_new "$child")))
}

@test "observe: qemu-img says the same, and its creates are those that a pool of ours would see" {
	requires_sized_pool qemu-img
	FILTER=$FILTER_SECONDS
	same_twin qemu-img "${bursts[@]}"
	[[ $status -eq 0 ]]
	is_observed qemu
	nothing_is_pooled
	seen=$(creates "$COROUTINES") made=$(log_final create_new "$COROUTINES")
	# A burst of 1024 finds little in a pool of 64 and what threads keep.
	((made > 5000 && made < seen))
	rm "$LOG"
	run_pooled COPOOL_MODE=pool qemu-img "${bursts[@]}"
	[[ $(creates "$COROUTINES") -eq $seen ]]
	(($(log_final create_new "$COROUTINES") < made / 4))
}

@test "observe: create_new of qemu-img is what an observer outside of the shim counts" {
	requires_qemu qemu-img
	requires_program count_contexts
	run_pooled LD_PRELOAD="$COPOOL_SO $PROGRAMS/count_contexts" COUNT_CONTEXTS="$PWD/contexts" qemu-img "${bursts[@]}"
	[[ $status -eq 0 && $(<contexts) -gt 1000 ]]
	[[ $(log_final create_new "$COROUTINES") -eq $(<contexts) ]]
}

@test "observe: the stacks of QEMU's coroutines are counted beside them, and stay QEMU's" {
	requires_qemu qemu-img
	run_pooled qemu-img "${bursts[@]}"
	stacks=$(log_records final 'select(.pool | startswith("stack ")).create_new')
	[[ $stacks -eq $(log_final create_new "$COROUTINES") ]]
	[[ $(log_records final 'select(.pool | startswith("stack ")).peak_objects') -eq $(log_final peak_objects "$COROUTINES") ]]
}

@test "observe: QEMU 10.0 and 5.2 are observed as well, with every create" {
	FILTER=$FILTER_SECONDS
	for version in "10.0 trixie" "5.2 bullseye"; do
		read -r number suite <<<"$version"
		rm -f "$LOG"
		requires_unpacked "qemu-$number" "$suite" qemu-utils
		libraries=$CACHE/qemu-$number/usr/lib/$(uname -m)-linux-gnu
		requires_libraries "$CACHE/qemu-$number/usr/bin/qemu-img" "$libraries"
		same_twin LD_LIBRARY_PATH="$libraries" "$CACHE/qemu-$number/usr/bin/qemu-img" "${bursts[@]}"
		[[ $status -eq 0 ]]
		is_observed qemu
		(($(creates "$COROUTINES") >= 20480 && $(log_final create_new "$COROUTINES") > 1000))
	done
}

fibers='for ($i = 0; $i < 3000; $i++) { $f = new Fiber(function ($n) { return $n + Fiber::suspend($n); });
	$sum = ($sum ?? 0) + $f->start($i); $f->resume(1); }
	for ($i = 0; $i < 200; $i++) { $f = new Fiber(fn() => Fiber::suspend()); $f->start(); $all[] = $f; }
	echo "$sum\n";'

@test "observe: PHP's fibers are counted call by call, as strace counts them" {
	requires php strace
	same_twin php -n -r "$fibers"
	[[ $status -eq 0 && $output == 4498500 ]]
	is_observed stacks
	nothing_is_pooled
	name=$(log_records final .pool)
	bytes=$(sed -E 's/stack ([0-9]+).*/\1/' <<<"$name")
	[[ $name == "stack "* && $(log_final create_new) -eq 3200 && $(log_final peak_objects) -eq 200 ]]
	strace -f -o trace -e trace=mmap,munmap php -n -r "$fibers"
	[[ $(grep -c "mmap(NULL, $bytes" trace) -eq $(log_final create_new) ]]
	[[ $(grep -c "munmap(0x[0-9a-f]*, $bytes)" trace) -eq $(log_final destroy_delete) ]]
}

@test "observe: a program makes the same system calls for its stacks as without the shim" {
	requires php strace
	for twin in stock observed; do
		preload=
		[[ $twin == stock ]] || preload=$COPOOL_SO
		strace -f -o $twin -E LD_PRELOAD="$preload" -e trace=mmap,munmap,mprotect,madvise,prctl php -n -r "$fibers"
		# Mappings of a fiber's size and what names them, and its guard page.
		grep -oE '[a-z0-9]+\(.*(2101248|4096, PROT_NONE).*' $twin | sed 's/0x[0-9a-f]*/ADDRESS/g' >calls.$twin
	done
	[[ $(grep -c mmap calls.stock) -eq 3200 ]]
	cmp calls.stock calls.observed
}

@test "observe: learned stacks are counted from when they are learned, until one has no guard page" {
	requires_program lives
	export COPOOL_HOST=stacks COPOOL_LEARN=1
	same_twin "$PROGRAMS/lives" learned 100
	[[ $status -eq 0 && $output == "wrong 0" && $(log_open detail) == *learned* ]]
	is_observed stacks
	[[ $(log_final create_new) -eq 84 && $(log_final destroy_delete) -eq 84 && $(log_final peak_objects) -eq 1 ]]
	rm "$LOG"
	same_twin "$PROGRAMS/lives" spoiled 100
	[[ $(log_final create_new) -eq 34 && $(log_final destroy_delete) -eq 34 ]]
	rm "$LOG"
	# As many as a pool would be asked for.
	run_pooled COPOOL_MODE=pool "$PROGRAMS/lives" spoiled 100
	[[ $(($(log_final create_new) + $(log_final create_local))) -eq 34 ]]
}

@test "observe: a stack is gone in whatever way it goes" {
	requires_program lives
	same_twin COPOOL_HOST=stacks "$PROGRAMS/lives" ends
	[[ $status -eq 0 && $output == "wrong 0" ]]
	is_observed stacks
	[[ $(log_final create_new) -eq 6 && $(log_final destroy_delete) -eq 6 && $(log_final live) -eq 0 ]]
	# What ends without success goes on.
	[[ $(log_final peak_objects) -eq 6 ]]
}

@test "observe: random programs that do all that can be done to mappings see the same" {
	requires_program mappings
	for first in 1 9001; do
		rm -f "$LOG"
		"$PROGRAMS/mappings" $first 100 >stock
		COPOOL_HOST=stacks LD_PRELOAD=$COPOOL_SO COPOOL_LOG=$LOG "$PROGRAMS/mappings" $first 100 >observed
		[[ -s stock ]]
		cmp stock observed
		is_observed stacks
		(($(log_final create_new) > 100 && $(log_final destroy_delete) > 100))
	done
}

@test "observe: a stack that overflows still kills, and threads and forks go on" {
	requires_program stacks
	export COPOOL_HOST=stacks
	same_twin "$PROGRAMS/stacks" reach 100
	same_twin "$PROGRAMS/stacks" overflow 100
	rm -f "$LOG"
	same_twin "$PROGRAMS/stacks" threads 20
	[[ $status -eq 0 ]]
	check_balance
}

@test "observe: named functions run each time, with what they were called with" {
	requires_program named
	same_twin COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop "$PROGRAMS/named" plain 100
	[[ $output == *"boxes 10000 10000 "* ]]
	is_observed named
	nothing_is_pooled
	[[ $(log_final create_new) -eq 10000 && $(log_final destroy_delete) -eq 10000 ]]
	[[ $(log_final peak_objects) -eq 100 && $(log_final live) -eq 0 ]]
	rm "$LOG"
	# Fewer arguments named than there are: they reach the function all the same.
	same_twin COPOOL_CREATE=block_make/1 COPOOL_DESTROY=block_drop "$PROGRAMS/named" sized 1000
	[[ $status -eq 0 && $output == *"wrong 0"* ]]
	[[ $(log_final create_new "block_make(0x10)") -eq 143 ]]
	rm "$LOG"
	same_twin COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop "$PROGRAMS/named" foreign 500
	[[ $(log_final create_new) -eq 500 && $(log_final destroy_delete) -eq 500 ]]
}

@test "observe: a program without coroutines is left alone, and so is one that cannot be patched" {
	same_twin cat /dev/null
	[[ $(log_open host) == none && $(log_open mode) == none && $(wc -l <"$LOG") -eq 1 ]]
	rm "$LOG"
	requires_program qemu_unmovable
	same_twin "$PROGRAMS/qemu_unmovable" churn
	[[ $status -eq 0 && $(log_open mode) == none && $(log_open detail) == *"left to its own pool"* ]]
}

@test "observe: without a log there is no thread of ours" {
	requires php
	count='echo count(scandir("/proc/self/task")) - 2, "\n"; $f = new Fiber(fn() => Fiber::suspend()); $f->start();
		echo count(scandir("/proc/self/task")) - 2;'
	run env LD_PRELOAD="$COPOOL_SO" php -n -r "$count"
	[[ $output == $'1\n1' ]]
	run env LD_PRELOAD="$COPOOL_SO" COPOOL_MODE=pool php -n -r "$count"
	[[ $output == $'1\n2' ]]
}

@test "observe: the log says that nothing is kept and nothing given back" {
	requires php
	run_pooled COPOOL_MAX_BATCHES=7 COPOOL_DECAY_MS=500 php -n -r "$fibers"
	[[ $(log_open max_batches) -eq 0 && $(log_open decay_ms) -eq 0 ]]
}

@test "observe: a mode that is no mode is said with its value, and the program is pooled" {
	requires php
	same_twin COPOOL_MODE=observed php -n -r "$fibers"
	[[ $(log_open mode) == pool ]]
	log_records warning .text | grep -F 'COPOOL_MODE=observed' | grep -F 'pool, observe'
}

@test "observe: what a log of QEMU foretells is what pooling saves, and it names programs that are not helped" {
	requires_qemu qemu-img
	unset COPOOL_MODE
	local bench=(qemu-img bench -w -c 40960 --image-opts driver=null-aio,size=1G) foreseen made
	run_shown "$COPOOL" run --observe --interval=50 --log="$LOG" -- "${bench[@]}" -d 1024 --flush-interval=1024
	[[ $status -eq 0 ]]
	made=$(log_final create_new qemu-coroutine)
	run_shown "$COPOOL" advise "$LOG"
	[[ $status -eq 0 && $output == *"qemu-coroutine: Would help. Without copool "*"try it with COPOOL_MODE=pool"* ]]
	foreseen=$("$COPOOL" advise --json "$LOG" | jq '.pools[] | select(.pool == "qemu-coroutine").foreseen_saved | floor')
	rm "$LOG"
	run_shown "$COPOOL" run --log="$LOG" -- "${bench[@]}" -d 1024 --flush-interval=1024
	# No more than that is promised, and not much less.
	made=$((made - $(log_final create_new qemu-coroutine)))
	echo "foreseen $foreseen, saved $made"
	((foreseen > 20000 && foreseen <= made + 1024 && foreseen >= made - 1024))
	rm "$LOG"
	run_shown "$COPOOL" run --observe --log="$LOG" -- "${bench[@]}" -d 64
	run_shown "$COPOOL" show "$LOG"
	[[ $output == *"qemu-coroutine: Would not help. "*"leave it off."* ]]
}

@test "observe: copool run --observe, and copool show says so" {
	requires php
	unset COPOOL_MODE
	run_shown "$COPOOL" run --observe --log="$LOG" -- php -n -r "$fibers"
	[[ $status -eq 0 && $output == 4498500 ]]
	is_observed stacks
	run_shown "$COPOOL" show "$LOG"
	[[ $status -eq 0 && $output == *"host stacks (observe): "* && $output == *" 3200 "* ]]
	[[ $output == *"Would help. Without copool 3,200 of 3,200 creates (100 %) had to be made. copool would have saved "* ]]
}
