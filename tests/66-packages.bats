#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Packages: what they are made of, make install in other folders and under running programs, and make dist. With
# COPOOL_TEST_FULL=1 they are built, installed, upgraded and removed in fresh roots of Debian 12 and 13.
# shellcheck disable=SC2016 # what is in single quotes is for the shell in the root
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2034,SC2153,SC2154 # helper.bash sets COPOOL_SO; start leaves $pid; lib/aarch64 reads $ARM_SO

load lib/helper
load lib/packages
load lib/aarch64

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
	roots_remove
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
	# The flags name the folder. Else all would be compiled again.
	sed "s,=[^ =]*/exports\.map,=$build/exports.map," "$COPOOL_BUILD/flags" >"$build/flags"
	touch -r "$COPOOL_BUILD/flags" "$build/flags"
}

files_in() {
	(cd "$1" && find . -type f -printf '%P\n' | sort)
}

# ---- what packages are made of ----

@test "packages: the Makefile, the Debian change log and the RPM spec name one version" {
	[[ $(sed -n '1s/.*(\(.*\)).*/\1/p' "$package/debian/changelog") == "$version" ]]
	[[ $(sed -n 's/^Version: *//p' "$package/copool.spec") == "$version" ]]
}

@test "packages: tools/bootstrap installs all that the Debian packages are built from" {
	local name
	while read -r name; do
		echo "$name"
		grep -qE "^$name +(build|deb) " "$root/tools/deps"
	done < <(sed -n '/^Build-Depends/,/^Standards/p' "$package/debian/control" | grep -oE '^ [a-z0-9.-]+')
	grep -qE '^debhelper +deb ' "$root/tools/deps"
}

@test "packages: the RPM spec passes rpmlint" {
	requires rpmlint
	run rpmlint --rpmlintrc "$package/copool.rpmlintrc" "$package/copool.spec"
	echo "$output"
	[[ $status -eq 0 && $output == *' 0 errors, 0 warnings,'* ]]
	sed '/^License:/d' "$package/copool.spec" >copool.spec
	run rpmlint --rpmlintrc "$package/copool.rpmlintrc" copool.spec
	[[ $output != *' 0 errors, 0 warnings,'* ]]
}

@test "packages: systemd takes the timer, and calls its service well confined" {
	requires systemd-analyze
	local unit exposure
	for unit in "$package"/copool-prune.*; do
		sed 's/^Documentation=.*//; s,/usr/bin/copool,/bin/true,' "$unit" >"${unit##*/}"
	done
	run systemd-analyze verify ./copool-prune.timer ./copool-prune.service
	echo "$output"
	[[ $status -eq 0 && -z $output ]]
	run systemd-analyze security --offline=true ./copool-prune.service
	exposure=$(sed -nE 's/.*Overall exposure level.*: ([0-9.]+) .*/\1/p' <<<"$output")
	echo "exposure $exposure"
	[[ ${exposure%.*} -le 2 ]]
}

