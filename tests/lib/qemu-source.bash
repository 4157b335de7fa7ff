# QEMU's own code out of Debian's source packages, and what it takes to compile its coroutines alone: tests/
# qemu-source has headers and functions of ours in place of what they would pull in. Nothing of QEMU's is kept elsewhere
# than below build/cache. After lib/packages.
# shellcheck shell=bash

STUBS=$TESTS/qemu-source

# The releases of Debian whose source package is QEMU of that version.
declare -A QEMU_SUITE=([7.2]=bookworm [10.0]=trixie [11.1]=sid)

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
		dpkg-source --no-check --extract "$tree.archives"/*.dsc "$tree" &&
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
