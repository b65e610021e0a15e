#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Published figures, computed anew and simulated: none differs. Those of the taxis
# need their trace, which may not be handed on.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"

data=${TAGALONG_DATA:-$top_srcdir/../shared/data}/sf_taxi_cells
edgesim=$top_builddir/edgesim
taxis=()
[ -d "$data" ] && taxis=(--taxis "$data")

"$edgesim" references "${taxis[@]}" >"$tmpdir/figures" || {
	cat "$tmpdir/figures" >&2
	fail "figures differ"
}
grep -qE '^The model of moves against [0-9]+ that were measured$' "$tmpdir/figures" || fail "no word of moves"
grep -qE '^total time +[0-9.]+% +[0-9.]+% +[0-9.]+%$' "$tmpdir/figures" || fail "no error of the model of moves"
grep -q "p 1/12, optimal  *4.125700  *4.12567" "$tmpdir/figures" || fail "no row of p = 1/12"

# Nonsense is refused, with file and line.
mkdir "$tmpdir/taxis"
echo "1,37.6,-122.4" >"$tmpdir/taxis/cells.csv"
printf '1\n2\n' >"$tmpdir/taxis/cell_of_user.csv"
"$edgesim" references --taxis "$tmpdir/taxis" >/dev/null 2>"$tmpdir/said" &&
	fail "a cell that is not there was taken"
grep -q "taxis/cell_of_user.csv: line 2: has a number that is no cell" "$tmpdir/said" ||
	fail "said: $(cat "$tmpdir/said")"
printf '1\n1\n' >"$tmpdir/taxis/cell_of_user.csv"
"$edgesim" references --taxis "$tmpdir/taxis" >"$tmpdir/other" &&
	fail "the figures of another trace are taken for the taxis'"
[ "$(grep -c DIFFERS "$tmpdir/other")" = 10 ] || fail "not the ten of the taxis differ"

[ ${#taxis[@]} -gt 0 ] ||
	skip "all but the taxis: no trace in $data; TAGALONG_DATA names another place"
grep "^58 figures, 44 of them simulated too: 0 differ" "$tmpdir/figures" ||
	fail "figures are missing"
awk '/ learnt / { n++; bad += $4 > 1.34 || ($2 == "1," && $4 > 1.155) || ($2 == "4," && $4 > 1.21) }
	END { exit n != 9 || bad }' \
	"$tmpdir/figures" || fail "what is learnt serves worse than it did"
