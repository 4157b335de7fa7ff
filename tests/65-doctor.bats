#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# copool doctor: what it says of real programs and processes is what copool then does, and it changes nothing. Programs
# of other releases only with COPOOL_TEST_FULL=1.
# shellcheck disable=SC2016 # what is in single quotes is for jq and other programs
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2154 # start sets pid
# shellcheck disable=SC2054 # the commas belong to QEMU's options

load lib/helper
load lib/qemu
load lib/packages
load lib/fpm
load lib/apache

setup() {
	requires jq
	cd "$BATS_TEST_TMPDIR" || return
	unset LD_PRELOAD
	before=()
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
}

# doctor STATUS ARGUMENT...: its answer is in `answer`, and it ends so.
doctor() {
	run --separate-stderr "${before[@]}" "$COPOOL" doctor --json "${@:2}"
	echo "copool doctor ${*:2}: $status"
	echo "$stderr"
	tee answer <<<"$output"
	[[ $status -eq $1 && $output == *$'\n  "status": '"$1,"* ]]
}

# From now on the command is another user's, where that user can read it.
as_nobody() {
	[[ $(id -u) -eq 0 ]] || skip "only root can become another user"
	requires setpriv
	before=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	mkdir program
	cp "$COPOOL" "$COPOOL_SO" program
	COPOOL=$PWD/program/copool
	"${before[@]}" "$COPOOL" --version || skip "others cannot read here"
}

# says CONDITION...: all are true of the answer, for jq.
says() {
	local condition all=true
	for condition; do all+=", ($condition)"; done
	jq -e "[$all] | all" answer >/dev/null || {
		echo "not so: $*"
		return 1
	}
}

finds() { # CODE [LEVEL]
	[[ $output == *"\"level\": \"${2-in_the_way}\","*([[:space:]])"\"code\": \"$1\","* ]]
}

# predicts PROGRAM [ARGUMENT...]: the adapter, its way and mode, and the sentence are those of a run under copool. What the
# program wrote then is in `version`.
predicts() {
	local real status_wanted=0
	rm -f "$LOG"
	run_pooled "$@"
	version=$output
	real=$(jq -nc '[inputs | select(.type == "open" and .ppid == 0) | .host, .mode, .way, .detail]' "$LOG")
	[[ $real != *',"none",'* ]] || status_wanted=1
	doctor "$status_wanted" "$1"
	says "(.adapter | [.host, .mode, .way, .detail]) == $real" '.adapter.source == "rehearsal"' '.program.kind == "ELF" and .program.linked == "dynamic"'
}

is_called() { # NAME: of what, and with which version
	says ".program.is == \"$1\"" '.program.version | test("^[0-9]+[.][0-9]+[.][0-9]+")'
}

@test "doctor: each of QEMU's programs is served as it says, and it knows the version" {
	local program tried=(qemu-img qemu-system-x86_64)
	[[ ${COPOOL_TEST_FULL-} != 1 ]] || tried+=(qemu-io qemu-nbd qemu-storage-daemon qemu-aarch64)
	requires "${tried[@]}"
	for program in "${tried[@]}"; do
		predicts "$program" --version
		[[ $version =~ [0-9]+\.[0-9]+\.[0-9]+\ \([^\)]*\) ]]
		says ".program.version == \"${BASH_REMATCH[0]}\"" '.program.is == "QEMU" and .adapter.host == "qemu" and .adapter.way == "ending" and .verdict == "can_help"'
	done
}

@test "doctor: what of QEMU's code cannot be patched is told, with the reason" {
	requires_program qemu_like qemu_odd_loop qemu_unmovable
	predicts "$PROGRAMS/qemu_like" errno
	says '.adapter.way == "ending"'
	predicts "$PROGRAMS/qemu_odd_loop" errno
	finds refused
	says '.adapter.way == "none"'
	predicts "$PROGRAMS/qemu_unmovable" errno
	finds refused
}

