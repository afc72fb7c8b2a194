# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Completion of lodge's command lines for bash: lodge itself knows the commands, their options and the VMs.
# For a lodge that is linked as virsh: complete -o nosort -F _lodge virsh

# _lodge_words: the words up to the cursor as lodge wants them, in the array words. bash cuts them at = and : too, and leaves their quotes.
_lodge_words()
{
	local word i

	words=()
	for ((i = 1; i <= COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		word=${word#[\"\']}
		word=${word%[\"\']}
		word=${word//\\/}
		if ((${#words[@]} > 0)) && [[ $word == [=:]* || ${words[-1]} == *[=:] ]]; then
			words[-1]+=$word
		else
			words+=("$word")
		fi
	done
}

_lodge()
{
	local -a words
	local word whole

	_lodge_words
	((${#words[@]} > 0)) || words=('')
	# Only what stands behind the last = or : is replaced.
	whole=${words[-1]}
	COMPREPLY=()
	while IFS= read -r word; do
		word=${word#"${whole%"${whole##*[=:]}"}"}
		[[ $word != *[/=] ]] || compopt -o nospace 2>/dev/null
		[[ ${COMP_WORDS[COMP_CWORD]} == [\"\']* ]] || word=$(printf '%q' "$word")
		COMPREPLY+=("$word")
	done < <("${COMP_WORDS[0]}" complete -- "${words[@]}" 2>/dev/null)
}

complete -o nosort -F _lodge lodge
