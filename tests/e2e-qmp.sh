#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The control socket of a VM in a process of its own: QMP commands and human monitor lines through the real program, and the batch
# commands that are one of them: send-key, inject-nmi, dump.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/life-lib.sh"
life_guest
plan 33

# qmp VM COMMAND [ARGUMENTS]
qmp()
{
	l qemu-monitor-command "$1" "{\"execute\": \"$2\"${3:+, \"arguments\": $3}}" </dev/null
}

answers() # WORDS VM COMMAND [ARGUMENTS]
{
	local words=$1 out

	shift
	out=$(qmp "$@" 2>&1) || true
	echo "$out"
	[[ $out == *"$words"* ]]
}

human() # WORDS VM LINE...
{
	local words=$1 vm=$2 out

	shift 2
	out=$(l qemu-monitor-command "$vm" --hmp "$@" </dev/null 2>&1) || true
	echo "$out"
	[[ $out == *"$words"* ]]
}

ok 'send-key refuses a domain that is not there' fails "failed to get domain 'none'" send-key none 1
ok 'inject-nmi refuses a domain that is not there' fails "failed to get domain 'none'" inject-nmi none
ok 'dump refuses a domain that is not there' fails "failed to get domain 'none'" dump none "$tap_tmp/core"
ok 'define' define one s
ok 'send-key refuses a domain that is shut off' fails 'domain is not running' send-key one KEY_A
ok 'inject-nmi refuses a domain that is shut off' fails 'domain is not running' inject-nmi one
ok 'dump refuses a domain that is shut off' fails 'domain is not running' dump one "$tap_tmp/core"
ok 'and leaves no file' test ! -e "$tap_tmp/core" -a ! -e "$tap_tmp/core.part"
ok 'start' says "Domain 'one' started" start one
ok 'it runs' await_line "$tap_tmp/one.console" up

ok 'query-status' answers '"status":"running"' one query-status
ok 'query-name' answers '"name":"one"' one query-name
ok 'query-uuid' answers "$(l domuuid one)" one query-uuid
ok 'a command that is not known' answers 'CommandNotFound' one no-such-command
ok 'an argument that is not known' answers 'unexpected' one query-status '{"x": 1}'
ok 'info status' human 'VM status: running' one info status
ok 'info registers' human 'RIP=' one info registers
ok 'a line that is not known' human "unknown command: 'frobnicate'" one frobnicate

ok 'send-key' l send-key one KEY_LEFTCTRL KEY_LEFTALT KEY_DELETE --holdtime 1
ok 'send-key with another code set' l send-key one --codeset win32 VK_A
ok 'send-key refuses a key that is not there' fails 'KEY_NONSENSE' send-key one KEY_NONSENSE
ok 'send-key refuses a code set that is not there' fails 'codeset' send-key one --codeset morse KEY_A
ok 'inject-nmi' l inject-nmi one

ok 'dump' says 'dumped to' dump one "$tap_tmp/core" --memory-only --format elf --verbose
ok 'shows its progress' grep -qF 'Dump: [100.00 %]' "$tap_tmp/err"
ok 'the core is an ELF core' bash -c "head -c 18 '$tap_tmp/core' | od -An -tx1 | tr -d ' \n' | grep -q '^7f454c4602010100.*0400\$'"
ok 'with all of the memory' test "$(stat -c %s "$tap_tmp/core")" -gt $((16 << 20))
ok 'the guest goes on' await one 'running'
ok 'dump refuses another format' fails 'not supported' dump one "$tap_tmp/core2" --memory-only --format kdump-zlib
ok 'dump refuses a directory that is not there' fails 'cannot create' dump one "$tap_tmp/none/core"
ok 'dump --reset' says 'dumped to' dump one "$tap_tmp/core" --reset
ok 'dump --crash ends it' says 'dumped to' dump one "$tap_tmp/core" --crash
ok 'it is shut off' await one 'shut off'
