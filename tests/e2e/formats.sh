#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# One run of SUMO, exported as FCD, CSV, ns-2 and GPX by SUMO's own tools (tests/data/sumo),
# gives the same results of a study: to the last bit where exports have metres, to their
# rounding where they have degrees.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"

edgesim=$top_builddir/edgesim
data=$top_srcdir/tests/data/sumo
cd "$tmpdir"

# The same 25 towers, 150 m apart, in the network's metres and in degrees.
{
	echo x,y
	for x in 0 150 300 450 600; do
		printf "$x,%d\n" 0 150 300 450 600
	done
} >metres.csv
cat >degrees.csv <<'CSV'
lat,lon
-37.8216735,144.9548755
-37.8203224,144.9549126
-37.8189713,144.9549498
-37.8176201,144.9549870
-37.8162690,144.9550242
-37.8217030,144.9565786
-37.8203519,144.9566158
-37.8190008,144.9566530
-37.8176497,144.9566902
-37.8162985,144.9567274
-37.8217325,144.9582818
-37.8203814,144.9583190
-37.8190303,144.9583562
-37.8176792,144.9583934
-37.8163281,144.9584306
-37.8217621,144.9599850
-37.8204109,144.9600222
-37.8190598,144.9600594
-37.8177087,144.9600966
-37.8163576,144.9601338
-37.8217916,144.9616882
-37.8204405,144.9617254
-37.8190894,144.9617626
-37.8177382,144.9617998
-37.8163871,144.9618370
CSV

# run FORMAT FILE TOWERS: simulates the study; FORMAT.runs has its runs without their study.
run() {
	cat >"$1.yaml" <<-YAML
		name: $1
		duration: 25s
		target: 12ms
		replications: 3
		towers: csv:$3
		mobility: {trace: $1, file: $data/$2}
		attachment: {hysteresis: 1, time_to_trigger: 100ms}
		radio: {capacity: 4}
		backhaul: {hop: 2ms}
		telemetry: {interval: 100ms}
		vm: {memory: 16M, working_set: 1M, dirty_rate: 1M}
		policies:
		  - name: none
		  - name: threshold
		    threshold: [12ms]
		    hold: [500ms]
		    margin: [1ms]
		    min_stay: [1s]
		    return_guard: [2s]
		  - name: rent-or-buy
		    threshold: [11ms]
		    hold: [500ms]
		    margin: [1ms]
		    min_stay: [1s]
	YAML
	"$edgesim" run --quiet --out "$1" "$1.yaml" >/dev/null
	tail -n +2 "$1/results.jsonl" >"$1.runs"
	[ "$(wc -l <"$1.runs")" -eq 9 ] || fail "$1 has $(wc -l <"$1.runs") runs"
}

run fcd fcd.xml metres.csv
run csv fcd.csv metres.csv
run ns2_sumo ns2.tcl metres.csv
run fcd_geo geo.xml degrees.csv
run gpx x.gpx degrees.csv
for format in csv ns2_sumo; do
	cmp fcd.runs "$format.runs" >&2 || fail "results of $format are not those of FCD"
done
cmp fcd_geo.runs gpx.runs >&2 || fail "results of GPX are not those of FCD in degrees"

# total METRIC: over all runs of FCD; the comparison must be one of something.
total() {
	tr -d '\r' <fcd/results.csv | awk -F, -v metric="$1" '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == metric) at = i }
		NR > 1 { sum += $at }
		END { if (!at) exit 1; print sum }'
}
for metric in user_hours handovers_per_hour moves_per_hour above_percent; do
	awk -v n="$(total $metric)" 'BEGIN { exit !(n > 0) }' || fail "$metric is 0"
done

# Metres and degrees: SUMO's are UTM's, 0.04 % shorter than the ground, in hundredths; degrees
# have seven digits. What is counted is the same, what is measured to 0.1 %.
paste -d, <(tr -d '\r' <fcd/results.csv) <(tr -d '\r' <gpx/results.csv) | awk -F, '
	NR == 1 { for (i = 1; i <= NF / 2; i++) name[i] = $i; next }
	{
		for (i = 3; i <= NF / 2; i++) {
			a = $i
			b = $(i + NF / 2)
			counted = name[i] ~ /^(replication|handovers|moves|open|refusals|user|events|optimum_unl)/
			off = a > b ? a - b : b - a
			if (off > (counted ? 0 : 0.001 * (a > b ? a : b))) {
				print name[i] " of run " $1 ": " a " in metres, " b " in degrees"
				bad = 1
			}
			n++
		}
	}
	END { exit bad || n < 150 }' >differences || fail "$(cat differences)"
say "$(wc -l <fcd.runs) runs alike: $(total handovers_per_hour) handovers and $(total moves_per_hour) moves an hour over all"
