# SPDX-License-Identifier: MIT
# php-fpm behind nginx: a master that is root, workers that are www-data, on a loopback port, and a load. Debian's packages,
# unpacked below build/cache and never installed: nothing of the machine's services is touched.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # what is set here is for the tests; helper.bash sets pid

FPM_WORKERS=20

requires_fpm() {
	local php suite
	[[ $(id -u) -eq 0 ]] || skip "only root can become www-data"
	getent passwd www-data >/dev/null || lacks "there is no user www-data"
	requires php python3 jq
	php=$(php -n -r 'echo PHP_MAJOR_VERSION, ".", PHP_MINOR_VERSION;')
	# shellcheck source=/dev/null
	suite=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
	requires_unpacked "php-fpm-$php" "$suite" "php$php-fpm" "php$php-opcache" libapparmor1 nginx
	fpm_root=$CACHE/php-fpm-$php
	fpm=$fpm_root/usr/sbin/php-fpm$php
	nginx=$fpm_root/usr/sbin/nginx
	fpm_libraries=$(echo "$fpm_root"/usr/lib/*-linux-gnu)
	opcache=$(echo "$fpm_root"/usr/lib/php/*/opcache.so)
	requires_libraries "$fpm" "$fpm_libraries"
	requires_libraries "$nginx" "$fpm_libraries"
}

# What workers read and write as another user.
fpm_folder() {
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
	mkdir -m 755 www
	mkdir -m 700 logs
	# A hundred fibers alive at once, and more one after another; it says which worker it was.
	cat >www/page.php <<-'END'
		<?php
		$sum = 0;
		$alive = [];
		for ($i = 0; $i < 100; $i++) {
			$alive[$i] = new Fiber(function (int $n): int { return $n + Fiber::suspend($n); });
			$sum += $alive[$i]->start($i);
		}
		foreach ($alive as $fiber) {
			$fiber->resume(1);
			$sum += $fiber->getReturn();
		}
		for ($i = 0; $i < 100; $i++) {
			$fiber = new Fiber(function (): void { Fiber::suspend(); });
			$fiber->start();
			$fiber->resume();
		}
		usleep((int)($_GET['us'] ?? 0));
		echo "sum $sum of ", getmypid(), "\n";
	END
	cat >preload.php <<-'END'
		<?php
		for ($i = 0; $i < 50; $i++) {
			$fiber = new Fiber(function (int $n): int { return $n + Fiber::suspend($n); });
			$fiber->start($i);
			$fiber->resume(1);
		}
		function preloaded(): string { return 'preloaded'; }
	END
	cat >load.py <<-'END'
		# load.py PORT THREADS REQUESTS [US]: so many requests to the page; says how many failed, and the workers that served.
		# REQUESTS may be a file's name: until that is there.
		import os, sys, threading, urllib.request
		port, threads, requests = sys.argv[1:4]
		us = sys.argv[4] if len(sys.argv) > 4 else "0"
		lock, left, done, failed, served = threading.Lock(), int(requests) if requests.isdigit() else None, 0, 0, set()
		def more():
		    global left
		    with lock:
		        if left is None:
		            return not os.path.exists(requests)
		        left -= 1
		        return left >= 0
		def ask():
		    global done, failed
		    while more():
		        try:
		            with urllib.request.urlopen("http://127.0.0.1:%s/page.php?us=%s" % (port, us), timeout=60) as answer:
		                words = answer.read().decode().split()
		            good = words[:3] == ["sum", "10000", "of"]
		        except OSError as error:
		            good = False
		            print(error, file=sys.stderr)
		        with lock:
		            done += 1
		            failed += not good
		            if good:
		                served.add(int(words[3]))
		each = [threading.Thread(target=ask) for _ in range(int(threads))]
		for one in each: one.start()
		for one in each: one.join()
		print(done, "requests,", failed, "failed, served by", *sorted(served))
	END
}

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# fpm_configure [LINE...]: LINEs are for the pool of workers.
fpm_configure() {
	port=$(free_port)
	{
		printf '%s\n' '[global]' "error_log = $PWD/fpm.log" 'daemonize = no' 'log_level = debug' \
			'process_control_timeout = 60s' '[www]' 'user = www-data' 'group = www-data' "listen = $PWD/fpm.sock" \
			'listen.owner = www-data' 'pm = static' "pm.max_children = $FPM_WORKERS" "$@"
	} >fpm.conf
	cat >nginx.conf <<-END
		daemon off; worker_processes 1; pid $PWD/nginx.pid; error_log $PWD/nginx.log; user www-data;
		events { worker_connections 256; }
		http {
			access_log off;
			client_body_temp_path $PWD/temp.1; proxy_temp_path $PWD/temp.2; fastcgi_temp_path $PWD/temp.3;
			uwsgi_temp_path $PWD/temp.4; scgi_temp_path $PWD/temp.5;
			server {
				listen 127.0.0.1:$port; root $PWD/www;
				location ~ \.php\$ {
					fastcgi_pass unix:$PWD/fpm.sock; fastcgi_param SCRIPT_FILENAME \$document_root\$fastcgi_script_name;
					fastcgi_param REQUEST_METHOD \$request_method; fastcgi_param QUERY_STRING \$query_string;
				}
			}
		}
	END
}

