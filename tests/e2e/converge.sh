#!/bin/bash
# shellcheck disable=SC2154  # nodes.sh sets
# SPDX-License-Identifier: Apache-2.0
#
# A promise that breaks while the guest is stopped: the guest runs on where it was, and the next
# attempt sends little. And a guest that writes faster than the link carries, to the end
# of each choice that an operator has: CHOICES="give_up wait throttle longer" for all of them.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

# last FILE: checks the last line of a move's progress, as `m`, and all of them, as `lines`.
last() {
	python3 - "$1" "$2" <<'PYTHON' || fail "$2: $(tail -n 1 "$1" | cut -c1-1500)"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
m = lines[-1]
first = [line for line in lines if "attempt" not in line]
sys.exit(0 if eval(sys.argv[2]) else 1)
PYTHON
}

# moves STATUS FROM TO [OPTION]...: with its progress in a file.
moves() {
	local status=0
	order "$2" move web "$3" --json "${@:4}" >"$tmpdir/progress" 2>"$tmpdir/error" || status=$?
	[ "$status" -eq "$1" ] || fail "the move ends with $status: $(cat "$tmpdir/error" && tail -n 1 "$tmpdir/progress" | cut -c1-1500)"
}

# At 20 Mbit/s the working set takes a second and more, however often it is sent.
slow=(--bandwidth 20Mbit --blackout 200ms)

nodes_make a b
node_start a
node_fault[b]=stall-before=journal-ready:8s
node_start b
vm_watch
vm_memory=128M vm_describe web "tagguest.mem=32M tagguest.rate=200K tagguest.verify=64M"
vm_start a web

say "the target stands still in the blackout"
mark=$(guest_mark "$(vm_console a web)")
moves 0 a b --blackout 1s --blackout-max 4s --attempts 5
last "$tmpdir/progress" 'm["state"] == "done" and m["attempt"] >= 2'
last "$tmpdir/progress" 'any(l["state"] == "queued" and "longer than 4000 ms" in l.get("failure", "") for l in lines)'
last "$tmpdir/progress" 'm["blackout_ns"] < 8e9'
id=$(tail -n 1 "$tmpdir/progress" | sed 's/.*"move": *"\([0-9a-f-]*\)".*/\1/')
[ "$(move_state b "$id")" = "done" ] || fail "b knows the attempt that succeeded by another name"
last "$tmpdir/progress" 'm["wire_bytes"] + m["image_bytes"] < max(l.get("wire_bytes", 0) for l in first) / 4'
wait_for 60 guest_verified "$(vm_console b web)" "$mark"

say "it stands still, and that was the last attempt"
node_stop a
node_fault[a]=stall-before=journal-ready:8s
node_start a
moves 4 b a --blackout 1s --blackout-max 4s --attempts 1
last "$tmpdir/progress" 'm["state"] == "aborted" and "longer than 4000 ms" in m["failure"]'
wait_for 30 vm_runs_at b web
runs_once
migrator_at b vm stop web >/dev/null
is_gone_at() { ! migrator_at "$1" vm show "$2" >/dev/null 2>&1; }
wait_for 60 is_gone_at a web # what came of it is written down as an image first
rm -r "$tmpdir/seen/web" # the next one of that name counts its reports anew

say "a promise that is below what there is"
vm_memory=128M vm_describe web "tagguest.mem=32M tagguest.ws=8M tagguest.rate=40M tagguest.verify=16M"
vm_start a web
moves 4 a b --blackout 3ms
last "$tmpdir/progress" '"cannot be kept" in m["failure"] and "promise" in m["failure"]'

say "what to expect"
migrator_at a move web b --dry-run --bandwidth 40Mbit --json | tail -n 1 >"$tmpdir/progress"
last "$tmpdir/progress" 'm["left_ns"] > 1e9 and m["blackout_expected_ns"] > 8e6 and m["rtt_ns"] > 0 and m["confidence"] < 100'
ends 1 "would be refused: a blackout of 3.0 ms cannot be kept" migrator_at a move web b --dry-run --blackout 3ms

ends 2 "none of longer, wait" migrator_at a move web b --if-not-converging never

try_give_up() {
	moves 4 a b "${slow[@]}" --if-not-converging give-up
	last "$tmpdir/progress" '"does not converge" in m["failure"] and "attempt" not in m'
	wait_for 30 vm_runs_at a web
}

try_wait() {
	moves 4 a b "${slow[@]}" --if-not-converging wait --stall-timeout 10s
	last "$tmpdir/progress" '"no progress: for 10 s" in m["failure"]'
	moves 4 a b "${slow[@]}" --if-not-converging wait --timeout 20s
	last "$tmpdir/progress" '"longer than it was allowed" in m["failure"]'
	wait_for 30 vm_runs_at a web
}

try_throttle() {
	moves 0 a b "${slow[@]}" --if-not-converging throttle --blackout-max 20s
	last "$tmpdir/progress" '10 <= m["throttle_percent"] <= 99'
	last "$tmpdir/progress" 'all(l.get("promise_ns", 200000000) == 200000000 for l in lines)'
}

try_longer() {
	moves 0 a b "${slow[@]}" --if-not-converging longer --blackout-max 20s
	last "$tmpdir/progress" 'm["promise_ns"] > 200000000 and "throttle_percent" not in m'
}

mark=$(guest_mark "$(vm_console a web)")
for choice in ${CHOICES:-give_up}; do
	say "$choice"
	"try_$choice"
	! vm_runs_at b web || {
		wait_for 60 guest_verified "$(vm_console b web)" "$mark"
		mark=$(guest_mark "$(vm_console b web)")
		order b move web a "${patient[@]}" >/dev/null || fail "it does not come back"
		wait_for 60 guest_verified "$(vm_console a web)" "$mark"
		mark=$(guest_mark "$(vm_console a web)")
	}
done
runs_once
