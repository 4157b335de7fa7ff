#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# QEMU's own coroutines as other compilers, options and distributions build them: its two files out of Debian's source
# packages, linked with a program of ours that creates, nests, wakes and ends coroutines, over threads and while it is
# traced, and counts for itself. For each build it is said here in which way it is helped. With COPOOL_TEST_FULL=1 all
# builds, otherwise about a third.
# shellcheck disable=SC2054 # the commas belong to QEMU's and the linker's options
# shellcheck disable=SC2153 # FILTER is read by same_twin
# shellcheck disable=SC2154 # lib/qemu-source sets `tools`
# shellcheck disable=SC2016 # what is in single quotes is for jq and another shell
# shellcheck disable=SC2030,SC2031 # each test is a process of its own

load lib/helper
load lib/qemu
load lib/packages
load lib/qemu-source

setup() {
	requires jq gcc
	cd "$BATS_TEST_TMPDIR" || return
	ulimit -c 0 # some are to die
	truth=$PWD/truth.json
	around=() program=qemu-matrix stacks_of_one=1 learned=0
}

is_full() {
	[[ ${COPOOL_TEST_FULL-} == 1 ]]
}

# What QEMU's build has of such options, as does Debian's.
QEMU_FLAGS=(-std=gnu11 -D_GNU_SOURCE -fPIE -fno-strict-aliasing -fno-common -fwrapv -fstack-protector-strong
	-Werror=implicit-function-declaration -pie -pthread -Wl,-z,relro,-z,now)

# build VERSION COMPILER FLAG...: ./$program, of QEMU's files, unmodified.
build() {
	local source=$CACHE/qemu-coroutines-$1
	"$2" "${QEMU_FLAGS[@]}" "${@:3}" -I"$STUBS" -I"$source/include" -o "$program" \
		"$source"/util/{qemu-coroutine,coroutine-ucontext}.c "$STUBS"/{matrix,runtime}.c
}

# What link-time optimization is with a compiler.
lto() {
	case $1 in
	gcc) echo -flto ;;
	*) echo -flto=thin -fuse-ld=lld ;;
	esac
}

# compared POOL CONDITION: of a pool's last record, `.`, and of what the program counts itself, $true.
compared() {
	jq -ne --slurpfile truth "$truth" --arg pool "$1" --argjson stacks "$stacks_of_one" '$truth[0] as $true
		| [inputs | select(.type == "final" and (.pool | startswith($pool)))] | last
		| '"$2" "$LOG" >/dev/null || {
		echo "not so: $2"
		log_records final
		return 1
	}
}

# The counters of the coroutines' pool are what the program counts itself, and nothing was made again.
counts_are_exact() {
	compared "$COROUTINES" '.create_local + .create_depot + .create_new == $true.created
		and .destroy_local + .destroy_depot + .destroy_delete == $true.ended and .live == $true.alive
		and .create_new * $stacks == $true.stacks_made and .create_new == $true.most_alive'
}

# The pool of stacks has what the program mapped and unmapped, but for the first ones where it had to learn them.
stacks_are_exact() {
	local learned=${1-0}
	compared 'stack ' "(\$true.stacks_made - (.create_local + .create_depot + .create_new)) as \$unseen
		| \$unseen >= 0 and \$unseen <= $learned
		and .live - (\$true.stacks_made - \$true.stacks_freed) <= 0 and .live + $learned >= \$true.stacks_made - \$true.stacks_freed
		and .create_new < 1.5 * \$true.most_alive * \$stacks"
}

# twin COMMAND...: as same_twin, with what $around says around both.
twin() {
	local stock_status stock_output
	run_shown "${around[@]}" env -u LD_PRELOAD "$@"
	stock_status=$status stock_output=$output
	rm -f "$LOG"
	run_shown "${around[@]}" env LD_PRELOAD="$COPOOL_SO" COPOOL_LOG="$LOG" COPOOL_TELL=1 COPOOL_DECAY_MS=0 "$@"
	[[ $status -eq $stock_status ]]
	diff <(echo "$stock_output") <(echo "$output")
}

# Where its functions have no names a program says first that it has no coroutines yet.
way() {
	log_records open .way | tail -n 1
}

# check_way WAY: ./$program does what it does without the shim, is helped in that way, and the counters are true.
check_way() {
	local cause
	twin PROGRAM_TRUTH="$truth" "./$program"
	[[ $status -eq 0 ]]
	echo "way: $(way) ($(log_records open .detail)); counted: $(<"$truth")"
	[[ $(way) == "$1" ]]
	[[ $("${around[@]}" "$COPOOL" doctor --json "./$program" | jq -r .adapter.way) == "$1" ]]
	check_log
	case $1 in
	ending | switch) counts_are_exact ;;
	stacks) stacks_are_exact "$learned" ;;
	esac
	[[ $1 == none ]] || check_balance
	twin PROGRAM_TRUTH="$truth" "./$program" traced
	[[ $status -eq 0 ]]
	[[ $1 != ending ]] || counts_are_exact
	# What ends goes to QEMU's own pool then, and comes back from there.
	[[ $1 != switch || $(pool_final live) -eq $(truth alive) ]]
	for cause in locks recursion schedule nobody; do
		twin "./$program" $cause
		[[ $status -eq 134 ]]
	done
}

