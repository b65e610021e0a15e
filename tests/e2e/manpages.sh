#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Every program answers --help and --version, refuses what it does not know,
# and has a page that tells all of its options and none besides. The page of
# migrator also names every member of its JSON.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"
requires command -v mandoc

# program, page
programs="
migratord          migratord.8
telemetryd         telemetryd.8
placementd         placementd.8
migrator/cli/migrator migrator.1
tagalong-reflector tagalong-reflector.1
edgesim            edgesim.1
"

bad=0
complain() {
	echo "$e2e_name: $*" >&2
	bad=1
}

# Prints the long options in the help of a program and of its sub-commands.
options_of_program() {
	local program=$1 command
	"$program" --help
	"$program" --help | sed -n '/^commands:/,/^$/s/^  \([a-z]\{2,\}\( [a-z]\{2,\}\)\{0,1\}\).*/\1/p' |
		while read -r command; do
			# shellcheck disable=SC2086  # a command of two words is two arguments
			"$program" $command --help </dev/null
		done
}

long_options() {
	grep -oE -- '(^|[^[:alnum:]-])--[a-z][a-z0-9-]*' | grep -oE -- '--[a-z][a-z0-9-]*' | sort -u
}

# The page as plain text without line breaks in words.
text_of_page() {
	mandoc -T ascii -O width=1000 "$1" | sed 's/.\x08//g'
}

check_program() {
	local program=$top_builddir/$1 name status
	name=$(basename "$1")
	[ -x "$program" ] || { complain "$1 was not built"; return; }
	"$program" --help >"$tmpdir/help" || complain "$name --help fails"
	"$program" --version >"$tmpdir/version" || complain "$name --version fails"
	grep -Eq "^$name \\(tagalong\\) [0-9]+\\.[0-9]+\\.[0-9]+$" "$tmpdir/version" ||
		complain "$name --version prints '$(cat "$tmpdir/version")'"
	status=0
	"$program" --no-such-option >"$tmpdir/out" 2>"$tmpdir/err" || status=$?
	[ "$status" -eq 2 ] || complain "$name --no-such-option ends with $status, not 2"
	[ -s "$tmpdir/err" ] || complain "$name --no-such-option says nothing"
}

# What a page's section OPTIONS defines; other options that it speaks of may be
# those of other programs.
options_of_page() {
	text_of_page "$1" | sed -n '/^OPTIONS/,/^[A-NP-Z]/p' | grep -E '^ +-' | long_options
}

check_options() {
	local program=$top_builddir/$1 page=$top_builddir/$2
	[ -x "$program" ] && [ -f "$page" ] || return 0
	options_of_program "$program" | long_options >"$tmpdir/of-program"
	options_of_page "$page" >"$tmpdir/of-page"
	diff "$tmpdir/of-program" "$tmpdir/of-page" >"$tmpdir/diff" ||
		complain "$2 and --help differ (< only in --help, > only in its OPTIONS):" \
			"$(grep '^[<>]' "$tmpdir/diff" | tr '\n' ' ')"
}

while read -r program page; do
	[ -n "$program" ] || continue
	check_program "$program"
	[ -f "$top_builddir/$page" ] || complain "$page is missing"
	check_options "$program" "$page"
done <<<"$programs"

# What scdoc writes in its own way (empty paragraphs, long lines) is no matter.
for page in "$top_builddir"/*.[1578]; do
	mandoc -Tlint "$page" >"$tmpdir/lint" || :
	grep -vE ': STYLE: |skipping paragraph macro' "$tmpdir/lint" >&2 &&
		complain "$(basename "$page") is not clean"
done

text_of_page "$top_builddir/migrator.1" >"$tmpdir/migrator.txt"
while read -r member; do
	grep -qw -- "$member" "$tmpdir/migrator.txt" || complain "migrator.1 does not tell of '$member'"
done < <(grep -ohE '(put_[a-z]+|PUT_LIST)\(o, "[a-z0-9_]+"' "$top_srcdir/common/document.c" |
	cut -d'"' -f2 | sort -u)

[ "$bad" -eq 0 ] || fail "see above"
