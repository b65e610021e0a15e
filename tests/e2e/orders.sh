#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Orders that cannot or must not be carried out: each is refused with a clear
# reason, and the guest never notices.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

SAY=$top_builddir/tests/e2e/say

# refused STATUS PATTERN COMMAND [ARGUMENT]...: it fails with that exit code and says why.
refused() {
	local want=$1 pattern=$2 status=0 text
	shift 2
	text=$("$@" 2>&1) || status=$?
	[ "$status" = "$want" ] || fail "exit code $status, not $want: $*: $text"
	grep -Eq -- "$pattern" <<<"$text" || fail "'$text' does not say '$pattern'"
	say "refused as it should be: $(tail -n 1 <<<"$text")"
}

# speak AS ROLE_NAME NODE WORD...
speak() {
	local key=$1 node=$2
	shift 2
	"$SAY" "$tmpdir/keys/$key" "$key" "$(key_of "$node")" "tcp://127.0.0.1:${node_port[$node]}" "$@"
}

# answers PATTERN KEY NODE WORD...
answers() {
	local pattern=$1 text
	shift
	text=$(speak "$@") || fail "say failed: $*"
	grep -Eq -- "$pattern" <<<"$text" || fail "'$text' is not '$pattern': $*"
	say "answered as it should be: $text"
}

# A QEMU that says other things of itself.
wrapper() {
	cat >"$tmpdir/$1" <<SH
#!/bin/sh
case "\$*" in
*-version*) echo "QEMU emulator version $2" ;;
*"-machine help"* | *"-M help"*) qemu-system-x86_64 "\$@" | grep -v "$3" ;;
*) exec qemu-system-x86_64 "\$@" ;;
esac
SH
	chmod +x "$tmpdir/$1"
}

nodes_make a b small newer older other plain away
"$MIGRATOR" keys make "$tmpdir/keys/stranger" >"$tmpdir/keys/stranger.pub"
"$MIGRATOR" keys make "$tmpdir/keys/boss" >"$tmpdir/keys/boss.pub"
"$MIGRATOR" keys allow controller boss "$(key_of boss)" --to "$tmpdir/a.allow" >/dev/null
wrapper qemu-newer 99.0.0 nothing-is-taken-away
wrapper qemu-older 6.2.0 nothing-is-taken-away
wrapper qemu-other 7.2.22 pc-q35-7.2
node_configure small "memory: 64M"
node_configure newer "qemu: $tmpdir/qemu-newer"
node_configure older "qemu: $tmpdir/qemu-older"
node_configure other "qemu: $tmpdir/qemu-other"
node_configure plain "plain_text_data: true"
for node in a b small newer older other plain; do
	node_start "$node"
done
vm_watch
vm_memory=96M vm_describe web "tagguest.mem=8M tagguest.rate=2M tagguest.verify=64M"
vm_start a web
console=$(vm_console a web)
pid=$(vm_field a web pid)
mark=$(guest_mark "$console")

# --- VMs ---------------------------------------------------------------------

refused 1 "has a VM named 'web'" migrator_at a vm start "$tmpdir/web.yaml"
refused 1 "no VM named 'nosuch'" migrator_at a vm stop nosuch
refused 1 "is full" migrator_at small vm start "$tmpdir/web.yaml"
vm_describe broken
echo "colour: red" >>"$tmpdir/broken.yaml"
refused 1 colour migrator_at a vm start "$tmpdir/broken.yaml"
vm_describe nokernel
sed -i 's,^kernel:.*,kernel: /nonexistent/vmlinuz,' "$tmpdir/nokernel.yaml"
refused 1 "/nonexistent/vmlinuz" migrator_at a vm start "$tmpdir/nokernel.yaml"
vm_describe wrong
sed -i 's,^extra:.*,extra: ["-device"\, "no-such-device"],' "$tmpdir/wrong.yaml"
refused 1 "no-such-device" migrator_at a vm start "$tmpdir/wrong.yaml"
[ "$(qemus)" = 1 ] || fail "$(qemus) QEMUs live"

# --- moves that are refused ----------------------------------------------------

