#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each daemon of a move is killed before and after every single journal write
# and message of the move: random kills would miss what is a round trip wide.
# One attempt each: another one is another move to the two nodes.
# The link is delayed, journal writes take 20 ms longer, the guest has a disk that it writes to: its
# own, which goes along, or one that both nodes see.
#
#   DELAY_MS=3 JOURNAL_DELAY=20ms DISK=shared   as in "make check"; DISK=own, DISK=
#   ONLY='source:journal-commit'              a regular expression of cases
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

delay_ms=${DELAY_MS-3}
journal_delay=${JOURNAL_DELAY-20ms}
disk=${DISK-shared}
only=${ONLY:-.}

# SIDE:STEP of a move that is done, and (after a colon) of one that is called
# off, or whose target's QEMU dies between COMMIT and RUN.
done_steps=(
	source:journal-begun source:send-prepare source:receive-prepared source:journal-prepared
	source:disk-finish source:receive-state-ready source:journal-commit source:send-commit
	source:receive-state-ran source:journal-done source:journal-settled
	target:receive-prepare target:journal-begun target:journal-prepared target:send-prepared
	target:journal-ready target:send-state-ready target:receive-commit target:journal-run
	target:send-state-ran target:journal-done target:journal-settled
)
cancel_steps=(
	source:journal-aborted source:send-abort source:receive-state-never source:journal-settled
	target:receive-abort target:journal-never target:send-state-never target:journal-settled
)
revoke_steps=(source:receive-state-never source:journal-revoked source:journal-settled)

from=a to=b
runs=0

# fault_at SIDE BLOW STEP: the daemon of that side starts anew with the fault.
fault_at() {
	local node=$from
	[ "$1" = source ] || node=$to
	killed=$node
	node_stop "$node"
	node_fault[$node]=kill-$2=$3${journal_delay:+,journal-delay=$journal_delay}
	node_start "$node"
}

was_killed() {
	! node_is_up "$killed"
}

revive() {
	node_fault[$killed]=${journal_delay:+journal-delay=$journal_delay}
	node_start "$killed"
}

vm_is_somewhere() {
	where=$(vm_where web)
	[ -n "$where" ]
}

# What both sides say of the move is what is true.
truth_is_told() {
	local source target
	[ -n "$move" ] || return 0
	source=$(move_state "$from" "$move")
	target=$(move_state "$to" "$move")
	if [ "$where" = "$to" ]; then
		[ "$source/$target" = done/done ]
	else
		case $source/$target in
		none/none | aborted/none | aborted/aborted | revoked/aborted | revoked/revoked | none/aborted) ;;
		*) return 1 ;;
		esac
	fi
}

# After each case: one copy runs within five seconds, its memory is whole, both
# sides tell the truth.
check() {
	local begun
	revive
	begun=$(micros)
	wait_for 30 vm_is_somewhere
	ran_within 5000000 web "$begun"
	wait_for 30 truth_is_told
	say "$1: it runs on $where; $from says $(move_state "$from" "$move"), $to says $(move_state "$to" "$move")"
	wait_for 60 guest_verified "$(vm_console "$where" web)" "$mark"
	if [ "$where" != "$from" ]; then
		read -r from to <<<"$to $from"
	fi
	runs=$((runs + 1))
}

prepare() {
	mark=$(guest_mark "$(vm_console "$from" web)")
}

case_done() {
	prepare
	fault_at "$1" "$2" "$3"
	begin_move "$from" "$to" "${patient[@]}" --attempts 1
	wait_for 60 was_killed
	check "$1 killed $2 $3"
}

# The move is called off while pages flow; a rate makes sure that they do.
case_cancel() {
	prepare
	fault_at "$1" "$2" "$3"
	begin_move "$from" "$to" --bandwidth 20Mbit "${patient[@]}" --attempts 1
	wait_for 60 pages_flow
	migrator_at "$from" cancel "$move" >/dev/null 2>&1 || :
	wait_for 60 was_killed
	check "cancelled, $1 killed $2 $3"
}

pages_flow() {
	[ "$(move_state "$from" "$move")" = copying ]
}

# The source has decided, the target's daemon is away, and its QEMU dies: the
# target says NEVER, and the source takes the guest back.
case_revoke() {
	local source=$from target=$to file
	prepare
	fault_at target before receive-commit
	begin_move "$from" "$to" "${patient[@]}" --attempts 1
	wait_for 60 was_killed
	for file in "$tmpdir/$target"/vm/web/*/pid; do
		kill -9 "$(cat "$file")"
	done
	if [ "$1" != nobody ]; then
		killed=$source
		node_stop "$source"
		node_fault[$source]=kill-$2=$3${journal_delay:+,journal-delay=$journal_delay}
		node_start "$source"
	fi
	node_fault[$target]=${journal_delay:+journal-delay=$journal_delay}
	node_start "$target"
	if [ "$1" != nobody ]; then
		wait_for 60 was_killed
		check "revoked, $1 killed $2 $3"
	else
		killed=$target
		node_stop "$target"
		check "revoked"
	fi
}

# The target's daemon is about to write down that its QEMU shall run when that dies, unseen: it
# must not be taken for one that has run.
case_unseen_death() {
	local target=$to
	prepare
	node_stop "$target"
	node_fault[$target]=stall-before=journal-run:3s
	node_start "$target"
	begin_move "$from" "$to" "${patient[@]}" --attempts 1
	wait_for 60 source_is committed
	kill -9 "$(cat "$tmpdir/$target"/vm/web/*/pid)"
	wait_for 60 source_is revoked
	killed=$target
	node_stop "$target"
	check "revoked, QEMU died unseen"
}

source_is() {
	[ "$(move_state "$from" "$move")" = "$1" ]
}

# each FUNCTION STEP...
each() {
	local fn=$1 step blow
	shift
	for step in "$@"; do
		[ "$disk" = own ] || [ "$step" != source:disk-finish ] || continue
		[[ $step =~ $only ]] || continue
		for blow in before after; do
			"$fn" "${step%%:*}" "$blow" "${step#*:}"
		done
	done
}

nodes_make a b
nodes_link "$delay_ms"
words="tagguest.mem=8M tagguest.rate=2M tagguest.verify=64M"
case $disk in
own) vm_lines="disks: [{ size: 2M }]" ;;
shared)
	truncate -s 1M "$tmpdir/disk"
	vm_lines="disks: [{ path: $tmpdir/disk, format: raw, shared: true }]"
	;;
esac
[ -z "$disk" ] || words="$words tagguest.disk=vda"
vm_memory=96M vm_describe web "$words"
node_start a
node_start b
vm_watch
vm_start a web
each case_done "${done_steps[@]}"
each case_cancel "${cancel_steps[@]}"
if [[ revoke =~ $only ]]; then
	case_revoke nobody
	each case_revoke "${revoke_steps[@]}"
	case_unseen_death
fi
[ "$runs" -gt 0 ] || fail "no case matches '$only'"
runs_once
say "$runs blows"
