#!/bin/bash
# shellcheck disable=SC2154  # nodes.sh sets
# SPDX-License-Identifier: Apache-2.0
# On a tmpfs with huge pages QEMU has a guest's memory mapped in huge pages, where it is started and
# where it has moved to; also when the memory is no whole number of them.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
[ "$(id -u)" -eq 0 ] || skip "only root may mount a tmpfs"
mkdir "$tmpdir/ram"
mount -t tmpfs -o huge=within_size tagalong-test "$tmpdir/ram" ||
	skip "the kernel has no huge pages for a tmpfs"
cleanup_fn umount -l "$tmpdir/ram" # after nodes.sh, which comes later, has ended all that is there
. "$top_srcdir/tests/e2e/nodes.sh"
rmdir "$nodes_ram"
nodes_ram=$tmpdir/ram/nodes

# in_huge_pages NODE: most of what is mapped of the memory.
in_huge_pages() {
	awk -v file="$nodes_ram/$1/" '
		/^[0-9a-f]+-[0-9a-f]+ / { ram = index($0, file) > 0 }
		ram && /^Rss:/ { all += $2 }
		ram && /^ShmemPmdMapped:/ { huge += $2 }
		END { exit !(huge > all / 2) }' "/proc/$(vm_field "$1" web pid)/smaps"
}

nodes_make a b
node_start a
node_start b
vm_memory=262136K vm_describe web "tagguest.mem=64M tagguest.rate=2M tagguest.verify=64M"
vm_start a web
in_huge_pages a || fail "its memory is not in huge pages where it was started"
mark=$(guest_mark "$(vm_console a web)")
order a move web b "${patient[@]}" >/dev/null
wait_for 60 guest_verified "$(vm_console b web)" "$mark"
in_huge_pages b || fail "its memory is not in huge pages where it has moved to"
