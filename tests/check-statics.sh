#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Nothing under vmm/ keeps state in a file-level or function-level static: two machines in one process, and a machine that is saved
# and loaded, depend on it. The symbol tables of the built libraries tell: a data object in a writable section is such a static.
# Tables of constant pointers are in .data.rel.ro, which is read-only once the program has started.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"

# object:symbol pairs that are right as they are, with the reason.
allowed='
control.o:client_source_funcs	GLib takes its function tables without const, and does not write them
dump.o:finished_funcs	the same
vm.o:vm_source_funcs	GLib takes its function tables without const, and does not write them
'

# statics FILE...: prints "object:symbol section" for each mutable static in objects and static libraries.
statics()
{
	objdump -t "$@" | awk -v allowed="$allowed" '
	BEGIN {
		split(allowed, list, "\n")
		for (i in list) {
			sub("[ \t].*", "", list[i])
			ok[list[i]] = 1
		}
	}
	/:[[:space:]]+file format/ {
		object = $1
		sub(":$", "", object)
	}
	# 0000000000000040 l     O .bss	0000000000000008 name
	/^[0-9a-f]+ / {
		sub(" \\.hidden ", " ")
		section = $(NF - 2)
		if ($(NF - 1) !~ /^[0-9a-f]+$/ || section !~ /^(\.bss|\.data|\.tbss|\.tdata|\*COM\*|\.lbss|\.ldata)/)
			next
		if (section ~ /^\.data\.rel\.ro/ || $(NF - 1) ~ /^0+$/)
			next
		name = $NF
		sub("\\.[0-9]+$", "", name)
		if (!((object ":" name) in ok))
			print object ":" name " " section
	}'
}

none()
{
	local found

	found=$(statics "$@")
	printf '%s' "$found"
	[[ -z $found ]]
}

# compiled SOURCE: the mutable statics of one planted file.
compiled()
{
	printf '%s\n' "$1" >"$tap_tmp/planted.c"
	${CC:-cc} -O2 -fPIE -c -o "$tap_tmp/planted.o" "$tap_tmp/planted.c"
	statics "$tap_tmp/planted.o"
}

finds()
{
	# clang puts the function's name in front of its static.
	[[ $(compiled "$2") == *[:.]"$1 "* ]]
}

finds_nothing()
{
	local found

	found=$(compiled "$1")
	printf '%s' "$found"
	[[ -z $found ]]
}

if [[ -n ${LODGE_SANITIZE:-} ]]; then
	plan_skip 'a sanitizer build adds statics of its own to every object'
fi

plan 8
for library in libvmm.a libcpu.a libblock.a; do
	ok "$library keeps no state in statics" none "$LODGE_BUILDDIR/$library"
done
ok 'planted: a counter' finds calls 'static int calls; int next(void); int next(void) { return ++calls; }'
ok 'planted: a static in a function' finds last 'int next(void); int next(void) { static int last = 5; return last++; }'
ok 'planted: a global' finds shared 'int shared = 3;'
ok 'planted: one for each thread' finds mine 'static __thread int mine; int next(void); int next(void) { return ++mine; }'
ok 'allowed: a table of constants' finds_nothing \
	'extern int f(void); struct row { int (*call)(void); }; extern const struct row table[]; const struct row table[] = { { f } };'
tap_end
