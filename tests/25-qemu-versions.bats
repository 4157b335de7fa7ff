#!/usr/bin/env bats
# Other versions of QEMU, from Debian's packages: unpacked, not installed.
# shellcheck disable=SC2034 # FILTER is read by same_twin
# shellcheck disable=SC2016 # what is in single quotes is for the program to expand
# shellcheck disable=SC2054 # the commas belong to QEMU's options

load lib/helper
load lib/qemu
load lib/packages

setup() {
	requires jq
	cd "$BATS_TEST_TMPDIR" || return
	FILTER=$FILTER_SECONDS
}

null_aio=(--image-opts driver=null-aio,size=1G)

# requires_version VERSION SUITE PACKAGE...: then `qemu PROGRAM` is what to run its PROGRAM with.
requires_version() {
	root=$CACHE/qemu-$1
	requires_unpacked "qemu-$1" "$2" qemu-utils "${@:3}"
	libraries=$root/usr/lib/$(uname -m)-linux-gnu
	requires_libraries "$root/usr/bin/qemu-img" "$libraries"
	[[ $(LD_LIBRARY_PATH=$libraries "$root/usr/bin/qemu-img" --version) == *"version $1."* ]]
}

# The command line of one of its programs.
program() {
	echo "LD_LIBRARY_PATH=$libraries"
	echo "$root/usr/bin/$1"
}

# What any version must do.
check_version() {
	local img io
	mapfile -t img < <(program qemu-img)
	mapfile -t io < <(program qemu-io)
	same_twin "${img[@]}" bench -c 20000 -d 64 "${null_aio[@]}"
	[[ $status -eq 0 ]]
	check_balance
	rm "$LOG"
	random_file raw 16
	run_stock qemu-img create -q -f qcow2 image 16M
	same_twin "${io[@]}" -f qcow2 image -c 'aio_write -q -P 5 0 2M' -c 'aio_write -q -P 6 4M 2M' -c aio_flush \
		-c 'read -q -P 5 0 2M' -c 'read -q -P 6 4M 2M' -c 'read -q -P 0 2M 2M'
	[[ $status -eq 0 && $output == "" ]]
	run_pooled "${img[@]}" convert -O qcow2 raw packed
	run_stock qemu-img compare -f raw -F qcow2 raw packed
	[[ $status -eq 0 ]]
	rm "$LOG"
}

# Bursts that drain to nothing: what QEMU's own pool serves worst.
drained_bursts() {
	local img
	mapfile -t img < <(program qemu-img)
	same_twin "${img[@]}" bench -w -c 30000 -d 1024 --flush-interval=1024 "${null_aio[@]}"
	[[ $status -eq 0 ]]
	check_balance
	[[ $(log_open host) == qemu ]]
}

@test "QEMU 10.0: its coroutines are pooled, with the same output, status and images" {
	requires_version 10.0 bookworm-backports
	check_version
	drained_bursts
	[[ $(log_open mode) == pool ]]
	[[ $(log_open detail) == *128* ]]
}

@test "QEMU 10.0: drained bursts come to our pool, and take none of the locks around its own" {
	requires_version 10.0 bookworm-backports
	requires_guest count_contexts
	drained_bursts
	creates=$(($(pool_final create_local) + $(pool_final create_depot) + $(pool_final create_new)))
	# Its threads keep up to 256 themselves.
	((creates > 30000 * 3 / 4 && $(pool_final create_new) <= 1024 + 256 + 32))
	mapfile -t img < <(program qemu-img)
	bench=("${img[@]}" bench -w -c 30000 -d 1024 --flush-interval=1024 "${null_aio[@]}")
	run_shown env LD_PRELOAD="$GUESTS/count_contexts" COUNT_LOCKS="$PWD/stock" "${bench[@]}"
	run_pooled LD_PRELOAD="$COPOOL_SO $GUESTS/count_contexts" COUNT_LOCKS="$PWD/pooled" "${bench[@]}"
	echo "locks: $(<stock), pooled $(<pooled)"
	# Most are those of the requests: two for each.
	(($(<pooled) < $(<stock) * 85 / 100))
}

@test "QEMU 10.0: create_new is what an observer outside of the shim counts" {
	requires_version 10.0 bookworm-backports
	requires_guest count_contexts
	mapfile -t img < <(program qemu-img)
	run_pooled LD_PRELOAD="$COPOOL_SO $GUESTS/count_contexts" COUNT_CONTEXTS="$PWD/contexts" \
		"${img[@]}" bench -w -c 5000 -d 512 --flush-interval=512 "${null_aio[@]}"
	[[ $status -eq 0 && $(<contexts) -ge 512 && $(pool_final create_new) -eq $(<contexts) ]]
}

@test "QEMU 5.2: what overflows its own pool of 64 is pooled, with the same output, status and images" {
	requires_version 5.2 bullseye liburing1
	check_version
	drained_bursts
	[[ $(log_open mode) == overflow ]]
}

@test "QEMU 5.2: drained bursts make no more coroutines than are needed at once" {
	requires_version 5.2 bullseye liburing1
	drained_bursts
	# It keeps up to 64 for each thread, and as many for all.
	(($(pool_final create_new) <= 1024 + 2 * 64 + 32))
	(($(pool_final create_local) + $(pool_final create_depot) > 20000))
}

@test "QEMU: it is left alone when there is no decoder to read its code with" {
	requires_qemu qemu-img
	requires unshare ldconfig
	unshare --mount true 2>/dev/null || skip "no mount namespace can be made here"
	zydis=$(ldconfig -p | sed -n 's/.*libZydis\.so.* => //p' | head -n 1)
	[[ $zydis ]] || lacks "the library Zydis is not installed"
	: >empty
	run_shown unshare --mount bash -c 'mount --bind empty "$1" && exec env LD_PRELOAD="$2" COPOOL_LOG="$3" "${@:4}"' \
		bash "$(realpath "$zydis")" "$COPOOL_SO" "$LOG" qemu-img bench -c 1000 -d 64 "${null_aio[@]}"
	[[ $status -eq 0 && $output == *"Run completed"* ]]
	[[ $(log_open mode) == none && $(log_open detail) == *Zydis* ]]
}
