#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The arrows of ARCHITECTURE.md: which folder may include which. A folder's row holds for everything below it that has no row of
# its own; a row lists the folders, or single files, whose headers may be included beside the folder's own.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"

# folder: what it may include
arrows='
core/base:
core/model: core/base
console: core/base core/model
vmm/block: core/base
vmm: core/base core/model console net vmm/block
vmm/accel.c: core/base core/model console net vmm vmm/block vmm/cpu
vmm/accel-kvm.c: core/base core/model console net vmm vmm/block vmm/cpu
vmm/cpu: core/base core/model vmm
net: core/base core/model
core: core/base core/model net vmm/block
tui: core core/base core/model console vmm/run.h vmm/role-vm.h vmm/accel.h vmm/cpuid.h
'

# violations DIR: prints "file:line: includes header" for each include in the tree at DIR that has no arrow. A header belongs to
# the longest row that is a prefix of its path; so does a file. vmm/dev and vmm/virtio have no rows: they are vmm.
violations()
{
	(
		cd "$1"
		find . -name '*.[ch]' ! -path './build*' ! -path './tests/*' ! -path './.git/*' -print0 | sort -z |
			xargs -0 -r grep -n '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' /dev/null
	) | awk -v arrows="$arrows" '
	BEGIN {
		n = split(arrows, lines, "\n")
		for (i = 1; i <= n; i++) {
			at = index(lines[i], ":")
			if (!at)
				continue
			row = substr(lines[i], 1, at - 1)
			rows[row] = 1
			m = split(substr(lines[i], at + 1), words, " ")
			for (j = 1; j <= m; j++)
				allowed[row, words[j]] = 1
		}
	}

	# The row a path belongs to: itself, or the nearest folder above it that has one.
	function owner(path) {
		while (!(path in rows) && sub("/[^/]*$", "", path))
			;
		return path in rows ? path : ""
	}

	{
		file = $0
		sub(":.*", "", file)
		sub("^\\./", "", file)
		where = $0
		sub("^\\./", "", where)
		sub(":[[:space:]]*#.*", "", where)
		header = $0
		sub("^[^\"]*\"", "", header)
		sub("\".*", "", header)

		from = owner(file)
		# A header of no layer: a generated one, or one named relative to the includer, which is not our way.
		to = owner(header)
		if (to == "")
			print where ": includes \"" header "\", which names no layer"
		else if (from == "")
			print where ": is in no layer, yet includes \"" header "\""
		else if (from != to && !((from, to) in allowed) && !((from, header) in allowed))
			print where ": " from " may not include \"" header "\""
	}'
}

none()
{
	local found

	found=$(violations "$1")
	printf '%s' "$found"
	[[ -z $found ]]
}

# plant FILE HEADER: a tree of one file with one good and one given include.
plant()
{
	rm -rf "$tap_tmp/tree"
	mkdir -p "$tap_tmp/tree/$(dirname "$1")"
	printf '#include <stdint.h>\n#include "%s"\n' "$2" >"$tap_tmp/tree/$1"
}

caught()
{
	local found

	plant "$1" "$2"
	found=$(violations "$tap_tmp/tree")
	printf 'said: %s\n' "$found"
	[[ $found == "$1:2:"*"\"$2\""* && $found != *$'\n'* ]]
}

let_pass()
{
	plant "$1" "$2"
	none "$tap_tmp/tree"
}

plan 12
ok 'the tree follows the arrows' none "$LODGE_SRCDIR"
ok 'planted: core/base includes core/model' caught core/base/error.c core/model/vm-config.h
ok 'planted: vmm/block includes vmm' caught vmm/block/raw.c vmm/memory.h
ok 'planted: console includes vmm' caught console/stdio.c vmm/vm.h
ok 'planted: vmm/dev includes vmm/cpu' caught vmm/dev/uart.c vmm/cpu/soft.h
ok 'planted: tui includes a VMM header that is no entry point' caught tui/main.c vmm/machine.h
ok 'planted: tui includes the software CPU' caught tui/main.c vmm/cpu/soft.h
ok 'planted: a header beside the file, named without its folder' caught vmm/bus.c bus.h
ok 'allowed: the accelerator list includes vmm/cpu' let_pass vmm/accel.c vmm/cpu/soft.h
ok 'allowed: vmm/cpu includes vmm' let_pass vmm/cpu/soft.c vmm/memory.h
ok 'allowed: vmm/virtio includes vmm/block' let_pass vmm/virtio/blk.c vmm/block/block.h
ok 'allowed: tui includes vmm/run.h' let_pass tui/cmd/run.c vmm/run.h
tap_end
