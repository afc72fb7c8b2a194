# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Booting the demo guest, Debian's kernel with a busybox, in shell tests. Source it after tap.sh; it makes the guest, or skips
# the test where the packages cannot be had. In the guest a command or a shell runs: see demo/init.
#
#	guest NAME SCRIPT OPTION...	boots, runs SCRIPT, powers off; leaves $tap_tmp/NAME.out, .err and .status
#	talk SCRIPT OPTION...		the same in the background: read what it says with expect, type with tell, end with ended
#	terminal COMMANDS		a session on a terminal, in which "vm" is the guest
#
# "append" holds further words for the kernel's command line, "kernel" another kernel, "accel" the accelerator. Nobody waits for a guest for ever: what
# hangs is killed after "patience" seconds and fails its own points only.

accel=${LODGE_GUEST_ACCEL:-soft}
append=
patience=240
[[ -z ${LODGE_SANITIZE:-} ]] || patience=1500
export LC_ALL=C.UTF-8
ulimit -c 0

guest_made=$("$LODGE_SRCDIR/demo/make-guest" "$LODGE_DEMO" 2>&1) || {
	guest_made=${guest_made##*error: }
	case $guest_made in
	'cannot download'* | 'no package'*) plan_skip "no guest: $guest_made" ;;
	esac
	echo "Bail out! no guest: $guest_made"
	exit 1
}

# initrd_with SCRIPT FILE: the guest's initrd with the script in it as /test. The kernel unpacks one archive after the other; its
# command line would be too short for a script.
initrd_with()
{
	local root=$2.root

	mkdir "$root"
	printf '%s\n' "$1" >"$root/test"
	{
		cat "$LODGE_DEMO/initrd.img"
		(cd "$root" && echo test | cpio --quiet -o -H newc)
	} >"$2"
	rm -r "$root"
}

# vm_command SCRIPT OPTION...: sets the array vm, which boots the guest. No SCRIPT: a shell. lodge's process is noted in
# $tap_tmp/pid.
vm_command()
{
	local words="console=ttyS0 $append" initrd=$LODGE_DEMO/initrd.img

	if [[ -n $1 ]]; then
		initrd=$(mktemp "$tap_tmp/initrd.XXXXXX")
		initrd_with "$1" "$initrd"
		words+=" lodge.cmd=$(printf 'sh /test' | base64 -w 0)"
	fi
	shift
	# A shell lets its background jobs ignore the keyboard's signals.
	vm=(env --default-signal=INT,QUIT timeout --foreground -s KILL "$patience" sh -c 'echo $$ >"$0"; exec "$@"' "$tap_tmp/pid"
		"$LODGE" run --accel "$accel" --name test --kernel "${kernel:-$LODGE_DEMO/vmlinuz}" --initrd "$initrd"
		--append "$words" "$@")
}

guest()
{
	local name=$1 vm status=0

	shift
	vm_command "$@"
	"${vm[@]}" >"$tap_tmp/$name.out" 2>"$tap_tmp/$name.err" </dev/null || status=$?
	echo "$status" >"$tap_tmp/$name.status"
}

# shows NAME: the last of what the guest and lodge said, for a reader who wonders.
shows()
{
	tail -n 15 "$tap_tmp/$1.out"
	cat "$tap_tmp/$1.err"
	echo "exit status $(<"$tap_tmp/$1.status")"
}

# powered_off NAME: its command succeeded, its machine powered off, and lodge said so and nothing else.
powered_off()
{
	shows "$1"
	grep -q '^lodge-cmd-exit: 0' "$tap_tmp/$1.out" && [[ $(<"$tap_tmp/$1.status") -eq 0 ]] &&
		grep -qx 'lodge: guest "test" powered off' "$tap_tmp/$1.err" && ! grep -q '^error:' "$tap_tmp/$1.err"
}

# failed NAME WORDS: exit status 1 and one line of error, with these words in it.
failed()
{
	shows "$1"
	[[ $(<"$tap_tmp/$1.status") -eq 1 && $(grep -c '^error:' "$tap_tmp/$1.err") -eq 1 ]] &&
		grep -q "^error: .*$2" "$tap_tmp/$1.err"
}

