#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Consoles of running VMs from the outside: terminals (expect(1) at the keyboard) and pipes on them, writers, viewers and take-overs, the
# back ends a definition can name, logs, several ports, floods. The guest is tests/guests/console.S.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
. "$LODGE_SRCDIR/tests/life-lib.sh"
command -v expect >/dev/null || plan_skip 'expect is not installed'
life_guest

# ports NAME LETTER DEVICES: a definition with these devices.
ports()
{
	life_xml "$1" "$2" | sed '/<serial/d' >"$tap_tmp/$1.xml"
	printf '%s\n' "$3" | sed -i "/<devices>/r /dev/stdin" "$tap_tmp/$1.xml"
}

# runs NAME LETTER DEVICES: such a VM is started.
runs()
{
	ports "$@"
	l -q create "$tap_tmp/$1.xml"
}

pty="<serial type='pty'><target port='0'/></serial>"

# The process of a VM: the one with this test's home. The path of its own program is in the command line.
process_of()
{
	local pid

	for pid in $(pgrep -fx -- ".* --role vm $1"); do
		if tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | grep -qxF "LODGE_HOME=$LODGE_HOME"; then
			echo "$pid"
			return 0
		fi
	done
	return 1
}

# reads FD TEXT: waits until what comes from the descriptor ends with the text.
reads()
{
	local LC_ALL=C char seen=

	while IFS= read -rd '' -n 1 -t "$life_patience" -u "$1" char; do
		seen+=$char
		[[ $seen != *"$2" ]] || return 0
	done
	printf 'not seen: %q, but: %q\n' "$2" "$seen"
	return 1
}

#
# On terminals. A step names a session; "open A console e" starts `lodge console e` in one, in a shell that tells how it ended and whether the
# terminal's modes are as they were.
#
cat >"$tap_tmp/session" <<'END'
before=$(stty -g)
"$LODGE" "$@"
echo "status=$?"
[[ $(stty -g) == "$before" ]] && echo modes kept
echo the end
END
cat >"$tap_tmp/prelude" <<'END'
set patience $env(life_patience)
proc failed {why} {
	puts "\n$why"
	exit 1
}
proc open_in {name command} {
	global ids
	eval spawn -noecho $command
	set ids($name) $spawn_id
}
proc open {name args} { open_in $name [concat [list bash $::env(tap_tmp)/session] $args] }
proc see {name text} {
	global ids patience
	expect -timeout $patience -i $ids($name) -ex $text {} timeout { failed "$name: not seen: $text" } eof { failed "$name: ended before: $text" }
}
# The text comes, and the other one does not come before it.
proc see_without {name text other} {
	global ids patience
	expect -timeout $patience -i $ids($name) -ex $other { failed "$name: seen: $other" } -ex $text {} timeout { failed "$name: not seen: $text" } \
		eof { failed "$name: ended before: $text" }
}
proc key {name bytes} {
	global ids
	send -i $ids($name) -- $bytes
}
proc left {name status} {
	see $name "status=$status"
	see $name "modes kept"
	see $name "the end"
}
proc lodge {args} { eval exec $::env(LODGE) $args }
END
export life_patience tap_tmp

steps()
{
	local file

	file=$(mktemp "$tap_tmp/steps.XXXXXX")
	cat "$tap_tmp/prelude" - >"$file"
	expect -f "$file"
}

attaches()
{
	steps <<-'END'
		open a console e
		see a "Connected to domain 'e'"
		see a "Escape character is ^]"
		see a "up"
		key a "hello"
		see a "hello"
		key a "\x1d"
		left a 0
	END
}

rejoins()
{
	steps <<-'END'
		open a console e
		see a "up\r\nhello"
		key a " again"
		see a " again"
		key a "\x1d"
		left a 0
		open b console e --no-replay
		see b "Escape character"
		key b "fresh"
		see_without b "fresh" "hello"
		key b "\x1dx"
		left b 0
	END
}

watches()
{
	steps <<-'END'
		open a console e --no-replay
		see a "Escape character"
		open b console e --readonly
		see b "up"
		key a "from a"
		see b "from a"
		key b "from b"
		key a "; more"
		see_without a "; more" "from b"
		see b "; more"
		key b "\x1d"
		left b 0
		key a "\x1d"
		left a 0
	END
}

