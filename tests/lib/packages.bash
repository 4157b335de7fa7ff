# SPDX-License-Identifier: MIT
# Debian packages unpacked below build/cache, never installed: other versions of QEMU, a kernel for a guest.
# Where they come from is read off the machine's own package sources.
# shellcheck shell=bash

CACHE=$COPOOL_BUILD/cache

# The machine's entry for its own release as one `deb` line, with SUITE in place of the release.
source_line() { # SUITE
	local codename
	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
	cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
		awk -v from="$codename" -v to="$1" '$1 == "deb" && / main( |$)/ {
			for (i = 2; i <= NF; i++) if ($i == from) { $i = to; print; exit } }'
	awk -v from="$codename" -v to="$1" '
		function flush(   n, i, suite) {
			n = split(value["Suites"], suite, " ")
			for (i = 1; i <= n; i++)
				if (suite[i] == from && value["Types"] ~ /deb( |$)/ && value["Components"] ~ /main/) {
					split(value["URIs"], uri, " ")
					print "deb", (value["Signed-By"] ~ /^\// ? "[signed-by=" value["Signed-By"] "]" : ""),
						uri[1], to, "main"
				}
			delete value
		}
		/^#/ { next }
		/^[ \t]*$/ || FNR == 1 { flush() }
		/^[A-Za-z-]+:/ { key = $1; sub(/:$/, "", key); $1 = ""; sub(/^ +/, ""); value[key] = $0 }
		END { flush() }' /etc/apt/sources.list.d/*.sources 2>/dev/null
}

# apt_of SUITE COMMAND...: apt-get or apt-cache on that suite alone, its lists below the cache. SUITE may be followed by a
# colon and another architecture, also below: bookworm:arm64.
apt_of() {
	local folder=$CACHE/apt/$1 tool=$2 architecture=()
	[[ $1 != *:* ]] || architecture=(-o "APT::Architecture=${1#*:}" -o "APT::Architectures=${1#*:}")
	shift 2
	timeout "${APT_LIMIT_S:-180}" "$tool" -qq "${architecture[@]}" -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder/cache" -o APT::Sandbox::User=root \
		-o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 "$@"
}

fetch_suite() { # SUITE
	local folder=$CACHE/apt/$1
	[[ ! -e $folder/complete ]] || return 0
	mkdir -p "$folder"/{lists,cache/archives}/partial
	source_line "${1%:*}" | head -n 1 >"$folder/sources.list"
	# Experimental has only what differs from sid.
	[[ $1 != experimental ]] || source_line sid | head -n 1 >>"$folder/sources.list"
	[[ -s $folder/sources.list ]] && apt_of "$1" apt-get update && touch "$folder/complete"
}

# What a package that only points at others points at first.
pointed_at() { # SUITE PACKAGE
	apt_of "$1" apt-cache depends "$2" | sed -n 's/^ *Depends: //p' | head -n 1
}

fetch_packages() { # NAME SUITE PACKAGE...
	local root=$CACHE/$1 suite=$2 package
	shift 2
	[[ ! -e $root/complete ]] || return 0
	fetch_suite "$suite" || return
	mkdir -p "$root/packages"
	for package; do
		[[ $package != pointed-at:* ]] || package=$(pointed_at "$suite" "${package#*:}")
		(cd "$root/packages" && apt_of "$suite" apt-get download "$package/${suite%:*}") || return
	done
	for package in "$root"/packages/*.deb; do
		dpkg-deb --extract "$package" "$root" || return
	done
	rm -r "$root/packages"
	touch "$root/complete"
}

# The newest PHP that a suite has, as php8.4.
newest_php() { # SUITE
	fetch_suite "$1" || return
	apt_of "$1" apt-cache pkgnames php | sed -nE 's/^(php[0-9]+\.[0-9]+)-cli$/\1/p' | sort -V | tail -n 1 | grep .
}

# The packages and all that they depend on, libc too: a root folder to chroot into, in which nothing was configured.
fetch_root() { # NAME SUITE PACKAGE...
	local root=$CACHE/$1 suite=$2 package
	shift 2
	[[ ! -e $root/complete ]] || return 0
	fetch_suite "$suite" || return
	mkdir -p "$root"/{packages/partial,proc,dev,tmp}
	: >"$root/status"
	APT_LIMIT_S=600 apt_of "$suite" apt-get install --download-only --yes --no-install-recommends \
		-o Dir::State::Status="$root/status" -o Dir::Cache::Archives="$root/packages" "$@" || return
	for package in "$root"/packages/*.deb; do
		dpkg-deb --extract "$package" "$root" || return
	done
	rm -r "$root"/{packages,status}
	touch "$root/complete"
}

# unpack NAME SUITE PACKAGE...: once for all who may want them at the same time.
unpack() {
	under_lock fetch_packages "$@"
}

# [BUILD_LOCK=FILE] under_lock COMMAND...: one after the other. What is built has a lock of its own: that takes minutes, for
# which those would wait who only look whether their packages are there.
under_lock() {
	mkdir -p "$CACHE" && (exec 9>"${BUILD_LOCK-$CACHE/lock}" && flock 9 && "$@" 9>&-)
}

# requires_unpacked NAME SUITE PACKAGE...: Debian's packages of SUITE lie unpacked in $CACHE/NAME. A PACKAGE may
# be `pointed-at:PACKAGE`: what it depends on. Out of reach of any archive that has them is what a machine may be.
requires_unpacked() {
	local said tried=$BATS_RUN_TMPDIR/out-of-reach.$1
	requires apt-get dpkg-deb flock
	[[ ! -e $tried ]] || skip "the packages ${*:3} of Debian's $2 cannot be had here"
	said=$(unpack "$@" 2>&1) || {
		grep '^E:' <<<"$said" | sed 's,[a-z]*://[^ ]*,,' || :
		skip "the packages ${*:3} of Debian's $2 cannot be had here" # a machine may be offline
	}
}

# requires_libraries PROGRAM [FOLDER]: what it needs lies in FOLDER or is the machine's.
requires_libraries() {
	local missing
	missing=$(LD_LIBRARY_PATH=${2-} ldd "$1" 2>&1 | grep -E 'not found' || :)
	[[ -z $missing ]] || lacks "$(basename "$1") lacks ${missing//$'\n'/,}"
}
