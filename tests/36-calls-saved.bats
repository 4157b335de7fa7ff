#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# System calls saved, as copool says, against what strace counts without the pool and with it.
# shellcheck disable=SC2054 # the commas belong to QEMU's options

load lib/helper
load lib/qemu
load lib/packages

# So many calls make no difference: the C library's own for more memory are not the same in each run. With QEMU's 64
# worker threads they are more: how many arenas malloc makes for them goes by how they meet.
FEW=20
FEW_OF_THREADS=100

setup() {
	requires jq strace
	cd "$BATS_TEST_TMPDIR" || return
	strace -c -o works true 2>/dev/null || lacks "strace may not trace here"
	img=(qemu-img)
}

null_aio=(--image-opts driver=null-aio,size=1G)

requires_qemu_10() {
	local root=$CACHE/qemu-10.0 libraries
	requires_unpacked qemu-10.0 bookworm-backports qemu-utils
	libraries=$root/usr/lib/$(uname -m)-linux-gnu
	requires_libraries "$root/usr/bin/qemu-img" "$libraries"
	img=(-E "LD_LIBRARY_PATH=$libraries" "$root/usr/bin/qemu-img")
}

# calls PRELOAD COMMAND...: with what strace is told of its environment before it; how often it maps, unmaps, protects and advises memory, in
# $calls.
calls() {
	rm -f "$LOG"
	run_shown strace -f -c -o counts -E LD_PRELOAD="$1" -E COPOOL_LOG="$LOG" "${@:2}"
	[[ $status -eq 0 ]]
	calls=$(awk '$NF ~ /^(mmap|munmap|mprotect|madvise|prctl)$/ { sum += $4 } END { print sum }' counts)
}

# compare_calls COMMAND...: what is said of the calls that it makes more than "${idle[@]}" is true within 1 %, or a few;
# it is never more than a few above what strace sees.
compare_calls() {
	local saved=0 said
	calls "" "${idle[@]}"
	((saved -= calls)) || :
	calls "" "$@"
	((saved += calls)) || :
	calls "$COPOOL_SO" "${idle[@]}"
	((saved += calls)) || :
	calls "$COPOOL_SO" "$@"
	((saved -= calls)) || :
	check_balance
	said=$(jq -s 'map(select(.type == "final").calls_saved) | add' "$LOG")
	echo "saved $saved, said $said"
	((said <= saved + FEW && (saved - said <= FEW || (saved - said) * 100 <= saved)))
}

# says_what_is_true ARGUMENT...: of qemu-img bench. Starting and ending is not counted.
says_what_is_true() {
	local idle=("${img[@]}" bench -c 1 -d 1 "${null_aio[@]}")
	compare_calls "${img[@]}" bench "$@"
	is_pooled_qemu
}

bursts=(-w -c 40960 -d 1024 --flush-interval=1024)

@test "calls saved: requests that QEMU's own pool serves save hardly any" {
	requires_qemu qemu-img
	says_what_is_true -c 50000 -d 64 "${null_aio[@]}"
}

@test "calls saved: of bursts they are those that strace counts" {
	requires_qemu qemu-img
	says_what_is_true "${bursts[@]}" "${null_aio[@]}"
}

@test "calls saved: of bursts on a raw file they are those that strace counts" {
	requires_qemu qemu-img
	truncate -s 64M raw
	FEW=$FEW_OF_THREADS says_what_is_true "${bursts[@]}" -s 512 -t writeback -i threads -f raw raw
}

@test "calls saved: of QEMU 10.0, whose own pool is another, they are those that strace counts" {
	requires_qemu_10
	truncate -s 64M raw
	says_what_is_true -c 50000 -d 64 "${null_aio[@]}"
	says_what_is_true "${bursts[@]}" "${null_aio[@]}"
	FEW=$FEW_OF_THREADS says_what_is_true "${bursts[@]}" -s 512 -t writeback -i threads -f raw raw
}

# Fibers in 20 bursts of 200, 4,000 one after the other, and 3 bursts of 1,500; where there are none there is no pool.
bursts_of_fibers=("20 200" "4000 1" "3 1500")

@test "calls saved: of PHP's fibers they are those that strace counts" {
	local burst idle
	requires php
	cat >fibers.php <<-'END'
		<?php
		for ($i = 0; $i < (int)$argv[1]; $i++) {
			$all = [];
			for ($j = 0; $j < (int)$argv[2]; $j++) {
				$all[$j] = new Fiber(function () { Fiber::suspend(); });
				$all[$j]->start();
			}
			foreach ($all as $fiber)
				$fiber->resume();
		}
	END
	idle=(php -n fibers.php 0 0)
	for burst in "${bursts_of_fibers[@]}"; do
		# shellcheck disable=SC2086 # two words
		compare_calls php -n fibers.php $burst
	done
}

@test "calls saved: of D's fibers, whose guards are taken away until they have proven to be guards, as well" {
	local burst idle
	requires ldc2
	cat >fibers.d <<-'END'
		import core.thread, std.conv;
		void main(string[] words)
		{
			foreach (i; 0 .. words[1].to!int) {
				Fiber[] all;
				foreach (j; 0 .. words[2].to!int) {
					all ~= new Fiber({ Fiber.yield(); });
					all[$ - 1].call();
				}
				foreach (fiber; all) {
					fiber.call();
					destroy(fiber);
				}
			}
		}
	END
	ldc2 -link-defaultlib-shared -of=fibers fibers.d
	idle=(./fibers 0 0)
	for burst in "${bursts_of_fibers[@]}"; do
		# shellcheck disable=SC2086 # two words
		compare_calls ./fibers $burst
	done
}
