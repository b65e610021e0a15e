# SPDX-License-Identifier: Apache-2.0
# A fuzzer for each parser of bytes from outside: tests/fuzz/fuzz_NAME.c with
# seeds in tests/fuzz/corpus/NAME/. Configured with --enable-fuzzing CC=clang it
# is a libFuzzer program:
#     tests/fuzz/fuzz_qmp -max_total_time=60 new/ ../tests/fuzz/corpus/qmp/
# otherwise it replays its corpus, and mutations of it, under make check.
FUZZERS = \
	tests/fuzz/fuzz_allow_list \
	tests/fuzz/fuzz_arrival \
	tests/fuzz/fuzz_cells \
	tests/fuzz/fuzz_echo \
	tests/fuzz/fuzz_envelope \
	tests/fuzz/fuzz_etcd \
	tests/fuzz/fuzz_frame \
	tests/fuzz/fuzz_http \
	tests/fuzz/fuzz_image \
	tests/fuzz/fuzz_node_config \
	tests/fuzz/fuzz_placement_config \
	tests/fuzz/fuzz_qcow2 \
	tests/fuzz/fuzz_qmp \
	tests/fuzz/fuzz_ramstream \
	tests/fuzz/fuzz_record \
	tests/fuzz/fuzz_registration \
	tests/fuzz/fuzz_rest \
	tests/fuzz/fuzz_scenario \
	tests/fuzz/fuzz_settings \
	tests/fuzz/fuzz_stamp \
	tests/fuzz/fuzz_study \
	tests/fuzz/fuzz_tcp_diag \
	tests/fuzz/fuzz_tcp_passing \
	tests/fuzz/fuzz_tokens \
	tests/fuzz/fuzz_trace \
	tests/fuzz/fuzz_vm_spec \
	$(NULL)
check_PROGRAMS += $(FUZZERS)
EXTRA_DIST += tests/fuzz/corpus

if FUZZING
FUZZ_MAIN =
else
FUZZ_MAIN = tests/fuzz/replay.c
TESTS += $(FUZZERS)
endif

