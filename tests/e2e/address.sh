#!/bin/bash
# shellcheck disable=SC2154  # nodes.sh sets
# SPDX-License-Identifier: Apache-2.0
# A host gets another address in the midst of a move: its target, and then its source. The move goes
# on from where it was, and the guest never notices. And the target when the decision has been taken
# and not been told: it asks, and what it answers has to find the source, which cannot reach it.
if [ -z "${ADDRESS_INSIDE:-}" ]; then
	inside=(unshare --net)
	[ "$(id -u)" -eq 0 ] || inside=(unshare -Urn)
	"${inside[@]}" true 2>/dev/null || { echo "address: skipped: no namespaces here"; exit 77; }
	ADDRESS_INSIDE=1 exec "${inside[@]}" -- bash "$0"
fi
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

# a is here; b is in a namespace of its own, at the address $b_address.
a_address=10.77.0.1
b_address=10.77.0.2

hosts_make() {
	ip link set lo up
	background ns-b unshare --net sleep infinity
	ns_b=$background_pid
	wait_for 10 has_namespace
	ip link add to-b type veth peer name to-a netns "$ns_b"
	ip address add "$a_address/24" dev to-b
	ip link set to-b up
	in_b ip link set lo up
	in_b ip link set to-a up
	in_b ip address add "$b_address/24" dev to-a
}

has_namespace() {
	[ "$(readlink "/proc/$ns_b/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

in_b() {
	nsenter --target "$ns_b" --net -- "$@"
}

# node_everywhere NODE ADDRESS: it listens at all addresses, and says that it is at this one.
node_everywhere() {
	node_configure "$1" "advertise: tcp://$2:${node_port[$1]}" "data_advertise: $2:${node_data[$1]}" \
		"image_budget: 0"
	sed -i 's/listen: \(tcp:..\)\?127.0.0.1/listen: \10.0.0.0/' "$tmpdir/$1.yaml"
	node_reached "$1" "$2"
}

# node_reached NODE ADDRESS: by us.
node_reached() {
	sed -i "/name: $1,/s,tcp://[0-9.]*:,tcp://$2:," "$tmpdir/migrator.yaml"
}

# b_moves ADDRESS
b_moves() {
	in_b ip address del "$b_address/24" dev to-a # first: it takes those that came later along
	in_b ip address add "$1/24" dev to-a
	b_address=$1
	node_reached b "$1"
}

half_is_sent() {
	local sent
	sent=$(move_field "$1" "$move" guest_bytes)
	[ "${sent:-0}" -gt 20000000 ]
}

# What a restart of a would have as the address of the other node.
goes_on_at() {
	python3 - "$tmpdir/a/journal.db" "$move" <<'PYTHON' | grep -qF "//$1:"
import sqlite3, sys, uuid
row = sqlite3.connect(sys.argv[1]).execute("SELECT peer_endpoint FROM move WHERE id = ?",
                                           [uuid.UUID(sys.argv[2]).bytes]).fetchone()
print(row[0])
PYTHON
}

is_done() {
	[ "$(move_state "$1" "$move")" = "done" ]
}

nodes_make a b
hosts_make
node_everywhere a "$a_address"
node_everywhere b "$b_address"
node_start a
printf '#!/bin/sh\nexec nsenter --target %s --net -- "%s" "$@"\n' "$ns_b" "$MIGRATORD" >"$tmpdir/migratord-b"
chmod +x "$tmpdir/migratord-b"
MIGRATORD=$tmpdir/migratord-b node_start b
vm_watch
vm_memory=128M vm_describe web "tagguest.mem=32M tagguest.rate=200K tagguest.verify=64M"
vm_start a web

say "the target has another address"
mark=$(guest_mark "$(vm_console a web)")
begin_move a b --bandwidth 20Mbit "${patient[@]}" --attempts 1
wait_for 60 half_is_sent a
goes_on_at 10.77.0.2 || fail "a does not know where b is"
b_moves 10.77.0.3
wait_for 60 file_has "$tmpdir/a.log" 'b has moved to 10\.77\.0\.3'
wait_for 1 goes_on_at 10.77.0.3
[ "$(move_state a "$move")" = copying ] || fail "it was written down only later"
wait_for 120 is_done a
[ "$(move_field a "$move" reconnects)" -ge 1 ] || fail "its connection was never lost"
wait_for 60 guest_verified "$(vm_console b web)" "$mark"

say "the source has another address"
mark=$(guest_mark "$(vm_console b web)")
begin_move b a --bandwidth 20Mbit "${patient[@]}" --attempts 1
wait_for 60 half_is_sent b
b_moves 10.77.0.4
wait_for 120 is_done b
[ "$(move_field b "$move" reconnects)" -ge 1 ] || fail "its connection was never lost"
wait_for 60 guest_verified "$(vm_console a web)" "$mark"

say "the target has another address, and the source's decision is not told yet"
node_stop b
node_everywhere b "$b_address" # else it says that its data goes to the first one
MIGRATORD=$tmpdir/migratord-b node_start b
node_stop a
node_fault[a]=stall-before=send-commit:8s
node_start a
mark=$(guest_mark "$(vm_console a web)")
begin_move a b "${patient[@]}" --attempts 1
is_ready() {
	[ "$(move_state b "$move")" = ready ]
}
wait_for 60 is_ready
b_moves 10.77.0.5
wait_for 30 is_done a
wait_for 60 guest_verified "$(vm_console b web)" "$mark"
runs_once
