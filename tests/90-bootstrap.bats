#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# From a fresh machine to `make demo` and `make check`. apt-get and sudo are played by scripts, in a tree that
# has only the script at hand.
# shellcheck disable=SC2016 # what is in single quotes is for the scripts to expand

load lib/helper

setup() {
	root=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	tree=$BATS_TEST_TMPDIR/tree
	bin=$BATS_TEST_TMPDIR/bin
	calls=$BATS_TEST_TMPDIR/calls
	mkdir -p "$tree/tools" "$bin"
	: >"$calls"
	cp "$root/tools/bootstrap" "$tree/tools"
	printf 'demo check bench deb:\n\t@echo "made $@"\n' >"$tree/Makefile"
	local tool
	for tool in sh make cut sort id env dirname sed; do
		ln -s "$(command -v $tool)" "$bin/$tool"
	done
}

# script PATH LINES: an executable one.
script() {
	printf '#!/bin/sh\n%s\n' "$2" >"$1"
	chmod +x "$1"
}

# Debian as far as bootstrap sees it: installing PACKAGE makes the command PACKAGE; `none` is not to be had.
with_apt() {
	script "$bin/apt-get" 'echo "apt-get $*" >>'"$calls"'
		[ "$1" = install ] || exit 0
		shift
		for package; do case $package in -*) ;; none) exit 100 ;; esac; done
		for package; do case $package in -*) ;; *) ln -sf /bin/true '"$bin"'/$package ;; esac; done'
	ln -s "$(command -v ln)" "$bin/ln"
}

bootstrap() {
	PATH=$bin run "$tree/tools/bootstrap" "$@"
	echo "bootstrap $*: $status: $output"
	cat "$calls"
}

@test "bootstrap: where all is there, apt is not called" {
	with_apt
	printf 'make build command make\nsed demo command sed\n' >"$tree/tools/deps"
	bootstrap demo
	[[ $status -eq 0 && $output == "made demo" && ! -s $calls ]]
	bootstrap check
	[[ $status -eq 0 && $output == "made check" && ! -s $calls ]]
	bootstrap bench
	[[ $status -eq 0 && $output == "made bench" && ! -s $calls ]]
	bootstrap deb
	[[ $status -eq 0 && $output == "made deb" && ! -s $calls ]]
}

@test "bootstrap: only what is missing is installed, and only for the purpose" {
	with_apt
	printf '# a comment\n\nmake build command make\none build command one\n' >"$tree/tools/deps"
	printf 'two demo command two\nthree check command three\n' >>"$tree/tools/deps"
	bootstrap demo
	[[ $status -eq 0 && $output == *"made demo" ]]
	grep -qx 'apt-get update' "$calls"
	grep -qE '^apt-get install .*-y.* one two$' "$calls"
	[[ ! -e $bin/three && $(grep -c install "$calls") -eq 1 ]]
}

@test "bootstrap: a user other than root uses sudo" {
	with_apt
	rm "$bin/id"
	script "$bin/id" 'echo 1000'
	script "$bin/sudo" 'echo "sudo $*" >>'"$calls"'; exec "$@"'
	echo 'one build command one' >"$tree/tools/deps"
	bootstrap demo
	[[ $status -eq 0 ]]
	grep -q '^sudo apt-get update' "$calls"
	grep -q '^sudo .*apt-get install' "$calls"
}

@test "bootstrap: without apt it says what is missing and stops" {
	printf 'one build command one\ntwo demo header two/two.h\n' >"$tree/tools/deps"
	bootstrap demo
	[[ $status -eq 1 && $output == *"command one"* && $output == *"header two/two.h"* && $output != *made* ]]
}

@test "bootstrap: a package that is not to be had does not cost the others" {
	with_apt
	printf 'none check command none\ntwo check command two\n' >"$tree/tools/deps"
	bootstrap check
	[[ $status -eq 0 && $output == *"going on without command none"* && $output == *"made check" && -e $bin/two ]]
}

@test "bootstrap: nothing is built without what building needs" {
	with_apt
	printf 'none build command none\ntwo check command two\n' >"$tree/tools/deps"
	bootstrap check
	[[ $status -eq 1 && $output == *"cannot build without"* && $output == *"command none"* && $output != *made* ]]
}

@test "bootstrap: every kind of probe tells there from not there" {
	with_apt
	ln -s /usr/bin/perl "$bin/perl"
	local probe
	for probe in 'command sed' 'header stdio.h' 'library libc.so.6' 'perl strict' 'python json' 'file /etc/passwd'; do
		echo "one build $probe" >"$tree/tools/deps"
		bootstrap demo
		[[ $status -eq 0 && ! -s $calls ]]
	done
	for probe in 'command sedx' 'header stdiox.h' 'library libcx.so.6' 'perl strictx' 'python jsonx' 'file /etc/passwdx'; do
		echo "one build $probe" >"$tree/tools/deps"
		bootstrap demo
		[[ $status -eq 1 && -s $calls ]]
	done
}

@test "bootstrap: it wants one of four words" {
	echo 'make build command make' >"$tree/tools/deps"
	local words
	for words in '' 'jump' 'demo check'; do
		# shellcheck disable=SC2086
		bootstrap $words
		[[ $status -eq 2 && $output == *Usage* ]]
	done
}

@test "bootstrap: what make says is what it says" {
	echo 'make build command make' >"$tree/tools/deps"
	printf 'demo:\n\t@false\n' >"$tree/Makefile"
	bootstrap demo
	[[ $status -ne 0 ]]
}

@test "deps: every line has a package, a purpose and a probe, and Debian knows the package" {
	local line row='^[a-z0-9.+-]+ +(build|demo|check|bench|deb) +(command|header|library|perl|python|file) +[^ ]+$'
	while read -r line; do
		echo "$line"
		[[ $line =~ $row ]]
	done < <(grep -vE '^(#|$)' "$root/tools/deps")
	requires apt-cache
	[[ -n $(apt-cache madison make) ]] || skip "apt has no lists to look the packages up in"
	run comm -23 <(grep -vE '^(#|$)' "$root/tools/deps" | cut -d' ' -f1 | sort -u) <(apt-cache pkgnames | sort)
	echo "unknown: $output"
	[[ -z $output ]]
}

@test "demo: it shows both times and the counters, and cleans up" {
	requires qemu-img
	mkdir "$BATS_TEST_TMPDIR/tmp"
	TMPDIR=$BATS_TEST_TMPDIR/tmp run timeout 600 "$root/tools/demo"
	echo "$output"
	[[ $status -eq 0 ]]
	grep -qE '^  qemu-img +[0-9]+\.[0-9]+ ' <<<"$output"
	grep -qE '^  copool run qemu-img +[0-9]+\.[0-9]+ ' <<<"$output"
	grep -qE '^  qemu-coroutine +1[0-9]{5} ' <<<"$output"
	[[ -z $(ls -A "$BATS_TEST_TMPDIR/tmp") ]]
}
