#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A phone registers with its tower, is measured by two towers, roams to the other
# one with another address, and is lost; the controller and a tower are restarted
# in between. Towers, phone and controller are network namespaces.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
requires ip -V
requires python3 --version
requires script --version
if [ -z "${TELEMETRY_INSIDE:-}" ]; then
	requires unshare --user --map-root-user --net true
	TELEMETRY_INSIDE=1 unshare --user --map-root-user --net "$0"
	exit
fi

migrator() {
	"$top_builddir/migrator/cli/migrator" --config "$tmpdir/me.yaml" "$@"
}

# --- the network: phone (10.1.x.100) -- tower x (10.1.x.1, 10.0.0.x) -- controller (10.0.0.9)

declare -A ns

add_namespace() {
	background "ns-$1" unshare --net sleep infinity
	ns[$1]=$background_pid
	wait_for 5 namespace_differs "$background_pid"
	inside "$1" ip link set lo up
}

namespace_differs() {
	[ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

# inside NAMESPACE COMMAND...
inside() {
	local pid=${ns[$1]}
	shift
	nsenter --target "$pid" --net -- "$@"
}

add_tower() {
	local name=tower-$1 x=$2
	add_namespace "$name"
	ip link add "up$x" type veth peer name uplink netns "${ns[$name]}"
	ip link set "up$x" master backhaul up
	inside "$name" ip addr add "10.0.0.$x/24" dev uplink
	inside "$name" ip link set uplink up
	inside phone ip link add "radio$x" type veth peer name radio netns "${ns[$name]}"
	inside phone ip addr add "10.1.$x.100/24" dev "radio$x"
	inside "$name" ip addr add "10.1.$x.1/24" dev radio
	inside "$name" ip link set radio up
	inside "$name" ip route add "10.1.$((3 - x)).0/24" via "10.0.0.$((3 - x))"
	inside "$name" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
}

# The phone loses its tower, and then finds tower x.
attach() {
	inside phone ip link set "radio$((3 - $1))" down
	inside phone ip link set "radio$1" up
	inside phone ip route replace default via "10.1.$1.1"
}

ip link set lo up
ip link add backhaul type bridge
ip addr add 10.0.0.9/24 dev backhaul
ip link set backhaul up
add_namespace phone
add_tower a 1
add_tower b 2
attach 1

# --- keys, configurations and programs

make_key() {
	"$top_builddir/migrator/cli/migrator" keys make "$tmpdir/$1.key" >/dev/null
	"$top_builddir/migrator/cli/migrator" keys show "$tmpdir/$1.key" >"$tmpdir/$1.pub"
}

allow() {
	"$top_builddir/migrator/cli/migrator" keys allow "$1" "$2" "$(cat "$tmpdir/$2.pub")" \
		--to "$tmpdir/allow" >/dev/null
}

for name in main tower-a tower-b me; do
	make_key "$name"
done
allow node tower-a
allow node tower-b
allow operator me
device=$("$top_builddir/migrator/cli/migrator" keys device phone "$tmpdir/phone.key" \
	--to "$tmpdir/devices")

cat >"$tmpdir/placementd.yaml" <<END
name: main
key: $tmpdir/main.key
allow: $tmpdir/allow
listen: tcp://10.0.0.9:7200
listen_reports: tcp://10.0.0.9:7201
store: $tmpdir/store.db
record: $tmpdir/record
decisions: $tmpdir/decisions
policy: {threshold: 10s, hold: 10s, margin: 1s, min_stay: 10s, interval: 200ms}
END
cat >"$tmpdir/me.yaml" <<END
name: me
key: $tmpdir/me.key
controller: {endpoint: 'tcp://10.0.0.9:7200', key: '$(cat "$tmpdir/main.pub")'}
END

start_controller() {
	background placementd "$top_builddir/placementd" --config "$tmpdir/placementd.yaml"
	controller=$background_pid
}

start_tower() {
	cat >"$tmpdir/$1.yaml" <<-END
		name: $1
		key: $tmpdir/$1.key
		controller:
		  endpoint: tcp://10.0.0.9:7200
		  key: '$(cat "$tmpdir/main.pub")'
		  reports: tcp://10.0.0.9:7201
		listen: 0.0.0.0:8620
		devices: $tmpdir/devices
		interval: 50ms
		timeout: 500ms
		report_interval: 100ms
		metrics: 127.0.0.1:9620
	END
	"$top_builddir/telemetryd" --config "$tmpdir/$1.yaml" --check-config
	background "$1" nsenter --target "${ns[$1]}" --net -- \
		"$top_builddir/telemetryd" --config "$tmpdir/$1.yaml"
	tower_pid=$background_pid
}

start_reflector() {
	background reflector nsenter --target "${ns[phone]}" --net -- \
		"$top_builddir/tagalong-reflector" --device "$device" --key "$tmpdir/phone.key" \
		--node gateway --interval 200ms
	reflector=$background_pid
}

# --- what the controller knows

# knows EXPRESSION: it holds (in Python) for the phone's pair, with a and b being
# its round-trip times from the two towers.
knows() {
	migrator status --json >"$tmpdir/status.json" 2>"$tmpdir/status.log" &&
		python3 - "$tmpdir/status.json" "$1" <<-'END'
			import json, sys
			pair = json.load(open(sys.argv[1]))["pairs"][0]
			rtts = {r["node"]: r for r in pair["rtts"]}
			where = {"pair": pair, "at": pair.get("device_node"),
				 "a": rtts.get("tower-a"), "b": rtts.get("tower-b")}
			sys.exit(not eval("(" + sys.argv[2] + ")", where))
		END
}

# What an idle machine measures here is some 20 us; a busy one is given a lot.
good='a and b and 0 < a.get("p50_ns", 0) <= a.get("p99_ns", 0) and
	min(a["confidence"], b["confidence"]) >= 80 and
	0 < a["min_ns"] <= a["srtt_ns"] < 2e8 and 0 < b["min_ns"] <= b["srtt_ns"] < 2e8'

# exports TOWER PATTERN: a line of its metrics matches.
exports() {
	inside "$1" python3 -c 'from urllib.request import urlopen
print(urlopen("http://127.0.0.1:9620/metrics").read().decode())' >"$tmpdir/$1.metrics" &&
		file_has "$tmpdir/$1.metrics" "$2"
}

sent() {
	python3 -c "import json; print([r['sent'] for r in
		json.load(open('$tmpdir/status.json'))['pairs'][0]['rtts'] if r['node'] == '$1'][0])"
}

