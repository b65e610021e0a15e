#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a VM leaves behind where it was: an image of its memory that only the VM's
# own key opens, which goes along with the VM and ends with it. A disk that takes no
# images costs the image, never the move.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

# image_count NODE
image_count() {
	migrator_at "$1" image list --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["images"]))'
}

images_are() {
	[ "$(image_count "$1")" = "$2" ]
}

# image_key NODE: of the one VM there, in hexadecimal; nothing when there is none.
image_key() {
	python3 - "$tmpdir/$1/journal.db" <<'PY'
import sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute("SELECT luggage FROM vm").fetchall()
for (luggage,) in rows:
    assert luggage[:2] == b"\x0a\x20", "the key comes first"
    print(luggage[2:34].hex())
PY
}

# knows_key NODE KEY: some file of its journal has the key in it.
knows_key() {
	python3 - "$2" "$tmpdir/$1/journal.db"* <<'PY'
import sys
key = bytes.fromhex(sys.argv[1])
assert len(key) == 32
sys.exit(0 if any(key in open(f, "rb").read() for f in sys.argv[2:]) else 1)
PY
}

# moved VM FROM TO: moves it, has its memory verified; figures of the move in $figures.
moved() {
	local mark
	mark=$(guest_mark "$(vm_console "$2" "$1")")
	figures=$(migrator_at "$2" move "$1" "$3" "${patient[@]}" --json | tail -n 1)
	wait_for 60 guest_verified "$(vm_console "$3" "$1")" "$mark"
}

# figure NAME: of the last move; 0 when it has none.
figure() {
	python3 -c 'import json, sys; print(json.loads(sys.argv[1]).get(sys.argv[2], 0))' "$figures" "$1"
}

# Pages that the target had, apart from those that it got ahead of QEMU and that were then the same.
were_there() {
	echo $(($(figure pages_same) - $(figure pages_ahead)))
}

# All that went between the two: the pages, and what was asked of the target before.
bytes() {
	echo $(($(figure wire_bytes) + $(figure image_bytes)))
}

# What NODE noted of VM when it arrived there.
arrival() {
	echo "$(vm_field "$1" "$2" directory)/arrival"
}

nodes_make a b
metrics=$(free_port)
node_configure a "metrics: 127.0.0.1:$metrics"
node_start a
node_start b
vm_describe web tagguest.mem=32M tagguest.rate=1M
vm_start a web
moved web a b
wait_for 30 images_are a 1
images_are b 0 || fail "b keeps an image of what it runs"

# Nobody can read it: neither from the file, nor with what is left at a.
file=$(find "$tmpdir/a/images" -name '*.image')
grep -qa 'Linux version' "$nodes_ram"/b/web.* || fail "the guest's memory has no kernel in it"
if grep -qa 'Linux version' "$file"; then
	fail "the image is plain text"
fi
key=$(image_key b)
knows_key b "$key" || fail "b has not the key"
if knows_key a "$key"; then
	fail "a still has the key"
fi

# A restart finds it again, and sweeps what was half written.
node_kill a
touch "$file.part"
node_start a
images_are a 1 || fail "the image was not found again"
[ ! -e "$file.part" ] || fail "half an image is left"

# Back where it was, the image has done its duty; now the other side has one. What b noted when the
# VM arrived is gone, so a is asked what is in the image.
[ "$(stat -c %a "$(arrival b web)")" = 600 ] || fail "others may read what b noted"
rm "$(arrival b web)"
moved web b a
[ "$(figure image_bytes)" -gt 0 ] || fail "nobody asked what is in the image"
[ "$(figure known_pages)" -eq 0 ] || fail "b knows what is in the image"
[ "$(were_there)" -gt 1000 ] || fail "few pages were found in the image"
wait_for 30 images_are b 1
wait_for 30 images_are a 0

# Removed by hand, and by a disk that is not there any more.
id=$(migrator_at b image list --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["images"][0]["image"])')
ends 1 'no image' migrator_at b image remove nothing
migrator_at b image remove "${id:0:8}" >/dev/null
images_are b 0 || fail "the image is still there"
rm -r "$tmpdir/a/images"
moved web a b
wait_for 30 file_has "$tmpdir/a.log" 'vm=web is not kept: .*No such file'
mkdir -m 700 "$tmpdir/a/images"

