# SPDX-License-Identifier: MIT
# Records of a log, made up.
# shellcheck shell=bash

# open_record PID PROGRAM [KEYS]
open_record() {
	printf '{"type":"open","time":1.5,"pid":%d,"format":1,"version":"0.2.0","program":"%s",' "$1" "$2"
	printf '"host":"stacks","mode":"pool","detail":"As it was found.","ppid":0%s}\n' "${3-}"
}

# counters TYPE PID POOL LOCAL DEPOT NEW: 1250 ms after the start.
counters() {
	printf '{"type":"%s","time":2.5,"pid":%d,"uptime_ms":1250,"pool":"%s",' "$1" "$2" "$3"
	printf '"create_local":%d,"create_depot":%d,"create_new":%d,' "$4" "$5" "$6"
	printf '"destroy_local":1,"destroy_depot":2,"destroy_delete":3,"live":41,"pooled":42,"peak_live":43,'
	printf '"peak_objects":44,"inherited":0,"depot_batches":2,"depot_retries":0,"trimmed":45,"threads":4}\n'
}

# at UPTIME_MS COMMAND...: the record that the command prints, of another time.
at() {
	local uptime_ms=$1
	shift
	"$@" | sed "s/\"uptime_ms\":1250/\"uptime_ms\":$uptime_ms/; s/\"time\":2.5/\"time\":$((1000 + uptime_ms / 1000)).5/"
}

# many_samples NUMBER: of one process, a second apart; its peak of 990 alive is in one sample alone.
many_samples() {
	open_record 10 many
	awk -v number="$1" 'BEGIN {
		for (i = 1; i <= number; i++)
			printf "{\"type\":\"sample\",\"time\":%d.5,\"pid\":10,\"uptime_ms\":%d,\"pool\":\"small\"," \
				"\"create_local\":%d,\"create_depot\":%d,\"create_new\":%d,\"destroy_local\":1," \
				"\"destroy_depot\":2,\"destroy_delete\":3,\"live\":%d,\"pooled\":42,\"peak_live\":990," \
				"\"peak_objects\":999,\"inherited\":0,\"depot_batches\":2,\"depot_retries\":0," \
				"\"trimmed\":45,\"threads\":4,\"calls_saved\":0,\"maps_saved\":0}\n",
				1000 + i, i * 1000, i * 100, i * 10, i, i == int(number / 3) ? 990 : i % 100
	}'
}
