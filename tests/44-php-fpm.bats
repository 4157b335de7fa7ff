#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# php-fpm as it is run: its master is root, its workers are another user, come and go, and are behind nginx. All that its
# workers do is in the log, requests end as they did, and a worker takes little more memory.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2154 # lib/fpm.bash and helper.bash set what is used here

load lib/helper
load lib/packages
load lib/fpm

setup() {
	requires_fpm
	cd "$BATS_TEST_TMPDIR" || return
	unset LD_PRELOAD
	fpm_folder
}

# A service's life under load: reloaded, workers that end after 25 requests, stopped. Leaves how many requests failed in
# $failed, who served in the file `served`, and the master's status.
fpm_life() { # stock|pooled [VARIABLE=VALUE...] [-- OPTION...]
	local load
	fpm_start "$@"
	rm -f end answers
	fpm_load 8 end >answers 2>errors &
	load=$!
	watch_over "$load"
	wait_until 60 fpm_has_ended "$FPM_WORKERS"
	kill -USR2 "$master"
	wait_until 60 fpm_is_ready 2
	wait_until 60 fpm_has_ended $((3 * FPM_WORKERS))
	touch end
	ended "$load" 60
	[[ $status -eq 0 ]]
	fpm_stop
	cat answers
	head -n 5 errors
	failed=$(sed -E 's/.* ([0-9]+) failed.*/\1/' answers)
	sed 's/.*served by //' answers | tr ' ' '\n' | sort -n >served
}

fpm_has_ended() { # COUNT
	[[ $(fpm_ends | wc -l) -ge $1 ]]
}

# Each worker that there was is in the log, as the master's child, and what it did to the last.
check_workers() {
	fpm_started >started
	[[ $(wc -l <started) -gt $((3 * FPM_WORKERS)) ]]
	diff <(sort started) <(jq -r --argjson master "$master" 'select(.type == "open" and .ppid == $master).pid' "$LOG" | sort)
	comm -23 <(sort served) <(log_records final .pid | sort) >missing
	[[ -s served && ! -s missing ]]
	check_balance
	[[ $(log_records final 'select(.live != 0)' | wc -l) -eq 0 ]]
	log_records warning .text >warnings
	cat warnings
	[[ $(wc -l <warnings) -eq ${1-0} ]]
	# Nothing but their ends makes new ones.
	jq -es 'map(select(.type == "final")) | all(.[]; .create_new <= 120)' "$LOG" >/dev/null
}

# fpm_twin NAME=VALUE... [-- OPTION...]: that life with and without the shim.
fpm_twin() {
	local stock_failed stock_ends
	fpm_configure 'pm.max_requests = 25'
	fpm_life stock "$@"
	stock_failed=$failed
	stock_ends=$(fpm_ends | cut -d ' ' -f 2- | sort -u)
	[[ $status -eq 0 ]]
	fpm_life pooled "$@"
	[[ $status -eq 0 && $failed -le $stock_failed ]]
	diff <(echo "$stock_ends") <(fpm_ends | cut -d ' ' -f 2- | sort -u)
	[[ $stock_ends == 'with code 0' ]]
}

@test "php-fpm: through load, reload, workers that end and a graceful stop, each worker's records are in the one log that root may write" {
	LOG=$PWD/logs/log.jsonl
	fpm_twin
	check_workers
	[[ $(stat -c '%U %a' "$LOG") == 'root 640' ]]
}

@test "php-fpm: with %p each worker has a log of its own, though its user may not make one" {
	local each
	LOG=$PWD/logs/%n-%p.jsonl
	fpm_configure 'pm.max_requests = 25'
	fpm_life pooled
	[[ $status -eq 0 ]]
	fpm_started >started
	while read -r each; do
		LOG=$(echo logs/*-"$each".jsonl)
		[[ $(log_records open .pid) == "$each" ]]
	done <started
	while read -r each; do
		LOG=$(echo logs/*-"$each".jsonl)
		check_balance "$each"
	done <served
}

# PHP has opcache.so change its user by a call that no preload hears of (RTLD_DEEPBIND), in a child that preloads and ends.
@test "php-fpm: with opcache.preload and JIT it is the same, and who preloads is told of, as its records cannot arrive" {
	LOG=$PWD/logs/log.jsonl
	fpm_twin -- -d zend_extension="$opcache" -d opcache.enable=1 -d opcache.preload="$PWD/preload.php" \
		-d opcache.preload_user=www-data -d opcache.jit=tracing -d opcache.jit_buffer_size=16M
	check_workers 2 # of the master, started and reloaded
	[[ $(grep -c "a forked child, cannot open this log as user $(id -u www-data)" warnings) -eq 2 ]]
}

@test "php-fpm: a worker's own memory is little more than without the shim, idle, after load, and when that is over" {
	local stock pooled
	# stock, pooled: KiB a worker that is idle, and that has served
	fpm_configure
	fpm_start stock
	stock=("$(fpm_private_kb)")
	fpm_load_all
	stock+=("$(fpm_private_kb)")
	fpm_stop
	LOG=$PWD/logs/log.jsonl
	fpm_start pooled COPOOL_DECAY_MS=400
	pooled=("$(fpm_private_kb)")
	fpm_load_all
	pooled+=("$(fpm_private_kb)")
	echo "stock ${stock[*]}, pooled ${pooled[*]} KiB a worker"
	# Version 0.1.0: 316 KiB more without a log, and 1100 after such a load.
	((pooled[0] - stock[0] < 158 && pooled[1] - stock[1] < 700))
	wait_until 30 fpm_is_small $((stock[1] + 350))
	fpm_stop
	check_balance
}

fpm_is_small() { # KIB
	(($(fpm_private_kb) < $1))
}
