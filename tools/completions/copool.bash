# SPDX-License-Identifier: MIT
# bash completion for copool. The Makefile puts what shim/settings.h says in the place of the line SETTINGS.
# shellcheck disable=SC2154 # what is put there

# SETTINGS

# The processes that can be looked into, on one line.
_copool_pids()
{
	grep -ls libcopool /proc/[0-9]*/maps 2>/dev/null | sed 's|/proc/\([0-9]*\)/maps|\1|'
}

_copool()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local i options

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "run compare doctor observe show top ps set settings trim off on record report plot origins advise prune recipe help --help --version" -- "$word")
		return
	fi
	case ${COMP_WORDS[1]} in
	run | compare)
		options="$_copool_both_options --help --version"
		if [[ ${COMP_WORDS[1]} == run ]]; then
			options+=" $_copool_run_options --observe --summary"
		else
			options+=" --runs --json --quiet"
		fi
		# The first word that is neither an option nor an option's value is the program.
		for ((i = 2; i < COMP_CWORD; i++)); do
			case ${COMP_WORDS[i]} in
			--)
				((i++))
				break
				;;
			--*=*) ;;
			-*)
				[[ "$_copool_values --runs -n " != *" ${COMP_WORDS[i]} "* ]] || ((i++))
				[[ ${COMP_WORDS[i]} != "=" ]] || ((i++))
				;;
			*) break ;;
			esac
		done
		if ((i < COMP_CWORD)); then
			declare -F _command_offset >/dev/null && _command_offset "$i"
			return
		fi
		if ((i == COMP_CWORD)) && [[ $word != -* ]]; then
			mapfile -t COMPREPLY < <(compgen -c -- "$word")
			return
		fi
		[[ $before != "=" ]] || before=${COMP_WORDS[COMP_CWORD - 2]}
		[[ $word != "=" ]] || word=
		if [[ $_copool_paths == *" $before "* || $before == -l ]]; then
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
		elif [[ "$_copool_values --runs -n " == *" $before "* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$(_copool_words "$before")" -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
		fi
		;;
	show | top)
		local options="--json --csv --pid --help --version"
		[[ ${COMP_WORDS[1]} == show ]] || options="--delay --count --pid --plain --json --help --version"
		[[ $before != "=" ]] || before=${COMP_WORDS[COMP_CWORD - 2]}
		[[ $word != "=" ]] || word=
		if [[ $before == --pid || $before == -p ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$(_copool_pids)" -- "$word")
		elif [[ $before == --delay || $before == --count || $before == -[dn] ]]; then
			:
		elif [[ $word == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -f -W "$(_copool_pids)" -- "$word")
		fi
		;;
	doctor)
		[[ $before != "=" ]] || before=${COMP_WORDS[COMP_CWORD - 2]}
		[[ $word != "=" ]] || word=
		if [[ $before == --log || $before == --library || $before == -[lL] ]]; then
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
		elif [[ $before == --user || $before == -u ]]; then
			mapfile -t COMPREPLY < <(compgen -u -- "$word")
		elif [[ $word == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "--user --log --library --json --help --version" -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -c -- "$word")
		fi
		;;
	observe)
		[[ $before != "=" ]] || before=${COMP_WORDS[COMP_CWORD - 2]}
		[[ $word != "=" ]] || word=
		if [[ $before == --for || $before == --max-cost || $before == -[sc] ]]; then
			return
		elif [[ $word == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "--for --max-cost --json --help --version" -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -W "$(printf '%s\n' /proc/[0-9]* | sed 's|/proc/||')" -- "$word")
		fi
		;;
	ps)
		[[ $before == --delay || $before == -d || $before == "=" ]] ||
			mapfile -t COMPREPLY < <(compgen -W "--all --sums --delay --json --help --version" -- "$word")
		;;
	origins)
		if [[ $before == --top || $before == -n || $before == "=" ]]; then
			return
		elif [[ $word == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "--folded --json --leaks --top --help --version" -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
		fi
		;;
	advise)
		[[ $before != "=" ]] || before=${COMP_WORDS[COMP_CWORD - 2]}
		[[ $word != "=" ]] || word=
		if [[ $before == --decay || $before == --max-batches || $before == -[db] ]]; then
			return
		elif [[ $word == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "--json --decay --max-batches --help --version" -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
		fi
		;;
	prune)
		if [[ $before == --older || $before == -o || $before == "=" ]]; then
			return
		elif [[ $word == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "--dry-run --older --json --help --version" -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -d -- "$word")
		fi
		;;
	settings)
		[[ $before != "=" ]] || before=${COMP_WORDS[COMP_CWORD - 2]}
		[[ $word != "=" ]] || word=
		if [[ $before == --label || $before == -l ]]; then
			return
		elif [[ $word == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "--label --json --help --version" -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -c -- "$word")
		fi
		;;
	recipe)
		if [[ $word == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "--help --version" -- "$word")
		elif ((COMP_CWORD == 2)); then
			mapfile -t COMPREPLY < <(compgen -W "$(copool recipe 2>/dev/null | cut -d ' ' -f 1)" -- "$word")
		fi
		;;
	record)
		[[ $before != "=" ]] || before=${COMP_WORDS[COMP_CWORD - 2]}
		[[ $word != "=" ]] || word=
		if [[ $before == --output || $before == -o ]]; then
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
		elif [[ $before == --for || $before == --interval || $before == -[fi] ]]; then
			return
		elif [[ $word == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "--output --append --for --interval --json --help --version" -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -W "$(_copool_pids)" -- "$word")
		fi
		;;
	report | plot)
		[[ $before != "=" ]] || before=${COMP_WORDS[COMP_CWORD - 2]}
		[[ $word != "=" ]] || word=
		if [[ $before == --pool || $before == --pid || $before == -[pP] || $before == --for || $before == --interval || $before == -[fi] ]]; then
			return
		elif [[ $word == -* && ${COMP_WORDS[1]} == report ]]; then
			mapfile -t COMPREPLY < <(compgen -W "--output --baseline --for --interval --help --version" -- "$word")
		elif [[ $word == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "--output --pool --pid --script --help --version" -- "$word")
		elif [[ ${COMP_WORDS[1]} == report && $before != --output && $before != --baseline && $before != -[ob] ]]; then
			mapfile -t COMPREPLY < <(compgen -f -W "$(_copool_pids)" -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
		fi
		;;
	set | trim | off | on)
		if [[ $word == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "--json --help --version" -- "$word")
		elif ((COMP_CWORD == 2)); then
			mapfile -t COMPREPLY < <(compgen -W "$(_copool_pids)" -- "$word")
		elif [[ ${COMP_WORDS[1]} == set && $before != "=" && $word != "=" ]]; then
			# These are no files: no = of theirs is to be quoted.
			compopt -o nospace +o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -W "$_copool_live off=0 off=1" -- "$word")
		fi
		;;
	help) mapfile -t COMPREPLY < <(compgen -W "run compare doctor observe show top ps set settings trim off on record report plot origins advise prune recipe" -- "$word") ;;
	esac
}

complete -o filenames -o bashdefault -F _copool copool
