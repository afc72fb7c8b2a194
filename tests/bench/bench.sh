#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The figures of the README, measured in one run on this machine, beside QEMU's TCG and the bare host. See usage().
# Times are the clock's, and a busy machine spoils them: a note says so. BENCH_CLOCK=cpu takes the processor time of
# the virtual machine's process instead, for work beside others.
set -eu
# Numbers with a point.
export LC_ALL=C

usage()
{
	cat <<'END'
Usage: make bench [ARGS='[--markdown] [--rounds N] [PART...]']

  --markdown   print the tables as the README has them
  --rounds N   so many times in turn, 5 unless given; medians are shown
  PART         boot      to the first line of init, same kernel and initramfs
               work      small workloads in the guest and on the host
               start     from the start of the process to the guest's first instruction
               memory    resident memory of an idle guest's process
               all four unless given
END
}

markdown=
rounds=5
parts=
while [[ $# -gt 0 ]]; do
	case $1 in
	--markdown) markdown=yes ;;
	--rounds)
		rounds=${2:-}
		[[ $rounds =~ ^[1-9][0-9]?$ ]] || { usage >&2 && exit 2; }
		shift
		;;
	boot | work | start | memory) parts+=" $1" ;;
	-h | --help)
		usage
		exit 0
		;;
	*)
		usage >&2
		exit 2
		;;
	esac
	shift
done
parts=${parts:- boot work start memory}

srcdir=${LODGE_SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
builddir=${LODGE_BUILDDIR:-$srcdir/build}
lodge=${LODGE:-$builddir/lodge}
demo=${LODGE_DEMO:-$builddir/demo}
stopwatch=$builddir/tests/bench/stopwatch
guest_bench=$builddir/tests/bench/guest-bench
qemu=$(type -P qemu-system-x86_64) || qemu=

# How long one workload runs in one round, milliseconds.
work_ms=300
# What guests have; the first line of the demo guest's init.
ram=512M
init_line='lodge-demo: init started'

work=$(mktemp -d "${TMPDIR:-/tmp}/lodge-bench.XXXXXX")
running=
# shellcheck disable=SC2317 # called by the trap
clean_up()
{
	trap '' HUP INT TERM
	if [[ -n $running ]]; then
		kill "$running" 2>/dev/null || true
		wait "$running" 2>/dev/null || true
	fi
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

#
# Measuring: every figure is a line "KEY VALUE" in the file figures
#

failures=0
figures=$work/figures
: >"$figures"
notes=$work/notes
: >"$notes"

progress()
{
	[[ ! -t 2 ]] || printf '\r\033[K%s' "$1" >&2
}

figure()
{
	echo "$1 $2" >>"$figures"
}

# broken WHAT LOG: the figure will be missing, or have one value less.
broken()
{
	progress ''
	failures=$((failures + 1))
	echo "failed: $1" >&2
	tail -n 5 "$2" | sed 's/^/  /' >&2
}

# time_command OPTION...: runs stopwatch, its result in the file result. In the background, so that a signal is
# heeded at once.
time_command()
{
	local status=0

	"$stopwatch" "$@" >"$work/result" 2>"$work/log" &
	running=$!
	wait "$running" || status=$?
	running=
	[[ $status -eq 0 ]] || broken "$*" "$work/log"
	return $status
}

# vm lodge|tcg CPUS: the command line that runs a virtual machine, without the guest, in the array command.
vm()
{
	case $1 in
	lodge)
		command=("$lodge" run --accel soft --memory "$ram" --cpus "$2" --no-reboot)
		memfd='lodge-ram'
		append=--append
		kernel=--kernel
		initrd=--initrd
		;;
	tcg)
		# RAM in a memfd as Lodge has it, so that it can be told from the rest of the process.
		command=("$qemu" -accel "tcg,thread=multi" -M "q35,memory-backend=ram"
			-object "memory-backend-memfd,id=ram,size=$ram" -cpu max -smp "$2"
			-nodefaults -display none -serial stdio -no-reboot -device virtio-rng-pci)
		memfd=memory-backend-memfd
		append=-append
		kernel=-kernel
		initrd=-initrd
		;;
	esac
}

peers()
{
	echo lodge
	[[ -z $qemu ]] || echo tcg
}

measure_boot()
{
	local round peer cpus wall cpu

	for ((round = 1; round <= rounds; round++)); do
		for cpus in 1 2; do
			for peer in $(peers); do
				progress "boot, round $round of $rounds: $peer with $cpus"
				vm "$peer" "$cpus"
				time_command "$init_line" "${command[@]}" "$kernel" "$demo/vmlinuz" \
					"$initrd" "$demo/initrd.img" "$append" console=ttyS0 || continue
				read -r wall cpu <"$work/result"
				figure "boot.$peer.$cpus" "$wall"
				figure "boot-cpu.$peer.$cpus" "$cpu"
			done
		done
	done
}

