#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# copool report: the page, opened in a browser as a reader would.

load lib/helper
load lib/records
load lib/page

setup() {
	log=$BATS_TEST_TMPDIR/log
	page=$BATS_TEST_TMPDIR/page.html
}

@test "report: the page of a real run is readable on a desk and on a phone, in the light and in the dark" {
	requires qemu-img
	run_pooled COPOOL_INTERVAL_MS=10 qemu-img bench -w -c 300000 -d 256 --flush-interval=256 \
		--image-opts driver=null-aio,size=16M
	[[ $status -eq 0 ]]
	report "$LOG" -o "$page"
	[[ $status -eq 0 && -z $stderr && -z $output ]]
	local width colours backgrounds=()
	for width in 1280 390; do
		for colours in light dark; do
			browse "$width" "$colours"
			is_readable 5
			sees '.heading | test("^qemu-img \\[[0-9]+\\]$")'
			sees '.verdict | test("Of [0-9,]+ creates, ")'
			sees '.rows >= 2'
			backgrounds+=("$(jq -r .background <<<"$seen")")
		done
	done
	[[ ${backgrounds[0]} == "${backgrounds[2]}" && ${backgrounds[1]} == "${backgrounds[3]}" ]]
	[[ ${backgrounds[0]} != "${backgrounds[1]}" ]]
	local new
	new=$(log_final create_new qemu-coroutine)
	[[ $(jq -r '.figures.Misses' <<<"$seen" | tr -d ,) -eq $new ]]
	[[ $(jq -r '.figures["Most at once"]' <<<"$seen" | tr -d ,) -eq $(log_final peak_objects qemu-coroutine) ]]
}

@test "report: a page that is open follows the change from light to dark" {
	{
		open_record 10 first
		at 1000 counters sample 10 small 100 20 30
		at 4000 counters sample 10 small 700 40 60
	} >"$log"
	report "$log" -o "$page"
	local each light dark
	for each in light dark light,dark; do
		browse 1280 "$each"
		sees '(.markers | length) > 8'
		[[ $each != light ]] || light=$(jq -c '.dots, .markers' <<<"$seen")
		[[ $each != dark ]] || dark=$(jq -c '.dots, .markers' <<<"$seen")
	done
	[[ $light != "$dark" && $(jq -c '.dots, .markers' <<<"$seen") == "$dark" ]]
}

@test "report: the page needs nothing but itself" {
	open_record 10 first >"$log"
	report "$log" -o "$page"
	# What the browser asks for is seen by every other test, too.
	run ! grep -oE '(src|href|url)[=(] *.?(https?:|//)[^ ]*' "$page"
	grep -q "default-src 'none'" "$page"
	grep -q '(c) 2022 Leon Sorokin' "$page"
	grep -q 'The above copyright notice and this permission notice shall be included' "$page"
}

@test "report: the verdict tells the misses of the start from later ones" {
	{
		open_record 10 first
		at 1000 counters sample 10 small 0 0 100
		at 5000 counters sample 10 small 1000 0 100
		at 9000 counters final 10 small 99900 0 100
		open_record 11 second
		at 1000 counters sample 11 small 0 0 100
		at 5000 counters sample 11 small 1000 0 100
		at 9000 counters final 11 small 1000 0 600
	} >"$log"
	report "$log" -o "$page"
	browse
	sees '.verdict | test("Good.*Of 100,000 creates, 99,900 \\(99.90 %\\) .*100 missed .*all of them in the first 5.s, none after that")'
	sees '.figures.Hits == "99.90 %" and .figures.Misses == "100" and .figures.Creates == "100,000"'
	grep -v '"pid":10' "$log" >"$log.2"
	report "$log.2" -o "$page"
	browse
	sees '.verdict | test("Poor.*600 missed .*: 100 in the first 5.s, 500 after that")'
}

