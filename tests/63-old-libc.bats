#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# One binary for all: neither product needs a symbol of a glibc newer than 2.34, whatever compiler and headers built it,
# the library does without what came later, and copool needs nothing beside libc.
# shellcheck disable=SC2016 # what is in single quotes is for another shell, or for PHP
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2154 # run sets status and output

load lib/helper
load lib/qemu
load lib/packages
load lib/php

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	root=$(dirname "$TESTS")
	FILTER=$FILTER_SECONDS
}

# highest FILE: the latest version of libc's symbols that a file needs, as 2.34; or what else it needs of libc by name
# (GLIBC_ABI_DT_RELR).
highest() {
	local versions
	versions=$(readelf -W --version-info "$1" |
		sed -nE '/needs section/,$s/.*Name: GLIBC_([^ ]+).*/\1/p' | sort -uV)
	grep -vE '^[0-9.]+$' <<<"$versions" || tail -n 1 <<<"$versions"
}

# old_enough FILE...
old_enough() {
	local file version
	for file; do
		version=$(highest "$file")
		echo "$file needs $version"
		[[ $version =~ ^2\.[0-9.]+$ && $(printf '%s\n' "$version" 2.34 | sort -V | tail -n 1) == 2.34 ]] || return 1
	done
}

@test "old libc: neither product needs more than glibc 2.34, by whatever compiler" {
	requires readelf gcc
	local folder
	for folder in "$COPOOL_BUILD" "$COPOOL_BUILD"/{gcc,clang}; do
		[[ ! -e $folder/copool ]] || old_enough "$folder"/{libcopool.so,copool}
	done
	# What does need more is seen.
	gcc -shared -o newer.so -xc - <<<'int _dl_find_object(void *, void *); int f(void) { return _dl_find_object(0, 0); }'
	[[ $(highest newer.so) == 2.35 ]]
	run old_enough newer.so
	[[ $status -eq 1 ]]
}

# older_libc: ./older has this machine's libc, but for the name of a function that came with 2.35.
older_libc() {
	requires nm
	local libc
	libc=$(ldd "$COPOOL" | awk '/libc\.so\.6/ { print $3 }')
	mkdir -p older
	sed 's/_dl_find_object/_dl_find_nobody/g' "$libc" >older/libc.so.6
	nm -D older/libc.so.6 >names
	grep -q ' _dl_find_nobody@' names || skip "this libc has no _dl_find_object"
	! grep -q ' _dl_find_object@' names
}

@test "old libc: PHP's fibers are pooled where libc has no _dl_find_object, and misses have their call stacks" {
	requires php jq
	older_libc
	fibers_php
	same_twin LD_LIBRARY_PATH="$PWD/older" php -n fibers.php
	check_balance
	[[ $(log_open mode) == pool ]]
	(($(log_final create_local) > 3000))
	rm "$LOG"
	run_pooled COPOOL_ORIGINS=1 LD_LIBRARY_PATH="$PWD/older" php -n -r '$f = new Fiber(fn() => Fiber::suspend());
		$f->start(); readfile("/proc/self/maps");'
	[[ $output == *"$PWD/older/libc.so.6"* ]]
	[[ $(log_records origin '.frames | join(" ")') == *zend_fiber*libc.so.6*__libc_start_main* ]]
}

@test "old libc: qemu-img is pooled there, and so is what a library brings later, before and after a fork" {
	requires qemu-img jq
	requires_program late late_known
	older_libc
	same_twin LD_LIBRARY_PATH="$PWD/older" qemu-img bench -w -c 30000 -d 1024 --flush-interval=1024 \
		--image-opts driver=null-aio,size=1G
	check_balance
	[[ $(log_open host) == qemu && $(log_open way) == ending ]]
	(($(log_final create_new qemu-coroutine) <= 1025))
	local how
	for how in plain threads fork; do
		rm "$LOG"
		same_twin LD_LIBRARY_PATH="$PWD/older" "$PROGRAMS/late" "$how" "$PROGRAMS/late_known"
		check_balance
		[[ $(log_records open .mode | tail -n 1) == pool ]]
	done
}

# ---- other flags ----

@test "old libc: a distribution's _FORTIFY_SOURCE does not win over ours, and none of its flags is a warning" {
	local compiler
	cat >asks.h <<-'END'
		#if !defined(_FORTIFY_SOURCE) || _FORTIFY_SOURCE != 3
		#error it is not 3
		#endif
	END
	requires gcc clang
	for compiler in gcc clang; do
		# As Debian's and RHEL's packages are built, at once.
		run make --no-print-directory -C "$root" CC="$compiler" WERROR=1 BUILD="$PWD/$compiler" \
			CPPFLAGS="-Wdate-time -D_FORTIFY_SOURCE=2 -D_FILE_OFFSET_BITS=64 -include $PWD/asks.h" \
			CFLAGS="-g -O2 -fstack-protector-strong -Wformat -Werror=format-security -Wp,-D_FORTIFY_SOURCE=2" \
			"$PWD/$compiler"/{shim/report/line,shim/exports,tools/copool/amount}.o
		echo "$output"
		[[ $status -eq 0 ]]
		[[ $output != *warning* ]]
	done
}

