#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# copool show: what a log says in the end, whatever state the log is in.

load lib/helper
load lib/records

setup() {
	log=$BATS_TEST_TMPDIR/log
}

show() {
	run "$COPOOL" show "$@"
	echo "copool show $*: $status"
	echo "$output"
}

@test "show: the last record of each pool of each process is what counts" {
	{
		open_record 10 first
		open_record 20 second
		counters sample 10 small 1 1 1
		counters sample 20 small 2 2 2
		counters sample 10 large 3 3 3
		counters final 10 small 700 40 10
		counters sample 10 large 4 4 4
	} >"$log"
	show "$log"
	[[ $status -eq 0 ]]
	[[ $(grep -c '^  small ' <<<"$output") -eq 2 && $(grep -c '^  large ' <<<"$output") -eq 1 ]]
	grep -qE '^  small +750 +98\.66 % +10 +41 +42 +44 +45 +4$' <<<"$output"
	grep -qE '^  small +6 ' <<<"$output"
	grep -qE '^  large +12 ' <<<"$output"
	grep -q '^first \[10\]' <<<"$output"
	grep -q '^second \[20\], last seen after 1.250 s' <<<"$output"
	grep -q 'As it was found.' <<<"$output"
}

@test "show: a process id that comes back is another process" {
	{
		open_record 10 first
		counters final 10 small 1 0 0
		open_record 10 second
		counters final 10 small 2 0 0
	} >"$log"
	show "$log"
	[[ $(grep -c '\[10\], ended' <<<"$output") -eq 2 ]]
	grep -qE '^  small +1 ' <<<"$output"
	grep -qE '^  small +2 ' <<<"$output"
}

@test "show: two pools that an older version called alike are two, as each had a last word" {
	{
		open_record 10 first
		counters sample 10 same 1 0 0
		counters sample 10 same 2 0 0
		counters final 10 same 30 0 0
		counters final 10 same 500 0 0
	} >"$log"
	show "$log"
	grep -qE '^  same +30 ' <<<"$output"
	grep -qE '^  same +500 ' <<<"$output"
}

@test "show: a log that does not say whose a pool is, as those before 0.2.0, reads as one that does" {
	local old=$TESTS/fixtures/qemu.jsonl new=$BATS_TEST_TMPDIR/qemu.jsonl renamed=$BATS_TEST_TMPDIR/renamed.jsonl verb
	[[ $(grep -c '"owner"\|"part_of"' "$old") -eq 0 ]]
	jq -c 'if .pool == null then . elif .pool == "qemu-coroutine" then .owner = "qemu"
		else .owner = "qemu" | .part_of = "qemu-coroutine" end' "$old" >"$new"
	for verb in show advise 'show --csv'; do
		# shellcheck disable=SC2086 # two words
		diff <("$COPOOL" $verb "$old" 2>&1) <("$COPOOL" $verb "$new" 2>&1)
	done
	# What is part of another pool is not judged by itself, and names have no part in it.
	jq -c 'if .part_of then .pool = "a part" else . end' "$new" >"$renamed"
	diff <("$COPOOL" show "$old" | tr -s ' -') <("$COPOOL" show "$renamed" | sed 's/a part/stack 1052672 qemu/' | tr -s ' -')
}

@test "show: long names have room, and the numbers stay below each other" {
	{
		open_record 10 first
		counters final 10 short 1 0 0
		counters final 10 'stack 65536 libsomething.so.1+0x12345' 20 0 0
	} >"$log"
	show "$log"
	[[ $(grep -oE '^  (pool|short|stack [^ ]+ [^ ]+) +(creates|1|20) ' <<<"$output" | awk '{ print length($0) }' | uniq | wc -l) -eq 1 ]]
}

# What could steer a terminal, or turn a text's direction, as JSON has it.
EVIL='\u009b31mC1 \u009d0;title\u009c \u202ebidi\u2066 \u001b[31m \u007f \u2028 \u200f\u061c\ufff9'

# is_clean FILE...: holds no such character.
is_clean() {
	python3 - "$@" <<-'END'
		import sys, unicodedata
		bad = {0x61c, 0x200e, 0x200f, 0x2028, 0x2029, *range(0x202a, 0x202f), *range(0x2066, 0x2070), *range(0xfff9, 0xfffc)}
		for path in sys.argv[1:]:
		    text = open(path, "rb").read().decode("utf-8")
		    found = {hex(ord(c)) for c in text if c not in "\n\t" and (unicodedata.category(c) == "Cc" or ord(c) in bad)}
		    if found: sys.exit(path + ": " + " ".join(sorted(found)))
	END
}

