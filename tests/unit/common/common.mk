# SPDX-License-Identifier: Apache-2.0
UNIT_TESTS += \
	tests/unit/common/test_address \
	tests/unit/common/test_bus \
	tests/unit/common/test_config \
	tests/unit/common/test_cost \
	tests/unit/common/test_cursor \
	tests/unit/common/test_cusum \
	tests/unit/common/test_daemon \
	tests/unit/common/test_database \
	tests/unit/common/test_envelope \
	tests/unit/common/test_file \
	tests/unit/common/test_histogram \
	tests/unit/common/test_http \
	tests/unit/common/test_keys \
	tests/unit/common/test_metrics \
	tests/unit/common/test_move_state \
	tests/unit/common/test_philox \
	tests/unit/common/test_rtt \
	tests/unit/common/test_tokens \
	tests/unit/common/test_units \
	$(NULL)
tests_unit_common_test_address_LDADD = libcommon.la $(UNIT_LDADD)
tests_unit_common_test_bus_LDADD = libcommon.la $(UNIT_LDADD)
tests_unit_common_test_config_LDADD = libcommon.la $(UNIT_LDADD)
tests_unit_common_test_cost_LDADD = libcommon.la $(UNIT_LDADD)
tests_unit_common_test_cursor_LDADD = libcommon.la $(UNIT_LDADD)
tests_unit_common_test_cusum_LDADD = libcommon.la $(UNIT_LDADD)
tests_unit_common_test_daemon_LDADD = libcommon.la $(UNIT_LDADD)
tests_unit_common_test_database_LDADD = libcommon.la $(UNIT_LDADD)
tests_unit_common_test_envelope_LDADD = libcommon.la $(UNIT_LDADD)
tests_unit_common_test_histogram_SOURCES = \
	tests/unit/common/recorded.c \
	tests/unit/common/recorded.h \
	tests/unit/common/test_histogram.c \
	$(NULL)
tests_unit_common_test_file_LDADD = libcommon.la $(UNIT_LDADD)
tests_unit_common_test_histogram_LDADD = libcommon.la $(UNIT_LDADD)
tests_unit_common_test_http_LDADD = libcommon.la $(UNIT_LDADD)
tests_unit_common_test_keys_LDADD = libcommon.la $(UNIT_LDADD)
tests_unit_common_test_metrics_LDADD = libcommon.la $(UNIT_LDADD)
tests_unit_common_test_move_state_LDADD = libcommon.la $(UNIT_LDADD)
tests_unit_common_test_philox_LDADD = libcommon.la $(UNIT_LDADD)
tests_unit_common_test_rtt_SOURCES = \
	tests/unit/common/recorded.c \
	tests/unit/common/recorded.h \
	tests/unit/common/test_rtt.c \
	$(NULL)
tests_unit_common_test_rtt_LDADD = libcommon.la $(UNIT_LDADD)
tests_unit_common_test_tokens_LDADD = libcommon.la $(UNIT_LDADD)
tests_unit_common_test_units_LDADD = libcommon.la $(UNIT_LDADD)
