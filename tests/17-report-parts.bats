#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# copool report: depths of stacks, settings, memory, sums, two logs side by side, the flame graph, and times.
# shellcheck disable=SC2154 # seen is page.bash's

load lib/helper
load lib/records
load lib/page

setup() {
	log=$BATS_TEST_TMPDIR/log
	page=$BATS_TEST_TMPDIR/page.html
}

# depth PID POOL DEEPEST: 300 stacks of 1 MiB, a third of them that deep.
depth() {
	printf '{"type":"depth","time":2.5,"pid":%d,"uptime_ms":1250,"pool":"%s","stacks":300,"live":2,' "$1" "$2"
	printf '"stack_bytes":1048576,"mean":12288,"p50":8192,"p90":%d,"p99":%d,"p999":%d,"deepest":%d,' "$3" "$3" "$3" "$3"
	printf '"to_8192":200,"to_%d":100}\n' "$3"
}

# way PID TIME MODE DETAIL
way() {
	printf '{"type":"way","time":%s,"pid":%d,"mode":"%s","way":"stacks","detail":"%s"}\n' "$2" "$1" "$3" "$4"
}

# origin PID POOL COUNT FRAMES
origin() {
	printf '{"type":"origin","time":1,"pid":%d,"pool":"%s","kind":"miss","count":%d,"frames":[%s],"cut":0}\n' "$@"
}

@test "report: how deep stacks were used, and the size that is enough, are what show says" {
	{
		open_record 10 first
		counters final 10 "stack 1048576 php" 700 40 300
		depth 10 "stack 1048576 php" 65536
		counters final 10 "stack 4096 other" 7 4 3
	} >"$log"
	report "$log" -o "$page"
	browse 390
	is_readable 5
	sees '(.depths | length) == 1 and .depths[0].name == "stack 1048576 php"'
	sees '.depths[0].figures | .Recommended == "128\u00a0KiB" and .Has == "1\u00a0MiB" and .Deepest == "64\u00a0KiB" and .Stacks == "300"'
	sees '.depths[0].bars == ["up to 8\u00a0KiB", "200 (66.66 %)", "up to 64\u00a0KiB", "100 (33.33 %)"]'
	sees '.depths[0].said | test("^300 stacks seen: .* fiber.stack_size=128K is enough\\.$")'
	run "$COPOOL" show "$log"
	[[ $output == *"stack 1048576 php: $(jq -r '.depths[0].said | sub("\\.$"; "")' <<<"$seen")"* ]]
	[[ $output == *"fiber.stack_size=128K is enough"* ]]
}

@test "report: shows idle memory in bytes, marks a guess, and shows none for objects that are not stacks" {
	{
		open_record 10 first
		at 1000 counters sample 10 "stack 1048576 php" 700 40 300
		at 4000 counters sample 10 "stack 1048576 php" 900 40 300 | sed 's/"pooled":42/"pooled":1000/'
		depth 10 "stack 1048576 php" 65536
		open_record 11 second
		counters final 11 "stack 65536 other" 70 4 30
		open_record 12 third
		counters final 12 boxes 7 4 3
	} >"$log"
	report "$log" -o "$page"
	browse
	is_readable 5
	sees '.figures["Idle memory"] == "11.7\u00a0MiB" and .held == ["504\u00a0KiB", "11.7\u00a0MiB"]'
	sees '.charts[3] == "Memory of idle objects"'
	browse_after 'choose(1);'
	sees '.figures["Idle memory"] == "~ 336\u00a0KiB" and .canvases == 5'
	browse_after 'choose(2);'
	sees '(.figures | has("Idle memory") | not) and .canvases == 4 and .held == null'
}

