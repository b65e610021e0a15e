#!/bin/bash
# shellcheck disable=SC2154  # nodes.sh sets
# SPDX-License-Identifier: Apache-2.0
#
# What operators do with nodes and rules, on real nodes: VMs are kept apart and together, a
# node is spared, planned away and evacuated; policy, limits and keys change while all runs.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

# reloads PATTERN: placementd takes its changed files, or says why not.
reloads() {
	local before
	before=$(wc -l <"$tmpdir/main.log")
	kill -HUP "$main"
	said() {
		tail -n "+$((before + 1))" "$tmpdir/main.log" | grep -Eq -- "$1"
	}
	wait_for 10 said "$1"
}

# admits KEY: writes the allow list, with that key for b.
admits() {
	rm -f "$tmpdir/main.allow"
	"$MIGRATOR" keys allow operator me "$(key_of me)" --to "$tmpdir/main.allow" >/dev/null
	"$MIGRATOR" keys allow node a "$(key_of a)" --to "$tmpdir/main.allow" >/dev/null
	"$MIGRATOR" keys allow node b "$(key_of "$1")" --to "$tmpdir/main.allow" >/dev/null
}

nodes_make a b
"$MIGRATOR" keys make "$tmpdir/keys/main" >"$tmpdir/keys/main.pub"
"$MIGRATOR" keys make "$tmpdir/keys/eve" >"$tmpdir/keys/eve.pub"
orders=$(free_port)
admits b
for node in a b; do
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
policy: { threshold: 20ms, hold: 1s, margin: 5ms, min_stay: 1ms }
limits: { blackout: 5s, blackout_max: 20s }
YAML
background main "$top_builddir/placementd" --config "$tmpdir/main.yaml"
main=$background_pid
for node in a b; do
	node_start "$node"
done
for node in a b; do
	wait_for 20 prints "^$node  *yes" node list
done
for vm in web mail; do
	vm_memory=96M vm_describe $vm tagguest.mem=8M tagguest.rate=1M
	ends 0 "^started: $vm$" migrator vm start "$tmpdir/$vm.yaml" --on a
done
for vm in web mail; do
	wait_for 60 guest_up "$(vm_console a $vm)"
done

say "apart: mail cannot go where web is"
ends 0 '^would be kept apart: ' migrator affinity set spread web --apart --dry-run
ends 0 '^no VMs are kept' migrator affinity list
ends 0 '^kept apart: web ' migrator affinity set spread web --apart
ends 0 '^kept apart: mail ' migrator affinity set spread mail --apart
ends 0 '^moved mail from a to b$' migrator move mail b --blackout 5s --blackout-max 20s
ends 0 '^mail  *-*  *no node has room' migrator node drain b --dry-run
ends 1 'kept apart from is on' migrator move mail a
ends 0 '^no longer tied: ' migrator affinity remove spread web
ends 0 '^no longer tied: ' migrator affinity remove spread mail

say "together: web comes to where mail is"
ends 0 '^kept together: ' migrator affinity set office web
ends 0 '^kept together: ' migrator affinity set office mail
ends 0 '^office  *together  *mail, web$' migrator affinity list
wait_for 60 prints '^web  *running  *b ' vm list
ends 0 ' together' migrator history --vm web
ends 0 '^no longer tied: ' migrator affinity remove office web

say "a node that is spared"
ends 0 '^quarantined: a ' migrator node quarantine a
wait_for 10 prints '^a .* quarantine$' node list
ends 1 "node 'a' is in quarantine" migrator move web a
ends 0 '^released: a ' migrator node release a

say "maintenance, and a node that fails"
ends 1 'is over already' migrator node maintain b 2020-01-01T00:00Z 2020-01-02T00:00Z
ends 0 '^planned: b ' migrator node maintain b 2120-01-01T00:00Z 2120-01-02T00:00Z
ends 0 '"start_utc_ns": 4733510400000000000' migrator node list --json
ends 0 '^unplanned: b ' migrator node unmaintain b
ends 0 '^web  *a$' migrator node evacuate b
wait_for 60 prints '^web  *running  *a ' vm list
wait_for 60 prints '^mail  *running  *a ' vm list
wait_for 10 prints '^b .* evacuated$' node list
ends 0 '^undrained: ' migrator node undrain b
ends 0 '^evacuate  *2  *0 ' migrator summary 1h

say "what changes while all runs"
sed -i 's/margin: 5ms/margin: 50ms/' "$tmpdir/main.yaml"
reloads 'stays as it was: .*margin'
sed -i 's/margin: 50ms/margin: 4ms, mode: recommend/' "$tmpdir/main.yaml"
reloads 'configuration=.* reloaded'
file_has "$tmpdir/main.log" 'reload policy=threshold groups=0 node_keys=2 recommend' ||
	fail "the controller was not told: $(tail -n 3 "$tmpdir/main.log")"
admits eve
reloads 'configuration=.* reloaded'
wait_for 20 prints '^b  *no ' node list
admits b
reloads 'configuration=.* reloaded'
wait_for 20 prints '^b  *yes ' node list
ends 0 '^moved mail from a to b$' migrator move mail b --blackout 5s --blackout-max 20s
