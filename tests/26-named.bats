#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The adapter named: functions that the user names. The program counts what its own functions did.

load lib/helper

FILTER='s/^boxes .*//' # how often its own functions ran: what pooling changes

setup() {
	requires_program named
}

made() { # WHAT: how many boxes or blocks the program's own function made in the last run
	sed -nE "s/.*$1 ([0-9]+) .*/\1/p" <<<"$output"
}

@test "named: what create returned is handed out again after destroy, without the program's own functions" {
	same_twin COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop "$PROGRAMS/named" plain 1000
	[[ $(log_open host) == named && $(log_open mode) == pool ]]
	[[ $(made boxes) -eq 100 ]]
	[[ $(log_final create_new "box_make()") -eq 100 ]]
	[[ $(log_final create_local) -gt 90000 ]]
	check_balance
}

@test "named: objects that were created with other arguments are other objects" {
	same_twin COPOOL_CREATE=block_make/2 COPOOL_DESTROY=block_drop "$PROGRAMS/named" sized 100000
	[[ $status -eq 0 && $(made blocks) -eq 35 ]]
	[[ $(log_final create_new "block_make(0x10, 0)") -eq 1 ]]
	check_balance
}

@test "named: with fewer arguments named than there are, objects mix, as the user has said they may" {
	run_pooled COPOOL_CREATE=block_make/1 COPOOL_DESTROY=block_drop "$PROGRAMS/named" sized 1000
	[[ $status -eq 1 && $output == *"wrong "[1-9]* ]]
}

@test "named: without a number of arguments nothing goes wrong, and a warning tells how to miss less" {
	same_twin COPOOL_CREATE=block_make COPOOL_DESTROY=block_drop "$PROGRAMS/named" sized 1000
	log_records warning .text | grep -F 'COPOOL_CREATE=block_make' | grep -F 'block_make/N'
}

@test "named: of a function that calls nothing a warning says that its callers may rely on registers" {
	for mode in pool observe; do
		rm -f "$LOG"
		same_twin COPOOL_MODE=$mode COPOOL_CREATE=token_make/0 COPOOL_DESTROY=token_drop "$PROGRAMS/named" leaf 1000
		[[ $(log_open mode) == "$mode" ]]
		log_records warning .text | grep -F 'token_make calls nothing outside of its file'
		log_records warning .text | grep -F 'token_drop calls nothing outside of its file'
		check_balance
	done
	rm -f "$LOG"
	same_twin COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop "$PROGRAMS/named" plain 1000
	[[ -z $(log_records warning .text) ]]
}

@test "named: an object that another function made is destroyed by the program's own" {
	same_twin COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop "$PROGRAMS/named" foreign 1000
	[[ $output == *"boxes 1 1000 "* ]]
	check_balance
}

# hands_through MODE: so many of the program's own objects, and one warning.
hands_through() {
	same_twin COPOOL_MODE="$1" COPOOL_CREATE=number_make/0 COPOOL_DESTROY=number_drop "$PROGRAMS/named" numbers 1000
	[[ $(made boxes) -eq 1000 ]]
	[[ $(log_final create_new "number_make()") -eq 1000 && $(log_final destroy_delete "number_make()") -eq 1000 ]]
	[[ $(log_final live "number_make()") -eq 0 && $(log_final create_local "number_make()") -eq 0 ]]
	[[ $(log_records warning .text | grep -c 'number_make .* cannot be remembered') -eq 1 ]]
	check_balance
}

@test "named: handles that cannot be remembered are the program's own, counted so, with one warning" {
	hands_through pool
}

@test "named: so they are where it only observes" {
	hands_through observe
}

@test "named: more combinations of arguments than there are pools are the program's own, with one warning" {
	same_twin COPOOL_CREATE=block_make/2 COPOOL_DESTROY=block_drop "$PROGRAMS/named" many 1000
	[[ $output == *"blocks 1000 960"* ]]
	[[ $(log_records warning .text | grep -c 'block_make .* combinations') -eq 1 ]]
	check_balance
}

@test "named: a function that is not there leaves the program alone, and the log names it" {
	same_twin COPOOL_CREATE=no_such_function/0 COPOOL_DESTROY=box_drop "$PROGRAMS/named" plain 10
	[[ $(log_open host) == none && $(log_open detail) == *no_such_function* ]]
	[[ $(made boxes) -eq 1000 ]]
}

@test "named: without a log, a function that is not there is told on standard error, by the program that is meant alone" {
	unset COPOOL_LOG
	run env LD_PRELOAD="$COPOOL_SO" COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_crop "$PROGRAMS/named" plain 10
	[[ $status -eq 0 && $output == "copool: nothing is pooled: the function box_crop was not found"$'\n'"boxes "* ]]
	run env LD_PRELOAD="$COPOOL_SO" COPOOL_CREATE=box_cake/0 COPOOL_DESTROY=box_drop "$PROGRAMS/named" plain 10
	[[ $output == "copool: nothing is pooled: the function box_cake was not found"$'\n'"boxes "* ]]
	# shellcheck disable=SC2016 # for the other shell to expand
	run "$COPOOL" run --create=box_cake/0 --destroy=box_crop sh -c 'ls -d /; "$0" plain 10' "$PROGRAMS/named"
	[[ $output == "copool: nothing is pooled: the function box_cake was not found"$'\n/\n'"boxes "* ]]
	run env LD_PRELOAD="$COPOOL_SO" COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop ls -d /
	[[ $output == / ]]
}

@test "named: create without destroy leaves the program alone" {
	same_twin COPOOL_HOST=named COPOOL_CREATE=box_make/0 "$PROGRAMS/named" plain 10
	[[ $(log_open host) == none && $(log_open detail) == *COPOOL_DESTROY* ]]
}

@test "named: a function of the C library is not patched" {
	same_twin COPOOL_CREATE=malloc/1 COPOOL_DESTROY=free "$PROGRAMS/named" plain 10
	[[ $(log_open host) == none && $(log_open detail) == *"C library"* ]]
}

@test "named: a child that has no such functions is pooled as what it is" {
	requires qemu-img
	same_twin COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop qemu-img info --image-opts driver=null-co,size=1M
	[[ $(log_open host) == qemu ]]
}
