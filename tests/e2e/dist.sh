#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What is installed works: every example is taken by the program that it is
# for, systemd takes the units, and what is installed can be removed again.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
migrator=$top_builddir/migrator/cli/migrator

# --- examples ----------------------------------------------------------------

etc=$tmpdir/etc
mkdir "$etc"
for example in "$top_srcdir"/dist/examples/*; do
	sed "s|/etc/tagalong/|$etc/|" "$example" >"$etc/$(basename "$example")"
done
for name in tower-a main alice; do
	"$migrator" keys make "$etc/$name.key" >"$etc/$name.pub"
done
"$migrator" keys allow node tower-a "$(cat "$etc/tower-a.pub")" --to "$etc/allow"
"$migrator" keys device phone "$etc/phone.key" --to "$etc/devices"
for daemon in migratord telemetryd placementd; do
	"$top_builddir/$daemon" --check-config --config "$etc/$daemon.yaml" ||
		fail "$daemon does not take its example"
done

# These addresses are nobody's (RFC 5737): the right end is that none answers.
status=0
"$migrator" --config "$etc/migrator.yaml" vm start "$etc/vm.yaml" --timeout 100ms \
	2>"$tmpdir/err" || status=$?
[ "$status" -eq 3 ] || fail "migrator's example: $(cat "$tmpdir/err")"

# --- units -------------------------------------------------------------------

if command -v systemd-analyze >/dev/null; then
	mkdir "$tmpdir/units"
	for unit in "$top_builddir"/dist/systemd/*.service; do
		sed "s|^ExecStart=[^ ]*/|ExecStart=$top_builddir/|" "$unit" >"$tmpdir/units/$(basename "$unit")"
	done
	SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no "$tmpdir"/units/*.service \
		>"$tmpdir/verify" 2>&1 || :
	# It looks at the machine's other units too; those are not ours to judge.
	grep -E '/units/|migratord|telemetryd|placementd|tagalong-reflector' "$tmpdir/verify" >&2 &&
		fail "systemd does not take a unit"
fi

# --- installing --------------------------------------------------------------

MAKEFLAGS='' make -s -C "$top_builddir" install DESTDIR="$tmpdir/root" >"$tmpdir/install.log" 2>&1
find "$tmpdir/root" -type f -printf '%f\n' | sort >"$tmpdir/installed"
for file in migrator migratord telemetryd placementd tagalong-reflector edgesim migrator.1 tagalong.7 \
	migratord.service placementd.service tagalong-reflector.service telemetryd.service \
	60-tagalong.conf tagalong.conf vm.yaml melbourne.yaml guide.md; do
	grep -qx "$file" "$tmpdir/installed" || fail "$file is not installed"
done
for program in edgesim migrator migratord placementd tagalong-reflector telemetryd; do
	[ -s "$(find "$tmpdir/root" -path "*/completions/$program")" ] || fail "$program is not completed"
done
find "$tmpdir/root" -type f -perm /6000 | grep . && fail "something is installed set-user-id"
MAKEFLAGS='' make -s -C "$top_builddir" uninstall DESTDIR="$tmpdir/root" >"$tmpdir/uninstall.log" 2>&1
left=$(find "$tmpdir/root" ! -type d)
[ -z "$left" ] || fail "uninstall leaves $left"
