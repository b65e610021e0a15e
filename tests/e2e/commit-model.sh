#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The commit's rules under spin (tests/model/commit.pml): never two running copies, and one that
# runs in the end, whatever $BLOWS blows fall when. A model with a broken rule must be caught.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"

blows=${BLOWS:-3}
requires spin -V
requires cc --version

# model RULES: builds the checker with these rules.
model() {
	(cd "$tmpdir" && spin -a -DBLOWS="$blows" "$top_srcdir/tests/model/commit.pml" >spin.log &&
		cc -O2 -w -D_GNU_SOURCE -I"$top_srcdir" -I"$top_builddir" -o checker pan.c "$1")
}

# holds CLAIM [OPTION]...: whether no run breaks it.
holds() {
	(cd "$tmpdir" && ./checker -m1000000 -w24 -a "${@:2}" -N "$1" >"$1.log" 2>&1)
	! grep -q 'search depth too small' "$tmpdir/$1.log" || fail "$1 was not searched whole"
	grep -q 'errors: 0' "$tmpdir/$1.log"
}

model "$top_srcdir/migrator/commit.c"
holds safe || fail "$(cat "$tmpdir/safe.log")"
holds alive -f || fail "$(cat "$tmpdir/alive.log")"
say "$(grep -h 'states, stored' "$tmpdir/safe.log" "$tmpdir/alive.log" | tr -s ' ' | tr '\n' ';')"

say "rules that are wrong are found to be"
sed 's/return f->word == COMMIT_WORD_COMMIT/&/; s/if (f->word == COMMIT_WORD_COMMIT)$/if (f->word != COMMIT_WORD_ABORT)/' \
	"$top_srcdir/migrator/commit.c" >"$tmpdir/early.c"
model "$tmpdir/early.c"
! holds safe || fail "a target that runs without a word is not noticed"
sed 's/^\t\treturn COMMIT_CONT;/\t\treturn COMMIT_WAIT;/' "$top_srcdir/migrator/commit.c" >"$tmpdir/idle.c"
model "$tmpdir/idle.c"
! holds alive -f || fail "copies that are never revived are not noticed"