# take_work TARGET: the figures of one run of guest-bench, from its lines and the times they came at.
take_work()
{
	local name

	for name in $("$guest_bench" list); do
		grep -q " bench $name \(end\|skip\)" "$work/result" && continue
		sed -n "/ bench $name begin/,+3p" "$work/result" >"$work/log"
		broken "workload $name, $1" "$work/log"
	done
	awk -v target="$1" -v clock="${BENCH_CLOCK:-wall}" '
	$3 != "bench" { next }
	$5 == "begin" {
		wall = $1
		cpu = $2
	}
	$5 == "end" {
		# Picoseconds for one operation. What guest-bench starts on the host is not in its own processor time.
		children = target == "native" && $4 ~ /^(switch|fork-exec)$/
		print "work." $4 "." target, clock == "cpu" && !children ? ($2 - cpu) * 1000 / $6 : $8
		if ($4 == "integer")
			print "clock." target, $7 / ($1 - wall)
	}' "$work/result" >>"$figures"
}

measure_work()
{
	local round peer script

	mkdir -p "$work/root/bin"
	cp "$guest_bench" "$work/root/bin/guest-bench"
	cp "$demo/initrd.img" "$work/initrd.img"
	# The kernel unpacks one archive after the other.
	(cd "$work/root" && echo bin/guest-bench | cpio --quiet -o -H newc) >>"$work/initrd.img"
	# One at a time: should one fail, the others do not.
	script=$(echo "for name in \$(guest-bench list); do guest-bench $work_ms \$name; done" | base64 -w 0)
	for ((round = 1; round <= (rounds + 1) / 2; round++)); do
		progress "workloads, round $round: native"
		if time_command --lines 'bench done' "$guest_bench" "$work_ms"; then
			take_work native
		fi
		for peer in $(peers); do
			progress "workloads, round $round: $peer"
			vm "$peer" 1
			time_command --lines --timeout 120 lodge-cmd-exit "${command[@]}" "$kernel" "$demo/vmlinuz" \
				"$initrd" "$work/initrd.img" "$append" "console=ttyS0 lodge.cmd=$script" || continue
			take_work "$peer"
		done
	done
}

measure_start()
{
	local round name wall cpu

	# A kernel that soon sends a byte to the serial port, for a virtual machine that boots kernels...
	"${CC:-cc}" -m32 -nostdlib -static -no-pie \
		-Wl,-Ttext-segment=0x100000,-z,noseparate-code,-e,start,--build-id=none \
		-o "$work/first-byte" "$srcdir/tests/guests/console.S"
	# ... and a firmware that does, for one that starts in firmware:
	# mov $0x3f8, %dx; mov $'u', %al; out %al, %dx; 1: hlt; jmp 1b
	truncate -s 65520 "$work/firmware"
	printf '\272\370\003\260u\356\364\353\375' >>"$work/firmware"
	truncate -s 65536 "$work/firmware"

	for ((round = 1; round <= 4 * rounds; round++)); do
		for name in soft auto firmware kernel; do
			progress "start, round $round of $((4 * rounds)): $name"
			case $name in
			soft | auto)
				command=("$lodge" run --accel "$name" --memory "$ram" --kernel "$work/first-byte")
				;;
			*)
				[[ -n $qemu ]] || continue
				vm tcg 1
				;;&
			firmware) command+=(-bios "$work/firmware") ;;
			kernel) command+=(-kernel "$work/first-byte") ;;
			esac
			time_command u "${command[@]}" || continue
			read -r wall cpu <"$work/result"
			figure "start.$name" "$wall"
			figure "start-cpu.$name" "$cpu"
		done
	done
}

measure_memory()
{
	local round peer cpus script key all ram_used own file

	script=$(echo "echo 'bench idle'; sleep 1000" | base64 -w 0)
	for ((round = 1; round <= (rounds + 2) / 3; round++)); do
		for cpus in 1 2; do
			for peer in $(peers); do
				progress "memory, round $round: $peer with $cpus"
				vm "$peer" "$cpus"
				time_command --memory "$memfd" 'bench idle' "${command[@]}" "$kernel" "$demo/vmlinuz" \
					"$initrd" "$demo/initrd.img" "$append" "console=ttyS0 lodge.cmd=$script" ||
					continue
				read -r all ram_used own file <"$work/result"
				key=memory.$peer.$cpus
				figure "$key.all" "$all"
				figure "$key.ram" "$ram_used"
				figure "$key.own" "$own"
				figure "$key.file" "$file"
				figure "$key.over" $((all - ram_used))
			done
		done
	done
}