# cell WAY VERSION COMPILER FLAG...: built so, it is helped that way.
cell() {
	local stacks_of_one=1
	[[ $* != *=safe-stack* ]] || stacks_of_one=2
	echo "== QEMU $2 by ${*:3}"
	build "${@:2}"
	check_way "$1"
}

# check_levels VERSION COMPILER: at all levels of optimization, linked as usual and with link-time optimization.
check_levels() {
	local level
	requires "$2"
	[[ $2 != clang ]] || requires ld.lld
	requires_source fetch_coroutines "$1"
	for level in -O2 -Os -O1 -O3; do
		is_full || [[ $level != -O[13] ]] || continue
		cell "$(way_of "$1" "$2" $level)" "$1" "$2" $level -rdynamic
		is_full || [[ $level != -Os ]] || continue
		# shellcheck disable=SC2046 # options
		cell "$(way_of "$1" "$2" $level lto)" "$1" "$2" $level $(lto "$2") -rdynamic
	done
}

# way_of VERSION COMPILER LEVEL [lto]: what is expected.
way_of() {
	case $1-$2$3-${4-} in
	*-gcc-O3-lto | 7.2-clang-O3-lto) echo stacks ;; # qemu_coroutine_create is inlined
	7.2-*-Os-*) echo stacks ;;                     # the loop has another shape, and switching would be slower
	*-Os-*) echo switch ;;
	*) echo ending ;;
	esac
}

@test "QEMU 7.2, by gcc: at each optimization it does what it does without the shim, with true counters" {
	check_levels 7.2 gcc
}

@test "QEMU 7.2, by clang: at each optimization it does what it does without the shim, with true counters" {
	check_levels 7.2 clang
}

@test "QEMU 10.0, by gcc: at each optimization it does what it does without the shim, with true counters" {
	check_levels 10.0 gcc
}

@test "QEMU 10.0, by clang: at each optimization it does what it does without the shim, with true counters" {
	check_levels 10.0 clang
}

@test "QEMU 11.1, by gcc: at each optimization it does what it does without the shim, with true counters" {
	check_levels 11.1 gcc
}

@test "QEMU 11.1, by clang: at each optimization it does what it does without the shim, with true counters" {
	check_levels 11.1 clang
}

# distribution VERSION COMPILER FLAG...: with link-time optimization and the flags of one that builds QEMU so.
distribution() {
	# shellcheck disable=SC2046 # options
	cell ending "$1" "$2" -O2 $(lto "$2") -rdynamic -fstack-clash-protection -fcf-protection=full "${@:3}"
}

check_distributions() { # VERSION
	requires clang ld.lld
	requires_source fetch_coroutines "$1"
	distribution "$1" clang -fsanitize=safe-stack
	distribution "$1" gcc -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer
	! is_full || distribution "$1" gcc -march=x86-64-v2
}

@test "QEMU 7.2, as RHEL builds QEMU and as Ubuntu does: with link-time optimization it is taken over whole" {
	check_distributions 7.2
}

@test "QEMU 10.0, as RHEL builds QEMU and as Ubuntu does: with link-time optimization it is taken over whole" {
	check_distributions 10.0
}

@test "QEMU 11.1, as RHEL builds QEMU and as Ubuntu does: with link-time optimization it is taken over whole" {
	check_distributions 11.1
}

is_v3() {
	local flag
	for flag in avx2 bmi2 fma movbe abm; do
		grep -qw "$flag" /proc/cpuinfo || return
	done
}

check_options() { # VERSION
	requires clang
	requires_source fetch_coroutines "$1"
	cell ending "$1" gcc -O2 -rdynamic -fzero-call-used-regs=used-gpr -ftrivial-auto-var-init=zero
	cell ending "$1" clang -O2 -rdynamic -fsanitize=safe-stack
	is_full || return 0
	cell ending "$1" gcc -O2 -rdynamic -fcf-protection=full
	cell ending "$1" clang -O2 -rdynamic -fcf-protection=full
	cell ending "$1" gcc -O2 -rdynamic -no-pie -fno-pie
	cell ending "$1" gcc -O2 -rdynamic -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer
	is_v3 || return 0
	cell ending "$1" gcc -O2 -rdynamic -march=x86-64-v3
	cell ending "$1" clang -O2 -rdynamic -march=x86-64-v3
}

