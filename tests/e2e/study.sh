#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The results of a study are the same bytes on 1, 2 and 7 threads, in shards, and when
# it was killed, or ran out of disk, and went on.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"

edgesim=$top_builddir/edgesim
cat >"$tmpdir/study.yaml" <<'YAML'
name: small
duration: 120s
replications: 4
seed: 3
towers: hex:2:600
mobility: {model: random_waypoint, devices: 20, speed_max: 25, pause: 5s}
radio: {capacity: 12}
vm: {memory: 64M, dirty_rate: 2M}
policies:
  - name: none
  - name: threshold
    threshold: [12ms, 20ms]
    margin: [2ms, 4ms]
  - name: markov
    threshold: [12ms]
    margin: [2ms]
YAML
cd "$tmpdir"

# same FOLDER: its results are those of one thread.
same() {
	local file
	for file in results.jsonl results.csv summary.csv report.html; do
		cmp "one/$file" "$1/$file" >&2 || fail "$file of $1 differs"
	done
	[ ! -e "$1/runs.part" ] || fail "$1 still has its runs.part"
}

"$edgesim" run --threads 1 --out one study.yaml >said
grep -q 'one: 24 runs (0 were there)' said || fail "said $(cat said)"
[ "$(wc -l <one/results.csv)" -eq 25 ] || fail "results.csv has $(wc -l <one/results.csv) lines"
awk -F, 'NR > 1 && $2 != "\"none\"" { moves += $11 } END { exit !(moves > 0) }' one/results.csv ||
	fail "nothing was ever moved"
# The last column: no policy does better than what all of the future known would do.
head -n 1 one/results.csv | tr -d '\r' | grep -q ',cost_over_optimum$' || fail "no column cost_over_optimum"
awk -F, 'NR > 1 && $NF < 1 { exit 1 }' one/results.csv || fail "better than the optimum"
awk -F, 'NR > 1 && $NF > 1 { n++ } END { exit n < 12 }' one/results.csv || fail "all as good as the optimum"
grep -q 'cost over the offline optimum' one/report.html || fail "the report lacks the optimum"
grep -q 'What the model of moves is worth' one/report.html || fail "the report lacks the model's error"
grep -q '"total_error"' one/manifest.json || fail "the manifest lacks the model's error"
# Who looks on sees how far it is, and how long it will take.
script -qec "'$edgesim' run --threads 1 --out watched study.yaml" /dev/null </dev/null | tr '\r' '\n' >said
grep -qE '^\[[#.]+\] 0 of 24 runs, [0-9]+:[0-9]+ left' said || fail "the bar does not move within a run: $(cat said)"
grep -qE '^\[#+\] 24 of 24 runs, 0:00 left' said || fail "the bar: $(cat said)"
same watched
for threads in 2 7; do
	"$edgesim" run --threads "$threads" --out "$threads" study.yaml >said
	same "$threads"
done

for shard in 1 2 3; do
	"$edgesim" run --shard "$shard/3" --out "shard$shard" study.yaml >said
done
status=0
"$edgesim" merge --out merged shard1 shard3 2>said || status=$?
[ "$status" -eq 1 ] || fail "a shard may be missing"
grep -q '8 of 24 runs are in none of these folders' said || fail "said $(cat said)"
"$edgesim" merge --out merged shard1 shard2 shard3 >/dev/null
same merged
"$edgesim" merge --out merged shard3 shard2 shard1 one >/dev/null
same merged

# A folder with this study's results is left as it is; one with another's too.
"$edgesim" run --out one study.yaml >said
grep -q '24 runs (24 were there)' said || fail "said $(cat said)"
sed 's/seed: 3/seed: 4/' study.yaml >other.yaml
status=0
"$edgesim" run --out one other.yaml 2>said || status=$?
[ "$status" -eq 1 ] || fail "another study may be written into one/: $status"
grep -q 'holds another study' said || fail "said $(cat said)"
same one
"$edgesim" run --quiet --out other other.yaml >/dev/null
"$edgesim" merge --out merged one other 2>said && fail "studies were mixed"
grep -q 'is of another study' said || fail "said $(cat said)"

