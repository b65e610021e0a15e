#!/bin/bash
# shellcheck disable=SC2154  # nodes.sh sets
# SPDX-License-Identifier: Apache-2.0
#
# The cut-over as a client sees it: datagrams are echoed by a guest that moves, one every $INTERVAL_US; so
# many that a guest that a busy machine stalls for a second can still queue them. Nothing is
# lost but what fell into the blackout, nothing is out of order, nothing comes twice; and the target
# has looked whether its bridge knows the guest. In a network namespace of its own.
if [ -z "${CUT_OVER_INSIDE:-}" ] && [ "$(id -u)" -eq 0 ] && unshare --net true 2>/dev/null; then
	CUT_OVER_INSIDE=1 exec unshare --net -- bash "$0"
fi
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
[ -n "${CUT_OVER_INSIDE:-}" ] || skip "it takes root to make taps and bridges"
requires ip -V
requires test -w /dev/net/tun
. "$top_srcdir/tests/e2e/nodes.sh"

client=$top_builddir/tests/bench/echo-client
[ -x "$client" ] || fail "no echo-client: run \"make check\""

ip link set lo up
ip link add tower type bridge
ip address add 10.77.0.1/24 dev tower
ip link set tower up

nodes_make a b
for node in a b; do
	node_configure "$node"
	node_start "$node"
done
vm_watch
vm_lines="networks: [{bridge: tower, mac: '52:54:00:77:00:05'}]" vm_memory=128M vm_describe web \
	"tagguest.mem=16M tagguest.rate=200K tagguest.verify=16M tagguest.ip=10.77.0.5/24"
vm_start a web

replies() {
	[ "$(wc -l <"$tmpdir/replies")" -ge "$1" ]
}

# The client prints in blocks of some 1,400 lines.
mark=$(guest_mark "$(vm_console a web)")
"$client" 10.77.0.5 7 "${INTERVAL_US:-5000}" >"$tmpdir/replies" 2>"$tmpdir/client.log" &
client_pid=$!
cleanup_fn end_process "$client_pid"
wait_for 60 replies 1000
order a move web b "${patient[@]}" >"$tmpdir/moved" 2>&1 || fail "the move: $(cat "$tmpdir/moved")"
wait_for 60 replies $(($(wc -l <"$tmpdir/replies") + 1000))
kill "$client_pid"
wait "$client_pid" || :
wait_for 60 guest_verified "$(vm_console b web)" "$mark"

migrator_at a history --json >"$tmpdir/history"
python3 - "$tmpdir/replies" "$tmpdir/history" <<'PYTHON'
import json, sys
lines = [line.split() for line in open(sys.argv[1]) if line.count(" ") == 2]
replies = [(int(n), int(sent), int(came)) for n, sent, came in lines]
numbers = [n for n, _, _ in replies]
assert numbers == sorted(set(numbers)), "out of order or twice: %s" % [
    (a, b) for a, b in zip(numbers, numbers[1:]) if b <= a][:5]
holes = [(a, b) for a, b in zip(numbers, numbers[1:]) if b != a + 1]
longest = max(b[2] - a[2] for a, b in zip(replies, replies[1:]))
blackout = json.load(open(sys.argv[2]))["moves"][0]["blackout_ns"]
lost = sum(b - a - 1 for a, b in holes)
print("cut-over: %d replies, %d lost in %d holes, longest gap %.1f ms, blackout %.1f ms" % (
    len(replies), lost, len(holes), longest / 1e6, blackout / 1e6))
# What is lost was sent while the guest stood still: that is one hole, and no longer than that. A gap
# without a hole is a machine that stalls.
assert len(holes) <= 1, "lost beside the blackout: %s" % holes[:5]
sent = {n: at for n, at, _ in replies}
for a, b in holes:
    assert sent[b] - sent[a] <= blackout + 1e9, "a hole of %d ms" % ((sent[b] - sent[a]) / 1e6)
PYTHON
bridge_port() {
	bridge fdb show br tower | awk '$1 == "52:54:00:77:00:05" && !/permanent/ { print $3; exit }'
}
[[ $(bridge_port) == tgl* ]] || fail "the bridge sends the guest's packets to '$(bridge_port)'"
! file_has "$tmpdir/b.log" 'has not learnt' || fail "the target says that its bridge knows nothing"
runs_once
