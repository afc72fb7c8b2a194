#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every command about one domain: once as it should be, once refused, as JSON, with -q and over a read-only connection.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/life-lib.sh"
. "$LODGE_SRCDIR/tests/commands-lib.sh"
commands_vm
id=$(l domid vm)
uuid=$(l domuuid vm)
ns=http://example.org/owner
plan 37

printf '#!/bin/sh\nsed -i "s/what it is for/edited/" "$1"\n' >"$tap_tmp/editor"
chmod +x "$tap_tmp/editor"
export VISUAL=$tap_tmp/editor

# has DOMAIN WORDS: in the definition for the next start.
has()
{
	"$LODGE" dumpxml --inactive "$1" >"$tap_tmp/definition"
	grep -qF -- "$2" "$tap_tmp/definition" || {
		cat "$tap_tmp/definition"
		return 1
	}
}

# What a guest's agent does needs one in the guest; these guests have none.
no_agent()
{
	echo "$1" >>"$tap_tmp/tried"
	refused 1 'has no guest agent' "$@"
}

# answered COMMAND...: where the host has the means (control groups), or refused in one line.
answered()
{
	echo "$1" >>"$tap_tmp/tried"
	call "$@"
	[[ $status -eq 0 && ! -s $tap_tmp/err ]] ||
		{ [[ $status -eq 1 && ! -s $tap_tmp/out && $(wc -l <"$tap_tmp/err") -eq 1 ]] && grep -q '^error: ' "$tap_tmp/err"; }
}

# The guest sends back what it is sent; q ends it, and with it the console.
console_and_back()
{
	echo console >>"$tap_tmp/tried"
	sed -e 's|<name>vm|<name>echo|' -e 's|<cmdline>x|<cmdline>e|' -e '/<disk/,/<.disk>/d' \
		"$tap_tmp/vm.xml" >"$tap_tmp/echo.xml"
	l -q define "$tap_tmp/echo.xml"
	l -q start echo
	mkfifo "$tap_tmp/keys"
	"$LODGE" console echo <"$tap_tmp/keys" >"$tap_tmp/shown" 2>"$tap_tmp/err" &
	exec 7>"$tap_tmp/keys"
	printf abc >&7
	await_line "$tap_tmp/shown" abc
	printf q >&7
	exec 7>&-
	wait "$!" || status=$?
	cat "$tap_tmp/shown" "$tap_tmp/err"
	[[ ${status-0} -eq 0 ]] && await echo 'shut off'
}

# not_of_a_stopped_one COMMAND [OPTION...]
not_of_a_stopped_one()
{
	local command=$1

	shift
	refused 1 'not running' "$command" off "$@"
}

ok 'names' each gives <<END
	'$id' domid vm
	- domid off
	vm domname $id
	vm domname $uuid
	'$uuid' domuuid vm
	'/dev/pts/' ttyconsole vm
END
ok 'XML' each gives <<END
	'<name>vm</name>' dumpxml vm
	'<name>vm</name>' dumpxml --inactive vm --xpath /domain/name
	vm domxml-to-native qemu-argv --domain vm
	guest=vm domxml-to-native qemu-argv --xml '$tap_tmp/vm.xml'
	guest=vm domxml-to-native qemu-argv '$tap_tmp/vm.xml'
END
echo 'qemu-system-x86_64 -m 64 -name argv' >"$tap_tmp/argv"
ok 'and back' gives '<name>argv</name>' domxml-from-native qemu-argv "$tap_tmp/argv"
ok 'vCPUs' each gives <<END
	'maximum      config         2' vcpucount vm
	'current      live           2' vcpucount vm
	2 vcpucount vm --maximum --live
	'CPU Affinity:' vcpuinfo vm
	'(out of ' vcpuinfo vm --pretty
	'VCPU   CPU Affinity' vcpupin vm
	' 1 ' vcpupin vm --vcpu 1
	'emulator: CPU Affinity' emulatorpin vm
	'No IOThreads' iothreadinfo vm
	'Job type:         None' domjobinfo vm
	cpu_time cpu-stats vm --total
END
ok 'tuning' each gives <<END
	'Scheduler      : posix' schedinfo vm
	'vcpu_quota     : -1' schedinfo off
	'numa_mode      : ' numatune vm
	'hard_limit     : unlimited' memtune vm
	'swap_hard_limit: unlimited' memtune off
	'weight         : ' blkiotune vm
END
ok 'texts' each gives <<END
	'what it is for' desc vm
	'one title' desc vm --title
	'No description for domain: off' desc off
