# SPDX-License-Identifier: MIT
# The machine of the seed experiment, and what its guest does.
# shellcheck shell=bash
# shellcheck disable=SC2154 # seconds, requests and work are the script's
# shellcheck disable=SC2054 # the commas belong to QEMU's options

declare -A WORKLOADS=(
	[reads]='random reads, 128 at once'
	[bursts]='128 random reads, then none until all have come back'
	[think]='512 random reads, then a pause of 50 ms'
	[startstop]='jobs of 2 and 3 seconds that begin and end'
	[queues]='random reads by 4 threads a disk, 32 at once each, on 4 queues'
)
ORDER=(reads bursts think startstop queues)
DEVICES=(virtio-blk virtio-scsi six-disks) # six: three on each of two virtio-scsi controllers
BACKENDS=(null-aio file)
MODES=(observe pool)
# QEMU as it is installed, and those of other Debian releases: versions, and where they are.
VERSIONS=(installed 10.0 11.1)
declare -A SUITES=([10.0]=trixie [11.1]=sid)

# disks_of DEVICE: a letter each, in the guest too; the first of a controller's names it.
disks_of() {
	[[ $1 != six-disks ]] && echo a b || echo a b c d e f
}

# machine_of DEVICE BACKEND WORKLOAD: QEMU's options in $machine. Without rdrand fio waits a second for random numbers.
# One thread emulates all processors: with one each, a boot of QEMU 7.2 crashed once in some seventy, under
# memory_region_access_valid, while the guest's kernel was setting up its devices.
machine_of() {
	local disk disks queues=1 bus='' number=0
	[[ $3 != queues ]] || queues=4
	read -ra disks < <(disks_of "$1")
	machine=(-accel tcg,thread=single -cpu qemu64,+rdrand -machine q35 -m 512 -smp "$queues" -display none
		-nodefaults -no-user-config -no-reboot)
	for disk in "${disks[@]}"; do
		case $2 in
		null-aio) machine+=(-blockdev "driver=null-aio,size=1073741824,latency-ns=10000000,node-name=$disk") ;;
		file)
			truncate -s 1G "$work/$disk.raw"
			machine+=(-blockdev "driver=file,filename=$work/$disk.raw,aio=threads,node-name=$disk")
			;;
		esac
		if ((number++ % (${#disks[@]} / 2) == 0)); then
			bus=$disk
			machine+=(-object "iothread,id=thread-$bus")
			[[ $1 == virtio-blk ]] || machine+=(-device
				"virtio-scsi-pci,id=bus-$bus,iothread=thread-$bus,num_queues=$queues,virtqueue_size=128")
		fi
		case $1 in
		virtio-blk)
			machine+=(-device
				"virtio-blk-pci,drive=$disk,iothread=thread-$bus,num-queues=$queues,queue-size=128")
			;;
		*) machine+=(-device "scsi-hd,bus=bus-$bus.0,scsi-id=$number,drive=$disk") ;;
		esac
	done
}

# fio_jobs DEVICE WORKLOAD: the clock is asked as rarely as can be, which costs most of the time in emulation.
fio_jobs() {
	local name=sd disk disks second
	[[ $1 != virtio-blk ]] || name=vd
	read -ra disks < <(disks_of "$1")
	cat <<-END
		[global]
		ioengine=libaio
		direct=1
		rw=randread
		bs=4k
		iodepth=128
		$(if [[ $requests ]]; then echo "number_ios=$requests"; else printf 'time_based\nruntime=%s\n' "$seconds"; fi)
		thread
		gtod_reduce=1
		norandommap
	END
	case $2 in
	bursts) printf 'iodepth_batch_%s=128\n' submit complete_min complete_max ;;
	think) printf 'thinktime=50ms\nthinktime_blocks=512\n' ;;
	queues) printf 'numjobs=4\niodepth=32\n' ;;
	esac
	if [[ $2 != startstop ]]; then
		for disk in "${disks[@]}"; do
			printf '[%s]\nfilename=/dev/%s%s\n' "$disk" $name "$disk"
		done
		return
	fi
	# Every other disk has jobs of 3 seconds, the rest of 2, and a second between.
	for disk in "${!disks[@]}"; do
		local runs=$((3 - disk % 2))
		for ((second = 0; second + runs <= seconds; second += runs + 1)); do
			printf '[%s%d]\nfilename=/dev/%s%s\nstartdelay=%d\nruntime=%d\n' \
				"${disks[disk]}" $second $name "${disks[disk]}" $second $runs
		done
	done
}

# guest_script DEVICE WORKLOAD
guest_script() {
	local disk
	echo 'cd /tmp; cat >jobs <<END'
	fio_jobs "$@"
	echo END
	# A SCSI bus is looked over while others go on.
	[[ $1 == virtio-blk ]] || for disk in $(disks_of "$1"); do
		echo "until [ -b /dev/sd$disk ]; do usleep 100000; done"
	done
	echo 'if fio --minimal jobs >said 2>&1; then echo fio is done; else cat said; fi'
}
