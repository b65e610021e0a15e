#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Each handover that MobFogSim recorded on its traces, at its second and its
# place, and none besides: those of 18 cars, and that the 7 whose handovers
# nobody recorded have some.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"

data=${TAGALONG_DATA:-$top_srcdir/../shared/data}/lust
[ -d "$data" ] || skip "no recorded traces in $data; TAGALONG_DATA names another place"

# Time in ms, x and y in whole metres, from, to.
found() {
	"$top_builddir/edgesim" handovers --format lust --towers grid:12x12:1334 \
		--range 960 --delay 0.9s "$1" |
		awk -F, 'NR > 1 { printf "%.0f %d %d %d %d\n", $2 * 1000, $3, $4, $5, $6 }'
}

recorded() {
	sed 's/AccessPoint\([0-9]*\) \[[^]]*\]/\1/g' "$1" |
		awk -F'\t' '{ printf "%.0f %d %d %d %d\n", $2, $3, $4, $7, $8 }'
}

compared=0 cars=0 unrecorded=0
for trace in "$data"/*log.csv; do
	record=${trace%.csv}.handoff.txt
	found "$trace" >"$tmpdir/found"
	[ -s "$tmpdir/found" ] || fail "${trace##*/} has no handover"
	if [ ! -f "$record" ]; then
		unrecorded=$((unrecorded + 1))
		continue
	fi
	recorded "$record" >"$tmpdir/recorded"
	diff "$tmpdir/recorded" "$tmpdir/found" >&2 || fail "${trace##*/} differs (< as recorded)"
	compared=$((compared + $(wc -l <"$tmpdir/recorded")))
	cars=$((cars + 1))
done
say "$compared handovers of $cars cars as recorded, $unrecorded cars without a record"
[ "$compared $cars $unrecorded" = "102 18 7" ] ||
	fail "the traces are not those that this test knows"
