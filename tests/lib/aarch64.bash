# SPDX-License-Identifier: MIT
# Programs for aarch64: compiled by Debian's cross compiler against Debian's arm64 packages, which lie unpacked below
# build/cache, and run by qemu-user. Loaded after lib/packages.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # the tests use what is set here; helper.bash sets what is used

ARM_BUILD=$COPOOL_BUILD/aarch64
ARM_SO=$ARM_BUILD/libcopool.so

# What our library and command are compiled with, and the programs that are run.
ARM_PACKAGES=(base-files libc6-dev libstdc++-12-dev libjansson-dev libelf-dev libncurses-dev libunwind-dev libzydis-dev
	systemtap-sdt-dev php8.2-cli qemu-utils libboost-context-dev libboost-fiber-dev libphobos2-ldc-shared-dev)

# Links of packages are meant for a system's root; here the compiler and qemu-user follow them.
fetch_arm_root() { # NAME SUITE PACKAGE...
	local root=$CACHE/$1 link
	fetch_root "$1" "$2:arm64" "${@:3}" || return
	[[ ! -e $root/linked ]] || return 0
	find "$root" -type l -lname '/*' | while read -r link; do
		ln -sfn "$root$(readlink "$link")" "$link" || return
	done
	touch "$root/linked"
}

# requires_arm_root NAME SUITE PACKAGE...: $arm_root is the root folder of these packages and all that they need.
requires_arm_root() {
	local said
	requires qemu-aarch64 apt-get dpkg-deb flock
	said=$(under_lock fetch_arm_root "$@" 2>&1) || {
		grep '^E:' <<<"$said" | sed 's,[a-z]*://[^ ]*,,' || :
		skip "the arm64 packages ${*:3} of Debian's $2 cannot be had here" # a machine may be offline
	}
	arm_root=$CACHE/$1
}

requires_arm_12() {
	requires_arm_root aarch64-12 bookworm "${ARM_PACKAGES[@]}"
}

# requires_arm_build: the products for aarch64, in $ARM_BUILD; made again where something has changed.
requires_arm_build() {
	requires aarch64-linux-gnu-gcc make
	requires_arm_12
	BUILD_LOCK=$ARM_BUILD.lock under_lock make_for_arm all unit programs >"$BATS_TEST_TMPDIR/make" 2>&1 || {
		cat "$BATS_TEST_TMPDIR/make"
		return 1
	}
}

make_for_arm() { # TARGET...
	make --no-print-directory -C "$TESTS/.." WERROR=1 CC="aarch64-linux-gnu-gcc --sysroot=$CACHE/aarch64-12" \
		CXX="aarch64-linux-gnu-g++ --sysroot=$CACHE/aarch64-12" BUILD="$ARM_BUILD" "$@"
}

# shim_for_arm [FOLDER...]: the library's files for aarch64, all or those in these folders, by the Makefile.
shim_for_arm() {
	# shellcheck disable=SC2016 # for make to expand
	env -u MAKEFLAGS make --no-print-directory -C "$TESTS/.." CC=aarch64-linux-gnu-gcc \
		--eval='shim-files: ; @printf "%s\n" $(abspath $(SHIM:%=shim/%))' shim-files |
		grep -E "/shim/($(IFS='|' && echo "$*"))"
}

# arm [VARIABLE=VALUE...] PROGRAM ARGUMENT...: a program for aarch64, with the libraries of $arm_root. Variables are for it
# alone. The page size may be ${ARM_PAGE_BYTES}.
arm() {
	local variables=()
	while [[ $1 == *=* ]]; do
		variables+=(-E "$1")
		shift
	done
	run_shown qemu-aarch64 ${ARM_PAGE_BYTES:+-p "$ARM_PAGE_BYTES"} -L "$arm_root" "${variables[@]}" "$@"
}

# arm_pooled [VARIABLE=VALUE...] PROGRAM ARGUMENT...: the same under the library.
arm_pooled() {
	arm LD_PRELOAD="$ARM_SO" COPOOL_LOG="$LOG" COPOOL_TELL=1 "$@"
}

# arm_twin [VARIABLE=VALUE...] PROGRAM ARGUMENT...: as same_twin; $FILTER too.
arm_twin() {
	local stock_status stock_output
	arm "$@"
	stock_status=$status stock_output=$(filtered)
	arm_pooled "$@"
	[[ $status -eq $stock_status ]] && diff <(echo "$stock_output") <(filtered)
}
