# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# TAP for shell tests. Source it, call plan once, then one ok or skip for each point:
#
#	. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
#	plan 2
#	ok 'the program starts' "$LODGE" --version
#	skip 'a second head' 'this machine has one display'
#
# A scratch directory, "$tap_tmp", is there from the start and gone at the end. Run by hand, outside the harness, a test finds the
# tree it is in and the build in LODGE_BUILDDIR or build/.

LODGE_SRCDIR=${LODGE_SRCDIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
LODGE_BUILDDIR=${LODGE_BUILDDIR:-$LODGE_SRCDIR/build}
LODGE=${LODGE:-$LODGE_BUILDDIR/lodge}
LODGE_DEMO=${LODGE_DEMO:-$LODGE_BUILDDIR/demo}
export LODGE_SRCDIR LODGE_BUILDDIR LODGE LODGE_DEMO

tap_count=0
tap_failed=0
tap_tmp=$(mktemp -d "${TMPDIR:-/tmp}/lodge-test.XXXXXX")
trap 'rm -rf "$tap_tmp"' EXIT

plan()
{
	echo "1..$1"
}

# plan_skip REASON: the whole test cannot run here.
plan_skip()
{
	echo "1..0 # SKIP $1"
	exit 0
}

# ok NAME COMMAND...: passes when the command succeeds; what it printed is shown when it does not.
ok()
{
	local name=$1 output

	shift
	tap_count=$((tap_count + 1))
	if output=$("$@" 2>&1); then
		echo "ok $tap_count - $name"
	else
		tap_failed=$((tap_failed + 1))
		echo "not ok $tap_count - $name"
		if [[ -n $output ]]; then
			printf '%s\n' "$output" | sed 's/^/# /'
		fi
	fi
}

# skip NAME REASON
skip()
{
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

# The test's last line: its exit status.
tap_end()
{
	[[ $tap_failed -eq 0 ]]
}
