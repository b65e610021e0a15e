#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A guest that somebody else has started, in memory that is QEMU's own, moves to a QEMU of
# ours, from there to one that somebody else has started, and on to another such one. Daemons
# are killed in the middle: then the guest runs on. Never two copies ran.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

# QEMU rounds sizes to 8 KiB, and loses pages of those that are multiples of 256 KiB.
memory=131064K
words="tagguest.mem=32M tagguest.ws=8M tagguest.verify=128M tagguest.rate=4M"

# foreign NAME MACHINE [OPTION]...: a QEMU as somebody may start it, with the devices of a VM
# of ours. Its monitor is $tmpdir/NAME.qmp, its process $foreign_pid.
foreign() {
	local name=$1 machine=$2
	shift 2
	qemu-system-x86_64 -no-user-config -nodefaults -vga none -display none \
		-machine "$machine" -accel tcg -cpu qemu64 -smp 1 -m "$memory" \
		-qmp "unix:$tmpdir/$name.qmp,server=on,wait=off" \
		-device virtio-serial-pci,id=serial0 \
		-chardev "file,id=console,path=$(foreign_console "$name")" \
		-device virtconsole,chardev=console,id=console0 \
		-kernel "$GUEST_KERNEL" -initrd "$GUEST_INITRD" \
		-append "console=hvc0 quiet tsc=reliable $words" \
		-msg timestamp=on -trace runstate_set "$@" \
		</dev/null >"$nodes_seen/web/$name.qemu.log" 2>&1 &
	foreign_pid=$!
	disown "$foreign_pid"
	cleanup_fn end_process "$foreign_pid"
	wait_for 10 test -S "$tmpdir/$name.qmp"
}

foreign_console() {
	echo "$nodes_seen/web/$1.console.log"
}

adopt() {
	migrator_at a vm adopt "$tmpdir/web.yaml" --qmp "$tmpdir/$1.qmp"
}

# awaits NODE NAME [ADDRESS]: a QEMU of that name waits there for the guest.
awaits() {
	foreign "$2" pc-q35-7.2,suppress-vmdesc=on -incoming "${3:-defer}"
	migrator_at "$1" vm receive web --qmp "$tmpdir/$2.qmp" ${3:+--incoming "$3"}
}

# moves FROM TO CONSOLE [NEW CONSOLE]: and all that the guest had in its memory is there.
moves() {
	local mark console
	mark=$(guest_mark "$3")
	migrator_at "$1" move web "$2" "${patient[@]}"
	vm_runs_at "$2" web || fail "it does not run at $2"
	[ -z "$(vm_field "$1" web state)" ] || fail "$1 still has it"
	console=${4:-$(vm_console "$2" web)}
	wait_for 60 guest_verified "$console" "$mark"
}

# goes_wrong FROM TO: both daemons are killed while it moves, and it runs on where it was.
goes_wrong() {
	begin_move "$1" "$2" --bandwidth 10Mbit
	wait_for 30 is_copying "$1"
	node_kill "$2"
	node_kill "$1"
	node_start "$2"
	node_start "$1"
	wait_for 30 vm_runs_at "$1" web
	wait_for 30 has_nothing "$2"
}

is_copying() {
	[ "$(move_state "$1" "$move")" = copying ]
}

has_nothing() {
	[ -z "$(vm_field "$1" web state)" ]
}

# The copy of its RAM takes memory while it moves only.
copy_is_empty() {
	[ "$(find "$nodes_ram/$1" -type f -size +0 -printf '%b\n' | sort -n | tail -n 1)" = 0 ]
}

mkdir -p "$nodes_seen/web"
nodes_make a b
node_start a
node_start b
vm_describe web "$words"
vm_watch

say "what is refused changes nothing"
foreign first pc-q35-7.2
first_pid=$foreign_pid
ends 2 "which QEMU" migrator_at a vm adopt "$tmpdir/web.yaml"
ends 1 "No such file" migrator_at a vm adopt "$tmpdir/web.yaml" --qmp "$tmpdir/none.qmp"
sed 's/pc-q35-7.2/pc-q35-7.1/' "$tmpdir/web.yaml" >"$tmpdir/other.yaml"
ends 1 "has machine 'pc-q35-7.2" migrator_at a vm adopt "$tmpdir/other.yaml" --qmp "$tmpdir/first.qmp"
has_nothing a || fail "a refused VM is there"
wait_for 60 guest_up "$(foreign_console first)"
ends 0 '^would be adopted: web$' migrator_at a vm adopt "$tmpdir/web.yaml" --qmp "$tmpdir/first.qmp" --dry-run
has_nothing a || fail "a dry run adopted it"

say "adopted, also by the daemon's next life"
adopt first
wait_for 10 vm_runs_at a web
ends 1 "already" adopt first
node_kill a
node_start a
wait_for 10 vm_runs_at a web

say "a move that is killed"
goes_wrong a b
wait_for 10 copy_is_empty a

say "to a QEMU of ours"
moves a b "$(foreign_console first)"
wait_for 10 process_ended "$first_pid"

say "to one that waits for it, once that was killed and once not"
ours=$(vm_console b web)
awaits a second
goes_wrong b a
wait_for 10 process_ended "$foreign_pid"
awaits a third
moves b a "$ours" "$(foreign_console third)"
wait_for 10 copy_is_empty a

say "from one of others to the next, which listens at a socket"
ends 1 "neither unix:PATH nor tcp" migrator_at b vm receive web --qmp "$tmpdir/third.qmp" --incoming fd:7
ends 1 "No such file" migrator_at b vm receive web --qmp "$tmpdir/none.qmp" --dry-run
ends 0 '^would be awaited: other$' migrator_at b vm receive other --qmp "$tmpdir/third.qmp" --dry-run
awaits b fourth "unix:$tmpdir/fourth.stream"
moves a b "$(foreign_console third)" "$(foreign_console fourth)"

say "and back to one that listens at a port"
awaits a fifth "tcp:127.0.0.1:$(free_port)"
fifth_pid=$foreign_pid
moves b a "$(foreign_console fourth)" "$(foreign_console fifth)"
migrator_at a vm stop web >/dev/null
wait_for 10 process_ended "$fifth_pid"
runs_once
[ -z "$(find "$nodes_ram" -type f)" ] || fail "RAM files are left behind"
