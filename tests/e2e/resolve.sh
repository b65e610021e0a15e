#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A host is lost for good inside the commit window. The other one says that the
# move is in doubt and does nothing by itself; an operator who knows resolves it.
# The lost host's daemon comes back later and agrees.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

# lose NODE: what is left of a host after its daemon's death goes too.
lose() {
	local file
	for file in "$tmpdir/$1"/vm/web/*/pid; do
		kill -9 "$(cat "$file")"
	done
}

node_is_dead() {
	! node_is_up "$1"
}

says() {
	[ "$(move_state "$1" "$move")" = "$2" ]
}

# Begins a move from a to b in which the daemon of NODE dies at STEP.
doomed_move() {
	node_stop "$1"
	node_fault[$1]=$2
	node_start "$1"
	node_fault[$1]=
	mark=$(guest_mark "$(vm_console "$from" web)")
	begin_move "$from" "$to"
	wait_for 60 node_is_dead "$1"
	lose "$1"
}

nodes_make a b
node_start a
node_start b
vm_watch
vm_memory=96M vm_describe web "tagguest.mem=8M tagguest.rate=2M tagguest.verify=64M"
vm_start a web

# The target is lost after the decision: the source has a whole, stopped copy.
from=a to=b
doomed_move b kill-before=receive-commit
wait_for 30 says a "in doubt"
[ "$(vm_field a web state)" = stopped ] || fail "web is $(vm_field a web state) while in doubt"
ends 0 "^would be settled: move $move, a runs the VM" migrator_at a resolve "$move" --run-here --dry-run
says a "in doubt" || fail "a dry run settled it"
migrator_at a resolve "$move" --run-here --yes
wait_for 10 vm_runs_at a web
wait_for 10 says a revoked
node_start b
wait_for 10 says b aborted
[ "$(vm_where web)" = a ] || fail "web is not on a alone"
wait_for 60 guest_verified "$(vm_console a web)" "$mark"
say "target lost: $(guest_last "$(vm_console a web)" | cut -c1-60)"

# The source is lost after the decision: the target has loaded all of it.
doomed_move a kill-after=journal-commit
wait_for 30 says b "in doubt"
[ "$(vm_field b web state)" = stopped ] || fail "web is $(vm_field b web state) while in doubt"
ends 0 "^would be settled: move $move, b discards" migrator_at b resolve "$move" --discard --dry-run
says b "in doubt" || fail "a dry run settled it"
migrator_at b resolve "$move" --run-here --yes
wait_for 10 vm_runs_at b web
node_start a
wait_for 30 says a "done"
wait_for 10 says b "done"
[ "$(vm_where web)" = b ] || fail "web is not on b alone"
wait_for 60 guest_verified "$(vm_console b web)" "$mark"

runs_once # so far; of a copy that is killed as it runs nobody sees the end

# The source's daemon dies before the decision: the guest runs on there, or does until its QEMU
# dies. That what the target has is better than nothing is for an operator to say.
from=b to=a
doomed_move b kill-before=receive-state-ready
node_start b
for node in a b; do
	wait_for 30 says "$node" "in doubt"
	migrator_at "$node" status >"$tmpdir/status"
	file_has "$tmpdir/status" "QEMU of web died at b, and may have run it until then: what a has of it may be older" ||
		fail "$node does not say why: $(cat "$tmpdir/status")"
done
ends 1 "no copy of web left here; resolve it at a" migrator_at b resolve "$move" --run-here --dry-run
migrator_at a resolve "$move" --run-here --yes
wait_for 10 vm_runs_at a web
wait_for 10 says a "done"
wait_for 10 says b "done"
[ "$(vm_where web)" = a ] || fail "web is not on a alone"
wait_for 60 guest_verified "$(vm_console a web)" "$mark"

# The target is lost as the source waits for its word, and it had run the guest: after an operator had
# the source run it, too, that is found out.
from=a to=b
doomed_move b kill-before=send-state-ran
wait_for 30 says a "in doubt"
migrator_at a resolve "$move" --run-here --yes
wait_for 10 vm_runs_at a web
wait_for 10 says a revoked
node_start b
wait_for 30 says a "in doubt"
[ "$(vm_field a web state)" = stopped ] || fail "web is $(vm_field a web state) though b has run it"
node_kill a
node_start a
sleep 2
[ "$(vm_field a web state)" = stopped ] || fail "web is $(vm_field a web state) after a restart"
says a "in doubt" || fail "it is $(move_state a "$move") after a restart"
migrator_at a resolve "$move" --run-here --yes
wait_for 10 vm_runs_at a web
wait_for 10 says a revoked
migrator_at b vm stop web
[ "$(vm_where web)" = a ] || fail "web is not on a alone"
rm -r "$nodes_seen/web"

# The source is lost after the decision, and the operator lets the copy go.
doomed_move a kill-after=journal-commit
wait_for 30 says b "in doubt"
migrator_at b resolve "$move" --discard --yes
wait_for 10 says b aborted
wait_for 10 test "$(qemus)" = 0
node_start a
wait_for 30 says a revoked
[ "$(vm_field a web state)" = gone ] || fail "web is $(vm_field a web state), not gone"
runs_once
