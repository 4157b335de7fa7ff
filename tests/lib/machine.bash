# SPDX-License-Identifier: MIT
# Machines with other kernels, in software emulation: one is booted when a test first needs it, does what the file's
# tests ask of it over its second serial port, and is stopped when the file has ended. What a machine has is
# busybox, the programs that the file names, the libraries of these, and our products below /copool. Loaded after
# lib/guest.
# shellcheck shell=bash

# machine_root ROOT FILE...: what all machines have.
machine_root() {
	local root=$1
	mkdir -p "$root"/{bin,copool,dev,etc,proc,sys,tmp}
	cp "$(command -v busybox)" "$root/bin/busybox"
	guest_install "$@"
	cp "$COPOOL_SO" "$PROGRAMS"/{mappings,stacks,treats} "$COPOOL_BUILD"/unit/{arena,guard}_test "$root/copool"
	printf '%s\n' root:x:0:0::/:/bin/sh nobody:x:65534:65534::/:/bin/sh >"$root/etc/passwd"
	cat >"$root/bin/pooled" <<-'END'
		#!/bin/sh
		rm -f /tmp/log.jsonl
		LD_PRELOAD=/copool/libcopool.so COPOOL_LOG=/tmp/log.jsonl exec env "$@"
	END
	# A question is a script and a line `@@`; its answer is what it printed and a line `@@ STATUS`. Not with
	# the shell's read: it loses what it has when an orphan ends.
	cat >"$root/init" <<-'END'
		#!/bin/busybox sh
		/bin/busybox --install -s /bin
		mount -t proc none /proc
		mount -t sysfs none /sys
		mount -t devtmpfs none /dev
		mount -t tmpfs -o mode=1777 none /tmp
		cd /tmp
		exec 3<>/dev/ttyS1
		stty raw -echo <&3
		echo @@ 0 >&3
		while :; do
			awk '$0 == "@@" { exit } { print }' <&3 >/script
			timeout 500 sh /script >/answer 2>&1 </dev/null 3>&-
			echo "@@ $?" >>/answer
			cat /answer >&3
		done
	END
	chmod +x "$root/init" "$root/bin/pooled"
}

# machine_boot KERNEL FILE...: the machine with the kernel package that lies unpacked in $CACHE/KERNEL. From then on
# in_machine speaks to it. What a program of this file's first machine has, all have.
machine_boot() {
	local root=$BATS_FILE_TMPDIR/root
	machine=$BATS_FILE_TMPDIR/machine.$1
	[[ ! -e $machine.pid ]] || return 0
	if [[ ! -e $root.cpio ]]; then
		machine_root "$root" "${@:2}"
		(cd "$root" && find . | cpio -o -H newc --quiet) >"$root.cpio"
	fi
	mkfifo "$machine.in" "$machine.out"
	# Without cx16: QEMU 7.2 loses flags over that instruction, and newer kernels use it.
	qemu-system-x86_64 -accel tcg -cpu qemu64,-cx16 -machine q35 -m 768 -display none -nodefaults -no-user-config \
		-no-reboot -serial "file:$machine.console" -chardev "pipe,id=talk,path=$machine" -serial chardev:talk \
		-kernel "$(echo "$CACHE/$1"/boot/vmlinuz-*)" -initrd "$root.cpio" \
		-append 'console=ttyS0 panic=-1 loglevel=3' >"$machine.said" 2>&1 </dev/null 3>&- &
	echo $! >"$machine.pid"
	machine_answer
}

# Reads an answer into $status and $output.
machine_answer() {
	local line
	output='' status=''
	while [[ ! $status ]] && IFS= read -rt 600 line; do
		case $line in
		'@@ '*) status=${line#@@ } ;;
		*) output+=$line$'\n' ;;
		esac
	done <>"$machine.out" # not only for reading: that would wait for a machine that is gone
	output=${output%$'\n'}
	[[ $status ]] || {
		echo 'the machine says nothing; its console:'
		tail -n 20 "$machine.said" "$machine.console"
		return 1
	}
}

# Runs the script on standard input in the machine, for 500 seconds at most; leaves $status and $output.
in_machine() {
	is_gone "$(<"$machine.pid")" || { cat && echo @@; } >"$machine.in"
	machine_answer
	echo "in the machine: status $status, output:"
	head -c 4000 <<<"$output"
}

# Puts files of this machine into that one.
to_machine() { # FILE...
	local file
	for file; do
		in_machine < <(
			echo "cat >'$file' <<'@end'"
			cat "$file"
			echo @end
		)
	done
}

# The log of the last command that was `pooled` there, as this test's own.
machine_log() {
	in_machine <<<'cat log.jsonl' >/dev/null
	printf '%s\n' "$output" >"$LOG"
	check_log
}

# same_in_machine [VARIABLE=VALUE...] COMMAND...: same_twin, in the machine.
same_in_machine() {
	local stock_status stock_output
	in_machine <<<"env $*"
	stock_status=$status stock_output=$output
	in_machine <<<"pooled $*"
	[[ $status -eq $stock_status ]]
	diff <(echo "$stock_output") <(echo "$output") | head -c 4000 # stock on the left
	((PIPESTATUS[0] == 0))
}

# For a file's teardown_file.
stop_machines() {
	local file
	for file in "$BATS_FILE_TMPDIR"/machine.*.pid; do
		[[ ! -e $file ]] || kill "$(<"$file")" 2>/dev/null || :
	done
}
