#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Programs with QEMU's coroutines that do what is hard on a library beneath them: nothing happens to them, and nothing is lost.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2154 # start_stock and start_pooled set pid
# shellcheck disable=SC2016 # what is in single quotes is for the program to expand

load lib/helper
load lib/qemu

setup() {
	requires jq
	requires_program qemu_like qemu_newer qemu_odd_loop qemu_hidden_loop qemu_hidden_stacks qemu_unmovable qemu_confined
	cd "$BATS_TEST_TMPDIR" || return
	truth=$PWD/truth.json
}

# bites SCENARIO [VARIABLE=VALUE...]: the program does the same with and without the shim, ends well, and what the
# log says is true.
bites() {
	same_twin PROGRAM_TRUTH="$truth" COPOOL_DECAY_MS=0 "${@:2}" "$PROGRAMS/${program-qemu_like}" "$1"
	[[ $status -eq 0 && $output == fine ]]
	is_pooled_qemu
	check_balance
	tells_truth
}

# What the program counted itself.
truth() {
	jq ".$1" "$truth"
}

tells_truth() {
	echo "the program says: $(<"$truth")"
	[[ $(pool_final live) -eq 0 ]]
	[[ $(pool_final create_new) -eq $(truth made) ]]
	[[ $(($(pool_final destroy_delete) + $(pool_final trimmed))) -eq $(truth deleted) ]]
	[[ $(pool_final pooled) -eq $(($(truth made) - $(truth deleted))) ]]
}

# Whole lines, and a last sample from when it was still alive.
log_is_whole() {
	check_log
	[[ $(log_records open .host) == qemu ]]
}

# ---- threads and signals ----

@test "program: one thread's bursts need what they need at once, and the log says the truth" {
	bites churn
	# 50 that live all the time.
	[[ $(truth made) -eq 150 && $(pool_final peak_objects) -eq 150 ]]
}

@test "program: eight threads at once get each coroutine once, and together no more than they need" {
	bites threads
	(($(truth made) <= 50 + 8 * 100 + 9 * 32 + 16))
}

@test "program: short-lived threads leave their coroutines to those that follow" {
	bites short-threads
	(($(truth made) <= 50 + 49 + 32 + 16))
}

@test "program: coroutines created in one thread and destroyed in another come back" {
	bites hand-over
	(($(truth made) <= 50 + 100 + 3 * 32 + 16))
}

@test "program: signal handlers may create and destroy, in whatever they interrupt" {
	bites signals
	(($(truth made) < 500))
}

@test "program: a signal that the program blocks waits for the program" {
	bites signal-waits
}

@test "program: destructors of thread-specific data may create and destroy after our own" {
	bites thread-keys
	# Late ones go without a cache, and make a new one where another thread is at what is shared: how many, the clock says.
	# Of 20 times 8 threads each would lose up to 32, were its cache lost.
	(($(pool_final pooled) < 20 * 8 * 32 / 2))
}

@test "program: constructors may create, and destructors destroy" {
	# Every run of this program does both; here with two batches and the least interval.
	bites churn COPOOL_MAX_BATCHES=2 COPOOL_INTERVAL_MS=10
	[[ $(truth deleted) -gt 0 && $(pool_final depot_batches) -le 2 ]]
}

@test "program: errno is what it was" {
	bites errno
	rm "$LOG"
	bites errno COPOOL_MAX_BATCHES=0
}

@test "program: QEMU's hints do not bring its own pool back" {
	bites hints
	[[ $(truth pool_size) -eq 64 && $(truth made) -le $((1050 + 32)) ]]
}

@test "program: with nothing to be kept, what the cache cannot hold is deleted, and once only" {
	bites churn COPOOL_MAX_BATCHES=0
	(($(truth made) > 2000 * 60))
}

@test "program: trimming deletes each idle coroutine once, while others come and go" {
	for scenario in threads short-threads; do
		rm -f "$LOG"
		same_twin PROGRAM_TRUTH="$truth" COPOOL_DECAY_MS=100 COPOOL_INTERVAL_MS=10 "$PROGRAMS/qemu_like" $scenario
		[[ $status -eq 0 && $output == fine ]]
		check_balance
	done
	same_twin COPOOL_DECAY_MS=100 "$PROGRAMS/qemu_confined" plain
	[[ $status -eq 0 ]]
}

