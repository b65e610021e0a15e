#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The map of a report, as a browser shows it: it can be stepped through, for each policy,
# and is small for large studies, too.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"

requires chromium --version
edgesim=$top_builddir/edgesim
cd "$tmpdir"
cat >study.yaml <<'YAML'
name: mapped
duration: 120s
replications: 2
towers: hex:3:400
mobility: {model: random_waypoint, devices: 2000, speed_min: 10, speed_max: 25, pause: 5s}
telemetry: {interval: 1s, report: 1}
vm: {memory: 4M, working_set: 1M, dirty_rate: 1M}
limits: {moves: 100, moves_per_node: 20}
policies:
  - name: none
  - name: threshold
    threshold: [12ms, 13ms, 14ms, 15ms, 16ms]
    margin: [1ms, 2ms]
    hold: [1s]
    max_age: [5s]
YAML
"$edgesim" run --quiet --out out study.yaml >/dev/null

# Eight of eleven configurations, each once, 64 of 2000 devices at 60 times.
[ "$(grep -c '"map": \[\[' out/results.jsonl)" -eq 8 ] || fail "not eight runs have a map"
[ "$(wc -c <out/report.html)" -lt 1000000 ] || fail "the report has $(wc -c <out/report.html) bytes"
grep -qE '(src|href)=' out/report.html && fail "the report needs other files"

# shown FILE SCRIPT: the page after a script of ours.
shown() {
	{ cat out/report.html; echo "<script>$2</script>"; } >page.html
	chromium --headless --no-sandbox --disable-gpu --user-data-dir="$tmpdir/browser" \
		--dump-dom "file://$tmpdir/page.html" 2>browser.log |
		tr '\n' ' ' | sed -e 's/.*<p id="map-says">/says: /' -e 's/<script>.*//' >"$1"
	grep -q '^says: ' "$1" || fail "the browser shows nothing: $(tail -n 5 browser.log)"
}
count() {
	grep -o "class=\"$1\"" "$2" | wc -l
}
click() {
	printf 'document.getElementById("map-%s").click();' "$1"
}

shown first ''
grep -q '^says: 2.0 s: 64 devices there' first || fail "at first: $(head -c 200 first)"
[ $(($(count device first) + $(count 'device far' first))) -eq 64 ] || fail "not 64 devices"
[ "$(count tower first)" -eq 37 ] || fail "not 37 towers"
[ "$(count radio first)" -eq 64 ] || fail "not each has a tower"

shown second "$(click on)$(click on)$(click back)"
grep -q '^says: 4.0 s: ' second || fail "after a step: $(head -c 200 second)"
cmp -s first second && fail "nothing moves"

last='const w=document.getElementById("map-step");w.value=60;w.oninput();'
shown last "$last"
grep -q '^says: 2 min 0.0 s: ' last || fail "in the end: $(head -c 200 last)"
[ "$(count moving last)" -eq 0 ] || fail "VMs move without a policy"

# With the policy more are near. On the way there some move.
shown policy "const p=document.getElementById('map-policy');p.value=1;p.onchange();$last"
[ "$(count device policy)" -gt "$(count device last)" ] ||
	fail "with a policy $(count device policy) are near, without $(count device last)"
grep -q 'on its way to' policy || grep -q 'class="moving"' policy || say "none is on its way at the end"
say "near: $(count device last) without, $(count device policy) with a policy"
