#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A running guest moves under copool and back, without a stop: live migration between two QEMUs of this machine, as
# tools/service/migration.md says it.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2054 # the commas belong to QEMU's options
# shellcheck disable=SC2154 # start leaves $pid

load lib/helper
load lib/qemu
load lib/packages
load lib/guest

setup() {
	requires_qemu qemu-system-x86_64 qemu-img socat
	cd "$BATS_TEST_TMPDIR" || return
	qemu=(qemu-system-x86_64)
}

# start_vm stock|pooled NUMBER [OPTION...]: one QEMU of the guest $guest; its console and its monitor have its number.
start_vm() {
	start_"$1" COPOOL_INTERVAL_MS=100 "${qemu[@]}" -accel tcg -display none -nodefaults -no-user-config "${guest[@]}" \
		-serial "file:console.$2" -qmp "unix:qmp.$2,server=on,wait=off" "${@:3}"
	vm[$2]=$pid
}

has_completed() {
	qmp_answer query-migrate
	[[ $answer != *'"status": "failed"'* ]] || return 0
	[[ $answer == *'"status": "completed"'* ]]
}

# moves FROM TO stock|pooled [OPTION...]: the guest of the QEMU number FROM goes on in a new one, number TO.
moves() {
	start_vm "$3" "$2" -incoming "unix:$PWD/moving.$2" "${@:4}"
	wait_until 20 test -S "moving.$2"
	qmp_open "qmp.$1"
	qmp migrate "{\"uri\":\"unix:$PWD/moving.$2\"}"
	wait_until 60 has_completed
	[[ $answer == *'"status": "completed"'* ]]
	grep -o '"downtime": [0-9]*' <<<"$answer"
	qmp_answer query-status
	[[ $answer == *'"status": "postmigrate"'* ]]
	[[ ! -s $BATS_TEST_TMPDIR/output.${vm[$1]} ]]
	# The disk's lock went with the guest.
	if qmp cont; then return 1; fi
	qmp quit
	qmp_close
	ended "${vm[$1]}"
	[[ $status -eq 0 ]]
	qmp_open "qmp.$2"
	qmp_answer query-status
	[[ $answer == *'"status": "running"'* ]]
	qmp_close
}

counted() { # NUMBER LINES
	[[ -e console.$1 && $(tr -dc '\n' <"console.$1" | wc -c) -ge $2 ]]
}

# ends NUMBER
ends() {
	qmp_open "qmp.$1"
	qmp quit
	qmp_close
	ended "${vm[$1]}"
	[[ $status -eq 0 && ! -s $BATS_TEST_TMPDIR/output.${vm[$1]} ]]
}

# What ran under copool was pooled all the time, and left nothing.
was_pooled() { # PID
	check_balance "$1"
	is_pooled_qemu
	(($(pool_final create_local) + $(pool_final create_depot) > 20 && $(pool_final live) == 0))
	[[ -z $(log_records warning) ]]
}

