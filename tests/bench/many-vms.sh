#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Many definitions and many running VMs: how long list and domstats take and what memory, how long a start takes, what an idle VM costs.
#
#	many-vms.sh [DEFINED [RUNNING]]     1000 and 200 unless given; fewer run when memory is short
set -eu
export LC_ALL=C

defined=${1:-1000}
running=${2:-200}
rounds=10
starts=20
prefix=many$$-
vm_kib=32768 # reserved for each VM with its 16 MiB of guest memory
srcdir=${LODGE_SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
builddir=${LODGE_BUILDDIR:-$srcdir/build}
lodge=${LODGE:-$builddir/lodge}
stopwatch=${STOPWATCH:-$builddir/tests/bench/stopwatch}
[[ $defined$running =~ ^[0-9]+$ && $defined -gt 0 && $running -gt 0 && $running -le $defined ]] || {
	echo 'usage: many-vms.sh [DEFINED [RUNNING]]' >&2
	exit 2
}

work=$(mktemp -d "${TMPDIR:-/tmp}/lodge-many.XXXXXX")
export LODGE_HOME=$work/home
unset XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_STATE_HOME LODGE_DEFAULT_URI
# shellcheck disable=SC2317 # called by the trap
clean_up()
{
	local name

	trap '' HUP INT TERM
	for name in $("$lodge" list --name 2>/dev/null); do
		"$lodge" destroy "$name" >/dev/null 2>&1 || true
	done
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

free_kib=$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)
if ((free_kib / vm_kib < running)); then
	running=$((free_kib / vm_kib))
	echo "Memory is short: $running VMs run."
fi
((running > 0)) || exit 1

"${CC:-cc}" -m32 -nostdlib -static -no-pie -Wl,-Ttext-segment=0x100000,-z,noseparate-code,-e,start,--build-id=none \
	-o "$work/guest" "$srcdir/tests/guests/console.S"

for ((i = 0; i < defined; i++)); do
	cat >"$work/vm.xml" <<-END
		<domain type='qemu'><name>$prefix$i</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>
		<os><type arch='x86_64' machine='q35'>hvm</type><kernel>$work/guest</kernel><cmdline>s</cmdline></os></domain>
	END
	"$lodge" define "$work/vm.xml" >/dev/null
done
for ((i = 0; i < running; i++)); do
	"$lodge" start --paused "$prefix$i" >/dev/null
done

# measure TIMES COMMAND...: least and median milliseconds, most MiB.
measure()
{
	local times=$1 n

	shift
	for ((n = 0; n < times; n++)); do
		"$stopwatch" --end "$@"
	done | sort -n | awk '
	{ wall[NR] = $1; if ($3 > peak) peak = $3 }
	END { printf "%7.1f ms %7.1f ms %6.1f MiB\n", wall[1] / 1e6, wall[int((NR + 1) / 2)] / 1e6, peak / 1024 }'
}

row()
{
	printf '%-34s %s\n' "$1" "$2"
}

echo "$defined defined, $running running; load $(cut -d' ' -f1 /proc/loadavg)"
row '' '    least     median       peak'
row 'list --all' "$(measure "$rounds" "$lodge" list --all)"
row 'domstats' "$(measure "$rounds" "$lodge" domstats)"
if type -P virsh >/dev/null; then
	row 'virsh list --all, one test domain' "$(measure "$rounds" virsh -c test:///default list --all)"
fi
last=$prefix$((running - 1))
for ((i = 0; i < starts; i++)); do
	"$lodge" destroy "$last" >/dev/null
	"$stopwatch" --end "$lodge" start --paused "$last"
done | sort -n >"$work/starts"
row 'start --paused, to its return' "$(awk '{ wall[NR] = $1 } END {
	printf "%7.1f ms %7.1f ms\n", wall[1] / 1e6, wall[int((NR + 1) / 2)] / 1e6 }' "$work/starts")"

# The VM process of an idle VM: pages that are not the guest's, and how often it was switched to in 5 seconds.
pid=$(pgrep -f -- "^lodge --role vm $last\$" | tail -n 1)
switches()
{
	cat "/proc/$pid"/task/*/status | awk '/ctxt_switches/ { n += $2 } END { print n }'
}
before=$(switches)
sleep 5
row 'idle VM: switches in 5 seconds' "$(($(switches) - before))"
row 'idle VM: resident beyond the guest' "$(awk '/^Rss(Anon|File)/ { n += $2 } END { printf "%.1f MiB", n / 1024 }' "/proc/$pid/status")"
