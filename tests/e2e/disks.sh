#!/bin/bash
# shellcheck disable=SC2154  # nodes.sh sets
# SPDX-License-Identifier: Apache-2.0
#
# A VM moves with a disk of its own, an overlay on a base that both nodes have: there and back,
# while the guest writes to it and checks what it wrote. Only the overlay is sent. What is called off,
# cut or killed leaves one whole disk where the guest runs, and none elsewhere. A base that the
# target lacks, or has with other content, is a reason to refuse; or it is sent, too.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

requires qemu-img --version
if [ "$(id -u)" -eq 0 ]; then
	elsewhere=(unshare --mount)
else
	elsewhere=(unshare --user --map-root-user --mount)
fi
requires "${elsewhere[@]}" true

base_mib=32
daemon=$MIGRATORD

# figure FIELD: of the last move that move_there made.
figure() {
	tail -n 1 "$tmpdir/moved" | python3 -c '
import json, sys
print(json.loads(sys.stdin.read() or "{}").get(sys.argv[1], 0))' "$1" 2>/dev/null || echo 0
}

# The guest has written and checked every block after the mark.
disk_verified() {
	local report
	if guest_complaints "$1" >&2; then
		fail "the guest complains"
	fi
	report=$(guest_last "$1") || return 1
	[ "$(report_field "$report" errors)" = 0 ] || fail "the guest reports errors: $report"
	[ "$(report_field "$report" disk_writes)" -gt $(($2 + 260)) ]
}

disk_mark() {
	guest_field "$(vm_console "$1" web)" disk_writes
}

# overlays NODE: how many there are.
overlays() {
	find "$tmpdir/$1/vm" -name '*.qcow2' 2>/dev/null | wc -l
}

# only_at NODE: the guest runs there on its whole disk, and the other node has nothing of it.
is_only_at() {
	[ "$(vm_where web)" = "$1" ]
}
only_at() {
	local other=a
	[ "$1" = b ] || other=b
	wait_for 30 is_only_at "$1"
	[ "$(overlays "$1")/$(overlays "$other")" = 2/0 ] || fail "overlays: $(overlays a) at a, $(overlays b) at b"
	wait_for 90 disk_verified "$(vm_console "$1" web)" "$mark"
}

# move_there FROM TO [OPTION]...
move_there() {
	mark=$(disk_mark "$1")
	order "$1" move web "$2" "${patient[@]}" --json "${@:3}" >"$tmpdir/moved" 2>&1 ||
		fail "the move from $1 to $2 failed: $(tail -n 1 "$tmpdir/moved" | cut -c1-600)"
	only_at "$2"
	say "to $2: $(figure disk_bytes) bytes of disk, $(figure disk_wire_bytes) on the link, blackout $(figure blackout_ns) ns"
}

# slow_move FROM TO [OPTION]...: in the background; returns while the disk is being copied.
slow_move() {
	mark=$(disk_mark "$1")
	: >"$tmpdir/moved"
	order "$1" move web "$2" "${patient[@]}" --json --bandwidth 40Mbit "${@:3}" >"$tmpdir/moved" 2>"$tmpdir/error" &
	mover=$!
	wait_for 60 disk_is_under_way
}

disk_is_under_way() {
	[ "$(figure disk_bytes)" -gt 2000000 ] && [ "$(figure disk_remaining_bytes)" -gt 0 ]
}

slow_move_ends() {
	local status=0
	wait "$mover" || status=$?
	[ "$status" -eq "$1" ] || fail "the move ends with $status: $(cat "$tmpdir/error" && tail -n 1 "$tmpdir/moved" | cut -c1-600)"
}

# start_at COMMAND NODE: the node's daemon lives behind the command.
start_at() {
	MIGRATORD=$1 node_start "$2"
}

mkdir "$tmpdir/bases" "$tmpdir/none" "$tmpdir/other"
head -c ${base_mib}M /dev/urandom >"$tmpdir/base.raw"
qemu-img convert -O qcow2 "$tmpdir/base.raw" "$tmpdir/bases/base.qcow2"
head -c ${base_mib}M /dev/urandom >"$tmpdir/other.raw"
qemu-img convert -O qcow2 "$tmpdir/other.raw" "$tmpdir/other/base.qcow2"
base_digest=$(sha256sum <"$tmpdir/bases/base.qcow2")

