#!/bin/bash
# shellcheck disable=SC2154  # nodes.sh sets
# SPDX-License-Identifier: Apache-2.0
# A guest of one libvirtd is migrated to another by virsh, and its migration goes through us: with its
# memory whole, in fewer bytes, over a link that is cut in its midst. What fails leaves it running
# where it was: by libvirt's own word.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

command -v libvirtd >/dev/null || skip "there is no libvirtd: libvirt-daemon-system"
command -v virsh >/dev/null || skip "there is no virsh: libvirt-clients"
# The daemon of a person's session takes no root, but must not be root's either.
if [ "$(id -u)" -eq 0 ]; then
	elsewhere=(unshare --mount)
	person=(setpriv --reuid 65534 --regid 65534 --clear-groups)
else
	elsewhere=(unshare -Urm)
	person=(unshare -U --map-user=1000)
fi
requires "${elsewhere[@]}" "${person[@]}" true

domain=web
console=$tmpdir/guest/console.log
sockets=$tmpdir/relay # what each libvirtd sees there is the folder of its own node

# QEMU before 9 loses changes to the memory of TCG guests whose size is a multiple of 256 KiB, and
# libvirt knows sizes in MiB: 8 KiB less than it asks for.
cat >"$tmpdir/qemu" <<'SH'
#!/bin/sh
for word; do
	shift
	set -- "$@" "$(printf %s "$word" | sed 's/^128$/131064K/; s/"size":134217728/"size":134209536/')"
done
exec qemu-system-x86_64 "$@"
SH
chmod 755 "$tmpdir/qemu"

libvirtd_start() {
	local home=$tmpdir/libvirt-$1
	mkdir -p "$home/libvirt"
	echo "host_uuid = \"$(cat /proc/sys/kernel/random/uuid)\"" >"$home/libvirt/libvirtd.conf"
	printf 'stdio_handler = "file"\nsecurity_driver = "none"\n' >"$home/libvirt/qemu.conf"
	[ "$(id -u)" -ne 0 ] || chown -R 65534:65534 "$home"
	# shellcheck disable=SC2016  # for the inner shell
	background "libvirtd-$1" "${elsewhere[@]}" sh -c '
		mount --bind "$1" "$2" && home=$3 && shift 3 &&
			exec "$@" env HOME="$home" XDG_RUNTIME_DIR="$home" XDG_CONFIG_HOME="$home" \
				XDG_CACHE_HOME="$home" XDG_DATA_HOME="$home" libvirtd --timeout 600' \
		sh "$tmpdir/relay-$1" "$sockets" "$home" "${person[@]}"
	wait_for 30 virsh_at "$1" version
}

virsh_at() {
	virsh --quiet --connect "$(uri_of "$1")" "${@:2}" >/dev/null 2>&1
}

uri_of() {
	echo "qemu+unix:///session?socket=$tmpdir/libvirt-$1/libvirt/libvirt-sock"
}

runs_at() {
	[ "$(virsh --quiet --connect "$(uri_of "$1")" domstate "$domain" 2>/dev/null)" = running ]
}

domain_ends() {
	virsh_at a destroy "$domain" || :
	virsh_at b destroy "$domain" || :
}

domain_start() {
	cat >"$tmpdir/$domain.xml" <<XML
<domain type='qemu'>
  <name>$domain</name>
  <memory unit='MiB'>128</memory>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <kernel>$GUEST_KERNEL</kernel>
    <initrd>$GUEST_INITRD</initrd>
    <cmdline>console=hvc0 quiet tsc=reliable tagguest.mem=32M tagguest.ws=8M tagguest.verify=128M tagguest.rate=1M</cmdline>
  </os>
  <cpu mode='custom'><model>qemu64</model></cpu>
  <devices>
    <emulator>$tmpdir/qemu</emulator>
    <controller type='usb' model='none'/>
    <console type='file'><source path='$console' append='on'/><target type='virtio'/></console>
    <memballoon model='none'/>
  </devices>
</domain>
XML
	virsh_at "$1" create "$tmpdir/$domain.xml" || fail "libvirt starts no guest"
	wait_for 60 guest_up "$console"
}

# relay_begin FROM TO [OPTION]...: in the background, with what it says in a file.
relay_begin() {
	: >"$tmpdir/progress"
	order "$1" relay "$domain" "$2" --json "${@:3}" >"$tmpdir/progress" 2>"$tmpdir/error" &
	relay=$!
	wait_for 30 test -S "$tmpdir/relay-$1/$domain"
}

# relay_ends STATUS
relay_ends() {
	local status=0
	wait "$relay" || status=$?
	[ "$status" -eq "$1" ] || fail "the relay ends with $status: $(cat "$tmpdir/error" && tail -n 1 "$tmpdir/progress")"
}