start_controller
start_tower tower-a
tower_a=$tower_pid
start_tower tower-b
start_reflector
wait_for 10 file_has "$tmpdir/placementd.log" 'attach device=.* node=tower-a'
migrator pair set phone desktop --id "$device" >/dev/null

wait_for 10 knows "at == 'tower-a' and ($good)"
wait_for 10 exports tower-a '^tagalong_telemetry_clients_measured 1$'
file_has "$tmpdir/tower-a.metrics" '^tagalong_telemetry_client_srtt_seconds.quantile="0.5". [0-9.]+(e-0[0-9])?$' ||
	fail "tower-a exports no round-trip times"
say "measured from both towers"

# What came before this and comes after it, the programs do without privileges, each system call looked at.
confined() {
	file_has "/proc/$1/status" '^Seccomp:\s2$' && file_has "/proc/$1/status" '^CapEff:\s0+$'
}
[ "$(readlink -f "/proc/$tower_a/exe")" = "$(readlink -f "$top_builddir/telemetryd")" ] ||
	fail "$tower_a is not tower-a"
nm "$top_builddir/telemetryd" >"$tmpdir/symbols"
if ! grep -qE '__asan_init|__tsan_init' "$tmpdir/symbols"; then
	confined "$tower_a" || fail "telemetryd is not confined"
	confined "$reflector" || fail "the reflector is not confined"
fi

# An operator sees it live on a terminal, until ^C.
migrator rtt phone --json | python3 -c 'import json, sys
d = json.load(sys.stdin)
sys.exit(not (d["device"] == "phone" and len(d["rtts"]) == 2 and d["rtts"][0]["p999_ns"] > 0))' ||
	fail "rtt --json lacks something"
background rtt script -qefc \
	"'$top_builddir/migrator/cli/migrator' --config '$tmpdir/me.yaml' rtt phone" "$tmpdir/rtt.tty"
wait_for 30 file_has "$tmpdir/rtt.tty" 'tower-b .* ms|tower-b .* us|tower-b .* µs'
end_process "$background_pid"
[ "$(grep -c 'phone is at tower-a' "$tmpdir/rtt.tty")" -ge 1 ] || fail "rtt shows no phone"
say "shown on a terminal"

# It sleeps: not a packet to it or from it, and it is not lost for that.
heard() {
	inside phone cat /proc/self/net/snmp | grep '^Udp: [0-9]' | cut -d ' ' -f 2,5
}
kill -USR1 "$reflector"
wait_for 10 knows "at == 'tower-a' and pair['asleep'] and a['confidence'] == 0"
wait_for 10 exports tower-a '^tagalong_telemetry_clients_quiet 1$'
before=$(heard)
sleep 2
[ "$(heard)" = "$before" ] || fail "packets while the phone slept: $before and then $(heard)"
knows "at == 'tower-a' and pair['asleep']" || fail "it was taken for lost"
kill -USR2 "$reflector"
wait_for 10 knows "at == 'tower-a' and not pair.get('asleep') and ($good)"
say "asleep and awake"

