#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A user without rights, with the XDG directories instead of LODGE_HOME. As root the test becomes such a user, whose number nobody else has.
set -eu
. "${LODGE_SRCDIR:-$(dirname "$0")/..}/tests/tap.sh"

if [[ $(id -u) -eq 0 ]]; then
	chmod 755 "$tap_tmp"
	mkdir -m 700 "$tap_tmp/user"
	number=$((200000 + $$ % 100000))
	# The build may lie where only root may look.
	cp "$LODGE" "$tap_tmp/lodge"
	chmod 755 "$tap_tmp/lodge"
	cp -r "$LODGE_SRCDIR/tests" "$tap_tmp/tests"
	chmod -R a+rX "$tap_tmp/tests"
	chown "$number:$number" "$tap_tmp/user"
	trap 'rm -rf "$tap_tmp"' EXIT
	status=0
	env LODGE="$tap_tmp/lodge" LODGE_SRCDIR="$tap_tmp" LODGE_BUILDDIR="$tap_tmp" TMPDIR="$tap_tmp/user" HOME="$tap_tmp/user" \
		setpriv --reuid="$number" --regid="$number" --clear-groups bash "$tap_tmp/tests/e2e-session.sh" || status=$?
	exit "$status"
fi

. "$LODGE_SRCDIR/tests/life-lib.sh"
unset LODGE_HOME
export HOME=$tap_tmp/home XDG_RUNTIME_DIR=$tap_tmp/runtime
mkdir -m 700 "$HOME" "$XDG_RUNTIME_DIR"
life_guest
plan 17

ok 'the connection is the session' test "$(l uri)" = lodge:///session
ok 'define' define mine e
ok 'the definition is under the XDG directories' test -e "$HOME/.config/lodge/vms/mine.xml"
ok 'for nobody else' test "$(stat -c %a "$HOME/.config/lodge/vms/mine.xml")" = 600
ok 'start' l start mine
ok 'the guest runs' await_line "$tap_tmp/mine.console" up
ok 'its control socket is in the runtime directory' test -S "$XDG_RUNTIME_DIR/lodge/vm/mine/control"
ok 'for nobody else' test "$(stat -c %a "$XDG_RUNTIME_DIR/lodge/vm/mine/control")" = 600
ok 'nor is the directory' test "$(stat -c %a "$XDG_RUNTIME_DIR/lodge/vm/mine")" = 700
ok 'suspend' l suspend mine
ok 'resume' l resume mine
ok 'pinning needs no rights' l vcpupin mine 0 "$(l -f csv,noheader vcpupin mine | cut -d, -f2 | tr -d '"' | grep -o '^[0-9]*')" --live
ok 'statistics' says 'state.state=1' domstats mine
if mkdir "/sys/fs/cgroup/cpu/lodge" 2>/dev/null || [[ -w /sys/fs/cgroup/cgroup.subtree_control ]]; then
	skip 'limits without rights are refused' 'this user may make control groups'
else
	ok 'limits without rights are refused' fails 'control group' schedinfo mine --live cpu_shares=100
fi
ok 'destroy' l destroy mine
ok 'the system is not ours to change' fails 'lodge' -c lodge:///system define "$tap_tmp/mine.xml"
ok 'without a runtime directory it works as well' bash -c "unset XDG_RUNTIME_DIR; '$LODGE' start mine && '$LODGE' destroy mine"
tap_end