@test "report: as many misses as were alive at once are as good as can be, and causes are named only where they hold" {
	{
		open_record 10 ideal
		counters final 10 small 100 0 50 | sed 's/"peak_objects":44/"peak_objects":50/; s/"trimmed":45/"trimmed":0/'
		open_record 11 watched | sed 's/"mode":"pool"/"mode":"observe"/'
		counters final 11 small 0 0 5000 | sed 's/"destroy_delete":3/"destroy_delete":4959/; s/"trimmed":45/"trimmed":0/'
	} >"$log"
	report "$log" -o "$page"
	browse
	# The busier one is shown first.
	sees '.verdict | test("^Would help. Without copool 5,000 of 5,000 creates .* had to be made. copool would have saved 4,9..")'
	sees '.verdict | test("depot") | not'
	grep -v '"pid":11' "$log" >"$log.2"
	report "$log.2" -o "$page"
	browse
	sees '.verdict | test("^Good. .*50 missed .* No fewer are possible")'
	sees '.verdict | test("depot") | not'
}

@test "report: show and report say the same of a log" {
	local each
	{
		open_record 10 first
		counters final 10 small 1000 0 500
		open_record 11 second | sed 's/"host":"stacks"/"host":"qemu","way":"ending"/'
		counters final 11 qemu-coroutine 1000 0 50 | sed 's/}$/,"calls_saved":9}/'
		counters final 11 "stack 1052672 qemu" 0 0 50
	} >"$log"
	report "$log" -o "$page"
	browse
	run "$COPOOL" show "$log"
	echo "$output"
	grep -F "  small: $(jq -r .verdict <<<"$seen" | head -n 1 | cut -c 1-60)" <<<"$output"
	grep -F '  qemu-coroutine: Does not help. ' <<<"$output"
	# Beneath QEMU's pool no share of hits is to be expected.
	grep -qE '^  stack 1052672 qemu +50 +- +50 ' <<<"$output"
	[[ $(grep -c 'stack 1052672 qemu: ' <<<"$output") -eq 0 ]]
}

@test "report: rates and states are those of the log" {
	{
		open_record 10 first
		at 1000 counters sample 10 small 100 20 30
		at 4000 counters sample 10 small 700 40 60
		at 5000 counters sample 10 small 700 40 60
		at 5001 counters final 10 small 701 40 60
	} >"$log"
	report "$log" -o "$page"
	browse
	is_readable
	sees '.samples == [
		"0:01 | 100 | 20 | 30 | 20 % | 41 | 42 | 44 | 45",
		"0:04 | 200 | 6.67 | 10 | 4.62 % | 41 | 42 | 44 | 0",
		"0:05 | 0.999 | 0 | 0 | 0 % | 41 | 42 | 44 | 0"]'
	# A log that begins later: what was before its first sample was at no known rate.
	tail -n +2 "$log" >"$log.2"
	report "$log.2" -o "$page"
	browse
	sees '.samples[0] == "0:01 | – | – | – | – | 41 | 42 | 44 | –"'
	sees '.samples[1] == "0:04 | 200 | 6.67 | 10 | 4.62 % | 41 | 42 | 44 | 0"'
}

@test "report: each pool of each process can be chosen, and the busiest is at first" {
	{
		open_record 10 first
		open_record 20 second
		counters sample 10 small 1 1 1
		counters sample 20 large 700 40 10
		counters final 10 middle 20 2 2
	} >"$log"
	report "$log" -o "$page"
	browse
	sees '.chooses and .heading == "second [20]" and (.pools | length) == 3'
	sees '.figures.Creates == "750"'
	cat >"$BATS_TEST_TMPDIR/choose.js" <<-'END'
		const list = document.getElementById("pool");
		list.value = [...list.options].find((option) => option.textContent.startsWith("middle")).value;
		list.dispatchEvent(new Event("change"));
	END
	cat "$TESTS/lib/page.js" >>"$BATS_TEST_TMPDIR/choose.js"
	browse 1280 light "$BATS_TEST_TMPDIR/choose.js"
	sees '.heading == "first [10]" and .figures.Creates == "24" and .canvases == 4 and .fits'
}

