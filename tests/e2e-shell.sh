#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The shell on a terminal, with expect(1) at the keyboard: prompt, history, completion of commands, options and VM names.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
command -v expect >/dev/null || plan_skip 'expect is not installed'
export LC_ALL=C.UTF-8 TERM=dumb INPUTRC=/dev/null
export LODGE_HOME=$tap_tmp/home
unset LODGE_DEFAULT_URI LODGE_HISTSIZE VIRSH_HISTSIZE

ln -s "$LODGE" "$tap_tmp/virsh"
for name in alpha 'be ta'; do
	echo "<domain type='qemu'><name>$name</name><memory>16384</memory><os><type>hvm</type></os></domain>" >"$tap_tmp/vm.xml"
	"$LODGE" -q define "$tap_tmp/vm.xml"
done

# shell PROGRAM PROMPT < steps: "type TEXT", "see TEXT" and "ended" of the steps are done in turn; whatever is not seen fails.
shell()
{
	{
		cat <<-'END'
			log_user 1
			set timeout 60
			proc see {text} {
				expect -ex $text {} timeout { puts "\nnot seen: $text"; exit 1 } eof { puts "\nended before: $text"; exit 1 }
			}
			proc type {text} { send -- $text }
			proc ended {status} {
				expect eof {} timeout { puts "\nnot ended"; exit 1 }
				set result [lindex [wait] 3]
				if {$result != $status} { puts "\nexit status $result"; exit 1 }
			}
		END
		echo "spawn -noecho $1"
		echo "see {$2}"
		cat
	} >"$tap_tmp/steps"
	expect -f "$tap_tmp/steps"
}

as_virsh()
{
	shell "$tap_tmp/virsh" 'virsh # ' <<-'END'
		type "echo one two\r"
		see "one two"
		see "virsh # "
		type "nosuch\r"
		see "error: unknown command: 'nosuch'"
		see "virsh # "
		type "dominfo nobody; echo goes on\r"
		see "error: failed to get domain 'nobody'"
		see "goes on"
		see "virsh # "
		type "cd /\r"
		see "virsh # "
		type "pwd\r"
		see "\r\n/\r\n"
		see "virsh # "
		type "echo 'open\r"
		see "error: missing '"
		see "virsh # "
		type "quit\r"
		ended 0
	END
}

as_lodge()
{
	shell "$LODGE --batch" 'lodge # ' <<-'END'
		type "list --all --name\r"
		see "alpha"
		see "be ta"
		see "lodge # "
		type "exit\r"
		ended 0
	END
}

end_of_input()
{
	shell "$tap_tmp/virsh -q" 'virsh # ' <<-'END'
		type "\004"
		ended 0
	END
}

readonly_prompt()
{
	shell "$tap_tmp/virsh -r" 'virsh > ' <<-'END'
		type "undefine alpha\r"
		see "read only access"
		see "virsh > "
		type "connect\r"
		see "virsh # "
		type "quit\r"
		ended 0
	END
}

# The second shell finds what was typed in the first one.
remembers()
{
	rm -f "$LODGE_HOME/state/history"
	shell "$tap_tmp/virsh" 'virsh # ' <<-'END' || return 1
		type "echo from before\r"
		see "from before\r\n"
		see "virsh # "
		type "quit\r"
		ended 0
	END
	[[ $(stat -c %a "$LODGE_HOME/state/history") == 600 ]] || return 1
	shell "$tap_tmp/virsh" 'virsh # ' <<-'END'
		type "\020\020"
		see "echo from before"
		type " again\r"
		see "\nfrom before again"
		see "virsh # "
		type "quit\r"
		ended 0
	END
}

keeps_what_it_is_told()
{
	rm -f "$LODGE_HOME/state/history"
	LODGE_HISTSIZE=2 shell "$tap_tmp/virsh" 'virsh # ' <<-'END' || return 1
		type "echo a\r"
		see "virsh # "
		type "echo b\r"
		see "virsh # "
		type "quit\r"
		ended 0
	END
	[[ $(<"$LODGE_HOME/state/history") == $'echo b\nquit' ]]
}

completes()
{
	shell "$tap_tmp/virsh" 'virsh # ' <<-'END'
		type "domsta\t"
		see "\007t"
		type "e alp\t"
		see "alpha "
		type "--rea\t"
		see "--reason "
		type "\r"
		see "shut off ("
		see "virsh # "
		type "domstate be\t"
		see "'be ta'"
		type "\r"
		see "shut off"
		see "virsh # "
		type "uri; domstat\t\t"
		see "domstate  domstats"
		type "\025quit\r"
		ended 0
	END
}

plan 7

ok 'as virsh' as_virsh
ok 'as lodge' as_lodge
ok 'the end of the input' end_of_input
ok 'read-only' readonly_prompt
ok 'history' remembers
ok 'history of a size' keeps_what_it_is_told
ok 'completion' completes
tap_end
