#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The tests of the demo guest once more, on KVM; each whole test is one point here.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"

row=$("$LODGE" host | grep '^kvm ')
[[ $row =~ ^kvm\ +yes\  ]] || plan_skip "$(sed -E 's/^kvm +(by name only|no) +/kvm: /' <<<"$row")"

on_kvm()
{
	LODGE_GUEST_ACCEL=kvm bash "$LODGE_SRCDIR/tests/e2e-guest$1.sh"
}

plan 6
ok 'boots' on_kvm ''
ok 'clocks' on_kvm -clock
ok 'consoles' on_kvm -console
ok 'disks' on_kvm -disk
ok 'machines' on_kvm -machine
ok 'panics' on_kvm -panic
tap_end