# fpm_start stock|pooled [VARIABLE=VALUE...] [-- OPTION...]: master and nginx; leaves their process ids in $master, $front.
fpm_start() {
	local start=start_$1 variables=()
	shift
	while [[ $# -gt 0 && $1 != -- ]]; do
		variables+=("$1")
		shift
	done
	rm -f fpm.log fpm.sock
	"$start" LD_LIBRARY_PATH="$fpm_libraries" "${variables[@]}" "$fpm" -n -F -y "$PWD/fpm.conf" "${@:2}"
	master=$pid
	wait_until 20 fpm_is_ready 1
	LD_LIBRARY_PATH=$fpm_libraries start "$nginx" -p "$PWD" -c "$PWD/nginx.conf" -e "$PWD/nginx.log"
	front=$pid
	wait_until 20 fpm_answers
}

# fpm_is_ready TIMES: it was started, or reloaded, so often.
fpm_is_ready() {
	[[ $(grep -c 'NOTICE: .*ready to handle connections' fpm.log 2>/dev/null) -ge $1 && -S fpm.sock ]] &&
		[[ $(fpm_workers | wc -l) -ge $FPM_WORKERS ]]
}

fpm_answers() {
	[[ $(fpm_load 1 1 2>&1) == *' 0 failed,'* ]]
}

fpm_workers() {
	pgrep -P "$master"
}

# fpm_load THREADS REQUESTS [US]
fpm_load() {
	env -u LD_PRELOAD timeout --kill-after=5 300 python3 load.py "$port" "$@"
}

# All workers have served: of each the memory is what a load leaves.
fpm_load_all() {
	local round
	for round in {1..20}; do
		fpm_load "$FPM_WORKERS" $((FPM_WORKERS * 4)) 20000 >loaded || return
		[[ $(fpm_workers | sort -n | tr '\n' ' ') != "$(sed 's/.*served by //' loaded | tr ' ' '\n' | sort -n | tr '\n' ' ')" ]] ||
			return 0
	done
	echo "some workers have nothing to do:"
	cat loaded
	return 1
}

# fpm_stop: as a service manager does, gracefully; leaves the master's status.
fpm_stop() {
	local master_status
	stop "$master" QUIT
	master_status=$status
	stop "$front" QUIT
	status=$master_status
}

# The workers that there were, and how each ended: "PID how".
fpm_ends() {
	sed -nE 's/.*\[pool www\] child ([0-9]+) exited (.*) after .*/\1 \2/p' fpm.log | sort -n
}

fpm_started() {
	sed -nE 's/.*\[pool www\] child ([0-9]+) started.*/\1/p' fpm.log | sort -n
}

# KiB a worker that no other process has: the mean.
fpm_private_kb() {
	local worker
	for worker in $(fpm_workers); do
		sed -n 's/^Private_Dirty: *\([0-9]*\) kB/\1/p' "/proc/$worker/smaps_rollup"
	done | awk '{ sum += $1; n++ } END { if (n == 0) exit 1; print int(sum / n) }'
}
