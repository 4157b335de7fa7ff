#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# make install in other folders and under running programs, and make dist.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2153,SC2154 # helper.bash sets COPOOL_SO; start leaves $pid

load lib/helper

setup() {
	root=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	package=$root/tools/package
	stage=$BATS_TEST_TMPDIR/stage
	version=$(sed -n 's/^VERSION := //p' "$root/Makefile")
	multiarch=$(gcc -print-multiarch)
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	stop_all
}

make_target() {
	run env -u MAKEFLAGS make --no-print-directory -C "$root" "$@"
	echo "$output"
	[[ $status -eq 0 ]]
}

# The products in a folder of the test's own, where another LIBDIR may link the command again.
own_build() {
	build=$BATS_TEST_TMPDIR/build
	mkdir "$build"
	(cd "$COPOOL_BUILD" && cp -a flags static-libs commit library exports.map libcopool.so copool completions shim tools "$build" 2>/dev/null) || :
	[[ -x $build/copool && -d $build/tools ]]
}

files_in() {
	(cd "$1" && find . -type f -printf '%P\n' | sort)
}

# ---- make install ----

@test "install: copool finds its library in any LIBDIR, also when both are moved" {
	own_build
	make_target install BUILD="$build" DESTDIR="$stage" PREFIX=/usr LIBDIR="/usr/lib/$multiarch"
	[[ -e $stage/usr/lib/$multiarch/libcopool.so ]]
	run "$stage/usr/bin/copool" run printenv LD_PRELOAD
	[[ $status -eq 0 && $output == "$stage/usr/lib/$multiarch/libcopool.so" ]]
	rm "$stage/usr/lib/$multiarch/libcopool.so"
	run "$stage/usr/bin/copool" run true
	[[ $status -eq 125 && $output == *"../lib/$multiarch/libcopool.so"* ]]
	make_target uninstall DESTDIR="$stage" PREFIX=/usr LIBDIR="/usr/lib/$multiarch"
	[[ -z $(files_in "$stage") ]]
	make_target install BUILD="$build" DESTDIR="$stage" PREFIX=/opt/a LIBDIR=/opt/b BINDIR=/opt/c ZSHDIR=/opt/d
	run "$stage/opt/c/copool" run printenv LD_PRELOAD
	[[ $status -eq 0 && $output == "$stage/opt/b/libcopool.so" ]]
	make_target uninstall DESTDIR="$stage" PREFIX=/opt/a LIBDIR=/opt/b BINDIR=/opt/c ZSHDIR=/opt/d
	[[ -z $(files_in "$stage") ]]
}

@test "install: manuals and README name the library where it is, and are good manuals" {
	local prefix page
	for prefix in '/odd & path|\1' /usr; do
		make_target install DESTDIR="$stage" PREFIX="$prefix"
		run grep -rhoF "$prefix/lib/copool/libcopool.so" "$stage$prefix/share"
		[[ $(wc -l <<<"$output") -ge 5 ]]
		run grep -rlF /usr/local/lib/copool "$stage"
		[[ $status -eq 1 ]]
		[[ $(files_in "$stage" | grep -c '\.new$') -eq 0 ]]
	done
	grep -qF /usr/lib/copool/libcopool.so "$stage/usr/share/doc/copool/README.md"
	requires mandoc
	for page in "$stage"/usr/share/man/man*/*; do
		run mandoc -Tlint -Wwarning "$page"
		[[ -z $output ]]
	done
}

@test "install: each file gets its name by a rename, and none that is there is written to" {
	requires strace
	make_target install PREFIX="$stage"
	strace -f -qq -e trace=openat,open,creat,rename,renameat,renameat2,unlink,unlinkat,truncate,ftruncate -o trace \
		env -u MAKEFLAGS make --no-print-directory -C "$root" install PREFIX="$stage"
	local file
	while read -r file; do
		grep -qE "rename.*\"$stage/$file.new\", .*\"$stage/$file\"" trace || { echo "$file: not renamed"; return 1; }
		! grep -E "(unlink|open|creat|truncate).*\"$stage/$file\"(, (0|AT_|.*O_(WRONLY|RDWR|TRUNC)))?" trace |
			grep -vE 'O_RDONLY|ENOENT' || return
	done < <(files_in "$stage")
}

@test "install: a program goes on with the library that it has, and a new one takes the new one" {
	requires jq
	requires_program steps
	local library=$stage/lib/copool/libcopool.so old
	make_target install PREFIX="$stage"
	old=$(stat -c %i "$library")
	export COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop COPOOL_LOG=$LOG
	start env LD_PRELOAD="$library" "$PROGRAMS/steps" use 1000 touch used wait go use 1000 use 1000
	wait_until 20 test -e used
	make_target install PREFIX="$stage"
	[[ $(stat -c %i "$library") != "$old" ]]
	grep -q 'libcopool.so (deleted)$' "/proc/$pid/maps"
	run "$stage/bin/copool" ps
	echo "$output"
	[[ $output == *"was replaced"* ]]
	run "$stage/bin/copool" show "$pid"
	[[ $status -eq 0 && $output == *box_make* ]]
	touch go
	ended "$pid"
	[[ $status -eq 0 ]]
	check_balance
	(($(log_final create_local) + $(log_final create_depot) + $(log_final create_new) == 3000))
}

# ---- make dist ----

@test "dist: the tarball is the same from a clone and from itself, and names the commit" {
	requires git xz
	local unpacked=$BATS_TEST_TMPDIR/copool-$version
	"$package/dist" "$BATS_TEST_TMPDIR/one" "$version" 0123abc
	(umask 077 && cd / && TZ=Asia/Tokyo "$package/dist" "$BATS_TEST_TMPDIR/two" "$version" 0123abc)
	cmp one/*.tar.xz two/*.tar.xz
	tar -xf one/*.tar.xz
	[[ $(cat "$unpacked/.commit") == 0123abc ]]
	diff <(cd "$unpacked" && find . -type f ! -name .commit -printf '%P\n' | sort) \
		<(cd "$root" && git -c safe.directory="$root" ls-files | grep -vxF .commit | sort)
	mkdir -p "$unpacked/build" && touch "$unpacked/build/product"
	"$unpacked/tools/package/dist" "$unpacked/build" "$version" 0123abc
	cmp "$unpacked/build/copool-$version.tar.xz" one/*.tar.xz
}
