#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Ends that are not clean: a stock Debian kernel panics, with and without a device to tell that, and faults three times over. Each is
# one line of error and exit status 1, unless the kernel resets the machine first.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/guest-lib.sh"

crash='echo c >/proc/sysrq-trigger'
# Without the driver of the panic device lodge has to see it by itself.
untold='rmmod pvpanic_mmio pvpanic_pci pvpanic'

# panics WORDS SCRIPT OPTION...: says why, in the kernel's own words.
panics()
{
	local words=$1

	shift
	guest panic "$@"
	failed panic "guest \"test\": kernel panic: $words"
}

# panics_again SCRIPT: the machine really resets, for another panic.
panics_again()
{
	append=panic=-1 talk "$1"
	expect 'Kernel panic' && expect 'Linux version' && expect 'init started' && expect 'Kernel panic' || return 1
	kill "$pid"
	ended 143
}

# A panic that is long over does not make another end one.
panic_in_the_past()
{
	guest past 'echo "[    0.1] Kernel panic - not syncing: just words"; echo "[    0.1] ---[ end Kernel panic - not syncing: just words ]---"
		sleep 3; echo "still here"'
	powered_off past && said past 'still here'
}

triple_fault()
{
	append=reboot=triple guest triple 'reboot -f' "$@"
	failed triple 'guest "test": triple fault'
}

# resets HOW: reset by another door.
resets()
{
	append=reboot=$1 guest reset 'reboot -f' --no-reboot
	shows reset
	[[ $(<"$tap_tmp/reset.status") -eq 0 ]] && grep -q 'reset, ended because of --no-reboot' "$tap_tmp/reset.err"
}

more=()
[[ -z ${LODGE_TEST_LONG:-} ]] || more=(acpi kbd pci,force)
plan $((9 + ${#more[@]}))
ok 'panic' panics 'sysrq triggered crash' "$crash"
ok 'panic without its device, two processors' panics 'sysrq triggered crash' "$untold; $crash" --cpus 2
append=rdinit=/nonexistent ok 'no init' panics 'VFS: Unable to mount root fs' ''
append=rdinit=/bin/false ok 'init ends' panics 'Attempted to kill init' ''
append=panic=-1 ok 'panic that reboots with --no-reboot' panics 'sysrq triggered crash' "$untold; $crash" --no-reboot
ok 'panic that reboots' tidy panics_again "$untold; $crash"
ok 'words of a panic' panic_in_the_past
ok 'triple fault' triple_fault
ok 'triple fault of two processors' triple_fault --cpus 2
for how in "${more[@]}"; do
	ok "reboot=$how" resets "$how"
done
tap_end
