# SPDX-License-Identifier: Apache-2.0
# Unit tests: tests/unit/ROOM/test_FILE.c tests ROOM/FILE.c, one program each,
# linked with the room's library. End-to-end tests are scripts in tests/e2e/.
AM_TESTS_ENVIRONMENT = \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
	top_builddir='$(abs_top_builddir)'; export top_builddir; \
	$(SANITIZER_ENVIRONMENT)
EXTRA_DIST += tests/summary

# Criterion lets a test pass in which a sanitizer found something, and nobody
# reads a daemon's stderr: the reports go to files, and any file is a failure.
SANITIZER_REPORTS = $(abs_top_builddir)/sanitizer-reports
if SANITIZERS
SANITIZER_ENVIRONMENT = \
	mkdir -p '$(SANITIZER_REPORTS)'; \
	ASAN_OPTIONS='log_path=$(SANITIZER_REPORTS)/asan:detect_leaks=1'; export ASAN_OPTIONS; \
	UBSAN_OPTIONS='log_path=$(SANITIZER_REPORTS)/ubsan:print_stacktrace=1'; export UBSAN_OPTIONS; \
	TSAN_OPTIONS='log_path=$(SANITIZER_REPORTS)/tsan'; export TSAN_OPTIONS; \
	TAGALONG_SLOW=4; export TAGALONG_SLOW;
check-local:
	@for f in '$(SANITIZER_REPORTS)'/*; do \
		[ -e "$$f" ] || continue; \
		echo "sanitizer report: $$f"; sed 25q "$$f"; bad=1; \
	done; [ -z "$$bad" ]
clean-local:
	rm -rf '$(SANITIZER_REPORTS)'
endif

# Sanitizers need each line of the code once; how often it is struck is the plain build's business.
FEWER_BLOWS = KILLS=2 MOVES=8 BLOWS=1 ONLY='journal-commit|send-commit|journal-run'

# Those that look at the tree, at pages and at packages, and run nothing of ours that others do not.
NOT_SANITIZED = \
	tests/e2e/commit-model.sh \
	tests/e2e/completion.sh \
	tests/e2e/dist.sh \
	tests/e2e/guest-boots.sh \
	tests/e2e/huge-pages.sh \
	tests/e2e/manpages.sh \
	tests/e2e/map.sh \
	tests/e2e/packages.sh \
	tests/e2e/qemu-versions.sh \
	tests/e2e/readme.sh \
	tests/e2e/references.sh \
	tests/e2e/shellcheck.sh \
	tests/e2e/tree.sh \
	$(NULL)

# The other tests again under AddressSanitizer and UBSan, then the threaded ones under
# ThreadSanitizer, each in a build folder beside this one.
check-sanitizers:
	cd '$(abs_top_srcdir)' && status=0; \
	BUILD_DIR='$(abs_top_builddir)/../build-asan' CONFIGURE_FLAGS=--enable-sanitizers=address \
		$(FEWER_BLOWS) MAKEFLAGS= \
		./bootstrap check TESTS='$(filter-out $(NOT_SANITIZED),$(TESTS))' || status=1; \
	BUILD_DIR='$(abs_top_builddir)/../build-tsan' CONFIGURE_FLAGS=--enable-sanitizers=thread \
		MAKEFLAGS= ./bootstrap check TESTS='$(THREAD_TESTS)' || status=1; \
	exit $$status
.PHONY: check-sanitizers

# Plain programs (Criterion and ThreadSanitizer do not work together).
THREAD_TESTS =

AM_CPPFLAGS += $(CRITERION_CFLAGS)
UNIT_LDADD = $(CRITERION_LIBS)
UNIT_TESTS =

include tests/unit/common/common.mk
include tests/unit/migrator/migrator.mk
include tests/unit/telemetry/telemetry.mk
include tests/unit/placement/placement.mk
include tests/unit/sim/sim.mk
include tests/e2e/e2e.mk
include tests/fuzz/fuzz.mk
include tests/bench/bench.mk

if HAVE_CRITERION
check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
endif
