#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every file of the tree is in a list of Makefile.am, so that it is built, run and in the distribution, and the lists are sorted.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
cd "$LODGE_SRCDIR"

# The words of Makefile.am's lists, one a line. Programs are listed without .c.
listed=$(sed -e '/^#/d' -e 's/\\$//' Makefile.am | tr -s ' \t' '\n\n')

all_listed()
{
	local file status=0

	for file in "$@"; do
		[[ -e $file ]] || continue
		if ! grep -qxF -e "$file" -e "${file%.c}" <<<"$listed"; then
			echo "$file is not in Makefile.am"
			status=1
		fi
	done
	return $status
}

# No file is listed that is gone.
all_there()
{
	local file status=0

	while read -r file; do
		[[ -e $file ]] || {
			echo "$file is in Makefile.am and not in the tree"
			status=1
		}
	done < <(grep -E '^[a-z.]+/[^$]*\.(awk|c|def|h|inc|S|sh)$' <<<"$listed")
	return $status
}

# Each list written one file a line is in C order.
sorted()
{
	LC_ALL=C awk '
	/^[A-Za-z_]+ = \\$/ { list = $1; last = ""; next }
	list && /^\t[^ ]+( \\)?$/ {
		if ($1 < last) {
			print list ": " $1 " comes after " last
			bad = 1
		}
		last = $1
	}
	!/\\$/ { list = "" }
	END { exit bad }' Makefile.am
}

shopt -s globstar nullglob
plan 5
ok 'sources and headers' all_listed {core,vmm,net,console,tui}/**/*.{c,h,def,S,inc}
ok 'tests' all_listed tests/*.{c,h,sh} tests/{one,run} tests/*.awk tests/bench/* tests/fuzz/*.{c,h}
ok 'what is distributed beside them' all_listed *.md quickstart .ci/run .clang-format demo/{init,make-guest,profile} man/*.[1-9]
ok 'nothing else' all_there
ok 'lists are sorted' sorted
tap_end
