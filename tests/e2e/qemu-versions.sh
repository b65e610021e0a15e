#!/bin/bash
# shellcheck disable=SC2154  # nodes.sh sets
# SPDX-License-Identifier: Apache-2.0
#
# A VM between two QEMUs of different versions, there and back again, with its memory whole; and the
# refusal of the way back. $QEMU_OTHER is the second one: an executable that takes QEMU's arguments, such as Debian 13's
# unpacked somewhere ("mmdebstrap --variant=extract --include=qemu-system-x86,seabios,ipxe-qemu")
# and a script that starts it with its own libraries and -L for its firmware.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

# version QEMU: "10.0.13"
version() {
	"$1" -version 2>/dev/null | sed -n 's/.*version \([0-9.]*[0-9]\).*/\1/p' | head -n 1
}

has_machine() {
	"$1" -machine help 2>/dev/null | grep -q "^$2 "
}

other=${QEMU_OTHER:-}
for try in /opt/qemu*/bin/qemu-system-x86_64; do
	[ -n "$other" ] || [ ! -x "$try" ] || other=$try
done
[ -n "$other" ] || skip "there is no second QEMU: QEMU_OTHER names one"
other_version=$(version "$other")
own_version=$(version qemu-system-x86_64)
[ -n "$other_version" ] || fail "'$other' is no QEMU"
[ "${other_version%.*}" != "${own_version%.*}" ] || skip "both QEMUs are version $own_version"
has_machine "$other" pc-q35-7.2 || skip "QEMU $other_version has no pc-q35-7.2"

# newer_is A B: whether A is the newer version.
newer_is() {
	[ "$(printf '%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$1" ]
}

# a has the older one, b the newer.
nodes_make a b
if newer_is "$other_version" "$own_version"; then
	newer=$other older=qemu-system-x86_64
else
	newer=qemu-system-x86_64 older=$other
fi
node_configure a "qemu: $older"
node_configure b "qemu: $newer"
node_start a
node_start b
vm_watch

# move_verified FROM TO [OPTION]...
move_verified() {
	local mark
	mark=$(guest_mark "$(vm_console "$1" web)")
	migrator_at "$1" move web "$2" "${patient[@]}" "${@:3}" >"$tmpdir/moved" 2>&1 ||
		fail "from $1 to $2: $(cat "$tmpdir/moved")"
	wait_for 30 vm_runs_at "$2" web
	wait_for 60 guest_verified "$(vm_console "$2" web)" "$mark"
}

vm_memory=128M vm_describe web "tagguest.mem=32M tagguest.rate=2M tagguest.verify=64M"
vm_start a web
say "from $(version "$older") to $(version "$newer")"
move_verified a b

say "back: refused, and done when it is forced"
ends 4 'is older than' migrator_at b move web a "${patient[@]}"
vm_runs_at b web || fail "a refused move left the guest where it was not"
move_verified b a --force

say "and there once more, with an image of the first visit"
move_verified a b
runs_once
