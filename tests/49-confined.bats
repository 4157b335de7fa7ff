#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Programs that something confines: what is denied, by what, and what is lost is in the log; if the log is
# what is denied, on standard error. Landlock is used in place of other security modules that deny by path; with
# COPOOL_TEST_FULL=1 AppArmor does it, in a machine with Debian's kernel.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2016 # what is in single quotes is for another shell
# shellcheck disable=SC2053 # a pattern is meant
# shellcheck disable=SC2054 # the commas belong to QEMU's options
# shellcheck disable=SC2154 # run and start set stderr and pid

load lib/helper
load lib/qemu
load lib/packages
load lib/guest
load lib/machine

setup() {
	requires jq
	requires_program steps denied stacks
	cd "$BATS_TEST_TMPDIR" || return
	mkdir good bad
	LOG=$PWD/good/log.jsonl
	export COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop COPOOL_INTERVAL_MS=20
	steps=("$PROGRAMS/steps" use 100 say fine)
}

teardown_file() {
	stop_machines
}

requires_landlock() {
	"$PROGRAMS/denied" bad -- true || skip "the kernel has no Landlock"
}

# without PATH... -- VARIABLE=VALUE... COMMAND...: runs it pooled where these paths may not be opened. Leaves what it
# said on standard error in $stderr.
without() {
	local paths=()
	while [[ $1 != -- ]]; do
		paths+=("$1")
		shift
	done
	run --separate-stderr timeout --kill-after=5 300 "$PROGRAMS/denied" "${paths[@]}" -- \
		env LD_PRELOAD="$COPOOL_SO" "${@:2}"
	printf '%s: status %s, output %s, and on standard error:\n%s\n' "${*:2}" "$status" "$output" "$stderr"
}

warning_is() { # PATTERN: the one warning of the log
	log_records warning .text
	[[ $(log_records warning | wc -l) -eq 1 && $(log_records warning .text) == $1 ]]
}

@test "confined: a log that a security module denies is told once on standard error, with its path and who denies it" {
	requires_landlock
	without bad -- COPOOL_LOG=bad/%n.jsonl COPOOL_PROMETHEUS="$PWD/good/a.prom" "${steps[@]}"
	[[ $status -eq 0 && $output == fine && $(wc -l <<<"$stderr") -eq 1 ]]
	[[ $stderr == "copool: COPOOL_LOG=bad/%n.jsonl: $PWD/bad/steps.jsonl: Permission denied, though the file's mode allows it: a security module denies it"*"; there will be no log" ]]
	# What was there before is denied as well.
	: >bad/log
	without bad -- COPOOL_LOG="$PWD/bad/log" "${steps[@]}"
	[[ $status -eq 0 && $stderr == "copool: COPOOL_LOG=$PWD/bad/log: Permission denied, though the file's mode"* && ! -s bad/log ]]
}

@test "confined: where the mode denies the log, nobody else is blamed" {
	[[ $(id -u) -eq 0 ]] || skip "only root can be two users"
	requires setpriv
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" bad
	nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	"${nobody[@]}" "${steps[@]}" || lacks "another user cannot reach the programs"
	run --separate-stderr "${nobody[@]}" env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$PWD/bad/log" "${steps[@]}"
	[[ $status -eq 0 && $stderr == "copool: COPOOL_LOG=$PWD/bad/log: Permission denied; there will be no log" ]]
}

@test "confined: a Prometheus file that is denied is told in the log; without a log, on standard error at the start" {
	requires_landlock
	without bad -- COPOOL_LOG="$LOG" COPOOL_PROMETHEUS="$PWD/bad/a.prom" "${steps[@]}"
	[[ $status -eq 0 && $output == fine && -z $stderr ]]
	check_balance
	warning_is "COPOOL_PROMETHEUS=$PWD/bad/a.prom: Permission denied, though the file's mode allows it: a security module*"
	without bad -- COPOOL_PROMETHEUS="$PWD/bad/a.prom" "${steps[@]}"
	[[ $status -eq 0 && $output == fine && $(wc -l <<<"$stderr") -eq 1 ]]
	[[ $stderr == "copool: COPOOL_PROMETHEUS=$PWD/bad/a.prom: Permission denied, though"*"; it is tried again at each interval" ]]
	[[ -z $(ls bad) ]]
}

