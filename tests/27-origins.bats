#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Who causes the misses, and who created what stays: COPOOL_ORIGINS, COPOOL_LEAKS, `copool origins`.

# shellcheck disable=SC2030,SC2031,SC2154 # bats runs each test in a shell of its own; helper.bash sets pid
load lib/helper
load lib/qemu

setup() {
	requires jq
	[[ $(uname -m) == x86_64 ]] || skip "the processor is not x86-64"
	ldconfig -p | grep -qF libunwind-x86_64.so.8 || lacks "there is no libunwind-x86_64.so.8"
	cd "$BATS_TEST_TMPDIR" || return
}

# frames KIND: every frame of the records of a kind.
frames() {
	log_records origin "select(.kind == \"$1\") | .frames[]"
}

# Of the records of a stack the last one counts.
LATEST='def latest: map(select(.type == "origin")) | group_by([.pid, .kind, .pool, .stack]) | map(last);'

# counted KIND POOL: how many were counted.
counted() {
	jq -n --arg kind "$1" --arg pool "$2" \
		"$LATEST"' [inputs] | latest | map(select(.kind == $kind and .pool == $pool) | .count) | add // 0' "$LOG"
}

# Each process' misses are all told of, pool by pool, but for those of stacks that are parts of coroutines.
check_misses() {
	jq -ne '[inputs] | [.[] | select(.type == "final")] | group_by([.pid, .pool]) | map(last) as $finals
		| [$finals[] | select(.pool | test("^stack .* qemu$") | not)] as $finals
		| ($finals | length > 0) and ([$finals[] | .create_new] | add > 0)' "$LOG" >/dev/null
	jq -ne "$LATEST"'[inputs] as $all | [$all[] | select(.type == "final" and (.pool | test("^stack .* qemu$") | not))]
		| group_by([.pid, .pool]) | map(last)
		| all(.[]; . as $final | $final.create_new ==
			([$all | latest[] | select(.kind == "miss" and .pid == $final.pid
				and .pool == $final.pool) | .count] | add // 0))' "$LOG" >/dev/null || {
		echo "the origins do not add up to the misses:"
		log_records final '"\(.pid) \(.pool) \(.create_new)"'
		log_records origin '"\(.pid) \(.pool) \(.count) \(.frames[0])"'
		return 1
	}
}

@test "origins: a library that was loaded by a relative path has its file's names, too" {
	requires python3
	requires_program plugin
	cp "$PROGRAMS/plugin" library.so
	run_pooled COPOOL_ORIGINS=1 COPOOL_HOST=stacks python3 -c 'import ctypes
make = ctypes.CDLL("./library.so").plugin_stack
for _ in range(20): make(1 << 16, 0x20000)'
	[[ $status -eq 0 ]]
	frames miss | grep -qE '^library\.so\+0x[0-9a-f]+ map_hidden$'
}

@test "origins: those of a QEMU run name the block layer's functions" {
	requires_qemu qemu-img
	run_pooled COPOOL_ORIGINS=1 qemu-img bench -w -c 5000 -d 100 --flush-interval=100 \
		--image-opts driver=null-aio,size=1G
	[[ $status -eq 0 ]]
	check_balance
	check_misses
	((counted_misses = $(counted miss qemu-coroutine), counted_misses >= 100))
	frames miss | grep -qE '^qemu-img\+0x[0-9a-f]+ blk_aio_pwritev$'
	[[ $(frames miss) != *libcopool* ]]
	[[ $(log_records origin '.frames | length' | sort -n | head -n 1) -gt 3 ]]
	run "$COPOOL" origins "$LOG"
	[[ $status -eq 0 && $output == *"qemu-img, qemu-coroutine: $counted_misses misses"* && $output == *blk_aio_pwritev* ]]
}

@test "origins: coroutines that QEMU's coroutines create are followed to their beginning" {
	requires_qemu qemu-io qemu-img
	run_stock qemu-img create -q -f qcow2 image 64M
	same_twin COPOOL_ORIGINS=1 qemu-io -f qcow2 image -c 'write -q -P 5 0 8M' -c 'discard -q 0 4M' \
		-c 'aio_write -q -P 6 9M 1M' -c aio_flush -c 'read -q -P 5 4M 4M'
	[[ $status -eq 0 ]]
	check_balance
	check_misses
	frames miss | grep -qE ' (blk|bdrv|qio|qcow2)_'
}

@test "origins: PHP's nested fibers are followed, and all told of" {
	requires php
	cat >nested.php <<-'END'
		<?php
		function nest(int $depth): int {
			if ($depth == 0) return 0;
			$fiber = new Fiber(fn() => nest($depth - 1) + 1);
			$fiber->start();
			return $fiber->getReturn();
		}
		echo nest(100), "\n";
	END
	same_twin COPOOL_ORIGINS=1 php -n nested.php
	[[ $status -eq 0 ]]
	check_balance
	check_misses
	frames miss | grep -qE '^php[^ ]*\+0x[0-9a-f]+ zend_'
}

@test "origins: threads, handlers, forks and late destructors behave and are told of" {
	requires_program qemu_like
	local scenario
	for scenario in threads short-threads hand-over signals signal-waits forks fork-exit errno thread-keys; do
		echo "--- $scenario"
		rm -f "$LOG"
		same_twin COPOOL_ORIGINS=1 "$PROGRAMS/qemu_like" $scenario
		check_balance
		check_misses
		frames miss | grep -qE '^qemu_like\+0x[0-9a-f]+'
	done
}

@test "origins: a fork's child tells of its own misses, and not of its parent's" {
	requires_program qemu_like
	run_pooled COPOOL_ORIGINS=1 "$PROGRAMS/qemu_like" fork-exit
	[[ $status -eq 0 ]]
	check_misses
	[[ $(log_records origin .pid | sort -u | wc -l) -eq 2 ]]
	[[ $(log_records warning) != *origins* ]]
}

@test "origins: every seventh miss stands for seven" {
	requires_program qemu_like
	run_pooled COPOOL_ORIGINS=7 "$PROGRAMS/qemu_like" errno
	[[ $status -eq 0 ]]
	local told new
	told=$(counted miss qemu-coroutine) new=$(log_final create_new qemu-coroutine)
	echo "$told of $new"
	((new >= 1000 && told % 7 == 0 && told >= new && told < new + 7))
	# Which is an estimate, and is said to be one.
	[[ $(log_records origin .every | sort -u) -eq 7 ]]
	run "$COPOOL" origins "$LOG"
	[[ $output == "qemu_like, qemu-coroutine: about $told misses, from "*"; estimated: one miss in 7 was recorded"* ]]
	"$COPOOL" origins --json "$LOG" | jq -e 'all(.origins[]; .is_estimate)'
}

@test "origins: a program that is killed has told of them before, and once is enough for each" {
	requires_program steps
	start_pooled COPOOL_ORIGINS=1 COPOOL_LEAKS=1 COPOOL_INTERVAL_MS=20 COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop \
		"$PROGRAMS/steps" use 100 touch used wait again use 4000 touch "done" wait go
	wait_until 10 test -e used
	told() { [[ $(log_records origin .kind) == *miss* ]]; }
	wait_until 10 told
	touch again
	wait_until 10 test -e "done"
	new=$("$COPOOL" show --json "$pid" | jq '.processes[0].pools[0].create_new')
	half() { "$COPOOL" origins --json "$LOG" | jq -e "[.origins[] | select(.kind == \"miss\").count] | add >= $new / 2"; }
	wait_until 10 half
	stop "$pid" KILL
	[[ $(log_records final) == "" ]]
	# A later record replaces the earlier one.
	"$COPOOL" origins --json "$LOG" | jq -e "[.origins[] | select(.kind == \"miss\").count] | add <= $new"
}

@test "origins: a C++ program that throws keeps its own unwinder" {
	requires_program throws
	same_twin COPOOL_HOST=stacks COPOOL_ORIGINS=1 "$PROGRAMS/throws" stacks
	[[ $status -eq 0 && $output == *"unwinder libgcc_s.so.1"* ]]
	check_misses
	frames miss | grep -qE '^throws\+0x[0-9a-f]+ .*use_stack'
	same_twin COPOOL_HOST=stacks COPOOL_ORIGINS=1 COPOOL_LEAKS=1 "$PROGRAMS/throws" stacks
	same_twin COPOOL_HOST=stacks COPOOL_ORIGINS=1 "$PROGRAMS/throws" uncaught
	[[ $status -eq 134 ]]
}

@test "origins: the program has the descriptors that it always had" {
	requires php
	cat >descriptors.php <<-'END'
		<?php
		for ($i = 0; $i < 100; $i++) { $all[] = $f = new Fiber(fn() => Fiber::suspend()); $f->start(); }
		foreach (scandir('/proc/self/fd') as $fd) echo $fd, ' ', @readlink("/proc/self/fd/$fd"), "\n";
	END
	FILTER='s/(pipe|socket):\[[0-9]+\]/\1/; s#/proc/[0-9]+/#/proc/N/#' same_twin COPOOL_ORIGINS=1 php -n descriptors.php
	[[ $status -eq 0 ]]
	check_misses
}

@test "origins: without libunwind there is a warning, and the pool works" {
	requires_program qemu_like
	mkdir hidden
	: >hidden/libunwind-x86_64.so.8
	same_twin LD_LIBRARY_PATH="$PWD/hidden" COPOOL_ORIGINS=1 "$PROGRAMS/qemu_like" churn
	[[ $status -eq 0 ]]
	check_balance
	[[ $(log_records warning .text) == *"origins"*"libunwind-x86_64.so.8"* ]]
	[[ -z $(log_records origin) && $(log_final create_local qemu-coroutine) -gt 1000 ]]
}

@test "origins: threads that fork at the same time leave them to be written at the end" {
	requires_program qemu_like
	same_twin COPOOL_ORIGINS=1 "$PROGRAMS/qemu_like" forks-at-once
	[[ $status -eq 0 && $output == fine ]]
	check_balance
	(($(log_final create_new "$COROUTINES") > 0 && $(log_records origin .count | wc -l) > 0))
	[[ -z $(log_records warning) ]]
}

@test "origins: without a log there is one warning" {
	requires_program qemu_like
	run_shown env LD_PRELOAD="$COPOOL_SO" COPOOL_ORIGINS=1 "$PROGRAMS/qemu_like" churn
	[[ $status -eq 0 && $output == *"COPOOL_ORIGINS: origins need COPOOL_LOG"* ]]
	[[ $(grep -c copool <<<"$output") -eq 1 ]]
}

@test "origins: libunwind is loaded where origins are asked for, for what a program may load later, and nowhere else" {
	run_pooled cat /proc/self/maps
	[[ $status -eq 0 && $output == *libcopool.so* && $output != *libunwind* ]]
	run_pooled COPOOL_ORIGINS=1 COPOOL_LEAKS=1 cat /proc/self/maps
	[[ $status -eq 0 && $output == *libcopool.so* && $output == *libunwind* ]]
}

@test "leaks: what nobody destroyed is told of with who created it" {
	requires_program steps
	run_pooled COPOOL_HOST=named COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop COPOOL_LEAKS=1 \
		"$PROGRAMS/steps" use 500 keep 37 use 100
	[[ $status -eq 0 ]]
	check_balance
	[[ $(log_final live) -eq 37 && $(log_final create_local) -eq 0 ]]
	[[ $(log_records origin '"\(.kind) \(.count)"') == "leak 37" ]]
	frames leak | grep -qE '^steps\+0x[0-9a-f]+ step_keep$'
	[[ $(frames leak) != *step_use* ]]
	run "$COPOOL" origins --leaks --folded "$LOG"
	[[ $status -eq 0 && $output == "steps;"*";step_keep 37" ]]
}

@test "leaks: in a QEMU run that destroys all there are none" {
	requires_qemu qemu-img
	run_pooled COPOOL_LEAKS=1 qemu-img bench -w -c 1000 -d 100 --flush-interval=100 \
		--image-opts driver=null-aio,size=1G
	[[ $status -eq 0 ]]
	check_balance
	[[ $(log_final live qemu-coroutine) -eq 0 && -z $(log_records origin) ]]
	run "$COPOOL" origins --leaks "$LOG"
	[[ $status -eq 1 && $output == *"the logs have no leaks"* ]]
}

@test "leaks: what a fork's child inherits and keeps is its leak as well" {
	requires_program steps
	run_pooled COPOOL_HOST=named COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop COPOOL_LEAKS=1 \
		"$PROGRAMS/steps" keep 5 fork keep 3
	[[ $status -eq 0 ]]
	check_balance
	[[ $(log_records origin .count | sort -n | tr '\n' ' ') == "5 8 " ]]
}

@test "leaks: threads without caches behave" {
	requires_program qemu_like
	local scenario
	for scenario in churn signal-waits fork-exit errno; do
		echo "--- $scenario"
		rm -f "$LOG"
		same_twin COPOOL_LEAKS=1 "$PROGRAMS/qemu_like" $scenario
		check_balance
	done
}

# ---- copool origins ----

some_log() {
	cat <<-'END'
		{"type":"open","time":1,"pid":7,"format":1,"program":"prog","host":"qemu","mode":"pool","detail":""}
		{"type":"final","time":2,"pid":7,"uptime_ms":1,"pool":"p","create_new":40}
		{"type":"origin","time":2,"pid":7,"pool":"p","kind":"miss","count":10,"frames":["prog+0x10 make","prog+0x20 b;c","prog+0x30"],"cut":0}
		{"type":"origin","time":2,"pid":7,"pool":"p","kind":"miss","count":30,"frames":["prog+0x10 make","prog+0x40","prog+0x50 main"],"cut":0}
		{"type":"origin","time":2,"pid":7,"pool":"p","kind":"miss","count":2,"frames":["?"],"cut":0}
		{"type":"origin","time":2,"pid":7,"pool":"p","kind":"leak","count":4,"frames":["prog+0x10 make","prog+0x50 main"],"cut":0}
		{"type":"open","time":3,"pid":8,"format":1,"program":"prog","host":"qemu","mode":"pool","detail":""}
		{"type":"final","time":4,"pid":8,"uptime_ms":1,"pool":"p","create_new":1}
		{"type":"origin","time":4,"pid":8,"pool":"p","kind":"miss","count":1,"frames":["prog+0x10 make","prog+0x40","prog+0x50 main"],"cut":0}
	END
}

@test "copool origins: places are summed over a program's processes, the most frequent first" {
	some_log >"$LOG"
	run "$COPOOL" origins "$LOG"
	diff - <(echo "$output") <<-'END'
		prog, p: 43 misses, from 3 places
		          31  72.09 %  main
		                       make < prog+0x40 < main
		          10  23.26 %  b?c
		                       make < b?c < prog+0x30
		           2   4.65 %  not recorded

		prog, p: 4 alive at exit, from 1 place
		           4 100.00 %  main
		                       make < main
	END
	run "$COPOOL" origins -n 1 "$LOG"
	[[ $status -eq 0 && $output == *"31"*"and 2 more"* ]]
}

@test "copool origins: --folded is what flame graph tools read" {
	some_log >"$LOG"
	run "$COPOOL" origins --folded - <"$LOG"
	[[ $status -eq 0 ]]
	diff - <(echo "$output") <<-'END'
		prog;main;prog+0x40;make 31
		prog;prog+0x30;b?c;make 10
		prog;? 2
	END
	run "$COPOOL" origins --folded --leaks "$LOG"
	[[ $status -eq 0 && $output == "prog;main;make 4" ]]
}

@test "copool origins: --json has all, and whole frames" {
	some_log >"$LOG"
	run "$COPOOL" origins --json "$LOG"
	[[ $status -eq 0 ]]
	[[ $(jq -c '.origins | map([.program, .pool, .kind, .count])' <<<"$output") == '[["prog","p","miss",31],["prog","p","miss",10],["prog","p","miss",2],["prog","p","leak",4]]' ]]
	[[ $(jq -r '.origins[0].frames[0]' <<<"$output") == "prog+0x10 make" ]]
}

@test "copool origins: what is not there or not meant is said, and the status tells" {
	echo '{"type":"open","time":1,"pid":7,"format":1,"program":"x","host":"qemu","mode":"pool","detail":""}' >"$LOG"
	run "$COPOOL" origins "$LOG"
	[[ $status -eq 1 && $output == *"the logs have no origins"*"--origins"* ]]
	run "$COPOOL" origins absent
	[[ $status -eq 1 && $output == *"absent: No such file"* ]]
	run "$COPOOL" origins
	[[ $status -eq 2 ]]
	run "$COPOOL" origins -n 0 "$LOG"
	[[ $status -eq 2 && $output == *"--top=0: must be a number from 1"* ]]
	run "$COPOOL" origins --json --folded "$LOG"
	[[ $status -eq 2 ]]
}

@test "copool run: --origins and --leaks ask for them" {
	requires_program qemu_like
	run "$COPOOL" run --log="$LOG" --origins -- "$PROGRAMS/qemu_like" errno
	[[ $status -eq 0 ]]
	check_misses
	rm "$LOG"
	run "$COPOOL" run --log="$LOG" --origins=10 --leaks -- "$PROGRAMS/qemu_like" errno
	[[ $status -eq 0 && $(log_final create_local qemu-coroutine) -eq 0 ]]
	(($(counted miss qemu-coroutine) % 10 == 0))
	run "$COPOOL" run --log="$LOG" --origins=many -- true
	[[ $status -eq 2 && $output == *"--origins=many"* ]]
}
