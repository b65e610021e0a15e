#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The commit's rules under spin (tests/model/commit.pml): never two running copies, and one that
# runs in the end, whatever $BLOWS blows fall when; in post-copy, where there are more ways for one to
# fall, none runs in the end only if both sides say so. A model with a broken rule must be caught.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/e2e/functions.sh"

blows=${BLOWS:-3}
requires spin -V
requires cc --version

# model MACRO...: makes the checker, but for the rules.
model() {
	(cd "$tmpdir" && spin -a "$@" "$top_srcdir/tests/model/commit.pml" >spin.log &&
		cc -O1 -w -D_GNU_SOURCE -I"$top_srcdir" -I"$top_builddir" -c pan.c)
}

# rules FILE
rules() {
	(cd "$tmpdir" && cc -O1 -w -D_GNU_SOURCE -I"$top_srcdir" -I"$top_builddir" -o checker pan.o "$1")
}

# holds CLAIM [OPTION]...: whether no run breaks it.
holds() {
	(cd "$tmpdir" && ./checker -m1000000 -w24 -a "${@:2}" -N "$1" >"$1.log" 2>&1)
	! grep -q 'search depth too small' "$tmpdir/$1.log" || fail "$1 was not searched whole"
	grep -q 'errors: 0' "$tmpdir/$1.log" || return 1
	say "$1: $(grep -h 'states, stored' "$tmpdir/$1.log" | tr -s ' ')"
}

# must_hold CLAIM [OPTION]...
must_hold() {
	holds "$@" || fail "$(cat "$tmpdir/$1.log")"
}

say "over a network"
model -DBLOWS="$blows"
rules "$top_srcdir/migrator/commit.c"
must_hold safe
must_hold alive -f

say "rules that are wrong are found to be"
sed 's/return f->word == COMMIT_WORD_COMMIT/&/; s/if (f->word == COMMIT_WORD_COMMIT)$/if (f->word != COMMIT_WORD_ABORT)/' \
	"$top_srcdir/migrator/commit.c" >"$tmpdir/early.c"
rules "$tmpdir/early.c"
! holds safe || fail "a target that runs without a word is not noticed"
sed 's/^\t\treturn COMMIT_CONT;/\t\treturn COMMIT_WAIT;/' "$top_srcdir/migrator/commit.c" >"$tmpdir/idle.c"
rules "$tmpdir/idle.c"
! holds alive -f || fail "copies that are never revived are not noticed"
sed 's/if (f->refused && /if (false \&\& /' "$top_srcdir/migrator/commit.c" >"$tmpdir/deaf.c"
rules "$tmpdir/deaf.c"
! holds safe || fail "a guest that never ran and is taken for one that did is not noticed"
sed 's/return f->still ? COMMIT_TO_COMMIT : COMMIT_ASK_PEER/return COMMIT_TO_COMMIT/' \
	"$top_srcdir/migrator/commit.c" >"$tmpdir/back.c"
rules "$tmpdir/back.c"
! holds safe || fail "an older state of the guest that runs is not noticed"

say "over a network, in post-copy"
model -DBLOWS=$((blows - 1)) -DPOST_COPY=1
rules "$top_srcdir/migrator/commit.c"
must_hold safe

for post_copy in 0 1; do
	say "told at once, POST_COPY=$post_copy"
	model -DBLOWS="$blows" -DPOST_COPY=$post_copy -DAT_ONCE=1
	rules "$top_srcdir/migrator/commit.c"
	must_hold safe
	must_hold alive
done

say "rules of post-copy that are wrong are found to be"
sed 's/(!f->live || f->word == COMMIT_WORD_ABORT)/f->word == COMMIT_WORD_ABORT/' \
	"$top_srcdir/migrator/commit.c" >"$tmpdir/silent.c"
rules "$tmpdir/silent.c"
! holds alive || fail "QEMUs that wait for memory for ever are not noticed"
sed 's/^\tif (f->partial && f->qemu == COMMIT_QEMU_RUNNING)$/\tif (false)/' \
	"$top_srcdir/migrator/commit.c" >"$tmpdir/hasty.c"
rules "$tmpdir/hasty.c"
! holds alive || fail "a source that is let go before all has come is not noticed"