@test "packages: AppArmor takes the rules, by themselves and as libvirt includes them" {
	requires apparmor_parser
	local base=$BATS_TEST_TMPDIR/apparmor.d
	cp -r /etc/apparmor.d "$base"
	cp -r "$package"/apparmor/* "$base/abstractions"
	printf '%s\n' 'include <tunables/global>' 'profile guest {' 'include <abstractions/base>' \
		'include if exists <abstractions/libvirt-qemu.d>' '}' >"$base/guest"
	run apparmor_parser --skip-kernel-load --skip-cache --base "$base" --preprocess "$base/guest"
	echo "$output" | tail -n 5
	[[ $status -eq 0 && $output == *'/var/log/copool/{,**} rw,'* ]]
	run apparmor_parser --skip-kernel-load --skip-cache --base "$base" "$base/guest"
	[[ $status -eq 0 ]]
}

@test "packages: logrotate takes its file, and moves a log away" {
	requires logrotate
	mkdir logs
	sed "s,/var/log/copool,$PWD/logs," "$package/copool.logrotate" >rotate
	chmod 644 rotate
	echo '{}' >logs/php.jsonl
	run logrotate --force --state "$PWD/state" rotate
	echo "$output"
	[[ $status -eq 0 && -z $output ]]
	[[ $(ls logs) == php.jsonl.1 ]]
}

@test "packages: the library as it is installed is under 400 KiB, and needs libc alone" {
	strip --strip-unneeded -o stripped "$COPOOL_SO"
	ls -l stripped
	[[ $(stat -c %s stripped) -lt $((400 * 1024)) ]]
	[[ $(readelf --dynamic --wide stripped | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p') == libc.so.6 ]]
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
		run grep -rlE '/usr/local/lib/copool/libcopool\.so|/usr/lib/x86_64-linux-gnu/libcopool\.so' "$stage$prefix/share"
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
	[[ ${COPOOL_TEST_FULL-} == 1 ]] || skip "three of them take ten seconds: only in make check-full"
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
	mkdir "$unpacked/.git" # a clone, where there is no git
	run --separate-stderr "$unpacked/tools/package/dist" "$unpacked/build" "$version" 0123abc
	[[ $status -eq 0 && $stderr == *'names no commit'* ]]
	cmp "$unpacked/build/copool-$version.tar.xz" one/*.tar.xz
}

# ---- in roots of their own ----

ROOTS=()

roots_remove() {
	local each
	for each in "${ROOTS[@]}"; do
		rm -rf --one-file-system "$each"
	done
}

requires_full() {
	[[ ${COPOOL_TEST_FULL-} == 1 ]] || skip "packages are built in fresh roots: only in make check-full"
	[[ $(id -u) -eq 0 ]] || skip "only root can enter a root folder"
	local command
	for command; do
		command -v "$command" >/dev/null || skip "there is no $command"
	done
}

# A root with nothing but apt, once for all.
make_root() { # SUITE
	[[ ! -e $CACHE/root-$1.tar ]] || return 0
	local source
	source=$(source_line "$1" | head -n 1)
	[[ $source ]] || return
	timeout 600 mmdebstrap --quiet --format=tar --variant=minbase "$1" "$CACHE/root-$1.tar.new" "$source" &&
		mv "$CACHE/root-$1.tar.new" "$CACHE/root-$1.tar"
}

# bare_root SUITE FOLDER: such a root there, with nothing installed. What apt downloads is kept in $archives for the next run.
bare_root() {
	under_lock make_root "$1" >made 2>&1 || skip "a root of Debian's $1 cannot be had here"
	archives=$CACHE/archives-$1
	ROOTS+=("$2")
	mkdir -p "$2/copool" "$archives"
	tar -xf "$CACHE/root-$1.tar" -C "$2"
	cp -L /etc/resolv.conf "$2/etc/resolv.conf"
	cp /etc/hosts "$2/etc/hosts"
}

# fresh_root SUITE: $fresh is such a root, with the unpacked tarball in /copool.
fresh_root() {
	fresh=$BATS_TEST_TMPDIR/root
	bare_root "$1" "$fresh"
	"$package/dist" "$BATS_TEST_TMPDIR" "$version" 0123abc
	tar -xf "copool-$version.tar.xz" -C "$fresh/copool" --strip-components=1
}

# shellcheck disable=SC2016 # for the inner shell
enter=(unshare --mount bash -c '
	mount --rbind /proc "$1/proc" && mount --rbind /dev "$1/dev" && mount --bind "$2" "$1/var/cache/apt/archives" || exit
	exec chroot "$1" /usr/bin/env -i -C /copool PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
		DEBIAN_FRONTEND=noninteractive sh -euc "$3"' bash)

# inside COMMANDS: runs them in the root, in /copool; shows how long they took.
inside() {
	local start=$EPOCHREALTIME
	run timeout --foreground --kill-after=5 1500 "${enter[@]}" "$fresh" "$archives" "$1"
	echo "\$ $1"
	tail -n 40 <<<"$output"
	awk -v from="$start" -v to="$EPOCHREALTIME" 'BEGIN { printf "took %.1f s\n", to - from }'
	[[ $status -eq 0 ]]
}

QEMU_IMG='qemu-img bench -w -c 30000 -d 1024 --flush-interval=1024 --image-opts driver=null-aio,size=1G'
PHP_FIBERS='for ($i = 0; $i < 20000; $i++) { $f = new Fiber(function () { Fiber::suspend(); }); $f->start(); $f->resume(); }'

# gains COMMAND: the library helps it, in the root, and most of the creates that missed are served.
gains() {
	inside "copool compare --quiet --runs 3 --json -- $1 >/tmp/compare.json"
	jq -c '.verdict, .stock.new, .pooled.new' "$fresh/tmp/compare.json"
	jq -e '.helps and .pooled.new.median * 5 < .stock.new.median' "$fresh/tmp/compare.json"
}

# told PROGRAM KIND WAY COMMAND: doctor finds nothing in the way, and names the version that COMMAND prints.
told() {
	local is
	inside "$4"
	is=$output
	[[ $is =~ ^[0-9]+[0-9.]+$ ]]
	inside "copool doctor $1; copool doctor --json $1 >/tmp/doctor.json"
	jq -e --arg kind "$2" --arg way "$3" --arg is "$is" '.verdict == "can_help" and .findings == [] and .library.decoder
		and .adapter.way == $way and .program.is == $kind and (.program.version | startswith($is))' "$fresh/tmp/doctor.json"
}

# on_another SUITE: packages that one release has built are installed on another, and help there. Doctor's own command
# installs what is missing.
on_another() {
	local built=$fresh/copool/build/deb archives
	local fresh=$BATS_TEST_TMPDIR/another
	bare_root "$1" "$fresh"
	cp "$built"/{lib,}copool_[0-9]*.deb "$fresh/copool"
	inside 'apt-get update; apt-get install -y --no-install-recommends ./*.deb php-cli qemu-utils'
	inside '! copool doctor --json qemu-img >/tmp/doctor.json'
	[[ $(jq -r '"\(.verdict) \(.adapter.way)"' "$fresh/tmp/doctor.json") == 'in_the_way stacks' ]]
	inside "$(jq -r .next "$fresh/tmp/doctor.json") -y"
	gains "$QEMU_IMG"
	gains "php -r '$PHP_FIBERS'"
}

# From README alone to a gain; then the next version under a running program; then all away.
life_of_packages() { # SUITE [ANOTHER]
	requires_full mmdebstrap unshare chroot jq
	fresh_root "$1"
	inside 'tools/bootstrap deb'
	inside 'apt-get install -y ./build/deb/*.deb php-cli qemu-utils'
	inside 'copool --version; test "$(copool --version | grep -o "[0-9.]*" | head -n 1)" = "'"$version"'"'
	inside 'dpkg -V copool libcopool; find /usr/lib -name libcopool.so'
	[[ $output == /usr/lib/$multiarch/libcopool.so ]]
	inside 'man=$(dpkg -L copool | grep libcopool.7); zgrep -q /usr/lib/'"$multiarch"'/libcopool.so "$man"'
	told qemu-img QEMU ending 'qemu-img --version | sed -nE "s/^qemu-img version ([0-9.]+).*/\1/p"'
	told php PHP stacks 'php -r "echo PHP_VERSION;"'
	gains "$QEMU_IMG"
	gains "php -r '$PHP_FIBERS'"
	inside "LD_PRELOAD=libcopool.so COPOOL_LOG=/tmp/bare.jsonl php -r '$PHP_FIBERS'; copool show /tmp/bare.jsonl"
	[[ $output == *'stack '* && $output == *Good* ]]
	inside "copool run --log=/tmp/run.jsonl -- $QEMU_IMG; copool show /tmp/run.jsonl; copool report -o /tmp/page.html /tmp/run.jsonl"
	[[ $output == *'qemu-coroutine: Good. '* ]]
	grep -q qemu-coroutine "$fresh/tmp/page.html"
	[[ -z ${2-} ]] || on_another "$2"

	# From an older version to this one.
	inside 'make deb VERSION=0.1.9 BUILD=/tmp/older >/tmp/older.log'
	inside 'apt-get install -y --allow-downgrades /tmp/older/deb/copool_*.deb /tmp/older/deb/libcopool_*.deb; dpkg -s libcopool'
	[[ $output == *'Version: 0.1.9'* ]]
	start "${enter[@]}" "$fresh" "$archives" 'exec env LD_PRELOAD=libcopool.so COPOOL_LOG=/tmp/runs.jsonl php -r "
		for (\$n = 0; !file_exists(\"/tmp/stop\"); \$n++) { \$f = new Fiber(function () { Fiber::suspend(7); });
			if (\$f->start() != 7) exit(1); \$f->resume(); if (\$n % 1000 == 999) touch(\"/tmp/begun\"); clearstatcache(); }
		echo \"all right\n\";"'
	wait_until 20 test -e "$fresh/tmp/begun"
	inside 'apt-get install -y ./build/deb/copool_*.deb ./build/deb/libcopool_*.deb; dpkg -s libcopool'
	[[ $output == *"Version: $version"* ]]
	grep -q 'libcopool.so (deleted)$' "/proc/$pid/maps"
	inside "copool ps; copool show $pid; copool doctor $pid"
	[[ $output == *'was replaced: restart it'* && $output == *'stack '* ]]
	[[ $output == *'is of version 0.1.9'* && $output == *'the new one when it starts again'* ]]
	rm "$fresh/tmp/begun"
	wait_until 20 test -e "$fresh/tmp/begun"
	touch "$fresh/tmp/stop"
	ended "$pid"
	[[ $status -eq 0 && $(<"$BATS_TEST_TMPDIR/output.$pid") == 'all right' ]]
	LOG=$fresh/tmp/runs.jsonl check_balance

	inside 'apt-get remove -y copool libcopool; ! command -v copool; php -r "echo 1;"'
	inside 'dpkg --purge copool libcopool'
	run find "$fresh" -xdev -path "$fresh/copool" -prune -o -path "$fresh/tmp" -prune -o -name '*copool*' -print
	echo "$output"
	[[ -z $output ]]
	! grep -rl copool "$fresh"/etc "$fresh"/var/lib/dpkg/info "$fresh"/var/lib/systemd 2>/dev/null || return
}

@test "Debian 12: built, installed, gains with QEMU and PHP, upgraded under a running program, purged" {
	life_of_packages bookworm
}

@test "Debian 13: built, installed, gains with QEMU and PHP, upgraded under a running program, purged" {
	life_of_packages trixie bookworm
}

@test "deb: packages are the same when they are built again elsewhere, and lintian has nothing to say" {
	requires_full lintian dpkg-buildpackage dh
	"$package/dist" one "$version" 0123abc
	mkdir -p far/away
	cp -r one far/away/two
	"$package/deb" one "$version" >built 2>&1 || { tail -n 40 built; return 1; }
	(umask 002 && TZ=Asia/Tokyo LC_ALL=C.UTF-8 "$package/deb" far/away/two "$version") >again 2>&1 || { tail -n 40 again; return 1; }
	local file
	for file in one/deb/*.deb; do
		cmp "$file" "far/away/two/deb/${file##*/}"
	done
	! grep -i 'warning' built | grep -v '^dpkg' || return
	run lintian --allow-root --display-info --pedantic one/deb/*.changes
	echo "$output"
	[[ $status -eq 0 && -z $output ]]
	dpkg-deb --extract one/deb/libcopool_*.deb library
	file=$(find library -name libcopool.so)
	ls -l "$file"
	[[ $(stat -c %s "$file") -lt $((400 * 1024)) ]]
	[[ $(dpkg-deb -f one/deb/libcopool_*.deb Depends) =~ ^libc6\ \([^,]*\)$ ]]
}

@test "deb: for another architecture it says what is missing" {
	requires dpkg-buildpackage dpkg-architecture
	local architecture=s390x
	! command -v s390x-linux-gnu-gcc >/dev/null || architecture=riscv64
	run "$package/deb" . "$version" $architecture
	[[ $status -eq 1 && $output == "make deb: there is no compiler for "*"install crossbuild-essential-$architecture" ]]
	[[ ! -e deb ]]
	run "$package/deb" . "$version" sparc69
	[[ $status -eq 1 && $output == "make deb: dpkg does not know an architecture \`sparc69'" ]]
}

@test "rpm: the packages are built" {
	requires_full rpmbuild
	"$package/dist" . "$version" 0123abc
	run rpmbuild -tb --nodeps --define "_topdir $PWD/rpm" --define "debug_package %{nil}" "copool-$version.tar.xz"
	tail -n 20 <<<"$output"
	[[ $status -eq 0 ]]
	[[ $(find rpm/RPMS -name '*.rpm' | wc -l) -eq 2 ]]
	run rpm -qpl rpm/RPMS/*/copool-libs-*.rpm
	[[ $output == *libcopool.so* ]]
}

@test "deb: packages for arm64 are built on amd64" {
	requires_full mmdebstrap unshare chroot
	[[ $(dpkg --print-architecture) == amd64 ]] || skip "this is no amd64"
	fresh_root bookworm
	inside 'dpkg --add-architecture arm64; apt-get update; apt-get install -y crossbuild-essential-arm64'
	inside 'apt-get build-dep -y --host-architecture arm64 ./tools/package'
	inside 'make deb ARCH=arm64'
	[[ $output != *warning:* ]]
	local made=$fresh/copool/build/deb library=unpacked/usr/lib/aarch64-linux-gnu/libcopool.so
	[[ $(dpkg-deb -f "$made"/libcopool_*.deb Architecture) == arm64 ]]
	[[ $(dpkg-deb -f "$made"/copool_*.deb Architecture) == arm64 ]]
	[[ $(dpkg-deb -f "$made"/libcopool_*.deb Depends) =~ ^libc6\ \([^,]*\)$ ]]
	[[ $(dpkg-deb -f "$made"/libcopool_*.deb Recommends) == libunwind8 ]]
	dpkg-deb --extract "$made"/libcopool_*.deb unpacked
	dpkg-deb --extract "$made"/copool_*.deb unpacked
	ls -l "$library" unpacked/usr/bin/copool
	[[ $(stat -c %s "$library") -lt $((400 * 1024)) ]]
	run -0 readelf --file-header --dynamic --wide "$library" unpacked/usr/bin/copool
	[[ $(grep -c 'Machine: *AArch64' <<<"$output") -eq 2 ]]
	[[ $(readelf --dynamic --wide "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort | xargs) == 'ld-linux-aarch64.so.1 libc.so.6' ]]

	# What is inside works there.
	requires_arm_12
	ARM_SO=$PWD/$library
	arm_pooled "$arm_root/usr/bin/php8.2" -n -r "$PHP_FIBERS"
	[[ $status -eq 0 && $(log_open way) == stacks ]]
	check_balance
	arm unpacked/usr/bin/copool show "$LOG"
	[[ $status -eq 0 && $output == *'stack '*Good* ]]
	rm "$LOG"
	arm_pooled "$arm_root"/usr/bin/qemu-img bench -w -c 4000 -d 512 --flush-interval=512 --image-opts driver=null-aio,size=1G
	[[ $status -eq 0 && $(log_open way) == ending ]]
	check_balance
}
