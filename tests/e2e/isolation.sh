#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154  # nodes.sh sets
# A guest's QEMU is confined as SECURITY.md says, where it starts and where it
# arrives; and it does not die with its daemon.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"
requires test "$(id -u)" -eq 0
requires getent passwd nobody
requires setpriv --version

# The user must get at the guest's files, but at nothing else of ours.
install -d -m 711 "$tmpdir" "$tmpdir/guest"
install -m 644 "$GUEST_KERNEL" "$GUEST_INITRD" "$tmpdir/guest"
GUEST_KERNEL=$tmpdir/guest/$(basename "$GUEST_KERNEL")
GUEST_INITRD=$tmpdir/guest/$(basename "$GUEST_INITRD")

cgroup=
for root in /sys/fs/cgroup /sys/fs/cgroup/unified; do
	if [ -w "$root/cgroup.procs" ] && [ -f "$root/cgroup.controllers" ]; then
		cgroup=$root/tagalong-$e2e_name.$$
	fi
done

status_of() {
	awk -v key="$2:" '$1 == key { print $2 }' "/proc/$1/status"
}

# confined NODE VM
confined() {
	local pid directory key ram
	pid=$(vm_field "$1" "$2" pid)
	directory=$(vm_field "$1" "$2" directory)
	for key in CapInh CapPrm CapEff CapBnd CapAmb; do
		[ "$(status_of "$pid" $key)" = 0000000000000000 ] || fail "QEMU at $1: $key is not empty"
	done
	[ "$(status_of "$pid" Uid)" = "$(id -u nobody)" ] || fail "QEMU at $1 is not nobody's"
	[ "$(status_of "$pid" Gid)" = "$(id -g nobody)" ] || fail "QEMU at $1 is not in nobody's group"
	[ "$(status_of "$pid" Seccomp)" = 2 ] || fail "QEMU at $1 has no seccomp filter"
	[ "$(status_of "$pid" NoNewPrivs)" = 1 ] || fail "QEMU at $1 may gain privileges"
	if [ -n "$cgroup" ]; then
		grep -q "/tagalong-$e2e_name.$$/$2\." "/proc/$pid/cgroup" || fail "QEMU at $1 has no cgroup"
	fi
	if find "/proc/$pid/fd" -lname '*journal*' -o -lname '*.key' | grep -q .; then
		fail "QEMU at $1 has the daemon's files open"
	fi
	ram=$(echo "$nodes_ram/$1/$2".*)
	for file in "$ram" "$directory/console.log" "$directory/qemu.log" "$directory/spec" \
		"$directory/disk0.qcow2"; do
		[ -f "$file" ] || fail "there is no $file"
		[ "$(stat -c %a "$file")" = 600 ] || fail "$file has mode $(stat -c %a "$file")"
		setpriv --reuid daemon --regid daemon --clear-groups head -c 1 "$file" >/dev/null 2>&1 &&
			fail "anybody can read $file"
	done
	[ ! -e "$directory/disk.sock" ] || fail "the socket of a move is left behind"
	# What the daemon believes after a restart is not QEMU's to write.
	for file in "$directory" "$directory/spec" "$directory/pid" "$tmpdir/$1/journal.db"; do
		setpriv --reuid nobody --regid nogroup --clear-groups test -w "$file" &&
			fail "QEMU's user can write $file"
	done
	say "confined at $1"
}

nodes_make a b
for node in a b; do
	node_configure $node "qemu_user: nobody" ${cgroup:+"cgroup: $cgroup"}
	node_start $node
done
# A disk that moves along, on a base that nobody but root may write to.
install -d -m 755 "$tmpdir/bases"
truncate -s 1M "$tmpdir/bases/base.raw"
chmod 644 "$tmpdir/bases/base.raw"
vm_lines="disks: [{ base: $tmpdir/bases/base.raw, format: raw }]"
vm_describe web "tagguest.mem=16M tagguest.verify=64M tagguest.disk=vda"
vm_start a web
confined a web

pid=$(vm_field a web pid)
mark=$(guest_mark "$(vm_console a web)")
node_kill a
process_ended "$pid" && fail "the guest died with its daemon"
node_start a
wait_for 10 vm_runs_at a web
[ "$(vm_field a web pid)" = "$pid" ] || fail "that is another guest"

migrator_at a move web b >/dev/null || fail "it cannot be moved"
wait_for 5 vm_runs_at b web
confined b web
wait_for 30 guest_verified "$(vm_console b web)" "$mark"
runs_once

migrator_at b vm stop web >/dev/null
[ -z "$(find "$nodes_ram" -type f)" ] || fail "RAM files are left behind"
[ -z "$cgroup" ] || rmdir "$cgroup" || fail "cgroups are left behind"
