#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Apache with mod_php, as Debian has it: PHP comes as a module, which Apache loads, lets go, and loads again; its workers,
# forks of it with fewer rights, come and go as they are told to.

load lib/helper
load lib/apache

setup() {
	requires jq
	requires_apache
	cd "$BATS_TEST_TMPDIR" || return
	unset LD_PRELOAD
	# Workers are another user.
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
}

# serve [DIRECTIVE...]: starts the server, which leaves its address in $url. Each of its processes has a log.
serve() {
	write_site "$PWD/site" "$@"
	PORT=$(free_port)
	export PORT
	url=http://127.0.0.1:$PORT/fibers.php
	# It ends its process group with itself.
	start setsid env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$PWD/site/logs/%p.jsonl" apache2 -f "$PWD/site/conf" -DFOREGROUND
	wait_until 10 answers "$url"
}

# ask NUMBER: so many requests, one after the other, each of which has the right answer.
ask() {
	curl -s --noproxy '*' --max-time 60 --parallel --parallel-max 2 "$url?[1-$1]" >answer
	[[ $(sort answer | uniq -c | tr -s ' ') == " $1 501500" ]]
}

# Whether it has begun its work twice.
has_resumed() {
	(($(grep -c 'resuming normal operations' site/errors) >= 2))
}

workers() {
	# shellcheck disable=SC2154 # start sets it
	pgrep -P "$pid"
}

# The logs of all processes make one. Its processes have ended, and in each the counters balance.
logs() {
	LOG=$PWD/all.jsonl
	cat site/logs/*.jsonl >"$LOG"
	check_balance
	[[ $(log_records warning) == '' && $(log_final live) -eq 0 ]]
}

created() {
	echo $(($(log_final create_local) + $(log_final create_depot) + $(log_final create_new)))
}

@test "apache: the fibers of mod_php are pooled in each worker, and every one is counted" {
	serve
	ask 40
	stop "$pid"
	logs
	# The first request was whether it is there.
	[[ $(created) -eq 41000 && $(log_final create_new) -le 2 ]]
	[[ $(log_records final .pool | sort -u) == 'stack 2101248 php' ]]
	[[ $(log_records open '.host' | sort | uniq -c | tr -s ' ' | tr -d '\n') == " 1 none"*" stacks" ]]
}

@test "apache: workers that end after some requests, and those of a graceful restart, leave nothing uncounted" {
	serve 'MaxConnectionsPerChild 10'
	ask 20
	kill -USR1 "$pid"
	wait_until 10 has_resumed
	wait_until 10 answers "$url"
	ask 20
	stop "$pid" WINCH # graceful, too
	logs
	(($(created) >= 42000))
	(($(log_records final .pid | sort -u | wc -l) >= 4))
}

@test "apache: of its processes the one that waits says so, and those that serve show their pools" {
	serve
	ask 10
	run "$COPOOL" show "$pid"
	[[ $status -eq 0 && $output == *'host none'*'no known coroutines'* ]]
	run "$COPOOL" trim "$pid"
	[[ $status -ne 0 && $output == *'nothing is pooled'* ]]
	for worker in $(workers); do
		"$COPOOL" show "$worker"
	done >shown
	grep -q 'host stacks' shown
	grep -q 'stack 2101248 php' shown
}
