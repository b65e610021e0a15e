#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Each study of the gallery runs, cut short, and has a report.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"

edgesim=$top_builddir/edgesim
cd "$tmpdir"
cp "$top_srcdir"/sim/studies/* .
# The taxis' trace may not be handed on; two that swap their cells do here.
printf '1,37.60,-122.40\n2,37.62,-122.42\n' >cells.csv
printf '1,2\n1,2\n2,1\n2,1\n' >cell_of_user.csv

n=0
for study in *.yaml; do
	name=${study%.yaml}
	[ "$(grep -cE '^(duration|replications): ' "$study")" -eq 2 ] || fail "$study cannot be cut short"
	sed -i -E 's/^duration: .*/duration: 20s/; s/^replications: .*/replications: 1/' "$study"
	"$edgesim" run --quiet "$study" >said || fail "$study does not run"
	grep -q '</html>' "$name.results/report.html" || fail "$study has no report"
	[ "$(grep -c ',"none",' "$name.results/results.csv")" -eq 1 ] || fail "$study lacks a policy 'none'"
	grep -qF "\`$study\`" "$top_srcdir/docs/studies.md" || fail "docs/studies.md does not know $study"
	n=$((n + 1))
done
# What a study was made from is told, and its fingerprint is of that.
for input in taxis.yaml cells.csv cell_of_user.csv; do
	grep -qE "\"file\": \"$input\"" taxis.results/manifest.json || fail "the manifest lacks $input"
done
printf '1,37.60,-122.40\n2,37.63,-122.42\n' >cells.csv
"$edgesim" run --quiet taxis.yaml 2>said && fail "other towers are taken for the same"
grep -q 'with other inputs' said || fail "said: $(cat said)"
[ "$n" -ge 5 ] || fail "only $n studies"