@test "report: alive and idle are drawn as steps, not as slopes between samples" {
	{
		open_record 10 first
		at 2000 counters sample 10 small 100 20 30 | sed 's/"live":41,"pooled":42/"live":10,"pooled":0/'
		at 10000 counters sample 10 small 700 40 60 | sed 's/"live":41,"pooled":42/"live":40,"pooled":0/'
	} >"$log"
	report "$log" -o "$page"
	# The height of the blue area, which is what is alive, at some times.
	cat >"$BATS_TEST_TMPDIR/heights.js" <<-'END'
		(() => {
			const { plot } = drawn[2];
			const canvas = document.querySelector("#chart-objects canvas");
			const { width, height } = canvas;
			const dots = canvas.getContext("2d").getImageData(0, 0, width, height).data;
			const isBlue = (at) => dots[at + 3] > 100 && dots[at + 2] - dots[at] > 60;
			return [0.5, 1.5, 3, 6, 9.5].map((seconds) => {
				const x = Math.round(plot.valToPos(seconds, "x", true));
				let number = 0;
				for (let y = 0; y < height; y++)
					number += isBlue((y * width + x) * 4);
				return number;
			});
		})()
	END
	browse 1280 light "$BATS_TEST_TMPDIR/heights.js"
	sees '.[0] > 10 and .[0] == .[1] and .[2] > 3 * .[0] and .[2] == .[3] and .[3] == .[4]'
}

@test "report: shows the settings in force, and each change in how the process was served" {
	{
		open_record 10 first ',"interval_ms":1000,"max_batches":1023,"decay_ms":2500,"confined":"NoNewPrivs","label":"blue","settings":["label=blue","guard=<i>"],"sources":["/etc/<b>.conf:3","environment"]'
		at 5000 counters sample 10 small 700 40 60
		way 10 1006.5 off "Switched off by </script><b>somebody</b>."
		way 10 1008.5 pool "As it was found."
		at 9000 counters final 10 small 900 40 60
		open_record 11 plain
		counters sample 11 small 7 4 6
	} >"$log"
	report "$log" -o "$page"
	browse 390
	is_readable
	sees '.heading == "first blue [10]"'
	sees '.settings | index("ModeCOPOOL_MODE | pool | default") != null and index("LabelCOPOOL_LABEL | blue | /etc/<b>.conf:3") != null'
	sees '.settings | any(startswith("Confined by | NoNewPrivs"))'
	sees '.settings | index("guardCOPOOL_GUARD | <i> | environment") != null'
	sees '.settings | index("Idle objects that a depot keepsCOPOOL_MAX_BATCHES | 16,368 (1,023 batches of 16) | default") != null'
	sees '.settings | index("Given back when unneeded forCOPOOL_DECAY_MS | 2.5\u00a0s | default") != null'
	sees '(.changes | length) == 3 and (.changes[1] | endswith("| 6\u00a0s | off | Switched off by </script><b>somebody</b>."))'
	sees '.changes[2] | test("8.s . pool . As it was found")'
	sees '.verdict | test("^Switched off for a time")'
	browse_after 'choose(1);'
	sees '.changes == [] and (.settings | any(startswith("Mode"))) and (.settings | any(test("BATCHES")) | not)'
	sed -i 's/"decay_ms":2500/"decay_ms":0/' "$log"
	report "$log" -o "$page"
	browse
	sees '.settings | any(test("DECAY_MS . never"))'
}

@test "report: a change in how the process is served is marked in the charts" {
	local each before
	for each in 0 1; do
		{
			open_record 10 first
			at 1000 counters sample 10 small 700 40 60
			((each == 0)) || way 10 1006.5 off "Switched off."
			at 9000 counters final 10 small 900 40 60
		} >"$log"
		report "$log" -o "$page"
		browse
		is_readable
		((each == 1)) || before=$(jq -c .dots <<<"$seen")
	done
	[[ $(jq -c .dots <<<"$seen") != "$before" ]]
}

