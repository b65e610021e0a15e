#!/bin/bash
# shellcheck disable=SC2154  # nodes.sh sets
# SPDX-License-Identifier: Apache-2.0
#
# Post-copy, of a guest that writes faster than the link carries: it runs at the target and its
# memory follows, over a link that is cut on the way; and what becomes of it when one of the
# daemons is killed: it is lost, which both nodes say, and no copy runs; but one that is whole by then
# is let be. Before that: where post-copy cannot be, it is refused.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

allowed=/proc/sys/vm/unprivileged_userfaultfd
was=$(cat "$allowed" 2>/dev/null) || skip "this kernel has no userfaultfd"

# progress WHAT: whether a line that was told of the move in the background fulfils it, as `m`.
progress() {
	python3 - "$tmpdir/move.log" "$1" <<'PYTHON'
import json, sys
found = False
for line in open(sys.argv[1]):
    try:
        m = json.loads(line)
    except ValueError:
        continue
    found = found or bool(eval(sys.argv[2]))
sys.exit(0 if found else 1)
PYTHON
}

post_copy=(--if-not-converging post-copy --bandwidth 20Mbit --blackout 200ms)
taking='m["state"] == "committed" and m.get("post_copy") and "loses the VM" in m.get("warning", "")'

# begin_post_copy FROM TO: until the guest runs at the target and memory is still to come.
begin_post_copy() {
	background move order "$1" move web "$2" --json --patience 1s "${post_copy[@]}"
	move_pid=$background_pid
	wait_for 60 progress "$taking"
}

move_ends() {
	wait_for 60 process_ended "$move_pid"
	status=0
	wait "$move_pid" || status=$?
}

# state_is NODE STATE: of its last move.
state_is() {
	migrator_at "$1" history --limit 1 >"$tmpdir/told" && file_has "$tmpdir/told" " $2 "
}

nodes_make a b
nodes_link 1
node_start a
node_start b
vm_watch
vm_memory=128M vm_describe web "tagguest.mem=24M tagguest.ws=12M tagguest.rate=40M tagguest.verify=16M"
vm_start a web

say "where it cannot be"
ends 1 "takes one data connection" order a move web b "${post_copy[@]}" --connections 2 --dry-run
if [ "$was" = 0 ]; then
	ends 1 "needs userfaultfd, which b does not allow" order a move web b "${post_copy[@]}" --dry-run
	(echo 1 >"$allowed") 2>/dev/null ||
		skip "post-copy itself: vm.unprivileged_userfaultfd is 0, and only root may change that"
	cleanup_fn eval "echo 0 >$allowed"
fi

say "the link is cut in the midst of it"
mark=$(guest_mark "$(vm_console a web)")
begin_post_copy a b
link_cut
ends 1 "too late" migrator_at a cancel web
wait_for 30 progress 'm.get("link_down") and m["state"] == "in doubt"'
for node in a b; do
	migrator_at "$node" status >"$tmpdir/status"
	file_has "$tmpdir/status" "in post-copy: losing a or b now loses the VM" ||
		fail "the operator is not told at $node: $(cat "$tmpdir/status")"
done
nodes_link 1
move_ends
[ "$status" = 0 ] || fail "the move ends with $status: $(tail -n 2 "$tmpdir/move.log")"
progress 'm["state"] == "done" and m["reconnects"] >= 1 and "warning" not in m and not m.get("lost")' ||
	fail "no move with a cut: $(tail -n 1 "$tmpdir/move.log")"
file_has "$tmpdir/move.log" "losing either host loses the VM" || fail "it was not told beforehand"
wait_for 60 guest_verified "$(vm_console b web)" "$mark"
runs_once

# signal_qemu NODE SIGNAL: to the QEMU that it has of the VM.
signal_qemu() {
	kill "-$2" "$(cat "$tmpdir/$1"/vm/web/*/pid)"
}

# lost_by_kill FROM TO KILLED [COMMAND]: is done before that daemon comes back.
lost_by_kill() {
	say "the daemon of $3 is killed in the midst of it${4:+, and QEMU there is silent}"
	begin_post_copy "$1" "$2"
	node_kill "$3"
	"${@:4}"
	node_start "$3"
	move_ends
	# 5: it was in doubt for a moment
	[ "$status" = 6 ] || [ "$status" = 5 ] || fail "the move ends with $status: $(tail -n 2 "$tmpdir/move.log")"
	for lost_at in a b; do
		wait_for 60 loss_is_told
	done
	wait_for 30 nothing_is_left
	runs_once
	rm -r "$nodes_seen/web"
}

loss_is_told() {
	migrator_at "$lost_at" history --limit 1 >"$tmpdir/told" &&
		file_has "$tmpdir/told" "web is lost, post-copy broke off" &&
		migrator_at "$lost_at" history --limit 1 --json >"$tmpdir/told" && file_has "$tmpdir/told" '"state": *"lost"'
}

# No QEMU, no file, no record of a VM, not even after a restart.
nothing_is_left() {
	local node
	[ "$(qemus)" = 0 ] || return 1
	[ -z "$(find "$nodes_ram" "$tmpdir"/[ab]/vm -mindepth 1 -type f)" ] || return 1
	for node in a b; do
		migrator_at "$node" vm list >"$tmpdir/told" && file_has "$tmpdir/told" "no VMs" || return 1
	done
}

lost_by_kill b a b
node_stop b
node_start b
wait_for 10 nothing_is_left
vm_start a web
lost_by_kill a b b
vm_start a web
lost_by_kill a b b signal_qemu b STOP

say "the target's daemon is killed when all is there, and QEMU is silent"
vm_start a web
node_stop b
node_fault[b]=kill-before=journal-done
node_start b
node_fault[b]=
mark=$(guest_mark "$(vm_console a web)")
begin_post_copy a b
wait_for 60 process_ended "${node_pid[b]}"
signal_qemu b STOP
node_start b
wait_for 60 state_is b "in doubt"
signal_qemu b CONT
wait_for 30 state_is b "done"
wait_for 30 state_is a "done"
wait_for 60 guest_verified "$(vm_console b web)" "$mark"
runs_once
