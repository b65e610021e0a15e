#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The controller alone: who may speak to it, what it keeps over kill -9, what
# deposes it, and that its record log replays to its decision log.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
requires python3 --version

migrator() {
	"$top_builddir/migrator/cli/migrator" "$@"
}

as() {
	local who=$1
	shift
	migrator --config "$tmpdir/$who.yaml" "$@"
}

# expect STATUS TEXT COMMAND...: it ends with this status and prints the text.
expect() {
	local status=$1 text=$2 got=0
	shift 2
	"$@" >"$tmpdir/out" 2>&1 || got=$?
	[ "$got" = "$status" ] || fail "'$*' ended with $got: $(cat "$tmpdir/out")"
	grep -qF -- "$text" "$tmpdir/out" || fail "'$*' printed: $(cat "$tmpdir/out")"
}

# --- keys and configurations

for name in main alice tower-a stranger; do
	migrator keys make "$tmpdir/$name.key" >/dev/null
	migrator keys show "$tmpdir/$name.key" >"$tmpdir/$name.pub"
done
migrator keys allow operator alice "$(cat "$tmpdir/alice.pub")" --to "$tmpdir/allow" >/dev/null
migrator keys allow node tower-a "$(cat "$tmpdir/tower-a.pub")" --to "$tmpdir/allow" >/dev/null

port=$(free_port)
for name in alice tower-a stranger; do
	cat >"$tmpdir/$name.yaml" <<-END
		name: $name
		key: $tmpdir/$name.key
		controller: {endpoint: 'tcp://127.0.0.1:$port', key: '$(cat "$tmpdir/main.pub")'}
	END
done

# configuration FILE LISTEN LOGS
configuration() {
	cat >"$tmpdir/$1" <<-END
		name: main
		key: $tmpdir/main.key
		allow: $tmpdir/allow
		listen: $2
		listen_reports: tcp://127.0.0.1:*
		store: $tmpdir/store.db
		record: $tmpdir/$3.record
		decisions: $tmpdir/$3.decisions
		policy: {threshold: 20ms, hold: 1s, margin: 5ms}
	END
}
configuration main.yaml "tcp://127.0.0.1:$port" main

start() {
	background placementd "$top_builddir/placementd" --config "$tmpdir/main.yaml"
	controller=$background_pid
	wait_for 10 file_has "$tmpdir/placementd.log" ' ready$'
}

ended() {
	process_ended "$1"
}

pairs_are() {
	as alice pair list --json | python3 -c 'import json, sys
for pair in json.load(sys.stdin)["pairs"]:
	print(pair["device"] + "/" + pair["vm"], end=" ")' >"$tmpdir/pairs"
	[ "$(cat "$tmpdir/pairs")" = "$1" ] || fail "pairs: $(cat "$tmpdir/pairs")"
}

# --- a configuration is checked

"$top_builddir/placementd" --config "$tmpdir/main.yaml" --check-config
sed 's/threshold: 20ms/threshold: 20/' "$tmpdir/main.yaml" >"$tmpdir/bad.yaml"
expect 1 "policy.threshold: '20'" "$top_builddir/placementd" --config "$tmpdir/bad.yaml"
expect 2 "unexpected argument" "$top_builddir/placementd" now

# --- what is acknowledged is kept

phone=01234567-89ab-4def-8123-456789abcdef
start
as alice pair set phone web --id $phone
as alice pair set phone mail --id $phone --background
expect 1 "another device is named 'phone'" \
	as alice pair set phone game --id 11234567-89ab-4def-8123-456789abcdef
pairs_are "phone/mail phone/web "
kill -9 "$controller"
wait_for 5 ended "$controller"
start
pairs_are "phone/mail phone/web "
as alice pair remove phone mail
pairs_are "phone/web "

# --- who may do what

expect 1 "is not allowed to" as tower-a pair set phone game --id $phone
expect 3 "" as stranger pair list
pairs_are "phone/web "
expect 1 "VM 'web' runs on no node" as alice move web tower-b

# --- one at a time

expect 1 "" "$top_builddir/placementd" --config "$tmpdir/main.yaml"
configuration second.yaml "tcp://127.0.0.1:*" second
background second "$top_builddir/placementd" --config "$tmpdir/second.yaml"
second=$background_pid
wait_for 10 file_has "$tmpdir/second.log" ' ready$'
# The first learns of it when it next has something to keep.
as alice pair set phone game --id $phone >"$tmpdir/out" 2>&1 && fail "a deposed controller took an order"
wait_for 5 ended "$controller"
file_has "$tmpdir/placementd.log" 'stops: .*changed by another' || fail "it does not say why it ended"
end_process "$second"
start
pairs_are "phone/web "
kill "$controller"
wait_for 5 ended "$controller"
file_has "$tmpdir/placementd.log" ' stopped$' || fail "no clean end"

# --- the record log

"$top_builddir/edgesim" replay --decisions "$tmpdir/main.decisions" "$tmpdir/main.record" >"$tmpdir/replayed"
cmp "$tmpdir/replayed" "$tmpdir/main.decisions"
[ "$(grep -c ' start epoch=' "$tmpdir/replayed")" -ge 3 ] || fail "runs are missing"
file_has "$tmpdir/replayed" ' unpair device=phone vm=mail$' || fail "no decision was told"
sed -i '$d' "$tmpdir/main.decisions"
expect 1 "is not that of" \
	"$top_builddir/edgesim" replay --decisions "$tmpdir/main.decisions" "$tmpdir/main.record"
expect 1 "not a record log" "$top_builddir/edgesim" replay "$tmpdir/main.yaml"
