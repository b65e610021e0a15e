#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Without any encryption, because the configuration says so in as many words:
# both daemons warn, and a guest moves all the same.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"

nodes_make a b
for node in a b; do
	node_configure "$node" "plain_text_bus: true" "plain_text_data: true"
	sed -i -e '/^key:/d' -e '/^allow:/d' "$tmpdir/$node.yaml"
done
sed -i -e '/^key:/d' -e "s/, key: '[^']*'//" "$tmpdir/migrator.yaml"
echo 'plain_text_bus: true' >>"$tmpdir/migrator.yaml"
node_start a
node_start b
for node in a b; do
	file_has "$tmpdir/$node.log" 'warning .* plain_text_bus:' || fail "$node does not warn"
	file_has "$tmpdir/$node.log" 'warning .* plain_text_data:' || fail "$node does not warn"
done

vm_describe web tagguest.mem=32M tagguest.rate=4M
vm_start a web
mark=$(guest_mark "$(vm_console a web)")
migrator_at a move web b "${patient[@]}"
vm_runs_at b web || fail "it does not run at b"
wait_for 60 guest_verified "$(vm_console b web)" "$mark"
