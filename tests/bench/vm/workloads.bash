# The machine of the seed experiment, and what its guest does.
# shellcheck shell=bash
# shellcheck disable=SC2154 # seconds and work are the script's
# shellcheck disable=SC2054 # the commas belong to QEMU's options

declare -A WORKLOADS=(
	[reads]='random reads, 128 at once'
	[bursts]='128 random reads, then none until all have come back'
	[think]='512 random reads, then a pause of 50 ms'
	[startstop]='jobs of 2 and 3 seconds that begin and end'
	[queues]='random reads by 4 threads a disk, 32 at once each, on 4 queues'
)
ORDER=(reads bursts think startstop queues)
DEVICES=(virtio-blk virtio-scsi)
BACKENDS=(null-aio file)
MODES=(observe pool)

# machine_of DEVICE BACKEND WORKLOAD: QEMU's options in $machine. Without rdrand fio waits a second for random numbers.
# One thread emulates all processors: with one each, a boot of QEMU 7.2 crashed once in some seventy, under
# memory_region_access_valid, while the guest's kernel was setting up its devices.
machine_of() {
	local disk queues=1
	[[ $3 != queues ]] || queues=4
	machine=(-accel tcg,thread=single -cpu qemu64,+rdrand -machine q35 -m 512 -smp "$queues" -display none
		-nodefaults -no-user-config -no-reboot)
	for disk in a b; do
		machine+=(-object "iothread,id=thread-$disk")
		case $2 in
		null-aio) machine+=(-blockdev "driver=null-aio,size=1073741824,latency-ns=10000000,node-name=$disk") ;;
		file)
			truncate -s 1G "$work/$disk.raw"
			machine+=(-blockdev "driver=file,filename=$work/$disk.raw,aio=threads,node-name=$disk")
			;;
		esac
		case $1 in
		virtio-blk)
			machine+=(-device
				"virtio-blk-pci,drive=$disk,iothread=thread-$disk,num-queues=$queues,queue-size=128")
			;;
		virtio-scsi)
			machine+=(-device
				"virtio-scsi-pci,id=bus-$disk,iothread=thread-$disk,num_queues=$queues,virtqueue_size=128"
				-device "scsi-hd,bus=bus-$disk.0,drive=$disk")
			;;
		esac
	done
}

# fio_jobs DEVICE WORKLOAD: the clock is asked as rarely as can be, which costs most of the time in emulation.
fio_jobs() {
	local name=sd disk second
	[[ $1 == virtio-scsi ]] || name=vd
	cat <<-END
		[global]
		ioengine=libaio
		direct=1
		rw=randread
		bs=4k
		iodepth=128
		time_based
		runtime=$seconds
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
		printf '[%s]\nfilename=/dev/%s\n' a ${name}a b ${name}b
		return
	fi
	for ((second = 0; second + 3 <= seconds; second += 4)); do
		printf '[a%d]\nfilename=/dev/%sa\nstartdelay=%d\nruntime=3\n' $second $name $second
	done
	for ((second = 0; second + 2 <= seconds; second += 3)); do
		printf '[b%d]\nfilename=/dev/%sb\nstartdelay=%d\nruntime=2\n' $second $name $second
	done
}

# guest_script DEVICE WORKLOAD
guest_script() {
	echo 'cd /tmp; cat >jobs <<END'
	fio_jobs "$@"
	echo END
	# A SCSI bus is looked over while others go on.
	[[ $1 != virtio-scsi ]] || echo 'until [ -b /dev/sda ] && [ -b /dev/sdb ]; do usleep 100000; done'
	echo 'if fio --minimal jobs >said 2>&1; then echo fio is done; else cat said; fi'
}
