#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The counters as Prometheus sees them, through node_exporter's textfile collector; the dashboard, the alerts, and
# copool prune.

# shellcheck disable=SC2030,SC2031,SC2154,SC2317 # bats runs each test in a shell of its own; helper.bash sets pid
load lib/helper

setup() {
	requires php jq promtool
	cd "$BATS_TEST_TMPDIR" || return
	tools=$BATS_TEST_DIRNAME/../tools
	mkdir series
	# Fibers come and go until the file `stop` is there, and say so in `ready`.
	cat >server.php <<-'END'
		<?php
		$body = static function (): void { Fiber::suspend(); };
		touch("ready." . getmypid());
		do {
			$held = [];
			for ($i = 0; $i < 100; $i++) {
				$held[$i] = new Fiber($body);
				$held[$i]->start();
			}
			unset($held);
			do {
				usleep(20000);
				clearstatcache();
				if ($pause = file_exists("pause")) touch("paused");
			} while ($pause && !file_exists("stop"));
		} while (!file_exists("stop"));
	END
}

teardown() {
	touch "$BATS_TEST_TMPDIR/stop"
	stop_all
}

serve() { # SETTING...: leaves its process in $pid
	start_pooled COPOOL_PROMETHEUS="$PWD/series/%n-%p.prom" COPOOL_INTERVAL_MS=100 "$@" php -n server.php
	wait_until 20 test -e "ready.$pid"
}

has_creates() { # FILE
	grep -qE '^copool_create_total.*kind="local"} [1-9]' "$1" 2>/dev/null
}

@test "prometheus: the file is good by promtool's lights, readable by all, and gone with its process" {
	umask 077
	serve
	wait_until 20 has_creates "series/php-$pid.prom"
	cp -p "series/php-$pid.prom" seen
	[[ $(stat -c %a seen) == 644 ]]
	promtool check metrics <seen >lint 2>&1
	cat lint
	[[ ! -s lint ]]
	[[ $(grep -c "^copool_info{program=\"php\",pid=\"$pid\",version=\".*\",host=\"stacks\",mode=\"pool\",way=\"[a-z]*\"} 1\$" seen) -eq 1 ]]
	touch stop
	ended "$pid"
	[[ $status -eq 0 && -z $(ls series) ]]
}

@test "prometheus: what the file says is what the log says" {
	serve COPOOL_LOG="$PWD/own"
	wait_until 20 has_creates "series/php-$pid.prom"
	touch pause
	wait_until 20 test -e paused
	local name
	agrees() { # NAME: both have been written since, and say the same
		[[ $(sed -n "s/^copool_create_total.*kind=\"$1\"} //p" "series/php-$pid.prom") == $(jq -n --arg name "create_$1" \
			'[inputs | select(.type == "sample") | .[$name]] | last' own) ]]
	}
	for name in local depot new; do
		wait_until 10 agrees $name
	done
	touch stop
	ended "$pid"
	# At rest since long before the last sample.
	[[ $(jq -n '[inputs | select(.type | IN("sample", "final")) | .create_local] | .[-1] - .[-2]' own) -eq 0 ]]
}

@test "prometheus: a program's name cannot break the format" {
	cp "$(command -v php)" $'we"ird\\na\nme\xff'
	start_pooled COPOOL_PROMETHEUS="$PWD/series/a.prom" COPOOL_INTERVAL_MS=100 $'./we"ird\\na\nme\xff' -n server.php
	wait_until 20 has_creates series/a.prom
	promtool check metrics <series/a.prom
	grep -qF 'program="we\"ird\\na\nme'$'\xef\xbf\xbd"' series/a.prom
	touch stop
	ended "$pid"
}

@test "prometheus: pools of one size that are asked for at several places are a series each" {
	requires_program several
	start_pooled COPOOL_PROMETHEUS="$PWD/series/a.prom" COPOOL_INTERVAL_MS=50 COPOOL_HOST=stacks \
		"$PROGRAMS/several" use touch used wait stop
	wait_until 20 test -e used
	is_counted() { [[ $(grep -c '^copool_create_total.*kind="new"} [1-9]' series/a.prom) -eq 3 ]]; }
	wait_until 20 is_counted
	cp series/a.prom seen
	promtool check metrics <seen
	[[ -z $(grep -v '^#' seen | sed 's/ [^ ]*$//' | sort | uniq -d) ]]
	touch stop
	ended "$pid"
}

