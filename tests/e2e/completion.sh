#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# bash completes commands, their second words and their options, all as --help
# has them.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
PATH=$top_builddir/migrator/cli:$PATH
# shellcheck source=migrator/cli/completion/migrator
. "$top_srcdir/migrator/cli/completion/migrator"

# completes WORD...: what there is for the last word.
completes() {
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	_migrator
	echo "${COMPREPLY[*]}"
}

# expect "WORDS" WORD...
expect() {
	local wanted=$1 got
	shift
	got=$(completes "$@")
	[ "$got" = "$wanted" ] || fail "'$*' completes to '$got', not '$wanted'"
}

expect "affinity cancel controllers history image keys move node pair pause priority relay resolve resume rtt status summary vm warm why" migrator ""
expect "status" migrator st
expect "adopt freeze list receive show start stop thaw" migrator vm ""
expect "start stop" migrator vm st
expect "start stop" migrator --json vm st
expect "--blackout --blackout-max" migrator move --blackout
expect "--background" migrator pair set phone web --b
expect "--yes" migrator resolve 3f2a --y
expect "" migrator nothing --x

cd "$tmpdir"
touch web.yaml
expect "web.yaml" migrator vm start w
expect "web.yaml" migrator --config w

# The other programs, by a completion of their own.
PATH=$top_builddir:$PATH
# shellcheck source=dist/completion/telemetryd
. "$top_srcdir/dist/completion/telemetryd"
completes() {
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	_tagalong
	echo "${COMPREPLY[*]}"
}
for program in edgesim migratord placementd tagalong-reflector telemetryd; do
	complete -p "$program" | grep -q _tagalong || fail "$program is not completed"
	expect "--version" "$program" --ver
done
expect "--config --check-config" telemetryd --c
expect "web.yaml" telemetryd --config w
expect "--sleep-interval --stateful" tagalong-reflector --s
expect "references replay run" edgesim r
expect "--shard" edgesim run --s
expect "web.yaml" edgesim run w
