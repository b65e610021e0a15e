# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # functions.sh sets, tests use
# SPDX-License-Identifier: Apache-2.0
#
# Hosts for the tests of moves: migratords on the loopback with real guests. To
# be sourced after functions.sh. Nodes are named by single words:
#
#     nodes_make a b
#     node_start a; node_start b
#     vm_describe web tagguest.rate=4M; vm_start a web
#     migrator_at a move web b

requires_guest
requires test -w /dev/shm
requires python3 --version
requires jq --version

MIGRATOR=$top_builddir/migrator/cli/migrator
MIGRATORD=$top_builddir/migratord
RELAY=$top_builddir/tests/e2e/relay

nodes_ram=/dev/shm/tagalong-$e2e_name.$$
nodes_seen=$tmpdir/seen
mkdir -p "$nodes_ram" "$nodes_seen"
declare -A node_pid node_port node_data node_advertise node_data_advertise node_fault

nodes_end() {
	local pid file
	for pid in "${node_pid[@]}"; do
		end_process "$pid"
	done
	# The guests survive their daemons; each VM's folder names its QEMU.
	for file in "$tmpdir"/*/vm/*/*/pid; do
		[ -f "$file" ] && kill -9 "$(cat "$file")" 2>/dev/null
	done
	rm -rf "$nodes_ram"
}
cleanup_fn nodes_end

# nodes_make NODE...: keys, allow lists and configurations, each node knowing all others.
nodes_make() {
	local node other
	mkdir -p "$tmpdir/keys"
	for node in "$@" me; do
		"$MIGRATOR" keys make "$tmpdir/keys/$node" >"$tmpdir/keys/$node.pub"
	done
	printf 'name: me\nkey: %s\nnodes:\n' "$tmpdir/keys/me" >"$tmpdir/migrator.yaml"
	for node in "$@"; do
		node_port[$node]=$(free_port)
		node_data[$node]=$(free_port)
		"$MIGRATOR" keys allow operator me "$(key_of me)" --to "$tmpdir/$node.allow" >/dev/null
		for other in "$@"; do
			"$MIGRATOR" keys allow node "$other" "$(key_of "$other")" \
				--to "$tmpdir/$node.allow" >/dev/null
		done
		node_configure "$node"
		node_known_as "$node" "${node_port[$node]}"
	done
}

key_of() {
	tr -d '\n' <"$tmpdir/keys/$1.pub"
}

# node_known_as NODE PORT: under which port the CLI and orders reach it.
node_known_as() {
	{
		grep -v "name: $1," "$tmpdir/migrator.yaml" || :
		printf "  - { name: %s, endpoint: 'tcp://127.0.0.1:%s', key: '%s' }\n" "$1" "$2" "$(key_of "$1")"
	} >"$tmpdir/migrator.yaml.new"
	mv "$tmpdir/migrator.yaml.new" "$tmpdir/migrator.yaml"
}

# node_configure NODE [YAML LINE]...
node_configure() {
	local node=$1
	shift
	{
		cat <<YAML
name: $node
key: $tmpdir/keys/$node
allow: $tmpdir/$node.allow
listen: tcp://127.0.0.1:${node_port[$node]}
data_listen: 127.0.0.1:${node_data[$node]}
state_dir: $tmpdir/$node
ram_dir: $nodes_ram/$node
vcpus: 8
YAML
		[ -z "${node_advertise[$node]:-}" ] ||
			echo "advertise: tcp://127.0.0.1:${node_advertise[$node]}"
		[ -z "${node_data_advertise[$node]:-}" ] ||
			echo "data_advertise: 127.0.0.1:${node_data_advertise[$node]}"
		case "$*" in *memory:*) ;; *) echo "memory: 2G" ;; esac
		printf '%s\n' "$@"
	} >"$tmpdir/$node.yaml"
}

