#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The test guest boots, verifies its memory, answers, and notices damage: a byte
# changed behind its back, and a page put back to what it was before.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
requires_guest
requires test -w /dev/shm

# The seed's bytes spell this, so that pages are found in the guest's RAM file.
word=$(printf 'tagg%04x' "$RANDOM")
seed=0x$(printf '%s' "$word" | rev | od -An -tx1 | tr -d ' \n')
ram=/dev/shm/tagalong-$e2e_name.$$
console=$tmpdir/console.log
control=127.0.0.1:$(free_port)
echo_port=$(free_port)
cleanup_fn rm -f "$ram"
truncate -s 1M "$tmpdir/disk"

background qemu qemu-system-x86_64 -M pc-q35-7.2,memory-backend=ram0 -accel tcg -cpu qemu64 \
	-m 131064K -object "memory-backend-file,id=ram0,size=131064K,mem-path=$ram,share=on" \
	-nodefaults -vga none -display none -no-reboot \
	-kernel "$GUEST_KERNEL" -initrd "$GUEST_INITRD" \
	-append "console=hvc0 quiet tsc=reliable tagguest.mem=32M tagguest.rate=4M tagguest.ws=1M \
		tagguest.seed=$seed tagguest.ip=10.0.2.15/24 tagguest.disk=vda" \
	-device virtio-serial-pci -chardev "file,id=console,path=$console" \
	-device virtconsole,chardev=console \
	-drive "if=none,id=disk,format=raw,file=$tmpdir/disk" -device virtio-blk-pci,drive=disk \
	-netdev "user,id=net0,hostfwd=udp:$control-:7007,hostfwd=tcp:127.0.0.1:$echo_port-:7" \
	-device virtio-net-pci,netdev=net0
qemu=$background_pid

# page_offset INDEX_BYTES: where a page lies in the RAM file, by its label.
page_offset() {
	LC_ALL=C grep -obUaP "$word$1\\x00\\x00\\x00\\x00\\x00\\x00" "$ram" |
		awk -F: '$1 % 4096 == 8 { print $1 - 8; exit }'
}

guest_has_found() {
	file_has "$console" "^tagguest error page=$1 state=$2 .* end"
}

wait_for 30 file_has "$console" '^tagguest start version=1 .* end'
wait_for 30 guest_up "$console"
mark=$(guest_mark "$console")
wait_for 30 guest_verified "$console" "$mark"
say "$(guest_last "$console")"
[ "$(guest_field "$console" written)" -gt 256 ] || fail "it does not rewrite its pages"
[ "$(guest_field "$console" disk_writes)" -gt 0 ] || fail "it does not write its disk"

# TCP echo, more than fits any buffer on the way.
head -c 1000000 /dev/urandom >"$tmpdir/sent"
exec {tcp}<>"/dev/tcp/127.0.0.1/$echo_port"
cat "$tmpdir/sent" >&"$tcp" &
timeout 30 head -c 1000000 <&"$tcp" >"$tmpdir/received"
exec {tcp}>&-
cmp "$tmpdir/sent" "$tmpdir/received"

# The control port.
answer=$(guest_control "$control" get)
[ "$(report_field "$answer" rate)" = 4194304 ] || fail "unexpected answer: $answer"
answer=$(guest_control "$control" "set rate=1M colour=blue")
[[ $answer == "error colour=blue: "* ]] || fail "unexpected answer: $answer"

# One byte in a page that is not rewritten (5000).
offset=$(page_offset '\x88\x13')
byte=$(od -An -tu1 -j $((offset + 2000)) -N 1 "$ram")
printf '%b' "\\x$(printf '%02x' $((byte ^ 1)))" |
	dd of="$ram" bs=1 seek=$((offset + 2000)) conv=notrunc status=none
wait_for 30 guest_has_found 5000 torn

# A page from the working set, put back after it was rewritten.
offset=$(page_offset '\x05\x00')
dd if="$ram" of="$tmpdir/old" bs=4096 skip=$((offset / 4096)) count=1 status=none
sleep 3
[ "$(guest_control "$control" "set rate=0")" = ok ] || fail "the rate cannot be set"
dd if="$tmpdir/old" of="$ram" bs=4096 seek=$((offset / 4096)) conv=notrunc status=none
wait_for 30 guest_has_found 5 stale

errors_are() {
	[ "$(guest_field "$console" errors)" = "$1" ]
}
wait_for 10 errors_are 2
process_ended "$qemu" && fail "QEMU ended"
say "damage was found: $(grep -c '^tagguest error' "$console") of 2"