# ---- one file ----

# A root folder with libc, the library and the command, and nothing else.
bare_root() {
	local file
	mkdir -p bare/{bin,proc,tmp,dev}
	cp "$COPOOL" "$COPOOL_SO" bare/bin
	cp "$1" "$LOG" bare/tmp
	ldd "$COPOOL" "$1" | sed -nE 's/.*(=> |^\t)(\/[^ ]+) .*/\2/p' | sort -u | while read -r file; do
		[[ $file == /lib64/* || $file =~ /lib(c|m|dl|pthread)\.so ]] || {
			echo "copool needs $file"
			return 1
		}
		mkdir -p "bare/${file%/*}" && cp -L "$file" "bare/$file"
	done
}

# in_bare COMMAND...: there.
in_bare() {
	run_shown unshare --mount bash -c 'mount --rbind /proc bare/proc && exec chroot bare /bin/env -i "$@"' bash "$@"
}

@test "old libc: in a root folder that has libc and no other library, copool runs, shows and compares" {
	requires unshare chroot readelf busybox jq
	requires_program stacks
	[[ $(id -u) -eq 0 ]] || skip "only root can enter a root folder"
	[[ $(readelf -dW "$COPOOL") != *libjansson* ]] || skip "copool was built without the archives of its libraries"
	run_pooled COPOOL_HOST=stacks "$PROGRAMS/stacks" zero 200
	bare_root "$PROGRAMS/stacks"
	cp "$(command -v busybox)" bare/bin/env
	in_bare /bin/copool --version
	[[ $status -eq 0 && $output == copool* ]]
	in_bare /bin/copool show --json /tmp/log.jsonl
	[[ $status -eq 0 ]]
	[[ $(jq '.processes[0].pools[0] | .create_local + .create_depot + .create_new' <<<"$output") -ge 200 ]]
	in_bare /bin/copool run --host=stacks --summary -- /tmp/stacks zero 200
	[[ $status -eq 0 && $output == *" creates"* ]]
	in_bare /bin/copool report -o /tmp/page.html /tmp/log.jsonl
	[[ $status -eq 0 && -s bare/tmp/page.html ]]
	# Without a terminal's description it says so.
	in_bare TERM=xterm /bin/copool top -n 1 /tmp/log.jsonl
	[[ $status -eq 0 ]]
}

# ---- the newest compilers at hand ----

NEWEST=(base-files base-passwd bash dash coreutils sed grep gawk findutils diffutils make binutils gcc-14 clang-19 libc6-dev libc-bin
	libzydis-dev libjansson-dev libunwind-dev systemtap-sdt-dev libncurses-dev)

# built_there COMPILER: the products, in ./COMPILER, without a warning.
built_there() {
	run_shown unshare --mount bash -c 'mount --rbind /proc "$1/proc" && mount --rbind /dev "$1/dev" &&
		mkdir -p "$1$2" && mount --rbind "$2" "$1$2" && exec chroot "$1" /usr/bin/env -C "$2/source" "${@:3}"' \
		bash "$CACHE/compilers-13" "$PWD" PATH=/usr/bin:/usr/sbin make -j2 CC="$1" WERROR=1 COPOOL_COMMIT=0123456789ab \
		BUILD="$PWD/$1" "$PWD/$1/libcopool.so" "$PWD/$1/copool"
	[[ $status -eq 0 && $output != *warning* ]]
}

@test "old libc: built by gcc 14 and clang 19 with the headers of Debian 13, the products run here" {
	[[ ${COPOOL_TEST_FULL-} == 1 ]] || skip "Debian 13's compilers are fetched: only in make check-full"
	requires php qemu-img jq unshare chroot readelf
	[[ $(id -u) -eq 0 ]] || skip "only root can enter a root folder"
	local said compiler
	said=$(under_lock fetch_root compilers-13 trixie "${NEWEST[@]}" 2>&1) || {
		grep '^E:' <<<"$said" | sed 's,[a-z]*://[^ ]*,,' || :
		skip "the compilers of Debian 13 cannot be had here"
	}
	mkdir source
	tar c -C "$root" --exclude=./build --exclude=./.git . | tar x -C source
	fibers_php
	for compiler in gcc-14 clang-19; do
		built_there "$compiler"
		old_enough "$compiler"/{libcopool.so,copool}
		[[ $(readelf -dW "$compiler/copool") != *libjansson* ]]
		COPOOL_SO=$PWD/$compiler/libcopool.so COPOOL=$PWD/$compiler/copool
		same_twin php -n fibers.php
		check_balance
		[[ $(log_open mode) == pool && $(log_open commit) == 0123456789ab ]]
		rm "$LOG"
		same_twin qemu-img bench -w -c 30000 -d 1024 --flush-interval=1024 --image-opts driver=null-aio,size=1G
		check_balance
		(($(log_final create_new qemu-coroutine) <= 1025))
		run_shown "$COPOOL" show "$LOG"
		[[ $status -eq 0 && $output == *"Good. Of"* ]]
		rm "$LOG"
	done
}