@test "confined: a Prometheus file goes on while the log is denied, and leaves nothing" {
	requires_landlock
	start "$PROGRAMS/denied" bad -- env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG=bad/log COPOOL_PROMETHEUS="$PWD/good/%p.prom" \
		"$PROGRAMS/steps" use 100 wait "$PWD/go"
	wait_until 20 grep -qs '^copool_create_total.*kind="new"} 100' "good/$pid.prom"
	touch go
	ended "$pid"
	[[ $status -eq 0 && -z $(ls good; ls bad) ]]
}

@test "confined: on a read-only file system log and Prometheus file are told with what makes one" {
	unshare --mount true 2>/dev/null || skip "no mount namespace can be made here"
	read_only=(unshare --mount bash -c 'mount --bind bad bad && mount -o remount,bind,ro bad && exec "$@"' bash)
	run --separate-stderr "${read_only[@]}" env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$PWD/bad/log" "${steps[@]}"
	[[ $status -eq 0 && $output == fine ]]
	[[ $stderr == "copool: COPOOL_LOG=$PWD/bad/log: Read-only file system, as with systemd's ProtectSystem= or"*"; there will be no log" ]]
	run_shown "${read_only[@]}" env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" COPOOL_PROMETHEUS="$PWD/bad/a.prom" "${steps[@]}"
	[[ $status -eq 0 && $output == fine ]]
	warning_is "COPOOL_PROMETHEUS=$PWD/bad/a.prom: Read-only file system, as with*"
}

@test "confined: a decoder that may not be opened is told, and so is what is lost for it, also where the log is denied" {
	requires_landlock
	requires_qemu qemu-img
	requires ldconfig
	mapfile -t zydis < <(ldconfig -p | sed -n 's/.*libZydis\.so.* => //p' | xargs -r realpath | sort -u)
	[[ ${zydis[*]} ]] || lacks "the library Zydis is not installed"
	bench=(qemu-img bench -c 2000 -d 64 --image-opts driver=null-aio,size=1G)
	without "${zydis[@]}" -- COPOOL_LOG="$LOG" "${bench[@]}"
	[[ $status -eq 0 && -z $stderr && $(log_open host) == qemu && $(log_open way) == stacks ]]
	[[ $(log_open detail) == *'own pool: the library Zydis, which reads its code, may not be opened (Permission denied)'* ]]
	without bad "${zydis[@]}" -- COPOOL_LOG="$PWD/bad/log" "${bench[@]}"
	[[ $status -eq 0 && $(wc -l <<<"$stderr") -eq 2 ]]
	[[ $stderr == "copool: COPOOL_LOG=$PWD/bad/log: Permission denied, "*$'\ncopool: '*'may not be opened (Permission denied)'* ]]
}

@test "confined: files of the control group that are denied are told once in the log" {
	requires_landlock
	[[ -e /sys/fs/cgroup/cgroup.procs || -e /sys/fs/cgroup/memory/cgroup.procs ]] || skip "no control groups are mounted here"
	without /sys/fs/cgroup -- COPOOL_LOG="$LOG" "${steps[@]}"
	[[ $status -eq 0 && $output == fine ]]
	check_balance
	warning_is 'the files of the control group may not be opened: *'
}

@test "confined: a thread that may not be started is told in the log at once" {
	[[ $(id -u) -eq 0 ]] || skip "only root can be two users"
	requires setpriv prlimit
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
	chmod 777 good
	start setpriv --reuid=65534 --regid=65534 --clear-groups prlimit --nproc=1 \
		env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" "$PROGRAMS/steps" use 100 wait "$PWD/go"
	is_told() { log_records warning .text | grep -q '^the statistics thread cannot be started (Resource temp.*: no samples'; }
	wait_until 20 is_told
	touch go
	ended "$pid"
	check_balance
	[[ $status -eq 0 && $(log_records warning | wc -l) -eq 1 ]]
}