# A guest that is one sector of code: it writes its next number to the next sector, reads that again, and prints the number.
# 18 times a second, so it costs next to nothing.
make_counter() {
	requires as ld objcopy
	cat >counter.s <<-'END'
		.code16
		.globl _start
		_start:	xorw %ax, %ax
			movw %ax, %ds
			movw %ax, %es
			movw %ax, %ss
			movw $0x7c00, %sp
			movb %dl, drive
		again:	sti
			hlt
			incl block
			movl block, %eax
			movl %eax, 0x8000
			movl %eax, 0x81fc
			movw $0x8000, buffer
			movw $0x4300, %ax
			call disk
			movw $0x8200, buffer
			movw $0x4200, %ax
			call disk
			movl block, %eax
			cmpl %eax, 0x8200
			jne bad
			cmpl %eax, 0x83fc
			jne bad
			movw $8, %cx
		digit:	roll $4, %eax
			pushl %eax
			andb $15, %al
			addb $48, %al
			cmpb $58, %al
			jb 1f
			addb $39, %al
		1:	call print
			popl %eax
			loop digit
			movb $10, %al
			call print
			jmp again
		disk:	movb drive, %dl
			movw $packet, %si
			int $0x13
			jc bad
			ret
		print:	movb %al, %bl
		2:	movw $0x3fd, %dx
			inb %dx, %al
			testb $32, %al
			jz 2b
			movw $0x3f8, %dx
			movb %bl, %al
			outb %al, %dx
			ret
		bad:	movb $33, %al
			call print
			cli
			hlt
		drive:	.byte 0
		packet:	.byte 16, 0
			.word 1
		buffer:	.word 0x8000, 0
		block:	.long 0, 0
			.org 510
			.word 0xaa55
	END
	as --32 -o counter.o counter.s
	ld -m elf_i386 -Ttext 0x7c00 -o counter.elf counter.o
	objcopy -O binary counter.elf disk
	truncate -s 1M disk
	guest=(-machine pc -m 16 -blockdev driver=file,filename=disk,node-name=disk -device virtio-blk-pci,drive=disk)
}

# What the disk has in its first numbers: of a sector of the counter's, both ends; of Linux's, the beginning.
on_disk() { # NUMBERS
	if [[ -e counter.s ]]; then
		od -An -v -tx4 -w512 -j512 -N$(($1 * 512)) disk | awk '{ print $1 == $128 ? $1 : "torn" }'
	else
		dd if=disk bs=512 skip=1 count="$1" status=none | tr -d '\0' | fold -w 8
		echo
	fi
}