tests_fuzz_fuzz_allow_list_SOURCES = tests/fuzz/fuzz_allow_list.c $(FUZZ_MAIN)
tests_fuzz_fuzz_allow_list_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_allow_list_LDADD = libcommon.la
tests_fuzz_fuzz_arrival_SOURCES = tests/fuzz/fuzz_arrival.c $(FUZZ_MAIN)
tests_fuzz_fuzz_arrival_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_arrival_LDADD = libmigrator.la libcommon.la
tests_fuzz_fuzz_cells_SOURCES = tests/fuzz/fuzz_cells.c $(FUZZ_MAIN)
tests_fuzz_fuzz_cells_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_cells_LDADD = libsim.la libcommon.la
tests_fuzz_fuzz_echo_SOURCES = tests/fuzz/fuzz_echo.c $(FUZZ_MAIN)
tests_fuzz_fuzz_echo_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_echo_LDADD = libtelemetry.la libcommon.la
tests_fuzz_fuzz_envelope_SOURCES = tests/fuzz/fuzz_envelope.c $(FUZZ_MAIN)
tests_fuzz_fuzz_envelope_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_envelope_LDADD = libcommon.la
tests_fuzz_fuzz_http_SOURCES = tests/fuzz/fuzz_http.c $(FUZZ_MAIN)
tests_fuzz_fuzz_http_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_http_LDADD = libcommon.la
tests_fuzz_fuzz_image_SOURCES = tests/fuzz/fuzz_image.c $(FUZZ_MAIN)
tests_fuzz_fuzz_image_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_image_LDADD = libmigrator.la libcommon.la
tests_fuzz_fuzz_node_config_SOURCES = tests/fuzz/fuzz_node_config.c $(FUZZ_MAIN)
tests_fuzz_fuzz_node_config_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_node_config_LDADD = libmigrator.la libcommon.la
tests_fuzz_fuzz_placement_config_SOURCES = tests/fuzz/fuzz_placement_config.c $(FUZZ_MAIN)
tests_fuzz_fuzz_placement_config_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_placement_config_LDADD = libplacement.la libcommon.la
tests_fuzz_fuzz_qmp_SOURCES = tests/fuzz/fuzz_qmp.c $(FUZZ_MAIN)
tests_fuzz_fuzz_qmp_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_qmp_LDADD = libmigrator.la libcommon.la
tests_fuzz_fuzz_record_SOURCES = tests/fuzz/fuzz_record.c $(FUZZ_MAIN)
tests_fuzz_fuzz_record_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_record_LDADD = libsim.la libplacement.la libcommon.la
tests_fuzz_fuzz_registration_SOURCES = tests/fuzz/fuzz_registration.c $(FUZZ_MAIN)
tests_fuzz_fuzz_registration_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_registration_LDADD = libtelemetry.la libcommon.la
tests_fuzz_fuzz_rest_SOURCES = tests/fuzz/fuzz_rest.c $(FUZZ_MAIN)
tests_fuzz_fuzz_rest_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_rest_LDADD = libplacement.la libcommon.la
tests_fuzz_fuzz_tokens_SOURCES = tests/fuzz/fuzz_tokens.c $(FUZZ_MAIN)
tests_fuzz_fuzz_tokens_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_tokens_LDADD = libcommon.la
tests_fuzz_fuzz_scenario_SOURCES = tests/fuzz/fuzz_scenario.c $(FUZZ_MAIN)
tests_fuzz_fuzz_scenario_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_scenario_LDADD = libsim.la libcommon.la
tests_fuzz_fuzz_settings_SOURCES = tests/fuzz/fuzz_settings.c $(FUZZ_MAIN)
tests_fuzz_fuzz_settings_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_settings_LDADD = libmigratorcli.la libmigrator.la libcommon.la
tests_fuzz_fuzz_stamp_SOURCES = tests/fuzz/fuzz_stamp.c $(FUZZ_MAIN)
tests_fuzz_fuzz_stamp_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_stamp_LDADD = libtelemetry.la libcommon.la
tests_fuzz_fuzz_study_SOURCES = tests/fuzz/fuzz_study.c $(FUZZ_MAIN)
tests_fuzz_fuzz_study_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_study_LDADD = libsim.la libplacement.la libcommon.la
tests_fuzz_fuzz_tcp_diag_SOURCES = tests/fuzz/fuzz_tcp_diag.c $(FUZZ_MAIN)
tests_fuzz_fuzz_tcp_diag_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_tcp_diag_LDADD = libtelemetry.la libcommon.la
tests_fuzz_fuzz_tcp_passing_SOURCES = tests/fuzz/fuzz_tcp_passing.c $(FUZZ_MAIN)
tests_fuzz_fuzz_tcp_passing_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_tcp_passing_LDADD = libtelemetry.la libcommon.la
tests_fuzz_fuzz_trace_SOURCES = tests/fuzz/fuzz_trace.c $(FUZZ_MAIN)
tests_fuzz_fuzz_trace_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_trace_LDADD = libsim.la libcommon.la
tests_fuzz_fuzz_qcow2_SOURCES = tests/fuzz/fuzz_qcow2.c $(FUZZ_MAIN)
tests_fuzz_fuzz_qcow2_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_qcow2_LDADD = libmigrator.la libcommon.la
tests_fuzz_fuzz_vm_spec_SOURCES = tests/fuzz/fuzz_vm_spec.c $(FUZZ_MAIN)
tests_fuzz_fuzz_vm_spec_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_vm_spec_LDADD = libmigrator.la libcommon.la
tests_fuzz_fuzz_etcd_SOURCES = tests/fuzz/fuzz_etcd.c $(FUZZ_MAIN)
tests_fuzz_fuzz_etcd_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_etcd_LDADD = libplacement.la libcommon.la
tests_fuzz_fuzz_frame_SOURCES = tests/fuzz/fuzz_frame.c $(FUZZ_MAIN)
tests_fuzz_fuzz_frame_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_frame_LDADD = libmigrator.la libcommon.la
tests_fuzz_fuzz_ramstream_SOURCES = tests/fuzz/fuzz_ramstream.c $(FUZZ_MAIN)
tests_fuzz_fuzz_ramstream_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_ramstream_LDADD = libmigrator.la libcommon.la
