#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Fifty VMs that eight front ends start, stop, change and kill at random, each other's too: nothing may wedge, leak or lose a definition. Every command
# ends within a minute whatever the others do. LODGE_SOAK_SECONDS says how long (10 minutes with LODGE_TEST_LONG).
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/life-lib.sh"
life_guest

seconds=${LODGE_SOAK_SECONDS:-12}
[[ -z ${LODGE_TEST_LONG:-} ]] || seconds=${LODGE_SOAK_SECONDS:-600}
n_vms=50 n_fronts=8
plan 9

names=()
for ((i = 0; i < n_vms; i++)); do
	names+=("soak$i")
	life_xml "soak$i" h >"$tap_tmp/soak$i.xml"
done
life_xml keeper h >"$tap_tmp/keeper.xml"
printf 'define %s\n' "$tap_tmp"/*.xml | l --batch >"$tap_tmp/define.out" 2>&1
ok 'all are defined' test "$(l list --all --name | grep -c .)" -eq $((n_vms + 1))

# One command, which must end. Refusals are part of the game; 137 and 143 are our own kills.
try()
{
	local status=0

	timeout --signal=KILL 60 "$LODGE" "$@" >/dev/null 2>"$tap_tmp/err.$BASHPID" || status=$?
	if [[ $status -eq 137 || $status -eq 139 || $status -eq 134 ]]; then
		echo "lodge $* ended with $status: $(tail -n 1 "$tap_tmp/err.$BASHPID")" >>"$tap_tmp/wedged"
	fi
	return 0
}

front()
{
	local deadline=$((SECONDS + seconds)) name pid

	RANDOM=$1
	while ((SECONDS < deadline)); do
		name=${names[RANDOM % n_vms]}
		case $((RANDOM % 16)) in
		0 | 1 | 2 | 3) try start "$name" ;;
		4) try start --paused "$name" ;;
		5 | 6) try destroy "$name" ;;
		7) try suspend "$name" ;;
		8) try resume "$name" ;;
		9) try reset "$name" ;;
		10) try list --all ;;
		11) try domstats ;;
		12) try define "$tap_tmp/$name.xml" ;;
		13) for pid in $(pids vm "$name"); do kill -KILL "$pid" 2>/dev/null || true; done ;;
		14) for pid in $(pids warden "$name"); do kill -KILL "$pid" 2>/dev/null || true; done ;;
		15) timeout --signal=KILL "0.0$((RANDOM % 9 + 1))" "$LODGE" start "$name" >/dev/null 2>&1 || true ;;
		esac
	done
}

l start keeper >/dev/null
await_line "$tap_tmp/keeper.console" up
keeper=$(pids vm keeper)
fds_before=$(ls "/proc/$keeper/fd" | wc -l)
: >"$tap_tmp/wedged"
workers=()
for ((i = 0; i < n_fronts; i++)); do
	front $((i + 1)) 2>/dev/null &
	workers+=($!)
done
wait "${workers[@]}"
ok 'no command hung or crashed' bash -c "! [[ -s '$tap_tmp/wedged' ]] || { cat '$tap_tmp/wedged'; false; }"
ok 'a VM nobody touched still runs' test "$(l domstate keeper)" = running
ok 'with as many descriptors as before' test "$(ls "/proc/$keeper/fd" | wc -l)" -eq "$fds_before"
ok 'no definition was lost' test "$(l list --all --name | grep -c .)" -eq $((n_vms + 1))
readable()
{
	local name

	for name in "${names[@]}"; do
		l dumpxml --inactive "$name" >/dev/null || return 1
	done
}
ok 'each can be read' readable
for name in $(l list --name); do
	l destroy "$name" >/dev/null 2>&1 || true
done
gone()
{
	local deadline=$((SECONDS + 30))

	while [[ -n $(pids '(vm|warden)' '') ]]; do
		if ((SECONDS > deadline)); then
			ps -fp "$(pids '(vm|warden)' '' | paste -sd ,)"
			return 1
		fi
		read -rt 0.1 <> <(:) || true
	done
}
ok 'no process is left' gone
l list --all >/dev/null 2>&1
ok 'no run directory is left' bash -c "[[ -z \$(ls -A '$LODGE_HOME/run/vm' 2>/dev/null) ]] || { ls -lR '$LODGE_HOME/run/vm'; false; }"
ok 'no stray file is among the definitions' test "$(find "$LODGE_HOME/config" -type f | wc -l)" -eq $((n_vms + 1))
tap_end