nodes_make a b
nodes_link 1
node_start a
node_start b
vm_watch
vm_lines="disks: [{ base: $tmpdir/bases/base.qcow2, format: qcow2, size: 48M }, { size: 8M }]"
vm_memory=96M vm_describe web "tagguest.mem=8M tagguest.rate=1M tagguest.verify=32M tagguest.disk=vda"
vm_start a web
[ "$(overlays a)" -eq 2 ] || fail "there are no overlays"
wait_for 60 disk_verified "$(vm_console a web)" 0
order a move web b --dry-run >/dev/null || fail "a dry run finds something"

say "there and back"
for way in "a b" "b a"; do
	# shellcheck disable=SC2086
	move_there $way
	[ "$(figure disk_wire_bytes)" -gt 1000000 ] || fail "the overlay was not sent"
	[ "$(figure disk_wire_bytes)" -lt $((base_mib << 20)) ] || fail "the base was sent"
	[ "$(figure disk_remaining_bytes)" = 0 ] || fail "a part of the disk is left"
done

say "the target has another base, or none"
cat >"$tmpdir/elsewhere" <<SCRIPT
#!/bin/bash
exec ${elsewhere[*]} bash -c 'mount --bind "\$0" "$tmpdir/bases" && exec "\$@"' "\$BASES" "$daemon" "\$@"
SCRIPT
chmod +x "$tmpdir/elsewhere"
mark=$(disk_mark a)
node_stop b
BASES=$tmpdir/other start_at "$tmpdir/elsewhere" b
ends 4 "on b the base '$tmpdir/bases/base.qcow2' has other content" order a move web b
node_stop b
BASES=$tmpdir/none start_at "$tmpdir/elsewhere" b
ends 4 "b lacks the base '$tmpdir/bases/base.qcow2': copy it there, or move with '--copy-bases'" order a move web b
only_at a

say "called off while the disk is copied, base and all"
slow_move a b --copy-bases
order a cancel "$(figure move)" >/dev/null
slow_move_ends 4
only_at a

say "the link is cut while the disk is copied"
slow_move a b --copy-bases --patience 60s
writes=$(disk_mark a)
link_cut
sleep 5
[ "$(disk_mark a)" -gt "$writes" ] || fail "the guest could not write during the cut"
nodes_link 1
slow_move_ends 0
only_at b
python3 - "$tmpdir/moved" $((base_mib << 20)) <<'PYTHON'
import json, sys
last = json.loads(open(sys.argv[1]).readlines()[-1])
assert last["state"] == "done" and last["reconnects"] >= 1, last
assert int(sys.argv[2]) < last["disk_wire_bytes"] < 1.6 * int(sys.argv[2]), last
PYTHON
! migrator_at b vm show web --json | grep -q base.qcow2 || fail "it still has a base"

# The source is killed inside the stop, before and after the mirrors have ended: the guest stands still
# until its daemon is back, or QEMU resumes it.
for step in kill-before kill-after; do
	say "the source, $step=disk-finish"
	node_stop b
	node_fault[b]=$step=disk-finish
	node_start b
	mark=$(disk_mark b)
	begin_move b a "${patient[@]}"
	wait_for 60 process_ended "${node_pid[b]}"
	node_fault[b]=
	node_start b
	only_at b
done
move_there b a
[ "$(figure disk_wire_bytes)" -gt $((base_mib << 20)) ] || fail "half a disk was sent"

# What the guest has not written is the base's, and the disk is sound. A killed QEMU may leave
# clusters behind that nobody uses, no more.
pid=$(vm_field a web pid)
kill -9 "$pid"
wait_for 30 process_ended "$pid"
overlay=$(find "$tmpdir/a/vm" -name disk0.qcow2)
status=0
qemu-img check "$overlay" >"$tmpdir/check" 2>&1 || status=$?
[ "$status" -eq 0 ] || [ "$status" -eq 3 ] || fail "the disk is damaged: $(cat "$tmpdir/check")"
qemu-img convert -O raw "$overlay" "$tmpdir/whole.raw"
cmp -i 1048576 -n $(((base_mib - 1) << 20)) "$tmpdir/whole.raw" "$tmpdir/base.raw" || fail "the disk differs from its base"
[ "$(sha256sum <"$tmpdir/bases/base.qcow2")" = "$base_digest" ] || fail "the base was written to"
migrator_at a vm stop web >/dev/null
[ "$(overlays a)" -eq 0 ] || fail "the overlay outlives its VM"
runs_once
