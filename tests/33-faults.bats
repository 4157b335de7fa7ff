#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every call of libc that libcopool.so makes fails in turn: the program never notices, and the log says what was lost.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own

load lib/helper
load lib/faults
load lib/php

setup() {
	requires_faults
	cd "$BATS_TEST_TMPDIR" || return
	unset LD_PRELOAD
	export COPOOL_HOST=auto
	echo "$BATS_TEST_NUMBER" >>"$BATS_FILE_TMPDIR/ran"
}

# What libcopool.so takes from libc, and has no way to fail as it is used.
CANNOT_FAIL='
	_ITM_deregisterTMCloneTable _ITM_registerTMCloneTable __cxa_finalize __gmon_start__	not called
	__asan_init __hwasan_init __msan_init __tsan_init	not called
	__environ environ __progname program_invocation_short_name __libc_single_threaded	data
	__errno_location __stack_chk_fail gnu_get_libc_version strerrordesc_np
	__memcpy_chk __snprintf_chk __sprintf_chk __strcpy_chk __vsnprintf_chk memcmp memcpy memmove memrchr memset
	snprintf strchr strcmp strcpy strcspn strlen strncmp strpbrk strnlen strrchr strspn strstr strtol strtoul strtoull	neither allocate nor call the system as used
	geteuid getauxval getppid gettid pthread_self sched_yield sysconf uname	always known
	pthread_attr_destroy pthread_mutex_lock pthread_mutex_trylock pthread_mutex_unlock pthread_setcancelstate pthread_sigmask sigaddset sigemptyset sigfillset sigismember	of good arguments
	makecontext swapcontext	make no system call that may fail
	faccessat	asks who has denied a file; an error blames nobody
	dl_iterate_phdr dlclose dlerror secure_getenv	nothing that is missing is an error
	exit	is compared with, and not called
	capset initgroups ioctl mlock mlock2 mlockall pkey_mprotect prlimit process_madvise setegid seteuid setgid setgroups setns setregid setresgid setresuid setreuid setrlimit setuid vmsplice	what the program asks for is passed on, and nothing else
'

@test "faults: whatever libcopool.so takes from libc is made to fail here, or cannot fail" {
	requires nm
	diff <(
		{
			nm -D --undefined-only "$COPOOL_SO" | awk '{ sub(/@.*/, "", $2); print $2 }'
			exported | grep -vxE 'mmap64|prlimit64|setrlimit64'
		} | sort -u
	) <(
		{
			fault_names | grep -vxE '_dl_find_object|futex|ioctl|userfaultfd|malloc' # the first is looked up
			cut -f 2 <<<"$CANNOT_FAIL" | tr ' ' '\n' | grep .
		} | sort -u
	)
}

all_faults() {
	fault_names | tr '\n' ' '
}

@test "faults: qemu-img bench completes, whatever fails" {
	requires qemu-img
	FILTER='s/[0-9.]+ seconds/N seconds/'
	each_fault "$(all_faults)" qemu-img bench -w -c 1000 -d 50 --flush-interval=50 \
		--image-opts driver=null-aio,size=1G
	check_fault_logs
	check_faults_told
}

@test "faults: qemu-img convert writes the same image, whatever fails" {
	requires qemu-img
	head -c 1M /dev/urandom >image
	each_fault "mmap mprotect madvise open write pthread_create malloc dlopen" \
		sh -c 'qemu-img convert -f raw -O qcow2 image other && qemu-img compare -f raw -F qcow2 image other'
	check_fault_logs
}

@test "faults: PHP's fibers do what they did, whatever fails" {
	requires php
	small_fibers_php
	each_fault "$(all_faults)" php -n fibers.php
	check_fault_logs
	check_faults_told
}

@test "faults: PHP's fibers do what they did, whatever fails that other guard pages need" {
	requires php
	small_fibers_php
	for guard in poison mprotect; do
		export COPOOL_GUARD=$guard
		each_fault "ioctl madvise mmap mprotect userfaultfd" php -n fibers.php
		check_fault_logs
		check_faults_told
	done
}

@test "faults: a program that writes for Prometheus all the time does what it did, whatever fails" {
	requires_program qemu_confined
	each_fault "fchmod rename unlink" "$PROGRAMS/qemu_confined" plain
	check_fault_logs
}

@test "faults: where page tables cannot be read in private, whatever else fails" {
	requires php
	small_fibers_php
	export FAULT_ALSO=close_range
	each_fault "mincore open fstat write close" php -n fibers.php
	check_fault_logs
}

@test "faults: a program whose call stacks are recorded does what it did, whatever fails" {
	requires_program qemu_like
	requires_package libunwind8
	export COPOOL_ORIGINS=3 COPOOL_LEAKS=1
	each_fault "close_range dlopen dlsym getcontext malloc mmap pthread_create read" "$PROGRAMS/qemu_like" fork-exit
	check_fault_logs
	check_faults_told
}

@test "faults: parent and child of a fork do what they did, whatever fails" {
	requires_program qemu_like handler
	each_fault "$(all_faults)" "$PROGRAMS/qemu_like" fork-exit
	check_fault_logs
	export COPOOL_HOST=stacks
	each_fault "pthread_create pthread_attr_init pthread_setspecific" "$PROGRAMS/handler"
	check_fault_logs
}

@test "faults: a program with nothing to pool does what it did, whatever fails" {
	each_fault "$(all_faults)" /bin/echo fine
	check_fault_logs
}

@test "faults: a program with files of settings does what it did, whatever fails" {
	mkdir settings
	echo 'decay_ms = 5000' >settings/1.conf
	printf '[label *]\nguard = auto\n' >settings/2.conf
	chmod 755 settings
	chmod 644 settings/*
	export COPOOL_CONFIG=$PWD/settings COPOOL_LABEL=x
	each_fault "close fstat getdents64 open read" /bin/echo fine
	check_fault_logs
	check_faults_told
}

@test "faults: a program whose coroutines come with a library does what it did, whatever fails" {
	requires_program late late_known
	each_fault "$(all_faults)" "$PROGRAMS/late" fork "$PROGRAMS/late_known"
	check_fault_logs
}

@test "faults: what fails from some time on, and for good, is done without" {
	requires php qemu-img
	requires_program qemu_like
	export FAULT_ON=1
	FAULT_ERRORS["write"]=28 # as each_fault reads it
	small_fibers_php
	each_fault "madvise mmap mprotect open pthread_create pthread_setspecific write" php -n fibers.php
	check_fault_logs
	FILTER='s/[0-9.]+ seconds/N seconds/'
	each_fault "close_range madvise mmap open pthread_create write" qemu-img bench -w -c 1000 -d 50 \
		--flush-interval=50 --image-opts driver=null-aio,size=1G
	check_fault_logs
	each_fault "mmap open pthread_create write" "$PROGRAMS/qemu_like" fork-exit
	check_fault_logs
}

@test "faults: each of these calls was made, and failed" {
	(($(wc -l <"$BATS_FILE_TMPDIR/ran") == BATS_TEST_NUMBER)) || skip "the tests before this one were left out"
	diff <(fault_names | sort) <(sort -u "$BATS_FILE_TMPDIR/reached")
}
