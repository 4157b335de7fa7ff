# SPDX-License-Identifier: MIT
# Part of tests/bench/run, which sources it: PHP's fibers, in the PHP of this machine, in 8.4 of Debian 13 and in the newest that
# Debian has. The others are unpacked below build/cache, each with its libc, and run in root folders of their own, as root.
# shellcheck shell=bash
# shellcheck disable=SC2154 # run has set $here, $build, $rounds, $results and $work
# shellcheck source=/dev/null
COPOOL_BUILD=$build . "$(dirname "$here")/lib/packages.bash"

# prepare_php installed|8.4|newest: sets root, php and version; false where it cannot be had, and why has been said.
prepare_php()
{
	local suite=trixie name=php-13
	root='' php=php
	if [[ $1 == installed ]]; then
		has php || return
	else
		[[ $(id -u) -eq 0 ]] || { echo "PHP, $1: left out, as only root can enter a root folder" && return 1; }
		php=php8.4
		if [[ $1 == newest ]]; then
			suite=experimental
			php=$(under_lock newest_php "$suite" 2>"$work/said") && name=$php-$suite
		fi
		if [[ ! $php ]] || ! under_lock fetch_root "$name" "$suite" base-files coreutils libc-bin "$php-cli" \
			>"$work/said" 2>&1; then
			echo "PHP, $1: left out, as Debian's packages cannot be had here"
			return 1
		fi
		root=$CACHE/$name
	fi
	version="PHP $(stock "$php" -n -r 'echo PHP_VERSION;')"
}

# What burst.php says of each: fibers, maps, resident bytes, bytes of page tables, microseconds until the first, to the
# last, to the end of all; medians.
burst() # stock|pooled FIBERS
{
	local how=$1 fibers=$2 round field
	local -a medians=()
	for ((round = 0; round < (rounds + 1) / 2; round++)); do
		"$how" "$php" -n -d memory_limit=-1 "$here/burst.php" "$fibers" 2>/dev/null
	done >"$work/bursts"
	for field in 1 2 3 4 5 6 7; do
		# shellcheck disable=SC2046 # each is a word
		medians+=("$(spread $(cut -d ' ' -f $field "$work/bursts") | cut -d ' ' -f 1)")
	done
	printf '%-38s %8s %8s %10s %12s %10s %10s %10s\n' "$version, $fibers at once, $how" "${medians[@]}"
	printf '{"subject":"%s, %s at once, %s","alive":%s,"maps":%s,"resident":%s,"tables":%s,"first_us":%s,"each_us":%s,"end_us":%s}\n' \
		"$version" "$fibers" "$how" "${medians[@]}" >>"$results"
}

for which in installed 8.4 newest; do
	prepare_php $which || continue
	compare "$version, a fiber's life" ns run_program "$php" -n "$here/life.php" 200000 1
	compare "$version, a fiber's life, 1000 alive" ns run_program "$php" -n "$here/life.php" 200000 1000
	[[ $which == newest ]] || prepared+=("$which")
done
printf '%-38s %8s %8s %10s %12s %10s %10s %10s\n' "a burst of fibers" alive maps resident "page tables" "first, us" "each, us" \
	"end, us"
for which in "${prepared[@]}"; do
	prepare_php "$which"
	for fibers in 32000 100000; do
		burst stock $fibers
		burst pooled $fibers
	done
done
root=''
