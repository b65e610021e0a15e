#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Debian packages, made of this build by debhelper's own steps: each file is in one of them. They
# install into a root of their own, and what they and their daemons put there is gone when they are purged, but
# for the operator's keys, and VMs that may still run.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
requires dpkg-deb --version
requires test -x /usr/bin/dh_builddeb
requires systemd-sysusers --version
if [ -z "${PACKAGES_INSIDE:-}" ]; then
	requires unshare --user --map-root-user true
	PACKAGES_INSIDE=1 unshare --user --map-root-user "$0"
	exit
fi

# --- making ------------------------------------------------------------------

tree=$tmpdir/tree root=$tmpdir/root
mkdir -p "$tree"
cp -R "$top_srcdir/dist/debian" "$tree/debian"
MAKEFLAGS='' make -s -C "$top_builddir" install DESTDIR="$tree/debian/tmp" prefix=/usr \
	systemdunitdir=/lib/systemd/system >"$tmpdir/install.log" 2>&1 || fail "$(cat "$tmpdir/install.log")"
rm -f "$tree/debian/tmp/usr/share/doc/tagalong/LICENSE"
(
	cd "$tree"
	dh_install && dh_missing --fail-missing && dh_installdirs && dh_installsysusers &&
		dh_installsystemd --no-enable && dh_installdeb && dh_gencontrol && dh_md5sums &&
		dh_builddeb --destdir="$tmpdir" -- -Znone
) >"$tmpdir/making.log" 2>&1 || fail "$(cat "$tmpdir/making.log")"

packages=$(awk '/^Package:/ { print $2 }' "$tree/debian/control")
for package in $packages; do
	deb=$(echo "$tmpdir/${package}"_*.deb)
	[ -s "$deb" ] || fail "there is no $package"
	dpkg-deb --contents "$deb" | awk '$1 !~ /^d/ { print $6 }' >>"$tmpdir/contents"
done
twice=$(sort "$tmpdir/contents" | uniq -d)
[ -z "$twice" ] || fail "in two packages: $twice"
say "$(wc -l <"$tmpdir/contents") files in $(echo "$packages" | wc -w) packages"

# --- installing and purging ----------------------------------------------------

# What they depend on is this machine's.
in_root() {
	dpkg --root="$root" --force-depends --force-script-chrootless "$@" >>"$tmpdir/dpkg.log" 2>&1 ||
		fail "$(cat "$tmpdir/dpkg.log")"
}

# What is in the root but for dpkg's own and the users, who stay (as Debian's policy has it).
left() {
	(cd "$root" && find . -mindepth 1 ! -path './var/lib/dpkg*' ! -path './etc/passwd*' \
		! -path './etc/group*' ! -path './etc/shadow*' ! -path './etc/gshadow*' \
		! -path './etc/.pwd.lock' ! -path './var/log*' ! -path './usr/share/doc' "$@")
}

install_all() {
	rm -rf "$root"
	mkdir -p "$root"/{etc,usr,var/lib/dpkg/{info,updates,triggers},var/log}
	: >"$root/var/lib/dpkg/status"
	in_root --install "$tmpdir"/*.deb
}

install_all
while IFS= read -r file; do
	[ -e "$root/$file" ] || fail "$file is not installed"
done <"$tmpdir/contents"
for daemon in migratord placementd telemetryd; do
	"$root/usr/sbin/$daemon" --version >/dev/null || fail "$daemon does not run"
done
grep -q '^tagalong:' "$root/etc/passwd" || fail "there is no user tagalong"
say "they install"

mkdir -p "$root/var/lib/tagalong/image" "$root/var/lib/tagalong-placement"
: >"$root/var/lib/tagalong/journal.db"
: >"$root/var/lib/tagalong-placement/store.db"
# shellcheck disable=SC2086
in_root --purge $packages
[ -z "$(left ! -type d)" ] || fail "left behind: $(left ! -type d)"
for folder in var/lib/tagalong var/lib/tagalong-placement etc/tagalong; do
	[ ! -e "$root/$folder" ] || fail "$folder is left behind"
done
grep -q '^Package:' "$root/var/lib/dpkg/status" && fail "dpkg knows them still"
say "and are gone when they are purged"

install_all
mkdir -p "$root/var/lib/tagalong/vm/web/1"
echo secret >"$root/etc/tagalong/tower-a.key"
# shellcheck disable=SC2086
in_root --purge $packages
[ -d "$root/var/lib/tagalong/vm/web/1" ] || fail "a VM's files were removed"
[ -s "$root/etc/tagalong/tower-a.key" ] || fail "a key was removed"
say "but for VMs and keys"
