#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# make install and make uninstall, and copool as it was installed.

load lib/helper

setup() {
	root=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	stage=$BATS_TEST_TMPDIR/stage
}

# make_target TARGET [VARIABLE=VALUE...]
make_target() {
	run make --no-print-directory -C "$root" "$@"
	echo "$output"
	[[ $status -eq 0 ]]
}

installed() {
	(cd "$1" && find . -type f -printf '%P\n' | sort)
}

@test "install: every file lands below DESTDIR and PREFIX, and nowhere else" {
	make_target install DESTDIR="$stage" PREFIX=/opt/copool
	diff <(installed "$stage") - <<-END
		opt/copool/bin/copool
		opt/copool/lib/copool/libcopool.so
		opt/copool/share/bash-completion/completions/copool
		opt/copool/share/copool/grafana/alerts.yml
		opt/copool/share/copool/grafana/copool.json
		opt/copool/share/doc/copool/LICENSE
		opt/copool/share/doc/copool/LICENSE.d3
		opt/copool/share/doc/copool/LICENSE.d3-flame-graph
		opt/copool/share/doc/copool/LICENSE.uplot
		opt/copool/share/doc/copool/README.md
		opt/copool/share/doc/copool/copool.conf
		$(cd "$root/tools/service" && printf 'opt/copool/share/doc/copool/service/%s\n' *.md)
		opt/copool/share/fish/vendor_completions.d/copool.fish
		opt/copool/share/man/man1/copool.1
		opt/copool/share/man/man5/copool-log.5
		opt/copool/share/man/man7/libcopool.7
		opt/copool/share/zsh/site-functions/_copool
	END
}

@test "install: the default is /usr/local" {
	make_target --dry-run install DESTDIR=/stage
	[[ $output == *"/stage/usr/local/bin/copool"* ]]
}

@test "install: only copool may be executed" {
	make_target install DESTDIR="$stage" PREFIX=/usr
	[[ $(find "$stage" -type f -perm /111 -printf '%P\n') == usr/bin/copool ]]
	[[ -z $(find "$stage" -type f -not -perm -444) ]]
}

@test "install: a folder with blanks is good" {
	make_target install DESTDIR="$BATS_TEST_TMPDIR/a stage" PREFIX=/usr
	[[ $(installed "$BATS_TEST_TMPDIR/a stage" | wc -l) -gt 15 ]]
	make_target uninstall DESTDIR="$BATS_TEST_TMPDIR/a stage" PREFIX=/usr
	[[ -z $(installed "$BATS_TEST_TMPDIR/a stage") ]]
}

@test "install: the installed copool runs programs with the installed library" {
	make_target install PREFIX="$stage"
	run "$stage/bin/copool" run printenv LD_PRELOAD
	[[ $status -eq 0 && $output == "$stage/lib/copool/libcopool.so" ]]
	mv "$stage" "$stage.moved"
	run "$stage.moved/bin/copool" run printenv LD_PRELOAD
	[[ $status -eq 0 && $output == "$stage.moved/lib/copool/libcopool.so" ]]
}

@test "install: man finds the pages" {
	requires man
	make_target install PREFIX="$stage"
	local page
	for page in 1:copool 5:copool-log 7:libcopool; do
		run man -M "$stage/share/man" --where "${page%%:*}" "${page#*:}"
		[[ $status -eq 0 && $output == "$stage"/* ]]
	done
}

@test "install: bash completes verbs, options and hosts" {
	make_target install PREFIX="$stage"
	complete_words() { # WORD...: what the last one becomes
		bash -c 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _copool; echo "${COMPREPLY[@]}"' \
			"$stage/share/bash-completion/completions/copool" "$@"
	}
	[[ $(complete_words copool s) == "show set settings" && $(complete_words copool tr) == trim ]]
	[[ $(complete_words copool run --in) == --interval ]]
	[[ $(complete_words copool run --host = q) == qemu ]]
	[[ $(complete_words copool run --host n) == named ]]
	[[ $(complete_words copool show --j) == --json ]]
	[[ $(complete_words copool run --ob) == --observe ]]
	[[ $(complete_words copool compare --r) == --runs ]]
	[[ $(complete_words copool compare --lo) == "" ]]
	[[ " $(complete_words copool compare -n 3 tru) " == *" true "* ]]
	[[ $(complete_words copool show --c) == --csv ]]
	[[ $(complete_words copool report --o) == --output ]]
	[[ $(complete_words copool plot --s) == --script ]]
	[[ $(complete_words copool top --de) == --delay && $(complete_words copool set 1 dec) == decay_ms= ]]
	[[ $(complete_words copool advise --m) == --max-batches ]]
	[[ $(complete_words copool help ru) == run ]]
	[[ " $(complete_words copool run --log=x tru) " == *" true "* ]]
}

@test "uninstall: nothing of install stays, and nothing else goes" {
	make_target install PREFIX="$stage"
	echo mine >"$stage/bin/other"
	echo mine >"$stage/share/doc/copool/NOTES"
	make_target uninstall PREFIX="$stage"
	diff <(installed "$stage") - <<-END
		bin/other
		share/doc/copool/NOTES
	END
	[[ ! -e $stage/lib/copool ]]
	make_target uninstall PREFIX="$stage"
}

@test "make help: every target that it names exists" {
	make_target help
	local target
	for target in all check check-full bench demo install uninstall clean lint help; do
		grep -q "^  make $target " <<<"$output"
	done
	while read -r _ target _; do
		[[ $target != check ]] || continue # check-full is that, too
		make --no-print-directory -C "$root" --dry-run "$target" >/dev/null
	done <<<"$output"
}
