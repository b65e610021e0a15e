# SPDX-License-Identifier: Apache-2.0
include tests/unit/migrator/cli.mk

UNIT_TESTS += \
	tests/unit/migrator/test_arrival \
	tests/unit/migrator/test_commit \
	tests/unit/migrator/test_disk \
	tests/unit/migrator/test_disk_pipe \
	tests/unit/migrator/test_effort \
	tests/unit/migrator/test_flow \
	tests/unit/migrator/test_forecast \
	tests/unit/migrator/test_foreign \
	tests/unit/migrator/test_frame \
	tests/unit/migrator/test_frame_reader \
	tests/unit/migrator/test_guest \
	tests/unit/migrator/test_guest_foreign \
	tests/unit/migrator/test_image \
	tests/unit/migrator/test_image_store \
	tests/unit/migrator/test_inflow \
	tests/unit/migrator/test_journal \
	tests/unit/migrator/test_launch \
	tests/unit/migrator/test_move \
	tests/unit/migrator/test_node_config \
	tests/unit/migrator/test_outgoing \
	tests/unit/migrator/test_pace \
	tests/unit/migrator/test_page \
	tests/unit/migrator/test_page_history \
	tests/unit/migrator/test_preflight \
	tests/unit/migrator/test_qcow2 \
	tests/unit/migrator/test_qmp \
	tests/unit/migrator/test_ram_idle \
	tests/unit/migrator/test_ram_image \
	tests/unit/migrator/test_ramstream \
	tests/unit/migrator/test_reference \
	tests/unit/migrator/test_refusals \
	tests/unit/migrator/test_return_path \
	tests/unit/migrator/test_share \
	tests/unit/migrator/test_stall \
	tests/unit/migrator/test_steer \
	tests/unit/migrator/test_survey \
	tests/unit/migrator/test_stream_frame \
	tests/unit/migrator/test_stream_head \
	tests/unit/migrator/test_tail \
	tests/unit/migrator/test_vm_spec \
	tests/unit/migrator/test_write_back \
	$(NULL)
tests_unit_migrator_pipeline_threads_LDADD = libmigrator.la libcommon.la
tests_unit_migrator_test_arrival_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_commit_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_disk_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_disk_pipe_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_effort_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_flow_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_forecast_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_foreign_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_frame_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_frame_reader_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_guest_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_image_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_image_store_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_inflow_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_node_config_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_journal_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_launch_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_outgoing_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_pace_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_page_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_page_history_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_move_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_guest_foreign_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_stream_head_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_reference_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_preflight_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_qcow2_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_qmp_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_ram_idle_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_ram_image_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_ramstream_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_refusals_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_return_path_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_share_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_stall_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_steer_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_survey_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_stream_frame_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_tail_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_vm_spec_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
tests_unit_migrator_test_write_back_LDADD = libmigrator.la libcommon.la $(UNIT_LDADD)
EXTRA_DIST += \
	tests/data/qemu/README.md \
	tests/data/qemu/q35-7.2-1016k.stream \
	tests/data/wire/v1-stream-aes256gcm.bin \
	tests/data/wire/v1-stream-chacha20.bin \
	tests/data/wire/v1-stream-plain.bin \
	tests/unit/migrator/capture.h \
	tests/unit/migrator/guest_fixture.h \
	tests/unit/migrator/huge_pages.h \
	$(NULL)
check_PROGRAMS += tests/unit/migrator/pipeline_threads
TESTS += tests/unit/migrator/pipeline_threads
THREAD_TESTS += tests/unit/migrator/pipeline_threads
EXTRA_DIST += \
	tests/unit/migrator/flow_history.h \
	tests/unit/migrator/pipeline.h \
	tests/unit/migrator/relay.h \
	$(NULL)