@test "doctor: where there is no decoder, or no code may be patched, it says that only QEMU's stacks are pooled" {
	requires qemu-img unshare ldconfig python3
	unshare --mount true 2>/dev/null || skip "no mount namespace can be made here"
	local zydis
	zydis=$(ldconfig -p | sed -n 's/.*libZydis\.so.* => //p' | head -n 1)
	[[ $zydis ]] || lacks "the library Zydis is not installed"
	: >empty
	before=(unshare --mount bash -c 'mount --bind empty "$1" && exec "${@:2}"' bash "$(realpath "$zydis")")
	doctor 1 qemu-img
	finds decoder
	finds stacks_only note
	says '.library.decoder == null and .adapter.way == "stacks" and (.next | test("libzydis"))'
	before=(python3 -c 'import ctypes, os, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0: sys.exit(99)
os.execvp(sys.argv[1], sys.argv[1:])')
	"${before[@]}" true || skip "this kernel has no PR_SET_MDWE"
	doctor 0 qemu-img
	finds mdwe note
	finds stacks_only note
	says '.confinement.mdwe and .adapter.way == "stacks"'
	before=(setpriv --no-new-privs)
	doctor 0 qemu-img
	says '.confinement.no_new_privs and .adapter.way == "ending"'
	before=(unshare --mount bash -c 'mount -t tmpfs none /proc && exec "$@"' bash)
	doctor 2 qemu-img
	says '.findings[0].text | test("no /proc")'
}

@test "doctor: PHP, D, Boost and programs that have nothing to pool are served as it says" {
	predicts php -n -r 0
	says '.adapter.host == "stacks"'
	is_called PHP
	says '.next | startswith("copool compare -- php ")'
	cp "$(command -v php)" php-fpm9
	doctor 0 ./php-fpm9
	says '.next == "copool recipe php-fpm"'
	predicts nix-store --version
	says '.adapter.host == "stacks" and (.text | test("Boost"))'
	predicts apache2 -v
	finds later note
	says '.next | startswith("copool doctor --library=FILE")'
	predicts bash -c :
	says '.verdict == "will_not_help" and .next == null'
	[[ ${COPOOL_TEST_FULL-} == 1 ]] || return 0
	predicts ldc2 --version
	says '.adapter.host == "stacks"'
	predicts ruby -e 0
	finds own_pool note
	predicts "$(readlink -f /usr/bin/perl)" -e 0
	finds later note
	predicts "$(readlink -f /usr/bin/python3)" -c 0
	for program in jq gdb node java rustc cargo cmake clang postgres sqlite3 curl git openssl systemctl virsh supervisord; do
		! command -v "$program" >/dev/null || predicts "$program" --version
	done
}

@test "doctor: what a library brings later is known from its file" {
	local php coro
	php=$(echo /usr/lib/apache2/modules/libphp*.so)
	[[ -e $php ]] || lacks "there is no mod_php"
	requires apache2
	doctor 0 --library="$php" apache2
	says '.program.brings == "PHP'"'"'s fibers" and .verdict == "can_help"'
	is_called PHP
	coro=$(perl -MCoro::State -e 'print $INC{"Coro/State.pm"} =~ s,Coro/State.pm$,auto/Coro/State/State.so,r' 2>/dev/null) ||
		lacks "there is no Coro for perl"
	doctor 0 --library="$coro" "$(readlink -f /usr/bin/perl)"
	doctor 1 --library=/nowhere/library.so perl
	finds library
	doctor 1 --library=/lib/x86_64-linux-gnu/libm.so.6 bash
	finds library note
}

@test "doctor: what keeps the library out is named: static, musl, another machine, an old libc, a damaged file" {
	requires gcc
	local loader
	predicts_refusal() { # CODE PROGRAM: copool run refuses it as well
		doctor 1 "$2"
		finds "$1"
		says '.verdict == "in_the_way" and .adapter == null'
		run "$COPOOL" run "$2"
		[[ $status -eq 126 ]]
	}
	echo 'int main(void) { return 0; }' >x.c
	if [[ -x /bin/busybox ]]; then cp /bin/busybox static; else gcc -static -o static x.c; fi
	predicts_refusal static ./static
	says '.program.linked == "static"'
	gcc -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1 -o musl x.c
	predicts_refusal musl ./musl
	says '.program.libc == "musl"'
	cp /bin/true other
	printf '\267\0' | dd of=other bs=1 seek=18 conv=notrunc status=none # EM_AARCH64
	predicts_refusal machine ./other
	says '.program.machine == "aarch64"'
	head -c 70 /bin/true >damaged
	chmod +x damaged
	predicts_refusal damaged ./damaged
	loader=$(readelf --program-headers --wide /bin/true | sed -n 's/.*interpreter: \(.*\)]/\1/p')
	mkdir old
	cp "$loader" old/ld.so
	gcc -Wl,--dynamic-linker="$PWD/old/ld.so" -o old.program x.c
	echo 'GLIBC_2.2.5 { global: a; }; GLIBC_2.28 { global: b; } GLIBC_2.2.5;' >old.map
	echo 'int a, b;' | gcc -shared -fPIC -nostdlib -Wl,--version-script=old.map -Wl,-soname,libc.so.6 -x c -o old/libc.so.6 -
	predicts_refusal old_libc ./old.program
	says '.program.libc == "glibc 2.28" and (.library.needs | startswith("glibc 2."))'
}

@test "doctor: scripts are judged by their interpreter" {
	printf '#!/bin/sh\necho no >mark\n' >script
	printf '#!/usr/bin/env php\n<?php touch("mark");\n' >fibers
	printf '#!/usr/bin/python3\nopen("mark", "w")\n' >snake
	printf '#!/nowhere/to/be/found\n' >orphan
	printf '#!/usr/bin/env -S A=1 php -n\n' >parted
	chmod +x script fibers snake orphan parted
	doctor 1 ./script
	says '.program.kind == "script" and (.program.interpreter | endswith("sh"))'
	doctor 0 ./fibers
	says '.program.kind == "script" and .adapter.host == "stacks"'
	doctor 0 ./parted
	says '.adapter.host == "stacks"'
	doctor 1 ./snake
	doctor 1 ./orphan
	finds interpreter
	[[ ! -e mark ]]
}

@test "doctor: a program that is missing cannot be told of, one that may not be executed is told so" {
	doctor 2 copool-no-such-program
	says '.verdict == "cannot_tell" and (.findings[0].text | test("PATH"))'
	says '.next == null'
	doctor 2 ./nothing
	finds missing note
	# What may be meant: a file in a folder that only root has in PATH, or one with a version in its name.
	before=(env PATH="$PWD:/usr/bin:/bin")
	doctor 2 ldconfig
	says '.findings[0].text | endswith("in any folder of PATH, but there is /usr/sbin/ldconfig")' \
		'.next == "copool doctor /usr/sbin/ldconfig"'
	before=()
	doctor 2 python3.
	says '.next | test("^copool doctor /usr/bin/python3[.][0-9]+$")'
	for name in '' '*' 'python3{.' "$(printf '%05000d' 0)"; do
		doctor 2 "$name"
		says '.next == null'
	done
	echo echo >plain
	doctor 1 ./plain
	finds not_executable
	doctor 1 /
	finds not_executable
	doctor 2 4194305
	finds missing note
	run "$COPOOL" doctor
	[[ $status -eq 2 && $output == *"which program"* ]]
	run "$COPOOL" doctor bash sh
	[[ $status -eq 2 && $output == *"one program"* ]]
	for user in copool-nobody -1 4294967295 4294967296 ' 0' $'\e[31m'; do
		run "$COPOOL" doctor --user="$user" bash
		[[ $status -eq 2 && $output == *"no user"* && $output != *$'\e'* ]]
	done
	start perl -e '$child = fork; exit unless $child; open my $file, ">", "zombie"; print $file "$child\n"; close $file; sleep 300'
	wait_until 10 test -s zombie
	wait_until 10 grep -q '^State:.Z' "/proc/$(<zombie)/status"
	doctor 2 "$(<zombie)"
	says '.findings[0].text | test("has ended")'
}

@test "doctor: a set-user-id program, or one with capabilities, is refused for users who gain rights by it" {
	[[ $(id -u) -eq 0 ]] || skip "only root can give capabilities"
	requires su passwd
	! findmnt -no OPTIONS -T "$PWD" | grep -qw nosuid || skip "the temporary folder is mounted nosuid"
	for program in su passwd; do
		doctor 1 --user=65534 "$program"
		finds privileged
		says '.program.privilege == "set-user-id"'
		doctor 1 "$program"
		finds privileged note
	done
	requires setcap
	cp /bin/true capable
	setcap cap_net_raw=ep capable || skip "no capabilities on files here"
	doctor 1 --user=65534 ./capable
	finds privileged
	says '.program.privilege == "capabilities"'
}

@test "doctor: no code of the program or its libraries runs, no file is made, and nothing is left behind" {
	requires gcc
	cat >library.c <<-'END'
		#include <fcntl.h>
		void mark(const char *name) { creat(name, 0600); }
		__attribute__((constructor)) static void begin(void) { mark("constructor"); }
		void _init(void) { mark("init"); }
	END
	cat >program.c <<-'END'
		void mark(const char *name);
		__attribute__((constructor)) static void begin(void) { mark("program"); }
		static void before(void) { mark("preinit"); }
		__attribute__((section(".preinit_array"), used)) static void (*array)(void) = before;
		int main(void) { mark("main"); return 0; }
	END
	gcc -shared -fPIC -nostartfiles -o libmark.so library.c
	gcc -o program program.c -L. -lmark -Wl,-rpath,"$PWD"
	mkdir empty
	cd empty
	COPOOL_LOG=$PWD/log COPOOL_PROMETHEUS=$PWD/x.prom COPOOL_HOST=stacks run "$COPOOL" doctor --json ../program
	[[ $status -eq 0 && $(jq -r .adapter.host <<<"$output") == stacks ]]
	[[ -z $(ls -A) && -z $(pgrep -f "$PWD/../program") ]]
	../program
	[[ $(echo *) == 'constructor init main preinit program' ]]
}

@test "doctor: killed while it starts the program, it leaves none behind" {
	requires gcc pgrep
	cat >kills.c <<-'END'
		#include <signal.h>
		#include <unistd.h>
		pid_t setsid(void) { /* the child asks for it first */
			pid_t parent = getppid();
			for (kill(parent, SIGKILL); getppid() == parent;) usleep(1000);
			return 0;
		}
	END
	gcc -shared -fPIC -o kills.so kills.c
	cp /bin/sleep stays
	run env LD_PRELOAD="$PWD/kills.so" "$COPOOL" doctor "$PWD/stays"
	[[ $status -eq 137 ]]
	wait_until 10 eval '! pgrep -f "^$PWD/stays"'
	wait_until 10 eval '! pgrep -f "doctor $PWD/stays"'
}

@test "doctor: a file that another user could have changed is not started" {
	[[ $(id -u) -eq 0 ]] || skip "only root can give a file away"
	cp "$(readlink -f /usr/bin/php)" theirs
	chown 65534 theirs
	doctor 0 ./theirs
	says '.adapter.source == null and .adapter.likely == "PHP'"'"'s fibers"' '.unread | any(test("user 65534"))'
	chown 0 theirs
	chmod o+w theirs
	doctor 0 ./theirs
	says '.adapter.source == null'
	chmod o-w theirs
	doctor 0 ./theirs
	says '.adapter.source == "rehearsal"'
	mkdir folder
	mv theirs folder
	chown 65534 folder # and could put another file there while doctor looks at this one
	doctor 0 folder/theirs
	says '.adapter.source == null' '.unread | any(test("/folder belongs to user 65534"))'
}

@test "doctor: whether a user can write the log is found out, and the log is not written" {
	[[ $(id -u) -eq 0 ]] || skip "only root can ask for another user"
	mkdir -m 755 open
	mkdir -m 700 closed
	mkdir -m 1777 all
	doctor 1 --user=65534 --log="$PWD/open/%n.jsonl" php
	finds log
	says '.log.is_writable == false and .next == "install -d -o nobody \(.log.folder)/copool"'
	doctor 1 --user=65534 --log="$PWD/closed/log" php
	doctor 1 --user=65534 --log=nowhere/log php
	says '.next == "install -d -o nobody \(.log.folder)"'
	doctor 0 --user=65534 --log="$PWD/all/{label}-%p.jsonl" php
	says '.log.is_writable and (.log.folder | endswith("/all"))'
	doctor 0 --log=open/log php
	doctor 0 --user=65534 --log=stderr php
	touch open/log
	doctor 1 --user=65534 --log=open/log php
	chmod 666 open/log
	doctor 0 --user=65534 --log=open/log php
	[[ ! -s open/log && -z $(ls -A all)$(ls -A closed) ]]
	# Without root the modes count.
	as_nobody
	doctor 0 --user=0 --log="$PWD/open/x" php
	doctor 1 --user=1 --log="$PWD/open/x" php
	says '.log.is_writable == false'
}

# A php that has made fibers, and waits.
waiting_php() {
	"$@" php -n -r '
		for ($i = 0; $i < 50; $i++) { $f = new Fiber(fn() => Fiber::suspend()); $f->start(); $f->resume(); }
		echo "ready\n"; fgets(fopen($argv[1], "r"));' fifo
	wait_until 10 grep -q ready "$BATS_TEST_TMPDIR/output.$pid"
}

@test "doctor: a process that is pooled, observed, switched off or without the library is told as it is" {
	mkfifo fifo
	waiting_php start_pooled
	doctor 0 "$pid"
	says '.verdict == "pools" and .library.is_loaded and .adapter.source == "process" and .process.creates == 50' \
		'.settings.log == {value: .log.path, source: "environment"} and .log.is_writable' '.next == "copool show \(.process.pid)"'
	"$COPOOL" off "$pid"
	doctor 1 "$pid"
	finds switched_off
	says '.next == "copool on \(.process.pid)" and .process.is_off'
	waiting_php start_pooled COPOOL_MODE=observe
	doctor 0 "$pid"
	says '.verdict == "observes" and .settings.mode.value == "observe"'
	waiting_php start_pooled COPOOL_HOST=off
	doctor 1 "$pid"
	finds refused
	says '.text | test("COPOOL_HOST=off")'
	waiting_php start_stock
	run "$COPOOL" doctor "$pid"
	[[ $output == *"  process      $pid, php, user $(id -u), "* ]]
	doctor 0 "$pid"
	finds not_loaded note
	says '.verdict == "can_help" and .adapter.source == "rehearsal"' '.next | startswith("copool observe ")'
	waiting_php start_stock LD_PRELOAD=/nowhere/libcopool.so
	doctor 1 "$pid"
	finds preload_missing
}

@test "doctor: a process whose library was replaced is told to start again, also when the new one is of another version" {
	local version
	version=$(sed -n 's/^VERSION := //p' "$TESTS/../Makefile")
	mkfifo fifo
	sed "s/${version//./[.]}/9.9.9/g" "$COPOOL_SO" >libcopool.so
	waiting_php start_stock LD_PRELOAD="$PWD/libcopool.so"
	doctor 0 "$pid"
	finds other_version note
	says '.library.version == "9.9.9"' '.library.is_replaced == false' '.findings | length == 1'
	cp "$COPOOL_SO" new.so
	mv new.so libcopool.so
	doctor 0 "$pid"
	finds other_version note
	finds library_replaced note
	says '.library.is_replaced'
}

@test "doctor: which setting made it so is told, of the environment or a file" {
	mkfifo fifo
	printf 'host = off\n[program php*]\nlog = %s/nowhere/log\n' "$PWD" >settings
	printf 'nonsense\n' >wrong
	chmod 600 settings wrong
	export COPOOL_CONFIG=$PWD/settings
	doctor 1 php
	finds refused
	says '.settings.host == {value: "off", source: "\(env.COPOOL_CONFIG):1"}' '.settings.log.source | endswith(":3")'
	COPOOL_HOST=auto doctor 1 php
	finds log
	says '.settings.host.source == "environment" and .adapter.host == "stacks" and .log.is_missing'
	[[ ! -e nowhere ]]
	run env -u COPOOL_LOG "$COPOOL" doctor php
	[[ $output == *"setting"*"host=off ($PWD/settings:1)"* ]]
	unset COPOOL_CONFIG
	waiting_php start_stock COPOOL_CONFIG="$PWD/settings" LD_PRELOAD="$COPOOL_SO"
	doctor 1 "$pid"
	finds refused
	says '.library.is_loaded and .settings.host.source == "'"$PWD"'/settings:1"'
	stop "$pid" || :
	# What a relative path of another process leads to is not looked for here.
	waiting_php start_stock COPOOL_CONFIG=settings LD_PRELOAD="$COPOOL_SO"
	doctor 1 "$pid"
	finds settings note
	says '.settings.host == null'
	COPOOL_CONFIG=$PWD/wrong doctor 0 php
	finds settings note
}

@test "doctor: an Apache with mod_php that runs without the library brings fibers, and one that has it is pooled" {
	requires_apache
	write_site "$PWD/site"
	PORT=$(free_port)
	export PORT
	start setsid apache2 -f "$PWD/site/conf" -DFOREGROUND
	wait_until 10 answers "http://127.0.0.1:$PORT/fibers.php"
	doctor 0 "$pid"
	says '.program.brings == "PHP'"'"'s fibers" and .verdict == "can_help" and (.library.is_loaded | not)'
	stop "$pid"
	start setsid env LD_PRELOAD="$COPOOL_SO" apache2 -f "$PWD/site/conf" -DFOREGROUND
	wait_until 10 answers "http://127.0.0.1:$PORT/fibers.php"
	doctor 0 "$pid"
	says '.library.is_loaded and .verdict == "can_help" and .program.brings == "PHP'"'"'s fibers"'
}

@test "doctor: a process in another root folder, which nobody may start from here, is still told of" {
	[[ $(id -u) -eq 0 ]] || skip "only root can enter a root folder"
	requires unshare chroot busybox
	mkdir -p other/bin other/proc
	cp /bin/busybox other/bin/
	mkfifo other/fifo
	start chroot "$PWD/other" /bin/busybox cat /fifo
	wait_until 10 eval '[[ $(readlink "/proc/$pid/exe") == */busybox ]]'
	doctor 1 "$pid"
	finds static
	says '.process.is_elsewhere'
	# What lies there leads to none of our files, and holds nothing up.
	before=(timeout 20)
	echo secret >secret
	mkdir other/etc
	ln -s "$PWD/secret" other/etc/ld.so.preload
	doctor 1 "$pid"
	says '.preload.file == []'
	rm other/etc/ld.so.preload other/bin/busybox
	mkfifo other/etc/ld.so.preload other/bin/busybox
	doctor 1 "$pid"
	finds static
	finds program_replaced note
	says '.unread | any(test("ld.so.preload"))'
}

@test "doctor: what may not be read is named, with the reason" {
	as_nobody
	start_stock sleep 300
	wait_until 10 eval '[[ $(readlink "/proc/$pid/exe") == */sleep ]]'
	doctor 2 "$pid"
	says '.verdict == "cannot_tell"' '.unread | map(test("Permission denied|may not be looked into")) | length > 2'
	cp "$(readlink -f /usr/bin/php)" secret
	chmod 711 secret
	doctor 2 ./secret
	finds unreadable note
	says '.unread | any(test("how the program would be served"))'
}

@test "doctor: a program that the loader cannot load is told of in the loader's words" {
	requires gcc
	echo 'int f(void) { return 0; }' | gcc -shared -fPIC -o libgone.so -x c -
	echo 'int f(void); int pause(void); int main(void) { return f() + pause(); }' | gcc -o program -x c - -x none -L. -lgone
	doctor 1 ./program
	finds loader
	says '.text | test("libgone.so: cannot open shared object file")'
	# A process that has found it may be served: that was not tried.
	mkdir there
	mv libgone.so there
	start_stock LD_LIBRARY_PATH="$PWD/there" ./program
	wait_until 10 eval '[[ $(readlink "/proc/$pid/exe") == */program ]]'
	wait_until 10 grep -q libgone "/proc/$pid/maps"
	doctor 2 "$pid"
	says '.unread | any(test("libgone.so: cannot open"))'
}

@test "doctor: on a kernel whose guard pages take memory maps it says how many fibers there can be" {
	requires strace
	before=(strace -o calls -e inject=madvise:error=EINVAL)
	doctor 0 php
	says '.kernel.guard == "mprotect" and .kernel.most_stacks == (((.kernel.max_map_count - 500) / 200 | floor) * 100)'
	finds guards_take_maps note
	before=()
	doctor 0 php
	says '(.kernel.guard == "madvise") == (.kernel.most_stacks == null)'
	says '(.kernel.guard == "madvise") == (.adapter.detail | test("by madvise"))'
}

@test "doctor: people are told the same, and no name steers their terminal" {
	run "$COPOOL" doctor qemu-img
	echo "$output"
	[[ $status -eq 0 && ${lines[0]} == 'qemu-img: copool can help: QEMU'* && $output == *'next: copool compare -- qemu-img ARGUMENT...' ]]
	hostile=$'./\e[31mred\n'
	cp /bin/true "$hostile"
	run "$COPOOL" doctor "$hostile"
	[[ $status -eq 1 && $output != *$'\e'* ]]
	hostile="./a'b \$(touch x)"
	cp "$(readlink -f /usr/bin/php)" "$hostile"
	run "$COPOOL" doctor "$hostile"
	[[ $status -eq 0 && ${lines[-1]} == "next: copool compare -- './a'\\''b \$(touch x)' ARGUMENT..." ]]
	run bash -c '"$1" doctor php >/dev/full' bash "$COPOOL"
	[[ $status -eq 2 && $output == *"cannot write"* ]]
}

@test "doctor: its lists of functions and libraries are the library's" {
	local shim=$TESTS/../shim tool=$TESTS/../tools/copool/doctor name names
	names=$(sed -n '/^} known\[\] = {/,/^};/s/^ *{"\([^"]*\)".*/\1/p' "$shim/adapter/sites.c")
	((${#names} > 100))
	for name in $names; do grep -q "\"$name\"" "$tool/known.c"; done
	names=$(grep -ohE '"lib(Zydis|unwind-)[^"]*"' "$shim/patch/instruction.c" "$shim/report/origins/unwind.c" | tr -d '"')
	((${#names} > 50))
	for name in $names; do grep -qF "$name" "$tool/machine.c"; done
}

# ---- make check-full ----

requires_full() {
	[[ ${COPOOL_TEST_FULL-} == 1 ]] || skip "other releases are fetched: only in make check-full"
}

@test "doctor: QEMU 10 and 5.2, and php-fpm, are served as it says" {
	requires_full
	local root libraries program
	for version in '10.0 trixie libslirp0' '5.2 bullseye'; do
		# shellcheck disable=SC2086 # its words
		set -- $version
		root=$CACHE/qemu-$1
		[[ -e $root/complete ]] || continue # 25-qemu-versions unpacks it
		libraries=$root/usr/lib/$(uname -m)-linux-gnu
		for program in qemu-img qemu-io qemu-nbd qemu-storage-daemon; do
			[[ -x $root/usr/bin/$program ]] || continue
			export LD_LIBRARY_PATH=$libraries
			predicts "$root/usr/bin/$program" --version
			is_called QEMU
			unset LD_LIBRARY_PATH
		done
	done
	for program in "$CACHE"/qemu-arm64-*/usr/bin/qemu-img; do
		[[ -x $program ]] || continue # 73-aarch64-patches unpacks it
		doctor 1 "$program"
		finds machine
		says '.program.machine == "aarch64"'
		is_called QEMU
	done
	requires_fpm
	export LD_LIBRARY_PATH=$fpm_libraries
	predicts "$fpm" --version
	says '.adapter.host == "stacks"'
	is_called PHP
}

@test "doctor: PHP of another release, in a root folder of its own, is told of while it runs" {
	requires_full
	[[ $(id -u) -eq 0 ]] || skip "only root can enter a root folder"
	local root=$CACHE/php-13
	[[ -e $root/complete ]] || skip "58-versions unpacks it"
	start unshare --mount bash -c 'mount --rbind /proc "$1/proc" && exec chroot "$1" /usr/bin/php8.4 -n -r "sleep(300);"' bash "$root"
	wait_until 10 eval '[[ $(readlink "/proc/$pid/exe") == */php8.4 ]]'
	doctor 0 "$pid"
	says '.program.path == "/usr/bin/php8.4"' '.process.is_elsewhere and .program.brings == "PHP'"'"'s fibers"' '.program.libc == "glibc 2.41"'
	is_called PHP
	mkdir program
	cp "$COPOOL" "$COPOOL_SO" program
	COPOOL=/tmp/copool
	before=(unshare --mount bash -c 'mount --rbind /proc "$1/proc" && mount --bind "$2" "$1/tmp" && exec chroot "$1" "${@:3}"'
		bash "$root" "$PWD/program")
	"${before[@]}" "$COPOOL" --version || skip "copool needs libraries that are not there"
	doctor 0 /usr/bin/php8.4
	says '.adapter.source == "rehearsal" and .adapter.host == "stacks" and .program.libc == "glibc 2.41"'
}
