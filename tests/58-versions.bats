#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# QEMU, PHP and libc of other Debian releases, in root folders of their own. Only with COPOOL_TEST_FULL=1: they are
# fetched, a gigabyte in all. What each has come to goes into build/versions, from which tests/versions makes the table in tools/README.md.
# shellcheck disable=SC2016 # what is in single quotes is for the program to expand
# shellcheck disable=SC2154 # start leaves $pid
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
	bin=/usr/bin libraries=
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

# enter COMMAND...: in $root, where the test's folder and the products lie where they are. It keeps its process id.
# shellcheck disable=SC2016 # for the inner shell
enter=(unshare --mount bash -c '
	for folder in /proc /dev "$2" "$3"; do
		[[ $1 == / ]] || { mkdir -p "$1$folder" && mount --rbind "$folder" "$1$folder"; } || exit
	done
	exec chroot "$1" /usr/bin/env -C "$2" "${@:4}"' bash)

# inside stock|pooled COMMAND...: runs it there.
inside() {
	variables "$1"
	run_shown "${enter[@]}" "$root" "$PWD" "$(realpath "$COPOOL_BUILD")" "${variables[@]}" "${@:2}"
}

# start_inside COMMAND...: under the shim and in the background, as start_pooled.
start_inside() {
	variables pooled
	start "${enter[@]}" "$root" "$PWD" "$(realpath "$COPOOL_BUILD")" "${variables[@]}" "$@"
}

variables() {
	variables=(-u LD_PRELOAD)
	[[ $1 == stock ]] || variables=(LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG")
	[[ ! $libraries ]] || variables+=(LD_LIBRARY_PATH="$libraries")
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
	inside stock "$bin/$program" --version
	version=$(sed -nE '1s/^(PHP [0-9.]+|qemu-img version [0-9.]+).*/\1/p' <<<"$output" | sed 's/qemu-img version/QEMU/')
	inside stock getconf GNU_LIBC_VERSION
	[[ $status -eq 0 ]]
	libc=${output#glibc }
	mode=$(log_open mode)
	[[ $version && $libc && $mode ]]
	echo "| $version | Debian $2 | $libc | $mode |" >"$results/$program-$2"
}

# Each ends its coroutines where ours are put back, makes none twice, and has none left when it ends.
taken_over() { # REQUESTS AT_ONCE
	[[ $(log_open host) == qemu && $(log_open way) == ending ]]
	check_balance
	(($(pool_final create_local) + $(pool_final create_depot) + $(pool_final create_new) >= $1))
	(($(pool_final create_new) <= $2 && $(pool_final live) == 0))
}

# At most 8 of those of a server are at work for others than its clients.
served() { # SOCKET
	wait_until 10 test -S "$1"
	inside stock "$bin/qemu-img" bench -c 2000 -d 64 -f raw "nbd+unix:///d?socket=$PWD/$1"
	[[ $status -eq 0 ]]
}

check_tools() {
	local options
	for options in '-d 64' '-w -d 1024 --flush-interval=1024'; do
		rm -f "$LOG"
		# shellcheck disable=SC2086 # several options
		same_inside "$bin/qemu-img" bench -c 30000 $options "${null_aio[@]}"
		taken_over 30000 1025
	done
	random_file raw 16
	inside stock "$bin/qemu-img" create -q -f qcow2 image 16M
	rm "$LOG"
	same_inside "$bin/qemu-io" -f qcow2 image -c 'aio_write -q -P 5 0 2M' -c 'aio_write -q -P 6 4M 2M' -c aio_flush \
		-c 'read -q -P 5 0 2M' -c 'read -q -P 6 4M 2M' -c 'read -q -P 0 2M 2M'
	taken_over 5 64
	inside pooled "$bin/qemu-img" convert -O qcow2 raw packed
	inside stock "$bin/qemu-img" compare -f raw -F qcow2 raw packed
	[[ $status -eq 0 ]]
}

check_servers() {
	rm "$LOG"
	start_inside "$bin/qemu-nbd" --socket="$PWD/nbd" --export-name=d --image-opts driver=null-aio,size=1G
	served nbd
	ended "$pid"
	taken_over 2000 80
	rm "$LOG"
	start_inside "$bin/qemu-storage-daemon" --blockdev driver=null-aio,node-name=d,size=1073741824 \
		--nbd-server "addr.type=unix,addr.path=$PWD/daemon" --export type=nbd,id=e,node-name=d,name=d
	served daemon
	stop "$pid"
	taken_over 2000 80
	rm "$LOG"
	start_inside "$bin/qemu-system-x86_64" -machine none -nodefaults -display none \
		-blockdev driver=null-aio,node-name=d,size=1073741824 -chardev "socket,id=q,path=$PWD/qmp,server=on,wait=off" \
		-mon q,mode=control
	qmp_open qmp
	qmp nbd-server-start "{\"addr\": {\"type\": \"unix\", \"data\": {\"path\": \"$PWD/system\"}}}"
	qmp block-export-add '{"type": "nbd", "id": "e", "node-name": "d", "name": "d"}'
	served system
	qmp quit
	ended "$pid"
	taken_over 2000 80
}

check_qemu() { # RELEASE
	check_tools
	rm "$LOG"
	inside pooled "$bin/qemu-img" --version
	note qemu-img "$1"
	check_servers
}

# Under strace, which sees from outside what is done inside.
strace_inside() { # strace -f -o FILE COMMAND...
	variables pooled
	run_shown "${@:1:4}" "${enter[@]}" "$root" "$PWD" "$(realpath "$COPOOL_BUILD")" "${variables[@]}" "${@:5}"
}

check_php() { # PROGRAM RELEASE CALLS: that it makes for each fiber without copool
	fibers_php
	same_inside "$bin/$1" -n fibers.php
	rm "$LOG"
	same_inside "$bin/$1" -n -r 'for ($i = 0; $i < 20000; $i++) { $f = new Fiber(fn() => Fiber::suspend($i)); $f->start();
		$f->resume(); }'
	check_balance
	[[ $(log_open mode) == pool ]]
	(($(log_final create_local) > 19000))
	note "$1" "$2"
	no_calls strace_inside "$bin/$1" "$3"
}

# elsewhere NAME SUITE PACKAGE...: programs of another release that run with this machine's libc; what else they need
# lies there too, without the rest of libc's package.
elsewhere() {
	local file name
	requires_release "$@"
	bin=$root/usr/bin libraries=$root/libraries
	root=/
	[[ ! -e $libraries ]] || return 0
	mkdir "$libraries.new"
	find "$CACHE/$1"/{lib,usr/lib} -name '*.so*' ! -type d | while read -r file; do
		name=${file##*/}
		dpkg-query --listfiles libc6 | grep -q "/$name\$" || ln -sf "$file" "$libraries.new/$name"
	done
	mv "$libraries.new" "$libraries"
}

@test "QEMU and PHP of this machine's release" {
	requires qemu-img qemu-system-x86_64 php socat strace
	root=/
	# shellcheck source=/dev/null
	release=$(. /etc/os-release && echo "$VERSION_ID")
	check_qemu "$release"
	rm "$LOG"
	check_php php "$release" 4
}

QEMU_PACKAGES=(base-files coreutils libc-bin qemu-utils qemu-system-x86)

@test "QEMU of Debian 11" {
	requires socat
	elsewhere debian-11 bullseye "${QEMU_PACKAGES[@]}"
	check_qemu 11
}

@test "QEMU of Debian 12's backports" {
	requires socat
	requires_unpacked debian-backports bookworm-backports qemu-utils qemu-system-common qemu-system-x86
	root=/ bin=$CACHE/debian-backports/usr/bin libraries=$CACHE/debian-backports/usr/lib/$(uname -m)-linux-gnu
	requires_libraries "$bin/qemu-system-x86_64" "$libraries"
	check_qemu "12's backports"
}

@test "QEMU of Debian 13, with its libc and decoder" {
	requires socat
	requires_release debian-13 trixie "${QEMU_PACKAGES[@]}" libzydis4.1
	check_qemu 13
}

PHP_PACKAGES=(base-files coreutils libc-bin)

@test "PHP of Debian 13, with its libc" {
	requires strace
	requires_release php-13 trixie "${PHP_PACKAGES[@]}" php8.4-cli
	check_php php8.4 13 5
}

@test "QEMU of Debian sid, with its libc and decoder" {
	requires socat
	requires_release debian-sid sid "${QEMU_PACKAGES[@]}" libzydis4.1
	check_qemu sid
}

@test "PHP of Debian sid, with its libc" {
	requires strace
	requires_release php-sid sid "${PHP_PACKAGES[@]}" php8.4-cli
	check_php php8.4 sid 5
}

@test "PHP as new as Debian experimental has it, with its libc" {
	local newest
	requires strace
	newest=$(under_lock newest_php experimental) || skip "Debian's experimental cannot be had here"
	requires_release "$newest-experimental" experimental "${PHP_PACKAGES[@]}" "$newest-cli"
	check_php "$newest" experimental 5
}

# The recursor keeps 100 stacks a thread, and resolves 400 names at once here.
@test "PowerDNS's recursor of Debian 13: answers as it did, and its stacks are pooled by themselves" {
	local mode port from count=20000 root=$CACHE/pdns-13
	requires_program dns
	requires_release pdns-13 trixie pdns-recursor base-files coreutils
	for mode in stock pooled; do
		port=$("$PROGRAMS/dns" port) from=$("$PROGRAMS/dns" port)
		start_stock "$PROGRAMS/dns" serve "$from" 20
		cat >recursor.yml <<-END
			incoming: {listen: ['127.0.0.1:$port']}
			outgoing: {dont_query: [], server_down_max_fails: 0}
			recursor:
			  threads: 2
			  write_pid: false
			  socket_dir: '$PWD'
			  forward_zones: [{zone: test, forwarders: ['127.0.0.1:$from']}]
			dnssec: {validation: off}
			packetcache: {disable: true}
		END
		variables "$mode"
		start "${enter[@]}" "$root" "$PWD" "$(realpath "$COPOOL_BUILD")" "${variables[@]}" \
			/usr/sbin/pdns_recursor --config-dir="$PWD"
		wait_until 20 grep -q 'Enabled multiplexer' "$BATS_TEST_TMPDIR/output.$pid"
		run_stock "$PROGRAMS/dns" ask "$port" "$count" 400
		[[ $output == "$count answered, $count rightly" ]]
		if [[ $mode == pooled ]]; then
			# It gives up capabilities at its start, so there are no samples; but its counters can be read.
			run_shown "$COPOOL" show "$pid"
			[[ $output == *'stack 208896 pdns '* ]]
		fi
		inside stock /usr/bin/rec_control --socket-dir="$PWD" quit-nicely
		ended "$pid"
	done
	# How often it needs more than those it keeps is the machine's affair; it never needs more than there are names at once.
	(($(log_final create_new) < 600 && $(log_final create_local) + $(log_final create_depot) > 100))
	check_balance
}