@test "report: shows sums of many processes, by program and by label" {
	local i
	{
		for ((i = 10; i < 16; i++)); do
			open_record "$i" worker ",\"label\":\"$((i % 2 ? 1 : 2))<i>\""
			counters final "$i" "stack 65536 php" 100 50 50 | sed 's/}$/,"calls_saved":1000}/'
		done
		open_record 20 guest | sed 's/"host":"stacks"/"host":"qemu"/'
		counters final 20 qemu-coroutine 900 0 100 | sed 's/}$/,"calls_saved":9}/'
		counters final 20 "stack 1052672 qemu" 0 0 100
		open_record 30 idle
	} >"$log"
	report "$log" -o "$page"
	browse 390
	is_readable 5
	# 42 objects in a pool are idle, at two pages each; below QEMU's coroutines lie further ones.
	sees '.totals[0] == "worker | 6 | 1,200 | 75.00 % | 300 | 6,000 | 246 | 252 | ~ 2.0\u00a0MiB | 6 × Fair"'
	sees '.totals[1:3] | sort | .[0] | startswith("1<i> | 3 | 600 | 75.00 % | 150 | 3,000 | 123 | 126 |")'
	sees '.totals[1:3] | sort | .[1] | startswith("2<i> | 3 | 600 | 75.00 % | 150 | 3,000 | 123 | 126 |")'
	sees '.totals[3] | startswith("guest | 1 | 1,000 | 90.00 % | 100 | about 9 | 41 | 42 | ~ 672\u00a0KiB | 1 × ")'
	sees '.totals[4] == "all | 7 | 2,200 | 81.81 % | 400 | about 6,009 | 287 | 294 | ~ 2.6\u00a0MiB | 7 × Fair"'
	sees '(.totals | length) == 5 and (.pools | length) == 8'
	head -n 2 "$log" >"$log.2"
	report "$log.2" -o "$page"
	browse
	sees '.totals == [] and (.titles | index("All processes together") | not)'
}

# observed PID PROGRAM CREATES MISSES: as a log of observe mode, and pooled, as one of a pool.
observed() {
	open_record "$1" "$2" ',"max_batches":0' | sed 's/"mode":"pool"/"mode":"observe"/'
	counters final "$1" "stack 65536 php" "$(($3 - $4))" 0 "$4" | sed 's/"pooled":42/"pooled":0/'
}

pooled() {
	open_record "$1" "$2"
	counters final "$1" "stack 65536 php" "$(($3 - $4))" 0 "$4" | sed 's/}$/,"calls_saved":3000}/'
}

@test "report --baseline: compares an observed log with a pooled one, with compare's verdict" {
	local old=$BATS_TEST_TMPDIR/old
	{
		observed 10 server 1000 1000
		observed 11 '<b>x' 1000 0
	} >"$old"
	{
		pooled 20 server 1000 50
		depth 20 "stack 65536 php" 65536
		pooled 21 '<b>x' 1000 0
	} >"$log"
	report "$log" --baseline "$old" -o "$page"
	[[ $status -eq 0 && -z $stderr ]]
	browse 390
	is_readable 5
	sees '.baseline.programs[0] | .name == "server" and (.verdict | test("^Helps\\. 100 % of creates were misses, now 5 %")) and (.grade | test("good"))'
	sees '.baseline.programs[0].rows[0:5] == ["Mode | observe | pool | ", "Processes | 1 | 1 | ", "Creates | 1,000 | 1,000 | same",
		"Misses | 1,000 | 50 | −95 %", "Misses of creates | 100 % | 5.00 % | "]'
	sees '.baseline.programs[0].rows | index("System calls saved | 0 | 3,000 | ") != null'
	# 44 objects at most, as deep as the stacks that somebody looked at.
	sees '.baseline.programs[0].rows | index("Memory of these, about | 528\u00a0KiB | 528\u00a0KiB | same") != null'
	sees '.baseline.programs[0].rows | any(startswith("CPU time for stacks, about | "))'
	sees '.baseline.programs[0].notes | any(test("first log has no stack depths: those of the second are used"))'
	sees '.baseline.programs[1] | .name == "<b>x" and (.verdict | test("^Does not help\\. Only 0 % of creates"))'
	sees '.baseline.which | test("^Before: .*/old. Now: .*/log.$")'
}

