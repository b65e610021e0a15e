#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The rules of HACKING.md that a machine can check: licence lines, the size of
# files, who includes whom, and that decisions touch nothing but their
# environment.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"

cd "$top_srcdir"
bad=0
complain() {
	echo "$e2e_name: $*" >&2
	bad=1
}

# Files that people write; what is built or is data for tests is not.
sources() {
	find common migrator telemetry placement sim tests docs dist -type f \
		! -path 'tests/fuzz/corpus/*' ! -path 'tests/data/*' ! -name '*.pb-c.[ch]' "$@"
	find . -maxdepth 1 -type f \( -name Makefile.am -o -name configure.ac -o -name bootstrap \) "$@"
}

# --- licence -----------------------------------------------------------------

sources \( -name '*.[ch]' -o -name '*.sh' -o -name '*.mk' -o -name '*.proto' -o -name '*.scd' \
	-o -name '*.yaml' -o -name '*.in' -o -name '*.am' -o -name '*.ac' -o -perm -100 \) |
	sort -u >"$tmpdir/files"
[ "$(wc -l <"$tmpdir/files")" -gt 100 ] || fail "found only $(wc -l <"$tmpdir/files") files"
while IFS= read -r file; do
	head -n 5 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' ||
		complain "$file has no SPDX line"
done <"$tmpdir/files"

# --- size --------------------------------------------------------------------

while IFS= read -r file; do
	lines=$(wc -l <"$file")
	[ "$lines" -le 1500 ] || complain "$file has $lines lines; past 1500 a file is to be split"
done < <(sources -name '*.[ch]' -o -name '*.sh')

# --- rooms -------------------------------------------------------------------

# room ROOM ALLOWED...: which folders the files of a room may include from.
room() {
	local room=$1 allowed
	allowed=$(IFS='|' && echo "$*")
	# "file:#include "folder/…"" lines whose folder is none of those.
	grep -rE '^#[[:space:]]*include "' "$room" --include='*.[ch]' --exclude='*.pb-c.[ch]' |
		grep -vE "#[[:space:]]*include \"(($allowed)/|config\\.h\")" >"$tmpdir/includes" || return 0
	complain "includes that $room/ may not have:"
	cat "$tmpdir/includes" >&2
}
room common
room telemetry common
room migrator common
room placement common
room sim common placement

# --- decisions ---------------------------------------------------------------

# The files of placement/ that do deal with the world; all others decide.
worldly=" placementd daemon etcd_client event_stream placement_config record_log rest store_sqlite store_timed webhook "
forbidden='clock_gettime|gettimeofday|time|nanosleep|usleep|socket|connect|send|sendto|recv|open|open64|openat|fopen|fopen64|read|write|rand|random|rand_r|drand48|getrandom|getentropy|randombytes_buf|uuid_random|zmq_[a-z_]+|sqlite3_[a-z_0-9]+|sd_event_[a-z_]+|bus_send|bus_new'
checked=0
for source in placement/*.c; do
	name=$(basename "$source" .c)
	[[ $worldly == *" $name "* ]] && continue
	object=$(find "$top_builddir/placement" -maxdepth 1 -name "$name.o" -o -maxdepth 1 \
		-name "*-$name.o" | head -n 1)
	[ -n "$object" ] || fail "$source was not built"
	calls=$(nm -u "$object" | awk '{ print $2 }' | sed 's/@.*//' | grep -xE "$forbidden" | tr '\n' ' ') || :
	[ -z "$calls" ] || complain "$source decides, and calls $calls"
	checked=$((checked + 1))
done
[ "$checked" -ge 3 ] || fail "found only $checked files that decide"

[ "$bad" -eq 0 ] || fail "see above"
