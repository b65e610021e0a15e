#!/bin/bash
# shellcheck disable=SC2154  # nodes.sh sets
# SPDX-License-Identifier: Apache-2.0
#
# Two controllers with one etcd, which wants TLS and a password. While a real
# VM moves the leader is killed, and then another one sleeps past its lease:
# each move comes to its end once, the operator's command finds who leads, and
# who led before steps down.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
requires python3 --version
requires etcd --version
requires openssl version
. "$top_srcdir/tests/e2e/nodes.sh"

controllers="main spare"
etcd_port=$(free_port)
etcd_url=https://127.0.0.1:$etcd_port
declare -A port pid

# --- etcd

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=etcd \
	-addext "subjectAltName=IP:127.0.0.1" -keyout "$tmpdir/etcd.key" -out "$tmpdir/etcd.crt" 2>/dev/null
peer=http://127.0.0.1:$(free_port)
background etcd etcd --data-dir "$tmpdir/etcd" --cert-file "$tmpdir/etcd.crt" --key-file "$tmpdir/etcd.key" \
	--listen-client-urls "$etcd_url" --advertise-client-urls "$etcd_url" --listen-peer-urls "$peer" \
	--initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer"

# etcd_ask PATH JSON
etcd_ask() {
	python3 - "$etcd_url$1" "$2" "$tmpdir/etcd.crt" <<-'END' 2>/dev/null
		import ssl, sys, urllib.request
		context = ssl.create_default_context(cafile=sys.argv[3])
		opener = urllib.request.build_opener(
		    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
		opener.open(sys.argv[1], sys.argv[2].encode(), timeout=5).read()
	END
}

wait_for 20 etcd_ask /v3/kv/range '{"key": "YQ=="}'
for user in root placement; do
	etcd_ask /v3/auth/user/add "{\"name\": \"$user\", \"password\": \"secret of $user\"}"
done
etcd_ask /v3/auth/role/add '{"name": "root"}'
etcd_ask /v3/auth/user/grant '{"user": "root", "role": "root"}'
# All keys that begin with "city/".
etcd_ask /v3/auth/role/add '{"name": "placement"}'
etcd_ask /v3/auth/role/grant '{"name": "placement", "perm": {"permType": "READWRITE",
	"key": "Y2l0eS8=", "range_end": "Y2l0eTA="}}'
etcd_ask /v3/auth/user/grant '{"user": "placement", "role": "placement"}'
etcd_ask /v3/auth/enable '{}'
echo "secret of placement" >"$tmpdir/password"

# --- controllers

migrator_there() {
	"$MIGRATOR" "$@" --config "$tmpdir/operator.yaml"
}

# controller_list: for nodes and people.
controller_list() {
	local name
	for name in $controllers; do
		printf "{endpoint: 'tcp://127.0.0.1:%s', key: '%s'}, " "${port[$name]}" "$(key_of "$name")"
	done
}

controller_make() {
	local node
	"$MIGRATOR" keys make "$tmpdir/keys/$1" >"$tmpdir/keys/$1.pub"
	port[$1]=$(free_port)
	for node in a b; do
		"$MIGRATOR" keys allow node "$node" "$(key_of "$node")" --to "$tmpdir/$1.allow" >/dev/null
	done
	"$MIGRATOR" keys allow operator me "$(key_of me)" --to "$tmpdir/$1.allow" >/dev/null
	cat >"$tmpdir/$1.yaml" <<-END
		name: $1
		key: $tmpdir/keys/$1
		allow: $tmpdir/$1.allow
		listen: tcp://127.0.0.1:${port[$1]}
		listen_reports: tcp://127.0.0.1:*
		etcd:
		  endpoints: ['$etcd_url']
		  prefix: city/
		  cacert: $tmpdir/etcd.crt
		  user: placement
		  password_file: $tmpdir/password
		record: $tmpdir/$1.record
		decisions: $tmpdir/$1.decisions
		policy: {threshold: 20ms, hold: 1s, margin: 5ms}
		limits: {blackout_max: 20s}
	END
}

controller_start() {
	"$top_builddir/placementd" --config "$tmpdir/$1.yaml" </dev/null >>"$tmpdir/$1.log" 2>&1 &
	pid[$1]=$!
	cleanup_fn end_process "${pid[$1]}"
}

# leads NAME: it says so itself.
leads() {
	migrator_there controllers --json | python3 -c 'import json, sys
rows = json.load(sys.stdin)["controllers"]
sys.exit([r["leader"] for r in rows if r["state"] == "leads"] != [sys.argv[1]])' "$1"
}

# status EXPRESSION: of the leader's status, in Python.
status() {
	migrator_there status --json >"$tmpdir/status.json" 2>/dev/null &&
		python3 -c 'import json, sys
s = json.load(open(sys.argv[1]))
sys.exit(not eval(sys.argv[2]))' "$tmpdir/status.json" "$1"
}

# moved TO: the move is over, and has ended there.
moved() {
	status "not s['moves'] and [v['node'] for v in s['vms']] == ['$1']"
}

nodes_make a b
for name in $controllers; do controller_make "$name"; done
for node in a b; do node_configure "$node" "controllers: [$(controller_list)]"; done
cat >"$tmpdir/operator.yaml" <<-END
	name: me
	key: $tmpdir/keys/me
	controllers: [$(controller_list)]
END
ends 3 'no controller leads' migrator_there status --timeout 1s

controller_start main
wait_for 20 leads main
controller_start spare
node_start a
node_start b
vm_describe web tagguest.mem=48M tagguest.rate=4M
wait_for 30 status 'sum(n["migrator_up"] for n in s["nodes"]) == 2'
vm_start a web
vm_watch
wait_for 30 status '[v["node"] for v in s["vms"]] == ["a"]'

# --- the leader dies

mark=$(guest_mark "$(vm_console a web)")
migrator_there move web b --bandwidth 80Mbit --detach >/dev/null
sleep "1.$((RANDOM % 10))"
kill -9 "${pid[main]}"
wait "${pid[main]}" 2>/dev/null || :
wait_for 30 leads spare
controller_start main
wait_for 90 moved b
wait_for 60 guest_verified "$(vm_console b web)" "$mark"
runs_once
say "main was killed: spare has brought the move to its end"

# --- the leader sleeps, and wakes up deposed

mark=$(guest_mark "$(vm_console b web)")
migrator_there move web a --bandwidth 80Mbit --detach >/dev/null
sleep "1.$((RANDOM % 10))"
kill -STOP "${pid[spare]}"
wait_for 30 leads main
wait_for 90 moved a
kill -CONT "${pid[spare]}"
wait_for 30 file_has "$tmpdir/spare.log" 'name=spare leads no longer'
wait_for 30 leads main
wait_for 60 guest_verified "$(vm_console a web)" "$mark"
runs_once
say "spare slept: main has brought the move to its end"

# --- each move is told once

count=$(migrator_there history --json | python3 -c 'import json, sys
print([m["state"] for m in json.load(sys.stdin)["moves"]])')
[ "$count" = "['done', 'done']" ] || fail "the history has $count"
[ "$(cat "$tmpdir"/*.decisions | grep -c ' result ')" -eq 2 ] || fail "results were told twice"
migrator_there vm stop web >/dev/null

# --- an orderly end makes way at once

end_process "${pid[main]}"
wait_for 10 leads spare
