#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Commands from outside: scripts, formats, exit statuses; linked as virsh the same words as virsh itself, which is asked where it is
# installed.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
export LC_ALL=C.UTF-8
export LODGE_HOME=$tap_tmp/home
unset LODGE_DEFAULT_URI VIRSH_DEFAULT_CONNECT_URI LIBVIRT_DEFAULT_URI

files=$tap_tmp/files
mkdir "$files"
ln -s "$LODGE" "$files/virsh"

# A definition that Lodge and virsh's test driver both take.
definition()
{
	cat <<-END
		<domain type='$1'>
		  <name>$2</name>
		  <uuid>$3</uuid>
		  <title>one of two</title>
		  <memory unit='KiB'>65536</memory>
		  <vcpu>2</vcpu>
		  <os><type arch='x86_64'>hvm</type></os>
		  <devices>
		    <disk type='file' device='disk'>
		      <source file='/var/lib/images/one.img'/>
		      <target dev='vda' bus='virtio'/>
		    </disk>
		    <disk type='block' device='disk'>
		      <source dev='/dev/vg/two'/>
		      <target dev='vdb' bus='virtio'/>
		    </disk>
		    <disk type='file' device='cdrom'>
		      <target dev='sda' bus='sata'/>
		      <readonly/>
		    </disk>
		    <interface type='network'>
		      <mac address='52:54:00:00:00:01'/>
		      <source network='default'/>
		      <target dev='tap6'/>
		      <model type='virtio'/>
		    </interface>
		    <interface type='bridge'>
		      <mac address='52:54:00:00:00:02'/>
		      <source bridge='br0'/>
		      <target dev='tap7'/>
		      <model type='e1000'/>
		      <link state='down'/>
		    </interface>
		  </devices>
		</domain>
	END
}

one=11111111-2222-4333-8444-555555555555
two=99999999-2222-4333-8444-555555555555
definition qemu first "$one" >"$files/first.xml"
definition qemu another-one "$two" >"$files/second.xml"
"$LODGE" -q define "$files/first.xml"
"$LODGE" -q define "$files/second.xml"

# call ARGUMENT...: leaves exit status, standard output and error in $status, $files/out and $files/err.
call()
{
	status=0
	"${program:-$LODGE}" "$@" >"$files/out" 2>"$files/err" <"${input:-/dev/null}" || status=$?
}

# gives STATUS OUTPUT ARGUMENT...: exactly this output and nothing on standard error.
gives()
{
	local want=$1

	printf '%s\n' "$2" >"$files/want"
	shift 2
	call "$@"
	cat "$files/err"
	diff "$files/want" "$files/out" && [[ $status -eq $want && ! -s $files/err ]]
}

# refused STATUS WORDS ARGUMENT...: one line of error with WORDS in it.
refused()
{
	local want=$1 words=$2

	shift 2
	call "$@"
	cat "$files/out" "$files/err"
	[[ $status -eq $want && $(wc -l <"$files/err") -eq 1 ]] && grep -q '^error: ' "$files/err" && grep -qF -- "$words" "$files/err"
}

# script STATUS OUTPUT TEXT [ARGUMENT...]: TEXT on the standard input of --batch.
script()
{
	local want=$1 output=$2 input=$files/script

	printf '%s' "$3" >"$input"
	shift 3
	call "$@" --batch
	cat "$files/err"
	[[ $status -eq $want && $(<"$files/out") == "$output" ]] || {
		echo "exit status $status, not $want, or not: $output"
		cat "$files/out"
		return 1
	}
}

# Commands run as they come: the first answer is there before the second command was written.
answers_at_once()
{
	local line reader

	coproc "$LODGE" --batch
	reader=${COPROC[0]}
	echo 'echo first' >&"${COPROC[1]}"
	IFS= read -r line <&"$reader" && [[ $line == first ]] || return 1
	echo 'echo second' >&"${COPROC[1]}"
	IFS= read -r line <&"$reader" && [[ $line == second ]] || return 1
	exec {COPROC[1]}>&-
	wait "$COPROC_PID"
}

json_is_json()
{
	call -f json list --all
	python3 -c '
import json, sys
rows = json.load(sys.stdin)
assert [(r["id"], r["name"], r["state"], r["persistent"], r["uuid"]) for r in rows] == [
    (None, "another-one", "shut off", True, sys.argv[2]), (None, "first", "shut off", True, sys.argv[1])], rows
' "$one" "$two" <"$files/out"
}

