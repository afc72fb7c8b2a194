#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Commands that change a definition's numbers and texts, and the translations to and from QEMU command lines.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/life-lib.sh"
life_guest
plan 62

# has DOMAIN WORDS: the definition for the next start has this line.
has()
{
	"$LODGE" dumpxml --inactive "$1" | grep -qF -- "$2" || { "$LODGE" dumpxml --inactive "$1"; return 1; }
}

lacks()
{
	! "$LODGE" dumpxml --inactive "$1" | grep -qF -- "$2"
}

life_xml one s '' | sed 's|<vcpu>1</vcpu>|<vcpu>4</vcpu>|; s|>16</memory>|>64</memory>|' >"$tap_tmp/one.xml"
l define "$tap_tmp/one.xml" >/dev/null

# --- setvcpus ---
ok 'setvcpus of nothing' fails 'setvcpus' setvcpus
ok 'setvcpus of an unknown domain' fails "failed to get domain 'none'" setvcpus none 1 --config
ok 'setvcpus 0' fails "can't set 0" setvcpus one 0
ok 'setvcpus beyond the maximum' fails 'exceeds maximum (5 > 4)' setvcpus one 5 --config
ok 'setvcpus --maximum without --config' fails '--config' setvcpus one 5 --maximum
ok 'setvcpus --live of a stopped domain' fails 'not running' setvcpus one 2 --live
ok 'setvcpus with --readonly' fails 'read' --readonly setvcpus one 2 --config
ok 'setvcpus --config' l setvcpus one 2 --config
ok 'says so' has one "<vcpu placement='static' current='2'>4</vcpu>"
ok 'setvcpus --count, as people write it' l setvcpus one --count 4 --config
ok 'all of them' has one "<vcpu placement='static'>4</vcpu>"
ok 'setvcpus --maximum --config' l setvcpus one 6 --maximum --config
ok 'raises the maximum only' has one "<vcpu placement='static' current='4'>6</vcpu>"
ok 'setvcpus --maximum below the present' l setvcpus one 3 --maximum --config
ok 'lowers both' has one "<vcpu placement='static'>3</vcpu>"

# --- setmem, setmaxmem ---
ok 'setmem without a size' fails 'size' setmem one
ok 'setmem of what is no size' fails 'size' setmem one lots
ok 'setmem above the maximum' fails 'higher than max memory' setmem one 1G --config
ok 'setmem in KiB' l setmem one 32768 --config
ok 'says so' has one "<currentMemory unit='KiB'>32768</currentMemory>"
ok 'setmem with a unit' l setmem one 48M --config
ok 'says so' has one "<currentMemory unit='KiB'>49152</currentMemory>"
ok 'setmem --kilobytes' l setmem one --kilobytes 40960
ok 'says so' has one "<currentMemory unit='KiB'>40960</currentMemory>"
ok 'setmaxmem 0' fails 'greater than 0' setmaxmem one 0
ok 'setmaxmem' l setmaxmem one 128M --config
ok 'says so' has one "<memory unit='KiB'>131072</memory>"
ok 'leaves the present' has one "<currentMemory unit='KiB'>40960</currentMemory>"
ok 'setmaxmem below the present' l setmaxmem one 32M
ok 'lowers both' has one "<currentMemory unit='KiB'>32768</currentMemory>"

# --- desc ---
ok 'desc of none' says 'No description for domain: one' desc one
ok 'desc --title of none' says 'No title for domain: one' desc one --title
ok 'desc with words' says 'Domain description updated successfully' desc one a small guest
ok 'are joined' says 'a small guest' desc one
ok 'desc --title' says 'Domain title updated successfully' desc one --title 'first one'
ok 'says so' has one '<title>first one</title>'
ok 'a title of two lines' fails "can't contain newlines" desc one --title $'a\nb'
printf '#!/bin/sh\necho edited text >"$1"\n' >"$tap_tmp/editor"
chmod +x "$tap_tmp/editor"
ok 'desc --edit' env VISUAL="$tap_tmp/editor" "$LODGE" desc one --edit
ok 'takes what was written' says 'edited text' desc one
ok 'desc --edit with an editor that fails' env VISUAL=false bash -c "! '$LODGE' desc one --edit"
ok 'an empty text removes it' l desc one ''
ok 'it is gone' lacks one '<description>'

# --- metadata ---
ns=http://example.org/owner
ok 'metadata of none' fails 'metadata not found' metadata one "$ns"
ok 'metadata --set without --key' fails 'key is required' metadata one "$ns" --set '<o/>'
ok 'metadata --set of what is no XML' fails 'not well-formed' metadata one "$ns" --key o --set '<o>'
ok 'metadata --set' says 'Metadata modified' metadata one "$ns" --key o --set '<owner id="7"><name>Ann</name></owner>'
ok 'is in its name space' has one '<o:name>Ann</o:name>'
ok 'metadata shows it without' says '<name>Ann</name>' metadata one "$ns"
ok 'metadata --remove' says 'Metadata removed' metadata one "$ns" --remove
ok 'it is gone' lacks one '<metadata>'

# --- QEMU command lines ---
echo "qemu-kvm -name 'from argv' -m 64 -smp 2 -hda $tap_tmp/a.img -net nic,model=virtio -net user -vnc :3" >"$tap_tmp/line"
ok 'domxml-from-native of an unknown format' fails 'unsupported config type' domxml-from-native xen-xm "$tap_tmp/line"
ok 'domxml-from-native of no file' fails 'none' domxml-from-native qemu-argv "$tap_tmp/none"
ok 'domxml-from-native' says '<name>from argv</name>' domxml-from-native qemu-argv "$tap_tmp/line"
ok 'what it prints can be defined' bash -c "'$LODGE' domxml-from-native qemu-argv '$tap_tmp/line' >'$tap_tmp/d.xml' && '$LODGE' define '$tap_tmp/d.xml'"
ok 'domxml-to-native needs a domain' fails 'one of --domain and --xml' domxml-to-native qemu-argv
ok 'domxml-to-native --domain' says "-name 'guest=from argv'" domxml-to-native qemu-argv --domain 'from argv'
ok 'domxml-to-native --xml' says '-vnc 127.0.0.1:3' domxml-to-native qemu-argv --xml "$tap_tmp/d.xml"

# --- a running domain ---
l start one >/dev/null
ok 'setmem of a running domain' l setmem one 24M --live
ok 'is what it has now' bash -c "'$LODGE' dumpxml one | grep -qF \"<currentMemory unit='KiB'>24576</currentMemory>\""
ok 'not what it starts with' has one "<currentMemory unit='KiB'>32768</currentMemory>"
ok 'setmaxmem of a running domain is refused' fails 'on an active domain' setmaxmem one 64M --live
ok 'setvcpus of a running domain is refused' fails 'next start' setvcpus one 1 --live
tap_end
