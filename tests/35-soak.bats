#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Real programs under real load, and all that may happen to them at the same time: the short form of `make soak`.
# shellcheck disable=SC2154 # run sets stderr

load lib/helper

setup() {
	requires python3 jq
}

# soak NAME SECONDS COMMAND...: one cycle of it holds; what it did is in $output.
soak() {
	requires "${@:3}"
	mkdir "$BATS_TEST_TMPDIR/$1"
	run --separate-stderr timeout --kill-after=5 400 python3 "$TESTS/soak/$1.py" --seconds "$2" "$COPOOL_SO" \
		"$BATS_TEST_TMPDIR/$1"
	echo "$output $stderr"
	[[ $status -eq 0 ]]
}

# did CONDITION: of what it did, asked with jq.
did() {
	jq -e "$1" <<<"$output"
}

@test "soak: a storage daemon keeps every byte and loses no coroutine through snapshots, mirrors, backups, threads and errors" {
	soak storage 5 qemu-storage-daemon qemu-img qemu-io fio
	did '.snapshot >= 1 and .mirror >= 1 and .backup >= 1 and .thread >= 1 and .error >= 1'
	did '."MiB read and verified" > 0 and .creates > 1000'
}

@test "soak: qemu-nbd keeps every byte and loses no coroutine while it is stopped and its clients die" {
	soak nbd 4 qemu-nbd qemu-img fio
	did '.pause >= 1 and .client >= 1 and ."MiB read and verified" > 0 and .creates > 1000'
}

@test "soak: a server's memory stays what it was while PHP answers each request in a fiber" {
	requires php
	soak fibers 4 php
	did '.requests > 1000 and .creates >= .requests'
}