@test "prometheus: a file that cannot be written is told once, and the program runs on" {
	start_pooled COPOOL_PROMETHEUS="$PWD/nowhere/a.prom" COPOOL_INTERVAL_MS=50 php -n server.php
	wait_until 20 test -e "ready.$pid"
	samples() { [[ $(log_records sample | wc -l) -ge 4 ]]; }
	wait_until 20 samples
	touch stop
	ended "$pid"
	[[ $status -eq 0 ]]
	[[ $(log_records warning .text | grep -c 'COPOOL_PROMETHEUS=.*No such file') -eq 1 ]]
}

@test "prometheus: without a log, a folder that is not there is told at the start" {
	run --separate-stderr env LD_PRELOAD="$COPOOL_SO" COPOOL_PROMETHEUS="$PWD/nowhere/a.prom" \
		php -n -r "\$f = new Fiber(fn() => 1); \$f->start(); echo \"fine\";"
	# shellcheck disable=SC2154 # run sets it
	[[ $status -eq 0 && $output == fine && $(wc -l <<<"$stderr") -eq 1 ]]
	[[ $stderr == "copool: COPOOL_PROMETHEUS=$PWD/nowhere/a.prom: No such file or directory; it is tried again at each interval" ]]
	# What has nothing to pool says nothing.
	run env LD_PRELOAD="$COPOOL_SO" COPOOL_PROMETHEUS="$PWD/nowhere/a.prom" ls -d /
	[[ $status -eq 0 && $output == / ]]
}

@test "prometheus: a child of a fork has a file of its own if the setting names the process, else none" {
	requires_php_extension pcntl
	cat >fork.php <<-'END'
		<?php
		$body = static function (): void { Fiber::suspend(); };
		(new Fiber($body))->start();
		$child = pcntl_fork();
		if ($child > 0) file_put_contents("child", $child);
		touch("ready." . getmypid());
		do {
			(new Fiber($body))->start();
			usleep(10000);
			clearstatcache();
		} while (!file_exists("stop"));
		if ($child > 0) pcntl_waitpid($child, $status);
	END
	start_pooled COPOOL_PROMETHEUS="$PWD/series/%p.prom" COPOOL_INTERVAL_MS=50 php fork.php
	wait_until 20 test -s child
	wait_until 20 has_creates "series/$pid.prom"
	wait_until 20 test -s "series/$(<child).prom"
	touch stop
	ended "$pid"
	[[ -z $(ls series) ]]

	rm stop child
	start_pooled COPOOL_PROMETHEUS="$PWD/series/one.prom" COPOOL_INTERVAL_MS=50 COPOOL_LOG="$PWD/own" php fork.php
	wait_until 20 test -s child
	local child
	child=$(<child)
	samples() { [[ $(jq -n --argjson pid "$child" '[inputs | select(.pid == $pid and .type == "sample")] | length' own) -ge 3 ]]; }
	wait_until 20 samples
	[[ $(<series/one.prom) == *"pid=\"$pid\""* && $(<series/one.prom) != *"pid=\"$child\""* ]]
	touch stop
	ended "$pid"
	[[ -z $(ls series) ]]
}

requires_php_extension() {
	php -m | grep -qx "$1" || lacks "php has no $1"
}

# ---- the real thing ----

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

ask() { # PROMQL: the values, one a line
	curl -sS --noproxy '*' --max-time 5 --get --data-urlencode "query=$1" "http://127.0.0.1:$port/api/v1/query" |
		jq -r '.data.result[] | .value[1]'
}

counts() { # PROMQL NUMBER
	[[ $(ask "$1" | wc -l) -eq $2 ]]
}