@test "program: ours is the only thread that is added, it has a name and takes no signal" {
	start_pooled COPOOL_INTERVAL_MS=50 qemu-storage-daemon --chardev "socket,id=qmp,path=$PWD/qmp,server=on,wait=off" \
		--monitor chardev=qmp
	stock_pid=$pid
	start_stock qemu-storage-daemon --chardev "socket,id=qmp,path=$PWD/qmp.stock,server=on,wait=off" \
		--monitor chardev=qmp
	wait_until 10 test -S qmp
	wait_until 10 test -S qmp.stock
	tasks() {
		sort "/proc/$1"/task/*/comm
	}
	added=$(comm -23 <(tasks "$stock_pid") <(tasks "$pid"))
	echo "added: $added"
	[[ $added == *copool* && $(wc -l <<<"$added") -eq 1 ]]
	task=$(dirname "$(grep -lx "$added" "/proc/$stock_pid"/task/*/comm)")
	# All signals but those that cannot be blocked and the C library's own (32, 33).
	blocked=$(sed -n 's/^SigBlk:\t//p' "$task/status")
	echo "blocked: $blocked"
	((0x$blocked == 0xfffffffe7ffbfeff || 0x$blocked == 0xfffffffc7ffbfeff))
	[[ $(ls "/proc/$stock_pid/fd") == $(ls "/proc/$pid/fd") ]]
	stop "$stock_pid"
}

# ---- forks and ends ----

@test "program: it may fork while its threads create and destroy" {
	for _ in 1 2 3; do
		rm -f "$LOG"
		same_twin PROGRAM_TRUTH="$truth" COPOOL_DECAY_MS=0 "$PROGRAMS/qemu_like" forks
		[[ $status -eq 0 && $output == fine ]]
		check_log
		parent=$(log_records final .pid | tail -n 1)
		check_balance "$parent"
		[[ $(pool_final live "$parent") -eq 0 && $(pool_final create_new "$parent") -eq $(truth made) ]]
	done
}

@test "program: a fork's child takes over what was idle and what lives, and counts for itself" {
	same_twin PROGRAM_TRUTH="$truth" COPOOL_DECAY_MS=0 "$PROGRAMS/qemu_like" fork-exit
	[[ $status -eq 0 ]]
	check_balance
	parent=$(log_records open 'select(.ppid == 0) | .pid')
	child=$(log_records open 'select(.ppid != 0) | .pid')
	[[ $(log_records open "select(.pid == $child) | .ppid") -eq $parent ]]
	# 50 from the constructor, and ten that the parent held.
	[[ $(pool_final inherited "$child") -eq 60 && $(pool_final inherited "$parent") -eq 0 ]]
	[[ $(pool_final live "$child") -eq 0 && $(pool_final live "$parent") -eq 0 ]]
	# Its bursts of 60 came from what it made itself.
	[[ $(pool_final create_new "$child") -le 60 ]]
}

@test "program: as a daemon it goes on without descriptors, folder and parent, and so does the log" {
	same_twin COPOOL_INTERVAL_MS=50 "$PROGRAMS/qemu_confined" daemon "$PWD/pid"
	[[ $status -eq 0 ]]
	wait_until 10 test -s pid
	child=$(<pid)
	watch_over "$child"
	wait_until 10 is_gone "$child"
	check_balance "$child"
	(($(log_records sample "select(.pid == $child) | .pool" | wc -l) >= 2))
	(($(log_records open "select(.pid == $child) | .ppid") > 1))
}

