#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# copool run: what the program gets, and which programs are refused, with which words and status.
# shellcheck disable=SC2016 # what is in single quotes is for the program to expand
# shellcheck disable=SC2054 # the commas belong to QEMU's options

load lib/helper
load lib/qemu

bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	mine=$BATS_TEST_TMPDIR
}

# refuses STATUS WORDS ARGUMENT...: `copool run ARGUMENT...` says one line with WORDS, and exits so.
refuses() {
	local wanted=$1 words=$2
	shift 2
	run "-$wanted" "$COPOOL" run "$@"
	echo "copool run $*: $status: $output"
	[[ $status -eq $wanted && $output == *"$words"* && $output == "copool run: "* && ${#lines[@]} -eq 1 ]]
}

# A copy of a dynamically linked program that may be damaged, at $mine/NAME.
copy_of_true() {
	cp "$(readlink -f /bin/true)" "$mine/$1"
}

static_program() {
	requires gcc
	echo 'int main(void) { return 0; }' >"$mine/static.c"
	gcc "$@" -o "$mine/static" "$mine/static.c"
}

@test "run: the program gets its arguments untouched" {
	run "$COPOOL" run -- sh -c 'printf "<%s>" "$0" "$@"' zero 'a b' '' --log=x '*'
	[[ $status -eq 0 && $output == '<zero><a b><><--log=x><*>' ]]
	run "$COPOOL" run echo --log=x -i --help
	[[ $status -eq 0 && $output == '--log=x -i --help' ]]
}

@test "run: the program keeps the name that it was called by" {
	printf '#!/bin/sh\necho "$0"\n' >named
	chmod +x named
	PATH=$mine:$PATH run "$COPOOL" run named
	[[ $output == "$mine/named" ]]
	run "$COPOOL" run perl -e 'open F, "/proc/self/cmdline"; print((split /\0/, <F>)[0])'
	[[ $output == perl ]]
}

@test "run: the library is preloaded in front of what was preloaded already" {
	run "$COPOOL" run -- printenv LD_PRELOAD
	[[ $output == "$(realpath "$COPOOL_SO")" ]]
	run env LD_PRELOAD='libm.so.6 libdl.so.2' "$COPOOL" run -- printenv LD_PRELOAD
	[[ $output == "$(realpath "$COPOOL_SO"):libm.so.6 libdl.so.2" ]]
	run env LD_PRELOAD= "$COPOOL" run -- printenv LD_PRELOAD
	[[ $output == "$(realpath "$COPOOL_SO")" ]]
}

@test "run: the library is in the program's memory" {
	run "$COPOOL" run -- cat /proc/self/maps
	[[ $status -eq 0 && $output == *"$(realpath "$COPOOL_SO")"* ]]
	run cat /proc/self/maps
	[[ $output != *libcopool* ]]
}

@test "run: --summary is one line at the end, of the program alone that was started: what was pooled, or why nothing" {
	requires_qemu qemu-img
	local bench=(qemu-img bench -w -c 5000 -d 1024 --flush-interval=1024 --image-opts driver=null-aio,size=1G)
	run --separate-stderr "$COPOOL" run --summary --log="$mine/log" -- bash -c '"$@"; exit 3' bash "${bench[@]}"
	# shellcheck disable=SC2154 # run sets it
	[[ $status -eq 3 && $stderr =~ ^copool:\ bash\ \[[0-9]+\]:\ nothing\ was\ pooled:\ the\ program\ has\ no\ known\ coroutines$ ]]
	# Which closes its standard error before it ends.
	run --separate-stderr "$COPOOL" run --summary -- ls -d /
	[[ $status -eq 0 && $output == / && $stderr == "copool: ls ["*"]: nothing was pooled: the program has no known coroutines" ]]
	run --separate-stderr "$COPOOL" run --summary -- "${bench[@]}"
	[[ $status -eq 0 && $stderr =~ ^copool:\ qemu-img\ \[[0-9]+\]:\ 500[0-9]\ creates\ in\ 1\ pool,\ 102[0-9]\ of\ them\ misses ]]
	[[ $stderr == *" at most 102"*" existed at once; about "*" system calls saved" && $(wc -l <<<"$stderr") -eq 1 ]]
	run --separate-stderr "$COPOOL" run --summary --observe -- "${bench[@]}"
	[[ $status -eq 0 && $stderr == *" creates ("*" %) had to be made, at most "*"; only observed" ]]
	requires php
	run --separate-stderr "$COPOOL" run --summary -- php -n -r ';'
	[[ $stderr == *": nothing was pooled: copool saw no coroutines (stacks from malloc are out of its reach)" ]]
	# Where the standard error is something else by now, it gets nothing of ours.
	run --separate-stderr "$COPOOL" run --summary -- php -n -r 'fclose(STDERR); $f = fopen("file", "w"); (new Fiber(fn() => 1))->start();'
	[[ $status -eq 0 && -z $stderr && -e file && ! -s file ]]
}

@test "copool: a help text or version that cannot be written is an error, with one line" {
	for asked in help --help --version 'help run' 'show --help' 'top --usage' 'ps --version'; do
		run bash -c '"$0" $1 >/dev/full' "$COPOOL" "$asked"
		[[ $status -eq 1 && $output == "copool: cannot write: No space left on device" ]]
	done
	run "$COPOOL" help --help
	[[ $status -eq 0 && $output == "Usage: copool VERB"* ]]
}

@test "copool: a verb that is nearly one is told which, and others are not" {
	run "$COPOOL" shwo log
	[[ $status -eq 2 && $output == "copool: there is no verb \`shwo'; did you mean show? See copool --help" ]]
	run "$COPOOL" advice
	[[ $status -eq 2 && $output == *"did you mean advise?"* ]]
	run "$COPOOL" xyz
	[[ $status -eq 2 && $output == "copool: there is no verb \`xyz'; see copool --help" ]]
	run "$COPOOL" "$(printf 'show%.0s' {1..20})"
	[[ $status -eq 2 && $output != *"did you mean"* ]]
}

@test "run: options become variables" {
	run "$COPOOL" run --log="$mine/log" --interval=10 --log-max=64 --prometheus="$mine/a.prom" --max-batches=65535 --decay=0 --host=named \
		--guard=mprotect --stack-size=16384 --max-live=1000 --learn --zero --create=make/0 --destroy=unmake env
	[[ $status -eq 0 ]]
	for wanted in COPOOL_LOG="$mine/log" COPOOL_INTERVAL_MS=10 COPOOL_LOG_MAX_KB=64 \
		COPOOL_PROMETHEUS="$mine/a.prom" COPOOL_MAX_BATCHES=65535 COPOOL_DECAY_MS=0 \
		COPOOL_HOST=named COPOOL_CREATE=make/0 COPOOL_GUARD=mprotect COPOOL_STACK_SIZE=16384 \
		COPOOL_MAX_LIVE=1000 COPOOL_LEARN=1 COPOOL_ZERO=1 COPOOL_DESTROY=unmake; do
		grep -qxF "$wanted" <<<"$output"
	done
}

@test "run: what no option says stays as the environment has it" {
	run env COPOOL_INTERVAL_MS=77 COPOOL_DECAY_MS=500 "$COPOOL" run -i 88 env
	grep -qx COPOOL_INTERVAL_MS=88 <<<"$output"
	grep -qx COPOOL_DECAY_MS=500 <<<"$output"
	[[ $output != *COPOOL_LOG* ]]
}

@test "run: the exit status is the program's" {
	run "$COPOOL" run -- sh -c 'exit 7'
	[[ $status -eq 7 ]]
	run "$COPOOL" run -- sh -c 'kill -9 $$'
	[[ $status -eq 137 ]]
}

@test "run: the program takes the place of copool, with the same process id" {
	"$COPOOL" run -- sh -c 'echo $$' >"$mine/pid" &
	wait $!
	[[ $(cat "$mine/pid") -eq $! ]]
}

@test "run: a wrong option or value is status 2, names itself, and runs nothing" {
	local option
	for option in --interval=9 --interval=3600001 --interval= --interval=10x --interval=-10 --interval=0x10 \
		--interval=99999999999999999999 --max-batches=65536 --max-batches=-1 --decay=99 --decay=86400001 \
		--host=nothing '--host=auto qemu' --host= --log= --create= ; do
		run "$COPOOL" run "$option" -- touch "$mine/ran"
		echo "$option: $status $output"
		[[ $status -eq 2 && $output == *"${option%%=*}"* && ! -e $mine/ran ]]
	done
	mkfifo "$mine/fifo"
	for option in "--config=$mine/none" "--config=$mine/fifo"; do
		run "$COPOOL" run "$option" -- touch "$mine/ran"
		[[ $status -eq 2 && $output == *"$option: "* && ! -e $mine/ran ]]
	done
	run "$COPOOL" run --nonsense -- touch "$mine/ran"
	[[ $status -eq 2 && $output == *nonsense* && ! -e $mine/ran ]]
	run "$COPOOL" run
	[[ $status -eq 2 && $output == *"which program"* ]]
}

@test "run: the ends of every range are good" {
	local option
	for option in --interval=10 --interval=3600000 --max-batches=0 --max-batches=65535 --decay=0 --decay=100 \
		--decay=86400000; do
		run "$COPOOL" run "$option" -- true
		[[ $status -eq 0 ]]
	done
}

@test "run: copool and the library agree on every range" {
	local row variable option values value
	for row in COPOOL_INTERVAL_MS:interval:0,9,10,3600000,3600001 COPOOL_LOG_MAX_KB:log-max:0,1,63,64,1073741824,1073741825 \
		COPOOL_MAX_BATCHES:max-batches:0,65535,65536 \
		COPOOL_DECAY_MS:decay:0,1,99,100,86400000,86400001 COPOOL_HOST:host:auto,off,qemu,Qemu COPOOL_GUARD:guard:auto,madvise,poison,mprotect,none \
		COPOOL_STACK_SIZE:stack-size:0,1,16383,16384,8454144,8454145 \
		COPOOL_MAX_LIVE:max-live:0,1,1000000000,1000000001; do
		IFS=: read -r variable option values <<<"$row"
		for value in ${values//,/ }; do
			rm -f "$LOG"
			run_pooled "$variable=$value" true
			local warnings=0
			! grep -q '"type":"warning".*'"$variable=$value" "$LOG" || warnings=2
			run "$COPOOL" run "--$option=$value" true
			echo "$variable=$value: the library $warnings, copool $status"
			[[ $status -eq $warnings ]]
		done
	done
}

@test "run: --create and --destroy need each other, and --host=named needs both" {
	run "$COPOOL" run --create=make true
	[[ $status -eq 2 && $output == *"--create needs --destroy"* ]]
	run "$COPOOL" run --destroy=unmake true
	[[ $status -eq 2 && $output == *"--destroy needs --create"* ]]
	run "$COPOOL" run --host=named true
	[[ $status -eq 2 && $output == *"--host=named needs"* ]]
	run env COPOOL_CREATE=make COPOOL_DESTROY=unmake "$COPOOL" run --host=named true
	[[ $status -eq 0 ]]
}

@test "run: a program that is not there is status 127" {
	refuses 127 'no such program' copool-no-such-program
	refuses 127 'no such program' ./copool-no-such-program
	refuses 127 'no such program' ''
}

@test "run: a file that may not be executed is status 126" {
	echo echo >plain
	refuses 126 'Permission denied' ./plain
	PATH=$mine:$PATH refuses 126 'Permission denied' plain
	refuses 126 'Permission denied' /
}

@test "run: of two programs in PATH the one that may be executed is taken" {
	mkdir -p a c/both d
	echo >a/both
	printf '#!/bin/sh\necho second\n' >d/both
	chmod +x d/both
	PATH=$mine/a:$mine/b:$mine/c:$mine/d:$PATH run "$COPOOL" run both
	[[ $status -eq 0 && $output == second ]]
}

@test "run: a program with a glibc that is too old is refused, and --help says what is with children" {
	requires gcc
	local loader
	loader=$(readelf --program-headers --wide /bin/true | sed -n 's/.*interpreter: \(.*\)]/\1/p')
	mkdir "$mine/old"
	cp "$loader" "$mine/old/ld.so"
	echo 'int main(void) { return 0; }' >old.c
	gcc -Wl,--dynamic-linker="$mine/old/ld.so" -o old.program old.c
	run "$COPOOL" run ./old.program
	[[ $status -eq 0 ]]
	echo 'GLIBC_2.2.5 { global: a; }; GLIBC_2.28 { global: b; } GLIBC_2.2.5;' >old.map
	echo 'int a, b;' | gcc -shared -fPIC -nostdlib -Wl,--version-script=old.map -Wl,-soname,libc.so.6 -x c -o "$mine/old/libc.so.6" -
	refuses 126 'runs with glibc 2.28' ./old.program
	[[ $output == *'libcopool.so needs glibc 2.'* ]]
	# One that is new enough, and one that nobody can read.
	echo 'GLIBC_2.2.5 { global: a; }; GLIBC_2.99 { global: b; } GLIBC_2.2.5;' >old.map
	echo 'int a, b;' | gcc -shared -fPIC -nostdlib -Wl,--version-script=old.map -Wl,-soname,libc.so.6 -x c -o "$mine/old/libc.so.6" -
	run "$COPOOL" run ./old.program
	[[ $output != *'runs with glibc'* ]]
	head -c 3000 /bin/true >"$mine/old/libc.so.6"
	run "$COPOOL" run ./old.program
	[[ $output != *'runs with glibc'* ]]
	run "$COPOOL" run --help
	[[ $(tr -s ' \n' ' ' <<<"$output") == *"children inherit the preload"*musl*"env -u LD_PRELOAD"* ]]
}

@test "run: a statically linked program is refused" {
	static_program -static
	refuses 126 'statically linked' ./static
	static_program -fPIE -static-pie
	refuses 126 'statically linked' ./static
}

@test "run: a program for another machine is refused" {
	copy_of_true other
	printf '\267\0' | dd of=other bs=1 seek=18 conv=notrunc status=none # EM_AARCH64
	refuses 126 'aarch64' ./other
	printf '\3\0' | dd of=other bs=1 seek=18 conv=notrunc status=none # EM_386
	printf '\1' | dd of=other bs=1 seek=4 conv=notrunc status=none    # ELFCLASS32
	refuses 126 'i386' ./other
	copy_of_true other
	printf '\1' | dd of=other bs=1 seek=4 conv=notrunc status=none
	refuses 126 '32-bit' ./other
}

@test "run: a program for another C library is refused" {
	requires gcc
	echo 'int main(void) { return 0; }' >musl.c
	gcc -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1 -o musl musl.c
	refuses 126 musl ./musl
}

@test "run: a damaged program is refused" {
	copy_of_true whole
	head -c 70 whole >damaged
	chmod +x damaged
	refuses 126 damaged ./damaged
	printf '\0\0' | dd of=whole bs=1 seek=54 conv=notrunc status=none # e_phentsize
	refuses 126 damaged ./whole
}

@test "run: a program that is set-user-id or set-group-id to somebody else is refused" {
	[[ $(id -u) -eq 0 ]] || skip "only root can give a file away"
	! findmnt -no OPTIONS -T "$mine" | grep -qw nosuid || skip "the temporary folder is mounted nosuid"
	copy_of_true suid
	chown 65534 suid
	chmod 4755 suid
	refuses 126 set-user-id ./suid
	chown 0:65534 suid
	chmod 2755 suid
	refuses 126 set-group-id ./suid
}

@test "run: a set-user-id program of one's own is run" {
	copy_of_true own
	chmod 4755 own
	run "$COPOOL" run ./own
	[[ $status -eq 0 ]]
}

@test "run: where no program can gain privileges, set-user-id does not matter" {
	requires setpriv
	[[ $(id -u) -eq 0 ]] || skip "only root can give a file away"
	copy_of_true suid
	chown 65534 suid
	chmod 4755 suid
	run setpriv --no-new-privs "$COPOOL" run ./suid
	[[ $status -eq 0 ]]
}

@test "run: a program with file capabilities is refused" {
	requires setcap setpriv
	[[ $(id -u) -eq 0 ]] || skip "only root can give capabilities"
	! findmnt -no OPTIONS -T "$mine" | grep -qw nosuid || skip "the temporary folder is mounted nosuid"
	copy_of_true capable
	setcap cap_net_raw=ep capable || skip "no capabilities on files here"
	mkdir program
	cp "$COPOOL" "$COPOOL_SO" program
	local folder
	for folder in "$mine" "$(dirname "$mine")" "$(dirname "$(dirname "$mine")")"; do chmod go+rx "$folder"; done
	setpriv --reuid=65534 --regid=65534 --clear-groups ls "$mine" || skip "others cannot read here"
	run setpriv --reuid=65534 --regid=65534 --clear-groups "$mine/program/copool" run ./capable
	[[ $status -eq 126 && $output == *"file capabilities"* ]]
}

@test "run: a script is judged by its interpreter" {
	static_program -static
	printf '#!%s/static\n' "$mine" >script
	chmod +x script
	refuses 126 'interpreter' ./script
	refuses 126 'statically linked' ./script
	printf '#! /usr/bin/env static\n' >script
	PATH=$mine:$PATH refuses 126 'statically linked' ./script
	printf '#!%s/script\n' "$mine" >outer
	chmod +x outer
	PATH=$mine:$PATH refuses 126 'statically linked' ./outer
	printf '#!%s/none\n' "$mine" >script
	refuses 126 'interpreter cannot be run' ./script
	printf '#!%s/loop\n' "$mine" >loop
	chmod +x loop
	refuses 126 'too many scripts' ./loop
}

@test "run: scripts with a good interpreter run, also without one, as the shell does it" {
	printf '#!/bin/sh\nprintenv LD_PRELOAD\n' >script
	chmod +x script
	run "$COPOOL" run ./script
	[[ $status -eq 0 && $output == *libcopool.so ]]
	printf '#!/usr/bin/env -S sh -e\necho fine\n' >script
	run "$COPOOL" run ./script
	[[ $status -eq 0 && $output == fine ]]
	echo 'echo plain' >script
	run "$COPOOL" run ./script
	[[ $status -eq 0 && $output == plain ]]
}

@test "run: a log that cannot be written is said before the program runs" {
	refuses 125 'cannot write the log' --log="$mine/none/log" touch ran
	refuses 125 'Is a directory' --log="$mine" touch ran
	echo >file
	refuses 125 'Not a directory' --log=file/log touch ran
	refuses 125 'cannot write the log' --log=none/log touch ran
	COPOOL_LOG=none/log refuses 125 'cannot write the log' touch ran
	refuses 125 'No such file' --log='none/%n.%p' touch ran
	[[ ! -e ran ]]
}

@test "run: a folder without the right to write is said before the program runs" {
	requires setpriv
	mkdir closed
	if [[ $(id -u) -eq 0 ]]; then
		run setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-all \
			--reuid=65534 --clear-groups "$COPOOL" run --log=/proc/1/log true
	else
		chmod a-w closed
		run "$COPOOL" run --log=closed/log true
	fi
	[[ $status -eq 125 && $output == *"cannot write the log"* ]]
}

@test "run: words, formats and relative paths are good logs" {
	local log
	for log in stderr stdout "$mine/%n.%p" %n.log "$mine/%p/log" plain; do
		run "$COPOOL" run --log="$log" true
		echo "$log: $status $output"
		[[ $status -eq 0 ]]
	done
}

@test "run: the library is found beside copool, or in ../lib/copool" {
	mkdir -p one two/bin two/lib/copool
	cp "$COPOOL" "$COPOOL_SO" one
	cp "$COPOOL" two/bin
	run two/bin/copool run true
	[[ $status -eq 125 && $output == *libcopool.so* ]]
	cp "$COPOOL_SO" two/lib/copool
	run one/copool run printenv LD_PRELOAD
	[[ $output == "$mine/one/libcopool.so" ]]
	run two/bin/copool run printenv LD_PRELOAD
	[[ $output == "$mine/two/lib/copool/libcopool.so" ]]
	ln -s one/copool link
	run ./link run printenv LD_PRELOAD
	[[ $output == "$mine/one/libcopool.so" ]]
}

@test "run: a library path with a space or a colon is refused, for LD_PRELOAD cannot name it" {
	local folder
	for folder in 'a b' 'a:b'; do
		mkdir "$folder"
		cp "$COPOOL" "$COPOOL_SO" "$folder"
		run "$folder/copool" run true
		[[ $status -eq 125 && $output == *"a space or a colon"* ]]
	done
}

@test "copool: --version, --help and help say what they should" {
	run "$COPOOL" --version
	[[ $status -eq 0 && $output =~ ^copool\ [0-9]+\.[0-9]+\.[0-9]+(\ \([^ ]+\))?$ ]]
	run "$COPOOL" --help
	[[ $status -eq 0 && $output == *run* && $output == *show* ]]
	run "$COPOOL" help
	[[ $status -eq 0 && $output == *"Usage: copool"* ]]
	local verb
	for verb in run compare show report plot origins prune; do
		run "$COPOOL" help $verb
		[[ $status -eq 0 && $output == *"Usage: copool $verb"* ]]
		[[ $output == "$("$COPOOL" $verb --help)" ]]
	done
}

@test "copool: an unknown verb and no verb are status 2" {
	run "$COPOOL" jump
	[[ $status -eq 2 && $output == *jump* ]]
	run "$COPOOL"
	[[ $status -eq 2 && $output == *Usage* ]]
	run "$COPOOL" help jump
	[[ $status -eq 2 ]]
}