@test "report --baseline: says what cannot be compared, and gives no verdict then" {
	local old=$BATS_TEST_TMPDIR/old
	{
		pooled 10 server 1000 500
		observed 11 alone 1000 900
		observed 12 less 1000 900
		observed 13 late 1000 900
	} >"$old"
	{
		pooled 20 server 1000 50
		pooled 21 other 1000 50
		pooled 22 less 90 5
		pooled 23 less 90 5
		open_record 24 late | sed 's/0.2.0/0.3.0/'
		counters sample 24 "stack 65536 php" 980 0 20
		way 24 7.5 off "Switched off."
	} >"$log"
	report "$log" --baseline "$old" -o "$page"
	browse
	sees '.baseline.programs | map(.name) == ["server", "less", "late"]'
	sees '.baseline.programs[0].verdict | test("^No verdict\\. Both were pooled.* 50 % of creates missed in the first, 5 % in the second")'
	sees '.baseline.programs[0].grade == "verdict "'
	sees '.baseline.programs[1].notes | any(test("^The amount of work differs: 1,000 creates in the first log, 180 in the second")) and
		any(test("^The number of processes differs: 1 in the first log, 2 in the second"))'
	sees '.baseline.programs[2].verdict | test("^No verdict")'
	sees '.baseline.programs[2].notes | any(test("^In the second log not every process has a final record")) and any(test("switched off for a time")) and
		any(test("different versions"))'
	sees '.baseline.alone == ["other is only in the second log, so it cannot be compared.",
		"alone is only in the first log, so it cannot be compared."]'
}

@test "report --baseline: takes several logs, reports unreadable ones, and replaces none" {
	local old=$BATS_TEST_TMPDIR/old
	observed 10 server 500 400 >"$old.1"
	observed 11 server 500 500 >"$old.2"
	pooled 20 server 1000 50 >"$log"
	report "$log" -b "$old.1" --baseline="$old.2" -o "$page"
	browse
	sees '.baseline.programs[0].verdict | test("^Helps\\. 90 % of creates were misses, now 5 %")'
	report "$log" -b "$old.1" -o "$old.1"
	[[ $status -eq 2 && $stderr == *"is one of the logs"* ]]
	report "$log" -b "$old.1" -b "$old.none" -o "$page"
	[[ $status -eq 1 && $stderr == *"old.none: No such file"* ]]
	browse
	sees '(.baseline.programs | length) == 1 and (.notes | any(test("Not read whole: .*old.none: No such file")))'
	: >"$old.empty"
	report "$log" -b "$old.empty" -o "$page"
	[[ $status -eq 1 && $stderr == *"no records"* ]]
	browse
	sees '.baseline.programs == [] and (.baseline.alone | length) == 1 and .figures.Misses == "50"'
}

@test "report: origins are a flame graph: callers below, width by misses, a click enlarges" {
	{
		open_record 10 first
		counters final 10 small 700 40 10
		origin 10 small 30 '"app+0x1 inner","app+0x2 left","app+0x3 main"'
		origin 10 small 10 '"app+0x9 inner","app+0x4 right","app+0x3 main"'
	} >"$log"
	report "$log" -o "$page"
	browse
	is_readable
	sees '.flame | map([.name, .share]) | sort == [["inner", 0.25], ["inner", 0.75], ["left", 0.75], ["main", 1], ["right", 0.25], ["small", 1]]'
	sees '.flame | (map(select(.name == "small"))[0].top) > (map(select(.name == "main"))[0].top) and
		(map(select(.name == "main"))[0].top) > (map(select(.name == "inner"))[0].top)'
	sees '.flame | map(select(.name == "left"))[0].about == "left: 30 misses (75.00 %)"'
	browse_after 'document.querySelector(".flame g.frame[name=right]").dispatchEvent(new MouseEvent("click", { bubbles: true }));'
	sees '.flame | map(select(.name == "right"))[0].share == 1'
	browse_after 'document.querySelector(".flame g.frame[name=right]").dispatchEvent(new MouseEvent("click", { bubbles: true }));
		document.getElementById("whole").click();'
	sees '.flame | map(select(.name == "right"))[0].share == 0.25'
	# The libraries that draw it are in the page with their licences, and only where there is something to draw.
	grep -q 'Copyright 2010-2026 Mike Bostock' "$page"
	grep -q 'Apache License' "$page"
	grep -v origin "$log" >"$log.2"
	report "$log.2" -o "$page"
	run ! grep -q 'Bostock' "$page"
	browse
	sees '.flame == [] and (.titles | index("Where misses come from") | not)'
}

