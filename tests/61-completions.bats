#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The completions in the shells that they are for, at a terminal: Tab is pressed, and the screen looked at. And the
# options of each verb: --help, the completions and the manual name the same.
# shellcheck disable=SC2016 # what is in single quotes is for another shell

load lib/helper

setup() {
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
	/usr/bin/python3 -c 'import pyte' 2>/dev/null || lacks "there is no pyte for python3"
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

verbs() {
	"$COPOOL" --help | awk '/^  [a-z]/ && $1 != "help" { print $1 }'
}

# "VERB --OPTION" of each verb, as --help says; and "help VERB".
wanted() {
	local verb
	for verb in $(verbs); do
		echo "help $verb"
		"$COPOOL" "$verb" --help | grep -oE '^  (-., |    ) ?--[a-z-]+' | sed "s/.*--/$verb --/"
	done | grep -vE -- '--(usage|version|help)$' | sort
}

same_as_wanted() { # FILE: the same of a shell, in any order
	wanted >list
	[[ -s list ]]
	grep -vE -- '--(version|help)$' "$1" | sort -u | diff list -
}

@test "completions: bash has the options of each verb, no others, and help has the verbs" {
	for verb in $(verbs); do
		bash -c 'source "$0/copool.bash"; COMP_WORDS=(copool "$1" --) COMP_CWORD=2; _copool; printf "$1 %s\n" "${COMPREPLY[@]}"' \
			"$completions" "$verb"
	done >found
	bash -c 'source "$0/copool.bash"; COMP_WORDS=(copool help "") COMP_CWORD=2; _copool; printf "help %s\n" "${COMPREPLY[@]}"' \
		"$completions" >>found
	same_as_wanted found
}

@test "completions: fish has the options of each verb, no others, and help has the verbs" {
	requires fish
	# shellcheck disable=SC2046 # each verb is a word
	fish --no-config -c 'source $argv[1]/copool.fish
		for verb in $argv[2..]
			complete -C "copool $verb --" | string replace -r "\t.*" "" | string replace -r "=\$" "" | sed "s/^/$verb /"
		end
		complete -C "copool help " | string replace -r "\t.*" "" | sed "s/^/help /"' \
		"$completions" $(verbs) | grep -v '^help -' >found
	same_as_wanted found
}

@test "completions: zsh has the options of each verb, no others, and help has the verbs" {
	# As the file says them: `run)` or `trim | off | on)` to `;;`, with the two arrays that some verbs use.
	awk '/^\tlocal -a [a-z]+_options=\(/ { array = $3; sub(/=.*/, "", array) }
		array != "" { text[array] = text[array] "\n" $0 }
		/^\t\)$/ { array = "" }
		/^\t[a-z| ]+\)$/ { names = $0; gsub(/[|)]/, " ", names); block = "" }
		names != "" {
			block = block "\n" $0
			for (one in text)
				if (index($0, "$" one " ") || $0 ~ ("[$]" one "$"))
					block = block text[one]
		}
		/;;$/ && names != "" {
			count = split(names, name)
			for (i = 1; i <= count; i++) {
				rest = block
				while (match(rest, /--[a-z]+(-[a-z]+)*[=\[}]/)) {
					print name[i], substr(rest, RSTART, RLENGTH - 1)
					rest = substr(rest, RSTART + RLENGTH)
				}
			}
			names = ""
		}
		/^\thelp\) _values verb / { for (i = 4; i < NF; i++) print "help", $i }' "$completions/_copool" >found
	same_as_wanted found
}

@test "completions: the manual explains each option where it explains the verb" {
	# Each section's heading names its verbs: "copool off, copool on".
	awk '/^\.S[sh] / { heading = " " $0 " "; gsub(/,/, " ", heading) } { print heading "\t" $0 }' "$TESTS/../tools/man/copool.1" >manual
	wanted | grep -v '^help' | while read -r verb option; do
		# That --json is an option of most verbs is said once.
		[[ $option != --json ]] || continue
		awk -F '\t' -v verb=" $verb " 'index($1, verb)' manual | grep -qF -- "Fl \\${option#-}" || echo "the manual lacks $option of $verb"
	done >missing
	cat missing
	[[ ! -s missing ]]
}
