#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The package list of quickstart against what is really used: the commands the scripts call, the tools configure found, the headers
# the compiler read and the libraries the program loads must all come from packages of the list, from what those depend on, or from
# what every Debian has (the essential packages and apt).
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"

command -v dpkg-query >/dev/null || plan_skip 'this is not Debian'
# Debian's own tools, not what the user put in front of them.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
cd "$LODGE_SRCDIR"

# list NAME: the packages of an array of quickstart.
list()
{
	sed -n "/^$1=(/,/^)/p" quickstart | sed '1d;$d' | tr -d '\t'
}

# closure PACKAGE...: these and what they depend on, as installed here, with the essential packages and apt.
closure()
{
	dpkg-query -W -f '${Package}\t${Essential}\t${Provides}\t${Pre-Depends}, ${Depends}\n' | awk -F '\t' -v roots="$* apt" '
	function bare(name) {
		sub("^ +", "", name)
		sub("[ (:].*", "", name)
		return name
	}
	{
		needs[$1] = needs[$1] "," $4
		if ($2 == "yes")
			roots = roots " " $1
		n = split($3, names, ",")
		for (i = 1; i <= n; i++)
			provided[bare(names[i])] = provided[bare(names[i])] " " $1
	}
	END {
		todo = split(roots, queue, " ")
		for (at = 1; at <= todo; at++) {
			package = queue[at]
			if (package in reached)
				continue
			reached[package] = 1
			n = split(provided[package], names, " ")
			for (i = 1; i <= n; i++)
				queue[++todo] = names[i]
			n = split(needs[package], names, "[,|]")
			for (i = 1; i <= n; i++)
				if (names[i] !~ /^ *$/)
					queue[++todo] = bare(names[i])
		}
		for (package in needs)
			if (package in reached)
				print package
	}' | sort
}