@test "QEMU 7.2, with other options: it does what it does without the shim, with true counters" {
	check_options 7.2
}

@test "QEMU 10.0, with other options: it does what it does without the shim, with true counters" {
	check_options 10.0
}

@test "QEMU 11.1, with other options: it does what it does without the shim, with true counters" {
	check_options 11.1
}

# Takes the names out of ./$program, into a file below debug/ that its build-id leads to.
strip_names() {
	local id
	id=$(readelf -n "$program" | sed -n 's/.*Build ID: //p')
	mkdir -p "debug/.build-id/${id:0:2}"
	objcopy --only-keep-debug "$program" "debug/.build-id/${id:0:2}/${id:2}.debug"
	strip "$program"
	[[ $(nm -D "$program") != *qemu_coroutine* ]]
}

@test "QEMU without exported names, as kvm: it is taken over by those in its file of debug symbols" {
	requires unshare readelf objcopy strip
	[[ -d /usr/lib/debug ]] || lacks "there is no folder for debug symbols"
	unshare --mount true 2>/dev/null || skip "no mount namespace can be made here"
	requires_source fetch_coroutines 10.0
	program=kvm
	build 10.0 gcc -g -O2
	strip_names
	# shellcheck disable=SC2016 # for the inner shell
	around=(unshare --mount bash -c 'mount --bind "$1" /usr/lib/debug && exec "${@:2}"' bash "$PWD/debug")
	check_way ending
}

@test "QEMU without any names: its stacks are recycled where the program's own name says what it is, as microvm's" {
	requires readelf objcopy strip
	requires_source fetch_coroutines 10.0
	program=qemu-system-x86_64-microvm
	build 10.0 gcc -g -O2
	strip_names
	learned=16
	check_way stacks
	mv "$program" unknown
	program=unknown
	check_way none
}

# ---- whole tools, only in make check-full ----

null_aio=(--image-opts driver=null-aio,size=1G)

# made COUNTER...: their sum in the coroutines' pool.
made() {
	local sum=0 counter
	for counter; do
		((sum += $(pool_final "$counter")))
	done
	echo "$sum"
}

# loaded DEPTH: requests whose coroutines are all made at first, and never again.
loaded() {
	local options=(-d "$1")
	(($1 < 64)) || options+=("--flush-interval=$1")
	rm -f "$LOG"
	same_twin "$tools/qemu-img" bench -w -c 30000 "${options[@]}" "${null_aio[@]}"
	[[ $status -eq 0 ]]
	echo "way: $(log_open way); $(log_open detail)"
	[[ $(log_open way) == ending ]]
	check_balance
	[[ $(made create_local create_depot create_new) -ge 30000 && $(pool_final live) -eq 0 ]]
	(($(pool_final create_new) <= $1 + 1))
}

check_tools() { # VERSION COMPILER
	is_full || skip "QEMU's tools are built for some minutes: only in make check-full"
	requires_tools "$@"
	FILTER=$FILTER_SECONDS
	[[ $("$tools/qemu-img" --version) == *"version $1."* ]]
	loaded 32
	loaded 380
	loaded 1024
	requires_program count_contexts
	rm "$LOG"
	run_pooled LD_PRELOAD="$COPOOL_SO $PROGRAMS/count_contexts" COUNT_CONTEXTS="$PWD/contexts" \
		"$tools/qemu-img" bench -w -c 5000 -d 512 --flush-interval=512 "${null_aio[@]}"
	[[ $status -eq 0 && $(<contexts) -ge 512 && $(pool_final create_new) -eq $(<contexts) ]]
	random_file raw 16
	run_stock "$tools/qemu-img" create -q -f qcow2 image 16M
	same_twin "$tools/qemu-io" -f qcow2 image -c 'aio_write -q -P 5 0 2M' -c 'aio_write -q -P 6 4M 2M' -c aio_flush \
		-c 'read -q -P 5 0 2M' -c 'read -q -P 6 4M 2M' -c 'read -q -P 0 2M 2M'
	[[ $status -eq 0 && $output == "" ]]
	run_pooled "$tools/qemu-img" convert -O qcow2 raw packed
	run_stock "$tools/qemu-img" compare -f raw -F qcow2 raw packed
	[[ $status -eq 0 ]]
}

@test "QEMU 7.2's tools, built by gcc with link-time optimization: none of their coroutines is made again" {
	check_tools 7.2 gcc
}

@test "QEMU 10.0's tools, built by gcc with link-time optimization: none of their coroutines is made again" {
	check_tools 10.0 gcc
}

@test "QEMU 10.0's tools, built by clang with link-time optimization and SafeStack: none of their coroutines is made again" {
	check_tools 10.0 clang
}
