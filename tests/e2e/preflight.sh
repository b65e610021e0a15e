#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What would block a move is found before anything is moved, said in words, and
# leaves the guest as it was.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

# A QEMU of another kind at the target: its version, and the machines that it has.
fake_qemu() {
	cat >"$tmpdir/$1" <<SH
#!/bin/sh
case "\$*" in
-version) echo "QEMU emulator version $2 (fake)" ;;
"-machine help") printf 'Supported machines are:\n$3           words\n' ;;
*) exec qemu-system-x86_64 "\$@" ;;
esac
SH
	chmod +x "$tmpdir/$1"
}

restart_b() {
	node_stop b
	node_configure b "$@"
	node_start b
}

# refused WORDS VM [OPTION]...: the move fails with these words; the guest runs on at a.
refused() {
	local words=$1 vm=$2 said status=0
	shift 2
	said=$(migrator_at a move "$vm" b "$@" 2>&1) || status=$?
	[ "$status" -ne 0 ] || fail "the move of $vm was not refused ($words)"
	grep -qF -- "$words" <<<"$said" || fail "expected '$words', got: $said"
	vm_runs_at a "$vm" || fail "$vm does not run at a after '$words'"
	[ -z "$(vm_field b "$vm" state)" ] || fail "$vm is left at b after '$words'"
	say "refused: $words"
}

# Its memory is whole after all that.
untouched() {
	local console
	console=$(vm_console a "$1")
	wait_for 30 guest_verified "$console" "$(guest_mark "$console")"
}

small="tagguest.mem=16M tagguest.verify=64M"
fake_qemu older-qemu 6.2.0 pc-q35-7.2
fake_qemu poorer-qemu 7.2.22 pc-i440fx-7.2
nodes_make a b
node_configure b "memory: 64M"
node_start a
node_start b

vm_describe web "$small"
vm_start a web
refused "b is full: web needs" web
refused "b is full: web needs" web --force
restart_b "qemu: $tmpdir/poorer-qemu"
refused "b has no machine type 'pc-q35-7.2'" web --force
restart_b "qemu: $tmpdir/older-qemu"
refused "is older than" web
untouched web
restart_b
migrator_at a vm stop web >/dev/null

truncate -s 16M "$tmpdir/disk.raw"
vm_lines="disks: [{path: $tmpdir/disk.raw, format: raw}]" vm_describe disk "$small"
vm_start a disk
refused "disk.raw' is not on shared storage" disk
migrator_at a move disk b --force >/dev/null || fail "the move was not forced"
wait_for 5 vm_runs_at b disk
migrator_at b vm stop disk >/dev/null

vm_describe device "$small"
sed -i 's|^extra: .*|extra: [-blockdev, "null-co,node-name=null", -device, "nvme,drive=null,serial=1"]|' \
	"$tmpdir/device.yaml"
vm_start a device
refused "given by an extra argument, may not be on shared storage" device
refused "QEMU cannot move device" device --force
untouched device
