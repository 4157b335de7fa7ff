#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# copool plot: a picture of a pool over time, by gnuplot.

load lib/helper
load lib/records

setup() {
	log=$BATS_TEST_TMPDIR/log
	picture=$BATS_TEST_TMPDIR/picture
}

plot() {
	run timeout 300 "$COPOOL" plot "$@"
	echo "copool plot $*: $status"
	echo "$output" | head -c 4000
}

# What an SVG says in words.
words() {
	python3 -c '
import sys, xml.etree.ElementTree as tree
print("\n".join("".join(text.itertext()).strip() for text in tree.parse(sys.argv[1]).iter("{http://www.w3.org/2000/svg}text")))' "$1"
}

two_samples() {
	open_record 10 "${1-first}"
	at 1000 counters sample 10 small 100 20 30
	at 4000 counters final 10 small 700 40 60
}

@test "plot: a real run becomes a picture, as svg, png and pdf" {
	requires qemu-img gnuplot python3
	run_pooled COPOOL_INTERVAL_MS=20 qemu-img bench -w -c 30000 -d 256 --flush-interval=256 \
		--image-opts driver=null-aio,size=16M
	[[ $status -eq 0 ]]
	local format
	for format in svg png pdf; do
		plot "$LOG" -o "$picture.$format"
		[[ $status -eq 0 && -z $output && $(stat -c %s "$picture.$format") -gt 5000 ]]
	done
	[[ $(head -c 8 "$picture.png" | od -An -tx1) == ' 89 50 4e 47 0d 0a 1a 0a' ]]
	[[ $(head -c 4 "$picture.pdf") == %PDF ]]
	words "$picture.svg" >"$BATS_TEST_TMPDIR/words"
	grep -qE "^qemu-img \[[0-9]+\], qemu-coroutine: [0-9]+ creates, $(log_final create_new qemu-coroutine) missed$" \
		"$BATS_TEST_TMPDIR/words"
	for word in 'creates per second' missed depot 'given back' idle alive 'most so far' 'seconds since the program began'; do
		grep -qxF "$word" "$BATS_TEST_TMPDIR/words"
	done
}

