#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The command line: what it refuses, in one line and with the right exit status, leaving nothing behind; and what it
# says about itself.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
export LC_ALL=C.UTF-8

work=$tap_tmp/work
files=$tap_tmp/files
mkdir "$work" "$files"
printf 'no kernel at all' >"$files/text"
: >"$files/empty"
head -c 1000000 /dev/zero >"$files/zeros"
truncate -s 1M "$files/disk"

# run ARGUMENT...: leaves exit status, standard output and error of lodge in $status, $files/out and $files/err.
run()
{
	status=0
	(cd "$work" && TMPDIR=$work "$LODGE" "$@") >"$files/out" 2>"$files/err" </dev/null || status=$?
}

# clean: nothing was left where lodge ran.
clean()
{
	[[ -z $(ls -A "$work") ]] || {
		echo "left behind: $(ls -A "$work")"
		return 1
	}
}

# refused STATUS WORDS ARGUMENT...: exactly one line of error with WORDS in it, nothing on standard output.
refused()
{
	local want=$1 words=$2

	shift 2
	run "$@"
	cat "$files/out" "$files/err"
	[[ $status -eq $want ]] || {
		echo "exit status $status, not $want"
		return 1
	}
	[[ ! -s $files/out && $(wc -l <"$files/err") -eq 1 ]] || return 1
	grep -q '^error: ' "$files/err" || return 1
	grep -qF -- "$words" "$files/err" || {
		echo "not about: $words"
		return 1
	}
	clean
}

# prints WORDS ARGUMENT...: succeeds, WORDS on standard output, nothing on standard error.
prints()
{
	local words=$1

	shift
	run "$@"
	cat "$files/out" "$files/err"
	[[ $status -eq 0 && ! -s $files/err ]] && grep -qF -- "$words" "$files/out" && clean
}

# every_option_in_help: the manual page and `lodge run --help` have the same options.
every_option_in_help()
{
	"$LODGE" help --man | sed -n '/^\.SS run$/,/^\.S[SH] [^r]/p' |
		sed -n 's/^\\fB\\-\\-\([a-z\\-]*\)\\fR.*/\1/p' | tr -d '\\' | sort >"$files/man"
	"$LODGE" run --help | sed -n 's/^  --\([a-z-]*\).*/\1/p' | sort >"$files/help"
	[[ -s $files/help ]] && diff "$files/man" "$files/help"
}

man_page_is_sound()
{
	"$LODGE" help --man >"$files/lodge.1"
	groff -man -ww -z -Tutf8 "$files/lodge.1" 2>&1 | tee "$files/warnings"
	[[ -s $files/lodge.1 && ! -s $files/warnings ]]
}

full_output()
{
	local status=0

	"$LODGE" --help >/dev/full 2>"$files/err" || status=$?
	cat "$files/err"
	[[ $status -eq 1 ]] && grep -q '^error: standard output' "$files/err"
}

# On a terminal a refusal changes no mode of it.
terminal_untouched()
{
	script -qec "stty -g >'$files/before'; '$LODGE' run --kernel '$files/text' --accel soft
		stty -g >'$files/after'" /dev/null </dev/null
	[[ -s $files/before ]] && cmp "$files/before" "$files/after"
}

kernel=(run --accel soft --kernel "$files/text")

plan 45

