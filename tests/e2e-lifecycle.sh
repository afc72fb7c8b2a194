#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A VM's life from define to undefine, with the real program: every command once as it should be and once refused, what a guest does to
# itself, what a crash of each process leaves behind.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/life-lib.sh"
life_guest
plan 71

# --- definitions ---
ok 'define refuses a file that is not there' fails 'No such file' define "$tap_tmp/none.xml"
echo '<domain><name>x</name>' >"$tap_tmp/broken.xml"
ok 'define refuses what is no XML, with the line' fails 'broken.xml:' define "$tap_tmp/broken.xml"
life_xml bad s '<vcpu>0</vcpu>' | sed '0,/<vcpu>1/{//d}' >"$tap_tmp/bad.xml"
ok 'define refuses a wrong value, with the element' fails '/domain/vcpu' define "$tap_tmp/bad.xml"
ok 'define' define one s
ok 'it is listed as shut off' says 'shut off' list --all
ok 'not among the running' test -z "$(l list --name)"
uuid=$(l domuuid one)
ok 'a UUID was assigned' test "${#uuid}" -eq 36
ok 'defining the same again keeps it' bash -c "'$LODGE' dumpxml one >'$tap_tmp/again.xml' && '$LODGE' define '$tap_tmp/again.xml' && [[ \$('$LODGE' domuuid one) = $uuid ]]"
sed "s/$uuid/11111111-2222-3333-4444-555555555555/" "$tap_tmp/again.xml" >"$tap_tmp/clash.xml"
ok 'define refuses a name with another UUID' fails 'already exists with uuid' define "$tap_tmp/clash.xml"
ok 'dumpxml of what was dumped is the same' bash -c "'$LODGE' dumpxml one | cmp - '$tap_tmp/again.xml'"
ok 'define from standard input' bash -c "sed -e 's/<name>one/<name>piped/' -e '/<uuid>/d' '$tap_tmp/again.xml' | '$LODGE' define /dev/stdin"
ok 'domrename' says 'successfully renamed' domrename piped renamed
ok 'the old name is gone' fails "failed to get domain 'piped'" domstate piped
ok 'domrename refuses a name that is taken' fails 'exists' domrename renamed one
ok 'domrename refuses a bad name' fails '/' domrename renamed a/b
ok 'undefine' says "Domain 'renamed' has been undefined" undefine renamed
ok 'undefine refuses what is not there' fails "failed to get domain 'renamed'" undefine renamed

# --- states ---
for verb in shutdown reboot reset suspend resume destroy; do
	ok "$verb refuses a domain that is shut off" fails 'domain is not running' "$verb" one
done
ok 'start' says "Domain 'one' started" start one
ok 'it runs' await one 'running (booted)'
ok 'the guest came up' await_line "$tap_tmp/one.console" up
ok 'start refuses a running domain' fails 'already active' start one
ok 'domrename refuses a running domain' fails 'active' domrename one other
id=$(l domid one)
ok 'it has an id by which it is found' test "$(l domname "$id")" = one
ok 'suspend' says "Domain 'one' suspended" suspend one
ok 'it is paused' await one 'paused (user)'
ok 'resume' says "Domain 'one' resumed" resume one
ok 'it runs again' await one 'running (unpaused)'
ok 'resume refuses a running one' fails 'already running' resume one
ok 'reset' says "Domain 'one' was reset" reset one
ok 'the guest boots again' bash -c "until [[ \$(grep -c up '$tap_tmp/one.console') -ge 2 ]]; do read -rt 0.05 <> <(:) || true; done"
ok 'shutdown of a guest without ACPI says so' fails 'ACPI' shutdown one
ok 'shutdown refuses an unknown mode' fails 'mode' shutdown one --mode nonsense
ok 'destroy' says "Domain 'one' destroyed" destroy one
ok 'it is shut off, and why' await one 'shut off (destroyed)'
ok 'start --paused' says started start one --paused
ok 'nothing has run yet' test "$(l domstate --reason one)" = 'paused (starting up)' -o "$(l domstate --reason one)" = 'paused (user)'
ok 'undefine of a running domain' says undefined undefine one
ok 'makes it transient' bash -c "'$LODGE' dominfo one | grep -q 'Persistent: *no'"
ok 'destroy --graceful' says destroyed destroy --graceful one
ok 'then nothing is left of it' fails "failed to get domain" domstate one

# --- what guests do ---
define button b >/dev/null
l start button >/dev/null
await_line "$tap_tmp/button.console" acpi
ok 'shutdown presses the power button' says "Domain 'button' is being shutdown" shutdown button
ok 'and the guest powers off' await button 'shut off (shutdown)'
l start button >/dev/null
await_line "$tap_tmp/button.console" acpi
: >"$tap_tmp/button.console"
ok 'reboot' says "Domain 'button' is being rebooted" reboot button
ok 'the guest comes back' await_line "$tap_tmp/button.console" acpi
ok 'it never stopped' await button running
l destroy button >/dev/null
define off p '<on_poweroff>restart</on_poweroff>' >/dev/null
l start off >/dev/null
ok 'on_poweroff=restart starts it again' bash -c "until [[ \$(grep -c up '$tap_tmp/off.console') -ge 3 ]]; do read -rt 0.05 <> <(:) || true; done"
ok 'and destroy ends that' bash -c "'$LODGE' destroy off && [[ \$('$LODGE' domstate off) = 'shut off' ]]"
define again r '<on_reboot>destroy</on_reboot>' >/dev/null
l start again >/dev/null
ok 'on_reboot=destroy' await again 'shut off'
LIFE_DEVICES="<panic model='isa'/>"
define panic v '<on_crash>destroy</on_crash>' >/dev/null
l start panic >/dev/null
ok 'a panicked guest with on_crash=destroy' await panic 'shut off (crashed)'
l undefine panic >/dev/null
define panic v '<on_crash>preserve</on_crash>' >/dev/null
LIFE_DEVICES=
l start panic >/dev/null
ok 'with on_crash=preserve it stays' await panic 'crashed (panicked)'
ok 'and can be destroyed' l destroy panic
life_xml shortlived s >"$tap_tmp/short.xml"
ok 'create' says "Domain 'shortlived' created" create "$tap_tmp/short.xml"
ok 'it is transient' says shortlived list --transient
ok 'create of it again is refused' fails 'already' create "$tap_tmp/short.xml"
l destroy shortlived >/dev/null
ok 'it is gone when it has stopped' fails 'failed to get domain' dominfo shortlived

# --- crashes ---
define victim s >/dev/null
l start victim >/dev/null
await_line "$tap_tmp/victim.console" up
kill -KILL "$(pids vm victim)"
ok 'kill -9 of the VM process: crashed' await victim 'shut off (crashed)'
ok 'it can be started again' l start victim
kill -KILL "$(pids warden victim)"
ok 'kill -9 of the warden: the VM runs on' await victim running
ok 'and obeys' l suspend victim
kill -KILL "$(pids vm victim)"
ok 'both killed: the next command finds the truth' await victim 'shut off (crashed)'
ok 'and it starts' l start victim
ok 'and is destroyed' l destroy victim
ok 'no run directory is left' bash -c "! ls '$LODGE_HOME/run/vm/'* 2>/dev/null | grep -q ."
ok 'autostart' says "marked as autostarted" autostart victim
ok 'autostart --once-all starts it' says "Domain 'victim' started" autostart --once-all
tap_end