# spellings PATH: the names one file may have in dpkg's lists, which know neither the merged /usr nor alternatives.
spellings()
{
	local name

	for name in "$1" "$(readlink -f "$1")"; do
		printf '%s\n' "$name" "${name#/usr}"
		[[ $name == /usr/* ]] || echo "/usr$name"
	done
}

# foreign LIST < lines of "user path": prints the lines whose file is from no package of the file LIST.
foreign()
{
	local user path name

	while read -r user path; do
		spellings "$path" | while read -r name; do
			printf '%s\t%s\t%s\n' "$name" "$user" "$path"
		done
	done | sort -u >"$tap_tmp/names"
	cut -f 1 "$tap_tmp/names" | sort -u >"$tap_tmp/search"
	{ xargs -r dpkg-query -S <"$tap_tmp/search" 2>/dev/null || true; } | awk -v list="$1" -v names="$tap_tmp/names" '
	BEGIN {
		while ((getline package <list) > 0)
			known[package] = 1
	}
	/^diversion / { next }
	{
		at = index($0, ": ")
		path = substr($0, at + 2)
		n = split(substr($0, 1, at - 1), packages, ", ")
		for (i = 1; i <= n; i++) {
			sub(":.*", "", packages[i])
			owner[path] = owner[path] " " packages[i]
			if (packages[i] in known)
				good[path] = 1
		}
	}
	END {
		FS = "\t"
		while ((getline <names) > 0) {
			use = $2 ": " $3
			uses[use] = 1
			if ($1 in good)
				fine[use] = 1
			if ($1 in owner)
				from[use] = owner[$1]
		}
		for (use in uses)
			if (!(use in fine))
				print use " is from" (use in from ? from[use] : " no package") ", which the list does not bring"
	}' | sort
}

# from_list LIST < lines: succeeds when foreign has nothing to say.
from_list()
{
	local found

	found=$(foreign "$1")
	printf '%s' "$found"
	[[ -z $found ]]
}

# commands FILE...: "file path" for each command the scripts call; a command that is not there shows as itself.
commands()
{
	local file name path

	# Functions are no commands, wherever they are defined.
	cat "$@" | sed -n 's/^\([a-z_]*\)()$/\1/p' | sort -u >"$tap_tmp/functions"
	compgen -bk | sort -u >"$tap_tmp/builtins"
	awk -f tests/shell-commands.awk "$@" | sort -u | while IFS=': ' read -r file name; do
		# sudo is used where there is one.
		if [[ $name == sudo ]] || grep -qxF -e "$name" "$tap_tmp/functions" "$tap_tmp/builtins"; then
			continue
		fi
		path=$(type -P "$name") || path=$name
		echo "$file $path"
	done
}

# check_commands LIST FILE...
check_commands()
{
	local list=$1

	shift
	commands "$@" >"$tap_tmp/commands"
	if grep -q '!unbalanced' "$tap_tmp/commands"; then
		cat "$tap_tmp/commands"
		return 1
	fi
	from_list "$list" <"$tap_tmp/commands"
}

# check_tools LIST: what configure found. A compiler the user chose instead of gcc is the user's business.
check_tools()
{
	local name value path

	while IFS='= ' read -r name value; do
		[[ $name != CC || $value == gcc ]] || continue
		path=$(type -P "${value%% *}") || path=${value%% *}
		echo "$name $path"
	done < <(sed -n -E 's/^(AR|AWK|BASH|CC|GREP|INSTALL|MKDIR_P|PKG_CONFIG|RANLIB|SED|SHELL) = (.*)$/\1=\2/p' \
		"$LODGE_BUILDDIR/Makefile") >"$tap_tmp/tools"
	for name in autoconf autoreconf autoheader automake aclocal make; do
		path=$(type -P "$name") || path=$name
		echo "autotools $path"
	done >>"$tap_tmp/tools"
	from_list "$1" <"$tap_tmp/tools"
}

# check_headers LIST: what the compiler read, as its dependency files tell.
check_headers()
{
	find "$LODGE_BUILDDIR" -path '*/.deps/*.Po' -exec cat {} + | tr -s ' \\:' '\n\n\n' |
		grep '^/usr/' | grep -v '^/usr/lib/llvm' | sort -u | sed 's/^/include /' >"$tap_tmp/headers"
	[[ -s $tap_tmp/headers ]] && from_list "$1" <"$tap_tmp/headers"
}

# check_libraries LIST: what the dynamic linker loads.
check_libraries()
{
	ldd "$LODGE" | sed -n -E 's/^.*(=> |\t)(\/[^ ]*) .*/lodge \2/p' >"$tap_tmp/libraries"
	[[ -s $tap_tmp/libraries ]] && from_list "$1" <"$tap_tmp/libraries"
}

# plant TEXT: a script that must be complained about, naming the last word.
planted()
{
	local found

	printf '#!/bin/bash\n%s\n' "$1" >"$tap_tmp/planted"
	found=$(check_commands "$tap_tmp/all" "$tap_tmp/planted") && return 1
	printf 'said: %s\n' "$found"
	[[ $found == *"$2 is from"* && $found != *$'\n'* ]]
}

mapfile -t build_packages < <(list build_packages)
mapfile -t test_packages < <(list test_packages)
closure "${build_packages[@]}" >"$tap_tmp/build"
closure "${build_packages[@]}" "${test_packages[@]}" >"$tap_tmp/all"

installed()
{
	dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "$@" | awk '$1 !~ /^.i/ { print; bad = 1 } END { exit bad }'
}

shopt -s nullglob
plan 10
ok 'the packages of the list are installed' installed "${build_packages[@]}" "${test_packages[@]}"
ok 'commands of quickstart and demo/make-guest' check_commands "$tap_tmp/build" quickstart demo/make-guest
ok 'commands of the tests and the benchmark' check_commands "$tap_tmp/all" tests/one tests/run tests/*.sh tests/bench/*.sh .ci/run
ok 'tools of the build' check_tools "$tap_tmp/build"
ok 'headers' check_headers "$tap_tmp/build"
ok 'libraries' check_libraries "$tap_tmp/build"
ok 'planted: a command that is not there' planted 'if true; then frobnicate-disk --all | sort; fi' frobnicate-disk
ok 'planted: the same in a substitution' planted 'x="a $(case 1 in 1) frobnicate-disk "$(date)" ;; esac) b"' frobnicate-disk
ok 'planted: the same behind another command' planted 'timeout 10 env A=1 frobnicate-disk >/dev/null 2>&1' frobnicate-disk
ok 'ignored: words in quotes, comments, arrays and documents' check_commands "$tap_tmp/all" /dev/stdin <<'END'
#!/bin/bash
# frobnicate-disk
text='frobnicate-disk; frobnicate-disk' list=(frobnicate-disk
	frobnicate-disk)
cat <<-EOT >"$1"
	frobnicate-disk $(true)
	EOT
[[ $text == frobnicate-disk || ( -e frobnicate-disk && $# -eq 0 ) ]]
case $text in frobnicate-disk | "x") echo frobnicate-disk ;; esac
for frobnicate in "${list[@]}"; do echo "$((1 + (2)))"; done
END
tap_end