@test "program: it may end by _exit, SIGKILL and abort, and its log is whole" {
	for scenario in leave:3 kill:137 abort:134; do
		rm -f "$LOG"
		same_twin COPOOL_INTERVAL_MS=10 bash -c 'ulimit -c 0; exec "$0" "$1"' "$PROGRAMS/qemu_like" ${scenario%:*}
		[[ $status -eq ${scenario#*:} ]]
		check_log
		[[ $(log_records open .host) == *qemu ]]
	done
}

@test "program: it may end while its threads create and destroy" {
	for _ in 1 2 3 4 5; do
		rm -f "$LOG"
		same_twin "$PROGRAMS/qemu_like" exit-amid
		[[ $status -eq 0 ]]
		log_is_whole
	done
}

# ---- descriptors ----

@test "program: files on descriptors that it closed and opened again get nothing of ours" {
	same_twin COPOOL_INTERVAL_MS=10 "$PROGRAMS/qemu_confined" reuse-descriptors "$PWD/own"
	[[ $status -eq 0 && $(find . -name 'own.*' | wc -l) -eq 64 ]]
	# Thirty rounds, stock and pooled.
	[[ $(cat own.* | sort | uniq -c) == *"3840 this is the program's own line" ]]
	log_is_whole
	check_balance
	(($(log_records sample .pool | wc -l) >= 10))
}

@test "program: a file that takes the place of stderr gets nothing of ours, whatever the log is" {
	for log in "$LOG" stderr /dev/full /nowhere/log; do
		for interval in 10 1000; do
			run_shown env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$log" COPOOL_INTERVAL_MS=$interval \
				"$PROGRAMS/qemu_confined" reuse-stderr "$PWD/own"
			[[ $status -eq 0 && $(<own) == "this is the program's own line" ]]
		done
	done
}

@test "program: standard error as the log gets all of it, also when the program closes its own" {
	env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG=stderr COPOOL_INTERVAL_MS=10 \
		"$PROGRAMS/qemu_confined" reuse-stderr "$PWD/own" 2>"$LOG"
	check_balance
	log_is_whole
	(($(log_records sample .pool | wc -l) >= 5))
}

@test "program: a descriptor that was closed at the start stays the program's" {
	# The program opens the file as its descriptor 2, where nothing was.
	run_pooled COPOOL_INTERVAL_MS=10 bash -c 'exec 2>&-; exec "$0" reuse-stderr own' "$PROGRAMS/qemu_confined"
	[[ $(<own) == "this is the program's own line" ]]
}

@test "program: a reader of its pipe sees the end when the program closes it" {
	mkfifo pipe
	exec 7<>pipe
	exec 8<pipe
	start_pooled "$PROGRAMS/qemu_confined" close-and-stay
	exec 7>&-
	run_shown timeout 60 cat <&8
	[[ $status -eq 0 && $output == "" ]]
	kill -0 "$pid"
	stop "$pid"
	[[ $status -eq 143 ]]
}

# ---- confinement ----

@test "program: in another root folder it goes on, and so does the log" {
	[[ $(id -u) -eq 0 ]] || skip "only root can change the root folder"
	mkdir empty
	same_twin COPOOL_INTERVAL_MS=50 "$PROGRAMS/qemu_confined" chroot "$PWD/empty"
	[[ $status -eq 0 && $(ls -A empty) == "" ]]
	check_balance
	(($(log_records sample .pool | wc -l) >= 3))
}

@test "program: without its rights it goes on, and so does the log" {
	[[ $(id -u) -eq 0 ]] || skip "only root has rights to drop"
	same_twin COPOOL_INTERVAL_MS=50 "$PROGRAMS/qemu_confined" drop-rights
	[[ $status -eq 0 ]]
	check_balance
	(($(log_records sample .pool | wc -l) >= 3))
}

@test "program: when no thread may open, write or clone any more, it goes on" {
	same_twin COPOOL_INTERVAL_MS=10 COPOOL_DECAY_MS=100 "$PROGRAMS/qemu_confined" forbid-calls
	[[ $status -eq 0 ]]
	log_is_whole
}

@test "program: when to open a file is death, nothing of ours does, while it looks for a shortage of memory" {
	run_shown env -u COPOOL_LOG LD_PRELOAD="$COPOOL_SO" "$PROGRAMS/qemu_confined" kill-openers
	[[ $status -eq 0 ]]
}

@test "program: when no file may grow it goes on" {
	same_twin COPOOL_INTERVAL_MS=10 "$PROGRAMS/qemu_confined" limit-files
	[[ $status -eq 0 ]]
	log_is_whole
}

@test "program: where a file size limit kills processes that write, none is killed" {
	# The program itself writes nothing. The user may be told that there is no log.
	run_pooled COPOOL_INTERVAL_MS=10 prlimit --fsize=0 "$PROGRAMS/qemu_confined" plain
	[[ $status -eq 0 && $(grep -v '^copool: ' <<<"$output") == "" ]]
}

@test "program: with little address space it goes on" {
	requires prlimit
	for megabytes in 64 128 512 2048; do
		rm -f "$LOG" "$truth"
		same_twin PROGRAM_TRUTH="$truth" prlimit --as=$((megabytes * 1048576)) "$PROGRAMS/qemu_like" churn
		[[ $status -eq 0 && $output == fine ]]
	done
	(($(truth made) <= 150 + 32))
}

@test "program: where no thread can be started it is pooled without statistics" {
	requires prlimit setpriv
	[[ $(id -u) -eq 0 ]] || skip "only root can become another user"
	mkdir open
	chmod 777 open
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/.."
	LOG=$PWD/open/log.jsonl truth=$PWD/open/truth.json
	nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	"${nobody[@]}" test -x "$PROGRAMS/qemu_like" || lacks "another user cannot reach the programs"
	# The limit is for the program alone: nothing before it may be short of threads.
	run_shown "${nobody[@]}" prlimit --nproc=1 env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" \
		PROGRAM_TRUTH="$truth" "$PROGRAMS/qemu_like" churn
	[[ $status -eq 0 && $output == fine ]]
	(($(truth made) <= 150 + 32))
	[[ ! -e $LOG ]] || check_log
}

@test "program: it may be started without any descriptor" {
	same_twin bash -c 'exec <&- >&- 2>&- ; exec "$0" plain' "$PROGRAMS/qemu_confined"
	[[ $status -eq 0 ]]
	check_log
}

# ---- programs that are not what they seem ----

@test "program: a loop that is not that of any QEMU is left alone, and so is all else" {
	same_twin PROGRAM_TRUTH="$truth" "$PROGRAMS/qemu_odd_loop" churn
	[[ $status -eq 0 && $output == fine ]]
	check_log
	[[ $(log_open host) == none && $(log_open mode) == none && $(log_open way) == none ]]
	[[ $(log_open detail) == *qemu_aio_coroutine_enter* ]]
	(($(truth made) > 2000))
}

@test "program: where coroutines end out of sight the pool steps back, and the program makes no more than without" {
	run_stock PROGRAM_TRUTH="$truth" "$PROGRAMS/qemu_hidden_loop" churn
	made=$(truth made)
	same_twin PROGRAM_TRUTH="$truth" "$PROGRAMS/qemu_hidden_loop" churn
	[[ $status -eq 0 && $output == fine ]]
	check_log
	[[ $(log_open way) == ending && $(log_records way .way) == none ]]
	[[ $(log_records warning .text) == *"end where copool has not found it"* ]]
	# What it made until that was clear, and what lies in its own pool.
	(($(truth made) <= made + 2048 + 64 + 64))
	check_balance
	[[ $(pool_final create_new) -eq 0 ]]
	run "$COPOOL" show "$LOG"
	[[ $output == *"host qemu (none): QEMU's coroutines end where copool has not found it"* ]]
}

@test "program: where the pool stepped back Prometheus sees the stacks, which are all that is pooled" {
	start_pooled COPOOL_PROMETHEUS="$PWD/series.prom" COPOOL_INTERVAL_MS=20 "$PROGRAMS/qemu_hidden_stacks"
	wait_until 20 grep -q '^copool_info{.*way="stacks"' series.prom
	wait_until 20 grep -q '^copool_create_total{.*pool="stack .*} [1-9]' series.prom
	touch go
	ended "$pid"
}

@test "program: very many coroutines at once are no reason to step back" {
	same_twin PROGRAM_TRUTH="$truth" COPOOL_DECAY_MS=0 "$PROGRAMS/qemu_like" hoard
	[[ $status -eq 0 && $output == fine ]]
	is_pooled_qemu
	check_balance
	tells_truth
	[[ $(log_records way) == "" && $(truth made) -eq 10050 ]]
}

@test "program: a function that cannot be patched is not, nor is anything else, and the log says why" {
	same_twin PROGRAM_TRUTH="$truth" "$PROGRAMS/qemu_unmovable" churn
	[[ $status -eq 0 && $output == fine ]]
	check_log
	[[ $(log_open host) == none && $(log_open mode) == none && $(log_open way) == none ]]
	[[ $(log_open detail) == *qemu_coroutine_new* ]]
	[[ $(truth pool_size) -eq 64 && $(log_records final) == "" ]]
	(($(truth made) > 2000))
}

@test "program: as QEMU from 9.0 on it is pooled, and its lock is not touched before it is there" {
	program=qemu_newer
	for scenario in churn threads hints thread-keys errno; do
		rm -f "$LOG"
		bites $scenario
		[[ $(log_open way) == ending && $(truth pool_size) -eq 128 ]]
	done
}

@test "program: as QEMU from 9.0 on it may fork while its threads create and destroy" {
	same_twin PROGRAM_TRUTH="$truth" COPOOL_DECAY_MS=0 "$PROGRAMS/qemu_newer" forks
	[[ $status -eq 0 && $output == fine ]]
	check_log
}

@test "program: under a tracer it does the same" {
	requires strace
	run_shown strace -f -o trace -E LD_PRELOAD="$COPOOL_SO" -E COPOOL_LOG="$LOG" "$PROGRAMS/qemu_like" churn
	[[ $status -eq 0 && $output == fine ]]
	check_balance
}