# said NAME LINE: the guest printed exactly this line.
said()
{
	tr -d '\r' <"$tap_tmp/$1.out" | grep -qxF -e "$2" || {
		shows "$1"
		echo "the guest did not say: $2"
		return 1
	}
}

# told NAME KEY: what stands behind "KEY: " where the guest said it, without its line's end.
told()
{
	tr -d '\r' <"$tap_tmp/$1.out" | sed -n "s/^$2: //p"
}

alarming='WARNING|BUG|Oops|Call Trace|\bstall|lost interrupt|unstable|\bhung\b|lockup|nobody cared|timed out|[Ss]purious|Hardware Error'
alarming+='|unchecked MSR|segfault|general protection|invalid opcode|\btrap'

# no_complaints NAME: none of what a kernel says when the machine under it is not right, anywhere in its output.
no_complaints()
{
	! grep -aE "$alarming" "$tap_tmp/$1.out"
}

# talk SCRIPT OPTION...: the guest's output comes from fd 3, what it reads goes to fd 5, lodge's own words are in talk.err.
talk()
{
	local vm

	vm_command "$@"
	rm -f "$tap_tmp"/talk.{said,heard}
	mkfifo "$tap_tmp/talk.said" "$tap_tmp/talk.heard"
	"${vm[@]}" <"$tap_tmp/talk.heard" >"$tap_tmp/talk.said" 2>"$tap_tmp/talk.err" &
	pid=$!
	exec 5>"$tap_tmp/talk.heard" 3<"$tap_tmp/talk.said"
}

# expect WORDS [FD]: reads lines until one has WORDS in it, and leaves that in $line. All that is read goes to $tap_tmp/talk.out.
expect()
{
	while IFS= read -r line <&"${2:-3}"; do
		line=${line%$'\r'}
		printf '%s\n' "$line" >>"$tap_tmp/talk.out"
		[[ $line != *"$1"* ]] || return 0
	done
	printf '%s\n' "$line" >>"$tap_tmp/talk.out"
	echo "the output ended without: $1"
	return 1
}

tell()
{
	printf "$1" >&5
}

# ended STATUS: the guest of talk has ended, or will, with this status.
ended()
{
	local status=0

	# It may have more to say; nobody reads it after us.
	cat <&3 >/dev/null
	exec 3<&- 5>&-
	wait "$pid" || status=$?
	cat "$tap_tmp/talk.err"
	[[ $status -eq $1 ]] || {
		echo "exit status $status, not $1"
		return 1
	}
}

# terminal COMMANDS: script(1) makes a terminal, in it a shell runs them and notes the terminal's modes before and after. "vm" is
# the guest of vm_command. Output comes from fd 3, what is typed goes to fd 5.
terminal()
{
	cat >"$tap_tmp/session" <<-END
		vm() { ${vm[*]@Q} "\$@"; }
		stty -g >$tap_tmp/before
		$1
		echo status=\$?
		stty -g >$tap_tmp/after
		echo the end
	END
	rm -f "$tap_tmp"/{before,after,pid,talk.said,talk.heard,talk.err}
	mkfifo "$tap_tmp/talk.said" "$tap_tmp/talk.heard"
	script -qfec "bash $tap_tmp/session" /dev/null <"$tap_tmp/talk.heard" >"$tap_tmp/talk.said" 2>&1 &
	pid=$!
	exec 5>"$tap_tmp/talk.heard" 3<"$tap_tmp/talk.said"
}

# leaves STATUS: lodge ends with this status, and the terminal is as it was before.
leaves()
{
	expect "status=$1" && expect 'the end' || return 1
	exec 5>&- 3<&-
	wait "$pid" || true
	[[ -s $tap_tmp/before ]] && cmp "$tap_tmp/before" "$tap_tmp/after"
}

# tidy COMMAND...: a test's status; what it started and left running is ended, and when it failed the last that was said is shown.
tidy()
{
	local status=0 left

	: >"$tap_tmp/talk.out"
	"$@" || status=$?
	left=$(jobs -pr)
	# Words, one for each process.
	[[ -z $left ]] || kill $left 2>/dev/null || true
	wait
	if [[ $status -ne 0 ]]; then
		tail -n 20 "$tap_tmp/talk.out" | cat -v
		[[ ! -e $tap_tmp/talk.err ]] || cat "$tap_tmp/talk.err"
	fi
	return "$status"
}
