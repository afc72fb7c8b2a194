#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every command about the host, of the shell and of Lodge's own: once as it should be, once refused, as JSON, and over a
# read-only connection.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/life-lib.sh"
. "$LODGE_SRCDIR/tests/commands-lib.sh"
commands_vm
plan 24

# What a host may not have: answered, or refused in one line.
answered_or_refused()
{
	call "$@"
	echo "$1" >>"$tap_tmp/tried"
	[[ $status -eq 0 && -s $tap_tmp/out && ! -s $tap_tmp/err ]] ||
		{ [[ $status -eq 1 && ! -s $tap_tmp/out && $(wc -l <"$tap_tmp/err") -eq 1 ]] && grep -q '^error: ' "$tap_tmp/err"; }
}

# A pool of huge pages keeps the size it has: the one change that a test may make to its host. Without the right to, it is
# refused.
allocpages_as_it_is()
{
	local pool=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages

	echo allocpages >>"$tap_tmp/tried"
	[[ -r $pool ]] || return 0
	call allocpages 2048 "$(<"$pool")"
	[[ $status -eq 0 ]] || { [[ $status -eq 1 && $(wc -l <"$tap_tmp/err") -eq 1 ]] && grep -q '^error: ' "$tap_tmp/err"; }
}

run_guest()
{
	echo run >>"$tap_tmp/tried"
	call run --accel soft --memory 16M --kernel "$guest" --append p
	[[ $status -eq 0 ]] && grep -q '^up' "$tap_tmp/out"
}

# The shell of a program called virsh, which needs no terminal.
cd_in_the_shell()
{
	echo cd >>"$tap_tmp/tried"
	ln -sf "$LODGE" "$tap_tmp/virsh"
	printf 'cd /\npwd\nquit\n' | "$tap_tmp/virsh" >"$tap_tmp/out" 2>&1
	cat "$tap_tmp/out"
	grep -qx / "$tap_tmp/out"
}

# Only said to be unknown when virsh has no such command either.
later()
{
	call "$@"
	[[ $status -eq 1 && ! -s $tap_tmp/out && $(wc -l <"$tap_tmp/err") -eq 1 ]] &&
		grep -q "^error: command '$1' is not in this version of Lodge: " "$tap_tmp/err"
}

none_of_them_in_help()
{
	! "$LODGE" help | grep -E '^    (save|managedsave|migrate|attach-disk|snapshot-list|net-list|pool-list|vol-list) '
}

ok 'the host' each gives <<END
	'CPU(s):' nodeinfo
	'CPU map:' nodecpumap --pretty
	'CPUs online:' nodecpumap
	iowait: nodecpustats
	% nodecpustats --percent
	'user:' nodecpustats 0
	'total  :' nodememstats
	'Total: ' freecell
	----- freecell --all
	'Node 0:' freepages --all
	'4KiB: ' freepages 0
	32 maxvcpus
	32 maxvcpus --type kvm
	lodge: uri
	'Running hypervisor: Lodge' version
	'Running against daemon: none' version --daemon
	'$(uname -n)' hostname
END
"$LODGE" capabilities >"$tap_tmp/capabilities.xml"
"$LODGE" hypervisor-cpu-baseline "$tap_tmp/capabilities.xml" >"$tap_tmp/common.xml"
ok 'its processor, and what domains may have' each gives <<END
	'<arch>x86_64</arch>' capabilities
	'<domainCapabilities>' domcapabilities
	'<domainCapabilities>' domcapabilities --virttype qemu --arch x86_64
	Nehalem cpu-models x86_64
	'<cpu' cpu-baseline '$tap_tmp/capabilities.xml'
	'<cpu' hypervisor-cpu-baseline '$tap_tmp/capabilities.xml'
	identical cpu-compare '$tap_tmp/capabilities.xml'
	'CPU provided by hypervisor' hypervisor-cpu-compare '$tap_tmp/common.xml'
END
ok 'and none of it' each refused <<END
	2 "unexpected data 'x'" capabilities x
	1 arm64 domcapabilities --arch arm64
	1 arm64 cpu-models arm64
	1 'No such file' cpu-baseline '$tap_tmp/none'
	1 'No such file' hypervisor-cpu-baseline '$tap_tmp/none'
	1 'No such file' cpu-compare '$tap_tmp/none'
	1 'No such file' hypervisor-cpu-compare '$tap_tmp/none'
