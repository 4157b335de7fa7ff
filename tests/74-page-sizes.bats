#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Pages of 16 and 64 KiB, which kernels for other processors may have. programs/pages.c pretends them: it says their size,
# refuses what such a kernel refuses, and rounds as it does. 72-aarch64 has them from qemu-user.
# shellcheck disable=SC2016 # what is in single quotes is for the program to expand

load lib/helper
load lib/php

setup() {
	requires jq
	requires_program pages
	cd "$BATS_TEST_TMPDIR" || return
}

# paged_twin BYTES COMMAND...: as same_twin, where pages have so many bytes.
paged_twin() {
	local stock
	run_stock LD_PRELOAD="$PROGRAMS/pages" PAGES_BYTES="$1" "${@:2}"
	[[ $status -eq 0 ]] || return
	stock=$(filtered)
	rm -f "$LOG"
	run_pooled LD_PRELOAD="$COPOOL_SO $PROGRAMS/pages" PAGES_BYTES="$1" "${@:2}"
	[[ $status -eq 0 ]] || return
	diff <(echo "$stock") <(filtered) || return
	check_balance || return
	[[ $(log_open page_bytes) -eq $1 ]]
}

@test "pages: PHP's fibers do what they did, and each stack has one such page more than its size" {
	requires php
	small_fibers_php
	for bytes in 16384 65536; do
		for guard in auto mprotect; do
			COPOOL_GUARD=$guard paged_twin $bytes php -n fibers.php
			[[ $(log_records final .pool) == "stack $((2097152 + bytes)) php" ]]
			(($(log_final create_local) > 350))
		done
	done
}

@test "pages: QEMU's coroutines end where they did, and its stacks are known" {
	requires qemu-img
	for bytes in 16384 65536; do
		FILTER=$FILTER_SECONDS paged_twin $bytes qemu-img bench -w -c 3000 -d 256 --flush-interval=256 \
			--image-opts driver=null-aio,size=1G
		[[ $(log_open host) == qemu && $(log_open mode) == pool ]]
		log_records final .pool | grep -qx "stack $((1048576 + bytes)) qemu"
	done
}

@test "pages: depths are counted in them, and a guess of idle memory is made of them" {
	requires_program deep
	COPOOL_HOST=stacks paged_twin 65536 "$PROGRAMS/deep" 150 3
	[[ $(log_records final .pool) == 'stack 1114112' ]]
	[[ $(log_records depth .deepest) -eq 196608 && $(log_records depth .stack_bytes) -eq 1048576 ]]
	[[ $(log_records depth .to_262144) -eq 150 ]]
	jq -c 'select(.type != "depth")' "$LOG" >without
	run_stock "$COPOOL" report without -o page.html
	[[ $status -eq 0 ]]
	grep -qE '"held": *\[\{"bytes": *131072\.0, *"how": *"guessed"' page.html
}

@test "pages: the unit tests of memory pass with them" {
	local name bytes
	[[ ${COPOOL_TEST_FULL-} == 1 ]] || skip "they are compiled again: only in make check-full"
	requires gcc
	for bytes in 16384 65536; do
		for name in arena mappings locked sites guard depth upper trust roots classes; do
			gcc -std=gnu11 -O1 -g -D_GNU_SOURCE -DCOPOOL_VERSION='"0"' -DCOPOOL_COMMIT='""' -Wall -Werror -DTEST_PAGE=$bytes -ftls-model=initial-exec \
				-I"$TESTS/../shim" -I"$TESTS/unit" -o "${name}_test" "$TESTS/unit/${name}_test.c" "$COPOOL_BUILD/libshim.a" -pthread
			run_stock LD_PRELOAD="$PROGRAMS/pages" PAGES_BYTES=$bytes "./${name}_test"
			[[ $status -eq 0 && $output == *'ok 1 '* ]] || {
				grep -A 3 '^not ok' <<<"$output"
				return 1
			}
		done
	done
}
