#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The log: where it goes, what is in it, and that it is whole whatever happens to its file.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2154 # start_pooled sets pid
# shellcheck disable=SC2016 # what is in single quotes is for jq or another shell

load lib/helper
load lib/qemu

setup() {
	requires jq
	requires_program steps
	cd "$BATS_TEST_TMPDIR" || return
	export COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop
	steps=$PROGRAMS/steps
}

# samples_at_least N: so many samples are in the log by now. Its last line may still be on its way.
samples_at_least() {
	[[ -e $LOG ]] && (($(grep -c '^{"type":"sample".*}$' "$LOG") >= $1))
}

@test "log: it begins with one open record, samples follow, and a final record ends it" {
	start_pooled COPOOL_INTERVAL_MS=10 "$steps" use 100 wait go
	wait_until 10 samples_at_least 3
	touch go
	ended "$pid"
	[[ $status -eq 0 ]]
	check_balance
	[[ $(jq -r .type "$LOG" | uniq) == open$'\n'sample$'\n'final ]]
	[[ $(log_records open .pid) -eq $pid && $(log_records final .pid) -eq $pid ]]
	[[ $(log_open program) == steps && $(log_open interval_ms) -eq 10 && $(log_open ppid) -eq 0 ]]
	[[ $(log_open version) == "$("$COPOOL" --version | awk '{ print $2 }')" ]]
}

@test "log: the time is the clock's, and the uptime grows by the interval" {
	before=$(date +%s)
	start_pooled COPOOL_INTERVAL_MS=50 "$steps" use 1 wait go
	wait_until 10 samples_at_least 4
	touch go
	ended "$pid"
	jq -se --argjson before "$before" --argjson now "$(date +%s)" \
		'all(.[]; .time >= $before and .time <= $now + 1)' "$LOG"
	log_records sample .uptime_ms | awk 'NR > 1 && $1 - last < 50 { exit 1 } { last = $1 }'
}

@test "log: %p is the process, %n the program, and %% a percent sign" {
	LOG=$PWD/%n.%p.100%%.jsonl run_pooled sh -c 'echo $$; exec "$0" use 1' "$steps"
	[[ $status -eq 0 ]]
	[[ $(jq -r 'select(.type == "final") | .pid' "steps.$output.100%.jsonl") -eq $output ]]
}

@test "log: a label tells processes of one program apart, in its record, its path and show" {
	for name in web-1 web-2; do
		LOG="$PWD/{label}.jsonl" run_pooled COPOOL_LABEL=$name "$steps" use 1
		[[ $status -eq 0 ]]
	done
	[[ $(jq -r 'select(.type == "open") | .label' web-1.jsonl web-2.jsonl | xargs) == "web-1 web-2" ]]
	run_stock "$COPOOL" show web-1.jsonl web-2.jsonl
	[[ $output =~ "steps web-1 ["[0-9]+"], ended" && $output =~ "steps web-2 ["[0-9]+"], ended" ]]
	[[ $("$COPOOL" show --csv web-2.jsonl) == *,'"web-2"'  ]]
	[[ $("$COPOOL" show --json web-2.jsonl | jq -r '.processes[0].open.label') == web-2 ]]
	run_pooled COPOOL_LABEL=web-3 "$steps" touch used wait go &
	wait_until 10 test -e used
	pid=$(jq -r 'select(.type == "open") | .pid' "$LOG")
	[[ $("$COPOOL" show --json "$pid" | jq -r '.processes[0].open.label') == web-3 ]]
	touch go
	wait
	# copool run has an option for it.
	"$COPOOL" run --label='a b' --log="$PWD/{label}.jsonl" -- "$steps" use 1
	[[ $(jq -r 'select(.type == "open") | .label' 'a b.jsonl') == "a b" ]]
}