# With the VM its key ends, and every image of it that can be reached.
moved web b a
wait_for 30 images_are b 1
key=$(image_key a)
migrator_at a vm stop web >/dev/null
wait_for 30 images_are b 0
[ -z "$(find "$tmpdir/b/images" -type f)" ] || fail "b has a file left"
for node in a b; do
	if knows_key "$node" "$key"; then
		fail "$node has the key of a VM that is no more"
	fi
done

# --- the way back --------------------------------------------------------------

vm_describe home "tagguest.mem=32M tagguest.ws=2M tagguest.rate=256K"
vm_start a home
moved home a b
cold=$(bytes)
cold_tail=$(figure tail_bytes)
[ "$(figure image_bytes)" -eq 0 ] || fail "b had an image of a VM that it had never seen"
wait_for 30 images_are a 1
node_kill b # what it noted of the arrival is found again
node_start b
moved home b a
back=$(bytes)
say "there $cold bytes, back $back bytes, $(were_there) pages the same of $(figure known_pages) known"
[ "$(were_there)" -gt 1000 ] || fail "few pages were found in the image"
[ "$(figure known_pages)" -gt 0 ] || fail "b does not know what is in the image"
[ "$(figure image_bytes)" -eq 0 ] || fail "b asked for what it knows"
[ "$(figure pages_asked)" -eq 0 ] || fail "the image was not just what b had noted"
say "the state of the devices: there $cold_tail bytes, back $(figure tail_bytes)"
[ $(($(figure tail_bytes) * 4)) -lt "$cold_tail" ] || fail "the last tail was no dictionary"
[ $((back * 3)) -lt "$cold" ] || fail "the way back is no shorter"

# Every page of the image is damaged a little, in the middle of its bytes: the target notices,
# and asks for them all. Nothing but bytes is lost.
wait_for 30 images_are b 1
python3 - "$(find "$tmpdir/b/images" -name '*.image')" <<'PY'
import os, sys
with open(sys.argv[1], "r+b") as f:
    pages = int.from_bytes(f.read(64)[56:64], "big")
    assert 256 + pages * 4112 < os.path.getsize(sys.argv[1]), "the format has changed"
    for slot in range(0, pages, 8):
        f.seek(256 + slot * 4112 + 2000)
        byte = f.read(1)[0]
        f.seek(-1, 1)
        f.write(bytes([byte ^ 1]))
PY
moved home a b
[ "$(figure pages_asked)" -gt 0 ] || fail "nobody noticed that the image was damaged"
say "a damaged image: $(bytes) bytes, $(figure pages_asked) pages asked for, blackout $(($(figure blackout_ns) / 1000000)) ms"

# Cut short, it is not even opened.
wait_for 30 images_are a 1
truncate -s -1 "$(find "$tmpdir/a/images" -name '*.image')"
moved home b a
[ $(($(figure image_bytes) + $(figure known_pages))) -eq 0 ] || fail "an image that was cut short was used"
file_has "$tmpdir/a.log" 'vm=home image dropped: .*not a whole image' || fail "it was not dropped"

# What was noted of the arrival is damaged: nothing but bytes is lost.
wait_for 30 images_are b 1
python3 - "$(arrival a home)" <<'PY'
import os, sys
with open(sys.argv[1], "r+b") as f:
    pages = int.from_bytes(f.read(40)[32:40], "big")
    assert 4096 + pages * 272 == os.path.getsize(sys.argv[1]), "the format has changed"
    for page in range(0, pages, 3): # its hash, or that of a block of it
        f.seek(4096 + page * 16 if page % 2 else 4096 + pages * 16 + page * 256 + 8)
        byte = f.read(1)[0]
        f.seek(-1, 1)
        f.write(bytes([byte ^ 1]))
