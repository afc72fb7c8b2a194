#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A stock kernel with a virtio-serial controller: a console on hvc0 and the channel of a guest agent. The agent is a few lines of shell in the
# guest that speak QEMU's guest agent protocol; it opens the channel when it is told to on hvc0.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
command -v expect >/dev/null || plan_skip 'expect is not installed'
. "$LODGE_SRCDIR/tests/guest-lib.sh"
. "$LODGE_SRCDIR/tests/life-lib.sh"
export life_patience

# The guest's side. A line is a command; behind a 0xff, which is part of the line here, the agent begins afresh.
agent='
for dir in /sys/class/virtio-ports/*; do
	case $(cat "$dir/name" 2>/dev/null) in
	org.qemu.guest_agent.0) port=/dev/${dir##*/} ;;
	esac
done
echo "port: $port"
sh </dev/hvc0 >/dev/hvc0 2>&1 &
until [ -e /run/go ]; do usleep 10000; done
exec 3<>"$port"
echo "agent: open"
answer() { printf "%s\n" "$1" >&3; }
while :; do
	read -r line <&3 || { usleep 10000; continue; }
	case $line in
	*\"guest-sync-delimited\"*)
		id=${line##*\"id\":}
		printf "\377{\"return\": %s}\n" "${id%%[!0-9]*}" >&3 ;;
	*\"guest-ping\"*) answer "{\"return\": {}}" ;;
	*\"guest-info\"*) answer "{\"return\": {\"version\": \"7.2.0\", \"supported_commands\": [{\"name\": \"guest-ping\", \"enabled\": true, \"success-response\": true}]}}" ;;
	*\"guest-get-time\"*) answer "{\"return\": $(date +%s)000000000}" ;;
	*\"guest-set-time\"*)
		ns=${line##*\"time\":}
		ns=${ns%%[!0-9]*}
		date -s "@${ns%?????????}" >/dev/null
		answer "{\"return\": {}}" ;;
	*\"guest-get-host-name\"*) answer "{\"return\": {\"host-name\": \"$(hostname)\"}}" ;;
	*\"guest-get-osinfo\"*) answer "{\"return\": {\"id\": \"demo\", \"name\": \"Demo\", \"kernel-release\": \"$(uname -r)\", \"machine\": \"x86_64\"}}" ;;
	*\"guest-get-users\"*) answer "{\"return\": []}" ;;
	*\"guest-get-timezone\"*) answer "{\"return\": {\"zone\": \"UTC\", \"offset\": 0}}" ;;
	*\"guest-x-silent\"*) ;;
	*\"guest-x-rubbish\"*) answer "no JSON" ;;
	*\"guest-shutdown\"*)
		echo "agent: $line"
		poweroff
		exit ;;
	*) answer "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command has not been found\"}}" ;;
	esac
done'

initrd_with "$agent" "$tap_tmp/initrd"
cat >"$tap_tmp/linux.xml" <<END
<domain type='qemu'>
  <name>linux</name>
  <memory unit='MiB'>128</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>$LODGE_DEMO/vmlinuz</kernel>
    <initrd>$tap_tmp/initrd</initrd>
    <cmdline>console=ttyS0 lodge.cmd=$(printf 'sh /test' | base64 -w 0)</cmdline>
  </os>
  <features><acpi/></features>
  <on_reboot>destroy</on_reboot>
  <devices>
    <controller type='virtio-serial' index='0'/>
    <serial type='file'><source path='$tap_tmp/linux.console' append='on'/><target port='0'/></serial>
    <console type='file'><source path='$tap_tmp/linux.console' append='on'/><target type='serial' port='0'/></console>
    <console type='pty'><target type='virtio' port='1'/></console>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
  </devices>
</domain>
END
console=$tap_tmp/linux.console

boots()
{
	l define "$tap_tmp/linux.xml" && l start linux && await_line "$console" 'port: /dev/vport'
}

# on_hvc STEPS: expect(1) on the second console.
on_hvc()
{
	command expect -c '
		set timeout $env(life_patience)
		proc see {text} { expect -ex $text {} timeout { exit 1 } eof { exit 1 } }
		spawn '"$LODGE"' console linux --devname console1
		see "Escape character"'"$1"'
		send "\x1d"
		expect eof { exit [lindex [wait] 3] } timeout { exit 1 }'
}

talks_on_hvc()
{
	on_hvc '
		send "echo on \$((40 + 2))\r"
		see "on 42"' && on_hvc '
		see "on 42"'
}

knows_size()
{
	on_hvc '
		stty rows 33 columns 111 < $spawn_out(slave,name)
		exec kill -WINCH [exp_pid]
		send "until \[ \"\$(stty size 2>/dev/null)\" = \"33 111\" \]; do usleep 10000; done; echo ne''w \$(stty size)\r"
		see "new 33 111"'
}

starts_agent()
{
	on_hvc '
		send "touch /run/go\r"
		see "touch"' && await_line "$console" 'agent: open'
}

answers()
{
	says '{"return":{}}' qemu-agent-command linux '{"execute":"guest-ping"}'
}

refused()
{
	fails 'has not been found' qemu-agent-command linux '{"execute":"guest-nonsense"}' ||
		says 'CommandNotFound' qemu-agent-command linux '{"execute":"guest-nonsense"}'
}

# An answer that never comes does not spoil the next command's; nor does one that is none.
survives_bad_answers()
{
	fails 'not responding' qemu-agent-command linux --timeout 1 '{"execute":"guest-x-silent"}' && answers &&
		fails 'no JSON object' qemu-agent-command linux '{"execute":"guest-x-rubbish"}' && answers
}

several_at_once()
{
	local pid
	local -a pids=()

	for pid in 1 2 3 4; do
		"$LODGE" qemu-agent-command linux '{"execute":"guest-ping"}' >"$tap_tmp/ping.$pid" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || return 1
	done
	[[ $(cat "$tap_tmp"/ping.* | grep -cF '{"return":{}}') -eq 4 ]]
}

tells_time()
{
	says 'Time: ' domtime linux && l domtime linux --time 1000000000 && says 'Time: 10000000' domtime linux &&
		says '2001' domtime linux --pretty
}

tells_about_itself()
{
	says demo guestinfo linux --os && says lodge-demo guestinfo linux --hostname && says lodge-demo domhostname linux --source agent
}

by_default_the_agent()
{
	l shutdown linux && await_line "$console" 'agent: ' && await linux 'shut off (shutdown)' &&
		grep -a '^agent: .*guest-shutdown.*powerdown' "$console"
}

# Without an agent that listens the power button is pressed.
without_the_button()
{
	: >"$console"
	l start linux && await_line "$console" 'port: ' && fails 'no guest agent is connected' shutdown linux --mode agent &&
		l shutdown linux && await linux 'shut off (shutdown)' && ! grep -aq '^agent: ' "$console"
}

by_mode()
{
	: >"$console"
	l start linux && await_line "$console" 'port: ' && on_hvc '
		send "touch /run/go\r"
		see "touch"' && await_line "$console" 'agent: open' && l shutdown linux --mode agent &&
		await linux 'shut off (shutdown)' && grep -aq '^agent: .*guest-shutdown' "$console"
}

plan 16
ok 'a domain with a console on hvc0 and a channel boots' boots
ok 'hvc0 is there' talks_on_hvc
ok 'and knows the size of the terminal' knows_size
ok 'no agent: said at once' fails 'no guest agent is connected' qemu-agent-command linux '{"execute":"guest-ping"}'
ok 'domtime without an agent' fails 'no guest agent is connected' domtime linux
ok 'the agent comes' starts_agent
ok 'it answers' answers
ok 'what is no JSON is not sent' fails 'JSON' qemu-agent-command linux '{"execute":'
ok 'it refuses' refused
ok 'answers that do not come or make no sense' survives_bad_answers
ok 'several at once' several_at_once
ok 'domtime' tells_time
ok 'guestinfo, domhostname' tells_about_itself
ok 'shutdown asks the agent by itself' by_default_the_agent
ok 'without an agent the power button' without_the_button
ok 'shutdown --mode agent' by_mode
tap_end
