#!/bin/bash
# shellcheck disable=SC2154  # nodes.sh sets
# SPDX-License-Identifier: Apache-2.0
#
# The controller is killed at random moments of moves that it has ordered, and
# started again: each move comes to its end and is told once, one copy of the
# guest runs, its memory verifies. KILLS sets how many (default: 2).
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

kills=${KILLS:-2}
controller_port=$(free_port)

# through the controller
migrator_there() {
	"$MIGRATOR" "$@" --config "$tmpdir/operator.yaml"
}

controller_make() {
	local node
	"$MIGRATOR" keys make "$tmpdir/keys/main" >"$tmpdir/keys/main.pub"
	for node in "$@"; do
		"$MIGRATOR" keys allow node "$node" "$(key_of "$node")" --to "$tmpdir/main.allow" >/dev/null
		node_configure "$node" \
			"controller: {endpoint: 'tcp://127.0.0.1:$controller_port', key: '$(key_of main)'}"
	done
	"$MIGRATOR" keys allow operator me "$(key_of me)" --to "$tmpdir/main.allow" >/dev/null
	cat >"$tmpdir/main.yaml" <<-END
		name: main
		key: $tmpdir/keys/main
		allow: $tmpdir/main.allow
		listen: tcp://127.0.0.1:$controller_port
		listen_reports: tcp://127.0.0.1:*
		store: $tmpdir/main.store
		record: $tmpdir/main.record
		decisions: $tmpdir/main.decisions
		policy: {threshold: 20ms, hold: 1s, margin: 5ms}
		limits: {blackout_max: 20s}
	END
	cat >"$tmpdir/operator.yaml" <<-END
		name: me
		key: $tmpdir/keys/me
		controller: {endpoint: 'tcp://127.0.0.1:$controller_port', key: '$(key_of main)'}
	END
}

controller_start() {
	"$top_builddir/placementd" --config "$tmpdir/main.yaml" </dev/null >>"$tmpdir/main.log" 2>&1 &
	controller=$!
	cleanup_fn end_process "$controller"
}

controller_kill() {
	kill -9 "$controller"
	wait "$controller" 2>/dev/null || :
}

# status EXPRESSION: of the controller's status, in Python.
status() {
	migrator_there status --json >"$tmpdir/status.json" 2>/dev/null &&
		python3 -c 'import json, sys
s = json.load(open(sys.argv[1]))
sys.exit(not eval(sys.argv[2]))' "$tmpdir/status.json" "$1"
}

# history FIELD: of the newest move.
history() {
	migrator_there history --json | python3 -c 'import json, sys
print(json.load(sys.stdin)["moves"][0][sys.argv[1]])' "$1"
}

nodes_make a b
controller_make a b
controller_start
node_start a
node_start b
vm_describe web tagguest.mem=48M tagguest.rate=4M
wait_for 20 status 'sum(n["migrator_up"] for n in s["nodes"]) == 2'
vm_start a web
vm_watch
wait_for 20 status '[v["node"] for v in s["vms"]] == ["a"]'

from=a to=b
for ((i = 1; i <= kills; i++)); do
	mark=$(guest_mark "$(vm_console "$from" web)")
	migrator_there move web "$to" --bandwidth 80Mbit --detach >/dev/null
	sleep "$((RANDOM % 4)).$((RANDOM % 10))"
	controller_kill
	sleep "0.$((RANDOM % 10))"
	controller_start
	wait_for 90 status "not s['moves'] and [v['node'] for v in s['vms']] == ['$to']"
	[ "$(history state)" = "done" ] || fail "move $i is $(history state)"
	[ "$(history target)" = "$to" ] || fail "move $i went to $(history target)"
	wait_for 60 guest_verified "$(vm_console "$to" web)" "$mark"
	runs_once
	say "kill $i: the move is $(history state)"
	read -r from to <<<"$to $from"
done

count=$(migrator_there history --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["moves"]))')
[ "$count" -eq "$kills" ] || fail "$count moves in the history"
[ "$(grep -c ' result ' "$tmpdir/main.decisions")" -eq "$kills" ] || fail "results were told twice"
migrator_there vm stop web >/dev/null
end_process "$controller"
"$top_builddir/edgesim" replay --decisions "$tmpdir/main.decisions" "$tmpdir/main.record" >/dev/null