@test "plot: --script prints what gnuplot would be given" {
	requires gnuplot python3
	two_samples >"$log"
	plot --script "$log" -o "$BATS_TEST_TMPDIR/it's.svg"
	[[ $status -eq 0 && ! -e $BATS_TEST_TMPDIR/it\'s.svg ]]
	# From 0 to 1 s 100, 20 and 30 a second; from 1 to 4 s 200, 6.67 and 10, of which none was given back.
	grep -qxF '0 100 20 30 45 20 0 0 0' <<<"$output"
	grep -qxF '1 200 6.66667 10 0 4.61538 41 42 44' <<<"$output"
	grep -qxF '4 0 0 0 0 0 41 42 44' <<<"$output"
	gnuplot --default-settings - <<<"$output"
	words "$BATS_TEST_TMPDIR/it's.svg" | grep -qxF 'first [10], small: 800 creates, 60 missed'
	plot --script "$log"
	[[ $status -eq 0 && $output == "set terminal svg"* && $output != *"set output"* ]]
}

@test "plot: the areas of creates stand on each other, as high as the log says" {
	requires gnuplot python3
	two_samples >"$log"
	plot "$log" -o "$picture.svg"
	# From 1 to 4 s: 200 a second from the cache, 6.67 from the depot, 10 missed.
	python3 - "$picture.svg" <<-'END'
		import re, sys
		svg = open(sys.argv[1]).read()
		def height(*colour):
		    fill = r"<polygon fill = 'rgb\( *%d, *%d, *%d\)'[^>]*points = '([^']*)'" % colour
		    corners = [[float(corner.split(",")[1]) for corner in points.split()] for points in re.findall(fill, svg)]
		    return max(max(ys) - min(ys) for ys in corners)
		missed, depot, cache = height(213, 94, 0), height(86, 180, 233), height(0, 114, 178)
		print(missed, depot, cache)
		assert missed > 100, missed
		assert abs(depot / missed - 206.67 / 216.67) < 0.01 and abs(cache / missed - 200 / 216.67) < 0.01
	END
}

@test "plot: a name is shown as it is, and never run" {
	requires gnuplot python3
	cd "$BATS_TEST_TMPDIR"
	# shellcheck disable=SC2016
	two_samples '`touch ran`'\''\"; system(\"touch ran\") #_{x}' >"$log"
	plot "$log" -o "$picture.svg"
	[[ $status -eq 0 && ! -e ran ]]
	# shellcheck disable=SC2016
	words "$picture.svg" | grep -qF '`touch ran`'\''"; system("touch ran") #_{x} [10], small'
}

@test "plot: the busiest pool is drawn, or the one that is asked for" {
	{
		two_samples
		open_record 20 second
		at 1000 counters sample 20 large 2000 0 0
		at 1000 counters sample 20 small 7 0 0
		at 2000 counters sample 20 small 8 0 0
	} >"$log"
	plot --script "$log"
	[[ $output == *"title 'second [20], large: 2000 creates, 0 missed'"* ]]
	plot --script --pid 10 "$log"
	[[ $output == *"title 'first [10], small: 800 creates"* ]]
	plot --script --pool small --pid=20 "$log"
	[[ $output == *"title 'second [20], small: 8 creates"* ]]
	plot --script --pool none "$log"
	[[ $status -eq 1 && $output == *"copool plot: there is no pool \`none'; there are "* && $output == *"\`small'"* ]]
	plot --script --pid 30 "$log"
	[[ $status -eq 1 ]]
}

@test "plot: without gnuplot it says so, and what was there stays" {
	two_samples >"$log"
	mkdir "$BATS_TEST_TMPDIR/empty"
	echo before >"$picture.svg"
	PATH=$BATS_TEST_TMPDIR/empty run "$COPOOL" plot "$log" -o "$picture.svg"
	echo "$output"
	[[ $status -eq 1 && $output == *"there is no gnuplot"*"--script"* && $(cat "$picture.svg") == before ]]
	printf '#!/bin/sh\necho half\nexit 3\n' >"$BATS_TEST_TMPDIR/empty/gnuplot"
	chmod +x "$BATS_TEST_TMPDIR/empty/gnuplot"
	PATH=$BATS_TEST_TMPDIR/empty:$PATH run "$COPOOL" plot "$log" -o "$picture.svg"
	[[ $status -eq 1 && $output == *"gnuplot failed"* && $(cat "$picture.svg") == before ]]
	[[ $(find "$BATS_TEST_TMPDIR" -name '.copool*' | wc -l) -eq 0 ]]
}

@test "plot: what cannot be written is said" {
	requires gnuplot
	two_samples >"$log"
	plot "$log" -o "$BATS_TEST_TMPDIR/no/picture.svg"
	[[ $status -eq 1 && $output == *"cannot write"*"No such file"* ]]
	ln -s /dev/full "$picture.svg"
	plot "$log" -o "$picture.svg"
	[[ $status -eq 1 ]]
	run bash -c '"$0" plot --script "$1" >/dev/full' "$COPOOL" "$log"
	[[ $status -eq 1 && $output == *"cannot write"* ]]
}

@test "plot: a log with nothing to draw is status 1" {
	plot "$BATS_TEST_TMPDIR/none" -o "$picture.svg"
	[[ $status -eq 1 && $output == *"No such file"* ]]
	: >"$log"
	plot "$log" -o "$picture.svg"
	[[ $status -eq 1 && $output == *"no records"* ]]
	counters sample 10 small 1 1 1 >"$log"
	plot "$log" -o "$picture.svg"
	[[ $status -eq 1 && $output == *"no two samples of any pool"* && ! -e $picture.svg ]]
	plot "$log" -P 11 -o "$picture.svg"
	[[ $status -eq 1 && $output == *"the logs have no counters of process 11"* && ! -e $picture.svg ]]
}

@test "plot: what is wrong with the log is said, and the rest is drawn" {
	requires gnuplot
	{
		echo nonsense
		two_samples
	} >"$log"
	plot "$log" -o "$picture.svg"
	[[ $status -eq 0 && $output == *"line 1: not a JSON object"* && -s $picture.svg ]]
}

@test "plot: wrong options are status 2" {
	two_samples >"$log"
	local wrong
	for wrong in "" "-o $picture.gif" "-o $picture" "-o -" "--pid x -o a.svg" "--pid 0 -o a.svg" "--nonsense -o a.svg"; do
		# shellcheck disable=SC2086 # several words
		plot "$log" $wrong
		[[ $status -eq 2 ]]
	done
	plot -o "$picture.svg"
	[[ $status -eq 2 && $output == *"which log"* ]]
}