full_disk()
{
	status=0
	"$LODGE" list --all >/dev/full 2>"$files/err" || status=$?
	cat "$files/err"
	[[ $status -eq 1 && $(wc -l <"$files/err") -eq 1 ]]
}

reader_that_leaves()
{
	"$LODGE" help | head -n 1 >"$files/out"
	[[ ${PIPESTATUS[0]} -eq 0 && -s $files/out ]]
}

logs()
{
	rm -f "$files/log"
	call -l "$files/log" -d 0 --batch --keep-going $'domid "no one"\necho x'
	cat "$files/log"
	grep -q "COMMAND domid 'no one'$" "$files/log" && grep -q "ERROR failed to get domain 'no one'$" "$files/log" &&
		grep -q 'COMMAND echo x$' "$files/log"
}

# completes CANDIDATES WORD...: what shells are told, in one line.
completes()
{
	local want=$1 got

	shift
	got=$("$LODGE" complete -- "$@" | tr '\n' ' ')
	echo "$got"
	[[ $got == "$want" ]]
}

# bash_completes CANDIDATES LINE: by the script for bash, with the words as bash cuts them.
bash_completes()
{
	local want=$1

	env PATH="$(dirname "$LODGE"):$PATH" bash --norc -c '
		. "$LODGE_SRCDIR/completion/lodge.bash"
		COMP_LINE=$1
		shift
		COMP_WORDS=("$@")
		COMP_CWORD=$(($# - 1))
		_lodge
		echo "${COMPREPLY[*]}"' bash "$2" "${@:3}" >"$files/out"
	cat "$files/out"
	[[ $(<"$files/out") == "$want" ]]
}

plan 75

ok 'define and list' gives 0 ' Id   Name          State
------------------------------
 -    another-one   shut off
 -    first         shut off' list --all
ok 'list shows what runs' gives 0 ' Id   Name   State
--------------------' list
ok 'list --inactive -q' gives 0 ' -   another-one   shut off
 -   first         shut off' -q list --inactive
ok 'list --title' gives 0 ' Id   Name          State      Title
-------------------------------------------
 -    another-one   shut off   one of two
 -    first         shut off   one of two' list --all --title
ok 'list --name' gives 0 $'another-one\nfirst' list --all --name
ok 'list --uuid --id --name' gives 0 "$two - another-one
$one - first" list --all --name --id --uuid
ok 'list --state-shutoff' gives 0 $'another-one\nfirst' list --state-shutoff --name
ok 'filters of different kinds must all hold' gives 0 '[]' -f json list --all --persistent --state-running
ok 'filters of one kind are alternatives' gives 0 $'another-one\nfirst' list --all --persistent --transient --no-autostart --name
ok 'nothing has a snapshot' gives 0 '[]' -f json list --all --with-snapshot
ok 'list refuses two forms' refused 2 'Options --table and --name are mutually exclusive' list --table --name
ok 'JSON' json_is_json
ok 'CSV' gives 0 "id,name,state,reason,uuid,persistent,autostart
,another-one,shut off,unknown,$two,yes,no
,first,shut off,unknown,$one,yes,no" -f csv list --all
ok 'CSV without header' gives 0 "name,$one" --format=csv,noheader --batch 'echo name,'"$one"
ok 'unknown format' refused 2 'table, json, csv or xml' -f yaml list
ok 'dominfo' gives 0 "Id:             -
Name:           first
UUID:           $one
OS Type:        hvm
State:          shut off
CPU(s):         2
Max memory:     65536 KiB
Used memory:    65536 KiB
Persistent:     yes
Autostart:      disable
Managed save:   no
Security model: none
Security DOI:   0" dominfo first
ok 'a domain by its UUID' gives 0 first domname "$one"
ok 'domname of a name' refused 1 "failed to get domain 'first'" domname first
ok 'domuuid' gives 0 "$one" domuuid first
ok 'domid' gives 0 - domid first
ok 'domstate' gives 0 'shut off' domstate --domain=first
ok 'domstate --reason' gives 0 'shut off (unknown)' domstate first --reason
ok 'domcontrol of what does not run' refused 1 'domain is not running' domcontrol first
ok 'domdisplay of what does not run' refused 1 'not running' domdisplay first
ok 'domblklist' gives 0 ' Target   Source
-----------------------------------
 vda      /var/lib/images/one.img
 vdb      /dev/vg/two
 sda      -' domblklist first
ok 'domif-getlink' gives 0 '52:54:00:00:00:02 down' domif-getlink first 52:54:00:00:00:02
ok 'domif-getlink, up unless said' gives 0 '52:54:00:00:00:01 up' domif-getlink first 52:54:00:00:00:01 --config
ok 'domif-getlink of nothing' refused 1 "Interface 'x' not found" domif-getlink first x
ok 'dumpxml --xpath' gives 0 "<name>first</name>" dumpxml first --xpath /domain/name
ok 'dumpxml --xpath --wrap' gives 0 '<nodes>
  <vcpu placement="static">2</vcpu>
</nodes>' dumpxml first --xpath //vcpu --wrap
ok 'dumpxml --xpath of nonsense' refused 2 'not an XPath expression' dumpxml first --xpath '(('
ok 'dumpxml --xpath of no nodes' refused 2 'selects no nodes' dumpxml first --xpath 'count(//disk)'
ok 'dumpxml of nobody' refused 1 "failed to get domain 'nobody'" dumpxml nobody
ok 'no secrets over a read-only connection' refused 1 'read only access' -r dumpxml first --security-info
ok 'no changes over a read-only connection' refused 1 'read only access' -r undefine first
ok 'uri' gives 0 lodge:///session -c lodge:///session uri
ok 'a connection to elsewhere' refused 1 'qemu+ssh' -c qemu+ssh://host/system list
ok 'a connection that is none' refused 2 nonsense -c nonsense list
ok 'cd is for the shell' refused 1 'only in interactive mode' cd /
ok 'echo' gives 0 "'a b' ''" echo --shell 'a b' ''
ok 'version' gives 0 "lodge $("$LODGE" version | sed -n 's/^Using library: lodge //p')" --version
ok 'an escape key that is none' refused 2 "Invalid string 'xyz'" -e xyz list
ok 'an option without its value' refused 2 'requires an argument' --connect

ok 'several commands in one argument' gives 0 $'a\nb c\nlodge:///system' -c lodge:///system "echo a; echo 'b c' # comment
	uri"
ok 'a script' script 0 $'a\nb c' $'# two commands\necho a\n\necho b\\\n\\ c'
ok 'the last line of a script has no newline' script 0 a 'echo a'
ok 'a failure ends a script' script 1 a $'echo a\ndominfo nobody\necho b'
ok 'a wrong command line ends a script' script 2 a $'echo a; nonsense; echo b'
ok '--keep-going' script 1 b $'dominfo nobody\nnonsense\necho b' --keep-going
ok 'quit ends a script' script 0 a $'echo a\nquit\necho b'
ok 'a quote without its end' script 2 a $'echo a\necho \'b\n'
ok 'an empty script' script 0 '' ''
ok 'answers come at once' answers_at_once
ok 'a full disk' full_disk
ok 'a reader that leaves' reader_that_leaves
ok '--log' logs
ok 'no command' refused 2 'no command given'

ok 'completion of commands' completes 'domblkerror domblkinfo domblklist domblkstat ' domblk
ok 'completion of domains' completes 'another-one first ' dominfo ''
ok 'completion of options' completes '--details ' domblklist first --d
ok 'completion of disks' completes 'vda vdb ' domblkinfo first --device vd
ok 'completion behind global options' completes 'first ' -r -c lodge:///session domstate f
ok 'completion of a value in a word' completes '--domain=first ' dominfo --domain=f
ok 'bash: domains' bash_completes 'another-one first' 'lodge dominfo ' lodge dominfo ''
ok 'bash: a value behind =' bash_completes first 'lodge dominfo --domain=f' lodge dominfo --domain = f
ok 'bash: a MAC address' bash_completes '00:00:00:01 00:00:00:02' 'lodge domif-getlink first 52:54:0' \
	lodge domif-getlink first 52 : 54 : 0

# same ARGUMENT...: as virsh, and virsh with the same two domains: the same output, errors and exit status.
same()
{
	local status

	status=0
	"$files/virsh" "$@" >"$files/out" 2>"$files/err" </dev/null || status=$?
	echo "$status" >>"$files/err"
	status=0
	virsh -c "test://$files/node.xml" "$@" >"$files/want" 2>"$files/want-err" </dev/null || status=$?
	echo "$status" >>"$files/want-err"
	diff "$files/want" "$files/out" && diff "$files/want-err" "$files/err"
}

refused_as_virsh()
{
	local program=$files/virsh

	refused 1 "$@"
}

same_synopses()
{
	local command

	for command in "$@"; do
		diff <(virsh help "$command" | grep -A 1 SYNOPSIS) <("$files/virsh" help "$command" | grep -A 1 SYNOPSIS) || return 1
	done
}

# same_calls CALL...: each is an argument list, quoted for the shell.
same_calls()
{
	local failed=0 call

	for call in "$@"; do
		eval "same $call" || {
			echo "differs: virsh $call"
			failed=1
		}
	done
	return "$failed"
}

if command -v virsh >/dev/null && [[ $(virsh --version) == 9.0.* ]]; then
	{
		echo '<node>'
		for name in first:$one another-one:$two; do
			definition test "${name%:*}" "${name#*:}" |
				sed "s|<domain type='test'>|<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>|
					s|</domain>|<test:runstate>5</test:runstate></domain>|"
		done
		echo '</node>'
	} >"$files/node.xml"
	# The reader of check-install-list.sh takes quotes in quotes for what they are not.
	quote=$(awk 'BEGIN { printf "%c", 34 }')
	slash=$(awk 'BEGIN { printf "%c", 92 }')
	apostrophe=$(awk 'BEGIN { printf "%c", 39 }')
	ok 'virsh: wrong command lines' same_calls nosuch LIST dominfo "''" "dominfo ''" 'dominfo first x' 'dominfo --domain' \
		'list --foo' 'list --all=1' 'list --all --all' 'list --table --name' 'list x' 'domstate first --domain first' \
		'version --daem' 'domuuid --' 'domrename first' 'echo --shell --xml x' 'help nosuch' "'list; nosuch'" "'echo $quote'" \
		"'echo a$slash'" 'connect x y'
	ok 'virsh: wrong options' same_calls -Z --nosuch -c --connect -e '-e xyz list' '-k x list' '-d x list' '--quiet=1 list'
	ok 'virsh: failures' same_calls 'dominfo nobody' 'domid nobody' 'domuuid 77' 'domname first' 'cd /' 'domcontrol nobody' \
		'domblklist nobody' "${apostrophe}dominfo nobody; echo b$apostrophe" "${apostrophe}echo b; dominfo nobody$apostrophe" 'dumpxml nobody'
	ok 'virsh: lists' same_calls 'list' 'list --all' '-q list --all' 'list --inactive --title' 'list --all --name' \
		'list --all --uuid --name' 'list --all --id --name' 'list --state-shutoff' 'list --all --state-running' \
		'list --all --autostart' 'list --all --no-autostart --persistent' 'list --transient --all' 'list --managed-save --all' \
		'list --with-snapshot --all' 'list --without-snapshot --all --name' 'list --all --without-managed-save --title'
	ok 'virsh: a domain' same_calls 'domblklist first' 'domblklist first --details' '-q domblklist first --inactive' \
		"domstate $one" 'domid first' 'domuuid first' "domname $two" 'domif-getlink first 52:54:00:00:00:02' \
		'dumpxml first --xpath //disk/source' 'dumpxml first --xpath //name --wrap' 'dumpxml first --xpath //nosuch'
	ok 'virsh: interfaces' same_calls 'domiflist another-one' '-q domiflist first --inactive'
	ok 'virsh: words' same_calls 'echo a b' "echo --shell \"it's\" '' 'a b'" "echo --xml \"<it's>&\\\"\"" 'echo --err x' \
		"'echo a;;echo b'" "' ; '" "'echo \"a\\\"b\" '\\''c d'\\'' # x'" "'#x'" '-q echo x' pwd quit \
		'-v' '--version' '--version=short'
	ok 'virsh: no other options' refused_as_virsh "unsupported option '-f'" -f json list
	ok 'virsh: synopses' same_synopses list dominfo domstate domid domname domuuid domcontrol domdisplay dumpxml domblklist domiflist \
		domif-getlink uri hostname version pwd quit exit
else
	for name in 'wrong command lines' 'wrong options' failures lists 'a domain' interfaces words 'no other options' synopses; do
		skip "virsh: $name" 'virsh 9.0 is not installed'
	done
fi
tap_end
