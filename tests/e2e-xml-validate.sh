#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lodge xml-validate: which files it takes, what it says about those it refuses, and that no file, however large or deep, keeps
# it busy.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"
export LC_ALL=C.UTF-8 LODGE_HOME=$tap_tmp/home

files=$tap_tmp/files
mkdir "$files"
cat >"$files/good.xml" <<'EOF'
<domain type='kvm'><memory unit='MiB'>64</memory><os><type>hvm</type></os><name>one</name></domain>
EOF
cat >"$files/normal.xml" <<'EOF'
<domain type='kvm'>
  <name>one</name>
  <memory unit='MiB'>64</memory>
  <os>
    <type>hvm</type>
  </os>
</domain>
EOF
sed 's/64/lots/' "$files/good.xml" >"$files/bad.xml"
sed 's/<os>/<colour\/><os>/' "$files/good.xml" >"$files/unknown.xml"
printf '<network><name>n</name></network>' >"$files/network.xml"
printf '<recipe/>' >"$files/recipe.xml"
truncate -s 100M "$files/large.xml"
{
	printf '<!DOCTYPE d [<!ENTITY a "ha">\n'
	for i in {1..30}; do
		printf '<!ENTITY b%d "&b%d;&b%d;">\n' "$i" $((i - 1)) $((i - 1))
	done
	printf ']><domain>&b30;</domain>'
} >"$files/bomb.xml"
{
	printf '<a>%.0s' {1..20000}
} >"$files/deep.xml"

# run ARGUMENT...: with exit status, standard output and error in $status, $files/out and $files/err.
run()
{
	status=0
	"$LODGE" xml-validate "$@" >"$files/out" 2>"$files/err" </dev/null || status=$?
	cat "$files/out" "$files/err"
}

# refused STATUS WORDS ARGUMENT...: a line of error with WORDS in it, nothing on standard output.
refused()
{
	local want=$1 words=$2

	shift 2
	run "$@"
	[[ $status -eq $want && ! -s $files/out && $(wc -l <"$files/err") -eq 1 ]] && grep -qF -- "$words" "$files/err"
}

# validates FILE [ARGUMENT...]
validates()
{
	local file=$1

	shift
	run "$@" "$file"
	[[ $status -eq 0 && ! -s $files/err ]] && grep -qxF "$file validates" "$files/out"
}

every_file_is_looked_at()
{
	run "$files/bad.xml" "$files/good.xml" "$files/recipe.xml"
	[[ $status -eq 1 && $(wc -l <"$files/err") -eq 2 ]] && grep -qxF "$files/good.xml validates" "$files/out"
}

normalizes()
{
	run --normalize "$1"
	[[ $status -eq 0 ]] && cmp "$files/out" "$files/normal.xml"
}

standard_input()
{
	"$LODGE" xml-validate - <"$files/good.xml"
}

nothing_was_made()
{
	[[ ! -e $LODGE_HOME ]]
}

plan 17
ok 'no file' refused 2 'file'
ok 'a file that is not there' refused 1 "$files/none.xml: cannot open" "$files/none.xml"
ok 'unknown kind' refused 2 "--schema 'cake'" --schema cake "$files/good.xml"
ok 'another kind' refused 1 'the root element of a network is <network>' --schema network "$files/good.xml"
ok 'root element of no kind' refused 1 "$files/recipe.xml:1: /recipe: " "$files/recipe.xml"
ok 'a bad value, with its place' refused 1 "$files/bad.xml:1: /domain/memory: 'lots' is not a number" "$files/bad.xml"
ok 'an unknown element, with what is allowed' refused 1 '/domain/colour: unknown element; allowed here: name' "$files/unknown.xml"
ok 'a large file' refused 1 'larger than 8 MiB' "$files/large.xml"
ok 'entities' refused 1 "$files/bomb.xml:1: document types" "$files/bomb.xml"
ok 'depth' refused 1 'nested deeper' "$files/deep.xml"
ok 'every file is looked at' every_file_is_looked_at
ok 'a domain' validates "$files/good.xml"
ok 'a network' validates "$files/network.xml" --schema network
ok 'standard input' standard_input
ok 'canonical form' normalizes "$files/good.xml"
ok 'canonical form of the canonical form' normalizes "$files/normal.xml"
ok 'no home is made' nothing_was_made
tap_end
