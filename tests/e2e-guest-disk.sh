#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Disks of a stock Debian kernel: what the guest writes is in the host's file and the other way round, while it runs, after a reset
# and after the end; read-only disks, discard, order and serial numbers, a file system under load.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/guest-lib.sh"

disk=$tap_tmp/disk
truncate -s 64M "$disk"
seq 1 200000 | head -c 1M >"$tap_tmp/pattern"
seq 5 900000 | head -c 3M >"$tap_tmp/readonly"
cp "$tap_tmp/readonly" "$tap_tmp/kept"
truncate -s 8M "$tap_tmp/third"
pattern_sum=$(sha256sum <"$tap_tmp/pattern")

# The first boot: raw access, step by step with the host. It ends with a file system, and a reset. The second boot looks for that.
in_guest='
step() { echo "step: $1"; read -r answer; }
sum() { sha256sum | cut -d " " -f 1; }
fill() { i=$1; while [ $i -lt $2 ]; do seq $i 8000 >/mnt/$i; i=$((i + 1)); done; }

if [ -e /dev/vda ] && mount /dev/vda /mnt 2>/dev/null; then
	echo "kept: $(cat /mnt/* | sum)"
	umount /mnt
	exit
fi
for disk in vda vdb vdc; do
	cd /sys/block/$disk
	echo "$disk: size $(cat size) ro $(cat ro) serial $(cat serial) cache $(cat queue/write_cache)"
done
cd /

seq 1 200000 | head -c 1048576 | dd of=/dev/vda bs=4k seek=1024 conv=fsync 2>/dev/null
step "fsynced"
dd if=/dev/vda bs=512 skip=16384 count=2048 iflag=direct 2>/dev/null | sha256sum | sed "s/^/from the host: /"

head -c 4096 /dev/urandom | dd of=/dev/vdb conv=fsync 2>&1 | grep -c "denied\|not permitted\|Read-only" | sed "s/^/refused: /"
echo "readonly: $(sum </dev/vdb)"
dd if=/dev/zero of=/dev/vda bs=512 seek=131072 count=1 oflag=direct 2>&1 | grep -c "No space" | sed "s/^/past the end: /"

dd if=/dev/zero bs=1M count=8 2>/dev/null | tr "\0" x | dd of=/dev/vda bs=1M seek=32 conv=fsync 2>/dev/null
step "before discard"
blkdiscard -o 33554432 -l 8388608 /dev/vda && echo discarded
step "after discard"
echo "discarded: $(dd if=/dev/vda bs=1M skip=32 count=8 iflag=direct 2>/dev/null | tr -d "\0" | wc -c)"

# Both processors write at once, past the cache and through it.
for i in 0 1; do
	seq $i 400000 | head -c 2097152 >/tmp/part.$i
	taskset -c $i dd if=/tmp/part.$i of=/dev/vdc bs=$((4096 << i)) seek=$((i * 2097152 / (4096 << i))) oflag=direct 2>/dev/null &
done
wait
echo "parallel: $(cat /tmp/part.0 /tmp/part.1 | sum) $(head -c 4194304 /dev/vdc | sum)"

mke2fs /dev/vda >/dev/null && mount /dev/vda /mnt || exit 1
fill 1 20 &
fill 21 40 &
wait
echo "written: $(cat /mnt/* | sum)"
umount /mnt
dmesg -r | grep "^<[0-3]>" | sed "s/^/error: /"
reboot
sleep 1000'

# go: the guest's next step.
go()
{
	tell 'go\n'
}

blocks()
{
	stat -c %b "$disk"
}

# Whether files here can get holes; then discard must make them.
holes()
{
	head -c 1M /dev/urandom >"$tap_tmp/hole"
	fallocate -p -o 0 -l 1M "$tap_tmp/hole" 2>/dev/null && [[ $(stat -c %b "$tap_tmp/hole") -lt 1024 ]]
}

# The whole conversation; what is measured on the way is in files, for the points below.
conversation()
{
	talk "$in_guest" --cpus 2 --disk "$disk,serial=first-disk" --disk "$tap_tmp/readonly,readonly" --disk "$tap_tmp/third,serial=A"
	expect 'step: fsynced' || return 1
	dd if="$disk" bs=1M skip=4 count=1 2>/dev/null >"$tap_tmp/seen"
	dd if="$tap_tmp/pattern" of="$disk" bs=1M seek=8 conv=notrunc 2>/dev/null
	go
	expect 'step: before discard' || return 1
	blocks >"$tap_tmp/before"
	go
	expect 'step: after discard' || return 1
	blocks >"$tap_tmp/after"
	go
	expect 'reboot: Restarting' && expect 'kept:' && expect 'lodge-cmd-exit: 0' && expect 'reboot: Power down' && ended 0
}

freed()
{
	echo "$(<"$tap_tmp/before") blocks before, $(<"$tap_tmp/after") after"
	[[ $(($(<"$tap_tmp/before") - $(<"$tap_tmp/after"))) -ge 16000 ]]
}

# same KEY: both sums the guest told are there and equal.
same()
{
	[[ $(told disk "$1") =~ ^([0-9a-f]{64})\ ([0-9a-f]{64})$ && ${BASH_REMATCH[1]} == "${BASH_REMATCH[2]}" ]]
}

kept()
{
	[[ $(told disk written) =~ ^[0-9a-f]{64}$ && $(told disk written) == "$(told disk kept)" ]]
}

third()
{
	cmp -n 4194304 "$tap_tmp/third" <(seq 0 400000 | head -c 2M; seq 1 400000 | head -c 2M)
}

quiet()
{
	said disk 'lodge-cmd-exit: 0' && [[ -z $(told disk error) ]] && no_complaints disk
}

# What a guest that is killed has not flushed may be lost; what it has is there.
killed_after_fsync()
{
	truncate -s 8M "$tap_tmp/crash"
	talk 'echo precious | dd of=/dev/vda conv=fsync 2>/dev/null; echo ready; sleep 1000' --disk "$tap_tmp/crash"
	expect ready || return 1
	kill -KILL "$(<"$tap_tmp/pid")"
	ended 137
	[[ $(head -c 8 "$tap_tmp/crash") == precious ]]
}

plan 18
ok 'two boots' tidy conversation
mv "$tap_tmp/talk.out" "$tap_tmp/disk.out"
ok 'first disk' said disk 'vda: size 131072 ro 0 serial first-disk cache write back'
ok 'second disk' said disk 'vdb: size 6144 ro 1 serial  cache write back'
ok 'third disk' said disk 'vdc: size 16384 ro 0 serial A cache write back'
ok 'the guest writes, the host reads' cmp "$tap_tmp/pattern" "$tap_tmp/seen"
ok 'the host writes, the guest reads' said disk "from the host: $pattern_sum"
ok 'a read-only disk refuses' said disk 'refused: 1'
ok 'a read-only disk is read' said disk "readonly: $(sha256sum <"$tap_tmp/kept" | cut -d ' ' -f 1)"
ok 'a read-only disk is as it was' cmp "$tap_tmp/kept" "$tap_tmp/readonly"
ok 'past the end' said disk 'past the end: 1'
ok 'discard' said disk discarded
ok 'discarded blocks read as zeros' said disk 'discarded: 0'
if holes; then
	ok 'discard frees space' freed
else
	skip 'discard frees space' 'files here cannot have holes punched'
fi
ok 'both processors write' same parallel
ok 'the third disk afterwards' third
ok 'a file system outlives a reset' kept
ok 'no complaints' quiet
ok 'what is flushed outlives kill -9' tidy killed_after_fsync
tap_end
