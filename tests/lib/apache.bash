# SPDX-License-Identifier: MIT
# Apache with mod_php: a server of our own, whose files all lie below the test's folder. Debian's service is not touched.
# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is for the tests

APACHE_MODULES=/usr/lib/apache2/modules

requires_apache() {
	requires apache2 curl php
	local modules=("$APACHE_MODULES"/libphp*.so)
	APACHE_PHP=${modules[-1]}
	[[ -e $APACHE_PHP ]] || lacks "there is no mod_php (libapache2-mod-php)"
}

# A port that nobody has just now.
free_port() {
	# shellcheck disable=SC2016 # PHP's own
	php -r '$s = stream_socket_server("tcp://127.0.0.1:0"); echo substr(strrchr(stream_socket_get_name($s, false), ":"), 1);'
}

# write_site FOLDER [DIRECTIVE...]: a site in FOLDER, which all may look into, and its configuration, FOLDER/conf. What the
# server's processes are to write goes to FOLDER/logs.
write_site() {
	mkdir -p "$1/pages" "$1/logs"
	chmod 755 "$1"
	chmod 777 "$1/logs"
	cat >"$1/conf" <<-END
		ServerRoot "$1"
		ServerName localhost
		Listen 127.0.0.1:\${PORT}
		PidFile "$1/pid"
		ErrorLog "$1/errors"
		DefaultRuntimeDir "$1"
		Mutex file:$1
		LoadModule mpm_prefork_module $APACHE_MODULES/mod_mpm_prefork.so
		LoadModule authz_core_module $APACHE_MODULES/mod_authz_core.so
		LoadModule php_module $APACHE_PHP
		StartServers 2
		MinSpareServers 2
		MaxSpareServers 2
		MaxRequestWorkers 2
		KeepAlive Off
		DocumentRoot "$1/pages"
		<Directory "$1/pages">
			Require all granted
			SetHandler application/x-httpd-php
		</Directory>
	END
	[[ $(id -u) -ne 0 ]] || printf 'User %s\nGroup %s\n' "$(id -nu 65534)" "$(id -ng 65534)" >>"$1/conf"
	printf '%s\n' "${@:2}" >>"$1/conf"
	cat >"$1/pages/fibers.php" <<-'END'
		<?php
		$sum = 0;
		for ($i = 0; $i < 1000; $i++) {
			$fiber = new Fiber(function () use ($i) { return 1 + Fiber::suspend($i); });
			$sum += $fiber->start();
			$fiber->resume(1);
			$sum += $fiber->getReturn();
		}
		echo "$sum\n";
	END
}

# answers URL: whether the server is there.
answers() {
	curl -fsS --noproxy '*' --max-time 30 -o /dev/null "$1" 2>/dev/null
}