@test "log: a label leads to no other folder, steers no terminal, and an endless one is refused" {
	mkdir -p in/logs
	LOG="$PWD/in/logs/{label}" run_pooled COPOOL_LABEL=$'../../out/\e[31m\n' "$steps" use 1
	[[ $status -eq 0 ]]
	[[ $(ls in/logs) == '_._.__out__[31m_' && ! -e out ]]
	cp in/logs/* here
	LOG=here check_log
	[[ $("$COPOOL" show here) == "steps ../../out/?[31m? ["* ]]
	run_pooled COPOOL_LABEL="$(printf 'x%.0s' {1..128})" "$steps" use 1
	[[ $(log_records warning .text) == *"COPOOL_LABEL=xxx"*"too long"* && $(log_open label) == null ]]
	rm "$LOG"
	# Where there is none, the program's name has to do.
	LOG="$PWD/{label}.jsonl" run_pooled "$steps" use 1
	[[ -s steps.jsonl && $(jq 'has("label")' steps.jsonl | sort -u) == false ]]
}

@test "log: a relative path begins where the program was started, wherever it goes" {
	mkdir elsewhere
	LOG=log.jsonl run_pooled COPOOL_INTERVAL_MS=10 "$steps" chdir elsewhere use 1 fork use 2
	[[ $status -eq 0 && $(ls -A elsewhere) == "" ]]
	[[ $(log_records final .pid | wc -l) -eq 2 ]]
}

@test "log: %p gives a fork's child a log of its own" {
	LOG=$PWD/log.%p run_pooled "$steps" use 100 fork use 10 say me
	[[ $status -eq 0 && $output == me ]]
	logs=(log.*)
	[[ ${#logs[@]} -eq 2 ]]
	for log in "${logs[@]}"; do
		LOG=$log check_balance
		[[ $(jq -r .pid "$log" | sort -u) == "${log#log.}" ]]
	done
	jq -s '[.[] | select(.type == "open")] | sort_by(.ppid)
		| if .[1].ppid == .[0].pid then empty else error("not parent and child") end' "${logs[@]}"
}

@test "log: a title that a program shows changes neither its name nor where its log and its child's are" {
	requires_program several
	unset COPOOL_CREATE COPOOL_DESTROY
	mkdir -p logs "logs/worker: GET " escaped
	title=$'worker: GET /../../escaped/\e[31m'
	LOG=$PWD/logs/%n.%p same_twin COPOOL_HOST=stacks "$PROGRAMS/several" title "$title" use fork use
	[[ $status -eq 0 && $output == fine ]]
	[[ $(find . -type f | sed 's/[0-9]*$//' | sort | uniq -c) =~ ^\ +2\ ./logs/several.$ ]]
	cat logs/several.* >"$LOG"
	[[ $(log_records open .program) == several$'\n'several ]]
	# And who looks into it sees that name.
	rm -r logs
	start env -u COPOOL_LOG LD_PRELOAD="$COPOOL_SO" COPOOL_HOST=stacks "$PROGRAMS/several" title "$title" use touch used wait go
	wait_until 10 test -e used
	[[ $("$COPOOL" show "$pid") == "several [$pid]"* ]]
	touch go
	ended "$pid"
}

@test "log: a program that was called without a name has that of its file" {
	run_shown bash -c 'export LD_PRELOAD=$1 COPOOL_LOG=%n.jsonl; exec -a "" "$0" use 1' "$steps" "$COPOOL_SO"
	[[ $status -eq 0 && $(jq -rs '.[0].program' steps.jsonl) == steps ]]
}

@test "log: a program's name leads its log to no other folder" {
	mkdir elsewhere
	for name in .. ../elsewhere/x $'a\nb\e[1m' $'\xc2\x9bx\xe2\x80\xae'; do
		run_shown bash -c 'export LD_PRELOAD=$2 COPOOL_LOG=$3; exec -a "$0" "$1" use 1' "$name" "$steps" "$COPOOL_SO" \
			"$PWD/logs-%n"
		[[ $status -eq 0 ]]
	done
	[[ $(find . -name 'logs-*' | sort) == ./logs-_.$'\n'./logs-_x_$'\n'./logs-a_b_\[1m$'\n'./logs-x && -z $(ls elsewhere) ]]
}

# names: of the pools of the last run, in the order of their numbers.
names() {
	log_records final .pool
}

@test "log: pools of one size that are asked for at several places have a name each, in each run the same" {
	requires_program several
	unset COPOOL_CREATE COPOOL_DESTROY
	for mode in pool observe; do
		rm -f "$LOG"
		run_pooled COPOOL_HOST=stacks COPOOL_MODE=$mode "$PROGRAMS/several" use
		[[ $status -eq 0 ]]
		first=$(names)
		echo "$first"
		[[ $(sed -n 1p <<<"$first") == "stack 65536" ]]
		[[ $(sed -n 2p <<<"$first") =~ ^"stack 65536 several+0x"[0-9a-f]+$ ]]
		[[ $(sort <<<"$first" | uniq | wc -l) -eq 3 ]]
		[[ $(log_records final '.create_local + .create_depot + .create_new' | xargs) == "50 20 5" ]]
		for _ in 1 2 3; do
			rm "$LOG"
			run_pooled COPOOL_HOST=stacks COPOOL_MODE=$mode "$PROGRAMS/several" use
			[[ $(names) == "$first" ]]
		done
		# Nothing is lost by who reads.
		run "$COPOOL" show "$LOG"
		[[ $(awk '$1 == "stack" && !/: / { for (i = 3; $i !~ /^[0-9]+$/; i++); sum += $i } END { print sum }' <<<"$output") -eq 75 ]]
	done
	[[ $("$COPOOL" compare --json -n 1 -q --host=stacks -- "$PROGRAMS/several" use | jq -c '[.stock, .pooled | .creates.median]') == '[75,75]' ]]
}

@test "log: a pool says whose objects it has, and of which pool's they are parts, in the log and from outside" {
	requires qemu-img
	requires_program several
	unset COPOOL_CREATE COPOOL_DESTROY
	local whose='[.pool, .owner, .part_of] | @json'
	run_pooled qemu-img bench -c 20000 -d 128 --image-opts driver=null-aio,size=1G
	[[ $status -eq 0 ]]
	[[ $(log_records final "$whose" | sort) == '["qemu-coroutine","qemu",null]
["stack 1052672 qemu","qemu","qemu-coroutine"]' ]]
	[[ $(log_records depth "$whose") == '["stack 1052672 qemu","qemu","qemu-coroutine"]' ]]
	rm "$LOG"
	run_pooled COPOOL_HOST=stacks qemu-img bench -c 20000 -d 128 --image-opts driver=null-aio,size=1G
	[[ $(log_records final "$whose") == '["stack 1052672 qemu","qemu",null]' ]]
	rm "$LOG"
	run_pooled COPOOL_HOST=stacks "$PROGRAMS/several" use
	[[ $(log_records final '.owner' | sort -u) == stacks ]]
	rm "$LOG"
	start_pooled COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop "$steps" use 10 touch used wait go
	wait_until 20 test -e used
	[[ $("$COPOOL" show --json "$pid" | jq -c '[.. | objects | select(.pool? and .threads?) | [.owner, .part_of]] | unique') == '[["named",null]]' ]]
	touch go
}

@test "log: a fork's child that uses no pool does not write" {
	run_pooled "$steps" use 100 fork say me
	[[ $status -eq 0 && $output == me ]]
	[[ $(jq -r .pid "$LOG" | sort -u | wc -l) -eq 1 ]]
}

@test "log: a program that leaves without its destructors leaves whole lines and no final record" {
	run_pooled COPOOL_INTERVAL_MS=10 "$steps" use 100 leave
	[[ $status -eq 0 ]]
	check_log
	[[ $(log_records open .host) == named && $(log_records final) == "" ]]
}

@test "log: stderr and stdout are words, and no files" {
	for word in stderr stdout; do
		env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG=$word "$steps" use 100 say fine 2>err >out
		[[ ! -e $word ]]
		if [[ $word == stdout ]]; then
			[[ ! -s err && $(grep -cx fine out) -eq 1 ]]
			grep -vx fine out >"$LOG"
		else
			[[ $(<out) == fine ]]
			cp err "$LOG"
		fi
		check_balance
	done
}

@test "log: a file is made with mode 0640, less what the umask takes" {
	(umask 0 && run_pooled "$steps" use 1)
	[[ $(stat -c %a "$LOG") == 640 ]]
	rm "$LOG"
	(umask 077 && run_pooled "$steps" use 1)
	[[ $(stat -c %a "$LOG") == 600 ]]
}

@test "log: what a file holds already stays" {
	echo '{"type":"note","time":0,"pid":0}' >"$LOG"
	run_pooled "$steps" use 1
	[[ $(head -n 1 "$LOG") == '{"type":"note","time":0,"pid":0}' ]]
	[[ $(log_records final) ]]
}

@test "log: when it is moved away a new file is begun, and no line is lost or doubled" {
	start_pooled COPOOL_INTERVAL_MS=10 "$steps" use 100 wait go
	for i in 1 2 3; do
		wait_until 10 samples_at_least 3
		mv "$LOG" "$LOG.$i"
	done
	wait_until 10 samples_at_least 3
	touch go
	ended "$pid"
	cat "$LOG".[123] "$LOG" >whole
	LOG=whole check_balance
	jq -e . "$LOG".[123] >/dev/null
	[[ $(jq -r 'select(.type != "sample") | .type' whole) == open$'\n'final ]]
	jq -r 'select(.type == "sample") | .uptime_ms' whole | sort -nC
	[[ $(jq -r 'select(.type == "sample") | .uptime_ms' whole | uniq -d) == "" ]]
}

@test "log: when it is removed it is made again" {
	start_pooled COPOOL_INTERVAL_MS=10 "$steps" use 100 wait go
	wait_until 10 samples_at_least 1
	rm "$LOG"
	wait_until 10 samples_at_least 1
	touch go
	ended "$pid"
	check_balance
}

@test "log: when its folder is away, lines are kept out of nowhere, and told of when it is back" {
	mkdir folder
	LOG=$PWD/folder/log
	start_pooled COPOOL_INTERVAL_MS=10 "$steps" use 100 wait go
	wait_until 10 samples_at_least 1
	mv folder away
	rm away/log
	wait_until 10 sh -c '! ls -l "/proc/$0/task"/*/fd | grep -q "folder/log\|away/log"' "$pid"
	mv away folder
	wait_until 10 samples_at_least 1
	touch go
	ended "$pid"
	[[ $(log_records warning .text) =~ "lines of this log that could not be written: "[1-9] ]]
}

