#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A study as three ranks of Open MPI has the results of one process.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"

requires mpirun --version
edgesim=$top_builddir/edgesim
grep -q '^#define HAVE_MPI 1' "$top_builddir/config.h" || skip "edgesim is built without Open MPI"
cd "$tmpdir"
cat >study.yaml <<'YAML'
name: small
duration: 60s
replications: 2
towers: hex:1:600
mobility: {model: random_waypoint, devices: 10, speed_max: 25, pause: 5s}
policies:
  - name: none
  - name: threshold
    threshold: [12ms]
    margin: [2ms]
YAML

# What Open MPI itself leaves behind at its end is not ours to report.
ranks() {
	ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" OMPI_MCA_rmaps_base_oversubscribe=1 \
		OMPI_MCA_btl=self,vader OMPI_MCA_hwloc_base_binding_policy=none \
		mpirun --allow-run-as-root -np 3 "$edgesim" run "$@"
}

"$edgesim" run --quiet --out one study.yaml >said
ranks --quiet --out all study.yaml >said 2>&1 || fail "three ranks: $(cat said)"
for file in results.jsonl results.csv summary.csv report.html; do
	cmp "one/$file" "all/$file" >&2 || fail "$file of the ranks differs"
done
[ -s all/rank-3/manifest.json ] || fail "the third rank did nothing"

# They go on where they were, and fail together.
ranks --quiet --out all study.yaml >said 2>&1 || fail "again: $(cat said)"
grep -q 'rank-1: 2 runs (2 were there)' said || fail "said $(cat said)"
ranks --quiet --shard 1/2 --out all study.yaml >said 2>&1 && fail "a shard of a shard was run"
grep -q 'ranks of mpirun are shards' said || fail "said $(cat said)"
ranks --quiet --out all nowhere.yaml >said 2>&1 && fail "a study that is not there was run"
grep -q 'nowhere.yaml: No such file' said || fail "said $(cat said)"

# A single rank is alone.
cp -r one two
OMPI_COMM_WORLD_SIZE=1 "$edgesim" run --quiet --out two study.yaml >said
grep -q 'two: 4 runs (4 were there)' said || fail "said $(cat said)"