@test "report: a name cannot become markup or a script" {
	{
		open_record 10 '</script><script>window.ran=1</script><img src=x onerror=ran=1>'
		counters sample 10 '<b onclick=ran()>pool</b><!--<script>' 700 40 10
		echo '{"type":"warning","time":1,"pid":10,"text":"</script><svg onload=ran=1>"}'
		echo '{"type":"origin","time":1,"pid":10,"pool":"<b onclick=ran()>pool</b><!--<script>","count":3,"frames":["<i>x</i>","]]>"]}'
	} >"$log"
	report "$log" -o "$page"
	browse
	sees '.ran == "undefined"'
	sees '.heading == "</script><script>window.ran=1</script><img src=x onerror=ran=1> [10]"'
	sees '.notes[0] | contains("</script><svg onload=ran=1>")'
	sees '.origins == ["3 <i>x</i> ← ]]>"]'
	sees '.canvases == 4'
}

@test "report: origins of misses are sorted by their number" {
	{
		open_record 10 first
		counters final 10 small 700 40 10
		counters final 10 other 1 0 0
		echo '{"type":"origin","time":1,"pid":10,"pool":"small","count":2,"frames":["f","main"]}'
		echo '{"type":"origin","time":1,"pid":10,"pool":"small","count":30,"frames":["g","h","main"]}'
		echo '{"type":"origin","time":1,"pid":10,"pool":"other","count":7,"frames":["elsewhere"]}'
		echo '{"type":"origin","time":1,"pid":10,"pool":"small","count":4,"frames":[]}'
		echo '{"type":"origin","time":1,"pid":10,"pool":"small","count":4,"frames":"main"}'
	} >"$log"
	report "$log" -o "$page"
	[[ $status -eq 0 && $stderr == *"line 8: an origin whose frames are no list of names"* ]]
	browse
	sees '.origins == ["30 g ← h ← main", "4 ?", "2 f ← main"]'
}

@test "report: warnings, and what is wrong with the log, are in the page" {
	{
		open_record 10 first | sed 's/"format":1/"format":2/'
		open_record 11 idle | sed 's/"mode":"pool"/"mode":"none"/'
		echo nonsense
		at 2000 counters sample 10 small 7 0 1
		at 1000 counters sample 10 small 700 40 10
		echo '{"type":"warning","time":1,"pid":10,"text":"Beware."}'
		echo '{"type":"warning","time":1,"pid":10,"text":"Beware."}'
		echo '{"type":"weather","time":1,"pid":10}'
		counters final 10 small 700 40 10 | head -c 50
	} >"$log"
	report "$log" "$BATS_TEST_TMPDIR/none" -o "$page"
	[[ $status -eq 1 && $stderr == *"none: No such file"* && $stderr == *"line 3: not a JSON object"* ]]
	browse
	sees '.notes | length == 8'
	sees '.notes | any(test("Beware. \\(2 times\\)")) and any(test("1 process had nothing to pool"))'
	sees '.notes | any(test("line 3: not a JSON")) and any(test("cut off")) and any(test("format 2"))'
	sees '.notes | any(test("unknown type")) and any(test("1 sample out of order")) and any(test("none: No such file"))'
}

@test "report: a process without counters has a page that says so" {
	open_record 10 first >"$log"
	report "$log" -o "$page"
	[[ $status -eq 0 ]]
	browse 390
	sees '.verdict == "No process in the log has counters yet." and .canvases == 0 and .narrow'
}

@test "report: one sample, a pool without creates and numbers without bounds are drawn too" {
	local last
	for last in "small 0 0 0" "small 1 0 0" "small 9223372036854775807 9223372036854775807 9223372036854775807"; do
		{
			open_record 10 first
			# shellcheck disable=SC2086 # several words
			counters sample 10 $last
		} >"$log"
		report "$log" -o "$page"
		[[ $status -eq 0 ]]
		browse 390
		sees '.canvases == 4 and .narrow'
	done
}

