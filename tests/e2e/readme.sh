#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The README's "By hand" works when it is pasted. Taken from the page as it is,
# but for the build, the folders and the ports.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
requires_guest
requires test -w /dev/shm

ram=/dev/shm/tagalong-$e2e_name.$$-
hosts_end() {
	local file
	[ ! -f "$tmpdir/pids" ] || xargs -r kill <"$tmpdir/pids" 2>/dev/null
	for file in "$tmpdir"/towers.*/*/vm/*/*/pid; do
		[ ! -f "$file" ] || kill -9 "$(cat "$file")" 2>/dev/null
	done
	rm -rf "$ram"?
}
cleanup_fn hosts_end

# shellcheck disable=SC2016  # these backticks are Markdown's
sed -n '/^## By hand/,/^## /{/^```sh$/,/^```$/p}' "$top_srcdir/README.md" | grep -v '^```' >"$tmpdir/pasted"
file_has "$tmpdir/pasted" '^migrator .* move ' || fail "the README has no such part"
sed -i -e "s|\$PWD/build|$top_builddir|g" -e "s|/dev/shm/\${towers##\*/}-|$ram|g" "$tmpdir/pasted"
for port in 7300 7301 7310 7311; do
	sed -i "s/\\b$port\\b/$(free_port)/g" "$tmpdir/pasted"
done
# Pasting goes on after a failure, a test must not.
(cat "$tmpdir/pasted" && echo "jobs -p >$tmpdir/pids") >"$tmpdir/script"
TMPDIR=$tmpdir bash -e "$tmpdir/script" >"$tmpdir/output" 2>&1 || {
	cat "$tmpdir/output" "$tmpdir"/towers.*/*.log >&2
	fail "see above"
}
cat "$tmpdir/output"
for expected in 'started: web' 'moved web from a to b' 'Name  *web' 'moved web from b to a' 'done' 'stopped: web'; do
	file_has "$tmpdir/output" "$expected" || fail "no '$expected' in the output"
done
