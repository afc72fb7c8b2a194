#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Changing definitions: edit with a real editor that does right and wrong, undefine with all its guards, --live and --config.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/life-lib.sh"
life_guest
plan 32

define one s >/dev/null

# editor SED...: $EDITOR becomes a program that does this to the file.
editor()
{
	printf '#!/bin/sh\nsed -i %s "$1"\n' "$(printf ' -e %q' "$@")" >"$tap_tmp/editor"
	chmod +x "$tap_tmp/editor"
	export EDITOR=$tap_tmp/editor
	unset VISUAL
}

# --- edit ---
editor 's|<vcpu.*</vcpu>|<vcpu>2</vcpu>|'
ok 'edit' says "XML configuration edited" edit one
ok 'took the change' bash -c "'$LODGE' dumpxml one | grep -q '>2</vcpu>'"
editor ''
ok 'edit without a change says so' says 'not changed' edit one
editor 's|<vcpu.*</vcpu>|<vcpu>none</vcpu>|'
ok 'a wrong value is refused' fails 'vcpu' edit one
ok 'nothing was changed' bash -c "'$LODGE' dumpxml one | grep -q '>2</vcpu>'"
kept=$(sed -n 's/.*your text is in //p' "$tap_tmp/err")
ok 'the text is kept, and where is said' grep -q '<vcpu>none' "$kept"
rm -f "$kept"
editor 's|<devices>|<devicez/><devices>|'
ok 'an unknown element is refused' fails 'devicez' edit one
rm -f "$(sed -n 's/.*your text is in //p' "$tap_tmp/err")"
ok '--skip-validate keeps it' says 'edited' edit one --skip-validate
ok 'it survives' bash -c "'$LODGE' dumpxml one | grep -q '<devicez/>'"
printf '#!/bin/sh\nn=%s; if [ -e "$n" ]; then sed -i "s|>none<|>3<|" "$1"; else touch "$n"; sed -i "s|<vcpu.*</vcpu>|<vcpu>none</vcpu>|" "$1"; fi\n' "$tap_tmp/second" >"$tap_tmp/editor"
ok 'edit asks, and goes on with the refused text' bash -c "echo y | '$LODGE' edit one --skip-validate && '$LODGE' dumpxml one | grep -q '>3</vcpu>'"
editor 's|<name>one|<name>two|'
ok 'the name cannot be changed' fails 'domrename' edit one --skip-validate
rm -f "$(sed -n 's/.*your text is in //p' "$tap_tmp/err")"
export EDITOR=false
ok 'an editor that fails changes nothing' fails 'editor' edit one
export VISUAL=$tap_tmp/editor EDITOR=false
printf '#!/bin/sh\n:\n' >"$tap_tmp/editor"
ok 'VISUAL comes before EDITOR' says 'not changed' edit one
ok 'no file is left behind' bash -c "! ls '${TMPDIR:-/tmp}'/lodge-??????.xml 2>/dev/null"
ok 'edit with --readonly is refused' fails 'read' --readonly edit one

# --- undefine's guards ---
touch "$tap_tmp/vars.fd"
define nvram s >/dev/null
l dumpxml nvram | sed "s|<kernel>|<loader readonly='yes' type='pflash'>/usr/share/none.fd</loader><nvram>$tap_tmp/vars.fd</nvram><kernel>|" >"$tap_tmp/nvram.xml"
l define "$tap_tmp/nvram.xml" >/dev/null
ok 'undefine with firmware variables needs a word about them' fails 'nvram' undefine nvram
ok 'two words exclude each other' fails 'mutually exclusive' undefine nvram --nvram --keep-nvram
ok '--keep-nvram' says undefined undefine nvram --keep-nvram
ok 'kept them' test -e "$tap_tmp/vars.fd"
l define "$tap_tmp/nvram.xml" >/dev/null
ok '--nvram' says undefined undefine nvram --nvram
ok 'deleted them' test ! -e "$tap_tmp/vars.fd"
truncate -s 1M "$tap_tmp/disk.img"
LIFE_DEVICES="<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='$tap_tmp/disk.img'/><target dev='vda' bus='virtio'/></disk>"
define disk s >/dev/null
ok 'undefine --storage refuses a disk the domain does not have' fails "Volume 'vdz'" undefine disk --storage vdz
ok '--wipe-storage needs to know what' fails 'wipe-storage' undefine disk --wipe-storage
ok '--remove-all-storage' says undefined undefine disk --remove-all-storage
ok 'says what it leaves' grep -qF "'vda'($tap_tmp/disk.img)" "$tap_tmp/err"
ok 'and leaves it' test -e "$tap_tmp/disk.img"

# --- scopes ---
LIFE_DEVICES=
define scoped s >/dev/null
ok '--live of a domain that does not run' fails 'not running' vcpupin scoped 0 0 --live
ok '--live and --current exclude each other' fails 'mutually exclusive' vcpupin scoped 0 0 --live --current
ok '--config' l vcpupin scoped 0 0 --config
ok 'is in the definition' bash -c "'$LODGE' dumpxml scoped | grep -q \"<vcpupin vcpu='0' cpuset='0'/>\""
l start scoped >/dev/null
ok 'at start the thread is pinned' grep -hx 'Cpus_allowed_list:	0' "/proc/$(pids vm scoped)/task/"*/status
ok 'a CPU that is not there is refused' fails 'CPU' vcpupin scoped 0 4000 --live
tap_end
