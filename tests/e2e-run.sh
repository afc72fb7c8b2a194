#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `lodge run` from the outside: how a guest ends and with which exit status, the console on a terminal and on pipes,
# signals. The guest is tests/guests/console.S; the first letter of its command line says what it does.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
export LC_ALL=C.UTF-8
ulimit -c 0

guest=$tap_tmp/guest
"${CC:-cc}" -m32 -nostdlib -static -no-pie -Wl,-Ttext-segment=0x100000,-z,noseparate-code,-e,start,--build-id=none \
	-o "$guest" "$LODGE_SRCDIR/tests/guests/console.S"
# A shell lets its background jobs ignore the keyboard's signals.
run=(env --default-signal=INT,QUIT "$LODGE" run --accel soft --memory 16M --kernel "$guest")

# ends STATUS WORDS LETTER OPTION...: the guest ends by itself, with this status and these words on standard error.
ends()
{
	local want=$1 words=$2 letter=$3 status=0

	shift 3
	"${run[@]}" --append "$letter" "$@" >"$tap_tmp/out" 2>"$tap_tmp/err" </dev/null || status=$?
	cat "$tap_tmp/out" "$tap_tmp/err"
	[[ $status -eq $want ]] && grep -q '^up' "$tap_tmp/out" && grep -qF -- "$words" "$tap_tmp/err" || return 1
	if [[ $want -eq 0 ]]; then
		! grep -q '^error:' "$tap_tmp/err"
	else
		[[ $(grep -c '^error:' "$tap_tmp/err") -eq 1 ]]
	fi
}

# start LETTER OPTION...: a guest in the background, output in fd 3, process in $pid; returns when the guest is up.
start()
{
	local letter=$1

	shift
	rm -f "$tap_tmp/pipe"
	mkfifo "$tap_tmp/pipe"
	"${run[@]}" --append "$letter" "$@" >"$tap_tmp/pipe" 2>"$tap_tmp/err" </dev/null &
	pid=$!
	exec 3<"$tap_tmp/pipe"
	expect up
}

# expect WORDS [FD]: reads lines until one has WORDS in it.
expect()
{
	local line

	while IFS= read -r line <&"${2:-3}"; do
		echo "$line"
		[[ $line != *"$1"* ]] || return 0
	done
	echo "the output ended without: $1"
	return 1
}

# ended STATUS: the guest of start() has ended, or will, with this status.
ended()
{
	local status=0

	wait "$pid" || status=$?
	exec 3<&-
	cat "$tap_tmp/err"
	[[ $status -eq $1 ]] || {
		echo "exit status $status, not $1"
		return 1
	}
}

# signalled SIGNAL STATUS LETTER: nothing but the signal ends it; the end of standard input does not.
signalled()
{
	start "$3" || return 1
	kill -s "$1" "$pid"
	ended "$2" && grep -qx "lodge: ended by SIG$1" "$tap_tmp/err"
}

outlives_hangup()
{
	local run=(env --ignore-signal=HUP "${run[@]}")

	start e || return 1
	kill -s HUP "$pid"
	kill -s TERM "$pid"
	ended 143 && grep -qx 'lodge: ended by SIGTERM' "$tap_tmp/err"
}

resets_for_real()
{
	start r || return 1
	expect up && expect up && expect up || return 1
	kill "$pid"
	ended 143
}

passes_pipes_through()
{
	printf 'hello ^] there\n\x1dq' | "${run[@]}" --append e >"$tap_tmp/out" 2>"$tap_tmp/err"
	cat "$tap_tmp/out"
	printf 'up\r\nhello ^] there\n\x1d' | cmp - "$tap_tmp/out"
}

# A reader that does not read holds up neither the guest nor its end.
slow_reader_holds_nothing_up()
{
	start w || return 1
	kill "$pid"
	ended 143
}

reader_that_leaves()
{
	start w || return 1
	exec 3<&-
	kill "$pid"
	ended 143
}

socket_comes_and_goes()
{
	local socket=$tap_tmp/socket

	rm -f "$tap_tmp/err"
	"${run[@]}" --append s --console "unix:$socket" 2>"$tap_tmp/err" </dev/null &
	pid=$!
	# Its first line is written when everything is there.
	until [[ -s $tap_tmp/err ]]; do
		kill -0 "$pid" || return 1
	done
	[[ -S $socket && $(stat -c %a "$socket") == 600 ]] || return 1
	grep -qF "console on $socket" "$tap_tmp/err" || return 1
	kill "$pid"
	ended 143 && [[ ! -e $socket ]]
}

console_file()
{
	"${run[@]}" --append p --console "file:$tap_tmp/log" >"$tap_tmp/out" 2>&1 </dev/null
	cat "$tap_tmp/out"
	grep -q '^up' "$tap_tmp/log" && ! grep -q '^up' "$tap_tmp/out"
}

console_none()
{
	"${run[@]}" --append p --console none >"$tap_tmp/out" 2>"$tap_tmp/err" </dev/null
	[[ ! -s $tap_tmp/out ]]
}

#
# On a terminal: script(1) makes one, inside it a shell runs the commands of a test and notes the terminal's modes.
#

# terminal COMMANDS: starts them; "lodge" runs the echoing guest. Output is read from fd 4, what is typed goes to fd 5.
terminal()
{
	cat >"$tap_tmp/session" <<-END
		ulimit -c 0
		lodge() { sh -c 'echo \$\$ >$tap_tmp/pid; exec "\$@"' sh ${run[*]@Q} --append e "\$@"; }
		stty -g >$tap_tmp/before
		$1
		echo status=\$?
		stty -g >$tap_tmp/after
		echo the end
	END
	rm -f "$tap_tmp"/{before,after,stopped,pid,typed,shown}
	mkfifo "$tap_tmp/typed" "$tap_tmp/shown"
	script -qfec "bash $tap_tmp/session" /dev/null <"$tap_tmp/typed" >"$tap_tmp/shown" 2>&1 &
	pid=$!
	exec 5>"$tap_tmp/typed" 4<"$tap_tmp/shown"
}

