#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The console of a stock Debian guest: its shell on a terminal, on a socket, in a file, through pipes; the terminal afterwards; and
# what is left behind when lodge is killed.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/guest-lib.sh"

#
# A terminal
#

# Through the shell to the power-off: commands, an interrupt, a pipeline, what a terminal is to a program.
shell_on_terminal()
{
	local vm

	append='lodge.size=33x77' vm_command ''
	terminal vm
	expect 'init started' || return 1
	tell 'echo at th""e shell\n'
	expect 'at the shell' || return 1
	tell 'stty size; ls / | sort | head -n 1; te""st -t 0 && echo a term""inal\n'
	expect '33 77' && expect 'bin' && expect 'a terminal' || return 1
	# The interrupt is for the guest's foreground job, neither for lodge nor for the shell.
	tell 'echo as""leep; sleep 1000; echo interr""upted $?\n'
	expect 'asleep' || return 1
	tell '\x03'
	tell 'echo still he""re\n'
	expect 'still here' || return 1
	tell 'poweroff\n'
	expect 'reboot: Power down' && expect 'powered off' && leaves 0
}

power_button()
{
	local vm

	vm_command '' --cpus 2
	terminal vm
	expect 'init started' || return 1
	tell 'echo at th""e shell\n'
	expect 'at the shell' || return 1
	tell '\x1ds'
	expect 'reboot: Power down' && expect 'powered off' && leaves 0
}

# cut_short KEYS STATUS: the terminal comes back while the kernel is still on its way up. KEYS may be a signal's name.
cut_short()
{
	local vm

	vm_command ''
	terminal vm
	expect 'Linux version' || return 1
	if [[ $1 == SIG* ]]; then
		kill -s "${1#SIG}" "$(<"$tap_tmp/pid")"
	else
		tell "$1"
	fi
	leaves "$2"
}

#
# Pipes and files
#

# What the guest writes arrives whole, and so does what it reads.
whole()
{
	guest bulk 'stty -onlcr; echo; seq 1 20000; stty onlcr; echo "sum: $(seq 1 20000 | md5sum)"'
	shows bulk
	said bulk "sum: $(seq 1 20000 | md5sum)" && sed -n '/^1$/,/^20000$/p' "$tap_tmp/bulk.out" | cmp - <(seq 1 20000)
}

typed_ahead()
{
	talk 'stty -echo; echo "re""ady"; head -n 4000 | md5sum | sed "s/^/got: /"' --cpus 2
	expect ready || return 1
	seq 1 4000 >&5
	expect 'got: ' && [[ $line == "got: $(seq 1 4000 | md5sum)" ]] && expect 'Power down' && ended 0
}

file()
{
	guest file 'echo "into the file"' --console "file:$tap_tmp/log"
	mv "$tap_tmp/log" "$tap_tmp/file.log"
	[[ ! -s $tap_tmp/file.out ]] || return 1
	mv "$tap_tmp/file.log" "$tap_tmp/file.out"
	powered_off file && grep -q 'Linux version' "$tap_tmp/file.out" && said file 'into the file'
}

none()
{
	guest none 'echo nobody hears' --console none
	shows none
	[[ $(<"$tap_tmp/none.status") -eq 0 && ! -s $tap_tmp/none.out ]]
}

#
# A socket
#

# attach: a client of the socket, its output in fd 3, its input from fd 5.
attach()
{
	rm -f "$tap_tmp"/{typed,shown}
	mkfifo "$tap_tmp/typed" "$tap_tmp/shown"
	perl -MSocket -e '
		socket(my $s, AF_UNIX, SOCK_STREAM, 0);
		connect($s, pack_sockaddr_un($ARGV[0])) or die "$ARGV[0]: $!\n";
		if (!fork) {
			while (sysread(STDIN, my $typed, 4096)) { syswrite($s, $typed) }
			shutdown($s, 1);
			exit;
		}
		while (sysread($s, my $shown, 4096)) { syswrite(STDOUT, $shown) }' \
		"$socket" <"$tap_tmp/typed" >"$tap_tmp/shown" 2>&1 &
	client=$!
	exec 5>"$tap_tmp/typed" 3<"$tap_tmp/shown"
}

detach()
{
	kill "$client"
	exec 3<&- 5>&-
	wait "$client" || true
}