refuses_second()
{
	steps <<-'END'
		open a console e
		see a "up"
		open b console e
		see b "error: "
		see b "active console session"
		left b 1
		open c console e --safe
		see c "error: "
		left c 1
		key a "unhurt"
		see a "unhurt"
		key a "\x1d"
		left a 0
		open d console e --safe
		see d "unhurt"
		key d "\x1d"
		left d 0
	END
}

takes_over()
{
	steps <<-'END'
		open a console e
		see a "up"
		open b console e --force --no-replay
		see b "Escape character"
		see a "error: another session has taken the console of domain 'e' over"
		left a 1
		key b "mine now"
		see b "mine now"
		open c console e --readonly
		see c "mine now"
		open d console e --force --safe
		see d "mine now"
		see b "error: another session has taken"
		left b 1
		see c "error: another session has taken"
		left c 1
		key d "\x1d"
		left d 0
	END
}

has_keys()
{
	steps <<-'END'
		open a console e
		see a "up"
		key a "\x1d?"
		see a "^] b"
		see a "send a break"
		key a "\x1db"
		see a "<break>"
		key a "<\x1d\x1d>"
		see a "<\x1d>"
		key a "\x1d"
		left a 0
		open b -e ^A console e
		see b "Escape character is ^A"
		key b "<\x1d>"
		see b "<\x1d>"
		key b "\x01"
		left b 0
	END
}

stays_through_reset()
{
	steps <<-'END'
		open a console e --no-replay
		see a "Escape character"
		key a "before"
		see a "before"
		lodge reset e
		see a "up"
		key a "after"
		see a "after"
		key a "\x1d"
		left a 0
	END
}

# The warden starts another process then.
stays_through_restart()
{
	life_xml again e '<on_poweroff>restart</on_poweroff>' >"$tap_tmp/again.xml"
	l -q create "$tap_tmp/again.xml"
	steps <<-'END'
		open a console again
		see a "up"
		key a "q"
		see a "up"
		key a "after"
		see a "after"
		key a "\x1d"
		left a 0
	END
}

ends_with_vm()
{
	runs gone e "$pty"
	steps <<-'END'
		open a console gone
		see a "up"
		lodge destroy gone
		see a "Domain 'gone' runs no more: shut off"
		left a 0
	END
	runs gone e "$pty"
	steps <<-'END'
		open a console gone
		see a "up"
		key a "q"
		see a "Domain 'gone' runs no more: shut off"
		left a 0
	END
	fails "failed to get domain 'gone'" console gone
}

# A client that is killed leaves a console that others can use at once.
killed_client()
{
	steps <<-'END'
		open_in a [list bash -c {"$LODGE" console e & echo pid=$!. ; wait}]
		open_in b [list bash -c {exec "$LODGE" console e --no-replay}]
		see b "Escape character"
		exec kill -9 [exp_pid -i $ids(b)]
		open c console e
		see c "up"
		key c "alive"
		see c "alive"
		key c "\x1d"
		left c 0
	END
	await e running
}

suspends()
{
	steps <<-'END'
		open_in a [list bash --norc]
		key a "PS1=; set -m\n"
		key a "\"\$LODGE\" console e --no-replay\n"
		see a "Escape character"
		key a "\x1d\x1a"
		see a "Stopped"
		key a "echo here\$((40 + 2))\n"
		see a "here42"
		key a "fg\n"
		see a "console e"
		key a "and back"
		see a "and back"
		key a "\x1d"
		key a "exit\n"
	END
}

pipes()
{
	l reset e >/dev/null
	printf 'piped ^] \x1d in' | "$LODGE" console e --no-replay >"$tap_tmp/out" 2>"$tap_tmp/err"
	[[ ! -s $tap_tmp/err ]] || return 1
	# It ends with its input: the echo may come later, but it is kept.
	mkfifo "$tap_tmp/hold"
	"$LODGE" console e --readonly <"$tap_tmp/hold" >"$tap_tmp/pipe.out" 2>"$tap_tmp/err" &
	exec 6>"$tap_tmp/hold"
	await_line "$tap_tmp/pipe.out" $'piped ^] \x1d in'
	exec 6>&-
	kill $!
	rm "$tap_tmp/hold"
}

