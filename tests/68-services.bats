#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The pages of `copool recipe`: what they say exists, is well formed, and does what they promise. What they have to be pasted is
# taken from them and used, with systemd as process 1 of a machine of the test's own where it takes one (make check-full).
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2154 # lib/service.bash and helper.bash set what is used here
# shellcheck disable=SC2016 # what is in single quotes is for another shell, or the pages' own

load lib/helper
load lib/packages
load lib/fpm
load lib/apache
load lib/service

setup() {
	root=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	cd "$BATS_TEST_TMPDIR" || return
	unset LD_PRELOAD
}

teardown() {
	machine_stop
	stop_all
}

# ---- the pages themselves ----

@test "recipe: lists the kinds that have a page in the source, in README and after make install, and no other" {
	kinds | sort >listed
	find "$root"/tools/service -name '*.md' -printf '%f\n' | sed 's/\.md$//' | sort >pages
	cat listed
	diff listed pages
	diff listed <(grep -oE '\(tools/service/[a-z-]+\.md\)' "$root/README.md" | sed -E 's/.*\/(.*)\.md\)/\1/' | sort)
	diff listed <(make --no-print-directory -C "$root" --dry-run install | grep -oE 'tools/service/[a-z-]+\.md' |
		sed -E 's/.*\/(.*)\.md/\1/' | sort)
	while read -r kind; do
		[[ $(head -n 1 "$root/tools/service/$kind.md") == "# $kind: "* ]]
	done <listed
}

@test "recipe: a kind that is not there, two kinds and what cannot be written are told" {
	run "$COPOOL" recipe tomcat
	[[ $status -eq 2 && $output == *"there is no page for \`tomcat'; there are systemd, php-fpm, "* ]]
	run "$COPOOL" recipe $'\e[31m'
	[[ $status -eq 2 && $output != *$'\e'* ]]
	run "$COPOOL" recipe apache systemd
	[[ $status -eq 2 && $output == *"one kind at a time"* ]]
	run bash -c '"$0" recipe systemd >/dev/full' "$COPOOL"
	[[ $status -eq 1 && $output == *"cannot write"* ]]
}

