#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Blows at random moments of a move, $KILLS in all: kill -9 of either migratord, of
# the target's QEMU before the commit, a link that is cut and one that falls
# silent. Never two running copies; one that runs within five seconds of the
# peers meeting again; memory intact; both sides tell the truth. SEED repeats a run.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

kills=${KILLS:-10}
RANDOM=${SEED:=$((RANDOM))}
say "SEED=$SEED"
blows=(source target cut qemu silence)

# pause MILLISECONDS
pause() {
	sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"
}

# The target's QEMU is held first: it cannot become ready then, so that no commit
# comes between the question and the blow.
kill_before_commit() {
	kill -STOP "$1"
	case $(move_state "$from" "$move") in
	committed | done) kill -CONT "$1" ;;
	*) kill -9 "$1" ;;
	esac
}

# strike BLOW: at a random moment, and puts right what an operator would.
strike() {
	local file moment=$((RANDOM % 4000))
	case $1 in
	source | target)
		local node=$from
		[ "$1" = source ] || node=$to
		pause "$moment"
		node_kill "$node"
		pause $((RANDOM % 1500))
		node_start "$node"
		;;
	qemu)
		moment=$((moment % 2000))
		pause "$moment"
		for file in "$tmpdir/$to"/vm/web/*/pid; do
			[ -f "$file" ] && kill_before_commit "$(cat "$file")"
		done
		;;
	cut)
		pause "$moment"
		link_cut
		pause $((RANDOM % 4000))
		nodes_link 1
		;;
	silence)
		pause "$moment"
		kill -STOP "$link_pid"
		pause $((RANDOM % 4000))
		kill -CONT "$link_pid"
		;;
	esac
	when=$moment met=$(micros)
}

vm_is_somewhere() {
	where=$(vm_where web)
	[ -n "$where" ]
}

# The move may be under way still when the blow did it no harm.
move_is_over() {
	case $(move_state "$from" "$move") in
	done | aborted | revoked | none) ;;
	*) return 1 ;;
	esac
}

truth_is_told() {
	local told
	told=$(move_state "$from" "$move")/$(move_state "$to" "$move")
	case $where:$told in
	"$to":done/done) ;;
	"$from":none/none | "$from":none/aborted | "$from":aborted/none) ;;
	"$from":aborted/aborted | "$from":revoked/aborted | "$from":revoked/revoked) ;;
	*) return 1 ;;
	esac
}

from=a to=b
nodes_make a b
nodes_link 1
node_configure a "image_budget: 0" # so that moves to a last some seconds, those to b less
node_start a
node_start b
vm_watch
vm_lines="disks: [{ size: 2M }]" # its own, which goes along; the guest complains if a block is wrong
vm_memory=96M vm_describe web "tagguest.mem=8M tagguest.rate=2M tagguest.verify=64M tagguest.disk=vda"
vm_start a web
for ((i = 0; i < kills; i++)); do
	blow=${blows[i % ${#blows[@]}]}
	mark=$(guest_mark "$(vm_console "$from" web)")
	begin_move "$from" "$to" --bandwidth 100Mbit
	strike "$blow"
	[ "$blow" = source ] || [ "$blow" = target ] || wait_for 60 move_is_over
	wait_for 30 vm_is_somewhere
	ran_within 5000000 web "$met"
	wait_for 30 truth_is_told
	say "$((i + 1)): $blow after $when ms: it runs on $where," \
		"$from says $(move_state "$from" "$move"), $to says $(move_state "$to" "$move")"
	wait_for 60 guest_verified "$(vm_console "$where" web)" "$mark"
	[ "$where" = "$from" ] || read -r from to <<<"$to $from"
done
runs_once
say "$kills blows"
