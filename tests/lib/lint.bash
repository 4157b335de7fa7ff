# SPDX-License-Identifier: MIT
# The rules of the source tree, a function each: lint_NAME ROOT prints what breaks the rule and fails then.

# Fails when something was printed.
nothing() {
	local found
	found=$(cat)
	[[ -z $found ]] || {
		echo "$found"
		return 1
	}
}

lint_sources() { # ROOT FOLDER...: its C files
	local root=$1
	shift
	(cd "$root" && find "$@" -name '*.[ch]' -type f | sort)
}

# A file's code without its comments; what it includes stays unread.
code_of() {
	gcc -fpreprocessed -dD -E -P -x c "$1" 2>/dev/null
}

# code_tree ROOT FOLDER...: the folder that has the code of all C files there; what has not changed is not read again.
code_tree() {
	local code=$BATS_TEST_TMPDIR/code${1//\//-} file
	for file in $(lint_sources "$@"); do
		[[ ! -e $code/$file || $1/$file -nt $code/$file || $1/$file -ot $code/$file ]] || continue
		mkdir -p "$code/${file%/*}"
		code_of "$1/$file" >"$code/$file"
		touch -r "$1/$file" "$code/$file"
	done
	echo "$code"
}

# The clang-format that .clang-format was written for: later ones break lines elsewhere.
formatter() {
	local tool
	for tool in clang-format-14 clang-format; do
		if command -v $tool >/dev/null && $tool --version | grep -q 'version 14\.'; then
			echo $tool
			return
		fi
	done
	return 1
}

lint_format() {
	local tool
	tool=$(formatter)
	(cd "$1" && lint_sources . shim tools tests | xargs "$tool" --dry-run --Werror)
}

# A comment that begins with text ends with text: a `*/` on a line of its own is for those that begin with such a `/*`.
lint_comment_ends() {
	lint_sources "$1" shim tools tests | (
		cd "$1" && xargs awk '
			FNR == 1 { begins = 0 }
			/\/\*/ && !/\*\/[ \t]*$/ { begins = /^[ \t]*\/\*[ \t]*$/ }
			/^[ \t]*\*\/[ \t]*$/ && !begins { print FILENAME ":" FNR ": ends a comment" }'
	) | nothing
}

# A literal goes on in the next line only where that line's first word has no room. Lines that end or begin with an escape
# are breaks of the text itself.
lint_literals() {
	lint_sources "$1" shim tools tests | (
		# shellcheck disable=SC2016 # perl's
		cd "$1" && xargs perl -ne '
			chomp;
			1 while s/\t/" " x (8 - length($`) % 8)/e;
			print "$ARGV:$.: could begin in the line before\n"
				if $line =~ /"$/ && $line !~ /\\([nvt]|x[0-9a-f]{2})"$/ &&
				/^ *"([^" \\][^" ]*.)/ && length($line) + length($1) <= 110;
			$line = $_;
			if (eof) { $line = ""; close ARGV }'
	) | nothing
}

lint_shell() { # what has passed in this test is not checked again, under whichever root
	(
		cd "$1" || exit
		local script passed=$BATS_TEST_TMPDIR/shell kind
		{
			grep -lrE --exclude-dir=.git --exclude-dir=build '^#!.*[/ ](sh|bash|bats)$' .
			find tests/lib tools/completions -name '*.bash'
		} | sort -u | while read -r script; do
			cmp -s "$script" "$passed/$script" && continue
			case $script in
			*.bats) kind="--shell=bats --exclude=SC2034" ;; # for the helper
			*.bash) kind="--shell=bash --exclude=SC2034" ;; # for who loads it
			*) kind="" ;;
			esac
			# shellcheck disable=SC2086 # several words, or none
			shellcheck $kind "$script" && install -D "$script" "$passed/$script"
		done | nothing
	)
}

lint_headers() { # what has passed in this test is not compiled again, under whichever root
	local header compiler passed=$BATS_TEST_TMPDIR/headers
	for header in $(lint_sources "$1" shim tools | grep '\.h$'); do
		cmp -s "$1/$header" "$passed/$header" && continue
		for compiler in gcc clang; do
			(cd "$1" && echo "#include \"$header\"" | $compiler -std=gnu11 -D_GNU_SOURCE -Wall -Wextra \
				-Wshadow -Wundef -Werror -I. -Ishim -Itools/copool -fsyntax-only -x c - 2>&1) || continue 2
		done
		install -D "$1/$header" "$passed/$header"
	done | nothing
}

# included ROOT FOLDER: a line for each include in quotation marks: the file, its room below FOLDER, what it includes,
# and the room of that. A room is the folder that a file is in; a file without one is a room of its own.
included() {
	(cd "$1" && grep -rE --include='*.[ch]' '^[ \t]*#[ \t]*include[ \t]*"' "$2") | sort |
		sed -E "s|^($2/([^:]*)):[^\"]*\"([^\"]*)\".*|\1 \2 \3 \3|" |
		awk '{ sub(/[\/.].*/, "", $2); sub(/[\/.].*/, "", $4); print }'
}

# lint_includes ROOT: the shim's stairs system < settings, libc < config, tables, pool, stack, patch < adapter, report <
# shim.c; never sideways.
lint_includes() {
	local file from include to
	included "$1" shim | while read -r file from include to; do
		[[ $from == "$to" || $from =~ ^(shim|exports)$ || $from:$to =~ ^((libc|settings):system|.*:settings)$ ||
			$from:$to =~ ^(config|tables|pool|stack|patch|adapter|report):(system|libc)$ ||
			$from:$to =~ ^(adapter|report):(config|tables|pool|stack|patch)$ ]] || echo "$file includes $include"
		[[ $from:$include =~ ^adapter:adapter/(qemu|stack|named) && $file != "shim/adapter/${BASH_REMATCH[1]}"* ]] &&
			echo "$file includes another adapter's $include"
	done | nothing
}

# lint_tool_stairs ROOT: those of `copool`: run, log < compare < judge < process < advise, doctor, draw, show, top.
lint_tool_stairs() {
	local file from include to
	included "$1" tools/copool | while read -r file from include to; do
		[[ $from == "$to" || $to =~ ^(report|settings|copool|clean|clock|amount|verb|progress|fold)$ || $from:$to =~ ^compare:(run|log)$ ||
			$from:$to =~ ^judge:(log|compare)$ || $from:$to =~ ^process:(run|log|judge)$ ||
			$from:$to =~ ^doctor:(run|process)$ ||
			$from:$to =~ ^(advise|draw|show|top):(log|judge|process)$ ]] || echo "$file includes $include"
	done | nothing
}

lint_own_header_first() {
	local file own first
	for file in $(lint_sources "$1" shim tools/copool | grep '\.c$'); do
		own=${file#shim/}
		own=${own#tools/copool/}
		own=${own%.c}.h
		[[ -e ${1}/${file%.c}.h ]] || continue
		first=$(sed -n 's/^#include *//p' "$1/$file" | head -n 1)
		[[ $first == "\"$own\"" ]] || echo "$file includes $first before \"$own\""
	done | nothing
}

lint_tools_include() {
	local file
	for file in $(lint_sources "$1" tools); do
		grep -Hn '#include "' "$1/$file" | grep '"\(config\|settings\|system\|libc\|tables\|pool\|stack\|patch\|adapter\|report\|shim\)[/.]' |
			grep -vE '"(report/(record|record_block|unsafe_text)|settings|settings/files)\.h"'
	done | nothing
}

# door ROOT PATTERN ALLOWED FOLDER...: code that matches PATTERN is only in files that match ALLOWED.
door() {
	local root=$1 pattern=$2 allowed=$3 code
	shift 3
	code=$(code_tree "$root" "$@")
	(cd "$code" && grep -rP "$pattern" "$@" | grep -vE "^($allowed):") || true
}

lint_doors() {
	{
		door "$1" '\b(secure_)?getenv\s*\(|\benviron\b' 'shim/config\.c' shim
		door "$1" '\bdlv?sym\s*\(' 'shim/(libc/real|patch/instruction|report/origins/unwind)\.c' shim
		door "$1" '\b(__thread|_Thread_local|thread_local)\b' 'shim/(pool/thread\.[ch]|libc/real\.c|report/origins/records\.c|shim\.c)' shim
		door "$1" '\bpthread_create\s*\(' 'shim/report/.*' shim
		door "$1" '\b(_*constructor_*|_*destructor_*)\b' 'shim/shim\.c' shim
		door "$1" '\b(unw_|_Unwind_)' 'shim/report/origins/unwind\.c' shim
		door "$1" '\breal_mprotect\s*\(' 'shim/(libc|patch|stack)/.*|shim/adapter/(mappings|observe|stack_hooks)\.c' shim
		door "$1" '(?<!->)(?<!\.)\b(mmap|mmap64|munmap|mprotect|madvise|mremap)\s*\(' \
			'shim/libc/real\.[ch]|shim/exports\.c' shim
		door "$1" '(?<!->)(?<!\.)\b(_?exit|_Exit|quick_exit|abort|assert)\s*\(' 'none' shim
		door "$1" '\b(__atomic_|__sync_|atomic_\w+\s*\(|_Atomic\b)' 'shim/adapter/(classes|label|late|qemu(_hooks)?|request|room|sites|stack_hooks|unload)\.[ch]' shim/adapter
	} | nothing
}

# Every atomic says its order.
lint_atomics() {
	door "$1" '\batomic_(load|store|exchange|fetch_\w+|compare_exchange_\w+|thread_fence)(?<!_explicit)(?<!_fence)\s*\(|\b__sync_' \
		'none' shim | nothing
}

# Words that comments on atomic operations name: `[word]`, or several, and an order.
atomic_words() {
	sed 's/\[all[a-z ]*\]//g' | grep -oE '\[[a-z_.]+(, [a-z_.]+)*\]' | tr -d '[] ' | tr ',' '\n' | sort -u
}

# What tests/model/README.md does not account for; and what a model is said to have, and has not.
lint_modelled() {
	{
		comm -23 <(
			cd "$1" && grep -rhE '\[[a-z_., ]+\] (relaxed|acquire|release|acq_rel|seq_cst)' shim |
				grep -v '^ *#' | atomic_words
		) <(atomic_words <"$1/tests/model/README.md") | sed 's|.*|tests/model/README.md lacks [&]|'
		grep -E '^\| .?\[.*\| (depot|sleep)\.pml \|$' "$1/tests/model/README.md" | while read -r line; do
			comm -23 <(atomic_words <<<"$line") \
				<(atomic_words <"$1/tests/model/$(grep -oE '(depot|sleep)\.pml' <<<"$line")") |
				sed 's|.*|README.md: the model lacks [&]|'
		done
	} | nothing
}

lint_write_xor_execute() {
	local file
	for file in $(lint_sources "$1" shim); do
		code_of "$1/$file" | perl -0777 -ne '
			while (/\b\w*(?:mmap|mprotect)\w*\s*\(([^;{]*)/g) {
				my $call = $1 =~ s/~\s*PROT_EXEC//r;
				print "'"$file"': $call\n" if $call =~ /PROT_WRITE/ && $call =~ /PROT_EXEC/;
			}'
	done | nothing
}

# The parts beneath the adapters know no program by name, not even in a comment.
lint_names_no_program() {
	(cd "$1" && grep -rniE '\b(qemu|php)' shim/pool shim/stack shim/patch) | nothing
}

lint_lengths() {
	local file
	for file in $(lint_sources "$1" shim tools tests); do
		awk -v file="$file" '
			FNR == 1 { limit = file ~ /\.h$/ && file !~ /^tests/ ? 150 : file ~ /^tests/ ? 700 : 500 }
			FNR == 1 { licence = /SPDX/ }
			/^{/ { begin = FNR }
			/^}/ { if (begin && FNR - begin > 61) print file ":" begin ": a function of " FNR - begin - 1 " lines"; begin = 0 }
			END { if (FNR - licence > limit) print file ": " FNR " lines" }' "$1/$file"
	done | nothing
}

# Every file that has a place for it names its licence, near its beginning.
lint_licences() {
	local file
	(cd "$1" && find shim tools tests Makefile -type f \( -name '*.[chS]' -o -name '*.cc' -o -name '*.ba*' -o -name '*.js' -o \
		-name '*.php' -o -name '*.py' -o -name '*.pml' -o -name Makefile \) -not -path 'tools/report/*/*') | while read -r file; do
		head -n 2 "$1/$file" | grep -q 'SPDX-License-Identifier: MIT' || echo "$file names no licence"
	done | nothing
}

lint_file_names() {
	(cd "$1" && find shim tools tests | grep -E '/(common|utils?|internal)(\.|$)') | nothing
}

# All that can be built or run is in the Makefile's lists.
lint_listed() {
	local file name
	(cd "$1" && find shim tools/copool tests -name '*.c' -o -path 'tests/programs/*.cc' -o -path 'tests/*.bats') |
		while read -r file; do
			case $file in
			shim/*) name=${file#shim/} ;;
			tests/unit/*_test.c | tests/fuzz/*.c) name=$(basename "$file" .c) ;;
			tests/*.bats) name=$(basename "$file" .bats) ;;
			tools/copool/*) name=${file#tools/copool/} ;;
			tests/programs/*) name=${file##*/} ;;
			*) continue ;;
			esac
			tr -s ' \t' '\n' <"$1/Makefile" | grep -qxF -- "$name" || echo "$file is not in the Makefile"
		done | nothing
}

# Every test that the tables of tests/README.md name is there, and every file of tests is on its map.
lint_named_tests() {
	local where name
	for where in "$1"/tests/*.bats; do
		name=$(basename "$where" .bats)
		grep -q "^| .*\`$name\`.* |$" "$1/tests/README.md" || echo "tests/README.md has no $name"
	done | nothing || return
	# In one table the last column is a time.
	sed -nE -e '/ min \|$/d' -e 's/^\|.*\| ([0-9]{2}|unit:) ([^|]*) \|$/\1 \2/p' "$1/tests/README.md" | while read -r where name; do
		case $where in
		unit:) [[ -e $1/tests/unit/$name.c ]] || echo "tests/README.md names the unit test $name" ;;
		*) grep -qxF "@test \"$name\" {" "$1/tests/$where"-*.bats || echo "tests/README.md names $where, $name" ;;
		esac
	done | nothing
}

# documents ROOT: a line "PAGE: WHAT" for each path that a page links to or, in those about the source, has in backquotes.
documents() {
	local page
	(cd "$1" && printf '%s\n' README.md {.github,shim,tools}/*.md tests/README.md tests/*/README.md) | while read -r page; do
		{
			grep -oE '\]\([^)#]+' "$1/$page" | cut -c 3- | grep -v '^https:'
			[[ ! $page =~ ^(shim/README|tests/README|.github/CONTRIBUTING)\.md$ ]] ||
				grep -oP '\x60\K[\w.-]+(/[\w.-]*)+(?=\x60)' "$1/$page" | grep -vE '^build/|/NN-'
		} | sed "s|^|$page: |"
	done
}

# What the documents name is there: paths, and the functions in shim/README.md.
lint_documents() {
	local page word
	{
		documents "$1" | while read -r page word; do
			compgen -G "$1/$word*" >/dev/null || compgen -G "$1/$(dirname "$page")/$word*" >/dev/null ||
				echo "$page there is no $word"
		done
		grep -oP '\x60\K[a-z_0-9]+(?=\(\)\x60)' "$1/shim/README.md" | sort -u | while read -r word; do
			grep -rqE --include='*.[ch]' "\b$word\(" "$1/shim" || echo "shim/README.md: there is no $word()"
		done
	} | nothing
}

lint_manuals() {
	local page
	for page in "$1"/tools/man/*.[1-9]; do
		if command -v mandoc >/dev/null; then mandoc -Tlint -Wwarning "$page"; fi
		if command -v man >/dev/null; then man --warnings -l "$page" 2>&1 >/dev/null; fi
	done 2>&1 | nothing
}

is_built() {
	readelf --file-header "$1" >/dev/null
}

# lint_needed LIBRARY
lint_needed() {
	is_built "$1" || return
	readelf --dynamic --wide "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vxF libc.so.6 | nothing
}

# lint_exports LIBRARY MAP: what the library defines for others is the global list of its version script.
lint_exports() {
	is_built "$1" || return
	diff <(exported "$2") \
		<(nm --dynamic --defined-only "$1" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort)
}

# lint_hardened LIBRARY: no page is writable and executable, or writable after the start without need.
lint_hardened() {
	local dynamic
	is_built "$1" || return
	dynamic=$(readelf --dynamic --wide "$1")
	{
		readelf --program-headers --wide "$1" | grep -E 'LOAD.* RWE|GNU_STACK.*E +0x'
		grep TEXTREL <<<"$dynamic"
		grep -q 'BIND_NOW\|Flags:.*NOW' <<<"$dynamic" || echo "not bound at start"
		readelf --program-headers --wide "$1" | grep -q GNU_RELRO || echo "no RELRO"
	} | nothing
}