@test "prometheus: the series of two processes arrive, feed the dashboard, and vanish with them, or when pruned" {
	requires prometheus prometheus-node-exporter curl python3
	local exporter first second expression
	exporter=$(free_port)
	start_stock prometheus-node-exporter --collector.disable-defaults --collector.textfile \
		--collector.textfile.directory="$PWD/series" --web.listen-address="127.0.0.1:$exporter"
	cat >prometheus.yml <<-END
		global: { scrape_interval: 1s, evaluation_interval: 1s }
		rule_files: ["$(realpath "$tools/grafana/alerts.yml")"]
		scrape_configs:
		  - job_name: node
		    static_configs: [{ targets: ["127.0.0.1:$exporter"] }]
	END
	port=$(free_port)
	start_stock prometheus --config.file=prometheus.yml --storage.tsdb.path="$PWD/tsdb" --log.level=warn \
		--web.listen-address="127.0.0.1:$port"
	serve
	first=$pid
	serve
	second=$pid
	wait_until 60 counts 'sum by (pid) (copool_objects)' 2
	wait_until 60 counts 'rate(copool_create_total{kind="local"}[10s]) > 0' 2
	counts 'node_textfile_scrape_error == 0' 1

	# Every query of the dashboard has an answer, with what Grafana puts in filled in.
	while read -r expression; do
		expression=${expression//\$__rate_interval/10s}
		expression=${expression//\$instance/.*}
		expression=${expression//\$program/.*}
		expression=${expression//\$pool/.*}
		echo "$expression"
		[[ $(ask "$expression" | wc -l) -ge 1 ]]
	done < <(jq -r '.panels[].targets[].expr' "$tools/grafana/copool.json")
	[[ $(curl -sS --noproxy '*' --max-time 5 "http://127.0.0.1:$port/api/v1/rules" |
		jq '[.data.groups[].rules[] | select(.health == "ok")] | length') -eq 4 ]]

	kill -KILL "$second"
	ended "$second"
	run "$COPOOL" prune --older=0 series
	[[ $output != *removed*"$first"* ]]
	prune() { [[ $("$COPOOL" prune --older=0 series) == "removed series/php-$second.prom" ]]; }
	[[ $output == *"removed series/php-$second.prom"* ]] || wait_until 20 prune
	wait_until 60 counts 'sum by (pid) (copool_objects)' 1
	touch stop
	ended "$first"
	wait_until 60 counts 'copool_objects' 0
}

@test "alerts: each fires when it should, by promtool's rule tests" {
	cp "$tools/grafana/alerts.yml" "$BATS_TEST_DIRNAME/fixtures/alerts_test.yml" .
	promtool check rules alerts.yml
	promtool test rules alerts_test.yml
}

@test "dashboard and alerts: they name only series that are exported" {
	serve
	wait_until 20 has_creates "series/php-$pid.prom"
	local name
	while read -r name; do
		echo "$name"
		grep -q "^$name{" "series/php-$pid.prom"
	done < <(grep -ohE 'copool_[a-z_]+' "$tools/grafana/copool.json" "$tools/grafana/alerts.yml" | sort -u)
	touch stop
	ended "$pid"
}

# ---- copool prune ----

a_file() { # NAME PID AGE: as the library writes it
	cat >"series/$1" <<-END
		# HELP copool_info What reports.
		# TYPE copool_info gauge
		copool_info{program="x",pid="$2",version="1",host="stacks",mode="pool"} 1
		# HELP copool_interval_seconds How often these series are written.
		# TYPE copool_interval_seconds gauge
		copool_interval_seconds{program="x",pid="$2"} ${4-1.000}
	END
	touch -d "$3 seconds ago" "series/$1"
}

@test "prune: only copool's own old files of processes that are gone are removed" {
	local gone=4194303 # the highest that there can be
	is_gone $gone
	a_file gone.prom $gone 100
	a_file gone.prom.$gone.tmp $gone 100
	a_file recent.prom $gone 10
	a_file slow.prom $gone 100 60.000
	a_file lives.prom $$ 0
	a_file number-was-given-again.prom $$ 31536000
	a_file other-name.txt $gone 100
	echo 'node_other{program="x",pid="4194303"} 1' >series/other.prom
	echo >series/empty.prom
	touch -d '100 seconds ago' series/other.prom series/empty.prom
	ln -s gone.prom series/link.prom
	mkdir series/folder.prom
	mkfifo series/fifo.prom
	run --separate-stderr "$COPOOL" prune --dry-run series
	[[ $status -eq 0 && $(find series -mindepth 1 | wc -l) -eq 12 ]]
	[[ $(sort <<<"$output") == $(printf 'would remove series/%s\n' gone.prom gone.prom.$gone.tmp number-was-given-again.prom) ]]
	run --separate-stderr "$COPOOL" prune series
	[[ $status -eq 0 && $stderr == 'copool prune: 2 more of processes that are gone: written in the last 60 seconds (--older)'* ]]
	[[ $(sort <<<"$output") == $(printf 'removed series/%s\n' gone.prom gone.prom.$gone.tmp number-was-given-again.prom) ]]
	[[ $(find series -mindepth 1 | wc -l) -eq 9 ]]
	run "$COPOOL" prune --older=0 series
	[[ $output == *'removed series/recent.prom'*'1 more of processes'*'in the last 0 seconds'* || $output == *'1 more'*recent.prom* ]]
}

@test "prune: what cannot be done is said" {
	run "$COPOOL" prune
	[[ $status -eq 2 && $output == *'which folder'* ]]
	run "$COPOOL" prune --older=soon series
	[[ $status -eq 2 && $output == *'--older=soon'* ]]
	run "$COPOOL" prune nowhere
	[[ $status -eq 1 && $output == *'nowhere: No such file or directory'* ]]
}
