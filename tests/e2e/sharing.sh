#!/bin/bash
# shellcheck disable=SC2154  # nodes.sh sets
# SPDX-License-Identifier: Apache-2.0
#
# Several moves at once: who goes first, who waits for a turn, and a move that is paused and resumed, in
# the midst of its copy and, with LATER=yes, near its end.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

# detached VM [OPTION]...: orders its move from a to b and prints the id.
detached() {
	order a move "$1" b "${@:2}" "${patient[@]}" --detach --json | jq -r .move
}

state_is() {
	[ "$(move_field a "$1" state)" = "$2" ]
}

sent_more_than() {
	local n
	n=$(move_field a "$1" wire_bytes)
	[ "${n:-0}" -gt "$2" ]
}

# How often QEMU has stopped the guest NAME that is at a.
stops() {
	grep -c 'new_state 5 (finish-migrate)' "$(vm_console a "$1" | sed 's/console.log$/qemu.log/')" || :
}

stands() {
	local before
	before=$(move_field a "$1" wire_bytes)
	sleep 1
	[ "$(move_field a "$1" wire_bytes)" = "$before" ]
}

nodes_make a b
node_configure a "image_budget: 0" "moves_out: 2"
node_configure b "image_budget: 0"
node_start a
node_start b
vm_watch
for vm in web one two; do
	vm_memory=96M vm_describe "$vm" "tagguest.mem=16M tagguest.rate=100K tagguest.verify=16M"
	vm_start a "$vm"
done

say "two leave at a time; the third waits, and goes before others when it is raised"
first=$(detached web --bandwidth 20Mbit)
second=$(detached one --bandwidth 20Mbit)
third=$(detached two)
wait_for 30 state_is "$first" copying
wait_for 30 state_is "$second" copying
state_is "$third" queued || fail "the third is $(move_field a "$third" state)"
ends 0 'queued' migrator_at a status
ends 0 'high priority' migrator_at a priority "$third" high
[ "$(move_field a "$third" priority)" = high ] || fail "nobody says that it was raised"
ends 2 'high, normal or low' migrator_at a priority "$third" highest
ends 1 'only one that is copying' migrator_at a pause "$third"
state_is "$third" queued || fail "the third is $(move_field a "$third" state)"

say "one is paused in the midst of it and sends no more"
mark=$(guest_mark "$(vm_console a web)")
wait_for 60 sent_more_than "$first" 4000000
ends 0 'paused' migrator_at a pause "$first"
ends 0 '"result": "paused"' migrator_at a pause "$first" --json
wait_for 30 stands "$first"
[ "$(move_field a "$first" paused)" = true ] || fail "nobody says that it is paused"
[ "$(stops web)" -eq 0 ] || fail "the guest was stopped"

say "another one leaves in the meantime, and then the one that waited"
wait_for 120 state_is "$second" "done"
wait_for 120 state_is "$third" "done"
wait_for 60 vm_runs_at b two
state_is "$first" copying || fail "the paused move is $(move_field a "$first" state)"

say "resumed, it goes on"
ends 0 'resumed' migrator_at a resume "$first"
wait_for 120 state_is "$first" "done"
wait_for 60 guest_verified "$(vm_console b web)" "$mark"

say "one arrives at a time, and the next when it is called off"
node_stop a
node_configure a "image_budget: 0" "moves_in: 1"
node_start a
begin_move b a --bandwidth 10Mbit
arrives() {
	[ "$(move_state b "$move")" = copying ]
}
wait_for 30 arrives
waits=$(order b move one a --detach --json --priority high | sed -n 's/.*"move": *"\([0-9a-f-]*\)".*/\1/p')
wait_for 30 file_has "$tmpdir/b.log" "move=$waits .*waits: at a 1 moves at most"
[ "$(move_state a "$waits")" = none ] || fail "a has begun with the second"
migrator_at b cancel "$move" >/dev/null
came() {
	[ "$(move_state b "$waits")" = "done" ]
}
wait_for 120 came
vm_runs_at a one || fail "it does not run at a"

if [ -z "${LATER:-}" ]; then # a minute and more: part of "make soak"
	runs_once
	exit 0
fi
say "one is paused in a later round, and the guest writes meanwhile"
vm_memory=96M vm_describe busy "tagguest.mem=16M tagguest.rate=2M tagguest.verify=16M"
vm_start a busy
mark=$(guest_mark "$(vm_console a busy)")
busy=$(detached busy --bandwidth 12Mbit --blackout 8ms)
later_round() {
	[ "$(move_field a "$busy" round)" -ge 2 ]
}
wait_for 60 later_round
ends 0 'paused' migrator_at a pause "$busy"
sleep 5
[ "$(stops busy)" -eq 0 ] || fail "the guest was stopped"
ends 0 'resumed' migrator_at a resume "$busy"
wait_for 120 state_is "$busy" "done"
wait_for 60 guest_verified "$(vm_console b busy)" "$mark"
ends 1 'too late|no such move' migrator_at a pause "$busy"
runs_once