# What confines a program before it starts, as systemd does it: a filter that allows all, or MDWE.
confine='import ctypes, os, sys
libc = ctypes.CDLL(None)
if sys.argv[1] == "filter":
	code = ctypes.create_string_buffer(bytes([6, 0, 0, 0, 0, 0, 0xff, 0x7f]))
	class Filter(ctypes.Structure): _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
	if libc.prctl(22, 2, ctypes.byref(Filter(1, ctypes.addressof(code))), 0, 0) != 0: sys.exit(99)
elif libc.prctl(65, 1, 0, 0, 0) != 0: sys.exit(99)
os.execvp(sys.argv[2], sys.argv[2:])'

# confined_by WHAT COMMAND...: with COMMAND in front, the record says what confines the program, and so does show.
confined_by() {
	local what=$1
	shift
	rm -f "$LOG"
	run_shown "$@" env LD_PRELOAD="$COPOOL_SO" COPOOL_HOST=stacks COPOOL_LOG="$LOG" "$PROGRAMS/stacks" zero 10
	[[ $status -eq 0 && $(log_open confined) == "$what" ]]
	run_shown "$COPOOL" show "$LOG"
	[[ $output == *$'\n'"  confined by $what"$'\n'* ]]
}

@test "confined: the record says by what, and show, ps and record say it of a process" {
	requires setpriv python3
	run_pooled "${steps[@]}"
	[[ $(log_open confined) == null ]] || skip "this test is confined itself"
	confined_by NoNewPrivs setpriv --no-new-privs
	python3 -c "$confine" mdwe true || skip "the kernel has no PR_SET_MDWE"
	confined_by 'NoNewPrivs, MDWE (nothing may become executable)' setpriv --no-new-privs python3 -c "$confine" mdwe
	confined_by 'a seccomp filter' python3 -c "$confine" filter
	confined_by 'a seccomp filter, NoNewPrivs' setpriv --no-new-privs python3 -c "$confine" filter
	start setpriv --no-new-privs env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" "$PROGRAMS/steps" use 100 touch there wait go
	wait_until 20 test -e there
	run_shown "$COPOOL" show "$pid"
	[[ $status -eq 0 && $output == *$'\n  confined by NoNewPrivs\n'* ]]
	[[ $("$COPOOL" ps --json | jq -r --argjson pid "$pid" '.processes[] | select(.pid == $pid) | .confined') == NoNewPrivs ]]
	touch go
	ended "$pid"
}

@test "confined: a label names the module that it is of, and one that restricts nothing is not told" {
	local label told
	unshare --mount true 2>/dev/null || skip "no mount namespace can be made here"
	while IFS='|' read -r label told; do
		echo "$label"
		printf '%s\n' "$label" >label
		rm -f "$LOG"
		run unshare --mount bash -c 'mount --bind label /proc/$$/attr/current && exec "$@"' bash \
			env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" "${steps[@]}"
		[[ $status -ne 32 ]] || skip "nothing can be mounted there"
		[[ $status -eq 0 && $output == fine ]]
		[[ $(log_records open '.confined // "" | split(", ") | map(select(test("profile|context|module"))) | .[0] // "nothing"') == "$told" ]]
		run unshare --mount bash -c 'mount --bind label /proc/$$/attr/current && exec "$@"' bash \
			"$COPOOL" doctor --json "${steps[0]}"
		[[ $told != AppArmor* || $output == *'"code": "apparmor"'* ]]
		[[ $told == AppArmor* || $output != *'"code": "apparmor"'* ]]
	done <<-'END'
		vm-1 (enforce)|AppArmor profile vm-1 (enforce)
		system_u:system_r:svirt_t:s0|SELinux context system_u:system_r:svirt_t:s0
		plasmashell (unconfined)|nothing
		unconfined|nothing
		_|nothing
	END
}

