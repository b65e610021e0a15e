#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# telemetryd's probes with all the TLVs of RFC 8972, against reflectors that share no code with it
# (stamp_reflector.py checks every byte): one that answers all, in both modes, and with HMACs for TLVs alone, those that know
# none, and one that gets everything wrong. What they tell is shown, and none of it costs a measurement.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
requires python3 --version
if [ -z "${STAMP_INSIDE:-}" ]; then
	requires unshare --user --map-root-user --net true
	STAMP_INSIDE=1 unshare --user --map-root-user --net "$0"
	exit
fi
ip link set lo up

cli=$top_builddir/migrator/cli/migrator
for name in main tower me; do
	"$cli" keys make "$tmpdir/$name.key" >/dev/null
done
"$cli" keys allow node tower "$("$cli" keys show "$tmpdir/tower.key")" --to "$tmpdir/allow" >/dev/null
"$cli" keys allow operator me "$("$cli" keys show "$tmpdir/me.key")" --to "$tmpdir/allow" >/dev/null
device=$("$cli" keys device phone "$tmpdir/phone.key" --to "$tmpdir/devices")
controller_key=$("$cli" keys show "$tmpdir/main.key")

cat >"$tmpdir/placementd.yaml" <<END
name: main
key: $tmpdir/main.key
allow: $tmpdir/allow
listen: tcp://127.0.0.1:7200
listen_reports: tcp://127.0.0.1:7201
store: $tmpdir/store.db
policy: {threshold: 10s, hold: 10s, margin: 1s, min_stay: 10s, interval: 100ms}
END
cat >"$tmpdir/me.yaml" <<END
name: me
key: $tmpdir/me.key
controller: {endpoint: 'tcp://127.0.0.1:7200', key: '$controller_key'}
END

# start_tower AUTHENTICATED PROTECT
start_tower() {
	cat >"$tmpdir/tower.yaml" <<-END
		name: tower
		key: $tmpdir/tower.key
		controller: {endpoint: 'tcp://127.0.0.1:7200', key: '$controller_key', reports: 'tcp://127.0.0.1:7201'}
		listen: 127.0.0.1:8620
		devices: $tmpdir/devices
		authenticated: $1
		interval: 100ms
		timeout: 1s
		report_interval: 100ms
		metrics: 127.0.0.1:9620
		tlvs:
		  padding: 33
		  class_of_service: 46
		  timestamp_information: true
		  direct_measurement: true
		  location: true
		  access_report: other
		  follow_up: true
		  protect: $2
	END
	background tower "$top_builddir/telemetryd" --config "$tmpdir/tower.yaml"
	tower=$background_pid
}

# knows EXPRESSION: it holds (in Python) for r, the round-trip time as it is shown, and t, the TLVs beside it.
knows() {
	"$cli" --config "$tmpdir/me.yaml" rtt phone --json >"$tmpdir/rtt.json" 2>"$tmpdir/rtt.log" &&
		python3 - "$tmpdir/rtt.json" "$1" <<-'END'
			import json, sys
			rtts = json.load(open(sys.argv[1]))["rtts"]
			if not rtts:
			    sys.exit(1)
			sys.exit(not eval("(" + sys.argv[2] + ")", {"r": rtts[0], "t": rtts[0].get("tlvs", {})}))
		END
}

# exports PATTERN: a line of the metrics matches.
exports() {
	python3 -c 'from urllib.request import urlopen
print(urlopen("http://127.0.0.1:9620/metrics").read().decode())' >"$tmpdir/metrics" &&
		file_has "$tmpdir/metrics" "$1"
}

# meets MODE AUTHENTICATED PROTECT EXPRESSION PATTERN...: with such a reflector that is shown, and these metrics.
meets() {
	local mode=$1 expression=$4
	start_tower "$2" "$3"
	shift 4
	background "$mode" python3 "$top_srcdir/tests/e2e/stamp_reflector.py" "$mode" 127.0.0.1 8620 \
		"$device" "$(cat "$tmpdir/phone.key")"
	wait_for 30 knows "$expression"
	for pattern; do
		wait_for 10 exports "$pattern"
	done
	process_ended "$background_pid" && fail "$mode: $(cat "$tmpdir/$mode.log")"
	end_process "$background_pid"
	end_process "$tower"
	say "$mode"
}

background placementd "$top_builddir/placementd" --config "$tmpdir/placementd.yaml"
wait_for 20 "$cli" --config "$tmpdir/me.yaml" pair set phone desktop --id "$device"

# Each answer waits for 40 ms after T3; all but the first time are free of that.
told="t.get('understood') and t['dscp_there'] == 8 and t['dscp_back'] == 46 and not t['dscp_refused'] and
	(t['clock_in'], t['method_in'], t['clock_out'], t['method_out']) == ('ptp', 'hardware', 'local', 'software') and
	t['translated'] and t['lost_there'] == t['lost_back'] == 0 and
	38e6 < t.get('wait_ns', 0) < 1e9 and r['p50_ns'] < 25e6 and r['confidence'] > 50"
answered='^tagalong_telemetry_tlv_answers_total.result="answered". [0-9]*[1-9]'
rewritten='^tagalong_telemetry_dscps_total.result="changed_there". [0-9]*[1-9]'
# In an order in which nobody is shown what is true of the one before.
meets full false false "$told" "$answered" "$rewritten" '^tagalong_telemetry_followed_up_total [0-9]*[1-9]'
none="t.get('understood') is False and r['confidence'] > 50 and r['p50_ns'] < 25e6"
meets plain false false "$none" '^tagalong_telemetry_tlv_answers_total.result="plain". [0-9]*[1-9]'
meets authenticated true false "$told" "$answered" "$rewritten" \
	'^tagalong_telemetry_tlv_answers_total.result="forged". 0$'
meets hostile false false "$none" '^tagalong_telemetry_tlv_answers_total.result="malformed". [0-9]*[1-9]' \
	'^tagalong_telemetry_tlv_answers_total.result="not_whole". [0-9]*[1-9]' \
	'^tagalong_telemetry_tlv_answers_total.result="unfit". [0-9]*[1-9]' \
	'^tagalong_telemetry_tlv_answers_total.result="answered". 0$'
meets protected false true "$told" "$answered" "$rewritten" \
	'^tagalong_telemetry_tlv_answers_total.result="forged". 0$'
meets echo false false "$none" '^tagalong_telemetry_tlv_answers_total.result="plain". [0-9]*[1-9]'
