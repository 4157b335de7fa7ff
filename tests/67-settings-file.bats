#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# /etc/copool.conf and /etc/copool.d, in a /etc of the test's own: real programs get what the files say.
# unit/settings_files_test has each line, limit and refusal.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2016 # what is in single quotes is for another shell
# shellcheck disable=SC2054 # the commas belong to QEMU's options
# shellcheck disable=SC2154 # run and start set stderr and pid

load lib/helper
load lib/php
load lib/qemu

setup() {
	requires jq
	cd "$BATS_TEST_TMPDIR" || return
	unset LD_PRELOAD COPOOL_CONFIG
	mkdir logs
}

# conf NAME: a file of settings, from standard input.
conf() {
	cat >"$1"
	chmod 644 "$1"
}

# with_etc COMMAND...: what runs it with ./etc/* beside what is in /etc, and without what is there of ours, is in $within.
with_etc() {
	[[ $(id -u) -eq 0 ]] || lacks "only root can give programs another /etc"
	requires unshare
	unshare --mount true 2>/dev/null || skip "no mount namespace can be made here"
	within=(unshare --mount bash -c 'mount -t tmpfs none "$0/mnt" && cp -a /etc/. "$0/mnt" &&
		rm -rf "$0/mnt"/copool.* "$0/mnt/ld.so.preload" && cp -a "$0/etc/." "$0/mnt" && mount --move "$0/mnt" /etc &&
		exec "$@"' "$PWD")
	mkdir -p mnt etc/copool.d
}

bench=(qemu-img bench -c 2000 -d 64 --image-opts driver=null-aio,size=1G)

@test "settings file: programs of the system get what /etc/copool.conf and /etc/copool.d say, each its own, and the log says where" {
	requires php qemu-img
	small_fibers_php
	with_etc
	conf etc/copool.conf <<-END
		host = off
		log = $PWD/logs/%n.jsonl
		tell = 1

		[program qemu-*]       # these two alone are pooled
		host = auto
		decay_ms = 700
	END
	conf etc/copool.d/10-php.conf <<-END
		[program php*]
		host = auto
		max_batches = 50
	END
	conf etc/copool.d/90-all.conf <<<'decay_ms = 900'
	echo "$COPOOL_SO" >etc/ld.so.preload
	run_stock php -n fibers.php
	local stock=$output
	run_shown "${within[@]}" sh -c "php -n fibers.php; ${bench[*]} >/dev/null; ls / >/dev/null; ls -d /etc >&2"
	[[ $status -eq 0 && $output == "$stock"$'\n'/etc ]]
	name=$(basename "$(readlink -f "$(command -v php)")")
	[[ -e logs/php.jsonl ]] || mv "logs/$name.jsonl" logs/php.jsonl
	LOG=logs/php.jsonl
	check_balance
	[[ $(log_open mode) == pool && $(log_open decay_ms) -eq 900 && $(log_open max_batches) -eq 50 ]]
	[[ $(log_records open '[.settings, .sources] | transpose[] | join(" ")' | sort) == "$(sort <<-END
		decay_ms=900 /etc/copool.d/90-all.conf:1
		host=auto /etc/copool.d/10-php.conf:2
		log=$PWD/logs/%n.jsonl /etc/copool.conf:2
		max_batches=50 /etc/copool.d/10-php.conf:3
		tell=1 /etc/copool.conf:3
	END
	)" ]]
	[[ -z $(log_records warning) ]]
	LOG=logs/qemu-img.jsonl
	check_balance
	[[ $(log_open mode) == pool && $(log_open decay_ms) -eq 700 ]]
	LOG=logs/ls.jsonl
	[[ $(log_records open .mode | sort -u) == none ]]
	[[ $(log_records open .detail | sort -u) == "switched off by /etc/copool.conf:1: host=off" ]]
	# show and report say it too.
	run "$COPOOL" show logs/php.jsonl
	[[ $output == *"settings: "*"host=auto (/etc/copool.d/10-php.conf:2)"*"decay_ms=900 (/etc/copool.d/90-all.conf:1)"* ]]
	"$COPOOL" report logs/php.jsonl -o page.html
	grep -qF /etc/copool.d/10-php.conf:2 page.html
}

@test "settings file: a guest's name, as libvirt gives it, and COPOOL_LABEL choose the section of a label" {
	requires_qemu qemu-system-x86_64 socat
	conf copool.conf <<-END
		host = off
		log = $PWD/logs/{label}.jsonl
		tell = 1
		[label guest-7]
		host = auto
		guard = mprotect
		[program qemu-system-*]
		guard = auto
	END
	# libvirt hands on LD_PRELOAD alone; the file is where it looks for it in /etc.
	machine=(qemu-system-x86_64 -accel tcg -machine q35 -m 64 -display none -nodefaults -no-user-config -S
		-chardev "socket,id=qmp,path=$PWD/qmp,server=on,wait=off" -mon chardev=qmp,mode=control)
	for name in guest=guest-7,debug-threads=on guest-8; do
		start env LD_PRELOAD="$COPOOL_SO" COPOOL_CONFIG="$PWD/copool.conf" "${machine[@]}" -name "$name"
		qmp_open qmp
		qmp quit
		ended "$pid"
		[[ $status -eq 0 && ! -s $BATS_TEST_TMPDIR/output.$pid ]]
	done
	LOG=logs/guest-7.jsonl
	[[ $(log_open mode) == pool && $(log_records open .sources) == *"copool.conf:5"*"copool.conf:6"* ]]
	LOG=logs/guest-8.jsonl
	[[ $(log_open mode) == none && $(log_open label) == guest-8 ]]
	run_shown env LD_PRELOAD="$COPOOL_SO" COPOOL_CONFIG="$PWD/copool.conf" COPOOL_LABEL=guest-7 "${bench[@]}"
	LOG=logs/guest-7.jsonl
	[[ $status -eq 0 && $(log_records open .mode | tail -n 1) == pool ]]
}

@test "settings file: the environment wins, copool run's options too, and COPOOL_CONFIG=none leaves the files out" {
	requires qemu-img
	with_etc
	conf etc/copool.conf <<-END
		host = off
		decay_ms = 700
	END
	LOG=logs/one
	run_shown "${within[@]}" env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" COPOOL_TELL=1 "${bench[@]}"
	[[ $status -eq 0 && $(log_open detail) == "switched off by /etc/copool.conf:1: host=off" ]]
	run_shown "${within[@]}" "$COPOOL" run --host=auto --log=logs/two -- "${bench[@]}"
	LOG=logs/two
	[[ $status -eq 0 && $(log_open mode) == pool && $(log_open decay_ms) -eq 700 ]]
	run_shown "${within[@]}" "$COPOOL" run --config=none --log=logs/three -- "${bench[@]}"
	LOG=logs/three
	[[ $status -eq 0 && $(log_open mode) == pool && $(log_open decay_ms) -eq 10000 ]]
	run_shown "${within[@]}" "$COPOOL" show logs/two
	[[ $output == *"host=auto (environment), decay_ms=700 (/etc/copool.conf:2)"* && $output != *"log="* ]]
	# copool run without --host says why nothing is pooled, in one line; what inherits the preload does not.
	run --separate-stderr "${within[@]}" "$COPOOL" run -- sh -c 'ls -d /; exit 3'
	[[ $status -eq 3 && $output == / && $stderr == "copool: sh ["*"]: nothing was pooled: switched off by /etc/copool.conf:1: host=off; copool run --host=auto overrules it" ]]
	run --separate-stderr "${within[@]}" "$COPOOL" run --summary -- ls -d /
	[[ $stderr == "copool: ls ["*"]: nothing was pooled: switched off by /etc/copool.conf:1: host=off" ]]
	run --separate-stderr "${within[@]}" "$COPOOL" run --log=logs/four -- ls -d /
	[[ $status -eq 0 && -z $stderr ]]
	run "$COPOOL" show logs/four
	[[ $output == "1 process had nothing to pool: ls ["*"]: switched off by /etc/copool.conf:1: host=off" ]]
	run --separate-stderr "${within[@]}" env COPOOL_HOST=off "$COPOOL" run -- ls -d /
	[[ $status -eq 0 && -z $stderr ]]
	run --separate-stderr "${within[@]}" env LD_PRELOAD="$COPOOL_SO" ls -d /
	[[ $status -eq 0 && -z $stderr ]]
	run "${within[@]}" "$COPOOL" doctor qemu-img
	[[ $status -eq 1 && $output == *"in the way: switched off by /etc/copool.conf:1: host=off"* && $output != *COPOOL_LEARN* ]]
	[[ $output == *$'\n'"next: copool compare --host=auto -- qemu-img ARGUMENT..." ]]
}

@test "settings file: what is wrong, unreadable or another's costs a warning each, and the program runs" {
	requires qemu-img setpriv
	with_etc
	mkfifo etc/copool.d/pipe.conf
	conf etc/copool.conf <<-END
		decay_ms = soon
		colour = red
		[program qemu-img]
		max_batches = 50
	END
	conf etc/copool.d/10.conf <<<'decay_ms = 500'
	conf etc/copool.d/20.conf <<<'decay_ms = 800'
	conf etc/copool.d/30.conf <<<'decay_ms = 900'
	chmod 666 etc/copool.d/20.conf
	chmod 600 etc/copool.d/30.conf
	run_shown "${within[@]}" bash -c 'chown 12345 /etc/copool.d/30.conf && exec "$@"' bash \
		env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" "${bench[@]}"
	[[ $status -eq 0 && $(log_open decay_ms) -eq 500 && $(log_open max_batches) -eq 50 ]]
	warnings=$(log_records warning .text)
	echo "$warnings"
	[[ $(wc -l <<<"$warnings") -eq 5 ]]
	for text in '/etc/copool.conf:1: ignored: decay_ms = soon' '/etc/copool.conf:2: ignored: there is no setting' \
		'20.conf: ignored: its group or others may write to it' '30.conf: ignored: it belongs to another user' \
		'pipe.conf: ignored: not a file'; do
		[[ $warnings == *"$text"* ]]
	done
	# Who may not read one has the others, and a word on standard error where there is no log.
	chmod 600 etc/copool.conf
	run --separate-stderr "${within[@]}" setpriv --reuid=65534 --regid=65534 --clear-groups \
		env LD_PRELOAD="$COPOOL_SO" "${bench[@]}"
	echo "$stderr"
	[[ $status -eq 0 && $stderr == *"copool: /etc/copool.conf: ignored: Permission denied"* ]]
}

@test "settings file: with another's rights no file is read" {
	[[ $(id -u) -eq 0 ]] || lacks "only root can make a set-user-id program"
	requires gcc setpriv
	requires_program steps
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
	gcc -o secure "$TESTS/programs/steps.c" -rdynamic -Wl,--no-as-needed "$COPOOL_SO" -Wl,-rpath,"${COPOOL_SO%/*}" -pthread
	chmod 777 logs
	with_etc
	conf etc/copool.conf <<-END
		create = box_make/0
		destroy = box_drop
		log = $PWD/logs/log
	END
	as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	run_shown "${within[@]}" "${as_nobody[@]}" ./secure use 100
	[[ $status -eq 0 && -s logs/log ]] || lacks "another user cannot reach the library"
	rm logs/log
	chmod 4755 secure
	run_shown "${within[@]}" "${as_nobody[@]}" ./secure use 100
	[[ $status -eq 0 && -z $output && -z $(ls logs) ]]
}

@test "settings file: without the files a program makes two system calls more, and finds neither errno nor a descriptor changed" {
	requires strace gcc
	requires_program looks_inside
	with_etc
	rmdir etc/copool.d
	calls() { # what libcopool.so does about settings, of all the program's calls
		strace -o trace "${within[@]}" env "$@" /bin/true
		sed -n '/execve.*true/,$p' trace | grep -c copool.conf\\\|copool.d
	}
	[[ $(calls LD_PRELOAD="$COPOOL_SO") -eq 2 ]]
	[[ $(grep -c 'open.*"/etc/copool.*ENOENT' trace) -eq 2 ]]
	run calls LD_PRELOAD="$COPOOL_SO" COPOOL_CONFIG=none
	[[ $output -eq 0 ]]
	mkdir etc/copool.d
	conf etc/copool.conf <<<'host = off'
	calls LD_PRELOAD="$COPOOL_SO" || :
	sed -n '/"\/etc\/copool.conf"/,/"\/etc\/copool.d"/p' trace >file
	cat file
	# open, fstat, read, read, close; and the folder.
	[[ $(wc -l <file) -eq 6 ]]
	echo '#include <errno.h>
		int main(void) { return errno; }' | gcc -x c -o errno -
	run_shown "${within[@]}" env LD_PRELOAD="$COPOOL_SO" ./errno
	[[ $status -eq 0 ]]
	run_shown "${within[@]}" env LD_PRELOAD="$COPOOL_SO" "$PROGRAMS/looks_inside"
	with=$output
	run_shown "${within[@]}" env LD_PRELOAD="$COPOOL_SO" COPOOL_CONFIG=none "$PROGRAMS/looks_inside"
	[[ $status -eq 0 && $output == "$with" ]]
}

@test "settings file: copool settings shows what a program gets and from where, and what is wrong anywhere" {
	conf copool.conf <<-END
		log = /var/log/%n.jsonl
		[program php*]
		decay_ms = 500
		[label guest-7]
		guard = mprotect
	END
	export COPOOL_CONFIG=$PWD/copool.conf COPOOL_LEARN=1
	run "$COPOOL" settings /usr/sbin/php-fpm8.2
	echo "$output"
	[[ $status -eq 0 ]]
	grep -qxE "decay_ms +500 +$PWD/copool.conf:3" <<<"$output"
	grep -qxE "log +/var/log/%n.jsonl +$PWD/copool.conf:1" <<<"$output"
	grep -qxE "learn +1 +environment" <<<"$output"
	grep -qxE "guard +auto +default" <<<"$output"
	run "$COPOOL" settings --label=guest-7 --json
	[[ $status -eq 0 ]]
	jq -e --arg conf "$PWD/copool.conf" '(.settings[] | select(.name == "guard"))
		== {name: "guard", value: "mprotect", source: "\($conf):5"} and .wrong == []' <<<"$output"
	printf '[program other]\nzero = 2\n' >>copool.conf
	run --separate-stderr "$COPOOL" settings
	[[ $status -eq 1 && $stderr == "copool settings: $PWD/copool.conf:7: ignored: zero = 2: out of range; it should be 0 or 1" ]]
	run "$COPOOL" settings one two
	[[ $status -eq 2 ]]
}

@test "settings file: the example that is installed is right, and sets nothing by itself" {
	chmod 644 "$TESTS/../tools/service/copool.conf" || :
	COPOOL_CONFIG=$TESTS/../tools/service/copool.conf run "$COPOOL" settings --json php
	echo "$output"
	[[ $status -eq 0 && $(jq '[.settings[] | select(.source == "default" or .name == "config" | not)] == []' <<<"$output") == true ]]
	# And each of its lines, when it is taken.
	sed -E 's/^#([][a-z_]+( =|[a-z ]).*)$/\1/' "$TESTS/../tools/service/copool.conf" | conf all.conf
	grep -q '^host = off' all.conf
	COPOOL_CONFIG=$PWD/all.conf run "$COPOOL" settings php
	echo "$output"
	[[ $status -eq 0 && $output == *all.conf:* ]]
}