# nodes_link DELAY_MS: puts a relay between all nodes, for orders and for pages. The
# tests themselves go past it. Made anew, it mends a link that was cut.
nodes_link() {
	local node map=()
	for node in "${!node_port[@]}"; do
		if [ -z "${node_advertise[$node]:-}" ]; then
			node_advertise[$node]=$(free_port)
			node_data_advertise[$node]=$(free_port)
			node_configure "$node"
		fi
		map+=("${node_advertise[$node]}:${node_port[$node]}"
			"${node_data_advertise[$node]}:${node_data[$node]}")
	done
	"$RELAY" "$1" "${map[@]}" >>"$tmpdir/relay.log" 2>&1 &
	link_pid=$!
	node_pid[relay]=$link_pid
	disown "$link_pid"
}

# Only the connection that was made last: in the midst of a move one of its data connections.
link_cut_one() {
	kill -USR1 "$link_pid"
}

link_cut() {
	kill -9 "$link_pid"
	wait_for 30 process_ended "$link_pid" # another one listens at the same ports
}

# For a move that has to succeed: on a machine that stalls no guest is surely stopped for less.
patient=(--blackout-max 20s)

# order FROM ARGUMENT...: 'migrator ARGUMENT... --node FROM'; the other nodes are
# reached through the link, if there is one.
order() {
	local from=$1 node
	shift
	cp "$tmpdir/migrator.yaml" "$tmpdir/order.yaml"
	for node in "${!node_advertise[@]}"; do
		[ "$node" = "$from" ] ||
			sed -i "s,:${node_port[$node]}',:${node_advertise[$node]}'," "$tmpdir/order.yaml"
	done
	"$MIGRATOR" "$@" --node "$from" --config "$tmpdir/order.yaml"
}

# begin_move NODE TARGET [OPTION]...: orders it for the VM "web" and leaves its id in
# $move, empty when the daemon did not live to tell it. A daemon that was just started
# may still be looking for its guest, and refuses.
begin_move() {
	wait_for 30 move_begins "$@"
}

move_begins() {
	local answer
	answer=$(order "$1" move web "${@:2}" --detach --json 2>/dev/null) || :
	move=$(sed -n 's/.*"move": *"\([0-9a-f-]*\)".*/\1/p' <<<"$answer" | head -n 1)
	[ -n "$move" ] || ! node_is_up "$1"
}

# node_start NODE: and waits until it answers. node_fault[NODE] holds its faults.
node_start() {
	TAGALONG_FAULT=${node_fault[$1]:-} "$MIGRATORD" --config "$tmpdir/$1.yaml" \
		</dev/null >>"$tmpdir/$1.log" 2>&1 &
	node_pid[$1]=$!
	disown "$!" # bash would tell of each one that is killed
	wait_for 10 node_answers "$1"
}

node_answers() {
	migrator_at "$1" vm list --timeout 2s >/dev/null 2>&1
}

node_is_up() {
	! process_ended "${node_pid[$1]}"
}

node_kill() {
	kill -9 "${node_pid[$1]}"
	wait_for 5 process_ended "${node_pid[$1]}"
}

node_stop() {
	kill "${node_pid[$1]}"
	wait_for 5 process_ended "${node_pid[$1]}"
}

# migrator ARGUMENT...: asks whom $tmpdir/migrator.yaml names, which may be a controller.
migrator() {
	"$MIGRATOR" --config "$tmpdir/migrator.yaml" "$@"
}

# prints PATTERN ARGUMENT...: whether it succeeds and prints that.
prints() {
	local pattern=$1
	shift
	migrator "$@" >"$tmpdir/prints" 2>&1 && file_has "$tmpdir/prints" "$pattern"
}

migrator_at() {
	local node=$1
	shift
	"$MIGRATOR" "$@" --node "$node" --config "$tmpdir/migrator.yaml"
}

# --- guests ------------------------------------------------------------------

# vm_describe NAME [WORD OF THE KERNEL'S COMMAND LINE]...
# QEMU traces each change of its run state with the time: see runs_once().
vm_describe() {
	local name=$1
	shift
	cat >"$tmpdir/$name.yaml" <<YAML
name: $name
memory: ${vm_memory:-128M}
vcpus: 1
machine: pc-q35-7.2
cpu: qemu64
accelerator: tcg
kernel: $GUEST_KERNEL
initrd: $GUEST_INITRD
cmdline: console=hvc0 quiet tsc=reliable $*
extra: ["-msg", "timestamp=on", "-trace", "runstate_set"]
${vm_lines:-}
YAML
}