@test "confined: of a program that is not served nothing is asked, whatever its log" {
	requires strace
	run_shown strace -f -o trace -e trace=open,openat,prctl -E LD_PRELOAD="$COPOOL_SO" -E COPOOL_LOG="$PWD/good/%p.jsonl" true
	[[ $status -eq 0 && $(ls good) == *.jsonl ]]
	grep -E '/proc/self/(attr|status)|PR_GET' trace && return 1
	# The same eyes see what they should.
	run_shown strace -f -o trace -e trace=open,openat,prctl -E LD_PRELOAD="$COPOOL_SO" -E COPOOL_LOG="$PWD/good/x.jsonl" "${steps[@]}"
	grep '/proc/self/attr/current' trace
	grep '/proc/self/status' trace
}

# ---- AppArmor, in a machine ----

# in_profile NAME RULE...: loads a profile of /copool/stacks in the machine: it may do what a program needs, and the rules.
in_profile() {
	local name=$1
	shift
	in_machine < <(
		echo "cat >/tmp/profile <<'@end'"
		echo "profile $name /copool/stacks flags=(attach_disconnected) {"
		printf '  %s,\n' '/copool/** mr' '/usr/lib/** mr' '/lib/** mr' '/lib64/** mr' '/etc/** r' '/dev/null rw' '/answer rw' "$@"
		echo '}'
		echo '@end'
		echo 'mkdir -p /tmp/good /tmp/bad'
		echo 'mountpoint -q /sys/kernel/security || mount -t securityfs none /sys/kernel/security'
		echo 'apparmor_parser --skip-cache --replace /tmp/profile'
	)
	[[ $status -eq 0 ]]
}

# machine_runs VARIABLE=VALUE...: the program in its profile.
machine_runs() {
	in_machine <<<"cd /tmp; rm -f good/* bad/*; COPOOL_HOST=stacks LD_PRELOAD=/copool/libcopool.so $* /copool/stacks threads 2"
	[[ $status -eq 0 ]]
}

@test "confined: AppArmor is named with its profile, in the record and where it denies the log or the Prometheus file" {
	[[ ${COPOOL_TEST_FULL-} == 1 ]] || skip "a machine is booted: only in make check-full"
	requires qemu-system-x86_64 busybox cpio apparmor_parser
	requires_program mappings treats
	[[ -x $COPOOL_BUILD/unit/guard_test ]] || lacks "the unit tests are not built (make unit)"
	requires_unpacked kernel bookworm pointed-at:linux-image-cloud-amd64
	machine_boot kernel "$(command -v apparmor_parser)"
	in_profile kept '/tmp/good/* rw' '/proc/*/attr/current r' '/proc/*/status r'
	machine_runs COPOOL_LOG=/tmp/good/log COPOOL_PROMETHEUS=/tmp/bad/a.prom
	in_machine <<<'cat /tmp/good/log'
	LOG=$PWD/good/of-machine
	printf '%s\n' "$output" >"$LOG"
	[[ $(log_open confined) == 'AppArmor profile kept (enforce)' ]]
	log_records warning .text | grep '^COPOOL_PROMETHEUS=/tmp/bad/a.prom: Permission denied, and the process is confined by AppArmor profile kept (enforce)'
	machine_runs COPOOL_LOG=/tmp/bad/log
	[[ $output == *'copool: COPOOL_LOG=/tmp/bad/log: Permission denied, and the process is confined by AppArmor profile kept (enforce); there will be no log'* ]]
	# Where even the name may not be read.
	in_profile kept '/tmp/good/* rw'
	machine_runs COPOOL_LOG=/tmp/bad/log
	[[ $output == *'copool: COPOOL_LOG=/tmp/bad/log: Permission denied, and the process is confined by a security module that hides its name (AppArmor or SELinux); there will be no log'* ]]
}
