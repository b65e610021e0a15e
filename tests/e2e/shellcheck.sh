#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# ShellCheck finds nothing to say about any shell script of the tree.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
requires shellcheck --version

cd "$top_srcdir"
folders=()
for folder in common migrator telemetry placement sim tests docs dist .ci; do
	[ -d "$folder" ] && folders+=("$folder")
done
{
	echo bootstrap
	find "${folders[@]}" -type f ! -path 'tests/fuzz/corpus/*' ! -path 'tests/data/*' -exec \
		awk 'FNR == 1 && (/^#!.*\/(ba|da)?sh/ || /^#!.*env (ba)?sh/ || /^# shellcheck shell=/) { print FILENAME }
			{ nextfile }' {} +
} | sort -u >"$tmpdir/scripts"
[ "$(wc -l <"$tmpdir/scripts")" -gt 5 ] || fail "found hardly any script: $(cat "$tmpdir/scripts")"
say "$(wc -l <"$tmpdir/scripts") scripts"
xargs -d '\n' shellcheck --external-sources --source-path=SCRIPTDIR \
	--exclude=SC1091 <"$tmpdir/scripts" # 1091: functions.sh is checked on its own
