#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Time in the guest: it passes as it does on the host, whatever clock the guest reads, idle or busy, and stands still while the
# machine is paused.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/guest-lib.sh"

# clock NAME COUNT LOAD OPTION...: the guest tells the time so often, twice a second, with so many processors kept busy. Leaves in
# NAME.times the host's time and the guest's uptime for each, in NAME.wall the same for the wall clock.
clock()
{
	local name=$1 count=$2 load=$3 vm status=0

	shift 3
	vm_command '
echo "source: $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
for i in $(seq 1 '"$load"'); do
	while :; do :; done &
done
for i in $(seq 1 '"$count"'); do
	read -r up idle </proc/uptime
	echo "up: $up"
	sleep 0.5
done
echo "wall: $(date +%s)"
dmesg -r | grep "^<[0-3]>" | sed "s/^/error: /"
echo "all done"' "$@"
	"${vm[@]}" 2>"$tap_tmp/$name.err" </dev/null | while IFS= read -r line; do
		printf '%s %s\n' "$EPOCHREALTIME" "${line%$'\r'}"
	done >"$tap_tmp/$name.stamped"
	echo "${PIPESTATUS[0]}" >"$tap_tmp/$name.status"
	sed 's/^[^ ]* //' "$tap_tmp/$name.stamped" >"$tap_tmp/$name.out"
	sed -n 's/^\([0-9.]*\) up: \([0-9.]*\)$/\1 \2/p' "$tap_tmp/$name.stamped" >"$tap_tmp/$name.times"
	sed -n 's/^\([0-9.]*\) wall: \([0-9]*\)$/\1 \2/p' "$tap_tmp/$name.stamped" >"$tap_tmp/$name.wall"
}

# keeps_time NAME COUNT: both clocks went the same way to within 1 %. A line may come late, on a busy host much too late, but not
# early: so the least difference among the first lines is compared with the least among the last.
keeps_time()
{
	powered_off "$1" >/dev/null || shows "$1"
	awk -v wanted="$2" '
	{ host[NR] = $1; guest[NR] = $2 }
	function least(from, to,  i, best) {
		best = host[from] - guest[from]
		for (i = from + 1; i <= to; i++)
			if (host[i] - guest[i] < best)
				best = host[i] - guest[i]
		return best
	}
	END {
		if (NR != wanted) {
			print NR " times told, not " wanted
			exit 1
		}
		time = guest[NR] - guest[1]
		drift = (least(NR - 7, NR) - least(1, 8)) / time
		printf "%.2f s in the guest, the host'\''s clock was %+.3f %% faster\n", time, drift * 100
		exit !(drift > -0.01 && drift < 0.01)
	}' "$tap_tmp/$1.times"
}

# sleeps_well NAME LOAD: half a second of sleep takes at least that, and in an idle guest not always much more.
sleeps_well()
{
	awk -v busy="$2" '
	NR > 1 && (NR == 2 || $2 - last < least) { least = $2 - last }
	{ last = $2 }
	END {
		printf "the shortest half second took %.2f s\n", least
		exit !(least >= 0.49 && (busy || least < 0.75))
	}' "$tap_tmp/$1.times"
}

# The real-time clock knows whole seconds only, and the kernel drops what is between them.
wall_clock()
{
	awk '
	{
		printf "%.2f s behind\n", $1 - $2
		exit !($1 - $2 > -1.5 && $1 - $2 < 5)
	}' "$tap_tmp/$1.wall" && [[ -s $tap_tmp/$1.wall ]]
}

quiet()
{
	said "$1" 'all done' && [[ -z $(told "$1" error) ]] && no_complaints "$1"
}

# tick: the next time the guest tells, in $up. What lodge says may stand in the middle of a line: that line is skipped.
tick()
{
	until expect 'up: ' && [[ $line =~ ^up:\ ([0-9]+)\.([0-9][0-9])$ ]]; do
		[[ -n $line ]] || return 1 # the end
	done
	up=$((BASH_REMATCH[1] * 100 + 10#${BASH_REMATCH[2]}))
}

# Paused from the keyboard the guest is silent, and afterwards its clock goes on where it stood.
pauses()
{
	local vm before output

	vm_command 'while :; do read -r up idle </proc/uptime; echo "up: $up"; sleep 0.1; done' "$@"
	terminal vm
	tick && tick || return 1
	before=$up
	tell '\x1dp'
	expect 'lodge: paused' || return 1
	if read -r -t 4 output <&3 || [[ -n $output ]]; then
		echo "while paused: $output"
		return 1
	fi
	tell '\x1dr'
	tick || return 1
	echo "$((up - before))/100 s passed in the guest"
	# Up to the key, and from the key on, the guest runs: at most as long as it was paused, however slow the host is.
	[[ $up -gt $before && $((up - before)) -lt 300 ]] || return 1
	tick && tick && tick || return 1
	tell '\x1dq'
	leaves 0
}

clocks=(tsc:44:0:1 kvm-clock:24:2:2 hpet:24:0:2 acpi_pm:24:0:1)
[[ -z ${LODGE_TEST_LONG:-} ]] || clocks+=(tsc:24:4:4 hpet:24:2:2 acpi_pm:24:2:2 kvm-clock:44:0:4)

plan $((6 * ${#clocks[@]} + 2))
for clock in "${clocks[@]}"; do
	IFS=: read -r source count load cpus <<<"$clock"
	append="clocksource=$source" clock "$clock" "$count" "$load" --cpus "$cpus" &
done
wait
for clock in "${clocks[@]}"; do
	IFS=: read -r source count load cpus <<<"$clock"
	name="$source, $cpus processors, $load busy"
	ok "$name: clock source" said "$clock" "source: $source"
	ok "$name: within 1 %" keeps_time "$clock" "$count"
	ok "$name: sleep" sleeps_well "$clock" "$load"
	ok "$name: wall clock" wall_clock "$clock"
	ok "$name: powers off" powered_off "$clock"
	ok "$name: no complaints" quiet "$clock"
done
ok 'pause' tidy pauses
ok 'pause of two processors' tidy pauses --cpus 2
tap_end