# leaves STATUS: lodge ends with this status, and the terminal is as it was before.
leaves()
{
	expect "status=$1" 4 && expect 'the end' 4 || return 1
	exec 5>&- 4<&-
	wait "$pid" || true
	[[ -s $tap_tmp/before ]] && cmp "$tap_tmp/before" "$tap_tmp/after"
}

type_keys()
{
	printf "$1" >&5
}

says_how_to_leave()
{
	terminal lodge
	expect '^] ends it' 4 && expect up 4 || return 1
	type_keys 'hello\n'
	expect hello 4 || return 1
	type_keys '\x1dq'
	leaves 0
}

prefix_alone_ends()
{
	terminal lodge
	expect up 4 || return 1
	type_keys '\x1d'
	leaves 0
}

sends_breaks_and_literals()
{
	terminal lodge
	expect up 4 || return 1
	type_keys '\x1db\n'
	expect '<break>' 4 || return 1
	# Twice the prefix is one of it for the guest, and ^C is nothing special.
	type_keys 'a\x1d\x1d\x03z\n'
	expect $'a\x1d\x03z' 4 || return 1
	type_keys '\x1d.'
	leaves 0
}

shows_its_keys()
{
	terminal lodge
	expect up 4 || return 1
	type_keys '\x1d?'
	expect '^] b' 4 && expect '^] ?' 4 || return 1
	type_keys q
	leaves 0
}

starts_paused()
{
	terminal 'lodge --paused'
	expect 'paused: ^] r resumes' 4 || return 1
	type_keys '\x1dr'
	expect up 4 || return 1
	type_keys '\x1dp'
	expect 'lodge: paused' 4 || return 1
	type_keys 'x\x1dr\n'
	expect x 4 || return 1
	type_keys q
	leaves 0
}

# killed SIGNAL STATUS: the terminal is given back.
killed()
{
	terminal lodge
	expect up 4 || return 1
	kill -s "$1" "$(<"$tap_tmp/pid")"
	leaves "$2"
}

# ^] ^Z stops lodge with the terminal given back; fg takes it again.
suspends()
{
	terminal "set -m; lodge; stty -g >$tap_tmp/stopped; echo stopped; fg"
	expect up 4 || return 1
	if [[ $1 == keys ]]; then
		type_keys '\x1d\x1a'
	else
		kill -s TSTP "$(<"$tap_tmp/pid")"
	fi
	expect stopped 4 && expect lodge 4 || return 1
	cmp "$tap_tmp/before" "$tap_tmp/stopped" || return 1
	type_keys 'again\n'
	expect again 4 || return 1
	type_keys q
	leaves 0
}

# tidy COMMAND...: a test's status; what it started is ended when it failed half-way.
pid=
tidy()
{
	local status=0

	"$@" || status=$?
	[[ -z $pid ]] || kill "$pid" 2>/dev/null || true
	return "$status"
}

plan 34

ok 'poweroff' tidy ends 0 'powered off' p
ok 'poweroff of two processors' tidy ends 0 'powered off' p --cpus 2
ok 'reset with --no-reboot' tidy ends 0 'because of --no-reboot' r --no-reboot
ok 'keyboard reset with --no-reboot' tidy ends 0 'because of --no-reboot' k --no-reboot
ok 'triple fault' tidy ends 1 'triple fault' t
ok 'pvpanic' tidy ends 1 'kernel panic' v
ok 'a Linux panic without pvpanic' tidy ends 1 'kernel panic: no init' l
ok 'reset' tidy resets_for_real

ok 'SIGTERM' tidy signalled TERM 143 e
ok 'SIGHUP' tidy signalled HUP 129 e
ok 'SIGINT' tidy signalled INT 130 e
ok 'SIGHUP under nohup' tidy outlives_hangup
ok 'SIGTERM while the guest sleeps' tidy signalled TERM 143 x
ok 'SIGTERM while the guest spins' tidy signalled TERM 143 s

ok 'pipes pass through' tidy passes_pipes_through
ok 'slow reader' tidy slow_reader_holds_nothing_up
ok 'reader that leaves' tidy reader_that_leaves
ok 'console on a socket' tidy socket_comes_and_goes
ok 'console in a file' tidy console_file
ok 'no console' tidy console_none

if command -v script >/dev/null && command -v stty >/dev/null; then
	ok '^] q' tidy says_how_to_leave
	ok '^] alone' tidy prefix_alone_ends
	ok '^] b, ^] ^]' tidy sends_breaks_and_literals
	ok '^] ?' tidy shows_its_keys
	ok '--paused, ^] r, ^] p' tidy starts_paused
	for signal in TERM:143 HUP:129 INT:130 QUIT:131 ABRT:134 SEGV:139 BUS:135; do
		if [[ -n ${LODGE_SANITIZE:-} && ${signal%:*} =~ ^(SEGV|BUS)$ ]]; then
			skip "the terminal after SIG${signal%:*}" 'the sanitizer takes this signal'
		else
			ok "the terminal after SIG${signal%:*}" tidy killed "${signal%:*}" "${signal#*:}"
		fi
	done
	ok '^] ^Z and fg' tidy suspends keys
	ok 'SIGTSTP and fg' tidy suspends signal
else
	for ((i = tap_count; i < 34; i++)); do
		skip 'the console on a terminal' 'script (bsdutils) is not installed'
	done
fi
tap_end
