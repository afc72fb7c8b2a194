#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A stock Debian kernel on one, two and four processors: it computes what the host computes, gets its entropy, finds nothing to
# complain about, reboots and powers off.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/guest-lib.sh"

# Work that gives the same with the guest's tools and the host's: hashes, compression, floating point, sorting, pipes, processes.
work='export LC_ALL=C
seq 1 30000 | sha256sum
seq 1 30000 | gzip -c | gunzip -c | md5sum
seq 1 10000 | tac | sort -n | sha512sum | cut -c 1-64
dd if=/dev/zero bs=64k count=32 2>/dev/null | sha1sum
awk "BEGIN { for (i = 1; i <= 10000; i++) { s += 1 / i; p = p * 0.5 + i % 7 } printf \"%.15g %.15g\n\", s, p }"
i=0; while [ $i -lt 30 ]; do /bin/true; i=$((i + 1)); done; echo $i'

# Once, and then on all processors at once, each pinned to its own. A storm of processes that run where they are put. Entropy twice.
# Then what the kernel has to say about all this.
in_guest='echo "processors: $(nproc)"
cat >/tmp/work <<"END"
'$work'
END
sh /tmp/work >/tmp/once
sed "s/^/result: /" /tmp/once
for cpu in $(seq 0 $(($(nproc) - 1))); do
	taskset -c $cpu sh /tmp/work >/tmp/result.$cpu &
done
wait
for cpu in $(seq 0 $(($(nproc) - 1))); do
	cmp /tmp/once /tmp/result.$cpu && echo "right: $cpu"
done
for i in $(seq 1 60); do
	(/bin/true | /bin/cat) &
done
wait
echo "source: $(cat /sys/class/misc/hw_random/rng_current)"
for i in 1 2; do
	echo "entropy: $(head -c 32 /dev/hwrng | xxd -p -c 32)"
done
echo "errors: $(dmesg -r | grep -c "^<[0-3]>")"
dmesg -r | grep "^<[0-3]>"
echo "all done"'

bash -c "$work" | sed 's/^/result: /' >"$tap_tmp/wanted"

# as_here NAME: what was computed in the guest is what was computed here.
as_here()
{
	tr -d '\r' <"$tap_tmp/$1.out" | grep '^result: ' | diff "$tap_tmp/wanted" - || {
		shows "$1"
		return 1
	}
}

# each_processor NAME COUNT: all are there and computed right.
each_processor()
{
	said "$1" "processors: $2" && [[ $(told "$1" right | wc -l) -eq $2 ]]
}

# entropy NAME: twice 32 bytes, not the same, and none like those of another guest.
entropy()
{
	said "$1" 'source: virtio_rng.0' && told "$1" entropy | tee "$tap_tmp/entropy" && cat "$tap_tmp/entropy" >>"$tap_tmp/entropies"
	[[ $(grep -cE '^[0-9a-f]{64}$' "$tap_tmp/entropy") -eq 2 ]] && [[ -z $(sort "$tap_tmp/entropies" | uniq -d) ]]
}

quiet()
{
	said "$1" 'all done' && said "$1" 'errors: 0' && no_complaints "$1"
}

# reboots OPTION...: reboot from inside, and the machine comes up again, new: what was in its memory is gone.
reboots()
{
	talk '' "$@"
	expect 'Run /init' && expect 'init started' || return 1
	tell 'echo mar''k >/tmp/before; reboot\n'
	expect 'reboot: Restarting system' && expect 'Linux version' && expect 'Run /init' || return 1
	tell 'test -e /tmp/before || echo ne''w machine; poweroff\n'
	expect 'new machine' && expect 'reboot: Power down' && ended 0
	grep -qx 'lodge: guest "test" powered off' "$tap_tmp/talk.err"
}

# The accelerator is the one lodge chooses: every machine has one that boots this guest.
no_reboot()
{
	accel=auto guest again 'reboot' --no-reboot
	shows again
	[[ $(<"$tap_tmp/again.status") -eq 0 && $(grep -c 'Linux version' "$tap_tmp/again.out") -eq 1 ]] &&
		grep -qx 'lodge: guest "test" reset, ended because of --no-reboot' "$tap_tmp/again.err"
}

plan 18
for cpus in 1 2 4; do
	guest "$cpus" "$in_guest" --cpus "$cpus"
	ok "$cpus: boots, powers off" powered_off "$cpus"
	ok "$cpus: all processors compute right" each_processor "$cpus" "$cpus"
	ok "$cpus: as the host does" as_here "$cpus"
	ok "$cpus: entropy" entropy "$cpus"
	ok "$cpus: no complaints" quiet "$cpus"
done
ok 'reboot' tidy reboots
ok 'reboot of two processors' tidy reboots --cpus 2
ok 'reboot with --no-reboot' no_reboot
tap_end