ok 'no command' refused 2 'no command'
ok 'unknown command' refused 2 "unknown command: 'nonsense'" nonsense
ok 'unknown global option' refused 2 "unsupported option '--nonsense'" --nonsense
ok 'unknown option' refused 2 'unknown option --nonsense' run --nonsense
ok 'misspelt option' refused 2 'did you mean --kernel' run --kernl x
ok 'unexpected argument' refused 2 'unexpected argument x' run --kernel y x
ok 'help on an unknown command' refused 2 "command or command group 'nonsense' doesn't exist" help nonsense
ok 'no kernel' refused 2 '--kernel FILE is required' run
ok 'option without its value' refused 2 '--kernel needs a value' run --kernel
ok 'value for a flag' refused 2 '--no-reboot takes no value' run --no-reboot=1
ok 'no processor' refused 2 'from 1 to 32' "${kernel[@]}" --cpus 0
ok 'too many processors' refused 2 'from 1 to 32' "${kernel[@]}" --cpus 33
ok 'memory that is no size' refused 2 '--memory' "${kernel[@]}" --memory lots
ok 'negative memory' refused 2 '--memory' "${kernel[@]}" --memory -1
ok 'too little memory' refused 2 'a VM has 16 MiB' "${kernel[@]}" --memory 15M
ok 'memory that is no number of pages' refused 2 'bytes of memory' "${kernel[@]}" --memory 33000001KB
ok 'memory beyond all numbers' refused 2 '--memory' "${kernel[@]}" --memory 99999999999999T
ok 'unknown accelerator' refused 2 'nonsense' run --kernel "$files/text" --accel nonsense
ok 'unknown accelerator option' refused 2 'nonsense' run --kernel "$files/text" --accel soft,nonsense
ok 'unknown CPU model' refused 2 'nonsense' "${kernel[@]}" --cpu nonsense
ok 'unknown console' refused 2 'nonsense' "${kernel[@]}" --console nonsense
ok 'unknown console target' refused 2 'nonsense' "${kernel[@]}" --console stdio,target=nonsense
ok 'console without a path' refused 2 'unix:' "${kernel[@]}" --console unix:
ok 'unknown disk option' refused 2 'nonsense' "${kernel[@]}" --disk "$files/disk,nonsense"
ok 'disk serial number too long' refused 2 'serial' "${kernel[@]}" --disk "$files/disk,serial=123456789012345678901"
ok 'control characters stay out of messages' refused 2 "command: 'bad?[2Jname'" $'bad\033[2Jname'

ok 'missing kernel' refused 1 "$files/missing: cannot open: No such file" run --accel soft --kernel "$files/missing"
ok 'kernel that is a folder' refused 1 "$files: not a regular file" run --accel soft --kernel "$files"
ok 'empty kernel' refused 1 "$files/empty: the file is empty" run --accel soft --kernel "$files/empty"
ok 'kernel that is text' refused 1 "$files/text: " "${kernel[@]}"
ok 'kernel of zeros' refused 1 "$files/zeros: " run --accel soft --kernel "$files/zeros"
ok 'missing initrd' refused 1 "$files/missing: cannot open" "${kernel[@]}" --initrd "$files/missing"
ok 'missing disk' refused 1 "$files/missing: " "${kernel[@]}" --disk "$files/missing"
ok 'the same disk twice' refused 2 "$files/disk" "${kernel[@]}" --disk "$files/disk" --disk "$files/disk"
ok 'console in a missing folder' refused 1 "$files/missing/x: cannot" "${kernel[@]}" --console "file:$files/missing/x"
ok 'socket path too long' refused 2 'socket' "${kernel[@]}" --console "unix:$files/$(printf 'x%.0s' {1..120})"
ok 'socket of a failed start is removed' refused 1 "$files/text: " "${kernel[@]}" --console "unix:$work/socket"
if [[ $(id -u) -eq 0 ]]; then
	skip 'unreadable kernel' 'root may read everything'
else
	chmod 0 "$files/empty"
	ok 'unreadable kernel' refused 1 'Permission denied' run --accel soft --kernel "$files/empty"
fi
if command -v script >/dev/null && command -v stty >/dev/null; then
	ok 'a refusal leaves the terminal alone' terminal_untouched
else
	skip 'a refusal leaves the terminal alone' 'script (bsdutils) is not installed'
fi
ok 'output that cannot be written' full_output

ok 'version' prints 'lodge ' --version
ok 'overview' prints 'lodge [options]... <command>' --help
ok 'host' prints 'soft' host
ok 'help and manual page have the same options' every_option_in_help
if command -v groff >/dev/null; then
	ok 'manual page is good roff' man_page_is_sound
else
	skip 'manual page is good roff' 'groff is not installed'
fi
tap_end