@test "recipe: a page has this machine's paths, and says where a service could not load the library" {
	local kind
	for kind in $(kinds); do
		page "$kind" >shown
		[[ $(grep -c "$COPOOL_SO" shown) -eq $(grep -c /usr/lib/x86_64-linux-gnu/libcopool.so "$root/tools/service/$kind.md") ]]
		diff <(sed "s|$COPOOL_SO|LIBRARY|g; s|$COPOOL|COMMAND|g; s|php-*[0-9.]*-*fpm[0-9.]*|FPM|g; s|/php/[0-9.]*/|/php/|" shown) \
			<(sed "s|/usr/lib/x86_64-linux-gnu/libcopool.so|LIBRARY|g; s|/usr/bin/copool|COMMAND|g; s|php-*[0-9.]*-*fpm[0-9.]*|FPM|g
				s|/php/[0-9.]*/|/php/|" "$root/tools/service/$kind.md")
	done
	mkdir -p usr/bin usr/lib/copool
	cp "$COPOOL" usr/bin
	run usr/bin/copool recipe systemd
	[[ $status -eq 0 && $output == *"libcopool.so is not here"* ]]
	cp "$COPOOL_SO" usr/lib/copool
	run usr/bin/copool recipe systemd
	[[ $status -eq 0 && $output == *"LD_PRELOAD=$PWD/usr/lib/copool/libcopool.so"* && $output == *"unable to load"* ]]
}

@test "recipe: each page says how to begin, to see and to undo, and what was tried and when, or that it was not" {
	local kind tried
	for kind in $(kinds); do
		echo "$kind"
		page "$kind" >shown
		diff <(grep -xE '## (Steps|How to see that it works|Undo|Pitfalls|Tried)' shown) \
			<(printf '## %s\n' Steps 'How to see that it works' Undo Pitfalls Tried)
		tried=$(sed '1,/^## Tried$/d' shown | tr '\n' ' ')
		[[ $tried == *Untried:* || $tried =~ 20[0-9]{2}-[0-9]{2}-[0-9]{2} ]]
		[[ $(wc -l <shown) -le 160 && $(awk 'length > 160 && !/^\|/' shown) == '' ]]
	done
}

@test "recipe: what is to be pasted is well formed" {
	requires python3 jq
	local kind
	for kind in $(kinds); do
		echo "$kind"
		page "$kind" >shown
		blocks sh <shown >commands
		bash -n commands
		blocks xml <shown >domain.xml
		[[ ! -s domain.xml ]] || python3 -c 'import sys, xml.dom.minidom as x; x.parse(sys.argv[1])' domain.xml
		[[ $(grep -c '^```' shown) == "$(grep -cE '^```(sh|xml|yaml|dockerfile)?$' shown)" ]]
	done
	page libvirt | blocks xml | grep -q "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
}

@test "recipe: the variables, settings, verbs and options that pages name exist" {
	local kind verb option rest
	"${COPOOL%/*}/completions/settings" list >names
	for kind in $(kinds); do
		echo "$kind"
		page "$kind" >page.md
		run /usr/bin/python3 "$TESTS/lib/settings.py" names page.md
		echo "$output"
		[[ $status -eq 0 && -z $output ]]
		# Lines of a settings file: its keys are the settings' names.
		sed -nE '/copool\.d\/.* <</,/^END$/s/^([a-z_]+) = .*/\1/p' page.md | while read -r key; do
			cut -f 1 names | grep -qx "$key" || echo "there is no setting $key"
		done >wrong
		# After `copool`, at the beginning of a line or a quotation.
		grep -oE '(^|`)copool [a-z]+[^`]*' page.md | sed 's/^`//' | while read -r _ verb rest; do
			"$COPOOL" --help | grep -qE "^  $verb " || echo "there is no verb $verb"
			grep -oE -- '--[a-z-]+' <<<"$rest" | while read -r option; do
				"$COPOOL" help "$verb" | grep -q -- "$option" || echo "$verb has no $option"
			done
		done >>wrong
		cat wrong
		[[ ! -s wrong ]]
	done
}

@test "systemd: it accepts the units and drop-ins of all pages, and has nothing to say of them" {
	requires systemd-analyze
	requires qemu-nbd qemu-storage-daemon php
	local kind path name
	mkdir units
	for kind in $(kinds); do
		page "$kind" | grep -oE '/etc/systemd/system/[^ ]* <<' | sort -u | while read -r path _; do
			name=${path#/etc/systemd/system/}
			name=${name/\$unit/pvedaemon}
			[[ $name == *.service || $name == *.service.d/*.conf ]] || continue
			mkdir -p "units/$(dirname "$name")"
			page "$kind" | file_of "$path" >"units/$name"
			# What a drop-in is for is not installed here.
			[[ $name == *.service || -e units/${name%.d/*} ]] ||
				printf '%s\n' '[Service]' Type=oneshot ExecStart=/bin/true >"units/${name%.d/*}"
		done
	done
	(cd units && find . -type f)
	[[ $(find units -name 'copool.conf' | wc -l) -ge 5 ]]
	run env SYSTEMD_UNIT_PATH="$PWD/units:/lib/systemd/system" systemd-analyze verify units/*.service
	echo "$output"
	[[ $status -eq 0 && -z $output ]]
	echo 'MemoryDenyWriteExecuted=yes' >>units/web.service
	run env SYSTEMD_UNIT_PATH="$PWD/units:/lib/systemd/system" systemd-analyze verify units/web.service
	[[ $output == *MemoryDenyWriteExecuted* ]]
}

@test "supervisord: a program that the page's section starts is pooled, and its log is complete" {
	requires supervisord php jq
	cat >fibers.php <<-'END'
		<?php
		for ($i = 0; $i < 1000; $i++) {
			$fiber = new Fiber(function (): void { Fiber::suspend(); });
			$fiber->start();
			$fiber->resume();
		}
		while (!file_exists('end')) usleep(50000);
	END
	mkdir logs
	page supervisord | file_of /etc/supervisor/conf.d/fibers.conf |
		sed "s|/usr/bin/php .*|$(command -v php) -n $PWD/fibers.php|; s|/var/log/copool/fibers|$PWD/logs|; /^user=/d" >fibers.conf
	printf '%s\n' '[supervisord]' "logfile=$PWD/supervisord.log" "pidfile=$PWD/supervisord.pid" "childlogdir=$PWD/logs" \
		'[include]' "files=$PWD/fibers.conf" >supervisord.conf
	start supervisord --nodaemon --configuration "$PWD/supervisord.conf"
	wait_until 20 has_pooled logs 1000
	touch end
	wait_until 20 has_ended logs
	stop "$pid"
	LOG=$(echo logs/php*.jsonl)
	[[ $(log_open host) == stacks && $(log_final create_local) -ge 990 ]]
	check_balance
}

# has_pooled FOLDER CREATES: a log there says so.
has_pooled() {
	[[ $(cat "$1"/*.jsonl 2>/dev/null | jq -n '[inputs | select(.type == "sample" or .type == "final")
		| .create_local + .create_depot + .create_new] | max // 0') -ge $2 ]]
}

has_ended() { # FOLDER
	grep -q '"type":"final"' "$1"/*.jsonl
}

# ---- services as the pages start them, with a real systemd ----

requires_full() {
	[[ ${COPOOL_TEST_FULL-} == 1 ]] || skip "services are started only in make check-full"
	requires_machine
}

own_suite() {
	# shellcheck source=/dev/null
	(. /etc/os-release && echo "${VERSION_CODENAME-}")
}

# Of all Prometheus files of a folder in the machine: the creates.
creates_in() {
	inside bash -c "cat $1/*.prom" 2>/dev/null | awk '/^copool_create_total/ { sum += $NF } END { print sum + 0 }'
}

creates_are() { # FOLDER COUNT
	[[ $(creates_in "$1") -eq $2 ]]
}

created() { # the sum of all final records
	jq -s 'map(select(.type == "final") | .inherited * 0 + .create_local + .create_depot + .create_new) | add' "$LOG"
}

@test "php-fpm: by the page's steps each of 20 workers is pooled, and logs and metrics have every fiber, through reload, rotation and stop" {
	local metrics=/var/lib/prometheus/node-exporter-php-fpm unit
	requires_full
	requires logrotate
	requires_fpm
	fpm_folder
	fpm_configure # nginx.conf; php-fpm has what its package and the page say
	sed -i "s|unix:$PWD/fpm.sock|unix:/run/php/$(basename "$fpm" | sed -E 's/php-fpm(.*)/php\1-fpm/').sock|" nginx.conf
	machine_start "$fpm_root"
	unit=$(basename "$fpm" | sed -E 's/php-fpm(.*)/php\1-fpm/')
	inside mkdir -p /run/php
	inside sed -i 's/^pm = .*/pm = static/; s/^pm.max_children = .*/pm.max_children = 20/' "/etc/php/${unit//[a-z-]/}/fpm/pool.d/www.conf"
	follow_steps php-fpm
	master=$(inside systemctl show -P MainPID "$unit")
	LD_LIBRARY_PATH=$fpm_libraries start_inside "$nginx" -p "$PWD" -c "$PWD/nginx.conf" -e "$PWD/nginx.log"
	load() { # REQUESTS
		inside python3 load.py "$port" 20 "$1" 2000
	}
	wait_until 20 eval '[[ $(load 1) == *" 0 failed,"* ]]'
	load 399 >answers
	cat answers
	[[ $(cat answers) == "399 requests, 0 failed, served by "* ]]
	# Each request has 200 fibers.
	wait_until 20 creates_are $metrics 80000
	LOG=$PWD/log.jsonl
	inside stat -c '%U %a' /var/log/copool/php-fpm/workers.jsonl | grep -qx 'root 640'
	# Twenty more, in a log of their own, as the page rotates them.
	[[ $(inside logrotate --debug /etc/logrotate.d/copool-php-fpm 2>&1) != *error:* ]]
	inside logrotate --force /etc/logrotate.d/copool-php-fpm
	wait_until 20 fpm_is_young "$master"
	wait_until 20 eval '[[ $(load 1) == *" 0 failed,"* ]]'
	load 199 >answers
	[[ $(cat answers) == "199 requests, 0 failed, served by "* ]]
	wait_until 20 creates_are $metrics 40000
	inside systemctl stop "$unit"
	# No worker has left anything behind, and no record is missing.
	[[ $(inside find $metrics -type f) == '' ]]
	inside bash -c 'cat /var/log/copool/php-fpm/workers.jsonl.1' >"$LOG"
	[[ $(created) -eq 80000 && $(log_records open .pid | sort -u | wc -l) -ge 20 ]]
	check_balance
	inside bash -c 'cat /var/log/copool/php-fpm/workers.jsonl' >"$LOG"
	[[ $(created) -eq 40000 && $(log_records open .pid | sort -u | wc -l) -ge 20 ]]
	check_balance
	[[ $(log_records warning) == '' ]]
	inside copool recipe php-fpm | blocks sh Undo | inside bash -euo pipefail
	run ! inside test -e $metrics
	run ! inside grep -q libcopool "/proc/$(inside systemctl show -P MainPID "$unit")/maps"
}

# All workers are of the time after a reload.
fpm_is_young() { # MASTER
	[[ $(inside pgrep -c -P "$1") -eq 20 && $(inside jq -rs 'map(select(.type == "open" and .ppid == '"$1"')) | length' \
		/var/log/copool/php-fpm/workers.jsonl 2>/dev/null) -ge 20 ]]
}

# unit_of_page NAME [LINE...]: a unit of the systemd page, with the page's drop-in. LINEs are of another drop-in.
unit_of_page() {
	local unit=$1 folder=/etc/systemd/system
	inside copool recipe systemd 2>/dev/null >systemd.md
	file_of $folder/"$unit.service" <systemd.md | inside install -D -m 644 /dev/stdin "$folder/$unit.service"
	file_of $folder/disk0.service.d/copool.conf <systemd.md |
		inside install -D -m 644 /dev/stdin "$folder/$unit.service.d/copool.conf"
	printf '%s\n' '[Service]' "${@:2}" | inside install -m 644 /dev/stdin "$folder/$unit.service.d/zz-test.conf"
	inside systemctl daemon-reload
}

# log_of NAME: what its last process has written.
log_of() {
	inside bash -c "cat \"\$(ls -t /var/log/copool/$1/*.jsonl | head -n 1)\"" >"$LOG"
}

bench_nbd() { # SOCKET [EXPORT]
	wait_until 20 inside test -S "$1"
	inside timeout 120 qemu-img bench -w -c 3000 -d 64 -f raw "nbd+unix:///${2-}?socket=$1"
}

# Of all that a unit may forbid, what is most often.
hardening=(ProcSubset=pid ProtectProc=invisible PrivateUsers=yes PrivateNetwork=yes LockPersonality=yes RestrictNamespaces=yes
	RestrictRealtime=yes ProtectKernelTunables=yes ProtectKernelModules=yes ProtectKernelLogs=yes ProtectControlGroups=yes
	ProtectClock=yes CapabilityBoundingSet= SystemCallArchitectures=native UMask=0077 RemoveIPC=yes ProtectHostname=yes
	RestrictSUIDSGID=yes 'SystemCallFilter=~@resources @privileged')

@test "systemd: qemu-nbd and a storage daemon in the page's units are pooled, also with all else forbidden, but for MemoryDenyWriteExecute" {
	local unit way
	requires_full
	requires qemu-nbd qemu-storage-daemon qemu-img
	machine_start
	inside bash -c 'for unit in disk0 storage0; do mkdir -p /var/lib/private/$unit && truncate -s 64M /var/lib/private/$unit/image; done'
	while read -r unit way lines; do
		echo "$unit $way $lines"
		[[ $lines != all ]] || lines=$(printf '%s\n' "${hardening[@]}")
		unit_of_page "$unit" "$lines"
		inside systemctl start "$unit"
		bench_nbd "/run/$unit/socket" "$([[ $unit == disk0 ]] || echo disk0)"
		inside systemctl stop "$unit"
		log_of "$unit"
		[[ $(log_open way) == "$way" && $(log_records warning) == '' ]]
		[[ $way == stacks || $(log_final create_local qemu-coroutine) -gt 2900 ]]
		check_balance
	done <<-END
		disk0 ending
		storage0 ending
		disk0 ending all
		disk0 ending SystemCallErrorNumber=
		storage0 ending SystemCallErrorNumber=EPERM
		disk0 stacks MemoryDenyWriteExecute=yes
	END
}

@test "systemd: a PHP server in the page's unit is pooled, with all else forbidden, too, and as another user with a right of root's" {
	local lines
	requires_full
	requires php
	machine_start
	cat >server.php <<-'END'
		<?php
		pcntl_async_signals(true);
		pcntl_signal(SIGTERM, function () { exit(0); });
		for ($i = 0; $i < 1000; $i++) {
			$fiber = new Fiber(function (): void { Fiber::suspend(); });
			$fiber->start();
			$fiber->resume();
		}
		while (true) sleep(1);
	END
	inside install -D server.php /srv/web/server.php
	for lines in '' "$(printf '%s\n' "${hardening[@]}")" $'DynamicUser=no\nUser=www-data\nAmbientCapabilities=CAP_NET_BIND_SERVICE'; do
		echo "$lines"
		unit_of_page web "$lines"
		inside systemctl start web
		wait_until 20 has_logged web sample
		inside systemctl stop web
		log_of web
		[[ $(log_final create_local) -ge 990 && $(log_records warning) == '' ]]
		check_balance
	done
	# What is not there is left out, and the journal says so.
	unit_of_page web Environment=LD_PRELOAD=/usr/lib/gone.so
	inside systemctl start web
	wait_until 20 eval 'inside journalctl -u web | grep -q "gone.so.*cannot be preloaded"'
	[[ $(inside systemctl is-active web) == active ]]
	inside copool recipe systemd | blocks sh Undo | sed s/disk0/web/g | inside bash -euo pipefail
	run ! inside grep -q libcopool "/proc/$(inside systemctl show -P MainPID web)/maps"
}

has_logged() { # NAME TYPE: its last process
	log_of "$1" 2>/dev/null && jq -e --arg type "$2" 'select(.type == $type)' "$LOG" >/dev/null
}

@test "apache: by the page's steps the fibers of mod_php are in the workers' logs and metrics, also with NoNewPrivileges, and apachectl's environment does as well" {
	local metrics=/var/lib/prometheus/node-exporter-apache suite
	requires_full
	requires_apache
	suite=$(own_suite)
	requires_unpacked "apache2-$suite" "$suite" apache2 apache2-data
	write_site "$PWD/site"
	machine_start "$CACHE/apache2-$suite"
	# As the packages' scripts would.
	inside bash -c "cd /; mkdir -p /var/log/apache2 /var/www/html && a2enmod -q access_compat alias authn_core authz_core authz_host \
		authz_user autoindex auth_basic deflate dir env filter mime mpm_prefork negotiation reqtimeout setenvif status \
		$(basename "$(inside find /etc/apache2/mods-available -name 'php*.load')" .load) && a2ensite -q 000-default"
	inside install -m 644 site/pages/fibers.php /var/www/html/fibers.php
	inside copool recipe apache 2>/dev/null | blocks sh Steps >steps.sh
	sed '/^cat >>/,/^END/d' steps.sh >unit.sh
	inside bash -euo pipefail unit.sh
	apache_serves
	wait_until 20 creates_are $metrics 40000
	inside systemctl stop apache2
	apache_log
	[[ $(created) -eq 40000 && $(inside find $metrics -type f) == '' ]]

	printf '%s\n' '[Service]' NoNewPrivileges=yes | inside install -m 644 /dev/stdin /etc/systemd/system/apache2.service.d/zz-test.conf
	inside systemctl daemon-reload
	inside systemctl start apache2
	apache_serves
	inside systemctl stop apache2
	apache_log
	[[ $(created) -eq 80000 ]]

	inside copool recipe apache | blocks sh Undo | inside bash -euo pipefail
	apache_serves
	inside systemctl stop apache2
	apache_log
	[[ $(created) -eq 80000 ]]

	sed -n '/^cat >>/,/^END/p' steps.sh | inside bash -euo pipefail
	inside apachectl start
	apache_serves
	inside apachectl graceful-stop
	wait_until 20 eval '! inside pgrep -x apache2 >/dev/null'
	apache_log
	[[ $(created) -eq 120000 ]]
}

apache_serves() { # forty requests of a thousand fibers
	wait_until 20 inside curl -fs --noproxy '*' -o /dev/null http://127.0.0.1/
	[[ $(inside curl -s --noproxy '*' --parallel --parallel-max 4 'http://127.0.0.1/fibers.php?[1-40]' | sort | uniq -c | tr -s ' ') == ' 40 501500' ]]
}

apache_log() { # the logs of all workers
	inside bash -c 'cat /var/log/copool/apache/apache2-*.jsonl' >"$LOG"
	check_balance
	[[ $(log_records warning) == '' ]]
}

@test "container: crun with a read-only root and the page's lines in its bundle runs a pooled program, also as another user" {
	requires_full
	requires crun php
	machine_start
	mkdir -p bundle/rootfs/{usr,etc,proc,dev,sys,srv,var/log/copool}
	touch bundle/rootfs/libcopool-0.2.0.so
	for name in bin sbin lib lib64; do
		ln -s "usr/$name" "bundle/rootfs/$name"
	done
	cat >bundle/rootfs/srv/server.php <<-'END'
		<?php
		for ($i = 0; $i < 1000; $i++) {
			$fiber = new Fiber(function (): void { Fiber::suspend(); });
			$fiber->start();
			$fiber->resume();
		}
		echo @file_put_contents('/srv/file', 'x') === false ? "read-only\n" : "may write\n";
	END
	cd bundle
	inside crun spec
	# The image is this machine's files. Control groups of a kind that any machine has are not the test's.
	jq '.process.terminal = false | .process.args = ["php", "-n", "/srv/server.php"] | del(.linux.resources) | .mounts += [
		{destination: "/usr", type: "bind", source: "/usr", options: ["rbind", "ro"]},
		{destination: "/etc", type: "bind", source: "/etc", options: ["rbind", "ro"]}]' config.json >config.new
	mv config.new config.json
	inside copool recipe container 2>/dev/null | blocks sh Steps | sed -n '/^jq/,/^mv/p' >step.sh
	inside bash -euo pipefail step.sh
	[[ $(jq .root.readonly config.json) == true ]]
	# What it has written is gone with it: so here its log is what it says.
	for user in 0 65534; do
		jq --argjson user $user '.process.user = {uid: $user, gid: $user} | .process.env += ["COPOOL_LOG=stderr"]
			| .process.env |= map(select(startswith("COPOOL_LOG=/") | not))' config.json >config.new
		mv config.new config.json
		run --separate-stderr inside crun --cgroup-manager=disabled run "copool-$user"
		echo "$output"
		[[ $status -eq 0 && $output == read-only ]]
		echo "$stderr" >"$LOG"
		[[ $(log_final create_local) -ge 990 ]]
		check_balance
	done
}

# libvirtd's system instance, and a domain that the page's XML begins and ends.
start_libvirt() {
	requires_full
	requires qemu-system-x86_64
	requires_beside "libvirt-$(own_suite)" "$(own_suite)" libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients
	machine_start "$CACHE/libvirt-$(own_suite)"
	# As the packages' scripts would.
	inside bash -c 'getent group kvm || groupadd --system kvm
		getent passwd libvirt-qemu || useradd --system --gid kvm --home /var/lib/libvirt libvirt-qemu
		mkdir -p /var/lib/libvirt/images' >/dev/null
	inside truncate -s 64M /var/lib/libvirt/images/disk
}

domain() { # NAME: reads what the page has, and writes the whole
	cat >body.xml <<-END
		<name>$1</name><memory unit='MiB'>64</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>
		<devices><emulator>$(command -v qemu-system-x86_64)</emulator><disk type='file'><driver name='qemu' type='raw'/>
		<source file='/var/lib/libvirt/images/disk'/><target dev='vda' bus='virtio'/><shareable/></disk></devices>
	END
	sed -e "s/type='kvm'/type='qemu'/" -e '/<!-- what is there stays -->/{r body.xml' -e 'd}'
}

virsh() {
	inside virsh --quiet --connect qemu:///system "$@"
}

guest_logs() { # PATH: it has counters
	inside bash -c "cat $1" 2>/dev/null >"$LOG" && [[ $(log_records sample) != '' ]]
}

@test "libvirt: a domain with the page's lines is pooled, its log has its name, and without xmlns:qemu the lines are dropped" {
	start_libvirt
	inside copool recipe libvirt 2>/dev/null >libvirt.md
	blocks sh Steps <libvirt.md | inside bash -euo pipefail
	inside systemctl start libvirtd
	blocks xml <libvirt.md | domain guest-1 >domain.xml
	virsh define "$PWD/domain.xml"
	virsh start guest-1
	wait_until 60 guest_logs /var/log/copool/libvirt-qemu/guest-1.jsonl
	[[ $(log_open label) == guest-1 && $(log_open way) == ending && $(log_records warning) == '' ]]
	[[ $(inside copool ps) == *"qemu-system-x86_64 guest-1"*pool* ]]
	virsh destroy guest-1
	virsh undefine guest-1
	sed -i "s/ xmlns:qemu='[^']*'//" domain.xml
	run virsh define "$PWD/domain.xml"
	echo "$output"
	[[ $status -ne 0 || $(virsh dumpxml guest-1) != *LD_PRELOAD* ]]
}

@test "apparmor: the page has each rule of the package's" {
	page apparmor | blocks sh Steps | grep ',$' | grep -v 'libcopool\.so mr,$' | sort >paged
	sed -nE 's/^ *([@/].*,)$/\1/p' "$root/tools/package/apparmor/copool" | sort >packaged
	[[ $(wc -l <packaged) -gt 10 ]]
	diff packaged paged
	grep -qFx '/var/lib/prometheus/node-exporter{,-*}/*.prom{,.*.tmp} rw,' packaged
}

@test "apparmor: its parser accepts libvirt's profile with the page's rules, and refuses it with a mistake in them" {
	start_libvirt
	inside bash -c 'command -v apparmor_parser' >/dev/null || lacks "there is no apparmor_parser"
	inside mkdir -p /etc/apparmor.d/local/abstractions
	inside touch /etc/apparmor.d/local/abstractions/libvirt-qemu
	inside copool recipe apparmor 2>/dev/null | blocks sh Steps | sed -n '/^cat >>/,/^END/p' | inside bash -euo pipefail
	inside grep -qx "$(inside copool recipe apparmor 2>/dev/null | grep -m 1 '/libcopool.so mr,$')" \
		/etc/apparmor.d/local/abstractions/libvirt-qemu
	inside sed 's/LIBVIRT_TEMPLATE/guest/' /etc/apparmor.d/libvirt/TEMPLATE.qemu >profile
	parse=(inside apparmor_parser --skip-kernel-load --skip-cache --base /etc/apparmor.d "$PWD/profile")
	"${parse[@]}"
	inside sed -i 's/ mr,$/ of,/' /etc/apparmor.d/local/abstractions/libvirt-qemu
	run "${parse[@]}"
	[[ $status -ne 0 && $output == *"syntax error"* ]]
}

@test "libvirt: by the steps for all domains each is pooled by libvirtd's preload and the file of settings, but for the one that a section leaves out" {
	start_libvirt
	follow_steps libvirt-all
	inside copool recipe libvirt-all 2>/dev/null >all.md
	sed "s|<qemu:env.*||" <(blocks xml < <(inside copool recipe libvirt 2>/dev/null)) >plain.xml
	for name in guest-1 no-pool; do
		domain $name <plain.xml >domain.xml
		virsh define "$PWD/domain.xml"
		virsh start $name
	done
	wait_until 60 guest_logs '/var/log/copool/libvirt-qemu/guest-1-*.jsonl'
	[[ $(log_open label) == guest-1 && $(log_open way) == ending && $(log_records warning) == '' ]]
	run inside copool ps --all
	echo "$output"
	[[ $output == *"guest-1"*pool* && $output != *no-pool*" pool "* ]]
	[[ $(inside find /var/log/copool/libvirt-qemu -name 'no-pool-*' -size +1) == '' ]]
	virsh destroy guest-1
	blocks sh Undo <all.md | inside bash -euo pipefail
	virsh start guest-1
	wait_until 20 eval 'inside pgrep -f guest=guest-1 >/dev/null'
	run ! inside grep -q libcopool "/proc/$(inside pgrep -f guest=guest-1)/maps"
}