shows_first_byte()
{
	ports first e "$pty"
	ports second e "$pty"
	l -q define "$tap_tmp/first.xml"
	steps <<-'END'
		open a start first --console
		see a "Domain 'first' started"
		see a "Escape character"
		see a "up\r\n"
		key a "q"
		see a "runs no more: shut off"
		left a 0
		open b create $env(tap_tmp)/second.xml --console
		see b "Domain 'second' created"
		see b "Escape character"
		see b "up\r\n"
		key b "q"
		see b "runs no more"
		left b 0
	END
}

# --- back ends ---

pty_path_works()
{
	local tty

	tty=$(l ttyconsole e)
	[[ -c $tty ]] || return 1
	[[ $(l dumpxml e) == *"<source path='$tty'/>"* ]] || return 1
	exec 7<>"$tty"
	printf 'by the pty' >&7
	reads 7 'by the pty'
	exec 7>&-
}

no_tty_elsewhere()
{
	fails 'no console of type pty' ttyconsole null && fails 'not running' ttyconsole first
}

unix_listens()
{
	runs unix e "<serial type='unix'><source mode='bind' path='$tap_tmp/unix.sock'/><target port='0'/></serial>"
	[[ -S $tap_tmp/unix.sock && $(stat -c %a "$tap_tmp/unix.sock") == 600 ]] || return 1
	steps <<-'END'
		open a console unix
		see a "up"
		key a "beside the socket"
		see a "beside the socket"
		key a "\x1d"
		left a 0
	END
	l destroy unix && [[ ! -e $tap_tmp/unix.sock ]]
}

# One VM's serial port on another's: a null modem over a socket.
unix_connects()
{
	runs listener e "<serial type='unix'><source mode='bind' path='$tap_tmp/pair.sock'/><target port='0'/></serial>"
	runs caller p "<serial type='unix'><source mode='connect' path='$tap_tmp/pair.sock'/><target port='0'/></serial>"
	l event --domain caller --event lifecycle --timeout 1 >/dev/null 2>&1 || true
	"$LODGE" console listener --readonly </dev/zero >"$tap_tmp/pair.out" 2>&1 &
	await_line "$tap_tmp/pair.out" $'up\r\nup'
	kill $!
	ports nobody e "<serial type='unix'><source mode='connect' path='$tap_tmp/none.sock'/><target port='0'/></serial>"
	fails 'cannot connect' create "$tap_tmp/nobody.xml"
}

# port_of NAME: what port it listens at.
port_of()
{
	l qemu-monitor-command "$1" '{"execute":"query-chardev"}' | sed -n 's/.*"filename": *"[a-z]*:127\.0\.0\.1:\([0-9]*\)".*/\1/p'
}

tcp_raw()
{
	local deadline=$((SECONDS + life_patience))

	runs tcp e "<serial type='tcp'><source mode='bind' host='127.0.0.1' service='0'/><protocol type='raw'/><target port='0'/></serial>"
	exec 7<>"/dev/tcp/127.0.0.1/$(port_of tcp)"
	reads 7 $'up\r\n' || return 1
	printf 'over tcp\xff' >&7
	reads 7 $'over tcp\xff' || return 1
	exec 8<>"/dev/tcp/127.0.0.1/$(port_of tcp)"
	reads 8 'in use' || return 1
	exec 7>&- 8>&-
	# Who leaves makes room, at once or as soon as it is seen.
	until exec 7<>"/dev/tcp/127.0.0.1/$(port_of tcp)" && reads 7 'over tcp'; do
		((SECONDS <= deadline)) || return 1
	done
	exec 7>&-
}

tcp_telnet()
{
	runs telnet e "<serial type='tcp'><source mode='bind' host='127.0.0.1' service='0'/><protocol type='telnet'/><target port='0'/></serial>"
	exec 7<>"/dev/tcp/127.0.0.1/$(port_of telnet)"
	reads 7 $'\xff\xfd' || return 1
	reads 7 $'up\r\n' || return 1
	printf 'a' >&7
	reads 7 a || return 1
	printf '\xff\xf3b' >&7
	reads 7 '<break>b' || return 1
	# A literal 255 is doubled in both directions.
	printf '\xff\xff.' >&7
	reads 7 $'\xff\xff.' || return 1
	exec 7>&-
}

