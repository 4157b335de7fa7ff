#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Many processes on one machine, php-fpm's workers and qemu-img: copool ps sees them all at little cost, and their
# Prometheus files come through node_exporter whole. A dozen; two hundred in make check-full.
# shellcheck disable=SC2034,SC2154 # lib/fpm.bash and helper.bash set what is used here

load lib/helper
load lib/packages
load lib/fpm

setup() {
	requires_fpm
	requires qemu-img prometheus-node-exporter strace curl
	cd "$BATS_TEST_TMPDIR" || return
	unset LD_PRELOAD
	fpm_folder
	each=6
	[[ ${COPOOL_TEST_FULL-} != 1 ]] || each=100
	FPM_WORKERS=$each
	# Of the workers' user, who has to write there; root may anywhere.
	mkdir -m 755 prom
	chown www-data prom
	export COPOOL_PROMETHEUS=$PWD/prom/%n-%p.prom COPOOL_INTERVAL_MS=500
}

start_fleet() {
	local guest
	fpm_configure
	fpm_start pooled COPOOL_LABEL=shop
	fpm_load_all
	for ((guest = 0; guest < each; guest++)); do
		# Each request takes two seconds, and no processor.
		start env -u COPOOL_LOG LD_PRELOAD="$COPOOL_SO" COPOOL_LABEL="guest-$guest" qemu-img bench -c 100000 -d 8 \
			--image-opts driver=null-aio,size=1G,latency-ns=2000000000
	done
}

# All workers, and guests, are in what ps says.
ps_sees_all() {
	"$COPOOL" ps --json >seen
	[[ $(jq '[.programs[] | select(.label == "shop").processes] | add' seen) -ge $each ]] &&
		[[ $(jq '[.programs[] | select(.program == "qemu-img" and .label != null and (.label | startswith("guest-")))] | length' seen) -eq $each ]]
}

# scrape: what node_exporter says of the files, in `metrics`.
scrape() {
	curl --silent --max-time 60 "http://127.0.0.1:$exporter_port/metrics" >metrics
}

has_scraped_all() {
	scrape && [[ $(sed -nE 's/^copool_interval_seconds\{.*pid="([0-9]+)".*/\1/p' metrics | sort -u | wc -l) -ge $((2 * each)) ]]
}

@test "fleet: all workers and guests are in ps and come through node_exporter, with no more than 25 series each" {
	local exporter_port looks most process
	start_fleet
	wait_until 60 ps_sees_all
	# What it reads of each is found at once: the library's name comes before those of others.
	# A process that was slow, on a busy machine, is looked at twice.
	strace -f -qq -e trace=process_vm_readv,openat -o calls "$COPOOL" ps >/dev/null
	most=$(for process in $(jq '.processes[] | select(.label != null) | .pid' seen); do
		looks=$(grep -c "\"/proc/$process/maps\"" calls)
		echo $(($(grep -c "process_vm_readv($process," calls) / looks))
	done | sort -n | tail -n 1)
	echo "$((2 * each)) processes of ours: at most $most reads of one in a look"
	((most <= 45))
	exporter_port=$(free_port)
	start prometheus-node-exporter --web.listen-address="127.0.0.1:$exporter_port" --collector.disable-defaults \
		--collector.textfile --collector.textfile.directory="$PWD/prom"
	wait_until 60 has_scraped_all
	grep -qx 'node_textfile_scrape_error 0' metrics
	grep '^copool_' metrics | sed -nE 's/.*pid="([0-9]+)".*/\1/p' | sort | uniq -c | sort -n >series
	tail -n 2 series
	[[ $(tail -n 1 series | awk '{ print $1 }') -le 25 ]]
	if command -v promtool >/dev/null; then
		grep -E '^(# (HELP|TYPE) )?copool_' metrics >ours
		run promtool check metrics <ours
		echo "$output"
		[[ $status -eq 0 && -z $output ]]
	fi
	fpm_stop
}