@test "log: many programs that share one do not cut each other's lines" {
	for _ in 1 2 3 4; do
		start_pooled COPOOL_INTERVAL_MS=10 "$steps" use 1000 wait go
		pids+=("$pid")
	done
	wait_until 20 samples_at_least 100
	touch go
	for pid in "${pids[@]}"; do
		ended "$pid"
		check_balance "$pid"
	done
	[[ $(log_records open .pid | sort) == "$(printf '%s\n' "${pids[@]}" | sort)" ]]
}

# reads_fifo COMMAND...: which reads a FIFO from now on, and is watched over as $reader. Our own $held keeps it
# open for both sides until the reader is there.
reads_fifo() {
	mkfifo fifo
	exec {held}<>fifo
	"$@" <fifo 3>&- {held}>&- &
	reader=$!
	watch_over "$reader"
}

@test "log: a FIFO that somebody reads gets all lines" {
	reads_fifo cat >"$LOG"
	env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG=fifo COPOOL_INTERVAL_MS=10 "$steps" use 100 {held}>&-
	wait_until 10 test -s "$LOG"
	exec {held}>&-
	wait "$reader"
	check_balance
}

@test "log: a reader of a FIFO who goes away does no harm" {
	reads_fifo head -n 1 >first
	env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG=fifo COPOOL_INTERVAL_MS=10 "$steps" use 100 wait gone use 100 say fine {held}>&- &>said 3>&- &
	local program=$!
	watch_over "$program"
	wait_until 10 test -s first
	wait "$reader"
	exec {held}>&-
	touch gone
	wait "$program"
	[[ $(<said) == fine && $(jq -r .type first) == open ]]
}