END
ok 'JSON' each json <<END
	'.name == "vm"' domname $id
	'.uuid == "$uuid"' domuuid vm
	'.path | startswith("/dev/pts/")' ttyconsole vm
	'length == 2' vcpuinfo vm
	'type == "object" or type == "array"' vcpucount vm
	'.[1].vcpu == 1' vcpupin vm
	'.affinity | length > 0' emulatorpin vm
	'. == []' iothreadinfo vm
	'.type == "None"' domjobinfo vm
	'type == "object" or type == "array"' cpu-stats vm --total
	'.vcpu_period == 100000 or .vcpu_period == "100000"' schedinfo vm
	'.numa_mode == "strict"' numatune vm
	'has("hard_limit")' memtune vm
	'has("weight")' blkiotune vm
	'.description == "what it is for"' desc vm
	'.title == "one title"' desc vm --title
END

ok 'changes of a running domain' each gives <<END
	suspended suspend vm
	resumed resume vm
	reset reset vm
	'marked as' autostart vm
	unmarked autostart vm --disable
END
ok 'keys and interrupts' each silent <<END
	send-key vm KEY_LEFTCTRL KEY_LEFTALT KEY_DELETE --holdtime 1
	inject-nmi vm
END
ok 'dump' gives 'dumped to' dump vm "$tap_tmp/core" --memory-only
ok 'QMP' each gives <<END
	'"return":{' qemu-monitor-command vm '{"execute":"query-status"}'
	'VM status: running' qemu-monitor-command vm --hmp info status
END
ok 'memory of a running domain' silent setmem vm 24M --live
ok 'changes for the next start' each silent <<END
	setmem off 24M --config
	setmaxmem off 64M --config
	setvcpus off 1 --config
	vcpupin off 0 0 --config
	emulatorpin off 0 --config
	memtune off --hard-limit 1G --config
	blkiotune off --weight 600 --config
	numatune off --nodeset 0 --config
END
ok 'are in the definition' each has <<END
	off "<currentMemory unit='KiB'>24576<"
	off "<memory unit='KiB'>65536<"
	off "current='1'"
	off "<vcpupin vcpu='0' cpuset='0'/>"
	off "<emulatorpin cpuset='0'/>"
	off "<hard_limit unit='KiB'>1048576<"
	off '<weight>600<'
	off "nodeset='0'"
END
ok 'schedinfo shows what it sets' gives 'cpu_shares     : 2048' schedinfo off --config cpu_shares=2048
ok 'what a running domain takes where the host can' each answered <<END
	schedinfo vm --live cpu_shares=2048
	memtune vm --hard-limit 1G --live
	blkiotune vm --weight 600 --live
END
ok 'texts are set' each gives <<END
	'description updated' desc off some words
	'title updated' desc off --title a title
	'on_crash is now preserve' set-lifecycle-action off crash preserve
	'Metadata modified' metadata off $ns --key o --set '<a/>'
END
ok 'and shown' each gives <<END
	'some words' desc off
	'a title' desc off --title
	'<a/>' metadata off $ns
END
ok 'a policy is set' has off '<on_crash>preserve'
ok 'edit' gives "XML configuration edited" edit vm
ok 'took it' has vm edited
ok 'console' console_and_back
life_xml life x >"$tap_tmp/life.xml"
ok 'a life' each gives <<END
	defined define '$tap_tmp/life.xml'
	started start life --paused
	destroyed destroy life --graceful
	renamed domrename life new
	'has been undefined' undefine new
	created create '$tap_tmp/life.xml' --paused
	destroyed destroy life
END
life_xml button b >"$tap_tmp/button.xml"
l -q create "$tap_tmp/button.xml"
await_line "$tap_tmp/button.console" acpi
ok 'reboot' gives 'is being rebooted' reboot button
await_line "$tap_tmp/button.console" acpi
ok 'shutdown' gives 'is being shutdown' shutdown button
ok 'domdisplay of what has no display' refused 1 'No graphical display' domdisplay vm
echo domdisplay >>"$tap_tmp/tried" # until a VM has one
"$LODGE" qemu-monitor-event --domain vm --event STOP --timeout 60 >"$tap_tmp/events" 2>&1 &
listener=$!
until ls -A "$LODGE_HOME/run/events" 2>/dev/null | grep -q .; do read -rt 0.05 <> <(:) || true; done
l -q suspend vm
echo qemu-monitor-event >>"$tap_tmp/tried"
wait "$listener" || true
l -q resume vm
ok 'qemu-monitor-event' grep -q "^event STOP at .* for domain 'vm'" "$tap_tmp/events"

l -q undefine off
ok 'with -q nothing is said' each silent <<END
	-q suspend vm
	-q resume vm
	-q define '$tap_tmp/off.xml'
	-q autostart off
	-q desc off words
	-q undefine off
	-q define '$tap_tmp/off.xml'
