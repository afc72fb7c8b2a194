# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# VMs that outlive the command, in shell tests. Source it after tap.sh: everything lives in a LODGE_HOME of the test's own, and whatever still runs at the end
# is destroyed.
#
#	life_guest                 builds tests/guests/console.S as $guest
#	life_xml NAME LETTER [XML]   prints a definition of that guest; XML goes into <domain>, LIFE_DEVICES into <devices>
#	l ARGUMENT...              lodge, in the test's home
#	fails WORDS ARGUMENT...    it fails with these words in one error message
#	await NAME WORDS           waits until `domstate --reason` says so
#	pids ROLE NAME             the processes of a VM: role vm or warden
#	await_line FILE WORDS      waits until a file of the guest's console has them

export LODGE_HOME=$tap_tmp/home LC_ALL=C.UTF-8
unset XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_STATE_HOME LODGE_DEFAULT_URI
ulimit -c 0
life_patience=120
[[ -z ${LODGE_SANITIZE:-} ]] || life_patience=600

life_end()
{
	local name

	while read -r name; do
		[[ -z $name ]] || "$LODGE" destroy "$name" >/dev/null 2>&1 || true
	done < <("$LODGE" list --name 2>/dev/null)
	rm -rf "$tap_tmp"
}
trap life_end EXIT

life_guest()
{
	guest=$tap_tmp/guest
	"${CC:-cc}" -m32 -nostdlib -static -no-pie -Wl,-Ttext-segment=0x100000,-z,noseparate-code,-e,start,--build-id=none \
		-o "$guest" "$LODGE_SRCDIR/tests/guests/console.S"
}

LIFE_DEVICES=
life_xml()
{
	cat <<-END
		<domain type='qemu'>
		  <name>$1</name>
		  <memory unit='MiB'>16</memory>
		  <vcpu>1</vcpu>
		  <os><type arch='x86_64' machine='q35'>hvm</type><kernel>$guest</kernel><cmdline>$2</cmdline></os>
		  <features><acpi/></features>
		  ${3-}
		  <devices>
		    <serial type='file'><source path='$tap_tmp/$1.console' append='on'/><target port='0'/></serial>
		    $LIFE_DEVICES
		  </devices>
		</domain>
	END
}

l()
{
	"$LODGE" "$@"
}

# define NAME LETTER [XML]
define()
{
	life_xml "$@" >"$tap_tmp/$1.xml"
	l define "$tap_tmp/$1.xml"
}

fails()
{
	local words=$1 status=0

	shift
	l "$@" >"$tap_tmp/out" 2>"$tap_tmp/err" </dev/null || status=$?
	cat "$tap_tmp/out" "$tap_tmp/err"
	[[ $status -ne 0 && $status -lt 126 ]] && grep -q '^error: ' "$tap_tmp/err" && grep -qF -- "$words" "$tap_tmp/err"
}

# says WORDS ARGUMENT...: succeeds, and the words are in the output.
says()
{
	local words=$1

	shift
	l "$@" >"$tap_tmp/out" 2>"$tap_tmp/err" </dev/null || {
		cat "$tap_tmp/out" "$tap_tmp/err"
		return 1
	}
	cat "$tap_tmp/out" "$tap_tmp/err"
	grep -qF -- "$words" "$tap_tmp/out"
}

# pids ROLE NAME: the processes of this test's VMs, "vm" or "warden"; other tests have VMs of the same names. NAME may be '' for all.
pids()
{
	local pid words

	for pid in $(pgrep -f -- "--role $1 $2"); do
		{
			mapfile -d '' -t words <"/proc/$pid/cmdline"
			[[ ${words[1]-} = --role && (-z $2 || ${words[3]-} = "$2") ]] &&
				tr '\0' '\n' <"/proc/$pid/environ" | grep -qxF "LODGE_HOME=$LODGE_HOME" && echo "$pid"
		} 2>/dev/null || true
	done
}

await()
{
	local deadline=$((SECONDS + life_patience)) now

	while now=$(l domstate --reason "$1" 2>&1); [[ $now != "$2"* ]]; do
		if ((SECONDS > deadline)); then
			echo "$1 is $now, not $2"
			return 1
		fi
		l event --domain "$1" --event lifecycle --timeout 1 >/dev/null 2>&1 || true
	done
}

await_line()
{
	local deadline=$((SECONDS + life_patience))

	until grep -qaF -- "$2" "$1" 2>/dev/null; do
		if ((SECONDS > deadline)); then
			tail -n 5 "$1"
			return 1
		fi
		read -rt 0.05 <> <(:) || true
	done
}
