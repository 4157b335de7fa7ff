#!/usr/bin/env bats
# QEMU, PHP and libc of other Debian releases, in root folders of their own. Only with COPOOL_TEST_FULL=1: they are
# fetched, 400 MB in all. What each has come to goes into build/versions, from which tests/versions makes the README's table.
# shellcheck disable=SC2016 # what is in single quotes is for the program to expand
# shellcheck disable=SC2054 # the commas belong to QEMU's options

load lib/helper
load lib/qemu
load lib/packages
load lib/php

setup() {
	[[ ${COPOOL_TEST_FULL-} == 1 ]] || skip "other releases are fetched: only in make check-full"
	requires jq unshare chroot
	[[ $(id -u) -eq 0 ]] || skip "only root can enter a root folder"
	cd "$BATS_TEST_TMPDIR" || return
	FILTER=$FILTER_SECONDS
	results=$COPOOL_BUILD/versions
	mkdir -p "$results"
}

null_aio=(--image-opts driver=null-aio,size=1G)

# requires_release NAME SUITE PACKAGE...: root is its root folder; one that is the machine's own is /.
requires_release() {
	root=$CACHE/$1
	local said
	said=$(under_lock fetch_root "$@" 2>&1) || {
		grep '^E:' <<<"$said" | sed 's,[a-z]*://[^ ]*,,' || :
		skip "the packages ${*:3} of Debian's $2 cannot be had here" # a machine may be offline
	}
}

# inside stock|pooled COMMAND...: in $root, where the test's folder and the products lie where they are.
inside() {
	local -a variables=(-u LD_PRELOAD)
	[[ $1 == stock ]] || variables=(LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG")
	run_shown unshare --mount bash -c '
		for folder in /proc /dev "$2" "$3"; do
			[[ $1 == / ]] || { mkdir -p "$1$folder" && mount --rbind "$folder" "$1$folder"; } || exit
		done
		exec chroot "$1" /usr/bin/env -C "$2" "${@:4}"' bash "$root" "$PWD" "$(realpath "$COPOOL_BUILD")" \
		"${variables[@]}" "${@:2}"
}

# same_inside COMMAND...: as same_twin.
same_inside() {
	local stock
	inside stock "$@"
	[[ $status -eq 0 ]]
	stock=$(filtered)
	inside pooled "$@"
	[[ $status -eq 0 ]]
	diff <(echo "$stock") <(filtered)
}

# The line of a program's version, and that of libc; what has come of it.
note() { # PROGRAM RELEASE
	local program=$1 version libc mode
	inside stock "$program" --version
	version=$(sed -nE '1s/^(PHP [0-9.]+|qemu-img version [0-9.]+).*/\1/p' <<<"$output" | sed 's/qemu-img version/QEMU/')
	inside stock getconf GNU_LIBC_VERSION
	[[ $status -eq 0 ]]
	libc=${output#glibc }
	mode=$(log_open mode)
	[[ $version && $libc && $mode ]]
	echo "| $version | Debian $2 | $libc | $mode |" >"$results/$program-$2"
}

check_qemu() { # RELEASE
	same_inside qemu-img bench -c 20000 -d 64 "${null_aio[@]}"
	check_balance
	rm "$LOG"
	same_inside qemu-img bench -w -c 30000 -d 1024 --flush-interval=1024 "${null_aio[@]}"
	check_balance
	[[ $(log_open host) == qemu && $(log_open mode) =~ ^(pool|overflow)$ ]]
	# Some keep up to 256 themselves, and more on each thread.
	(($(pool_final create_new) <= 1024 + 512 && $(pool_final create_local) + $(pool_final create_depot) > 15000))
	note qemu-img "$1"
	random_file raw 16
	inside stock qemu-img create -q -f qcow2 image 16M
	same_inside qemu-io -f qcow2 image -c 'aio_write -q -P 5 0 2M' -c 'aio_write -q -P 6 4M 2M' -c aio_flush \
		-c 'read -q -P 5 0 2M' -c 'read -q -P 6 4M 2M' -c 'read -q -P 0 2M 2M'
	inside pooled qemu-img convert -O qcow2 raw packed
	inside stock qemu-img compare -f raw -F qcow2 raw packed
	[[ $status -eq 0 ]]
}

check_php() { # PROGRAM RELEASE
	fibers_php
	same_inside "$1" -n fibers.php
	rm "$LOG"
	same_inside "$1" -n -r 'for ($i = 0; $i < 20000; $i++) { $f = new Fiber(fn() => Fiber::suspend($i)); $f->start();
		$f->resume(); }'
	check_balance
	[[ $(log_open mode) == pool ]]
	(($(log_final create_local) > 19000))
	note "$1" "$2"
}

@test "QEMU and PHP of this machine's release" {
	requires qemu-img php
	root=/
	# shellcheck source=/dev/null
	release=$(. /etc/os-release && echo "$VERSION_ID")
	check_qemu "$release"
	rm "$LOG"
	check_php php "$release"
}

@test "QEMU of Debian 13, with its libc and decoder" {
	requires_release debian-13 trixie base-files coreutils libc-bin qemu-utils libzydis4.1 php8.4-cli
	check_qemu 13
}

@test "PHP of Debian 13, with its libc" {
	requires_release debian-13 trixie base-files coreutils libc-bin qemu-utils libzydis4.1 php8.4-cli
	check_php php8.4 13
}

@test "QEMU of Debian sid, with its libc and decoder" {
	requires_release debian-sid sid base-files coreutils libc-bin qemu-utils libzydis4.1 php8.4-cli
	check_qemu sid
}

@test "PHP of Debian sid, with its libc" {
	requires_release debian-sid sid base-files coreutils libc-bin qemu-utils libzydis4.1 php8.4-cli
	check_php php8.4 sid
}