END
ok 'nobody' each nobody <<END
	autostart x
	blkiotune x
	console x
	cpu-stats x
	desc x
	destroy x
	domdisplay x
	domid x
	domname x
	domuuid x
	dumpxml x
	edit x
	emulatorpin x
	inject-nmi x
	iothreadinfo x
	domjobinfo x
	memtune x
END
ok 'nobody either' each nobody <<END
	numatune x
	reboot x
	reset x
	resume x
	schedinfo x
	shutdown x
	start x
	suspend x
	ttyconsole x
	undefine x
	vcpucount x
	vcpuinfo x
	vcpupin x
	domtime x
	domhostname x
	domfsfreeze x
	domfsthaw x
	domfstrim x
	guestvcpus x
END
ok 'nobody with more words' each nobody <<END
	domrename x y
	set-lifecycle-action x crash destroy
	dump x core
	metadata x uri
	send-key x KEY_A
	setmem x 1024
	setmaxmem x 1024
	setvcpus x 1
	set-user-password x a b
	qemu-monitor-command x '{}'
	qemu-agent-command x '{"execute":"x"}'
	qemu-monitor-event x
	domxml-to-native qemu-argv --domain x
END
ok 'not of a domain that is shut off' each not_of_a_stopped_one <<END
	destroy
	shutdown
	reboot
	reset
	suspend
	resume
	inject-nmi
	send-key KEY_A
	ttyconsole
	domjobinfo
	dump '$tap_tmp/c'
	cpu-stats --total
END
ok 'wrong words' each refused <<END
	2 '<domain>' start
	2 --nonsense start vm --nonsense
	2 'mutually exclusive' vcpucount vm --live --config
	2 'mutually exclusive' vcpupin vm 0 0 --live --current
	2 mode numatune vm --mode x
	2 malformed vcpupin vm x
	2 '<size>' setmem vm
	2 malformed setvcpus vm lots
	1 'unsupported config type' domxml-from-native xen x
END
ok 'wrong values' each refused <<END
	1 'No such file' define '$tap_tmp/none'
	1 'No such file' create '$tap_tmp/none'
	1 'already active' start vm
	1 'out of range' vcpupin vm 7 0
	1 'this host has CPUs' emulatorpin vm 4095
	1 'invalid scheduler option' schedinfo vm nonsense=1
	1 'min_guarantee' memtune vm --min-guarantee 1
	1 'weight' blkiotune vm --weight 5
	1 'exceeds maximum' setvcpus vm 99 --config
	1 KEY_X9 send-key vm KEY_X9
	1 'not found' metadata vm $ns
	1 'next start' setvcpus vm 1 --live
	1 '--config' setmaxmem vm 64M --live
	1 '--config' set-lifecycle-action vm crash destroy --live
	2 action set-lifecycle-action vm crash nonsense
	1 'keeps no statistics' domjobinfo vm --completed
	1 '--config' numatune vm --nodeset 0 --live
	1 logs destroy vm --remove-logs
	1 'has not enabled ACPI' shutdown vm
END
ok 'agents' each no_agent <<END
	domtime vm
	domhostname vm
	domfsfreeze vm
	domfsthaw vm
	domfstrim vm
	guestvcpus vm
	set-user-password vm root x
	qemu-agent-command vm '{"execute":"guest-ping"}'
END
ok 'changes are refused over a read-only connection' each forbidden <<END
	autostart vm
	autostart --once-all
	blkiotune vm --weight 600
	create '$tap_tmp/vm.xml'
	define '$tap_tmp/vm.xml'
	desc vm new
	destroy vm
	dump vm '$tap_tmp/core2'
	emulatorpin vm 0
	domrename off new
	edit off
	inject-nmi vm
	memtune vm --hard-limit 1G
	metadata vm $ns --key o --set '<a/>'
	metadata vm $ns --remove
	numatune off --nodeset 0
	reboot vm
	reset vm
	resume vm
	set-lifecycle-action vm crash destroy --config
	schedinfo vm cpu_shares=2
	send-key vm KEY_A
	setmaxmem off 64M
	setmem vm 24M
	setvcpus off 1
	shutdown vm
	start off
	suspend vm
	undefine vm
	vcpupin vm 0 0
	domtime vm --now
	domfsfreeze vm
	domfsthaw vm
	domfstrim vm
	guestvcpus vm --cpulist 1 --enable
	set-user-password vm root x
	qemu-monitor-command vm '{"execute":"stop"}'
	qemu-agent-command vm '{}'
	dumpxml vm --security-info
END
ok 'every command was tried' covered domain
tap_end
