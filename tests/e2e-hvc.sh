#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# --console ...,target=virtio: a stock kernel with its console on hvc0, keys and output, the terminal's size at the start and when
# it changes, and a panic that is said there.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/guest-lib.sh"

append=console=hvc0

runs()
{
	guest hvc 'echo "active: $(cat /sys/class/tty/console/active)"; tty | sed "s/^/here: /"; seq 1 20000 | md5sum | sed "s/^/sum: /"
		seq 1 20000 | sed "s/^/number /"; dmesg -r | grep -c "^<[0-3]>" | sed "s/^/errors: /"' --console stdio,target=virtio
	powered_off hvc && said hvc 'active: ttyS0 hvc0' && said hvc 'errors: 0' && no_complaints hvc
}

# Every line of a lot of output has arrived, in order.
whole()
{
	told_numbers=$(tr -d '\r' <"$tap_tmp/hvc.out" | sed -n 's/^number //p')
	diff <(seq 1 20000) - <<<"$told_numbers"
}

# The guest's shell tells the size of its terminal, and again when it is another.
sized()
{
	vm_command '' --console stdio,target=virtio
	terminal "tty >$tap_tmp/tty; stty rows 41 cols 121; vm"
	expect 'Welcome' || return 1
	tell 'echo si''ze $(stty size) on $(tty)\n'
	expect 'size 41 121 on /dev/' || return 1
	tell 'while [ "$(stty size)" = "41 121" ]; do usleep 10000; done; echo ne''w $(stty size)\n'
	stty rows 52 cols 144 <"$(<"$tap_tmp/tty")"
	expect 'new 52 144' || return 1
	tell 'poweroff\n'
	leaves 0
}

panics()
{
	guest panic 'echo c >/proc/sysrq-trigger' --console stdio,target=virtio
	failed panic 'kernel panic: sysrq triggered crash' && grep -aqF 'Kernel panic - not syncing: sysrq' "$tap_tmp/panic.out"
}

plan 4
ok 'a kernel with its console on hvc0 runs and powers off' runs
ok 'a lot of output arrives whole' whole
if command -v script >/dev/null; then
	ok 'the size of the terminal' tidy sized
else
	skip 'the size of the terminal' 'script (bsdutils) is not installed'
fi
ok 'a panic said on hvc0' panics
tap_end
