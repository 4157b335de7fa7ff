# SPDX-License-Identifier: MIT
# Guests for QEMU, made of this machine's busybox and programs and of a kernel of Debian's. Needs no bats.
# shellcheck shell=bash

# In the order in which they load.
GUEST_MODULES=(virtio/{virtio_ring,virtio,virtio_pci_legacy_dev,virtio_pci_modern_dev,virtio_pci} block/virtio_blk
	scsi/{scsi_common,scsi_mod,sd_mod,virtio_scsi})

# with_libraries FILE...: these, and the libraries that they need.
with_libraries() {
	{
		printf '%s\n' "$@"
		{ ldd "$@" 2>/dev/null || :; } | sed -nE 's/.*\s(\/\S+) \(0x.*/\1/p' # some have none
	} | sort -u
}

# guest_install ROOT FILE...: the same files at the same places, and the libraries that they need.
guest_install() {
	with_libraries "${@:2}" | xargs cp -L --parents -t "$1"
}

# guest_archive PATH KERNEL_ROOT [PROGRAM...]: what is the same for all guests of a kind: busybox, the modules for
# virtio disks, the programs with their libraries. Made again when one of these has changed.
guest_archive() {
	local path=$1 root=$1.root files=("$(command -v busybox)" "${@:3}") module modules=() made_of
	for module in "${GUEST_MODULES[@]}"; do
		modules+=("$(echo "$2"/lib/modules/*/kernel/drivers/"$module".ko)")
	done
	made_of=$(with_libraries "${files[@]}" "${modules[@]}" "${BASH_SOURCE[0]}" | xargs stat -L -c '%n %s %Y') || return
	if [[ -e $path && $made_of == "$(cat "$path.made-of" 2>/dev/null)" ]]; then
		return 0
	fi
	rm -rf "$root"
	mkdir -p "$root"/{bin,dev,modules,proc,sys,tmp}
	guest_install "$root" "${files[@]}" &&
		cp "${files[0]}" "$root/bin/busybox" && cp "${modules[@]}" "$root/modules" || return
	{
		cat <<-'END'
			#!/bin/busybox sh
			/bin/busybox --install -s /bin
			mount -t devtmpfs none /dev
			mount -t proc none /proc
			mount -t sysfs none /sys
			mount -t tmpfs none /tmp
		END
		printf 'insmod /modules/%s.ko\n' "${GUEST_MODULES[@]##*/}"
		printf '. /script\npoweroff -f\n'
	} >"$root/init"
	chmod +x "$root/init"
	(cd "$root" && find . | cpio -o -H newc --quiet) >"$path.new" && mv "$path.new" "$path" &&
		echo "$made_of" >"$path.made-of"
	rm -rf "$root"
}

# guest_initrd ARCHIVE PATH: the initrd of a guest that runs the script on standard input, then powers off. The kernel
# unpacks archives one after the other.
guest_initrd() {
	mkdir -p "$2.root"
	cat >"$2.root/script"
	{ cat "$1" && (cd "$2.root" && echo script | cpio -o -H newc --quiet); } >"$2"
	rm -r "$2.root"
}