END
ok 'what a host may not have' each answered_or_refused <<END
	node-memory-tune
	sysinfo
END
ok 'its JSON' each json <<END
	'.cpus | type == "number"' nodeinfo
	'type == "object"' nodecpumap
	'type == "object"' nodecpustats
	'type == "object"' nodememstats
	'length > 0' freecell --all
	'length > 0' freepages --all
	'.vcpus == 32' maxvcpus
	'.uri | startswith("lodge:")' uri
	'.lodge | type == "string"' version
	'.hostname | length > 0' hostname
	'any(.name == "Nehalem")' cpu-models x86_64
END
ok 'refusals' each refused <<END
	1 'no host CPU 999999' nodecpustats 999999
	1 'no NUMA cell 999999' nodememstats 999999
	1 'no NUMA cell 999999' freecell 999999
	2 'mutually exclusive' freecell 0 --all
	1 'no NUMA cell 999999' freepages 999999
	2 'missing cellno' freepages
	1 'no pool of 3 KiB' allocpages 3 1
	2 '<pagecount>' allocpages 2048
	1 'at least 60' nodesuspend mem 1
	2 'mem, disk, hybrid' nodesuspend moon 60
	1 'domain type' maxvcpus --type xen
	2 "unexpected data 'x'" nodeinfo x
	2 "unexpected data 'x'" nodecpumap x
	2 "unexpected data 'x'" hostname x
	2 "unexpected data 'x'" uri x
	2 "unexpected data 'x'" version x
	2 "unexpected data 'x'" sysinfo x
	2 malformed node-memory-tune lots
END
ok 'changes of the host are refused over a read-only connection' each forbidden <<END
	allocpages 2048 1
	nodesuspend mem 60
	node-memory-tune 100
	node-memory-tune --shm-sleep-millisecs 20
END
ok 'allocpages' allocpages_as_it_is
echo nodesuspend >>"$tap_tmp/tried" # which no test may do
ok 'every command of the host was tried' covered host

ok 'words of the shell' each gives <<END
	'a b' echo 'a b'
	/ pwd
	'Grouped commands:' help
	SYNOPSIS help list
	'Domain Management' help domain
END
ok 'words that say nothing' each silent <<END
	connect lodge:///session
	exit
	quit
END
ok 'cd changes the folder of a shell' cd_in_the_shell
ok 'refusals of the shell' each refused <<END
	1 'only in interactive mode' cd /
	2 "unexpected data 'x'" pwd x
	2 'not a connection' connect nonsense
	1 'qemu+ssh' connect qemu+ssh://x/system
	2 "doesn't support option --nonsense" echo --nonsense
	2 "unexpected data 'x'" exit x
	2 "unexpected data 'x'" quit x
	2 "'nonsense' doesn't exist" help nonsense
	1 'not in this version of Lodge' help save
END
ok 'every command of the shell was tried' covered virsh

ok "Lodge's own" each gives <<END
	soft host
	lodge_domain_info metrics
	vm stats vm
	vm stats
	NAME top --batch --iterations 1
	validates xml-validate '$tap_tmp/vm.xml'
END
ok 'kvmstat' gives exits kvmstat --once --guest vm
ok "Lodge's own as JSON" each json <<END
	'any(.name == "soft")' host
	'.[0].domain == "vm" and length == 2' stats vm
	'type == "array"' top --batch --iterations 1
END
ok 'run' run_guest
ok 'guests' silent guests start
ok "refusals of Lodge's own" each refused <<END
	2 'unexpected argument x' host x
	2 "unexpected data 'x'" metrics x
	1 "failed to get domain 'x'" stats x
	2 "--nonsense" top --nonsense
	1 "'x'" kvmstat --once --guest x
	1 'No such file' xml-validate '$tap_tmp/none'
	2 'start, stop' guests nonsense
	1 'No such file' run --kernel '$tap_tmp/none'
END
ok 'no VM over a read-only connection' each forbidden <<END
	run --kernel '$guest'
	guests start
END
ok "every command of Lodge's own was tried" covered lodge

ok 'commands that are not built yet say so' each later <<END
	save
	restore
	managedsave
	migrate
	snapshot-create-as
	net-list
	pool-list
	vol-list
	attach-disk
	detach-device
	nwfilter-list
	iface-list
	nodedev-list
	secret-list
	vncdisplay
	screenshot
	blockcopy
	backup-begin
	checkpoint-list
END
ok 'and are not in the help' none_of_them_in_help
tap_end