@test "log: a pipe on standard error that nobody reads from does not hold the program up" {
	mkfifo pipe
	exec {both}<>pipe
	# As full as can be: not even the first line finds room.
	dd if=/dev/zero of=pipe bs=64K count=64 oflag=nonblock status=none 2>/dev/null || :
	SECONDS=0
	run_shown bash -c 'exec env LD_PRELOAD="$1" COPOOL_LOG=stderr "$0" use 100 say fine 2>/dev/null' "$steps" "$COPOOL_SO"
	local unhindered=$SECONDS
	SECONDS=0
	run_shown bash -c 'exec env LD_PRELOAD="$1" COPOOL_LOG=stderr "$0" use 100 say fine 2>pipe' "$steps" "$COPOOL_SO"
	exec {both}<&-
	[[ $status -eq 0 && $output == fine ]]
	((SECONDS < 8 + 2 * unhindered))
}

@test "log: a program's name with quotes, controls and bytes that are no UTF-8 is still JSON" {
	name=$'a "b"\\c\t\xff\xe2\x82\xac'
	run_shown bash -c 'export LD_PRELOAD=$2 COPOOL_LOG=$3; exec -a "$0" "$1" use 1' "$name" "$steps" "$COPOOL_SO" "$LOG"
	[[ $status -eq 0 ]]
	check_log
	iconv -f UTF-8 -t UTF-8 "$LOG" >/dev/null
	[[ $(log_records open .program) == $'a "b"\\c\t\xef\xbf\xbd\xe2\x82\xac' ]]
}

