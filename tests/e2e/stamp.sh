#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The reflector against a sender that shares no code with it: stamp.py makes requests after the
# RFCs, and checks every byte of the answers; tshark, which knows the base packet as TWAMP's, and
# no extensions, reads the same answers. In all modes, over IPv4 and IPv6.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
requires python3 --version
requires tshark --version

key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
(umask 077 && echo "$key" >"$tmpdir/key")

# reflects MODE ADDRESS OPTION...: the reflector with those options is asked in that mode.
reflects() {
	local mode=$1 address=$2 port
	shift 2
	background "$mode" "$top_builddir/tagalong-reflector" --key "$tmpdir/key" \
		--device 3f0e9a52-6c1c-4a8e-9a43-0d7c5b1f8e21 --node "$address:9" \
		--listen "$address:0" --interval 20m "$@"
	wait_for 20 file_has "$tmpdir/$mode.log" 'listen=.* ready'
	port=$(sed -n 's/.*listen=.*:\([0-9]*\) ready.*/\1/p' "$tmpdir/$mode.log")
	python3 "$top_srcdir/tests/e2e/stamp.py" "$mode" "${address//[\[\]]/}" "$port" "$key" \
		"$tmpdir/pcap" >>"$tmpdir/expected"
	end_process "$background_pid"
	say "$mode over $address"
}

# tshark's reading of the answers in the pcap is what stamp.py expects.
tshark_agrees() {
	tshark -r "$tmpdir/pcap" -d udp.port==862,twamp.test -T fields -E separator=' ' \
		-t ud -e twamp.test.seq_number -e twamp.test.error_estimate \
		-e twamp.test.sender_seq_number -e twamp.test.sender_error_estimate \
		-e twamp.test.sender_ttl >"$tmpdir/read" 2>"$tmpdir/tshark" ||
		fail "tshark: $(cat "$tmpdir/tshark")"
	diff -u "$tmpdir/expected" "$tmpdir/read" || fail "tshark reads something else"
	[ -s "$tmpdir/read" ] || fail "there is nothing to read"
}

reflects stateless 127.0.0.1
reflects stateful '[::1]' --stateful --dscp 46,10
reflects light 127.0.0.1 --twamp-light
reflects authenticated '[::1]' --authenticated --stateful --dscp 46
reflects protected 127.0.0.1 --protect-tlvs --hide-location
tshark_agrees
say "and tshark reads the same"

for bad in '' 64 100 1,,2 '1,' ,1 -1 x 0x1; do
	status=0
	"$top_builddir/tagalong-reflector" --dscp "$bad" 2>"$tmpdir/refused" || status=$?
	[ "$status" -eq 2 ] || fail "--dscp '$bad' ends with $status"
	file_has "$tmpdir/refused" '--dscp: .* is no list of numbers' || fail "--dscp '$bad' is taken"
done
