#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The host boots and shuts down: autostart with order and delay, guests start and stop, and the systemd unit that runs them.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/life-lib.sh"
life_guest
plan 16

for name in a b c d; do
	define "$name" b >/dev/null
done
ok 'autostart refuses an unknown domain' fails 'failed to get domain' autostart none
ok 'autostart refuses a delay of two days' fails 'delay' autostart a --delay 172800
ok 'autostart --disable excludes an order' fails 'mutually exclusive' autostart a --disable --order 1
l autostart a --order 2 >/dev/null
l autostart b --order 1 >/dev/null
l autostart c >/dev/null
ok 'a marked domain is listed' says c list --all --autostart
ok 'an unmarked one is not' bash -c "! '$LODGE' list --all --autostart --name | grep -qx d"
ok 'once-all starts them' l autostart --once-all
ok 'by order, those without one last' test "$(l list --name | tr '\n' ' ' | tr -s ' ')" = 'b a c '
ok 'and once only' test -z "$(l autostart --once-all 2>&1 | grep .)"
ok 'unmark' says 'unmarked as autostarted' autostart c --disable
l start d >/dev/null
for name in a b c d; do
	await_line "$tap_tmp/$name.console" acpi
done
mkdir -p "$LODGE_HOME/config"
printf 'PARALLEL_SHUTDOWN=2\nNONSENSE=1\nSHUTDOWN_TIMEOUT=100\n' >"$LODGE_HOME/config/guests.conf"
ok 'guests stop shuts all down' l guests stop
ok 'none runs' test -z "$(l list --name)"
ok 'by their power buttons' test "$(l domstate --reason d)" = 'shut off (shutdown)'
ok 'a wrong line of guests.conf is named and passed over' bash -c "'$LODGE' guests stop 2>&1 | grep -q 'guests.conf:2:.*NONSENSE'"
define e b >/dev/null
l start d >/dev/null
await_line "$tap_tmp/d.console" acpi
l guests stop >/dev/null 2>&1
ok 'guests start brings back what ran' bash -c "'$LODGE' guests start >/dev/null 2>&1; [[ \$('$LODGE' list --name | grep .) = d ]]"
ok 'an unknown action is refused' fails 'start' guests dance
unit=$LODGE_BUILDDIR/systemd/lodge-guests.service
ok 'the unit names the program' grep -q '^ExecStop=/.*/lodge guests stop$' "$unit"
tap_end