# Compared with itself nothing differs; with another study of the same policies some
# things may, and in pairs only with the same seed.
"$edgesim" compare one one >said
grep -q 'in pairs' said || fail "said $(cat said)"
grep -qE '^  [a-z]' said && fail "one differs from itself: $(cat said)"
sed 's/rate: 2M/rate: 20M/' study.yaml >busy.yaml
"$edgesim" run --quiet --out busy busy.yaml >/dev/null
"$edgesim" compare one busy >said
grep -qE '^  (move_s|blackout_ms|moved_gb_per_hour) .*\+' said || fail "busy VMs move as well: $(cat said)"
"$edgesim" compare --all one other >said
grep -q 'independent' said || fail "said $(cat said)"
[ "$(grep -cE '^  rtt_mean_ms' said)" -eq 6 ] || fail "said $(cat said)"

# Killed when some runs are done, and with half a line behind them.
"$edgesim" run --threads 1 --out killed study.yaml >/dev/null 2>&1 &
child=$!
for ((i = 0; i < 600; i++)); do
	[ -s killed/runs.part ] && [ "$(wc -l <killed/runs.part)" -ge 3 ] && break
	kill -0 "$child" 2>/dev/null || break
	sleep 0.05
done
kill -KILL "$child" 2>/dev/null || :
wait "$child" 2>/dev/null || :
if [ -e killed/runs.part ]; then
	printf '{"run": 19, "pol' >>killed/runs.part
fi
"$edgesim" run --threads 2 --out killed study.yaml >said
say "after a kill: $(cat said)"
same killed

# A disk that is full after some runs: what is written stays.
(
	trap '' XFSZ
	ulimit -f 64
	"$edgesim" run --threads 2 --out full study.yaml >said 2>&1
) && fail "the limit of the files' size was not met"
grep -q 'what is written is kept' said || fail "said $(cat said)"
[ "$(wc -l <full/runs.part)" -ge 2 ] || fail "nothing was kept"
"$edgesim" run --out full study.yaml >said
grep -q '(0 were there)' said && fail "began anew: $(cat said)"
same full

# What is no file of runs, and lines that are none.
mkdir odd
ln -s /dev/full odd/runs.part
"$edgesim" run --out odd study.yaml 2>said && fail "runs were written into a device"
grep -q 'odd/runs.part: is no regular file' said || fail "said $(cat said)"
rm odd/runs.part
{ head -n 3 one/results.jsonl; echo '{"run": 7}'; } >odd/runs.part
"$edgesim" run --out odd study.yaml 2>said && fail "half a run was taken"
grep -q 'odd/runs.part:4: is no run of this study' said || fail "said $(cat said)"

# The report shows what it is asked for.
{ sed 's/replications: 4/replications: 1/' study.yaml; echo 'metrics: [rtt_p99_ms]'; } >asked.yaml
"$edgesim" run --quiet --out asked asked.yaml >/dev/null
grep -q '<h2>99 % quantile' asked/report.html || fail "a metric that was asked for is not shown"
grep -q '<h2>cost over' asked/report.html && fail "one that was not is"

# Hosts that cannot hold all: the report tells that the optimum knows no full hosts.
grep -q 'not all VMs had room' one/report.html && fail "room is said to lack where there are no limits"
{ sed 's/replications: 4/replications: 1/' study.yaml; echo 'hosts: {memory: 64M}'; } >crowded.yaml
"$edgesim" run --quiet --out crowded crowded.yaml >/dev/null
grep -q 'In 6 of 6 runs not all VMs had room' crowded/report.html || fail "the report hides that room lacks"

# Wrong use.
for wrong in '--threads 0' '--threads x' '--shard 3/2' '--shard 0/2' '--shard 1'; do
	status=0
	# shellcheck disable=SC2086  # two words are meant
	"$edgesim" run $wrong study.yaml 2>/dev/null || status=$?
	[ "$status" -eq 2 ] || fail "'run $wrong' ends with $status"
done
