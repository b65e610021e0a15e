# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What every end-to-end test sources, first of all:
#
#     #!/bin/bash
#     # SPDX-License-Identifier: Apache-2.0
#     . "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
#
# It sets -eu and pipefail, makes $tmpdir (removed on every way out) and
# defines the helpers below. A test exits 0, 77 (skipped, having said why) or
# anything else (failed). Run alone, a test takes the tree it lies in.

set -euo pipefail

top_srcdir=$(cd "${top_srcdir:-$(dirname "${BASH_SOURCE[0]}")/../..}" && pwd)
top_builddir=$(cd "${top_builddir:-$top_srcdir/build}" && pwd)
export top_srcdir top_builddir
PATH=$PATH:/usr/sbin:/sbin
# A version manager's python3 looks for the interpreter each time, which takes half a second.
if e2e_python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null); then
	[ "$e2e_python" -ef "$(command -v python3)" ] || PATH=${e2e_python%/*}:$PATH
fi
e2e_name=$(basename "$0" .sh)

# --- the way out -------------------------------------------------------------

e2e_cleanups=()

# cleanup_fn COMMAND [ARGUMENT]...
# Runs the command on every way out, the latest first, whatever came of the others.
cleanup_fn() {
	e2e_cleanups+=("$(printf '%q ' "$@")")
}

e2e_leave() {
	local status=$? i
	trap '' INT TERM HUP PIPE
	trap - EXIT
	set +e
	if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
		e2e_show_logs
	fi
	for ((i = ${#e2e_cleanups[@]} - 1; i >= 0; i--)); do
		eval "${e2e_cleanups[i]}"
	done
	exit "$status"
}
trap e2e_leave EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM
trap 'echo "$e2e_name: line $LINENO: \"$BASH_COMMAND\" failed" >&2' ERR

# The ends of all logs of a test that failed.
e2e_show_logs() {
	local log
	while IFS= read -r log; do
		echo "--- ${log#"$tmpdir"/}" >&2
		tail -n 30 "$log" >&2
	done < <(find "$tmpdir" -name '*.log' -type f -size +0 2>/dev/null | sort)
}

tmpdir=$(mktemp -d "${TMPDIR:-/tmp}/tagalong-$e2e_name.XXXXXX")
cleanup_fn rm -rf "$tmpdir"

say() {
	echo "$e2e_name: $*"
}

fail() {
	trap - ERR
	echo "$e2e_name: FAILED: $*" >&2
	exit 1
}

skip() {
	trap - ERR
	echo "$e2e_name: skipped: $*" >&2
	exit 77
}

# requires COMMAND [ARGUMENT]...
# Skips the test unless the command succeeds.
requires() {
	"$@" </dev/null >/dev/null 2>&1 || skip "\"$*\" does not work here"
}

# --- waiting and processes ---------------------------------------------------

# wait_for SECONDS COMMAND [ARGUMENT]...
# Tries until the command succeeds. SECONDS are what a quiet machine needs at most; the
# test fails after four times as long (and more in builds that are known to be slow).
wait_for() {
	local seconds=$(($1 * 4 * ${TAGALONG_SLOW:-1})) end
	shift
	end=$((SECONDS + seconds))
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || fail "not within $seconds s: $*"
		sleep 0.1
	done
}

# background NAME COMMAND [ARGUMENT]...
# Starts it with output to $tmpdir/NAME.log and its id in $background_pid; it is
# ended on the way out.
background() {
	local name=$1
	shift
	"$@" </dev/null >"$tmpdir/$name.log" 2>&1 &
	background_pid=$!
	cleanup_fn end_process "$background_pid"
}

# end_process PID: SIGTERM, and SIGKILL when that takes more than twenty seconds.
end_process() {
	local i
	kill "$1" 2>/dev/null || return 0
	for ((i = 0; i < 200; i++)); do
		process_ended "$1" && break
		sleep 0.1
	done
	kill -9 "$1" 2>/dev/null || :
	wait "$1" 2>/dev/null || :
}

# True when the process is no more, or is only waited for: all of its threads have ended,
# which hold what it had open.
process_ended() {
	local key='' state threads
	{
		while read -r key state _; do
			[ "$key" != State: ] || break
		done
	} 2>/dev/null <"/proc/$1/status" || return 0
	[ "$key" = State: ] || return 0
	threads=("/proc/$1/task"/*)
	[ "$state" = Z ] && [ "${#threads[@]}" -le 1 ]
}

# Prints a TCP and UDP port of the loopback that nobody listens on, and that no
# other test has been given: a link names the test's process.
free_port() {
	local port taken owner
	while :; do
		port=$((20000 + RANDOM % 12000))
		taken=${TMPDIR:-/tmp}/tagalong-port-$port
		owner=$(readlink "$taken") && process_ended "$owner" && rm -f "$taken"
		ln -s "$$" "$taken" 2>/dev/null || continue
		[ -z "$(ss -Htuln "sport = :$port")" ] && break
	done
	echo "$port"
}

free_ports_end() {
	find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'tagalong-port-*' -lname "$$" -delete
}
cleanup_fn free_ports_end

# file_has FILE PATTERN: true when a line of the file matches (extended syntax).
file_has() {
	[ -f "$1" ] && grep -Eq -- "$2" "$1"
}

# ends STATUS PATTERN COMMAND...: the exit code, and a line of what it prints.
ends() {
	local wanted=$1 pattern=$2 status=0
	shift 2
	"$@" >"$tmpdir/printed" 2>&1 || status=$?
	[ "$status" -eq "$wanted" ] || fail "'$*' ends with $status, not $wanted: $(cat "$tmpdir/printed")"
	file_has "$tmpdir/printed" "$pattern" || fail "'$*' does not print '$pattern': $(cat "$tmpdir/printed")"
}

# --- the test guest (sim/guest/) ---------------------------------------------

GUEST_KERNEL=$top_builddir/guest/vmlinuz
GUEST_INITRD=$top_builddir/guest/initrd.img
export GUEST_KERNEL GUEST_INITRD

requires_guest() {
	requires qemu-system-x86_64 --version
	if [ ! -f "$GUEST_KERNEL" ] || [ ! -f "$GUEST_INITRD" ]; then
		fail "no test guest: run \"make guest\""
	fi
}

# guest_last CONSOLE_LOG: the last whole report of a guest.
guest_last() {
	tr -d '\r' <"$1" 2>/dev/null | grep -a '^tagguest report .* end$' | tail -n 1
}

# report_field REPORT KEY: one value of a report; fails when there is none.
report_field() {
	local words=" $1 " value
	value=${words#* "$2"=}
	[ "$value" != "$words" ] && echo "${value%% *}"
}

# guest_field CONSOLE_LOG KEY: one value of the last report.
guest_field() {
	local report
	report=$(guest_last "$1") && report_field "$report" "$2"
}

# Prints what a guest had to complain about; true when it had something.
guest_complaints() {
	grep -aE '^tagguest (error|fatal) |Kernel panic|BUG: |Oops' "$1"
}

# guest_up CONSOLE_LOG: true once the guest has reported a pass over its memory.
guest_up() {
	local passes
	passes=$(guest_field "$1" passes 2>/dev/null) && [ "$passes" -ge 1 ]
}

# guest_mark CONSOLE_LOG: "now", for guest_verified. A guest that moved has its
# console on another host from then on; the mark holds there too.
guest_mark() {
	guest_field "$1" verified
}

# guest_verified CONSOLE_LOG MARK
# True once every page was verified after the mark (one pass, and what a guest
# may have verified between its last report and the mark). Fails the test when
# there are errors. Use: wait_for 30 guest_verified LOG MARK
guest_verified() {
	local report errors verified mem rate
	if guest_complaints "$1" >&2; then
		fail "the guest's memory does not verify"
	fi
	report=$(guest_last "$1") || return 1
	errors=$(report_field "$report" errors)
	[ "$errors" = 0 ] || fail "the guest reports $errors errors"
	verified=$(report_field "$report" verified)
	mem=$(report_field "$report" mem)
	rate=$(report_field "$report" verify)
	[ "$verified" -ge $(($2 + (mem + rate * 3 / 2) / 4096)) ]
}

# guest_control ADDRESS:PORT COMMAND
# Sends a command to the guest's control port, such as "set rate=10M ws=32M",
# and prints the answer; tries for some twenty seconds.
guest_control() {
	local address=${1%:*} port=${1##*:} answer try
	for ((try = 0; try < 40; try++)); do
		if exec {e2e_udp}<>"/dev/udp/$address/$port"; then
			printf '%s' "$2" >&"$e2e_udp" || :
			answer=$(timeout 0.5 dd bs=2048 count=1 status=none <&"$e2e_udp" 2>/dev/null) || :
			exec {e2e_udp}>&-
			[ -n "$answer" ] && echo "$answer" && return 0
		fi
		sleep 0.1
	done
	return 1
}
