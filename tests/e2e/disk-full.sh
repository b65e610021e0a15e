#!/bin/bash
# shellcheck disable=SC2154  # nodes.sh sets
# SPDX-License-Identifier: Apache-2.0
# The disk of the source is full when a move is to be decided, and the guest stands still: it runs on
# at once, for the move can only be undone. It is, on both sides, when there is room again.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
[ "$(id -u)" -eq 0 ] || skip "only root may mount a disk that is small"
mkdir "$tmpdir/a"
mount -t tmpfs -o size=16M tagalong-test "$tmpdir/a"
cleanup_fn umount -l "$tmpdir/a" # after nodes.sh, which comes later, has ended all that is there
. "$top_srcdir/tests/e2e/nodes.sh"

says() {
	[ "$(move_state "$1" "$move")" = "$2" ]
}

# Its move is still open.
runs_on() {
	[ "$(vm_field a web state)" = moving ]
}

nodes_make a b
node_fault[a]=stall-before=receive-state-ready:10s
node_start a
node_start b
vm_watch
vm_memory=96M vm_describe web "tagguest.mem=8M tagguest.rate=2M tagguest.verify=64M"
vm_start a web
mark=$(guest_mark "$(vm_console a web)")
begin_move a b "${patient[@]}" --attempts 1
wait_for 30 says b ready
! dd if=/dev/zero of="$tmpdir/a/full" bs=64k 2>/dev/null || fail "the disk is not full"
wait_for 20 runs_on
for _ in 1 2 3 4 5 6 7 8 9 10; do
	runs_on || fail "web is $(vm_field a web state)"
	! vm_runs_at b web || fail "web runs at b, too"
	sleep 0.2
done
file_has "$tmpdir/a.log" "cannot write stage" || fail "nobody is told of the disk"
rm "$tmpdir/a/full"
wait_for 30 says a aborted
wait_for 30 says b aborted
[ "$(vm_where web)" = a ] || fail "web is not on a alone"
wait_for 60 guest_verified "$(vm_console a web)" "$mark"
! grep -h "(running)" "$nodes_seen"/web/*.qemu.log || fail "a copy has run at b" # a's log is on a disk of its own