# listens COMMAND...: starts it, with its words in fd 6, and waits until the first of them says that the console is there.
listens()
{
	rm -f "$tap_tmp/words"
	mkfifo "$tap_tmp/words"
	"$@" 2>"$tap_tmp/words" </dev/null &
	pid=$!
	exec 6<"$tap_tmp/words"
	expect "console on $socket" 6
}

on_socket()
{
	local vm status=0

	vm_command '' --console "unix:$socket"
	listens "${vm[@]}" || return 1
	attach
	expect 'init started' || return 1
	tell 'echo at th""e shell\n'
	expect 'at the shell' || return 1
	tell '(read -r x </dev/ttyS0; echo behind your ba""ck; echo so""on) &\n'
	detach
	# What was said meanwhile is told first.
	attach
	tell '\necho se""cond visit\n'
	expect 'second visit' || return 1
	tell 'poweroff\n'
	expect 'Power down' || return 1
	wait "$pid" || status=$?
	[[ $status -eq 0 && ! -e $socket ]]
}

# One client at a time: another is told so.
second_client()
{
	local vm

	vm_command '' --console "unix:$socket"
	listens "${vm[@]}" || return 1
	attach
	expect 'Linux version' || return 1
	perl -MSocket -e '
		socket(my $s, AF_UNIX, SOCK_STREAM, 0);
		connect($s, pack_sockaddr_un($ARGV[0])) or die "$ARGV[0]: $!\n";
		print while <$s>;' "$socket" >"$tap_tmp/told"
	grep 'in use' "$tap_tmp/told" && expect 'init started'
}

# Nothing can remove a socket's file for a process that is killed, but the next one does.
killed_with_socket()
{
	local vm status=0

	vm_command '' --console "unix:$socket"
	listens "${vm[@]}" || return 1
	kill -KILL "$(<"$tap_tmp/pid")"
	wait "$pid" || status=$?
	[[ $status -eq 137 && -S $socket ]] || return 1
	vm_command 'echo again' --console "unix:$socket"
	listens "${vm[@]}" || return 1
	attach
	expect 'again' && expect 'Power down' && wait "$pid"
}

#
# Killed
#

# Not a file, not a process, wherever programs put such things.
killed()
{
	local vm place

	mkdir -p "$tap_tmp"/clean/{home,run,temp,here}
	truncate -s 1M "$tap_tmp/image"
	vm_command '' --cpus 2 --disk "$tap_tmp/image"
	cat >"$tap_tmp/there" <<-END
		cd "$tap_tmp/clean/here"
		export HOME="$tap_tmp/clean/home" XDG_RUNTIME_DIR="$tap_tmp/clean/run" TMPDIR="$tap_tmp/clean/temp" LODGE_MARK=$tap_tmp
		exec ${vm[*]@Q}
	END
	mkfifo "$tap_tmp/killed.said"
	bash "$tap_tmp/there" >"$tap_tmp/killed.said" 2>&1 </dev/null &
	pid=$!
	exec 3<"$tap_tmp/killed.said"
	expect 'init started' || return 1
	kill -KILL "$(<"$tap_tmp/pid")"
	wait "$pid" || true
	cat <&3 >/dev/null
	exec 3<&-
	find "$tap_tmp/clean" -not -type d | tee "$tap_tmp/left"
	for place in /proc/[0-9]*; do
		if tr '\0' '\n' <"$place/environ" 2>/dev/null | grep -qxF "LODGE_MARK=$tap_tmp"; then
			echo "still there: $place"
			return 1
		fi
	done 2>/dev/null
	[[ ! -s $tap_tmp/left ]]
}

socket=$tap_tmp/socket
plan 13
ok 'a shell on a terminal' tidy shell_on_terminal
ok 'power button' tidy power_button
ok '^] . while it boots' tidy cut_short '\x1d.' 0
ok 'SIGTERM while it boots' tidy cut_short SIGTERM 143
ok 'SIGHUP while it boots' tidy cut_short SIGHUP 129
ok 'output arrives whole' whole
ok 'input arrives whole' tidy typed_ahead
ok 'console in a file' file
ok 'no console' none
ok 'console on a socket' tidy on_socket
ok 'a second client' tidy second_client
ok 'kill -9 with a socket' tidy killed_with_socket
ok 'kill -9 leaves nothing' tidy killed
tap_end
