#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# capabilities and its relatives as virsh's users call them: what is refused, the documents' shape under libvirt's schemas, and what
# comparing and combining CPUs answers. Nothing here depends on which processor the host has.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"

export LODGE_HOME=$tap_tmp/home
cd "$tap_tmp"

schemas=/usr/share/libvirt/schemas

# fails STATUS TEXT ARGUMENTS...: ends with the status, having said the text on standard error.
fails()
{
	local status=$1 text=$2 got=0

	shift 2
	"$LODGE" "$@" >out 2>err || got=$?
	cat out err
	[[ $got == "$status" && $(<err) == *"$text"* ]]
}

# says TEXT ARGUMENTS...: succeeds with exactly this output.
says()
{
	local text=$1

	shift
	"$LODGE" "$@" >out
	cat out
	[[ $(<out) == "$text" ]]
}

# shows PATTERN ARGUMENTS...: succeeds, and a line of the output is this.
shows()
{
	local pattern=$1

	shift
	"$LODGE" "$@" >out
	cat out
	grep -q -x -e "$pattern" out
}

# verdict STATUS TEXT ARGUMENTS...
verdict()
{
	local status=$1 text=$2 got=0

	shift 2
	"$LODGE" "$@" >out 2>err || got=$?
	cat out err
	[[ $got == "$status" && $(<out) == "$text" && ! -s err ]]
}

# valid SCHEMA ARGUMENTS...
valid()
{
	local name=$1

	shift
	if ! command -v xmllint >/dev/null || [[ ! -e $schemas/$name.rng ]]; then
		skip "valid: $*" 'xmllint or the schemas of libvirt are not here'
		return
	fi
	"$LODGE" "$@" >valid.xml
	ok "valid: $*" xmllint --noout --relaxng "$schemas/$name.rng" valid.xml
}

# The arguments make the same document as the file.
same()
{
	local file=$1

	shift
	"$LODGE" "$@" >out
	diff -u "$file" out
}

alive()
{
	"$LODGE" define defined.xml && "$LODGE" dumpxml based >out && grep -q 'Nehalem' out
}

echo '<cpu><model>x86-64-v1</model></cpu>' >old.xml
echo "<cpu><arch>x86_64</arch><model>x86-64-v1</model><feature name='sse4a'/><feature name='3dnowprefetch'/><feature name='avx2'/></cpu>" >odd.xml
echo '<cpu><model>Pentium9</model></cpu>' >unknown.xml
echo '<cpu><arch>aarch64</arch><model>cortex-a72</model></cpu>' >arm.xml
echo '<pool><name>p</name></pool>' >pool.xml
echo '<cpu><model>qemu64' >broken.xml
printf '<cpu>\n<model>qemu64</model>\n<speed/>\n</cpu>\n' >strange.xml
printf '%s\n' "<?xml version='1.0'?>" '<cpu><model>Haswell</model></cpu>' "<?xml version='1.0'?>" \
	'<domain><cpu><model>Nehalem</model></cpu></domain>' >two.xml
cat >nehalem.xml <<'X'
<cpu mode='custom' match='exact'>
  <model fallback='forbid'>Nehalem</model>
</cpu>
X
{
	echo "<domain type='qemu'><name>based</name><memory>65536</memory><os><type arch='x86_64'>hvm</type></os>"
	cat nehalem.xml
	echo '</domain>'
} >defined.xml
"$LODGE" capabilities >host.xml
"$LODGE" domcapabilities --virttype qemu >qemu.xml

