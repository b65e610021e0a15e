#!/bin/bash
# shellcheck disable=SC2154  # nodes.sh sets
# SPDX-License-Identifier: Apache-2.0
#
# The commands against real migratords: what they do, what they print, how they
# end; with refusals, an interrupt, a cancel and a daemon that dies on the way.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

# moves_field NODE FIELD: of the newest move that the node knows.
moves_field() {
	migrator_at "$1" history --json --limit 1 | jq -r --arg field "$2" '.moves[0][$field] // ""'
}

move_is() {
	[ "$(moves_field a state)" = "$1" ]
}

nodes_make a b
node_start a
node_start b
vm_describe web tagguest.mem=32M tagguest.rate=2M

say "VMs"
ends 0 '^no VMs$' migrator_at a vm list
ends 0 '^would be started: web$' migrator_at a vm start "$tmpdir/web.yaml" --dry-run
sed 's/^kernel: .*/kernel: none/' "$tmpdir/web.yaml" >"$tmpdir/broken.yaml"
ends 1 "kernel '.*none': No such file" migrator_at a vm start "$tmpdir/broken.yaml" --dry-run
ends 0 '^no VMs$' migrator_at a vm list
vm_start a web
vm_watch
ends 0 '^web  *running  *a ' migrator_at a vm list
ends 0 '^Machine  *pc-q35-7.2$' migrator_at a vm show web
ends 1 "migrator: .*web" migrator_at a vm start "$tmpdir/web.yaml"
ends 1 "migrator: .*web" migrator_at a vm start "$tmpdir/web.yaml" --dry-run
ends 0 '^would be stopped: web$' migrator_at a vm stop web --dry-run
ends 0 '^web  *running  *a ' migrator_at a vm list
ends 1 "no VM 'desk'" migrator_at a vm show desk
ends 1 'desk' migrator_at a vm stop desk
ends 1 'desk' migrator_at a vm stop desk --dry-run

say "moves that are refused"
ends 1 "no VM named 'desk' on a" migrator_at a move desk b
ends 2 "no node 'c' under nodes:" migrator_at a move web c
ends 1 'web is on a already' migrator_at a move web a
ends 0 '^nothing blocks the move of web to b$' migrator_at a move web b --dry-run
vm_runs_at a web || fail "a dry run moved it"
ends 0 ' aborted .* dry-run' migrator_at a history --limit 1
ends 0 '^nothing blocks the move of web to b$' migrator_at a warm web b --dry-run
ends 0 ' aborted .* dry-run' migrator_at a history --limit 1
ends 0 '^no images$' migrator_at b image list

say "images that would be made"
ends 0 '^would be added: base image common$' migrator_at a image add common --vm web --dry-run
ends 1 "no VM named 'desk'" migrator_at a image add common --vm desk --dry-run
ends 1 "no base image 'common'" migrator_at b image add common --from a --dry-run
ends 0 '^no images$' migrator_at a image list
migrator_at a image add common --vm web >/dev/null
ends 0 '^would be added: base image common$' migrator_at b image add common --from a --dry-run
ends 0 '^no images$' migrator_at b image list
ends 0 '^would be removed: image ' migrator_at a image remove common --dry-run
ends 0 ' common ' migrator_at a image list
migrator_at a image remove common >/dev/null
ends 0 '^no images$' migrator_at a image list
ends 0 '^usage: migrator move ' "$MIGRATOR" help move
ends 0 '^usage: migrator COMMAND ' "$MIGRATOR" help
ends 2 "unknown command 'mvoe'; did you mean 'move'" "$MIGRATOR" help mvoe

say "a move, as JSON"
mark=$(guest_mark "$(vm_console a web)")
migrator_at a move web b "${patient[@]}" --json >"$tmpdir/lines"
python3 - "$tmpdir/lines" <<'PYTHON'
import json, sys
events = [json.loads(line) for line in open(sys.argv[1])]
assert [e["event"] for e in events[:-1]] == ["progress"] * (len(events) - 1), events
last = events[-1]
assert last["event"] == "result" and last["state"] == "done", last
assert last["wire_bytes"] > 1 << 20 and 0 < last["blackout_ns"] < 5e9, last
PYTHON
ends 0 '^no VMs$' migrator_at a vm list
wait_for 60 guest_verified "$(vm_console b web)" "$mark"
ends 0 '^[0-9a-f]{8} .* web  *a  *b  *done ' migrator_at a history

say "the target's record of it"
migrator_at b history --json --vm web >"$tmpdir/arrived"
python3 - "$tmpdir/lines" "$tmpdir/arrived" <<'PYTHON'
import json, sys
source = json.loads(open(sys.argv[1]).readlines()[-1])
target = json.load(open(sys.argv[2]))["moves"][0]
both = source, target
for same in ("move", "vm", "source", "target", "state", "reason", "reason_text"):
    assert source[same] == target[same], (same, both)
counts = [k for k in source if k.startswith("pages_")]
assert "pages_zero" in counts and "pages_copy" in counts, source
for count in counts: # what was replaced before it went, or went ahead, only the source knows
    assert source[count] == target[count] or count in ("pages_replaced", "pages_ahead"), (count, both)