refused 1 "no VM named 'nosuch'" migrator_at a move nosuch b
refused 1 "is on a already" migrator_at a move web a
refused 4 "small is full" migrator_at a move web small
refused 4 "may not understand" migrator_at a move web older
qemu_major=$(qemu-system-x86_64 --version | sed -n 's/^QEMU emulator version \([0-9]*\).*/\1/p')
# Memory of a size that QEMU 9 may have, and with which 7.2 loses writes: nobody is led there
# unknowingly. Who insists gets it as it is, and cannot leave again unknowingly either.
vm_memory=64M vm_describe big
migrator_at newer vm start "$tmpdir/big.yaml" >/dev/null
refused 4 "could not leave b again|may not understand|loses changes" migrator_at newer move big b
migrator_at newer move big b "${patient[@]}" --force >/dev/null
if [ "$qemu_major" -lt 9 ]; then
	refused 4 "multiple of 256 KiB" migrator_at b move big a
fi
migrator_at b vm stop big >/dev/null
refused 4 "no machine type 'pc-q35-7.2'" migrator_at a move web other
refused 4 "plain" migrator_at a move web plain
refused 4 "cannot reach away" migrator_at a move web away
refused 1 "it would be refused: small: small is full" migrator_at a move web small --dry-run
migrator_at a move web b --dry-run | grep -q "nothing blocks" || fail "the dry run found something"

# A second move of a moving VM, a VM that moves is not stopped, and a repeated id.
id=00000000-0000-4000-8000-000000000001
b_endpoint=tcp://127.0.0.1:${node_port[b]}
slow=$(migrator_at a move web b --bandwidth 8Mbit --detach --json |
	sed -n 's/.*"move": *"\([0-9a-f-]*\)".*/\1/p')
refused 1 "being moved already" migrator_at a move web b
refused 1 "being moved" migrator_at a vm stop web
answers "move_progress|done" me a order "$slow" web b "$b_endpoint" "$(key_of b)"
refusal=00000000-0000-4000-8000-000000000004
answers "^failure 16 web is being moved already" me a order "$refusal" web b "$b_endpoint" "$(key_of b)"
migrator_at a cancel "$slow" >/dev/null
slow_is_over() {
	[ "$(move_state a "$slow")" = aborted ]
}
wait_for 10 slow_is_over
# Its repetition may have been on its way for as long.
answers "^failure 16 web is being moved already" me a order "$refusal" web b "$b_endpoint" "$(key_of b)"
refused 1 "no such move|too late" migrator_at a cancel "$slow"
answers "^done" me a order "$slow" web b "$b_endpoint" "$(key_of b)"
refused 1 "no such move|not in doubt" migrator_at a resolve "$slow" --run-here --yes

# --- who may say what ----------------------------------------------------------

answers silence stranger a order "$id" web b "$b_endpoint" "$(key_of b)"
answers "failure 13 b is a node" b a order "$id" web b "$b_endpoint" "$(key_of b)"
answers "failure 13 me is no node" me a commit "$id"
answers "state 1" b a query "$id"
answers "state 1" b a commit "$id"
answers "state 5" b a abort "$id"
answers "state 5" b a commit "$id"
answers "failure" me a garbage
answers silence me a huge
"$SAY" "$tmpdir/keys/me" somebody "$(key_of a)" "tcp://127.0.0.1:${node_port[a]}" commit "$id" |
	grep -q "failure 13 sender 'somebody'" || fail "anybody may say they are somebody"
# A key that is not the target's: nobody else can stand in for it.
answers "^done" me a order 00000000-0000-4000-8000-000000000002 web b "$b_endpoint" "$(key_of plain)"
fake_is_over() {
	[ "$(move_state a 00000000-0000-4000-8000-000000000002)" = aborted ]
}
wait_for 20 fake_is_over

# --- epochs: orders of a controller that has been replaced are void ----------------

late=00000000-0000-4000-8000-000000000003
answers "failure 2 no VM" boss a order "$late" nosuch b "$b_endpoint" "$(key_of b)" 7
answers "failure 116 stale" boss a order "$late" web b "$b_endpoint" "$(key_of b)" 6
node_stop a
node_start a
answers "failure 116 stale" boss a order "$late" web b "$b_endpoint" "$(key_of b)" 6

# --- a guest that nobody disturbed -------------------------------------------------

[ "$(vm_field a web pid)" = "$pid" ] || fail "web is not the same any more"
[ "$(qemus)" = 1 ] || fail "$(qemus) QEMUs live"
wait_for 30 guest_verified "$console" "$mark"
runs_once
