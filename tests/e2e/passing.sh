#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Devices that answer no probe have TCP sessions with a guest, over a link of 20 ms: one over IPv4, one
# over IPv6, in a VLAN where the kernel has them. The tower knows their round-trip times from what passes its bridge. Tower (here),
# guest and devices are network namespaces; the link is the project's emulator.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
requires ip -V
requires python3 --version
if [ -z "${PASSING_INSIDE:-}" ]; then
	requires unshare --user --map-root-user --net --mount true
	requires dd if=/dev/net/tun count=0
	PASSING_INSIDE=1 unshare --user --map-root-user --net --mount "$0"
	exit
fi

migrator() {
	"$top_builddir/migrator/cli/migrator" --config "$tmpdir/me.yaml" "$@"
}

# --- the network: devices (10.1.1.100, fd00::100) == 10 ms each way == br0 -- guest (50)

mount -t tmpfs tmpfs /run
ip netns attach tower $$
for name in devices guest; do
	ip netns add "$name"
	ip -n "$name" link set lo up
done
ip link set lo up
ip link add br0 type bridge
ip addr add 10.1.1.1/24 dev br0
ip link set br0 up

mkfifo "$tmpdir/link.end"
exec {link_end}<>"$tmpdir/link.end"
emulate_link() {
	exec "$top_builddir/tests/bench/delay-link" tower devices radio 1000000000 10 <"$tmpdir/link.end"
}
background link emulate_link
wait_for 5 file_has "$tmpdir/link.log" ready
ip link set radio master br0 up
ip link add port type veth peer name eth netns guest
ip link set port master br0 up

# join NAMESPACE INTERFACE HOST: with the number HOST in both networks.
join() {
	ip -n "$1" link set "$2" up
	ip -n "$1" addr add "10.1.1.$3/24" dev "$2"
	local second=$2
	if ip -n "$1" link add link "$2" name vlan type vlan id 42 2>/dev/null; then
		second=vlan
		ip -n "$1" link set vlan up
	fi
	ip -n "$1" addr add "fd00::$3/64" dev "$second" nodad
}
join devices radio 100
join guest eth 50
ip netns exec devices sh -c 'echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all'

# --- keys, configurations and programs

for name in main tower me; do
	"$top_builddir/migrator/cli/migrator" keys make "$tmpdir/$name.key" >"$tmpdir/$name.pub"