@test "report: a function's name cannot become markup in the flame graph, and estimates are called so" {
	{
		open_record 10 first
		counters final 10 '<svg onload=ran=1>' 700 40 10
		origin 10 '<svg onload=ran=1>' 30 '"app+0x1 <img src=x onerror=ran=1>","__proto__","constructor",""' | sed 's/"cut":0/"cut":1,"every":10/'
		origin 10 '<svg onload=ran=1>' 3 ''
	} >"$log"
	report "$log" -o "$page"
	browse 390
	is_readable
	sees '.ran == "undefined" and (.flame | all(.markup == 0))'
	sees '.flame | map(.name) | index("<img src=x onerror=ran=1>") != null and index("__proto__") != null and index("constructor") != null and index("…") != null'
	sees '.flame | map(.about) | index("__proto__: 30 misses, estimated (90.90 %)") != null'
}

@test "report: the time zone of the reader is named, and times are in it" {
	{
		open_record 10 first
		at 1000 counters sample 10 small 100 20 30
		at 90000000 counters final 10 small 700 40 60
	} >"$log"
	report "$log" -o "$page"
	TZ=Asia/Kolkata browse
	sees '.subtitle | test("1970-01-01 05:46:40 to 1970-01-02 06:46:40 \\(Asia/(Kolkata|Calcutta), UTC\\+5:30\\)")'
	sees '(.zone | test("^Asia/.*UTC\\+5:30")) and (.times[0] | test("^time, Asia/")) and .times[1] == "1970-01-01 05:46:41"'
	TZ=UTC browse
	sees '.subtitle | test("1970-01-01 00:16:40 to 1970-01-02 01:16:40 \\(UTC\\)")'
	sees '.zone == "UTC" and .times[0] == "time, UTC"'
}

# every_view CHARTS: the page is readable at each width, in light and dark.
every_view() { # CHARTS
	local width colours
	for width in 390 1400; do
		for colours in light dark; do
			browse "$width" "$colours"
			is_readable "$1"
		done
	done
}

@test "report: the page of a real run with origins against an observed one is readable at each width" {
	requires qemu-img
	run_pooled COPOOL_INTERVAL_MS=20 COPOOL_ORIGINS=1 qemu-img bench -w -c 100000 -d 256 --flush-interval=256 \
		--image-opts driver=null-aio,size=16M
	[[ $status -eq 0 ]]
	run env "LD_PRELOAD=$COPOOL_SO" COPOOL_MODE=observe "COPOOL_LOG=$log.old" qemu-img bench -w -c 100000 -d 256 \
		--flush-interval=256 --image-opts driver=null-aio,size=16M
	[[ $status -eq 0 ]]
	report "$LOG" --baseline "$log.old" -o "$page"
	[[ $status -eq 0 && -z $stderr ]]
	every_view 5
	sees '(.baseline.programs | length) == 1 and (.baseline.programs[0].verdict | test("^Helps"))'
	sees '(.flame | length) > 3 and (.depths | length) == 1 and (.depths[0].said | test("QEMU has no setting"))'
}

@test "report: the page of PHP workers is readable at each width" {
	requires php
	local i
	for i in 1 2 3; do
		# shellcheck disable=SC2016 # PHP's
		run_pooled COPOOL_INTERVAL_MS=20 COPOOL_ORIGINS=1 COPOOL_LABEL="site-$((i % 2))" php -r '
			for ($i = 0; $i < 3000; $i++) { $f = new Fiber(fn() => Fiber::suspend(1)); $f->start(); $f->resume(); }'
		[[ $status -eq 0 ]]
	done
	report "$LOG" -o "$page"
	every_view 5
	sees '(.totals | length) == 3 and (.totals[0] | test("^php \\| 3 \\| 9,000 "))'
	sees '.settings | any(test("LABEL . site-"))'
}

@test "report: with thousands of processes it shows sums, and every pool can be chosen" {
	{
		open_record 10 first
		counters final 10 small 700 40 60
		awk -v open="$(open_record 77777 worker)" -v final="$(counters final 77777 small 100 50 50)" 'BEGIN {
			for (i = 1000; i < 4000; i++) {
				a = open; b = final
				sub("77777", i, a); sub("77777", i, b)
				print a; print b
			} }'
	} >"$log"
	report "$log" -o "$page"
	browse 390
	is_readable
	sees '.totals[0] | startswith("worker | 3,000 | 600,000 | 75.00 % | 150,000 |")'
	sees '(.pools | length) == 3001'
}
