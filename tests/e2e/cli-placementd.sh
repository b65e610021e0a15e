#!/bin/bash
# shellcheck disable=SC2154  # nodes.sh sets
# SPDX-License-Identifier: Apache-2.0
#
# The commands through placementd, which passes orders on to two real nodes:
# start, move (watched to its end), cancel, stop; and the nodes refuse what goes
# past their controller.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

# tells_image NODE VM: the controller knows that the node keeps an image of it.
tells_image() {
	migrator node list --json | python3 -c '
import json, sys
nodes = {node["name"]: node for node in json.load(sys.stdin)["nodes"]}
sys.exit(sys.argv[2] not in [image.get("vm") for image in nodes[sys.argv[1]]["images"]])' "$@"
}

nodes_make a b
"$MIGRATOR" keys make "$tmpdir/keys/main" >"$tmpdir/keys/main.pub"
orders=$(free_port)
"$MIGRATOR" keys allow operator me "$(key_of me)" --to "$tmpdir/main.allow" >/dev/null
for node in a b; do
	"$MIGRATOR" keys allow node "$node" "$(key_of "$node")" --to "$tmpdir/main.allow" >/dev/null
	node_configure "$node" "controller: { endpoint: 'tcp://127.0.0.1:$orders', key: '$(key_of main)' }"
done
echo "controller: { endpoint: 'tcp://127.0.0.1:$orders', key: '$(key_of main)' }" >>"$tmpdir/migrator.yaml"
cat >"$tmpdir/main.yaml" <<YAML
name: main
key: $tmpdir/keys/main
allow: $tmpdir/main.allow
listen: tcp://127.0.0.1:$orders
listen_reports: tcp://127.0.0.1:$(free_port)
store: $tmpdir/main.db
policy: { threshold: 20ms, hold: 1s, margin: 5ms }
limits: { blackout_max: 20s }
YAML

say "nobody is there yet"
ends 3 "cannot reach placementd at tcp://127.0.0.1:$orders: Connection refused" \
	migrator status --timeout 2s

background main "$top_builddir/placementd" --config "$tmpdir/main.yaml"
node_start a
node_start b
for node in a b; do
	wait_for 20 prints "^$node  *yes" node list
done

say "a VM is started where it should be"
vm_describe web tagguest.mem=32M tagguest.rate=2M
ends 1 "no node named 'c'" migrator vm start "$tmpdir/web.yaml" --on c
ends 0 '^started: web$' migrator vm start "$tmpdir/web.yaml" --on a
wait_for 20 prints '^web  *running  *a ' vm list
vm_watch
wait_for 60 guest_up "$(vm_console a web)"
ends 1 'force' migrator_at a vm stop web
ends 1 'force' migrator_at a move web b

say "a move, watched to its end"
mark=$(guest_mark "$(vm_console a web)")
ends 1 "no VM named 'desk'" migrator move desk b
ends 1 "no node named 'c'" migrator move web c
ends 0 '^moved web from a to b$' migrator move web b
wait_for 20 prints '^web  *running  *b ' vm list
ends 0 '^[0-9a-f]{8} .* web  *a  *b  *done .* operator' migrator history
wait_for 60 guest_verified "$(vm_console b web)" "$mark"

say "a frozen VM stays, and a node is emptied"
ends 0 '^frozen: web ' migrator vm freeze web
ends 0 '^web  *it is frozen$' migrator node drain b --dry-run
ends 0 '^thawed: web ' migrator vm thaw web
ends 0 '^web  *a$' migrator node drain b
wait_for 60 prints '^web  *running  *a ' vm list
wait_for 20 prints '^b .* drained$' node list
ends 1 "node 'b' is drained" migrator move web b
ends 0 '^undrained: ' migrator node undrain b
ends 0 '^moved web from a to b$' migrator move web b

say "a move that is called off"
migrator move web a --bandwidth 40Mbit --json >"$tmpdir/slow" 2>&1 &
slow=$!
wait_for 20 file_has "$tmpdir/slow" '"state":"copying"'
wait_for 10 prints ' copying ' status
ends 0 '^called off: move ' migrator cancel web
status=0
wait "$slow" || status=$?
[ "$status" -eq 4 ] || fail "a cancelled move ends with $status: $(tail -n 3 "$tmpdir/slow")"
file_has "$tmpdir/slow" '"event":"result".*"state":"aborted"' || fail "$(tail -n 3 "$tmpdir/slow")"
wait_for 20 prints '^web  *running  *b ' vm list
runs_once

say "what a keeps of it"
wait_for 60 tells_image a web

say "pairs, and the end"
ends 0 '^paired: web follows phone$' \
	migrator pair set phone web --id 3f2a1199-5c00-4001-8002-000000000000
ends 0 '^phone  *web  *b  *yes' migrator pair list
ends 0 '^in front: web comes to phone$' migrator pair front phone web
ends 0 '^replaced: ' migrator pair replace phone --id 71c0a0de-5c00-4001-8002-000000000000
ends 0 '^phone  *web  *b  *yes' migrator pair list
ends 0 '"device_id": "71c0a0de-5c00-4001-8002-000000000000"' migrator pair list --json
ends 1 'no device named' migrator pair replace handset --id 71c0a0de-5c00-4001-8002-000000000000
ends 0 '^removed: ' migrator pair remove phone web
ends 1 'are no pair' migrator pair remove phone web
ends 0 '^stopped: web$' migrator vm stop web
wait_for 20 prints '^no VMs$' vm list