plan 39
ok 'cpu-models: another architecture' fails 1 "'riscv64'" cpu-models riscv64
ok 'cpu-models: none' fails 2 'requires <arch>' cpu-models
ok 'domcapabilities: another hypervisor' fails 1 "'xen'" domcapabilities --virttype xen
ok 'domcapabilities: another architecture' fails 1 "'aarch64'" domcapabilities --arch aarch64
ok 'domcapabilities: another machine' fails 1 "'virt'" domcapabilities --machine virt
ok 'domcapabilities: another emulator' fails 1 "'/bin/true'" domcapabilities --emulatorbin /bin/true
ok 'capabilities: no XPath' fails 2 'not an XPath' capabilities --xpath '///'
ok 'capabilities: a number of nodes' fails 2 'selects no nodes' capabilities --xpath 'count(//cpu)'
ok 'cpu-compare: no such file' fails 1 'nothere.xml' cpu-compare nothere.xml
ok 'cpu-compare: not XML' fails 1 'broken.xml' cpu-compare broken.xml
ok 'cpu-compare: no CPU' fails 1 'no CPU is described' cpu-compare pool.xml
ok 'cpu-compare: a model that is not known' fails 1 "'Pentium9'" cpu-compare unknown.xml
ok 'cpu-compare: another architecture' fails 1 "'aarch64'" cpu-compare arm.xml
ok 'cpu-compare --validate names the line' fails 1 'strange.xml:3: /cpu/speed' cpu-compare strange.xml --validate
ok 'cpu-compare alone does not mind it' "$LODGE" cpu-compare strange.xml
ok 'hypervisor-cpu-compare: another hypervisor' fails 1 "'xen'" hypervisor-cpu-compare old.xml --virttype xen
ok 'cpu-baseline: a model that is not known' fails 1 "'Pentium9'" cpu-baseline unknown.xml
ok 'hypervisor-cpu-baseline: nothing to begin with' fails 2 '--model' hypervisor-cpu-baseline
ok 'hypervisor-cpu-baseline: file and model' fails 2 'mutually exclusive' hypervisor-cpu-baseline old.xml --model qemu64

valid capability capabilities
valid domaincaps domcapabilities
valid domaincaps domcapabilities --virttype qemu --machine pc --arch x86_64

ok 'capabilities: a fully virtualized guest' says '<os_type>hvm</os_type>' capabilities --xpath '//os_type'
ok 'capabilities: the software CPU' shows '  <domain type="qemu"/>' capabilities --xpath '//guest//domain' --wrap
ok 'capabilities: a cell of memory' shows '<cell id="0">' capabilities --xpath "//cell[@id='0']"
ok 'domcapabilities: q35 unless said otherwise' says '<machine>pc-q35-1.0</machine>' domcapabilities --xpath '//machine'
ok 'domcapabilities: pc' says '<machine>pc-i440fx-1.0</machine>' domcapabilities --machine pc --xpath '//machine'
ok 'domcapabilities: the emulator named' same qemu.xml domcapabilities --virttype qemu \
	--emulatorbin "$(sed -n 's,^  <path>\(.*\)</path>$,\1,p' qemu.xml)"
ok 'domcapabilities: every host runs the oldest model' shows \
	'<model usable="yes" vendor="unknown">x86-64-v1</model>' domcapabilities --xpath "//model[.='x86-64-v1']"

ok 'cpu-compare: the host itself' verdict 0 'CPU described in host.xml is identical to host CPU' cpu-compare host.xml
ok 'cpu-compare: an older one' verdict 0 'Host CPU is a superset of CPU described in old.xml' cpu-compare old.xml
ok 'hypervisor-cpu-compare: an older one' verdict 0 \
	'The CPU provided by hypervisor on the host is a superset of CPU described in old.xml' \
	hypervisor-cpu-compare old.xml --virttype qemu
ok 'hypervisor-cpu-compare: its own' verdict 0 \
	'CPU described in qemu.xml is identical to the CPU provided by hypervisor on the host' \
	hypervisor-cpu-compare qemu.xml --virttype qemu
ok 'hypervisor-cpu-compare: what the software CPU never has' verdict 1 \
	'CPU described in odd.xml is incompatible with the CPU provided by hypervisor on the host' \
	hypervisor-cpu-compare odd.xml --virttype qemu
ok 'hypervisor-cpu-compare --error says what' fails 1 'lacks sse4a' hypervisor-cpu-compare odd.xml --virttype qemu --error

ok 'cpu-baseline: two documents' same nehalem.xml cpu-baseline two.xml
ok 'cpu-baseline --features' shows "  <feature policy='require' name='sse4.2'/>" cpu-baseline two.xml --features
ok 'hypervisor-cpu-baseline --model' same <(sed 's/Nehalem/x86-64-v1/' nehalem.xml) hypervisor-cpu-baseline --model x86-64-v1
ok 'a baseline stands in a definition' alive
tap_end
