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

move_over() {
	local mark
	mark=$(guest_mark "$(vm_console "$2" "$1")")
	migrator_at "$2" move "$1" "$3" >/dev/null
	wait_for 60 guest_verified "$(vm_console "$3" "$1")" "$mark"
}

nodes_make a b
node_start a
node_start b
vm_describe web tagguest.mem=32M tagguest.rate=1M
vm_start a web
move_over web a b
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

# Back where it was, the image has done its duty; now the other side has one.
move_over web b a
wait_for 30 images_are b 1
wait_for 30 images_are a 0

# Removed by hand, and by a disk that is not there any more.
id=$(migrator_at b image list --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["images"][0]["image"])')
ends 1 'no image' migrator_at b image remove nothing
migrator_at b image remove "${id:0:8}" >/dev/null
images_are b 0 || fail "the image is still there"
rm -r "$tmpdir/a/images"
move_over web a b
wait_for 30 file_has "$tmpdir/a.log" 'vm=web is not kept: .*No such file'
mkdir -m 700 "$tmpdir/a/images"

# With the VM its key ends, and every image of it that can be reached.
move_over web b a
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