# migrate FROM TO: as any user of libvirt does.
migrate() {
	virsh --quiet --connect "$(uri_of "$1")" migrate --live --unsafe "$domain" \
		--desturi "$(uri_of "$2")" --migrateuri "unix://$sockets/$domain" >"$tmpdir/virsh.log" 2>&1
}

progress() {
	tail -n 1 "$tmpdir/progress" | python3 -c '
import json, sys
print(json.loads(sys.stdin.read() or "{}").get(sys.argv[1], 0))' "$1" 2>/dev/null || echo 0
}

half_is_sent() {
	[ "$(progress guest_bytes)" -gt 20000000 ]
}

# For a person who is not the one that runs this.
chmod 711 "$tmpdir"
install -d -m 777 "$sockets" "$tmpdir/relay-a" "$tmpdir/relay-b" "$tmpdir/guest"
install -m 644 "$GUEST_KERNEL" "$GUEST_INITRD" "$tmpdir/guest"
GUEST_KERNEL=$tmpdir/guest/$(basename "$GUEST_KERNEL")
GUEST_INITRD=$tmpdir/guest/$(basename "$GUEST_INITRD")

nodes_make a b
nodes_link 1
for node in a b; do
	node_configure "$node" "relay_dir: $tmpdir/relay-$node"
	node_start "$node"
	libvirtd_start "$node"
done
cleanup_fn domain_ends
domain_start a

say "what is refused"
ends 2 "on which node" "$MIGRATOR" relay "$domain" b --config "$tmpdir/migrator.yaml"
ends 1 "no name for a VM" order a relay ../etc b
ends 1 "no name for a VM" order a relay ../etc b --dry-run
ends 0 "would be carried: what QEMU sends to unix:$tmpdir/relay-a/$domain, to b" \
	order a relay "$domain" b --dry-run
[ ! -e "$tmpdir/relay-a/$domain" ] || fail "a dry run listens"
node_configure b
node_stop b
node_start b
relay_begin a b
if migrate a b; then fail "it is migrated to a node without a relay_dir"; fi
relay_ends 4
file_has "$tmpdir/progress" "no 'relay_dir'" || fail "no reason: $(tail -n 1 "$tmpdir/progress")"
runs_at a || fail "it does not run on at a"
node_configure b "relay_dir: $tmpdir/relay-b"
node_stop b
node_start b

say "nobody waits at the target: it is called off before anything is sent"
relay_begin a b
ends 1 "awaited already" order a relay "$domain" b
migrator_at a cancel "$domain" >/dev/null
relay_ends 4
[ ! -e "$tmpdir/relay-a/$domain" ] || fail "its socket is left behind"

say "from libvirt to libvirt"
mark=$(guest_mark "$console")
relay_begin a b
migrate a b || fail "virsh: $(cat "$tmpdir/virsh.log")"
relay_ends 0
runs_at b || fail "it does not run at b"
if virsh_at a domstate "$domain"; then fail "a still has it"; fi
wait_for 60 guest_verified "$console" "$mark"
python3 - "$tmpdir/progress" <<'PYTHON'
import json, sys
last = json.loads(open(sys.argv[1]).readlines()[-1])
assert last["event"] == "result" and last["state"] == "done", last
assert last["wire_bytes"] < last["guest_bytes"] / 2, last
print("libvirt.sh: %.1f MB sent for %.1f MB of pages" % (
    last["wire_bytes"] / 1e6, last["guest_bytes"] / 1e6))
PYTHON
migrator_at a history --json | grep -q '"state": "done"' || fail "the history does not have it"

say "the way back, over a link that is cut in its midst"
mark=$(guest_mark "$console")
relay_begin b a --bandwidth 40Mbit
migrate b a &
mover=$!
wait_for 60 half_is_sent
link_cut
nodes_link 1
wait "$mover" || fail "virsh: $(cat "$tmpdir/virsh.log")"
relay_ends 0
runs_at a || fail "it does not run at a"
wait_for 60 guest_verified "$console" "$mark"

say "the target's daemon dies: the guest runs on where it was, and can be migrated again"
mark=$(guest_mark "$console")
relay_begin a b --bandwidth 40Mbit
migrate a b &
mover=$!
wait_for 60 half_is_sent
node_kill b
node_start b
if wait "$mover"; then fail "virsh says that it was migrated"; fi
relay_ends 4
wait_for 30 runs_at a
wait_for 60 guest_verified "$console" "$mark"
relay_begin a b
migrate a b || fail "virsh: $(cat "$tmpdir/virsh.log")"
relay_ends 0
wait_for 60 guest_verified "$console" "$(guest_mark "$console")"
