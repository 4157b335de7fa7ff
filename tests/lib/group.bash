# SPDX-License-Identifier: MIT
# Memory control groups of a test's own, of version 2 or 1: made, limited, and removed when their processes are gone.
# shellcheck shell=bash

GROUP= # the one that all below are about
GROUPS_MADE=()

# requires_group [NAME]: makes one, $GROUP, or skips; not every machine can have it, root or not.
requires_group() {
	local root
	[[ $(id -u) -eq 0 ]] || skip "only root can make a control group"
	for root in /sys/fs/cgroup /sys/fs/cgroup/memory; do
		GROUP=$root/copool-$$-$BATS_TEST_NUMBER${1-}
		mkdir "$GROUP" 2>/dev/null || continue
		if [[ -e $GROUP/memory.max || -e $GROUP/memory.limit_in_bytes ]]; then
			GROUPS_MADE+=("$GROUP")
			return
		fi
		rmdir "$GROUP"
	done
	GROUP=
	skip "this machine lets nobody make a control group for memory"
}

group_limit() { # BYTES
	if [[ -e $GROUP/memory.max ]]; then
		echo "$1" >"$GROUP/memory.max"
	else
		echo "$1" >"$GROUP/memory.limit_in_bytes"
	fi
}

# group_events: how often it came to its limit.
group_events() {
	if [[ -e $GROUP/memory.events ]]; then
		sed -n 's/^max //p' "$GROUP/memory.events"
	else
		cat "$GROUP/memory.failcnt"
	fi
}

# in_group COMMAND...: becomes a command that is in the group.
in_group() {
	echo "$BASHPID" >"$GROUP/cgroup.procs" && exec "$@"
}

# press: another process has the group come to its limit, with a file's pages, which the kernel can let go.
press() {
	local before
	before=$(group_events)
	(in_group dd if=/dev/zero of="$BATS_TEST_TMPDIR/large" bs=1M count=64 status=none)
	rm "$BATS_TEST_TMPDIR/large"
	(($(group_events) > before)) || {
		echo "the group did not come to its limit"
		return 1
	}
}

groups_remove() {
	local group
	for group in "${GROUPS_MADE[@]}"; do
		wait_until 10 rmdir "$group"
	done
}