@test "log: a program with nothing to pool writes one line, and that at once" {
	unset COPOOL_CREATE COPOOL_DESTROY
	run_pooled true
	[[ $status -eq 0 && $(wc -l <"$LOG") -eq 1 ]]
	[[ $(log_open host) == none && $(log_open mode) == none && $(log_open detail) ]]
}

@test "log: a program with nothing to pool writes nothing where others write" {
	unset COPOOL_CREATE COPOOL_DESTROY
	for log in "$LOG" stderr stdout /dev/stderr /dev/stdout /dev/fd/2 /proc/self/fd/1; do
		run_shown env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$log" bash -c 'x=$(ls /nowhere 2>&1); echo "$x"; exit 3'
		[[ $status -eq 3 && $output == "ls: cannot access '/nowhere': No such file or directory" ]]
	done
	[[ ! -e $LOG ]]
}

@test "log: a program with nothing to pool writes its line into a log of its own" {
	unset COPOOL_CREATE COPOOL_DESTROY
	for log in "$PWD/%n.%p.jsonl" "$PWD/{name}.{pid}.jsonl"; do
		run_shown env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$log" bash -c 'echo $$; exec true'
		[[ $status -eq 0 && $(jq -r .host "true.$output.jsonl") == none && $(wc -l <"true.$output.jsonl") -eq 1 ]]
	done
}

@test "log: the program that copool run starts says why nothing is pooled, its children do not" {
	unset COPOOL_CREATE COPOOL_DESTROY
	run_shown "$COPOOL" run --log="$LOG" bash -c 'ls /; true'
	[[ $status -eq 0 && $(log_records open '.program + " " + .host') == "bash none" ]]
	run_shown "$COPOOL" run --log=stderr bash -c 'ls -d /'
	[[ $status -eq 0 && $output == / ]]
	run_shown "$COPOOL" compare -n 1 --quiet bash -c 'ls -d /'
	[[ $output == *"does not help: the program has no known coroutines, leave it off" ]]
}

