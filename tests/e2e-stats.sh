#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What is counted, with the real program and a real VM: statistics of domains and of the host, top, kvmstat, and metrics line by line.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/life-lib.sh"
life_guest
plan 46

# lines COMMAND... : every line of its output matches the pattern $pattern, and there is at least one.
lines()
{
	l "$@" >"$tap_tmp/lines" </dev/null || return 1
	[[ -s $tap_tmp/lines ]] || return 1
	! grep -vE "$pattern" "$tap_tmp/lines"
}

# lacks WORDS ARGUMENT...: succeeds without these words in its output.
lacks()
{
	local unwanted=$1

	shift
	l "$@" >"$tap_tmp/out" </dev/null && ! grep -F -- "$unwanted" "$tap_tmp/out"
}

# The text format of Prometheus: HELP and TYPE once and before the samples, legal names and labels, no sample twice.
check_metrics()
{
	l metrics >"$tap_tmp/metrics" || return 1
	awk '
	function bad(why) {
		print FILENAME ":" FNR ": " why ": " $0
		failed = 1
	}
	/^# HELP / {
		if (help[$3]++)
			bad("second HELP")
		next
	}
	/^# TYPE / {
		if (type[$3] != "" || !help[$3])
			bad("TYPE twice or before HELP")
		if ($4 !~ /^(counter|gauge|histogram)$/)
			bad("type")
		type[$3] = $4
		next
	}
	{
		name = $0
		sub(/[{ ].*/, "", name)
		base = name
		if (type[base] == "")
			sub(/_(bucket|sum|count)$/, "", base)
		if (type[base] == "")
			bad("no TYPE before it")
		if ($0 !~ /^[a-zA-Z_:][a-zA-Z0-9_:]*([{][a-z_]+="([^"\\]|\\[\\"n])*"(,[a-z_]+="([^"\\]|\\[\\"n])*")*[}])? [0-9.]+$/)
			bad("form")
		sample = $0
		sub(/ [^ ]*$/, "", sample)
		if (seen[sample]++)
			bad("twice")
		n++
	}
	END { exit failed || !n }' "$tap_tmp/metrics"
}

truncate -s 1M "$tap_tmp/disk.img"
LIFE_DEVICES="<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='$tap_tmp/disk.img'/><target dev='vda' bus='virtio'/></disk>"
define one s >/dev/null
LIFE_DEVICES=
define off s >/dev/null

# --- shut off ---
for verb in domblkstat dommemstat cpu-stats; do
	ok "$verb refuses a domain that is shut off" fails 'not running' "$verb" off
done
ok 'domifstat refuses it too' fails 'not running' domifstat off net0
ok 'stats refuses it too' fails 'not running' stats off
ok 'domstats shows its state' says 'state.state=5' domstats off
ok 'and no processor time' lacks cpu.time domstats off
ok 'domstats refuses a domain that is not there' fails "failed to get domain 'none'" domstats none

l start one >/dev/null
await_line "$tap_tmp/one.console" up

# --- domains ---
ok 'domstats: state' says 'state.state=1' domstats one --state
ok 'a group alone shows no other' lacks balloon. domstats one --state
ok 'domstats: processor time' says 'cpu.time=' domstats one --cpu-total
ok 'domstats: memory' says 'balloon.current=16384' domstats one --balloon
ok 'domstats: vCPUs' says 'vcpu.0.state=1' domstats one --vcpu
ok 'domstats: disks' says 'block.0.name=vda' domstats one --block
ok 'domstats: size of an image' says 'block.0.physical=1048576' domstats one --block
ok 'domstats: interfaces' says 'net.count=0' domstats one --interface
ok 'domstats: sums' says 'vm.exits.sum=' domstats one --vm
ok 'groups without data show the name alone' test "$(l domstats one --perf --iothread --memory)" = "Domain: 'one'"
ok 'but not with --enforce' fails 'perf' domstats one --perf --enforce
ok '--list-active' lacks "'off'" domstats --list-active
ok '--list-inactive' lacks "'one'" domstats --list-inactive
pattern="^(|Domain: '(one|off)'|  [a-z0-9_.-]+=.*)$"
ok 'every line of domstats is a key and a value' lines domstats
ok 'domblkstat' says 'vda rd_req 0' domblkstat one vda
ok 'domblkstat --human' says 'number of read operations:' domblkstat one vda --human
ok 'domblkstat refuses a disk that is not there' fails 'invalid path: vdz' domblkstat one vdz
ok 'domblkerror' says 'No errors found' domblkerror one
ok 'domifstat refuses an interface that is not there' fails 'not a known interface' domifstat one net9
pattern='^(actual|swap_in|swap_out|major_fault|minor_fault|unused|available|usable|last_update|disk_caches|hugetlb_pgalloc|hugetlb_pgfail|rss) [0-9]+$'
ok 'dommemstat' lines dommemstat one
ok 'it has what the guest was given' says 'actual 16384' dommemstat one
ok 'the period cannot change while it runs' fails 'use --config' dommemstat one --period 5 --live
ok 'cpu-stats --total' says cpu_time cpu-stats one --total
ok 'cpu-stats refuses single processors' fails 'only --total' cpu-stats one --start 0 --count 1
ok 'vcpuinfo' says 'CPU Affinity:' vcpuinfo one
ok 'vcpucount' says 'current      live           1' vcpucount one
ok 'maxvcpus' lacks error maxvcpus
ok 'maxvcpus refuses an unknown type' fails "'xen'" maxvcpus --type xen
ok 'nodeinfo' says 'Memory size:' nodeinfo
ok 'stats' says soft stats one

# --- watching ---
ok 'top -b -n 2 prints two screens' test "$(l top -b -n 2 -d 0.1 </dev/null | grep -c 'domains,')" -eq 2
ok 'top --csv: the header and a line a sample' test "$(l top -b -n 2 -d 0.1 --csv - </dev/null | grep -c ,)" -eq 3
ok 'top --script prints only the file' bash -c "[[ -z \$('$LODGE' top --script -n 1 --csv '$tap_tmp/top.csv' </dev/null) ]] && grep -q ',one,' '$tap_tmp/top.csv'"
ok 'top --stream' says 'virt-top time' top --stream -n 1
ok 'top refuses an unknown sort key' fails "--sort 'beauty'" top -b -n 1 -o beauty
pattern='^(Event +Total +Current|[a-z_]+ +[0-9]+ +[0-9]+)$'
ok 'kvmstat -1' lines kvmstat -1
ok 'kvmstat refuses what only the kernel counts' fails 'counted inside' kvmstat -1 -f pf_fixed
ok 'metrics, line by line' check_metrics