assert source["pages_asked"] == 0, source
assert target["incoming"] and "failure" not in target, target
assert target["guest_bytes"] == 4096 * sum(target[k] for k in target if k.startswith("pages_")), target
assert 1 << 20 < target["wire_bytes"] <= source["wire_bytes"], both
assert 0 < target["blackout_ns"] < 20e9 and target["elapsed_ns"] > target["blackout_ns"], both
PYTHON
ends 0 '^[0-9a-f]{8} .* a  *b  *done .* [0-9.]+ m?s  *[0-9.]+ MiB  *operator' migrator_at b history
ends 0 '^no moves yet$' migrator_at b history --vm other

say "cancelled by name, while a second order is refused"
migrator_at b move web a --bandwidth 8Mbit >"$tmpdir/slow" 2>&1 &
slow=$!
wait_for 20 file_has "$tmpdir/slow" '^copying'
ends 1 'web is being moved already' migrator_at b move web a
ends 0 '^web  *moving' migrator_at b vm list
ends 0 ' copying ' migrator_at b status
ends 0 '^would be called off: move ' migrator_at b cancel web --dry-run
ends 0 '^would be paused: move ' migrator_at b pause web --dry-run
ends 0 '^would be low priority: move ' migrator_at b priority web low --dry-run
ends 1 'is not in doubt' migrator_at b resolve web --run-here --dry-run
migrator_at b status --json >"$tmpdir/status"
python3 - "$tmpdir/status" <<'PYTHON'
import json, sys
move = json.load(open(sys.argv[1]))["moves"][0]
assert move["state"] == "copying" and move["priority"] == "normal" and not move.get("paused"), move
PYTHON
ends 0 '^called off: move ' migrator_at b cancel web
status=0
wait "$slow" || status=$?
[ "$status" -eq 4 ] || fail "a cancelled move ends with $status: $(cat "$tmpdir/slow")"
file_has "$tmpdir/slow" 'aborted, web stays on b: .*me' || fail "$(cat "$tmpdir/slow")"
wait_for 10 vm_runs_at b web
ends 1 "no move 'web'" migrator_at b cancel web
target_knows_why() {
	migrator_at a history --limit 1 >"$tmpdir/told"
	file_has "$tmpdir/told" ' b  *a  *aborted .*[0-9] ([KM]i)?B  *operator  *cancelled by me *-?$'
}
wait_for 10 target_knows_why

say "interrupted: the move goes on"
# An interactive shell would let it have SIGINT; a script has to say so.
python3 - "$MIGRATOR" move web a --bandwidth 20Mbit --node b --config "$tmpdir/migrator.yaml" \
	>"$tmpdir/watched" 2>&1 <<'PYTHON' &
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
PYTHON
watched=$!
wait_for 20 file_has "$tmpdir/watched" '^copying'
kill -INT "$watched"
status=0
wait "$watched" || status=$?
[ "$status" -eq 130 ] || fail "an interrupted move ends with $status: $(cat "$tmpdir/watched")"
file_has "$tmpdir/watched" "the move goes on: 'migrator cancel [-0-9a-f]{36} --node b'" ||
	fail "$(cat "$tmpdir/watched")"
wait_for 180 vm_runs_at a web

say "the source's daemon dies, and comes back"
migrator_at a move web b --bandwidth 20Mbit >"$tmpdir/killed" 2>&1 &
killed=$!
wait_for 20 file_has "$tmpdir/killed" '^copying'
node_kill a
lost=vm/lost/00000000-0000-4000-8000-000000000001
mkdir -p "$tmpdir/a/$lost"
touch "$tmpdir/a/$lost/pid" "$tmpdir/a/$lost/qemu.log"
node_start a
[ ! -e "$tmpdir/a/vm/lost" ] || fail "what a power loss left is still there"
file_has "$tmpdir/a.log" 'vm=lost incarnation=00000000-0000-4000-8000-000000000001 has no QEMU'
status=0
wait "$killed" || status=$?
[ "$status" -eq 4 ] || fail "a move that was undone ends with $status: $(cat "$tmpdir/killed")"
wait_for 10 vm_runs_at a web
move_is aborted || fail "history says $(moves_field a state)"

say "nobody is there"
node_stop b
ends 4 'aborted, web stays on a: ' migrator_at a move web b --timeout 3s
wait_for 10 vm_runs_at a web
ends 3 'cannot reach b at tcp://.*: Connection refused' migrator_at b vm list --timeout 2s
ends 3 'b at tcp://' migrator_at b move web a
runs_once

say "a node with a controller wants to be forced"
node_stop a
node_configure a "controller: { endpoint: 'tcp://127.0.0.1:$(free_port)', key: '$(key_of b)' }"
node_start a
wait_for 10 vm_runs_at a web
ends 1 'force' migrator_at a vm stop web
ends 0 '^stopped: web$' migrator_at a vm stop web --force
ends 0 '^no VMs$' migrator_at a vm list