@test "log: {pid} is the process, {name} the program, and other braces are what they are" {
	LOG='{A-1}%{pid}.{name}.{pid}.jsonl' run_pooled sh -c 'echo $$; exec "$0" use 1' "$steps"
	[[ $status -eq 0 ]]
	[[ $(jq -r 'select(.type == "final") | .pid' "{A-1}{pid}.steps.$output.jsonl") -eq $output ]]
	run env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG='{proc}.jsonl' "$steps" use 1
	[[ $output == "copool: COPOOL_LOG={proc}.jsonl: after % comes p, n, % or {, and in braces pid, name or label; there will be no log" ]]
	[[ ! -e "{proc}.jsonl" ]]
}

@test "log: /dev/stderr and /proc/self/fd/1 mean the words" {
	for log in /dev/stderr /dev/fd/2 /proc/self/fd/2; do
		run --separate-stderr env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$log" "$steps" use 1 say fine
		# shellcheck disable=SC2154 # run sets it
		[[ $status -eq 0 && $output == fine && $(jq -r .type <<<"$stderr" | uniq) == open$'\n'final ]]
	done
	for log in /dev/stdout /dev/fd/1 /proc/self/fd/1; do
		run --separate-stderr env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$log" "$steps" use 1
		[[ $status -eq 0 && $(jq -r .type <<<"$output" | uniq) == open$'\n'final && -z $stderr ]]
	done
	run_shown "$COPOOL" run --log=/dev/stderr "$steps" use 1
	[[ $status -eq 0 && $output == *'"type":"final"'* ]]
}

@test "log: none is written where none is asked for" {
	run env LD_PRELOAD="$COPOOL_SO" "$steps" use 100 say fine
	[[ $status -eq 0 && $output == fine && $(ls -A) == "" ]]
}

@test "log: an interval of an hour does not keep a program from ending, nor its memory from being given back" {
	start_pooled COPOOL_INTERVAL_MS=3600000 COPOOL_DECAY_MS=100 "$steps" use 10 wait begin use 2000 touch used wait go
	touch begin
	wait_until 10 test -e used
	idle_given_back() { "$COPOOL" show --json "$pid" | jq -e '.processes[0].pools[0].depot_batches == 0' >/dev/null; }
	wait_until 10 idle_given_back
	SECONDS=0
	touch go
	ended "$pid"
	((SECONDS < 8))
	check_balance
	[[ $(log_final depot_batches) -eq 0 ]]
	(($(log_final trimmed) >= 1900))
}

