# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For the tests that try every command: source it after life-lib.sh.
#
#	commands_vm                   defines "off" with an interface, defines and starts "vm": two vCPUs, a disk vda, a pty
#	gives WORDS COMMAND...        it succeeds, WORDS are in its output, no error is said
#	silent COMMAND...             it succeeds, and says nothing at all
#	refused STATUS WORDS COMMAND...   one line of error with WORDS, this exit status, nothing on standard output
#	forbidden COMMAND...          refused over a read-only connection, and allowed by no option
#	nobody COMMAND...             refused because there is no domain 'x'
#	json FILTER COMMAND...        as JSON its output is one document for which jq's FILTER is true
#	covered GROUP                 every command that `help GROUP` lists was tried by gives or silent, and by refused

life_guest
truncate -s 1M "$tap_tmp/disk.img"

commands_vm()
{
	cat >"$tap_tmp/vm.xml" <<-END
		<domain type='qemu'>
		  <name>vm</name>
		  <title>one title</title>
		  <description>what it is for</description>
		  <memory unit='MiB'>32</memory>
		  <vcpu>2</vcpu>
		  <os><type arch='x86_64' machine='q35'>hvm</type><kernel>$guest</kernel><cmdline>${1-x}</cmdline></os>
		  <features><acpi/></features>
		  <devices>
		    <disk type='file' device='disk'>
		      <driver name='qemu' type='raw'/>
		      <source file='$tap_tmp/disk.img'/>
		      <target dev='vda' bus='virtio'/>
		    </disk>
		    <serial type='pty'><target port='0'/></serial>
		    <console type='pty'/>
		  </devices>
		</domain>
	END
	sed -e 's|<name>vm|<name>off|' -e '/<title>/d' -e '/<description>/d' \
		-e "s|</devices>|<interface type='bridge'><mac address='52:54:00:00:00:02'/><source bridge='br0'/></interface>&|" \
		"$tap_tmp/vm.xml" >"$tap_tmp/off.xml"
	l -q define "$tap_tmp/vm.xml"
	l -q define "$tap_tmp/off.xml"
	l -q start vm
}

# call ARGUMENT...: leaves exit status, standard output and error in $status, $tap_tmp/out and $tap_tmp/err.
call()
{
	status=0
	"$LODGE" "$@" >"$tap_tmp/out" 2>"$tap_tmp/err" <"${input:-/dev/null}" || status=$?
	echo "status $status"
	head -n 20 "$tap_tmp/out"
	cat "$tap_tmp/err"
}

gives()
{
	local words=$1

	shift
	echo "$1" >>"$tap_tmp/tried"
	call "$@"
	[[ $status -eq 0 ]] && grep -qF -- "$words" "$tap_tmp/out" && ! grep -q '^error' "$tap_tmp/err"
}

silent()
{
	[[ $1 == -q ]] || echo "$1" >>"$tap_tmp/tried"
	call "$@"
	[[ $status -eq 0 && ! -s $tap_tmp/out && ! -s $tap_tmp/err ]]
}

refused()
{
	local want=$1 words=$2

	shift 2
	echo "$1" >>"$tap_tmp/refused"
	call "$@"
	[[ $status -eq $want && ! -s $tap_tmp/out && $(wc -l <"$tap_tmp/err") -eq 1 ]] && grep -q '^error: ' "$tap_tmp/err" &&
		grep -qF -- "$words" "$tap_tmp/err"
}

forbidden()
{
	call --readonly "$@"
	[[ $status -eq 1 && ! -s $tap_tmp/out && $(wc -l <"$tap_tmp/err") -eq 1 ]] &&
		grep -qE '^error: .*read.only' "$tap_tmp/err"
}

json()
{
	local filter=$1

	shift
	if ! command -v jq >/dev/null; then
		echo 'jq is not installed'
		return 0
	fi
	call -f json "$@"
	[[ $status -eq 0 ]] && jq -es "length == 1 and (.[0] | $filter)" "$tap_tmp/out"
}

# each FUNCTION: FUNCTION with the words of each line of standard input, which are quoted as in a shell.
each()
{
	local line failed=0

	while IFS= read -r line; do
		eval "$1 $line" >"$tap_tmp/each" 2>&1 || {
			echo "$1 $line:"
			cat "$tap_tmp/each"
			failed=1
		}
	done
	return "$failed"
}

nobody()
{
	refused 1 "failed to get domain 'x'" "$@"
}

covered()
{
	local list missing

	for list in tried refused; do
		missing=$("$LODGE" help "$1" | sed -n 's/^    \([a-z][a-z-]*\) .*/\1/p' | sort -u |
			comm -23 - <(sort -u "$tap_tmp/$list"))
		[[ -z $missing ]] || {
			echo "never in $list:" $missing
			return 1
		}
	done
}