vm_start() {
	migrator_at "$1" vm start "$tmpdir/$2.yaml" >/dev/null
	vm_look
	wait_for 60 guest_up "$(vm_console "$1" "$2")"
}

# vm_field NODE VM FIELD: of 'vm show', nothing when it is not there.
vm_field() {
	migrator_at "$1" vm show "$2" --json 2>/dev/null | jq -r --arg field "$3" '.[$field] // ""' || :
}

vm_console() {
	local directory
	directory=$(vm_field "$1" "$2" directory)
	echo "${directory:-/nonexistent}/console.log"
}

# vm_runs_at NODE VM
vm_runs_at() {
	[ "$(vm_field "$1" "$2" state)" = running ]
}

# vm_where VM: the one node of a and b that runs it, when all is settled: the
# other has nothing of it, not even a file. Prints nothing before.
vm_where() {
	local a b
	a=$(vm_field a "$1" state)
	b=$(vm_field b "$1" state)
	[ "$(qemus)" = 1 ] || return 0
	[ "$(find "$nodes_ram" -type f | wc -l)" = 1 ] || return 0
	[ "$(find "$tmpdir/a/vm" "$tmpdir/b/vm" -mindepth 2 -maxdepth 2 2>/dev/null | wc -l)" = 1 ] || return 0
	[ "$a/$b" = running/ ] && echo a
	[ "$a/$b" = /running ] && echo b
	return 0
}

# Now, in microseconds.
micros() {
	date +%s%6N
}

# ran_within MICROSECONDS VM SINCE: by QEMU's own traces some copy ran again by then,
# counted from SINCE; no matter how long the tests took to find out.
ran_within() {
	vm_look
	python3 "$top_srcdir/tests/e2e/runs_once.py" --within "$1" "$3" "$nodes_seen/$2" ||
		fail "$2 did not run within $(($1 / 1000)) ms of the peers' meeting"
}

# How many QEMUs live.
qemus() {
	local file n=0
	for file in "$tmpdir"/*/vm/*/*/pid; do
		[ -f "$file" ] && ! process_ended "$(cat "$file")" && n=$((n + 1))
	done
	echo "$n"
}

# move_field NODE MOVE FIELD: of its history, nothing when it is not there.
move_field() {
	migrator_at "$1" history --json 2>/dev/null |
		jq -r --arg move "$2" --arg field "$3" 'first(.moves[] | select(.move == $move)) | .[$field] // ""'
}

# move_state NODE MOVE: as the node tells it; "none" when it knows nothing of it.
move_state() {
	local state
	state=$(move_field "$1" "$2" state) && echo "${state:-none}"
}

# Keeps the logs of every QEMU that there is, also when its VM's folder goes: by
# hard links, under its incarnation's name.
vm_look() {
	local log folder vm seen
	for log in "$tmpdir"/*/vm/*/*/qemu.log "$tmpdir"/*/vm/*/*/console.log; do
		folder=${log%/*} vm=${log%/*/*}
		vm=${vm##*/} seen=$nodes_seen/${vm##*/}/${folder##*/}.${log##*/}
		if [ -f "$log" ] && [ ! -e "$seen" ]; then # otherwise no program is started: see vm_watch
			mkdir -p "$nodes_seen/$vm"
			ln "$log" "$seen" 2>/dev/null || :
		fi
	done
}

# A watcher that looks all the time.
vm_watch() {
	(while sleep 0.05 && kill -0 "$$"; do vm_look; done 2>/dev/null) &
	cleanup_fn kill "$!"
}

# Never two running copies of any VM. QEMU's own trace of its run states, of all QEMUs there
# ever were, to the microsecond; and the guest's reports, whose numbers are
# counted in its memory: two copies that run would both say the same number.
runs_once() {
	vm_look
	python3 "$top_srcdir/tests/e2e/runs_once.py" "$nodes_seen"/* || fail "more than one copy ran"
}