# The consoles, one after the other, have each number once; and so has the disk. The last line may not be whole.
is_continuous() { # CONSOLES
	local file last
	for file in $(seq -f 'console.%g' 1 "$1"); do
		tr -d '\r' <"$file"
	done | grep -a -x -E '[^0-9a-f].*|.{8}|.{9,}' >console
	last=$((16#$(tail -n 1 console)))
	echo "$last numbers"
	seq "$last" | xargs printf '%08x\n' >expected
	cmp expected console
	cmp expected <(on_disk "$last")
}

@test "migration: a running guest moves under copool and back; it misses no number and loses no write" {
	make_counter
	start_vm stock 1
	wait_until 30 counted 1 5
	moves 1 2 pooled
	pooled=$pid
	wait_until 30 counted 2 30
	moves 2 3 stock
	wait_until 30 counted 3 5
	ends 3
	is_continuous 3
	was_pooled "$pooled"
}

@test "migration: one that fails leaves the guest where it was, running" {
	make_counter
	start_vm pooled 1
	wait_until 30 counted 1 5
	# The new one lacks the disk's device, so it cannot take the guest.
	guest=(-machine pc -m 16)
	start_vm stock 2 -incoming "unix:$PWD/moving"
	wait_until 20 test -S moving
	qmp_open qmp.1
	qmp migrate "{\"uri\":\"unix:$PWD/moving\"}"
	wait_until 60 is_gone "${vm[2]}"
	qmp_answer query-status
	[[ $answer == *'"status": "running"'* || $answer == *'"status": "postmigrate"'* ]]
	# It had handed the guest over already when that one gave up: it takes it back.
	[[ $answer == *'"status": "running"'* ]] || qmp cont
	qmp_close
	before=$(wc -l <console.1)
	wait_until 30 counted 1 $((before + 20))
	ends 1
	is_continuous 1
	was_pooled "${vm[1]}"
}

@test "migration: qemu-nbd cannot move; a guest that may wait for it sees its restart under copool as a pause" {
	requires qemu-nbd
	make_counter
	export_disk=(qemu-nbd --persistent --socket="$PWD/nbd" --format=raw disk)
	start_stock "${export_disk[@]}"
	old=$pid
	wait_until 20 test -S nbd
	guest=(-machine pc -m 16 -device virtio-blk-pci,drive=disk
		-blockdev "driver=nbd,node-name=disk,server.type=unix,server.path=$PWD/nbd,reconnect-delay=300")
	start_vm stock 1
	wait_until 30 counted 1 5
	stop "$old"
	start_pooled "${export_disk[@]}"
	server=$pid
	before=$(wc -l <console.1)
	wait_until 60 counted 1 $((before + 20))
	ends 1
	stop "$server"
	is_continuous 1
	check_balance "$server"
	is_pooled_qemu
}

# ---- with Linux in the guest ----

only_full() {
	[[ ${COPOOL_TEST_FULL-} == 1 ]] || skip "a machine is booted: only in make check-full"
}

# A guest with Debian's kernel: it writes its next number to the next sector of one disk, and prints it when that has come
# to the disk, while another of its processes copies that disk to a second one all the time.
make_linux() {
	requires busybox cpio
	requires_unpacked kernel bookworm pointed-at:linux-image-cloud-amd64
	guest_archive "$PWD/guest" "$CACHE/kernel" || lacks "the guest cannot be made"
	guest_initrd guest initrd <<-'END'
		exec >/dev/ttyS0 2>&1
		while dd if=/dev/vda of=/dev/vdb bs=64k count=64 conv=fsync 2>/dev/null; do :; done &
		number=0
		while number=$((number + 1)); do
			printf %08x $number | dd of=/dev/vda bs=512 seek=$number conv=fsync,notrunc 2>/dev/null || echo failed
			printf '%08x\n' $number
		done
	END
	truncate -s 64M disk other
	local unhurried='no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1 workqueue.watchdog_thresh=0'
	guest=(-machine pc-q35-7.2 -m 256 -object iothread,id=thread-a -object iothread,id=thread-b
		-blockdev driver=file,filename=disk,node-name=a -blockdev driver=file,filename=other,node-name=b
		-device virtio-blk-pci,drive=a,iothread=thread-a -device virtio-blk-pci,drive=b,iothread=thread-b
		-kernel "$(echo "$CACHE"/kernel/boot/vmlinuz-*)" -initrd initrd -append "quiet panic=-1 $unhurried")
}

# newer_qemu: $qemu is QEMU 10.0 from here on.
newer_qemu() {
	local root=$CACHE/debian-backports libraries
	requires_unpacked debian-backports bookworm-backports qemu-utils qemu-system-common qemu-system-x86
	libraries=$root/usr/lib/$(uname -m)-linux-gnu
	requires_libraries "$root/usr/bin/qemu-system-x86_64" "$libraries"
	qemu=(LD_LIBRARY_PATH="$libraries" "$root/usr/bin/qemu-system-x86_64" -L /usr/share/qemu -L /usr/share/seabios)
}

# there_and_back: $qemu and, once the guest has booted, ${target[@]} under copool, then a third without.
there_and_back() {
	start_vm stock 1
	wait_until 120 counted 1 20
	qemu=("${target[@]}")
	moves 1 2 pooled
	pooled=$pid
	wait_until 60 counted 2 100
	moves 2 3 stock
	wait_until 60 counted 3 20
	ends 3
	is_continuous 3
	was_pooled "$pooled"
}

@test "migration: a guest that works two disks moves under copool and back" {
	only_full
	make_linux
	target=("${qemu[@]}")
	there_and_back
}

@test "migration: QEMU 10.0's guest moves under copool and back" {
	only_full
	make_linux
	newer_qemu
	target=("${qemu[@]}")
	there_and_back
}

@test "migration: a guest of QEMU 7.2 moves into QEMU 10.0 under copool" {
	only_full
	make_linux
	[[ $(qemu-system-x86_64 --version) == *"version 7.2."* ]] || skip "the installed QEMU is not 7.2"
	newer_qemu
	target=("${qemu[@]}")
	qemu=(qemu-system-x86_64)
	there_and_back
}