file_and_null()
{
	echo old >"$tap_tmp/new.file"
	echo old >"$tap_tmp/more.file"
	runs file p "<serial type='file'><source path='$tap_tmp/new.file'/><target port='0'/></serial>
		<serial type='file'><source path='$tap_tmp/more.file' append='on'/><target port='1'/></serial>"
	await_gone file
	cmp "$tap_tmp/new.file" <(printf 'up\r\n') && cmp "$tap_tmp/more.file" <(echo old) || return 1
	runs null e "<serial type='null'><target port='0'/></serial>"
	steps <<-'END'
		open a console null
		see a "up"
		key a "\x1d"
		left a 0
	END
}

await_gone()
{
	local deadline=$((SECONDS + life_patience))

	while l domstate "$1" >/dev/null 2>&1; do
		((SECONDS <= deadline)) || return 1
		l event --domain "$1" --event lifecycle --timeout 1 >/dev/null 2>&1 || true
	done
}

logs()
{
	runs log p "<serial type='pty'><log file='$tap_tmp/serial.log' append='off'/><target port='0'/></serial>"
	await_gone log
	cmp "$tap_tmp/serial.log" <(printf 'up\r\n') || return 1
	runs log p "<serial type='pty'><log file='$tap_tmp/serial.log' append='on'/><target port='0'/></serial>"
	await_gone log
	cmp "$tap_tmp/serial.log" <(printf 'up\r\nup\r\n')
}

four_ports()
{
	runs four m "<serial type='pty'><target port='0'/></serial><serial type='pty'><target port='1'/></serial>
		<serial type='pty'><target port='2'/></serial><serial type='pty'><target port='3'/></serial>"
	steps <<-'END'
		foreach n {0 1 2 3} {
			open a$n console four --devname serial$n
			see a$n "port $n\r\n"
		}
		foreach n {0 1 2 3} {
			key a$n "\x1d"
			left a$n 0
		}
	END
	fails "no serial port, console or channel 'serial7'" console four --devname serial7
	# One too many.
	ports five e "$(for n in 0 1 2 3 4; do echo "<serial type='pty'><target port='$n'/></serial>"; done)"
	fails serial create "$tap_tmp/five.xml"
}

# --- floods ---

# The guest prints as fast as it can: nobody reads, one reads nothing more, and one hangs on. Everybody else gets answers, and memory stays
# what it was.
floods()
{
	local pid before after

	runs flood w "$pty"
	pid=$(process_of flood)
	mkfifo "$tap_tmp/stuck"
	"$LODGE" console flood --readonly </dev/zero >"$tap_tmp/stuck" 2>/dev/null &
	exec 6<"$tap_tmp/stuck"
	reads 6 'dull boy.' || return 1
	before=$(sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status")
	"$LODGE" console flood --no-replay </dev/zero 2>/dev/null | head -c 4000000 | wc -c >"$tap_tmp/flood.count" || true
	[[ $(<"$tap_tmp/flood.count") -eq 4000000 ]] || return 1
	after=$(sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status")
	echo "anonymous memory: $before KiB, then $after KiB"
	((after - before < 4096)) || return 1
	says running domstate flood && says flood dominfo flood && l destroy flood
	exec 6<&-
}

refuses()
{
	fails "failed to get domain 'nobody'" console nobody || return 1
	fails 'not running' console first || return 1
	fails "'sound0'" console e --devname sound0 || return 1
	fails 'read-only' -r console e --force
}

plan 24
runs e e "$pty"
ok 'attach, echo, ^] leaves' attaches
ok 'what was said is there again' rejoins
ok 'a viewer sees and cannot type' watches
ok 'a second writer is refused, --safe too' refuses_second
ok '--force takes over, and the others are told' takes_over
ok '^] ?, ^] b, ^] ^], -e' has_keys
ok 'the session stays through a reset' stays_through_reset
ok 'and through a restart of the VM' stays_through_restart
ok 'it ends with the VM, with a message' ends_with_vm
ok 'kill -9 of a client' killed_client
ok '^] ^Z and fg' suspends
ok 'standard input from a pipe' pipes
ok 'start --console, create --console' shows_first_byte
ok 'refusals' refuses
ok 'a pty: ttyconsole, echo' pty_path_works
ok 'a file, append or not; null' file_and_null
ok 'no ttyconsole without a pty' no_tty_elsewhere
ok 'unix, listening' unix_listens
ok 'unix, connecting' unix_connects
ok 'tcp, raw' tcp_raw
ok 'tcp, telnet' tcp_telnet
ok 'a log' logs
ok 'four serial ports' four_ports
ok 'a flood' floods
tap_end
