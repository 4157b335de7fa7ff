#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The completions in the shells that they are for, at a terminal: Tab is pressed, and the screen looked at.
# shellcheck disable=SC2154 # start sets pid

load lib/helper

setup() {
	/usr/bin/python3 -c 'import pyte' 2>/dev/null || lacks "there is no pyte for python3"
	completions=$(dirname "$COPOOL")/completions
	cd "$BATS_TEST_TMPDIR" || return
	mkdir bin files
	ln -s "$COPOOL" bin/copool
	PATH=$PWD/bin:$PATH
	cd files || return
	touch statistics.jsonl
}

# tab SHELL WORDS: what is on the screen after Tab.
tab() {
	run timeout --kill-after=5 300 /usr/bin/python3 "$TESTS/lib/completions.py" "$1" "$completions" "$2"
	echo "$1: $2"
	echo "$output"
	[[ $status -eq 0 ]]
	# Nothing that a shell or a completion complains of.
	[[ $output != *error* && $output != *"not found"* && $output != *"bad option"* && $output != *"unknown"* ]]
}

# Verbs, files, settings and options are completed without a complaint; of more verbs only in make check-full.
verbs_complete() { # SHELL
	tab "$1" 'copool '
	for verb in run compare show top ps set settings trim off on record report plot origins advise prune recipe; do
		[[ $output == *"$verb"* ]]
	done
	tab "$1" 'copool show stat'
	[[ $output == *"copool show statistics.jsonl"* ]]
	tab "$1" 'copool set 1 decay'
	[[ $output == *"copool set 1 decay_ms="* && $output != *'\='* ]]
	tab "$1" 'copool run --lab'
	[[ $output == *"copool run --label"* ]]
	[[ ${COPOOL_TEST_FULL-} == 1 ]] || return 0
	tab "$1" 'copool sho'
	[[ $output == *"copool show"* ]]
	tab "$1" 'copool top stat'
	[[ $output == *"copool top statistics.jsonl"* ]]
	tab "$1" 'copool report stat'
	[[ $output == *"copool report statistics.jsonl"* ]]
	tab "$1" 'copool ps --s'
	[[ $output == *"copool ps --sums"* ]]
	tab "$1" 'copool record --app'
	[[ $output == *"copool record --append"* ]]
}

@test "completions: bash" {
	verbs_complete bash
}

@test "completions: zsh" {
	requires zsh
	verbs_complete zsh
	# Both files and processes, and no complaint.
	tab zsh "copool top "
	[[ $output == *statistics.jsonl* ]]
}

@test "completions: fish" {
	requires fish
	verbs_complete fish
}

@test "completions: all know the same verbs as the command, and its options" {
	for verb in $("$COPOOL" --help | awk '/^  [a-z]/ && $1 != "help" { print $1 }'); do
		for file in _copool copool.bash copool.fish; do
			grep -qw "$verb" "$completions/$file" || {
				echo "$file does not know $verb"
				return 1
			}
			for option in $("$COPOOL" help "$verb" | grep -oE '^ *(-[a-z], )?( *)--[a-z-]+' | grep -oE '[a-z-]{3,}$' | sed 's/^--//'); do
				case $option in help | usage | version) continue ;; esac
				grep -qE -- "(--|-l )$option" "$completions/$file" || {
					echo "$file does not know --$option of $verb"
					return 1
				}
			done
		done
	done
}
