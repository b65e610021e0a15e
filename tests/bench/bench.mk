# SPDX-License-Identifier: Apache-2.0
# Benchmarks: each writes bench/NAME.json in the build folder and a table.
BENCHMARKS = \
	bench-fidelity \
	bench-migration \
	bench-placement \
	bench-promise \
	bench-sim \
	bench-telemetry \
	$(NULL)
bench: $(BENCHMARKS)
.PHONY: bench $(BENCHMARKS)

EXTRA_PROGRAMS = \
	tests/bench/codec \
	tests/bench/delay-link \
	tests/bench/echo-client \
	tests/bench/planning \
	tests/bench/telemetry-lab \
	$(NULL)
CLEANFILES += $(EXTRA_PROGRAMS:=$(EXEEXT))
tests_bench_codec_SOURCES = tests/bench/codec.c
tests_bench_codec_LDADD = libmigrator.la libcommon.la
tests_bench_delay_link_SOURCES = tests/bench/delay-link.c
tests_bench_delay_link_LDADD = libsim.la libcommon.la
tests_bench_echo_client_SOURCES = tests/bench/echo-client.c
tests_bench_planning_SOURCES = tests/bench/planning.c
tests_bench_planning_LDADD = libplacement.la libcommon.la -lm
tests_bench_telemetry_lab_SOURCES = tests/bench/telemetry-lab.c
tests_bench_telemetry_lab_LDADD = libtelemetry.la libcommon.la

# What the benchmarks compute with is tested under check.
TESTS += tests/bench/test_bench.py
dist_check_SCRIPTS += tests/bench/test_bench.py
EXTRA_DIST += \
	docs/benchmarks.md \
	tests/bench/crowd.py \
	tests/bench/echo.py \
	tests/bench/engine.py \
	tests/bench/fidelity.py \
	tests/bench/floor.py \
	tests/bench/guest.py \
	tests/bench/lab.py \
	tests/bench/marks.py \
	tests/bench/migration.py \
	tests/bench/one_move.py \
	tests/bench/page.py \
	tests/bench/placement.py \
	tests/bench/pressure.py \
	tests/bench/promise.py \
	tests/bench/promise_marks.py \
	tests/bench/qemu_engine.py \
	tests/bench/qmp.py \
	tests/bench/results.py \
	tests/bench/predictions.py \
	tests/bench/silence.py \
	tests/bench/simulation.py \
	tests/bench/tagalong_engine.py \
	tests/bench/telemetry.py \
	$(NULL)

# Over images that the caller brings: IMAGES="before.img after.img".
bench-codec: tests/bench/codec$(EXEEXT)
	tests/bench/codec$(EXEEXT) $(IMAGES)
.PHONY: bench-codec

bench-migration: all $(GUEST_IMAGE) $(DEBIAN_IMAGE) tests/bench/delay-link$(EXEEXT) tests/bench/echo-client$(EXEEXT)
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 $(srcdir)/tests/bench/migration.py --build .

bench-fidelity: all $(GUEST_IMAGE) tests/bench/delay-link$(EXEEXT) tests/bench/echo-client$(EXEEXT)
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 $(srcdir)/tests/bench/fidelity.py --build .

bench-placement: tests/bench/planning$(EXEEXT)
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 $(srcdir)/tests/bench/placement.py --build .

bench-promise: all $(GUEST_IMAGE) tests/bench/delay-link$(EXEEXT) tests/bench/echo-client$(EXEEXT)
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 $(srcdir)/tests/bench/promise.py --build .

bench-sim: all
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 $(srcdir)/tests/bench/simulation.py --build .

bench-telemetry: tests/bench/telemetry-lab$(EXEEXT)
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 $(srcdir)/tests/bench/telemetry.py --build .
