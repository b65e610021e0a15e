#!/bin/bash
# shellcheck disable=SC2154  # nodes.sh sets
# SPDX-License-Identifier: Apache-2.0
#
# Application mobility (ETSI GS MEC 021 and 012): mec021.py registers a service, subscribes, has a
# real VM moved, by order and by its device's change of cell, and kills the controller in between:
# what was answered is there again, and each notification comes, in order. Guest memory verifies.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"
requires python3 -c 'import jsonschema, yaml'

nodes_make a b
"$MIGRATOR" keys make "$tmpdir/keys/main" >"$tmpdir/keys/main.pub"
orders=$(free_port)
http=$(free_port)
hook=$(free_port)
for node in a b; do
	"$MIGRATOR" keys allow node "$node" "$(key_of "$node")" --to "$tmpdir/main.allow" >/dev/null
	node_configure "$node" "controller: { endpoint: 'tcp://127.0.0.1:$orders', key: '$(key_of main)' }"
done
token=$("$MIGRATOR" keys token operate app --to "$tmpdir/tokens")
cat >"$tmpdir/main.yaml" <<YAML
name: main
key: $tmpdir/keys/main
allow: $tmpdir/main.allow
listen: tcp://127.0.0.1:$orders
listen_reports: tcp://127.0.0.1:*
store: $tmpdir/main.db
record: $tmpdir/main.record
decisions: $tmpdir/main.decisions
policy: { threshold: 20ms, hold: 1s, margin: 5ms, min_stay: 1s }
limits: { blackout_max: 20s }
http: { listen: '127.0.0.1:$http', advertise: 'http://127.0.0.1:$http', tokens: $tmpdir/tokens }
mec: { cells: [{ cell: 001-01-A, node: a }, { cell: 001-01-B, node: b }] }
YAML

node_start a
node_start b
vm_describe web tagguest.mem=48M tagguest.rate=2M
vm_start a web
vm_watch
mark=$(guest_mark "$(vm_console a web)")
python3 "$top_srcdir/tests/e2e/mec021.py" --url "http://127.0.0.1:$http" --token "$token" \
	--hook-port "$hook" --document "$top_srcdir/placement/openapi.yaml" \
	--placementd "$top_builddir/placementd" --config "$tmpdir/main.yaml" \
	--log "$tmpdir/main.log" || fail "see above"
# A move that was called off at the very end may still be settling.
settled() {
	where=$(vm_where web)
	[ -n "$where" ]
}
wait_for 10 settled
wait_for 60 guest_verified "$(vm_console "$where" web)" "$mark"
runs_once
"$top_builddir/edgesim" replay --decisions "$tmpdir/main.decisions" "$tmpdir/main.record" >/dev/null