done
for who in 'node tower' 'operator me'; do
	# shellcheck disable=SC2086  # two words
	"$top_builddir/migrator/cli/migrator" keys allow $who "$(cat "$tmpdir/${who#* }.pub")" \
		--to "$tmpdir/allow" >/dev/null
done
declare -A ids=([till4]=123e4567-e89b-42d3-a456-426614174004 [till6]=123e4567-e89b-42d3-a456-426614174006)
(
	umask 077
	echo "${ids[till4]} till4 icmp:10.1.1.100"
	echo "${ids[till6]} till6 icmp:[fd00::100]"
) >"$tmpdir/devices"
chmod 600 "$tmpdir/devices"

cat >"$tmpdir/placementd.yaml" <<END
name: main
key: $tmpdir/main.key
allow: $tmpdir/allow
listen: tcp://127.0.0.1:7200
listen_reports: tcp://127.0.0.1:7201
store: $tmpdir/store.db
policy: {threshold: 10s, hold: 10s, margin: 1s, min_stay: 10s, interval: 200ms}
END
cat >"$tmpdir/me.yaml" <<END
name: me
key: $tmpdir/me.key
controller: {endpoint: 'tcp://127.0.0.1:7200', key: '$(cat "$tmpdir/main.pub")'}
END
cat >"$tmpdir/tower.yaml" <<END
name: tower
key: $tmpdir/tower.key
controller: {endpoint: 'tcp://127.0.0.1:7200', key: '$(cat "$tmpdir/main.pub")', reports: 'tcp://127.0.0.1:7201'}
listen: 0.0.0.0:8620
devices: $tmpdir/devices
interval: 100ms
timeout: 500ms
report_interval: 100ms
session_interval: 100ms
session_interfaces: [br0, tap-of-a-guest]
metrics: 127.0.0.1:9620
END
background placementd "$top_builddir/placementd" --config "$tmpdir/placementd.yaml"
background tower "$top_builddir/telemetryd" --config "$tmpdir/tower.yaml"
telemetryd=$background_pid
wait_for 10 file_has "$tmpdir/tower.log" 'interface=br0 is looked at'
file_has "$tmpdir/tower.log" 'interface=tap-of-a-guest cannot be looked at: No such device' ||
	fail "a tap that is not there is not complained of"
for till in till4 till6; do
	migrator pair set "$till" "vm-$till" --id "${ids[$till]}" >/dev/null
done

# --- sessions

cat >"$tmpdir/guest.py" <<'END'
import socket, threading, time
def serve(s):
    while True:
        s.sendall(b"x" * 4000)
        time.sleep(0.02)
def listen(family, address):
    l = socket.socket(family)
    l.bind((address, 443))
    l.listen()
    while True:
        threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()
threading.Thread(target=listen, args=(socket.AF_INET, "0.0.0.0"), daemon=True).start()
listen(socket.AF_INET6, "fd00::50")
END
cat >"$tmpdir/device.py" <<'END'
import socket, sys
s = socket.create_connection((sys.argv[1], 443))
print("connected", flush=True)
while s.recv(65536):
    pass
END
background guest ip netns exec guest python3 "$tmpdir/guest.py"

talk() {
	background "$1" ip netns exec devices python3 "$tmpdir/device.py" "$2"
	wait_for 10 file_has "$tmpdir/$1.log" connected
}

# knows TILL EXPRESSION: it holds (in Python) for the tower's report r, in milliseconds.
knows() {
	migrator rtt "$1" --json >"$tmpdir/$1.json" 2>/dev/null &&
		python3 - "$tmpdir/$1.json" "$2" <<-'END'
			import json, sys
			for r in json.load(open(sys.argv[1]))["rtts"]:
			    srtt, least = r["srtt_ns"] / 1e6, r["min_ns"] / 1e6
			    sys.exit(not eval(sys.argv[2]))
			sys.exit(1)
		END
}

# metric PATTERN: a line of the tower's metrics matches.
metric() {
	python3 -c 'from urllib.request import urlopen
print(urlopen("http://127.0.0.1:9620/metrics").read().decode())' >"$tmpdir/metrics" &&
		file_has "$tmpdir/metrics" "$1"
}

# Nobody has a session, and nobody answers.
wait_for 10 metric '^tagalong_telemetry_probes_sent_total [1-9]'
knows till4 True && fail "the tower knows of a device that is silent"

talk four 10.1.1.50
talk six fd00::50
# What a busy machine adds to the link's 20 ms is its own.
for till in till4 till6; do
	wait_for 20 knows "$till" '20 <= least < 22 and 20 <= srtt < 40 and r["confidence"] >= 80'
done
metric '^tagalong_telemetry_answers_total.result="accepted". 0$' || fail "a probe was answered"
metric '^tagalong_telemetry_passing_samples_total [1-9]' || fail "no session told a time"
metric '^tagalong_telemetry_passing_segments_total.result="malformed". 0$' || fail "segments are malformed"
sed -n 's/.*_client_srtt_seconds.quantile="0.5". /the median of both devices: /p' "$tmpdir/metrics"
say "sessions that pass tell their times"

# Who talks is hardly probed.
sent() {
	sed -n 's/^tagalong_telemetry_probes_sent_total //p' "$tmpdir/metrics"
}
metric . && before=$(sent)
sleep 3
metric . && after=$(sent)
# Each would have got 30.
[ $((after - before)) -le 12 ] || fail "$((after - before)) probes in 3 s, though both devices talk"

if ! grep -qE '__asan_init|__tsan_init' <(nm "$top_builddir/telemetryd"); then
	file_has "/proc/$telemetryd/status" '^CapEff:\s0+$' || fail "telemetryd keeps its privileges"
	file_has "/proc/$telemetryd/status" '^Seccomp:\s2$' || fail "telemetryd is not confined"
fi

# The bridge goes and comes back, which takes no privilege any more; sessions go on.
ip link del br0
wait_for 10 file_has "$tmpdir/tower.log" 'interface=br0 cannot be looked at: No such device'
ip link add br0 type bridge
ip link set br0 up
ip link set radio master br0
ip link set port master br0
metric . && before=$(sed -n 's/^tagalong_telemetry_passing_samples_total //p' "$tmpdir/metrics")
more() {
	metric . && [ "$(sed -n 's/^tagalong_telemetry_passing_samples_total //p' "$tmpdir/metrics")" -gt "$before" ]
}
wait_for 30 more
say "the bridge came back"
exec {link_end}>&-