#
# Printing
#

# sum_up: the medians, minima and counts of all figures: "KEY MEDIAN MIN COUNT".
sum_up()
{
	sort -k1,1 -k2,2g "$figures" | awk '
	function emit() {
		if (n)
			print key, n % 2 ? value[(n + 1) / 2] : (value[n / 2] + value[n / 2 + 1]) / 2, value[1], n
	}
	$1 != key {
		emit()
		key = $1
		n = 0
	}
	{ value[++n] = $2 }
	END { emit() }'
}

# Reads rows of fields between tabs, the first being the heads, and prints them as a table.
print_table()
{
	awk -F '\t' -v markdown="$markdown" '
	{
		for (i = 1; i <= NF; i++) {
			cell[NR, i] = $i
			if (length($i) > width[i])
				width[i] = length($i)
		}
		columns = NF > columns ? NF : columns
	}
	END {
		for (row = 1; row <= NR; row++) {
			line = markdown ? "|" : ""
			rule = "|"
			for (i = 1; i <= columns; i++) {
				text = sprintf(i == 1 ? "%-" width[i] "s" : "%" width[i] "s", cell[row, i])
				line = line (markdown ? " " text " |" : (i == 1 ? "  " : "   ") text)
				rule = rule (i == 1 ? "---|" : "---:|")
			}
			sub(/ +$/, "", line)
			print line
			if (markdown && row == 1)
				print rule
		}
		print ""
	}'
}

title()
{
	if [[ -n $markdown ]]; then
		printf '**%s**\n\n' "$1"
	else
		echo "$1"
	fi
}

# The words every table is made with: med(key), low(key) or nothing; shown(number, unit); ratio(key, key).
# shellcheck disable=SC2016 # awk
words='
BEGIN { OFS = "\t" }
{
	median[$1] = $2
	least[$1] = $3
}
function med(key) { return key in median ? median[key] : "" }
function low(key) { return key in least ? least[key] : "" }
function digits(x) { return x >= 99.95 ? sprintf("%.0f", x) : x >= 9.995 ? sprintf("%.1f", x) : sprintf("%.2f", x) }
function shown(x, unit) { return x == "" ? "-" : digits(x) unit }
function scaled(x, by, unit) { return x == "" ? "-" : digits(x / by) unit }
function times(a, b) { return a == "" || !b ? "-" : digits(a / b) "x" }
function against(x, limit, text) { return x == "" ? "-" : text (x <= limit ? ": met" : ": MISSED") }
function span(ps) {
	if (ps == "")
		return "-"
	return ps < 1e6 ? digits(ps / 1e3) " ns" : ps < 1e9 ? digits(ps / 1e6) " us" : digits(ps / 1e9) " ms"
}'

print_boot()
{
	title "Boot to the first line of init, median of $rounds"
	awk "$words"'
	END {
		print "guest", "Lodge soft", "QEMU TCG", "Lodge/TCG", "in processor time", "target"
		for (cpus = 1; cpus <= 2; cpus++) {
			a = med("boot.lodge." cpus)
			b = med("boot.tcg." cpus)
			print cpus " vCPU" (cpus > 1 ? "s" : ""), scaled(a, 1e9, " s"), scaled(b, 1e9, " s"),
				times(a, b), times(med("boot-cpu.lodge." cpus), med("boot-cpu.tcg." cpus)),
				a == "" || b == "" ? "-" : against(a / b, 6, "at most 6x")
		}
	}' "$work/medians" | print_table
}

