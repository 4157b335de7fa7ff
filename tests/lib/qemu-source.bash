# SPDX-License-Identifier: MIT
# QEMU's own code out of Debian's source packages, and what it takes to compile its coroutines alone: tests/
# qemu-source has headers and functions of ours in place of what they would pull in. Nothing of QEMU's is kept elsewhere
# than below build/cache. After lib/packages.
# shellcheck shell=bash

STUBS=$TESTS/qemu-source

# The releases of Debian whose source package is QEMU of that version.
declare -gA QEMU_SUITE=([7.2]=bookworm [10.0]=trixie [11.1]=sid)

fetch_source_suite() { # SUITE
	local folder=$CACHE/apt/$1-source
	[[ ! -e $folder/complete ]] || return 0
	mkdir -p "$folder"/{lists,cache/archives}/partial
	source_line "$1" | head -n 1 | sed 's/^deb /deb-src /' >"$folder/sources.list"
	[[ -s $folder/sources.list ]] && apt_of "$1-source" apt-get update && touch "$folder/complete"
}

# The newest source package of a QEMU that the archive still has, unverified but for what apt checks: its hashes.
fetch_archives() { # VERSION SUITE FOLDER
	local each
	fetch_source_suite "$2" || return
	mkdir -p "$3"
	for each in $(apt_of "$2-source" apt-cache showsrc qemu | sed -n "s/^Version: \(\(.*:\)\?${1//./\\.}[.+].*\)/\1/p" | sort -rVu); do
		rm -f "$3"/*
		(cd "$3" && apt_of "$2-source" apt-get source --download-only "qemu=$each") && return
	done
	rm -r "$3"
	return 1
}

# fetch_tree VERSION: all of it, Debian's changes applied, in $CACHE/qemu-tree-VERSION.
fetch_tree() {
	local tree=$CACHE/qemu-tree-$1
	[[ ! -e $tree/complete ]] || return 0
	rm -rf "$tree"
	fetch_archives "$1" "${QEMU_SUITE[$1]}" "$tree.archives" &&
		dpkg-source --no-check --no-copy --extract "$tree.archives"/*.dsc "$tree" &&
		rm -r "$tree.archives" && touch "$tree/complete"
}

# fetch_coroutines VERSION: of that only the coroutines and QEMU's headers, in $CACHE/qemu-coroutines-VERSION.
fetch_coroutines() {
	local tree=$CACHE/qemu-tree-$1 part=$CACHE/qemu-coroutines-$1 whole=1
	[[ ! -e $part/complete ]] || return 0
	[[ -e $tree/complete ]] || whole=0
	fetch_tree "$1" || return
	rm -rf "$part"
	mkdir -p "$part/util" "$part/include"
	cp "$tree"/util/{qemu-coroutine,coroutine-ucontext}.c "$part/util"
	cp -r "$tree/include/qemu" "$part/include"
	((whole)) || rm -r "$tree"
	touch "$part/complete"
}

# requires_source FETCH VERSION: FETCH is one of the two above. Out of reach of an archive is what a machine may be.
requires_source() {
	local said tried=$BATS_RUN_TMPDIR/out-of-reach.source-$2
	requires apt-get dpkg-source patch flock
	[[ ! -e $tried ]] || skip "the source package of QEMU $2 cannot be had here"
	said=$(under_lock "$@" 2>&1) || {
		grep '^E:' <<<"$said" | sed 's,[a-z]*://[^ ]*,,' || :
		touch "$tried"
		skip "the source package of QEMU $2 cannot be had here" # a machine may be offline
	}
}

# ---- QEMU's tools with link-time optimization, for make check-full ----

# Where there is clang with its linker and archiver, of one version: the newest.
llvm_folder() {
	local folder
	for folder in $(printf '%s\n' /usr/lib/llvm-*/bin | sort -rV); do
		[[ -x $folder/clang && -x $folder/ld.lld && -x $folder/llvm-ar ]] || continue
		echo "$folder"
		return
	done
	return 1
}

# As configure wants them: tools alone, nothing that needs a library beyond GLib, the coroutines as all distributions have them.
CONFIGURE=(--disable-system --disable-user --disable-linux-user --enable-tools --without-default-features
	--enable-coroutine-pool --enable-modules --enable-lto --enable-stack-protector --disable-docs --disable-werror
	--disable-install-blobs --extra-cflags=-fcf-protection)

# build_tools VERSION COMPILER: qemu-img and qemu-io in $CACHE/qemu-lto-VERSION-COMPILER.
build_tools() {
	local tree=$CACHE/qemu-tree-$1 folder=$CACHE/qemu-lto-$1-$2 llvm
	local -a options=("${CONFIGURE[@]}")
	[[ ! -e $folder/complete ]] || return 0
	fetch_tree "$1" || return
	case $1 in
	7.2) options+=(--meson=/usr/bin/meson) ;;
	*) options+=(--python=/usr/bin/python3 --disable-download) ;;
	esac
	llvm=/usr/bin
	[[ $2 == gcc ]] || {
		llvm=$(llvm_folder)
		options+=(--cc=clang --cxx=clang++ --enable-safe-stack -Db_lto_mode=thin --extra-ldflags=-fuse-ld=lld)
	}
	rm -rf "$folder.build" && mkdir -p "$folder" "$folder.build"
	(
		cd "$folder.build" || exit
		# Meson of another release: 10.0 wants a later one than Debian 12 has.
		export PATH=$llvm:/usr/bin:/bin PYTHONPATH=$CACHE/meson/usr/lib/python3/dist-packages AR=
		[[ $1 != 7.2 ]] || unset PYTHONPATH
		if [[ $2 == gcc ]]; then unset AR; else AR="llvm-ar"; fi
		nice "$tree/configure" "${options[@]}" &&
			sed -i '/CONFIG_VALGRIND_H/d' config-host.h && # as Debian's, where valgrind is not installed
			nice ninja -j2 qemu-img qemu-io
	) >"$folder/log" 2>&1 || return
	cp "$folder.build"/qemu-{img,io} "$folder" && rm -r "$folder.build" && touch "$folder/complete"
}

# requires_tools VERSION COMPILER: then `tools` is their folder. The first time they are built, for some minutes.
requires_tools() {
	tools=$CACHE/qemu-lto-$1-$2
	[[ ! -e $tools/complete ]] || return 0
	requires ninja meson pkg-config
	requires_package libglib2.0-dev python3-venv
	[[ $2 == gcc ]] || llvm_folder >/dev/null || lacks "there is no clang with a linker and an archiver of its version"
	requires_unpacked meson trixie meson
	requires_source fetch_tree "$1"
	BUILD_LOCK=$tools.lock under_lock build_tools "$@" || {
		tail -n 20 "$tools/log"
		return 1
	}
}
