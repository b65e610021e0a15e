#!/bin/bash
# shellcheck disable=SC2154  # nodes.sh sets
# SPDX-License-Identifier: Apache-2.0
#
# With CONNECTIONS=3 one of several data connections is cut, too, while the others live.
# The link is cut for $CUT_S seconds in the midst of a move, or falls silent; the move goes on
# where it was, and the guest never notices. A link that stays away ends the move, a target that
# has given up says so, and in each case the guest runs on where it was.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

connections=${CONNECTIONS:-1} # of the second move; README.md says why not more
cut_s=${CUT_S:-12} # longer than the silence after which a connection is given up

# progress FIELD: of the newest progress line.
progress() {
	tail -n 1 "$tmpdir/progress" | python3 -c '
import json, sys
print(json.loads(sys.stdin.read() or "{}").get(sys.argv[1], 0))' "$1" 2>/dev/null || echo 0
}

half_is_sent() {
	[ "$(progress guest_bytes)" -gt 30000000 ]
}

has_reconnects() {
	[ "$(progress reconnects)" -ge "$1" ]
}

# How often QEMU has stopped the guest that is at NODE.
stops() {
	grep -c 'new_state 5 (finish-migrate)' "$(vm_console "$1" web | sed 's/console.log$/qemu.log/')" || :
}

# The target has let go of its copy, too.
only_one_is_left() {
	[ "$(qemus)" -eq 1 ]
}

# slow_move FROM TO [OPTION]...: in the background, with its progress in a file; returns in its midst.
slow_move() {
	: >"$tmpdir/progress"
	order "$1" move web "$2" --bandwidth 40Mbit "${patient[@]}" --json "${@:3}" >"$tmpdir/progress" 2>"$tmpdir/error" &
	mover=$!
	wait_for 60 half_is_sent
}

mover_ends() {
	local status=0
	wait "$mover" || status=$?
	[ "$status" -eq "$1" ] || fail "the move ends with $status: $(cat "$tmpdir/error" && tail -n 1 "$tmpdir/progress")"
}

nodes_make a b
nodes_link 1
for node in a b; do
	node_configure "$node" "image_budget: 0"
	node_start "$node"
done
vm_watch
vm_memory=128M vm_describe web "tagguest.mem=32M tagguest.rate=200K tagguest.verify=64M"
vm_start a web

say "a cut of $cut_s s"
mark=$(guest_mark "$(vm_console a web)")
slow_move a b --patience "$((cut_s + 60))s"
link_cut
sleep "$cut_s"
[ "$(progress link_down)" = True ] || fail "nobody says that the link is down: $(tail -n 1 "$tmpdir/progress")"
[ "$(stops a)" -eq 0 ] || fail "the guest was stopped"
nodes_link 1
mover_ends 0
python3 - "$tmpdir/progress" "$cut_s" <<'PYTHON'
import json, sys
last = json.loads(open(sys.argv[1]).readlines()[-1])
assert last["event"] == "result" and last["state"] == "done", last
assert last["reconnects"] >= 1, last
assert last["elapsed_ns"] > float(sys.argv[2]) * 1e9, last
assert last.get("resent_bytes", 0) < last["wire_bytes"] / 10, last
print("resume.sh: %.1f MB sent, %d bytes of them again, blackout %.0f ms" % (
    last["wire_bytes"] / 1e6, last.get("resent_bytes", 0), last["blackout_ns"] / 1e6))
PYTHON
wait_for 60 guest_verified "$(vm_console b web)" "$mark"

say "a cut in which nothing is away for long; with several connections one is cut before"
mark=$(guest_mark "$(vm_console b web)")
slow_move b a --connections "$connections"
if [ "$connections" -gt 1 ]; then
	link_cut_one
	wait_for 30 has_reconnects 1
fi
link_cut
nodes_link 1
mover_ends 0
python3 - "$tmpdir/progress" "$connections" <<'PYTHON'
import json, sys
last = json.loads(open(sys.argv[1]).readlines()[-1])
connections = int(sys.argv[2])
assert last["event"] == "result" and last["state"] == "done", last
assert last["connections"] == connections, last
assert last["reconnects"] >= min(connections, 2), last
print("resume.sh: %.1f MB sent, %d bytes of them again, blackout %.0f ms" % (
    last["wire_bytes"] / 1e6, last.get("resent_bytes", 0), last["blackout_ns"] / 1e6))
PYTHON
wait_for 60 guest_verified "$(vm_console a web)" "$mark"

say "one that outlasts the patience"
mark=$(guest_mark "$(vm_console a web)")
slow_move a b --patience 1s
link_cut
mover_ends 4
file_has "$tmpdir/progress" 'no other within 1 s' || fail "$(tail -n 1 "$tmpdir/progress")"
[ "$(progress link_down)" = False ] || fail "an aborted move still waits for its link"
wait_for 10 vm_runs_at a web
wait_for 30 only_one_is_left
nodes_link 1
wait_for 60 guest_verified "$(vm_console a web)" "$mark"

say "the target's daemon dies: it has given the move up when it is back"
mark=$(guest_mark "$(vm_console a web)")
slow_move a b --connections 2
node_kill b
node_start b
mover_ends 4
wait_for 10 vm_runs_at a web
wait_for 60 guest_verified "$(vm_console a web)" "$mark"
runs_once