@test "report: long names and many pools do not make the page wider than a phone" {
	local i name
	name=$(printf '%0250d' 0)
	{
		open_record 10 "$name"
		for ((i = 0; i < 40; i++)); do counters final 10 "$name$i" 7 1 "$i"; done
	} >"$log"
	report "$log" -o "$page"
	browse 390
	is_readable
	sees '(.pools | length) == 40'
}

@test "report: of a long run the points are thinned out, and its peaks stay" {
	requires jq
	many_samples 30000 >"$log"
	report "$log" -o "$page"
	sed -n 's|.*id="data">\(.*\)</script>.*|\1|p' "$page" | jq '.series[0]' >"$BATS_TEST_TMPDIR/series"
	jq -e '(.uptime_ms | length) as $points | $points > 500 and $points < 1024
		and (.uptime_ms | last) == 30000000 and (.create_new | last) == 30000
		and (.live_most | max) == 990 and (.live | length) == $points' "$BATS_TEST_TMPDIR/series"
	browse
	is_readable
	sees '.rows < 1024'
}

@test "report: the page replaces a file whole, or leaves it as it was" {
	open_record 10 first >"$log"
	echo before >"$page"
	chmod 600 "$page"
	ln -s page.html "$BATS_TEST_TMPDIR/link"
	report "$BATS_TEST_TMPDIR/none" -o "$page"
	[[ $status -eq 1 && $(cat "$page") == before ]]
	report "$log" -o "$BATS_TEST_TMPDIR/link"
	[[ $status -eq 0 && -L $BATS_TEST_TMPDIR/link && $(stat -c %a "$page") == 600 ]]
	grep -q '</html>' "$page"
	[[ $(find "$BATS_TEST_TMPDIR" -name '.copool*' | wc -l) -eq 0 ]]
	report "$log" -o "$BATS_TEST_TMPDIR/no/page.html"
	[[ $status -eq 1 && $stderr == *"cannot write"*"No such file"* ]]
	report "$log" -o "$BATS_TEST_TMPDIR"
	[[ $status -eq 1 && $stderr == *"cannot write"*"directory"* ]]
	report "$log" -o /dev/full
	[[ $status -eq 1 && $stderr == *"cannot write /dev/full: No space left"* && -c /dev/full ]]
	run bash -c 'trap "" XFSZ; ulimit -f 10; "$0" report "$1" -o "$2"' "$COPOOL" "$log" "$page"
	[[ $status -eq 1 && $output == *"cannot write"*"File too large"* ]]
	grep -q '</html>' "$page"
	[[ $(find "$BATS_TEST_TMPDIR" -name '.copool*' | wc -l) -eq 0 ]]
}

@test "report: a log is never replaced by its own report" {
	open_record 10 first >"$log"
	ln -s log "$BATS_TEST_TMPDIR/link"
	report "$log" -o "$BATS_TEST_TMPDIR/link"
	[[ $status -eq 2 && $stderr == *"is one of the logs"* ]]
	[[ $(head -c 7 "$log") == '{"type"' && -L $BATS_TEST_TMPDIR/link ]]
}

@test "report: -o - is standard output" {
	open_record 10 first >"$log"
	report "$log" -o -
	[[ $status -eq 0 && $output == '<!DOCTYPE html>'* && $output == *'</html>' ]]
	run bash -c '"$0" report "$1" -o - >/dev/full' "$COPOOL" "$log"
	[[ $status -eq 1 && $output == *"cannot write"* ]]
}

@test "report: no log, nowhere to write to and a wrong option are status 2" {
	report
	[[ $status -eq 2 ]]
	report "$log"
	[[ $status -eq 2 && $stderr == *"where to"* ]]
	report -o "$page"
	[[ $status -eq 2 && $stderr == *"which log"* ]]
	report --nonsense "$log" -o "$page"
	[[ $status -eq 2 && ! -e $page ]]
}

@test "report: a log without records is status 1 and makes no page" {
	: >"$log"
	report "$log" -o "$page"
	[[ $status -eq 1 && $stderr == *"no records"* && ! -e $page ]]
}
