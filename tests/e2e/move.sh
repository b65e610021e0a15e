#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A busy guest moves back and forth between two hosts, $MOVES times in all: four
# guests that dirty 1 to 100 MB/s, promises from 1 ms up. After each move all of
# its memory is verified, and never two copies ran. By turns with one, two and three connections.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

moves=${MOVES:-20}
rates=(1M 10M 30M 100M)
promises=(7ms 10ms 20ms 50ms 200ms)

# move_once VM FROM TO PROMISE CONNECTIONS
move_once() {
	local mark answer
	mark=$(guest_mark "$(vm_console "$2" "$1")")
	answer=$(migrator_at "$2" move "$1" "$3" --blackout "$4" --connections "$5" "${patient[@]}" --json | tail -n 1) ||
		fail "the move of $1 from $2 to $3 failed: $answer"
	wait_for 5 vm_runs_at "$3" "$1"
	[ -z "$(vm_field "$2" "$1" state)" ] || fail "$1 is still on $2"
	wait_for 60 guest_verified "$(vm_console "$3" "$1")" "$mark"
	python3 - "$answer" "$rate" "$4" "$5" <<'PY'
import json, sys
a = json.loads(sys.argv[1])
print("move.sh: %s/s, promise %s, connections %s: %.2f s, blackout %.1f ms (QEMU %.0f ms), %d rounds, %.1f MB for %.1f MB" % (
    sys.argv[2], sys.argv[3], sys.argv[4], a["elapsed_ns"] / 1e9, a["blackout_ns"] / 1e6,
    a.get("qemu_downtime_ns", 0) / 1e6, a["round"], a["wire_bytes"] / 1e6, a["guest_bytes"] / 1e6))
assert a["state"] == "done" and a["connections"] == int(sys.argv[4]), a
PY
}

nodes_make a b
node_start a
node_start b
vm_watch
done=0
for rate in "${rates[@]}"; do
	vm=web-${rate%M}
	vm_describe "$vm" "tagguest.mem=32M tagguest.ws=16M tagguest.verify=128M tagguest.rate=$rate"
	from=a to=b
	vm_start "$from" "$vm"
	for ((i = 0; i < moves / ${#rates[@]}; i++)); do
		move_once "$vm" "$from" "$to" "${promises[i % ${#promises[@]}]}" $((done % 3 + 1))
		read -r from to <<<"$to $from"
		done=$((done + 1))
	done
	migrator_at "$from" vm stop "$vm" >/dev/null
	runs_once
done
[ "$done" -eq "$moves" ] || fail "$done moves instead of $moves"
[ -z "$(find "$nodes_ram" -type f)" ] || fail "RAM files are left behind"
say "$moves moves"