# The gateway of IPv6 is a link-local address: registrations arrive there, too.
inside tower-a ip -6 addr add fe80::a/64 dev radio nodad
inside phone ip -6 addr add fe80::f/64 dev radio1 nodad
inside phone ip -6 route add default via fe80::a dev radio1
background listener nsenter --target "${ns[tower-a]}" --net -- python3 -uc 'import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 8630))
print("ready")
print(s.recvfrom(200)[0][:4])'
wait_for 30 file_has "$tmpdir/listener.log" ready
background six nsenter --target "${ns[phone]}" --net -- "$top_builddir/tagalong-reflector" \
	--device "$device" --key "$tmpdir/phone.key" --node gateway:8630 --listen '[::]:0'
wait_for 30 file_has "$tmpdir/listener.log" TGRG
end_process "$background_pid"
say "the gateway of IPv6 is found"

# A tablet comes into the list of devices while all runs on; a mistake changes nothing.
tablet=$("$top_builddir/migrator/cli/migrator" keys device tablet "$tmpdir/tablet.key" \
	--to "$tmpdir/devices")
before=$(sent tower-a)
sed -i 's/^report_interval:.*/report_interval: never/' "$tmpdir/tower-a.yaml"
kill -HUP "$tower_a"
wait_for 30 file_has "$tmpdir/tower-a.log" "stays as it was: .*report_interval: 'never' is no duration"
sed -i 's/^report_interval:.*/report_interval: 100ms/; s/^listen:.*/listen: 0.0.0.0:8621/' "$tmpdir/tower-a.yaml"
kill -HUP "$tower_a"
wait_for 30 file_has "$tmpdir/tower-a.log" "stays as it was: 'listen' was changed"
sed -i 's/^listen:.*/listen: 0.0.0.0:8620/' "$tmpdir/tower-a.yaml"
kill -HUP "$tower_a"
wait_for 30 file_has "$tmpdir/tower-a.log" 'reloaded'
background tablet nsenter --target "${ns[phone]}" --net -- "$top_builddir/tagalong-reflector" \
	--device "$tablet" --key "$tmpdir/tablet.key" --node gateway
wait_for 30 file_has "$tmpdir/tower-a.log" 'device=tablet address=.* registered'
end_process "$background_pid"
wait_for 10 knows "at == 'tower-a' and ($good) and a['sent'] > $before"
say "reloaded"

# A till without an agent comes with the file, too, and is pinged.
till=123e4567-e89b-42d3-a456-426614174001
echo "$till till icmp:10.1.1.100" >>"$tmpdir/devices"
kill -HUP "$tower_a"
migrator pair set till shop --id "$till" >/dev/null
answers_to_ping() {
	migrator rtt till --json 2>/dev/null | python3 -c 'import json, sys
d = json.load(sys.stdin)
sys.exit(not any(r["node"] == "tower-a" and r["confidence"] >= 80 and r["srtt_ns"] > 0
		 for r in d["rtts"]))'
}
wait_for 30 answers_to_ping
migrator pair remove till shop >/dev/null
say "pinged"

# It roams: another tower, another address.
before=$(sent tower-a)
attach 2
wait_for 10 knows "at == 'tower-b' and ($good) and a['sent'] > $before + 40"
file_has "$tmpdir/tower-b.log" 'device=phone address=10\.1\.2\.100:[0-9]+ registered' ||
	fail "tower-b did not see the phone at its new address"
wait_for 10 file_has "$tmpdir/tower-a.log" 'device=phone address=10\.1\.1\.100:[0-9]+ gone'
wait_for 10 knows "at == 'tower-b' and ($good)"
say "found again at the other tower"

# The controller comes back and knows where the phone is, without a new registration.
end_process "$controller"
start_controller
wait_for 10 knows "at == 'tower-b' and ($good)"

# A tower that comes back is told whom to watch and where.
end_process "$tower_a"
start_tower tower-a
wait_for 10 knows "at == 'tower-b' and ($good) and a['sent'] < $before + 40"
say "controller and tower came back"

# Probes are lost, the confidence falls, and the registration expires.
kill -KILL "$reflector"
wait_for 10 knows "at is None and a['confidence'] == 0 and b['confidence'] == 0 and
	a['lost'] >= 10 and b['lost'] >= 10"
start_reflector
wait_for 10 knows "at == 'tower-b' and ($good)"
say "lost and found"
