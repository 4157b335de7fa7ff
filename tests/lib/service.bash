# SPDX-License-Identifier: MIT
# The pages of `copool recipe`, taken apart, and a machine to try them on: this one's files under a layer that is gone
# afterwards, in namespaces of their own, with systemd as process 1. Nothing of the machine itself is changed.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # what is set here is for the tests; helper.bash sets pid and status

# ---- pages ----

kinds() {
	"$COPOOL" recipe | cut -d ' ' -f 1
}

page() { # KIND
	"$COPOOL" recipe "$1" 2>/dev/null
}

# blocks LANGUAGE [HEADING]: reads a page, and writes its blocks of that language, below that heading or all.
blocks() {
	awk -v language="$1" -v heading="${2-}" '
		/^## / { here = heading == "" || $0 == "## " heading; next }
		heading == "" { here = 1 }
		/^```/ { inside = !inside && here && $0 == "```" language; next }
		inside'
}

# file_of PATH: reads a page, and writes what a step on it writes to PATH.
file_of() {
	awk -v path="$1" '
		inside && $0 == "END" { exit }
		inside { print; found = 1 }
		index($0, path " <<") { inside = 1 }
		END { exit !found }'
}

# ---- a machine ----

# Packages and those of their dependencies that are not installed here, unpacked.
fetch_beside() { # NAME SUITE PACKAGE...
	local root=$CACHE/$1 suite=$2 package
	shift 2
	[[ ! -e $root/complete ]] || return 0
	fetch_suite "$suite" || return
	mkdir -p "$root/packages/partial"
	APT_LIMIT_S=600 apt_of "$suite" apt-get install --download-only --yes --no-install-recommends --no-upgrade \
		-o Dir::Cache::Archives="$root/packages" "$@" || return
	find "$root/packages" -name '*.deb' -exec dpkg-deb --extract {} "$root" \; || return
	rm -r "$root/packages"
	touch "$root/complete"
}

# requires_beside NAME SUITE PACKAGE...: they lie unpacked in $CACHE/NAME, but for what is installed.
requires_beside() {
	local said
	requires apt-get dpkg-deb flock
	said=$(under_lock fetch_beside "$@" 2>&1) || {
		grep '^E:' <<<"$said" | sed 's,[a-z]*://[^ ]*,,' || :
		skip "the packages ${*:3} of Debian's $2 cannot be had here" # a machine may be offline
	}
}

MACHINE= # the process that is its systemd, as it is called outside

# requires_machine: root, namespaces, and control groups of version 2.
requires_machine() {
	[[ $(id -u) -eq 0 ]] || skip "only root can start systemd in namespaces"
	requires unshare nsenter setpriv tar jq
	[[ -x /lib/systemd/systemd ]] || lacks "there is no systemd"
	grep -qw cgroup2 /proc/filesystems || skip "the kernel has no control groups of version 2"
	unshare --mount --pid --fork --cgroup true 2>/dev/null || skip "no namespaces can be made here"
}

# machine_start [FOLDER...]: with copool installed, and the files of unpacked packages, each in a FOLDER. What tests share
# with it is $PWD. Settings of systemd come from the environment of the caller.
machine_start() {
	local group=/sys/fs/cgroup/unified
	[[ -d $group ]] || group=/sys/fs/cgroup
	MACHINE_GROUP=$group/copool-$$-$BATS_TEST_NUMBER
	mkdir "$MACHINE_GROUP" || skip "no control group can be made here"
	mkdir -p layer
	make --no-print-directory -C "$TESTS/.." install BUILD="$COPOOL_BUILD" DESTDIR="$PWD/installed" PREFIX=/usr >/dev/null
	start env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=copool bash -c "echo \$BASHPID >$MACHINE_GROUP/cgroup.procs && exec \
		unshare --mount --pid --fork --kill-child --cgroup --uts --ipc --net --propagation private bash \"\$@\"" \
		bash "$TESTS/lib/service-root" "$PWD" installed "$@"
	wait_until 20 machine_is_there "$pid"
	wait_until 60 machine_is_up
}

machine_is_there() {
	MACHINE=$(pgrep -P "$1") && [[ $(tr '\0' ' ' <"/proc/$MACHINE/cmdline") == */systemd* ]]
}

machine_is_up() {
	[[ $(inside systemctl is-active test.target 2>&1) == active ]]
}

# inside COMMAND...: runs it in the machine.
inside() {
	nsenter --target "$MACHINE" --mount --pid --uts --ipc --net --cgroup env -C "$PWD" -u LD_PRELOAD "$@"
}

# start_inside COMMAND...: in the background, as start.
start_inside() {
	start nsenter --target "$MACHINE" --mount --pid --uts --ipc --net --cgroup env -C "$PWD" -u LD_PRELOAD "$@"
}

# follow_steps KIND [FILTER]: does what the page says, in the machine. FILTER, for sed, changes what a machine like this has
# not.
follow_steps() {
	inside copool recipe "$1" 2>/dev/null | blocks sh Steps | sed -E "${2-}" >steps.sh
	[[ -s steps.sh ]]
	inside bash -euo pipefail steps.sh
}

machine_stop() {
	[[ -n $MACHINE ]] || return 0
	kill -KILL "$MACHINE" # and with it all its processes
	wait_until 20 is_gone "$MACHINE"
	wait_until 20 rmdir_all "$MACHINE_GROUP"
	MACHINE=
}

rmdir_all() {
	find "$1" -depth -type d -exec rmdir {} + 2>/dev/null
	[[ ! -e $1 ]]
}
