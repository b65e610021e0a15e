#!/bin/bash
# shellcheck disable=SC2154  # nodes.sh sets
# SPDX-License-Identifier: Apache-2.0
#
# placementd by HTTP: rest.py goes through every operation of the OpenAPI document
# against a real controller with two real nodes, compares answers with schemas, sends what
# makes no sense, listens to events, receives webhooks; here are TLS, tokens and what a
# configuration must not say.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
. "$top_srcdir/tests/e2e/nodes.sh"
requires openssl version
requires python3 -c 'import jsonschema, yaml'

token() {
	"$MIGRATOR" keys token "$@" --to "$tmpdir/tokens"
}

nodes_make a b
"$MIGRATOR" keys make "$tmpdir/keys/main" >"$tmpdir/keys/main.pub"
orders=$(free_port)
for node in a b; do
	"$MIGRATOR" keys allow node "$node" "$(key_of "$node")" --to "$tmpdir/main.allow" >/dev/null
	node_configure "$node" "controller: { endpoint: 'tcp://127.0.0.1:$orders', key: '$(key_of main)' }"
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=main \
	-addext subjectAltName=IP:127.0.0.1 -keyout "$tmpdir/tls.key" -out "$tmpdir/tls.crt" \
	2>"$tmpdir/openssl.log"
http=$(free_port)
hook=$(free_port)
(umask 077 && echo 'a secret of the two' >"$tmpdir/hook.secret")
read_token=$(token read reader)
operate_token=$(token operate robot)
expired_token=$(token operate late --days 1)
sed -i '/ late /s/[^ ]*$/2020-01-01T00:00:00Z/' "$tmpdir/tokens"

# configuration FILE STORE HTTP...
configuration() {
	local file=$1 store=$2
	shift 2
	cat >"$tmpdir/$file" <<-YAML
		name: main
		key: $tmpdir/keys/main
		allow: $tmpdir/main.allow
		listen: tcp://127.0.0.1:$orders
		listen_reports: tcp://127.0.0.1:*
		$store
		policy: { threshold: 20ms, hold: 1s, margin: 5ms }
		limits: { blackout_max: 20s }
		http: { tokens: $tmpdir/tokens, $* }
	YAML
}

say "what a configuration must not say"
check() {
	"$top_builddir/placementd" --check-config --config "$tmpdir/wrong.yaml"
}
configuration wrong.yaml "store: $tmpdir/main.db" "listen: '0.0.0.0:$http'"
ends 1 "clear_text" check
configuration wrong.yaml "store: $tmpdir/main.db" "listen: '127.0.0.1:$http', key: $tmpdir/tls.key"
ends 1 "'certificate' and 'key' go together" check
configuration wrong.yaml "store: $tmpdir/main.db" "listen: '127.0.0.1:$http', timeout: 10ms"
ends 1 "from 1s to 1h" check
configuration wrong.yaml "store: $tmpdir/main.db" "listen: '0.0.0.0:$http', clear_text: true"
check || fail "clear_text is not taken"

say "a controller that does not lead"
configuration main.yaml "etcd: { endpoints: ['http://127.0.0.1:1'] }" "listen: '127.0.0.1:$http'"
background standby "$top_builddir/placementd" --config "$tmpdir/main.yaml"
wait_for 20 file_has "$tmpdir/standby.log" ' ready$'
get() {
	python3 - "$1" "$read_token" <<-'PY'
		import sys, urllib.error, urllib.request
		request = urllib.request.Request(sys.argv[1], headers={"Authorization": "Bearer " + sys.argv[2]})
		try:
		    answer = urllib.request.urlopen(request, timeout=30)
		except urllib.error.HTTPError as error:
		    answer = error
		print(answer.status, answer.read().decode())
	PY
}
ends 0 '^503 .*"detail":"main does not lead' get "http://127.0.0.1:$http/v1/nodes"
ends 0 '^200 .*"state":"standby"' get "http://127.0.0.1:$http/v1/controllers"
ends 0 '^tagalong_placement_leader 0' get "http://127.0.0.1:$http/metrics"
end_process "$background_pid"

say "all operations"
configuration main.yaml "store: $tmpdir/main.db" "listen: '127.0.0.1:$http'," \
	"certificate: $tmpdir/tls.crt, key: $tmpdir/tls.key, body_max: 16K, connections_each: 64"
echo "webhooks: [{ url: 'http://127.0.0.1:$hook/hook', secret_file: $tmpdir/hook.secret }]" \
	>>"$tmpdir/main.yaml"
background main "$top_builddir/placementd" --config "$tmpdir/main.yaml"
main=$background_pid
node_start a
node_start b
python3 "$top_srcdir/tests/e2e/rest.py" --url "https://127.0.0.1:$http" --ca "$tmpdir/tls.crt" \
	--read "$read_token" --operate "$operate_token" --expired "$expired_token" \
	--document "$top_srcdir/placement/openapi.yaml" \
	--table "$top_srcdir/placement/rest_operations.c" \
	--proto "$top_srcdir/common/proto/tagalong.proto" \
	--hook-port "$hook" --hook-secret "$tmpdir/hook.secret" --seed "${SEED:-1}" ||
	fail "see above (SEED=${SEED:-1})"

say "a token that is taken back"
sed -i '/ reader /d' "$tmpdir/tokens"
get_status() {
	python3 - "$http" "$tmpdir/tls.crt" "$read_token" <<-'PY'
		import ssl, sys, urllib.error, urllib.request
		request = urllib.request.Request(f"https://127.0.0.1:{sys.argv[1]}/v1/nodes",
		                                 headers={"Authorization": "Bearer " + sys.argv[3]})
		try:
		    urllib.request.urlopen(request, timeout=30, context=ssl.create_default_context(cafile=sys.argv[2]))
		except urllib.error.HTTPError as error:
		    print(error.status)
	PY
}
ends 0 '^401$' get_status

kill "$main"
status=0
wait "$main" || status=$?
[ "$status" -eq 0 ] || fail "placementd ends with $status"
