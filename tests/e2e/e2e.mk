# SPDX-License-Identifier: Apache-2.0
# End-to-end tests: one script each, all in this list; functions.sh is what they share.
E2E_TESTS = \
	tests/e2e/address.sh \
	tests/e2e/adopt.sh \
	tests/e2e/cli-placementd.sh \
	tests/e2e/cli.sh \
	tests/e2e/converge.sh \
	tests/e2e/controller-kill.sh \
	tests/e2e/cut-over.sh \
	tests/e2e/disk-full.sh \
	tests/e2e/disks.sh \
	tests/e2e/failover.sh \
	tests/e2e/guest-boots.sh \
	tests/e2e/huge-pages.sh \
	tests/e2e/images.sh \
	tests/e2e/isolation.sh \
	tests/e2e/kill-commit.sh \
	tests/e2e/kill-random.sh \
	tests/e2e/libvirt.sh \
	tests/e2e/mec021.sh \
	tests/e2e/move.sh \
	tests/e2e/operations.sh \
	tests/e2e/orders.sh \
	tests/e2e/plain-text.sh \
	tests/e2e/postcopy.sh \
	tests/e2e/preflight.sh \
	tests/e2e/qemu-versions.sh \
	tests/e2e/readme.sh \
	tests/e2e/resolve.sh \
	tests/e2e/rest.sh \
	tests/e2e/resume.sh \
	tests/e2e/sharing.sh \
	tests/e2e/walk.sh \
	$(NULL)
# These look at the tree and its programs, and need no guest.
TREE_TESTS = \
	tests/e2e/commit-model.sh \
	tests/e2e/completion.sh \
	tests/e2e/dist.sh \
	tests/e2e/formats.sh \
	tests/e2e/gallery.sh \
	tests/e2e/handovers.sh \
	tests/e2e/manpages.sh \
	tests/e2e/map.sh \
	tests/e2e/packages.sh \
	tests/e2e/passing.sh \
	tests/e2e/placementd.sh \
	tests/e2e/ranks.sh \
	tests/e2e/references.sh \
	tests/e2e/shellcheck.sh \
	tests/e2e/stamp-sender.sh \
	tests/e2e/stamp.sh \
	tests/e2e/study.sh \
	tests/e2e/telemetry.sh \
	tests/e2e/tree.sh \
	$(NULL)
TESTS += $(E2E_TESTS) $(TREE_TESTS)
dist_check_SCRIPTS += $(E2E_TESTS) $(TREE_TESTS)
# The link that tests delay and cut, and words that no program of ours would say.
check_PROGRAMS += tests/e2e/relay tests/e2e/say
tests_e2e_relay_SOURCES = tests/e2e/relay.c
tests_e2e_say_SOURCES = tests/e2e/say.c
tests_e2e_say_LDADD = libcommon.la

EXTRA_DIST += tests/model/commit.pml
EXTRA_DIST += tests/e2e/functions.sh tests/e2e/mec021.py tests/e2e/nodes.sh tests/e2e/rest.py tests/e2e/runs_once.py tests/e2e/stamp.py \
	tests/e2e/stamp_reflector.py

# The guest is built for those tests that run, and not for the others.
$(E2E_TESTS:%=%.log): $(GUEST_IMAGE)
DELAY_TESTS = tests/e2e/passing.sh
$(DELAY_TESTS:%=%.log): tests/bench/delay-link$(EXEEXT)
ECHO_TESTS = tests/e2e/cut-over.sh
$(ECHO_TESTS:%=%.log): tests/bench/echo-client$(EXEEXT)

# More of what "make check" does, in an hour: 100 moves, 50 blows at random moments to hosts and
# link and 10 to the controller, each step of the commit with and without delays and a disk.
SOAK = top_srcdir='$(abs_top_srcdir)' top_builddir='$(abs_top_builddir)'
soak: all $(GUEST_IMAGE) tests/e2e/relay
	env $(SOAK) MOVES=100 bash '$(srcdir)/tests/e2e/move.sh'
	env $(SOAK) KILLS=50 bash '$(srcdir)/tests/e2e/kill-random.sh'
	env $(SOAK) CUT_S=60 bash '$(srcdir)/tests/e2e/resume.sh'
	env $(SOAK) CONNECTIONS=3 bash '$(srcdir)/tests/e2e/resume.sh'
	env $(SOAK) CHOICES='give_up wait throttle longer' bash '$(srcdir)/tests/e2e/converge.sh'
	env $(SOAK) LATER=yes bash '$(srcdir)/tests/e2e/sharing.sh'
	env $(SOAK) KILLS=10 bash '$(srcdir)/tests/e2e/controller-kill.sh'
	env $(SOAK) DELAY_MS=0 JOURNAL_DELAY= DISK= bash '$(srcdir)/tests/e2e/kill-commit.sh'
	env $(SOAK) DELAY_MS=20 JOURNAL_DELAY= DISK= bash '$(srcdir)/tests/e2e/kill-commit.sh'
	env $(SOAK) DELAY_MS=0 JOURNAL_DELAY=20ms DISK=own bash '$(srcdir)/tests/e2e/kill-commit.sh'
.PHONY: soak
