#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# event, qemu-monitor-event and qemu-monitor-command with the real program and a small guest.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/life-lib.sh"
life_guest
plan 35

# listening: until the last listener that was started has its box.
listening()
{
	local want=$1

	until [[ $(find "$LODGE_HOME/run/events" -type p ! -name '.*' 2>/dev/null | wc -l) -ge $want ]]; do
		read -rt 0.05 <> <(:) || true
	done
}

# listen FILE ARGUMENT...: a command that waits for events, in the background.
listen()
{
	local out=$1

	shift
	env --default-signal=INT "$LODGE" "$@" >"$out" 2>"$out.err" </dev/null &
	listener=$!
}

# --- refusals ---
ok 'event refuses an unknown event' fails 'unknown event type nonsense' event nonsense
ok 'event refuses --all with an event' fails 'mutually exclusive' event lifecycle --all
ok 'event refuses --list with --all' fails 'mutually exclusive' event --list --all
ok 'event refuses a time-out of nothing' fails '--timeout' event --all --timeout 0
ok 'event refuses an unknown domain' fails "failed to get domain 'x'" event --all --domain x
ok 'event --timeout: nothing came' fails 'no event' event --all --timeout 1
ok 'it says so' grep -qx 'event loop timed out' "$tap_tmp/out"
ok 'and how many' grep -qx 'events received: 0' "$tap_tmp/out"
ok 'qemu-monitor-event refuses a bad expression' fails '--event' qemu-monitor-event --regex --event '('
ok 'qemu-monitor-command refuses an unknown domain' fails "failed to get domain 'x'" qemu-monitor-command x '{}'
ok 'no box is left' test -z "$(ls -A "$LODGE_HOME/run/events")"

define one s >/dev/null
ok 'qemu-monitor-command refuses a domain that is shut off' fails 'not running' qemu-monitor-command one '{"execute":"query-status"}'

# --- a life ---
ok 'event --list' says lifecycle event --list
listen "$tap_tmp/loop" event --all --loop --timestamp
loop=$listener
listen "$tap_tmp/json" -f json event --all --loop
json=$listener
listen "$tap_tmp/once" event lifecycle --domain one
once=$listener
listen "$tap_tmp/qmp" qemu-monitor-event --event 'STOP|RESUME' --regex --loop
qmp=$listener
listening 4
l start one >/dev/null
status=0
wait "$once" || status=$?
ok 'one event is enough without --loop' test "$status" -eq 0
ok 'it is the one' grep -qx "event 'lifecycle' for domain 'one': Started Booted" "$tap_tmp/once"
ok 'and it was counted' grep -qx 'events received: 1' "$tap_tmp/once"
l suspend one >/dev/null
l resume one >/dev/null

# --- the control socket ---
ok 'qemu-monitor-command' says '"return":{' qemu-monitor-command one '{"execute":"query-status"}'
ok 'its words make one line' says '"return":{' qemu-monitor-command one '{"execute":' '"query-status"}'
ok 'the id is the one that was given' says '"id":"mine"' qemu-monitor-command one '{"execute":"query-status","id":"mine"}'
ok '--pretty' says '  "return"' qemu-monitor-command one --pretty '{"execute":"query-status"}'
ok '--return-value' bash -c "'$LODGE' qemu-monitor-command one --return-value '{\"execute\":\"query-status\"}' | grep -q '^{.*\"running\":true'"
ok 'an error answer is an answer' says '"class":"CommandNotFound"' qemu-monitor-command one '{"execute":"nonsense"}'
ok 'with --return-value it is an error' fails 'nonsense' qemu-monitor-command one --return-value '{"execute":"nonsense"}'
ok 'what is no JSON is refused here' fails 'JSON' qemu-monitor-command one '{"execute":'
ok 'and what is no command' fails 'execute' qemu-monitor-command one '{"x":1}'
ok '--hmp excludes --pretty' fails 'mutually exclusive' qemu-monitor-command one --hmp --pretty 'info status'
ok '--hmp' says 'running' qemu-monitor-command one --hmp info status
ok 'not with a read-only connection' fails 'read' --readonly qemu-monitor-command one '{"execute":"query-status"}'

l destroy one >/dev/null
until grep -q "Stopped Destroyed" "$tap_tmp/loop" && grep -q '"Destroyed"' "$tap_tmp/json"; do
	read -rt 0.05 <> <(:) || true
done
kill -INT "$loop" "$json" "$qmp"
status=0
wait "$loop" || status=$?
ok 'an interrupt ends a loop that had events well' test "$status" -eq 0
wait "$json" "$qmp" || true
words()
{
	sed -n "s/^[-0-9]* [0-9:.]*+0000: event 'lifecycle' for domain 'one': //p" "$tap_tmp/loop" | tr '\n' ,
}
ok 'every change, in order, with its time' test "$(words)" = 'Started Booted,Suspended Paused,Resumed Unpaused,Stopped Destroyed,'
ok 'and the reason for the end of the loop' grep -qx 'event loop interrupted' "$tap_tmp/loop"
ok 'as JSON, an object a line' test "$(grep -c '^{"event":"lifecycle".*}$' "$tap_tmp/json")" = "$(wc -l <"$tap_tmp/json")"
ok 'QMP events as the VM says them' grep -q "^event STOP at [0-9]*\.[0-9]* for domain 'one': " "$tap_tmp/qmp"
ok 'only those asked for' test "$(grep -cE '^event (STOP|RESUME) at ' "$tap_tmp/qmp")" = "$(grep -c ' at ' "$tap_tmp/qmp")"
ok 'no box is left at the end' test -z "$(ls -A "$LODGE_HOME/run/events")"
tap_end