@test "log: a program's thread list has ours by name, with a table of descriptors that holds only what it reads and writes" {
	start_pooled COPOOL_INTERVAL_MS=10 "$steps" use 10 wait go
	wait_until 10 samples_at_least 1
	mapfile -t tasks < <(grep -lx copool "/proc/$pid/task"/*/comm)
	[[ ${#tasks[@]} -eq 1 ]]
	fds=("${tasks[0]%/comm}"/fd/*)
	[[ $(readlink "${fds[@]}" | grep -vE '^(/sys/fs/cgroup/.*/memory\.(events|failcnt|pressure)|/proc/pressure/memory)$' |
		sort) == "$(printf '%s\n' "/proc/$pid/pagemap" "$LOG" | sort)" ]]
	[[ ${#fds[@]} -le 4 ]]
	[[ $(readlink "/proc/$pid/fd"/*) != *"$LOG"* ]]
	touch go
	ended "$pid"
}

# An unmodified server in the foreground; its socket is `nbd`.
serve() { # stock|pooled [VARIABLE=VALUE...]
	rm -f nbd
	unset COPOOL_CREATE COPOOL_DESTROY
	truncate -s 1M image
	start_"$1" "${@:2}" qemu-nbd --persistent --socket="$PWD/nbd" --format=raw image
	wait_until 10 test -S nbd
}

# has_descriptors PID LIST: its table is so; what it leads to without the number that it has there.
has_descriptors() {
	[[ $(descriptors "$1") == "$2" ]]
}

descriptors() { # PID
	local each
	for each in "/proc/$1/fd"/*; do
		echo "${each##*/} $(readlink "$each" | sed 's/\[[0-9]*\]$//; s/started[.0-9]*$/started/')"
	done | sort -n
}

@test "log: an unmodified QEMU has the descriptors that it always had, and none is the log" {
	requires_qemu qemu-nbd qemu-img
	serve stock
	wait_until 10 eval '[[ $(descriptors "$pid") == *image* ]]'
	stock=$(descriptors "$pid")
	stop "$pid"
	serve pooled COPOOL_INTERVAL_MS=10
	run_stock qemu-img bench -c 100 -f raw "nbd+unix:///?socket=$PWD/nbd"
	[[ $status -eq 0 ]]
	wait_until 10 samples_at_least 3
	wait_until 10 has_descriptors "$pid" "$stock" || diff <(echo "$stock") <(descriptors "$pid")
	stop "$pid"
	check_balance
	is_pooled_qemu
}

@test "log: a reader of an unmodified QEMU's output sees its end once QEMU is a daemon" {
	requires_qemu qemu-nbd qemu-img
	# Its header is read in coroutines, so that our thread is there before the output is let go.
	run_stock qemu-img create -f qcow2 image 1M
	# Without a log there is a thread, too.
	for log in COPOOL_LOG="$LOG" -uCOPOOL_LOG; do
		rm -f nbd pid
		run timeout 120 env -u COPOOL_CREATE -u COPOOL_DESTROY "$log" bash -c '
			LD_PRELOAD=$0 qemu-nbd --fork --persistent --pid-file="$PWD/pid" --socket="$PWD/nbd" \
				--format=qcow2 image 2>&1 | cat
			exit "${PIPESTATUS[0]}"' "$COPOOL_SO" 3>&-
		watch_over "$(<pid)"
		[[ $status -eq 0 && $output == "" ]]
		kill -0 "$(<pid)"
		[[ $log == -u* ]] || log_records open "select(.pid == $(<pid)).ppid" | grep -qvx 0
		stop "$(<pid)"
	done
	[[ $(log_records open .host | sort -u) == qemu ]]
}

# sleeps: our thread of the process $pid has nothing to do for three seconds.
sleeps() {
	local thread before until=$((${EPOCHREALTIME/./} + 3000000))
	thread=$(grep -lx copool "/proc/$pid/task"/*/comm)
	before=$(switches "${thread%/comm}")
	wait_until 10 eval "((\${EPOCHREALTIME/./} >= $until))"
	(($(switches "${thread%/comm}") - before < 5))
}

switches() { # TASK
	awk '/^voluntary_ctxt_switches/ { print $2 }' "$1/status"
}

@test "log: without one the thread comes with the first use, and sleeps when all that was idle has been given back" {
	start env -u COPOOL_LOG LD_PRELOAD="$COPOOL_SO" COPOOL_DECAY_MS=100 "$steps" touch begun wait go use 2000 touch used wait end
	wait_until 10 test -e begun
	run ! grep -lx copool "/proc/$pid/task"/*/comm
	touch go
	wait_until 10 test -e used
	# Not at once: the last batch takes some windows.
	sleeps || sleeps
	touch end
	ended "$pid"
	[[ $status -eq 0 ]]
}

@test "log: all keys and types that occur are in the manual, and all counters that the manual names occur" {
	manual=$TESTS/../tools/man/copool-log.5
	run_pooled COPOOL_NONSENSE=1 "$steps" use 100
	for word in $(jq -r '.type, keys[]' "$LOG" | sort -u); do
		grep -qE "^\.It Li $word( |$)" "$manual" || {
			echo "$word is not in the manual"
			return 1
		}
	done
	sed -n '/^\.Sh COUNTERS/,/^\.Sh [^C]/s/^\.It Li \([a-z_]*\).*/\1/p' "$manual" | sort >documented
	log_records final 'del(.type, .time, .pid, .uptime_ms, .pool, .owner) | keys[]' | sort | diff - documented
}
