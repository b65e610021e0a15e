# SPDX-License-Identifier: Apache-2.0
UNIT_TESTS += \
	tests/unit/telemetry/test_bridge_watch \
	tests/unit/telemetry/test_client_tlvs \
	tests/unit/telemetry/test_confine \
	tests/unit/telemetry/test_daemon \
	tests/unit/telemetry/test_datagram \
	tests/unit/telemetry/test_echo \
	tests/unit/telemetry/test_exporter \
	tests/unit/telemetry/test_node \
	tests/unit/telemetry/test_pace \
	tests/unit/telemetry/test_packet_ring \
	tests/unit/telemetry/test_probe_loop \
	tests/unit/telemetry/test_probe_tlvs \
	tests/unit/telemetry/test_prober \
	tests/unit/telemetry/test_prober_answers \
	tests/unit/telemetry/test_prober_echo \
	tests/unit/telemetry/test_prober_pace \
	tests/unit/telemetry/test_prober_sessions \
	tests/unit/telemetry/test_prober_tlvs \
	tests/unit/telemetry/test_prober_watch \
	tests/unit/telemetry/test_registrar \
	tests/unit/telemetry/test_registration \
	tests/unit/telemetry/test_registry \
	tests/unit/telemetry/test_session_reflector \
	tests/unit/telemetry/test_stamp \
	tests/unit/telemetry/test_stamp_tlv \
	tests/unit/telemetry/test_tcp_diag \
	tests/unit/telemetry/test_tcp_filter \
	tests/unit/telemetry/test_tcp_match \
	tests/unit/telemetry/test_tcp_segment \
	tests/unit/telemetry/test_tcp_watch \
	$(NULL)
tests_unit_telemetry_test_bridge_watch_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_client_tlvs_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_confine_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_daemon_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_datagram_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_echo_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_exporter_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_node_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_pace_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_packet_ring_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_probe_loop_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_probe_tlvs_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_prober_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_prober_answers_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_prober_echo_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_prober_pace_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_prober_sessions_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_prober_tlvs_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_prober_watch_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_registrar_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_registration_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_registry_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_stamp_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_session_reflector_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_stamp_tlv_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_tcp_diag_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_tcp_filter_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_tcp_match_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_tcp_segment_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
tests_unit_telemetry_test_tcp_watch_LDADD = libtelemetry.la libcommon.la $(UNIT_LDADD)
EXTRA_DIST += tests/unit/telemetry/prober_world.h tests/unit/telemetry/tcp_frames.h
