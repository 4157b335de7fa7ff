#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shim/settings.h is the one list of settings: what people read is held against it, and the completions are made from it.

load lib/helper

setup() {
	root=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	completions=$(dirname "$COPOOL")/completions
	"$completions/settings" list >"$BATS_TEST_TMPDIR/list"
}

# holds DOCUMENT: it tells all that the list has, and nothing else.
holds() {
	run /usr/bin/python3 "$TESTS/lib/settings.py" "$BATS_TEST_TMPDIR/list" "$1"
	echo "$output"
	[[ $status -eq 0 && -z $output ]]
}

# notices DOCUMENT SED-COMMAND WORD...: a copy that was changed so is found wrong, in these words.
notices() {
	local copy=$BATS_TEST_TMPDIR/${1##*/}
	sed -E "$2" "$root/$1" >"$copy"
	run cmp -s "$root/$1" "$copy"
	[[ $status -eq 1 ]]
	run /usr/bin/python3 "$TESTS/lib/settings.py" "$BATS_TEST_TMPDIR/list" "$copy"
	echo "$2: $output"
	[[ $status -eq 1 ]]
	for word in "${@:3}"; do
		[[ $output == *"$word"* ]]
	done
}

@test "settings: README tells each variable of the list, its range, words and default, and no other" {
	holds "$root/README.md"
	notices README.md 's/100 to 86400000/100 to 8640000/' 'COPOOL_DECAY_MS lacks the range'
	notices README.md 's/^(\| `COPOOL_DECAY_MS.*)10000 \|$/\11000 |/' 'COPOOL_DECAY_MS lacks the default 10000'
	# shellcheck disable=SC2016 # the quotes are the document's
	notices README.md 's/^\| `COPOOL_GUARD`/| `COPOOL_GARD`/' 'COPOOL_GUARD is not there' 'COPOOL_GARD is not in the list'
}

@test "settings: libcopool.7 tells each variable of the list, its range, words and default, and no other" {
	holds "$root/tools/man/libcopool.7"
	notices tools/man/libcopool.7 's/^\.It Ev COPOOL_LEARN$/.It Ev COPOOL_TEACH/' \
		'COPOOL_LEARN is not there' 'COPOOL_TEACH is not in the list'
	notices tools/man/libcopool.7 's/10 to 3600000/10 to 360000/' 'COPOOL_INTERVAL_MS lacks the range'
	notices tools/man/libcopool.7 's/^Default: 65536\.$/Default: 65535./' 'COPOOL_LOG_MAX_KB lacks the default 65536'
}

@test "settings: copool.1 tells each option of the list, its range, words and default, and what copool set can change" {
	holds "$root/tools/man/copool.1"
	notices tools/man/copool.1 's/^(\.It Fl .*)-max-live/\1-most-live/' '--max-live is not there' '--most-live is not in the list'
	notices tools/man/copool.1 's/0 to 65535/0 to 65536/' '--max-batches lacks the range'
	notices tools/man/copool.1 's/^The default is 10000/The default is 1000/' '--decay lacks the default 10000'
	notices tools/man/copool.1 's/^\.Op Cm decay_ms/.Op Cm decay/' 'copool set lacks decay_ms'
}

@test "settings: no other document names a variable that is not in the list" {
	run grep -rhoE '\bCOPOOL_[A-Z][A-Z_]*[A-Z]\b' "$root/tools/man/copool-log.5" "$root/tools/demo" "$root/tools/grafana"
	for variable in $output; do
		cut -f 2 "$BATS_TEST_TMPDIR/list" | grep -qxE "$variable" || [[ $variable == COPOOL_BUILD ]]
	done
}

@test "settings: copool run --help tells each option of the list with its range" {
	run "$COPOOL" run --help
	local help
	help=$(tr -s ' \n' ' ' <<<"$output")
	while IFS=$'\t' read -r name _ option kind low high standard _; do
		[[ $option != -- ]] || continue
		echo "$name"
		[[ $help == *"$option"* ]]
		[[ $kind != number || $help == *"$low to $high"* ]]
		[[ $kind != number || $standard == derived || $help == *"$high"*"; default $standard "* ]]
	done <"$BATS_TEST_TMPDIR/list"
}

@test "settings: the completions know each option of the list, its words, and what copool set can change" {
	while IFS=$'\t' read -r name _ option kind _ _ _ _ live words; do
		echo "$name"
		[[ $live != live ]] || [[ $(grep -l "$name= " "$completions"/{copool.bash,_copool} | wc -l) -eq 2 ]]
		[[ $live != live ]] || grep -q "$name=" "$completions/copool.fish"
		[[ $option != -- ]] || continue
		grep -q -- " $option " "$completions/copool.bash"
		grep -q -- "${option}[=[]" "$completions/_copool"
		grep -q -- " -l ${option#--} " "$completions/copool.fish"
		[[ $kind != word ]] || [[ $(grep -c -- "$words" "$completions"/*copool* | grep -c ':[1-9]') -eq 3 ]]
	done <"$BATS_TEST_TMPDIR/list"
	run ! grep -lx '[[:space:]]*# SETTINGS' "$completions/copool.bash" "$completions/_copool" "$completions/copool.fish"
}
