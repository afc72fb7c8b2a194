#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every command that watches domains: once as it should be, once refused, as JSON and with -q.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/life-lib.sh"
. "$LODGE_SRCDIR/tests/commands-lib.sh"
commands_vm
id=$(l domid vm)
uuid=$(l domuuid vm)
mac=52:54:00:00:00:02
plan 21

# table WIDTHLESS COMMAND...: the header has these titles, and a line of dashes is below it.
table()
{
	local titles=$1

	shift
	call "$@"
	[[ $status -eq 0 && $(head -n 1 "$tap_tmp/out" | tr -s ' ') == " $titles" && $(sed -n 2p "$tap_tmp/out") =~ ^-+$ ]]
}

# headless COMMAND...: with -q the table begins with its first row.
headless()
{
	call -q "$@"
	[[ $status -eq 0 && ! $(<"$tap_tmp/out") =~ --- ]]
}

# fields NAMES COMMAND...: "NAME: value" lines, exactly these.
fields()
{
	local names=$1

	shift
	call "$@"
	[[ $status -eq 0 && $(sed 's/: .*//' "$tap_tmp/out" | paste -sd,) == "$names" ]]
}

# stopped COMMAND...: only of a running domain.
stopped()
{
	local command=$1

	shift
	refused 1 'not running' "$command" off "$@"
}

keys_of_domstats()
{
	local group
	for group in state cpu-total balloon vcpu block; do
		call domstats --"$group" vm
		[[ $status -eq 0 && $(head -n 1 "$tap_tmp/out") == "Domain: 'vm'" ]] || return 1
		! sed -n '2,$p' "$tap_tmp/out" | grep -vE "^(  ${group%-total}\.[a-z0-9_.-]+=.*)?\$" || return 1
	done
}

# What a guest's agent does needs one in the guest; these guests have none.
no_agent()
{
	echo "$1" >>"$tap_tmp/tried"
	refused 1 'has no guest agent' "$@"
}

ok 'the table of domains' table 'Id Name State' list --all
ok 'titles of tables' each table <<END
	'Target Source' domblklist vm
	'Type Device Target Source' domblklist vm --details
	'Target Capacity Allocation Physical' domblkinfo vm --all
	'Interface Type Source Model MAC' domiflist off
	'Id Name State Title' list --title
END
ok 'with -q there are none' each headless <<END
	list --all
	domblklist vm
	domiflist off
	domblkinfo vm --all
END
ok 'list' each gives <<END
	vm list
	'shut off' list --inactive
	off list --all --name
	$uuid list --uuid
	'$id' list --id
	off list --state-shutoff --name
	vm list --persistent --no-autostart --name
	one list --title
END
names='Id,Name,UUID,OS Type,State,CPU(s),CPU time,Max memory,Used memory,'
names+='Persistent,Autostart,Managed save,Security model,Security DOI'
ok 'dominfo, as virsh has it' fields "$names" dominfo vm
ok 'its names are all good' each gives <<END
	$uuid dominfo $id
	$uuid dominfo $uuid
	'32768 KiB' dominfo --domain vm
END
ok 'states' each gives <<END
	running domstate vm
	'running (booted)' domstate vm --reason
	'shut off' domstate off
	ok domcontrol vm
END
ok 'disks' each gives <<END
	'$tap_tmp/disk.img' domblklist vm
	disk domblklist off --inactive --details
	'Capacity:       1048576' domblkinfo vm vda
	'1.000 MiB' domblkinfo off vda --human
	'vda rd_req 0' domblkstat vm vda
	'number of bytes read:' domblkstat vm vda --human
	' wr_bytes 0' domblkstat vm
	'No errors found' domblkerror vm
END
ok 'interfaces' each gives <<END
	$mac domiflist off
	br0 domiflist off --inactive
	'$mac up' domif-getlink off $mac
	'$mac up' domif-getlink off $mac --config
END
echo domifstat >>"$tap_tmp/tried" # until a VM has an interface
ok 'memory' each gives <<END
	'actual 32768' dommemstat vm
	rss dommemstat vm
END
ok 'the period of its statistics' silent dommemstat off --period 5 --config
ok 'is in the definition' gives "<stats period='5'/>" dumpxml off
ok 'domstats' each gives <<END
	state.reason=1 domstats vm
	vcpu.current=2 domstats
	state.state=5 domstats --list-inactive --state
	block.0.name=vda domstats --block vm
	vcpu.0.exits.sum= domstats vm --vcpu --raw --nowait
END
ok 'each of its groups' keys_of_domstats
ok 'event' each gives <<END
	lifecycle event --list
END
ok 'JSON' each json <<END
	'length == 2' list --all
	'.[0].name == "vm"' list
	'.[0]."balloon.maximum" == 32768' domstats vm
	'.state == "running" and .reason == "booted"' domstate vm
	'.name == "vm" and .uuid == "$uuid"' dominfo vm
	'.id == $id' domid vm
	'.id == null' domid off
	'.state == "ok"' domcontrol vm
	'.[0].target == "vda"' domblklist vm
	'.capacity == 1048576' domblkinfo vm vda
	'.[0].capacity == 1048576' domblkinfo vm --all
	'.rd_req == 0' domblkstat vm vda
	'. == []' domblkerror vm
	'.[0].mac == "$mac"' domiflist off
	'.actual == 32768' dommemstat vm
	'any(.event == "lifecycle")' event --list
	'.link == "up"' domif-getlink off $mac
END
ok 'nothing to ask of a domain that is shut off' each stopped <<END
	domblkstat
	domblkerror
	domifstat vnet0
	domcontrol
	dommemstat
END
ok 'refusals' each refused <<END
	2 'mutually exclusive' list --name --table
	2 "unexpected data 'x'" list x
	2 'mutually exclusive' event --list --all
	2 'unknown event type' event nonsense
	2 'requires <domain> option' dominfo
	2 'requires <interface> option' domifstat vm
	1 'not a known interface' domifstat vm vnet0
	1 "'x' not found" domif-getlink off x
	1 vdz domblkstat vm vdz
	1 vdz domblkinfo vm vdz
	2 -- domblkinfo vm
	2 'mutually exclusive' domblkinfo vm vda --all
	2 malformed dommemstat vm --period x
	1 -- dommemstat vm --period 1 --live
END
ok 'nobody' each nobody <<END
	dominfo x
	domstate x
	domcontrol x
	domblklist x
	domblkinfo --all x
	domblkstat x
	domblkerror x
	domiflist x
	domstats x
	dommemstat x
END
ok 'agents' each no_agent <<END
	domfsinfo vm
	guestinfo vm
END
ok 'every command was tried' covered monitor
tap_end
