#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The same stock Debian kernel on other machines: little memory and much, many processors, its other entry points, and without this or
# that part of the hardware, as kernel parameters have it. make check-long tries more of them.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/guest-lib.sh"

seq 1 400000 | head -c 2M >"$tap_tmp/disk"
disk_sum=$(sha256sum <"$tap_tmp/disk")

# What a machine is asked: its size, its time, its disk, its complaints.
questions='
echo "kernel: $(uname -r)"
echo "boot protocol: $(cat /sys/kernel/boot_params/version)"
echo "processors: $(nproc)"
echo "memory: $(sed -n "s/^MemTotal: *\([0-9]*\) kB/\1/p" /proc/meminfo)"
sed -n "s/^\([0-9a-f]*-[0-9a-f]*\) : System RAM/range: \1/p" /proc/iomem
sleep 0.2
echo "disk: $(sha256sum </dev/vda)"
echo "entropy: $(head -c 16 /dev/hwrng | wc -c)"
dmesg -r | grep "^<[0-3]>" | sed "s/^/error: /"
echo "all done"'

# boots NAME OPTION...: asks the questions.
boots()
{
	local name=$1

	shift
	guest "$name" "$questions" --disk "$tap_tmp/disk,readonly" "$@"
	powered_off "$name"
}

# works NAME PROCESSORS: all answers are right.
works()
{
	said "$1" "disk: $disk_sum" && said "$1" 'entropy: 16' && said "$1" "processors: $2" && said "$1" 'all done' &&
		[[ -z $(told "$1" error) ]] && no_complaints "$1"
}

# Too little, and lodge says how much kernel and initrd take; Linux needs a little more to run.
least_memory()
{
	local need

	guest little 'echo up' --memory 64M
	failed little 'at least [0-9]* MiB of memory, the VM has 64 MiB' && [[ ! -s $tap_tmp/little.out ]] || return 1
	need=$(sed -n 's/.* at least \([0-9]*\) MiB.*/\1/p' "$tap_tmp/little.err")
	boots least --memory "$((need + 12))M" && works least 1
}

# Some of 3 GiB are above 4 GiB, and the guest has nearly all of them.
much_memory()
{
	boots much --memory 3G && works much 1 || return 1
	told much range
	told much range | grep -qx '100000000-13fffffff' && [[ $(told much memory) -gt 2900000 ]]
}

# processors COUNT OPTION...
processors()
{
	boots "$1" --cpus "$@" && works "$1" "$1"
}

# The kernel in the file is taken out of it and started by its PVH note. It then invents the boot protocol 2.12 for itself.
pvh()
{
	kernel=$tap_tmp/vmlinux boots pvh --cpus 2 && works pvh 2 && said pvh 'boot protocol: 0x020c'
}

# A copy that says it has no 64-bit entry: bit 0 of xloadflags in the boot protocol's header.
entry_32()
{
	local flags

	cp "$LODGE_DEMO/vmlinuz" "$tap_tmp/vmlinuz"
	flags=$(od -An -t u1 -j 566 -N 1 "$tap_tmp/vmlinuz")
	[[ $((flags & 1)) -eq 1 ]] || return 1
	printf "\\x$(printf '%x' $((flags & ~1)))" | dd of="$tap_tmp/vmlinuz" bs=1 seek=566 conv=notrunc 2>/dev/null
	kernel=$tap_tmp/vmlinuz boots entry --cpus 2 && works entry 2
}

# without PROCESSORS PARAMETER...: all works, with another part of the hardware.
without()
{
	local count=$1

	shift
	append=$* boots without --cpus 2 && works without "$count"
}

# crippled PARAMETER...: Linux does without the devices then, and may not know how to power off; but it comes up.
crippled()
{
	append=$* talk 'echo "up: $(nproc)"; echo hello | sha256sum' --cpus 2
	expect 'up: ' && expect "$(echo hello | sha256sum)" && expect 'lodge-cmd-exit: 0' || return 1
	kill "$pid" 2>/dev/null || true
	wait "$pid" || true
}

# Processors Linux starts with the parameters. Each line is one boot.
parameters=(
	'2 pci=nomsi'
	'2 noapic'
	'2 nox2apic hpet=disable no-kvmclock lapic=notscdeadline'
)
damages=('acpi=off')
counts=(8)
if [[ -n ${LODGE_TEST_LONG:-} ]]; then
	parameters+=(
		'1 nosmp'
		'1 maxcpus=1'
		'2 noxsave'
		'2 nox2apic'
		'2 hpet=disable'
		'2 no-kvmclock'
		'2 no-kvmclock nohpet hpet=disable'
		'2 lapic=notscdeadline'
		'2 nox2apic pci=nomsi nohz=off highres=off'
		'2 mitigations=auto'
		'2 mitigations=off nopti nospectre_v2'
		'2 clearcpuid=avx,xsave'
		'2 nokaslr nopcid nosmap nosmep no5lvl'
		'2 pci=conf1'
		'2 clocksource=jiffies highres=off nohz=off'
		'2 idle=poll'
		'2 nohlt'
		'2 nosgx nopat nogbpages'
		'2 kvm-clock=off no_timer_check'
		'2 nopv'
		'2 preempt=full threadirqs'
		'2 swiotlb=force'
		'2 debug_pagealloc=on slub_debug=FZPU'
		'2 init_on_free=1 page_poison=1 randomize_kstack_offset=on'
	)
	damages+=(nolapic pci=off 'noapic pci=nomsi' 'nolapic noapic acpi=off')
	counts+=(3 5 16 32)
fi
plan $((4 + ${#parameters[@]} + ${#damages[@]} + ${#counts[@]}))
ok 'the least memory' least_memory
ok '3 GiB' much_memory
for count in "${counts[@]}"; do
	ok "$count processors" processors "$count" --memory 1G
done
status=0
"$LODGE_BUILDDIR/tests/extract-vmlinux" "$LODGE_DEMO/vmlinuz" "$tap_tmp/vmlinux" 2>"$tap_tmp/extract" || status=$?
if [[ $status -eq 77 ]]; then
	skip 'PVH entry' "$(<"$tap_tmp/extract")"
else
	ok 'PVH entry' pvh
fi
ok '32-bit entry' entry_32
for words in "${parameters[@]}"; do
	ok "with ${words#* }" without $words
done
for words in "${damages[@]}"; do
	ok "up with $words" tidy crippled "$words"
done
tap_end