@test "readers: whatever a log holds, no verb lets it steer a terminal or turn a text's direction" {
	requires python3 jq
	{
		open_record 10 "$EVIL" | sed "s/As it was found./$EVIL/; s/\"stacks\"/\"$EVIL\"/; s/\"pool\"/\"$EVIL\"/"
		for i in 1 2 3 4; do
			counters sample 10 "$EVIL" $i $i $i | sed "s/:1250,/:${i}000,/; s/\"depot_batches\"/\"depot_low\":0,\"depot_high\":1,&/"
		done
		echo '{"type":"warning","time":1,"pid":10,"text":"'"$EVIL"'"}'
		echo '{"type":"origin","time":1,"pid":10,"pool":"'"$EVIL"'","kind":"miss","count":5,"frames":["a+0x10 '"$EVIL"'","'"$EVIL"'"]}'
		echo '{"type":"depth","time":5,"pid":10,"uptime_ms":5,"pool":"'"$EVIL"'","stacks":300,"live":1,"stack_bytes":65536,"mean":4096,"p50":4096,"p90":4096,"p99":4096,"p999":4096,"deepest":4096,"to_4096":300}'
		counters final 10 "$EVIL" 60 60 60 | sed 's/:1250,/:5000,/'
	} >"$log"
	odd=$BATS_TEST_TMPDIR/$'odd\xc2\x9b31m\xe2\x80\xae\e[31m'
	{
		cat "$log"
		echo nonsense
	} >"$odd"
	cd "$BATS_TEST_TMPDIR"
	"$COPOOL" show "$log" >show.out
	grep -q '?31mC1 ?0;title? ?bidi? ?\[31m' show.out
	"$COPOOL" show --csv "$log" >csv.out
	"$COPOOL" show --json "$log" >json.out
	"$COPOOL" origins "$log" >origins.out
	"$COPOOL" origins --folded "$log" >folded.out
	"$COPOOL" origins --json "$log" >origins-json.out
	"$COPOOL" advise "$log" >advise.out || :
	"$COPOOL" advise --json "$log" >advise-json.out || :
	"$COPOOL" top --plain -n 1 "$log" >top.out
	"$COPOOL" plot --script "$log" >plot.out
	"$COPOOL" report -o page.out "$log"
	for verb in show 'show --csv' origins advise 'report -o page2.out' 'plot --script' 'top --plain -n 1'; do
		n=$((n + 1))
		# shellcheck disable=SC2086 # several words
		"$COPOOL" $verb "$odd" >"said.$n.out" 2>&1 || :
		# shellcheck disable=SC2086
		"$COPOOL" $verb "$odd.none" >"none.$n.out" 2>&1 || :
	done
	mkdir folder
	echo 'copool_interval_seconds{program="x",pid="4194303"} 1.000' >"folder/${odd##*/}.prom"
	touch -d '100 seconds ago' "folder/${odd##*/}.prom"
	"$COPOOL" prune folder >prune.out 2>&1
	grep -q '^removed folder/odd?31m?' prune.out
	"$COPOOL" "$odd" >verb.out 2>&1 || :
	"$COPOOL" run "$odd.none" >run.out 2>&1 || :
	is_clean ./*.out
	# In JSON it is all there.
	[[ $(jq -r '.processes[0].pools[0].pool' json.out) == $(jq -rn '"'"$EVIL"'"') ]]
}

@test "show: a process that has ended is told from one that has not" {
	{
		open_record 10 first
		counters final 10 small 1 0 0
	} >"$log"
	show "$log"
	[[ $output == *"ended after 1.250 s"* && $output != *"last seen"* ]]
}

@test "show: hits are never rounded up to all" {
	{
		open_record 10 first
		counters sample 10 nearly 1000000 0 1
		counters sample 10 all 1000000 0 0
		counters sample 10 none 0 0 0
	} >"$log"
	show "$log"
	grep -qE '^  nearly +1000001 +99\.99 %' <<<"$output"
	grep -qE '^  all +1000000 +100\.00 %' <<<"$output"
	grep -qE '^  none +0 +- ' <<<"$output"
}

@test "show: --json has the same numbers, and is one JSON object" {
	requires jq
	{
		open_record 10 first
		counters sample 10 small 1 1 1
		counters final 10 small 700 40 10
		echo '{"type":"warning","time":1,"pid":10,"text":"Beware."}'
		echo nonsense
	} >"$log"
	show --json "$log"
	[[ $status -eq 0 ]]
	[[ $(jq -c '.processes[] | [.pid, .open.program, (.pools | length)]' <<<"$output") == '[10,"first",1]' ]]
	[[ $(jq -c '.processes[0].pools[0] | [.type, .create_local, .peak_objects]' <<<"$output") == '["final",700,44]' ]]
	[[ $(jq -c '.warnings' <<<"$output") == '[{"pid":10,"text":"Beware.","count":1}]' ]]
	[[ $(jq -c '[.bad_lines, (.bad | length), .cut_off, .format]' <<<"$output") == '[1,1,false,1]' ]]
}

@test "show: the table fits into 80 columns, and no number is cut" {
	{
		open_record 10 first
		counters final 10 'stack 2101248 php' 700000 40000 10000
		counters final 10 'qemu-coroutine' 12345678 40 10
	} >"$log"
	run_stock "$COPOOL" show "$log"
	[[ $output =~ stack\ 2101248\ php\ +750000\ +98.66\ %\ +10000 && $output =~ qemu-coroutine\ +12345728\ +99\.99\ %\ +10\  ]]
	grep -A 2 '^  pool ' <<<"$output" | awk 'length($0) > 80 { print; exit 1 }'
}

@test "show: --csv is a table that a spreadsheet reads, with the same numbers" {
	requires python3
	{
		open_record 10 'fi,r\"st'
		counters sample 10 'box_make(0x10, 0)' 1 1 1
		counters final 10 'box_make(0x10, 0)' 700 40 10
		counters sample 20 'evil\nline' 1 0 0
	} >"$log"
	run --separate-stderr "$COPOOL" show --csv "$log"
	[[ $status -eq 0 && -z $stderr && ${#lines[@]} -eq 3 ]]
	python3 - "$output" <<-'END'
		import csv, sys
		rows = list(csv.DictReader(sys.argv[1].splitlines(), strict=True))
		assert [row["program"] for row in rows] == ['fi,r"st', ""], rows
		assert [row["pool"] for row in rows] == ["box_make(0x10, 0)", "evil?line"], rows
		first = rows[0]
		assert (first["pid"], first["type"], first["host"], first["mode"]) == ("10", "final", "stacks", "pool"), first
		assert (first["time"], first["uptime_ms"]) == ("2.500", "1250"), first
		assert (first["create_local"], first["create_depot"], first["create_new"]) == ("700", "40", "10"), first
		assert (first["peak_objects"], first["trimmed"], first["calls_saved"]) == ("44", "45", "0"), first
		assert None not in first and len(first) == 28 and first["label"] == "", first
	END
}

@test "show: --csv keeps what is wrong with the log out of the table" {
	{
		open_record 10 first | sed 's/"format":1/"format":2/'
		echo nonsense
		counters final 10 small 700 40 10
		counters final 10 small 700 40 10 | head -c 50
	} >"$log"
	run --separate-stderr "$COPOOL" show --csv "$log"
	[[ $status -eq 0 && ${#lines[@]} -eq 2 && ${lines[1]} == '10,"first",'* ]]
	[[ $stderr == *"line 2: not a JSON object"*"cut off"*"newer copool (format 2)"* ]]
	show --csv --json "$log"
	[[ $status -eq 2 && $output == *"not both"* ]]
}

@test "show: a log whose name is no UTF-8 is named in --json all the same" {
	requires jq
	local odd=$BATS_TEST_TMPDIR/$'l\xffog'
	{
		open_record 10 first
		echo nonsense
	} >"$odd"
	show --json "$odd"
	[[ $status -eq 0 && $(jq -r '.bad[0].where' <<<"$output") == *"l?og line 2" ]]
}

@test "show: bad lines are counted and named, and the rest is shown" {
	{
		echo nonsense
		open_record 10 first
		echo '[1, 2]'
		echo
		counters final 10 small 700 40 10
		echo '{"pid":10}'
		echo '{"type":"sample","pid":10}'
		echo '{"type":"open"}'
		echo '{"type":"warning","text":"x"}'
		printf '{"type":"warning","pid":10,"text":"\xff"}\n'
	} >"$log"
	show "$log"
	[[ $status -eq 0 ]]
	grep -qE '^  small +750 ' <<<"$output"
	local line
	for line in 1 3 6 7 8 9 10; do
		grep -q "^bad line: .*log line $line: " <<<"$output"
	done
	[[ $(grep -c '^bad line' <<<"$output") -eq 7 ]]
}

@test "show: of many bad lines ten are named and all are counted" {
	{
		open_record 10 first
		yes nonsense | head -n 500
	} >"$log"
	show "$log"
	[[ $status -eq 0 && $(grep -c '^bad line: ' <<<"$output") -eq 10 ]]
	grep -q '^bad lines: 500 in all' <<<"$output"
}

@test "show: a line of any length takes no more memory than a record" {
	{
		open_record 10 first
		head -c 30000000 /dev/zero | tr '\0' x
		echo
		counters final 10 small 700 40 10
	} >"$log"
	# shellcheck disable=SC2016
	run bash -c 'ulimit -v 20000; "$0" show "$1"' "$COPOOL" "$log"
	[[ $status -eq 0 && $output == *"line 2: too long"* && $output == *" 750 "* ]]
}

@test "show: a last line that is cut off is noted and is no mistake" {
	{
		open_record 10 first
		counters sample 10 small 1 1 1
		counters final 10 small 700 40 10 | head -c 100
	} >"$log"
	show "$log"
	[[ $status -eq 0 && $output == *"cut off"* && $output != *"bad line"* ]]
	grep -qE '^  small +3 ' <<<"$output"
}

@test "show: a last line that only lacks its newline counts" {
	{
		open_record 10 first
		counters final 10 small 700 40 10 | tr -d '\n'
	} >"$log"
	show "$log"
	[[ $status -eq 0 && $output != *"cut off"* ]]
	grep -qE '^  small +750 ' <<<"$output"
}

@test "show: what a newer copool wrote is read as far as it is known" {
	{
		open_record 10 first ',"colour":"blue"' | sed 's/"format":1/"format":2/'
		echo '{"type":"weather","time":1,"pid":10}'
		counters final 10 small 700 40 10 | sed 's/"live"/"alive":1,"live"/'
	} >"$log"
	show "$log"
	[[ $status -eq 0 && $output == *"newer copool (format 2)"* && $output == *"unknown types"* ]]
	[[ $output != *"bad line"* ]]
	grep -qE '^  small +750 ' <<<"$output"
}

@test "show: counters without an open record are shown too" {
	counters sample 10 small 700 40 10 >"$log"
	show "$log"
	[[ $status -eq 0 && $output == *"[10]"* && $output == *"host unknown"* ]]
}

@test "show: a warning that is repeated is said once, with its number" {
	{
		open_record 10 first
		yes '{"type":"warning","time":1,"pid":10,"text":"Beware."}' | head -n 7
	} >"$log"
	show "$log"
	[[ $(grep -c Beware <<<"$output") -eq 1 && $output == *"Beware. (7 times)"* ]]
}

@test "show: processes with nothing to pool are counted, and the first says why if no other is shown" {
	{
		open_record 10 first | sed 's/"mode":"pool"/"mode":"none"/'
		open_record 11 second | sed 's/"mode":"pool"/"mode":"none"/'
	} >"$log"
	show "$log"
	[[ $status -eq 0 && $output == "2 processes had nothing to pool, the first of them first [10]: "* ]]
	open_record 10 alone | sed 's/"mode":"pool"/"mode":"none"/; s/"detail":"[^"]*"/"detail":"switched off by \/etc\/copool.conf:1: host=off"/' >"$log"
	show "$log"
	[[ $status -eq 0 && $output == "1 process had nothing to pool: alone [10]: switched off by /etc/copool.conf:1: host=off" ]]
	open_record 11 served >>"$log"
	show "$log"
	[[ $status -eq 0 && $output == *$'\n'"1 process had nothing to pool" ]]
}

@test "show: a process forked off another says so" {
	open_record 11 first | sed 's/"ppid":0/"ppid":10/' >"$log"
	show "$log"
	[[ $output == *"[11], forked by [10]"* && $output == *"no counters yet"* ]]
}

@test "show: more processes than it keeps are counted" {
	for ((i = 1; i <= 4100; i++)); do open_record "$i" many; done >"$log"
	show "$log"
	[[ $status -eq 0 && $output == *"4 records left out"* ]]
}

@test "show: a log cannot steer the terminal" {
	open_record 10 'evil\u001b[2J\u007f' >"$log"
	show "$log"
	[[ $output == *'evil?[2J?'* && $output != *$'\e'* ]]
}

@test "show: several logs and standard input are read as one" {
	open_record 10 first >"$log"
	counters final 10 small 700 40 10 >"$log.2"
	run bash -c '"$0" show "$1" - <"$2"' "$COPOOL" "$log" "$log.2"
	[[ $status -eq 0 && $output == *"first [10], ended"* && $output == *" 750 "* ]]
}

@test "show: a log that is missing, empty or no log at all is status 1" {
	show "$BATS_TEST_TMPDIR/none"
	[[ $status -eq 1 && $output == *"No such file"* ]]
	: >"$log"
	show "$log"
	[[ $status -eq 1 && $output == *"no records"* ]]
	show "$BATS_TEST_TMPDIR"
	[[ $status -eq 1 && $output == *"directory"* ]]
	head -c 100000 /dev/urandom >"$log"
	show "$log"
	[[ $status -eq 1 && $output == *"no records"* ]]
}

@test "show: one log that is missing does not hide the others" {
	open_record 10 first >"$log"
	show "$BATS_TEST_TMPDIR/none" "$log"
	[[ $status -eq 1 && $output == *"first [10]"* && $output == *"No such file"* ]]
}

@test "show: a wrong option and no log are status 2" {
	show --nonsense
	[[ $status -eq 2 ]]
	show
	[[ $status -eq 2 && $output == *"which log"* ]]
}

@test "show: output that cannot be written is said" {
	open_record 10 first >"$log"
	run bash -c '"$0" show "$1" >/dev/full' "$COPOOL" "$log"
	[[ $status -eq 1 && $output == *"cannot write"* ]]
}

@test "show: what it says of a real run is what the log says" {
	requires qemu-img jq
	truncate -s 16M "$BATS_TEST_TMPDIR/disk"
	run_pooled qemu-img bench -f raw -t writeback -i threads -c 5000 -d 64 "$BATS_TEST_TMPDIR/disk"
	[[ $status -eq 0 ]]
	show "$LOG"
	[[ $status -eq 0 && $output == *"qemu-img ["*", ended after "* && $output != *"bad line"* ]]
	read -r _ creates _ _ new live pooled peak trimmed threads < <(grep '^  qemu-coroutine ' <<<"$output")
	[[ $output == *"  saved about $(log_final calls_saved) system calls; $(log_final maps_saved) guard pages take no memory map"* ]]
	[[ $creates -eq $(($(log_final create_local qemu-coroutine) + $(log_final create_depot qemu-coroutine) + $(log_final create_new qemu-coroutine))) ]]
	[[ $creates -ge 5000 && $new -eq $(log_final create_new qemu-coroutine) && $live -eq $(log_final live qemu-coroutine) ]]
	[[ $pooled -eq $(log_final pooled qemu-coroutine) && $peak -eq $(log_final peak_objects qemu-coroutine) ]]
	[[ $trimmed -eq $(log_final trimmed qemu-coroutine) && $threads -eq $(log_final threads qemu-coroutine) ]]
	run bash -c '"$0" show --json "$1" | jq ".processes[0].pools[0].create_local"' "$COPOOL" "$LOG"
	[[ $output -eq $(log_final create_local qemu-coroutine) ]]
}

@test "show: on a terminal lines break between words and are indented as they began; elsewhere they are whole" {
	/usr/bin/python3 -c 'import pyte' 2>/dev/null || lacks "there is no pyte for python3"
	cd "$BATS_TEST_TMPDIR" || return
	cat >log <<-'END'
		{"type":"open","time":1,"pid":7,"format":1,"version":"0","program":"p","host":"qemu","mode":"pool","way":"ending","detail":"QEMU's coroutines are pooled, and its own pool is not used; coroutine stacks are pooled"}
		{"type":"final","time":2,"pid":7,"uptime_ms":1000,"pool":"qemu-coroutine","create_local":1,"create_depot":0,"create_new":1,"peak_objects":1}
	END
	# shellcheck disable=SC2016 # for another shell
	TERM=xterm LC_ALL=C.UTF-8 run timeout 300 /usr/bin/python3 "$TESTS/lib/terminal.py" 24 60 \
		sh -c '"$1" show log; read -r key' sh "$COPOOL" <<-'END'
			see ^  host qemu by ending: QEMU's coroutines are pooled, and its *$
			see ^  own pool is not used; coroutine stacks are pooled *$
			type \n
			end 0
		END
	echo "$output"
	[[ $status -eq 0 ]]
	"$COPOOL" show log | grep -q '^  host qemu by ending: .* and its own pool is not used; coroutine stacks are pooled$'
}