print_work()
{
	local clock='wall clock'

	[[ ${BENCH_CLOCK:-wall} != cpu ]] || clock='processor time'
	title "Workloads in a guest with 1 vCPU, median of $(((rounds + 1) / 2)), $clock"
	awk "$words"'
	function row(name, text,  n, a, b) {
		n = med("work." name ".native")
		a = med("work." name ".lodge")
		b = med("work." name ".tcg")
		print text, span(n), span(a), span(b), times(a, n), times(b, n), times(a, b)
	}
	END {
		print "time for one", "native", "Lodge soft", "QEMU TCG", "Lodge/native", "TCG/native", "Lodge/TCG"
		row("integer", "instruction of an integer loop")
		row("call", "function call")
		row("indirect", "indirect call, unpredictable")
		row("qsort", "item of a qsort() of 4096")
		row("memcpy", "KiB of a memcpy() of 64")
		row("chase", "load of a pointer chase in 4 MiB")
		row("sse-scalar", "Mandelbrot step, SSE2 double")
		row("x87", "the same, x87 long double")
		row("sse-packed", "y = ay + x on 4 floats, SSE")
		row("avx-packed", "y = ay + x on 8 floats, AVX")
		row("syscall", "getppid()")
		row("fault", "page fault")
		row("switch", "context switch through a pipe")
		row("fork-exec", "fork(), exec() and wait()")
	}' "$work/medians" | print_table
	awk "$words"'
	function rate(target) { return med("work.integer." target) }
	END {
		if (rate("lodge") != "") {
			line = "Integer loop: Lodge %.0f million instructions a second (target at least 80: %s)"
			line = sprintf(line, 1e6 / rate("lodge"), 1e6 / rate("lodge") >= 80 ? "met" : "MISSED")
			print line (rate("tcg") != "" ? sprintf(", TCG %.0f", 1e6 / rate("tcg")) : "") \
				(rate("native") != "" ? sprintf(", native %.0f.", 1e6 / rate("native")) : ".")
		}
		line = ""
		if (med("clock.lodge") != "")
			line = sprintf(" Lodge %.3f", med("clock.lodge"))
		if (med("clock.tcg") != "")
			line = line sprintf("%s TCG %.3f", line != "" ? "," : "", med("clock.tcg"))
		if (line != "")
			print "A second of the guest'\''s clock on the host'\''s, over that loop:" line ".\n"
	}' "$work/medians"
}

print_start()
{
	title "Start of the process to the guest's first instruction, median of $((4 * rounds))"
	awk "$words"'
	function row(name, text, target) {
		print text, scaled(med("start." name), 1e6, " ms"), scaled(low("start." name), 1e6, " ms"),
			scaled(med("start-cpu." name), 1e6, " ms"),
			target ? against(med("start." name), 15e6, "at most 15 ms") : ""
	}
	END {
		print "", "median", "least", "processor time", "target"
		row("soft", "Lodge, --accel soft", 1)
		row("auto", "Lodge, --accel auto", 0)
		row("firmware", "QEMU TCG, to the first instruction of its firmware", 0)
		row("kernel", "QEMU TCG, to the kernel'\''s first instruction", 0)
	}' "$work/medians" | print_table
}

print_memory()
{
	title "Resident memory at the idle shell, guest of $ram"
	awk "$words"'
	function row(peer, text, cpus, target,  key) {
		key = "memory." peer "." cpus "."
		print text ", " cpus " vCPU" (cpus > 1 ? "s" : ""), scaled(med(key "all"), 1024, " MiB"),
			scaled(med(key "ram"), 1024, " MiB"), scaled(med(key "over"), 1024, " MiB"),
			scaled(med(key "own"), 1024, " MiB"), scaled(med(key "file"), 1024, " MiB"),
			target ? against(med(key "over"), 12 * 1024, "at most 12 MiB") : ""
	}
	END {
		print "", "total", "guest RAM", "beyond it", "of that: own", "program, libraries", "target (beyond)"
		for (cpus = 1; cpus <= 2; cpus++) {
			row("lodge", "Lodge soft", cpus, 1)
			row("tcg", "QEMU TCG", cpus, 0)
		}
	}' "$work/medians" | print_table
}

describe_machine()
{
	local model beside='no QEMU'

	model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
	[[ -z $qemu ]] || beside=$("$qemu" --version | sed -n 's/^QEMU emulator version \([^ ]*\).*/QEMU \1/p')
	echo "$("$lodge" --version | head -n 1) beside $beside on $model, $(nproc) processors, Linux $(uname -r)"
}

# The hundredths of a second that processors have worked or were kept from it, proc(5).
busy_ticks()
{
	awk '$1 == "cpu" { print $2 + $3 + $4 + $7 + $8 + $9 }' /proc/stat
}

look_for_others()
{
	local before after

	progress 'is the machine idle?'
	before=$(busy_ticks)
	sleep 1
	after=$(busy_ticks)
	[[ $((after - before)) -le 20 ]] ||
		echo "Something else used $((after - before)) % of a processor at the start: do not trust the times." \
			>>"$notes"
}

for file in "$lodge" "$stopwatch" "$guest_bench"; do
	[[ -x $file ]] || {
		echo "error: $file is not there: run \"make bench\"" >&2
		exit 1
	}
done
progress 'demo guest'
"$srcdir/demo/make-guest" "$demo"
[[ -n $qemu ]] || echo "QEMU is not here (apt-get install qemu-system-x86), so its columns are empty." >>"$notes"

look_for_others
progress ''
describe_machine
echo
for part in $parts; do
	"measure_$part"
done
progress ''
sum_up >"$work/medians"
for part in $parts; do
	"print_$part"
done
cat "$notes"
[[ $failures -eq 0 ]] || {
	echo "error: $failures of the runs failed" >&2
	exit 1
}
