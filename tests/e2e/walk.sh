#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The testbed: a phone walks and its VM follows, also without root; a run that is
# interrupted leaves nothing behind; a malformed scenario is refused.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"

testbed=$top_builddir/sim/testbed/testbed
scenario=$top_srcdir/sim/scenarios/walk.yaml

requires_guest
requires ip -V
requires bridge -V
[ "$(id -u)" -ne 0 ] && { requires test -w /dev/net/tun; requires unshare --user --net true; }

# --- scenarios that are refused -----------------------------------------------

refuses() {
	sed "$2" "$scenario" >"$tmpdir/$1.yaml"
	! "$testbed" check "$tmpdir/$1.yaml" 2>"$tmpdir/$1.err" || fail "$1: was not refused"
	file_has "$tmpdir/$1.err" "$1.yaml: .*line.* $3" || fail "$1: $(cat "$tmpdir/$1.err")"
}
"$testbed" check "$scenario"
refuses unit 's/^duration: .*/duration: 14/' '6: duration'
refuses tower 's/tower: tower-a/tower: tower-x/' '[0-9]+: guest.tower: there is no tower'
refuses field 's/^duration:/colour: red\n&/' '.*'
refuses type 's/handover: 50/handover: near/' '.*'
! "$testbed" run "$tmpdir/nowhere.yaml" 2>"$tmpdir/nowhere.err" || fail "ran a missing file"
file_has "$tmpdir/nowhere.err" 'No such file' || fail "$(cat "$tmpdir/nowhere.err")"

# --- interrupted runs ------------------------------------------------------------

# All processes of a pid namespace, seen from outside.
inhabitants() {
	local process
	for process in /proc/[0-9]*; do
		[ "$(readlink "$process/ns/pid" 2>/dev/null)" != "$1" ] || echo "$process"
	done
}

nobody_in() {
	[ -z "$(inhabitants "$1")" ]
}

# Those that end while we look are none.
qemu_in() {
	local process
	for process in $(inhabitants "$1"); do
		case $(readlink "$process/exe" 2>/dev/null) in *qemu*) return 0 ;; esac
	done
	return 1
}

# What a run would leave outside if its world were not its own.
traces() {
	ls -d /run/testbed /run/netns/tower-a /dev/shm/desktop* /sys/class/net/core0 2>/dev/null || :
}

interrupted_by() {
	local signal=$1 results=$tmpdir/$1 first world status=0
	"$testbed" -r "$results" run "$scenario" >"$tmpdir/$signal.log" 2>&1 &
	local pid=$!
	cleanup_fn end_process "$pid"
	wait_for 60 file_has "$tmpdir/$signal.log" '^ *2\.0s '
	first=$(pgrep -P "$pid")
	world=$(readlink "/proc/$first/ns/pid")
	! nobody_in "$world" || fail "no process in $world"
	wait_for 10 qemu_in "$world"
	kill "-$signal" "$pid"
	wait "$pid" || status=$?
	wait_for 10 nobody_in "$world"
	[ "$status" -eq "$2" ] || fail "SIG$signal: status $status instead of $2"
	[ -z "$(traces)" ] || fail "SIG$signal: left $(traces | tr '\n' ' ')"
	say "SIG$signal in mid-run leaves nothing behind"
}
interrupted_by INT 130
interrupted_by TERM 143
interrupted_by KILL 137

# --- a whole run --------------------------------------------------------------------

# Root gives its rights away first, if it can: into a mount namespace with a
# /dev/net/tun that all may open, and a build folder that all may read.
without_root() {
	[ "$(id -u)" -eq 0 ] || return 1
	cat >"$tmpdir/without-root" <<-'SCRIPT'
		set -e
		mount -t tmpfs none /mnt
		mknod /mnt/tun c 10 200
		chmod 666 /mnt/tun
		mount --bind /mnt/tun /dev/net/tun
		exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
	SCRIPT
	as_nobody=(unshare --mount --propagation private sh "$tmpdir/without-root")
	chmod 755 "$tmpdir"
	"${as_nobody[@]}" unshare --user --net test -x "$testbed" 2>/dev/null
}

as_nobody=()
mkdir "$tmpdir/run"
if without_root; then
	chown 65534:65534 "$tmpdir/run"
else
	as_nobody=()
fi
say "a whole run as user $(${as_nobody[@]+"${as_nobody[@]}"} id -u)"
${as_nobody[@]+"${as_nobody[@]}"} "$testbed" -r "$tmpdir/run" run "$scenario" >"$tmpdir/run.log" 2>&1 ||
	fail "status $?"
for check in moves "guest's memory" "TCP connection" "RTT in the end" replay; do
	file_has "$tmpdir/run.log" "^ok +$check: " || fail "no verdict on $check"
done
file_has "$tmpdir/run/index.html" 'tower-a → tower-b' || fail "the move is not in the chart"
file_has "$tmpdir/run/decisions.log" ' warm vm=desktop from=tower-a to=tower-b' ||
	fail "nothing was sent ahead of the move"
cat "$tmpdir/run.log"