PY
moved home a b
[ "$(figure known_pages)" -gt 0 ] || fail "what a had noted was not used"
say "damaged notes: $(bytes) bytes, $(figure pages_asked) pages asked for"
migrator_at b vm stop home >/dev/null

# --- sent ahead ------------------------------------------------------------------

vm_describe next "tagguest.mem=32M tagguest.ws=2M tagguest.rate=256K"
vm_start a next
migrator_at a warm next b >"$tmpdir/warmed"
file_has "$tmpdir/warmed" 'b has most of next' || fail "it says '$(cat "$tmpdir/warmed")'"
vm_runs_at a next || fail "the VM does not run any more"
[ -z "$(vm_field b next state)" ] || fail "b has more than an image"
if grep -q finish-migrate "$(vm_field a next directory)/qemu.log"; then
	fail "the guest was stopped for it"
fi
# At once: b is still writing it.
moved next a b
say "sent ahead: $(bytes) bytes of $cold were left"
[ $(($(bytes) * 3)) -lt "$cold" ] || fail "sending ahead saved too little"

# A move that is ordered meanwhile need not wait, and has what had arrived by then.
vm_describe early "tagguest.mem=32M tagguest.ws=2M tagguest.rate=256K"
vm_start a early
migrator_at a warm early b --bandwidth 80Mbit >"$tmpdir/warmed" 2>&1 &
warming=$!
sleep 3
moved early a b
! wait "$warming" || fail "the warming says that it was done: $(cat "$tmpdir/warmed")"
file_has "$tmpdir/warmed" 'a move of it was ordered' || fail "it says '$(cat "$tmpdir/warmed")'"
say "sent ahead until the move: $(bytes) bytes of $cold were left"
[ "$(bytes)" -lt "$((cold * 9 / 10))" ] || fail "what had been sent ahead was lost"
migrator_at b vm stop early >/dev/null
wait_for 30 images_are a 1

# The move never came, and now the VM is gone: so is what was sent ahead.
migrator_at b warm next a >/dev/null
wait_for 30 images_are a 1
migrator_at b vm stop next >/dev/null
wait_for 30 images_are a 0

# --- base images --------------------------------------------------------------------

# Two VMs of one kind, of which one lends its memory to the other: only because the other's
# description says so.
vm_describe first tagguest.mem=8M tagguest.rate=256K
vm_start a first
migrator_at a image add guest --vm first >/dev/null
migrator_at b image add guest --from a >/dev/null
ends 1 'no base image' migrator_at b image add other --from a
images_are b 1 || fail "b has not the base image"
vm_describe plain tagguest.mem=8M tagguest.rate=256K
vm_lines="base_image: guest" vm_describe second tagguest.mem=8M tagguest.rate=256K
vm_start a plain
vm_start a second
moved plain a b
alone=$(bytes)
moved second a b
say "with a base image: $(bytes) bytes instead of $alone, $(figure pages_copy) pages from there"
[ $(($(bytes) * 3)) -lt $((alone * 2)) ] || fail "the base image saved too little"
vm_runs_at a first || fail "the VM that lent its memory does not run any more"
migrator_at b image list --json >"$tmpdir/list"
file_has "$tmpdir/list" '"base": "guest"' || fail "the list has no base image"
migrator_at b image remove guest >/dev/null

# --- figures -------------------------------------------------------------------------

python3 - "$metrics" >"$tmpdir/figures" <<'PY'
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
print(opener.open(f"http://127.0.0.1:{sys.argv[1]}/metrics", timeout=5).read().decode())
PY
for line in 'vms\{state="running"\} 1' 'images\{kind="base"\} 1' \
	'moves_total\{direction="out",outcome="done"\} [1-9]' \
	'moves_total\{direction="out",outcome="sent_ahead"\} 1' \
	'moves_total\{direction="out",outcome="aborted"\} [1-9]' \
	'moves_total\{direction="in",outcome="done"\} [1-9]' \
	'move_blackout_seconds_count [1-9]' 'memory_bytes 2147483648'; do
	file_has "$tmpdir/figures" "^tagalong_migrator_$line" || fail "no $line: $(cat "$tmpdir/figures")"
done
runs_once
