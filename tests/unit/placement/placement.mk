# SPDX-License-Identifier: Apache-2.0
UNIT_TESTS += \
	tests/unit/placement/test_affinity \
	tests/unit/placement/test_controller \
	tests/unit/placement/test_drain \
	tests/unit/placement/test_effects \
	tests/unit/placement/test_event_stream \
	tests/unit/placement/test_failover \
	tests/unit/placement/test_fleet \
	tests/unit/placement/test_history \
	tests/unit/placement/test_maintenance \
	tests/unit/placement/test_mec012 \
	tests/unit/placement/test_mec021 \
	tests/unit/placement/test_mincost \
	tests/unit/placement/test_move_cost \
	tests/unit/placement/test_pairs \
	tests/unit/placement/test_parameters \
	tests/unit/placement/test_placement_config \
	tests/unit/placement/test_planner \
	tests/unit/placement/test_policy_markov \
	tests/unit/placement/test_policy_rent_or_buy \
	tests/unit/placement/test_policy_threshold \
	tests/unit/placement/test_quarantine \
	tests/unit/placement/test_record_log \
	tests/unit/placement/test_requests \
	tests/unit/placement/test_rest_request \
	tests/unit/placement/test_store \
	tests/unit/placement/test_store_etcd \
	tests/unit/placement/test_summary \
	tests/unit/placement/test_tell \
	tests/unit/placement/test_warming \
	tests/unit/placement/test_watch \
	tests/unit/placement/test_why \
	$(NULL)
if HAVE_CLP
UNIT_TESTS += tests/unit/placement/test_assign
endif
tests_unit_placement_test_assign_LDADD = libplacement.la libcommon.la $(UNIT_LDADD) -lClp
tests_unit_placement_test_affinity_SOURCES = \
	tests/unit/placement/harness.c \
	tests/unit/placement/harness.h \
	tests/unit/placement/test_affinity.c \
	$(NULL)
tests_unit_placement_test_affinity_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_controller_SOURCES = \
	tests/unit/placement/harness.c \
	tests/unit/placement/harness.h \
	tests/unit/placement/test_controller.c \
	$(NULL)
tests_unit_placement_test_controller_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_drain_SOURCES = \
	tests/unit/placement/harness.c \
	tests/unit/placement/harness.h \
	tests/unit/placement/test_drain.c \
	$(NULL)
tests_unit_placement_test_drain_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_effects_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_event_stream_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_failover_SOURCES = \
	tests/unit/placement/etcd_server.c \
	tests/unit/placement/etcd_server.h \
	tests/unit/placement/test_failover.c \
	$(NULL)
tests_unit_placement_test_failover_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_fleet_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_history_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_maintenance_SOURCES = \
	tests/unit/placement/harness.c \
	tests/unit/placement/harness.h \
	tests/unit/placement/test_maintenance.c \
	$(NULL)
tests_unit_placement_test_maintenance_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_mec012_SOURCES = \
	tests/unit/placement/harness.c \
	tests/unit/placement/harness.h \
	tests/unit/placement/mec_client.c \
	tests/unit/placement/mec_client.h \
	tests/unit/placement/test_mec012.c \
	$(NULL)
tests_unit_placement_test_mec012_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_mec021_SOURCES = \
	tests/unit/placement/harness.c \
	tests/unit/placement/harness.h \
	tests/unit/placement/mec_client.c \
	tests/unit/placement/mec_client.h \
	tests/unit/placement/test_mec021.c \
	$(NULL)
tests_unit_placement_test_mec021_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_mincost_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_move_cost_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_pairs_SOURCES = \
	tests/unit/placement/harness.c \
	tests/unit/placement/harness.h \
	tests/unit/placement/test_pairs.c \
	$(NULL)
tests_unit_placement_test_pairs_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_parameters_SOURCES = \
	tests/unit/placement/harness.c \
	tests/unit/placement/harness.h \
	tests/unit/placement/test_parameters.c \
	$(NULL)
tests_unit_placement_test_parameters_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_placement_config_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_planner_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_policy_markov_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_policy_rent_or_buy_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_policy_threshold_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_quarantine_SOURCES = \
	tests/unit/placement/harness.c \
	tests/unit/placement/harness.h \
	tests/unit/placement/test_quarantine.c \
	$(NULL)
tests_unit_placement_test_quarantine_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_record_log_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_requests_SOURCES = \
	tests/unit/placement/harness.c \
	tests/unit/placement/harness.h \
	tests/unit/placement/test_requests.c \
	$(NULL)
tests_unit_placement_test_requests_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_rest_request_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_store_SOURCES = \
	tests/unit/placement/etcd_server.c \
	tests/unit/placement/etcd_server.h \
	tests/unit/placement/test_store.c \
	$(NULL)
tests_unit_placement_test_summary_SOURCES = \
	tests/unit/placement/harness.c \
	tests/unit/placement/harness.h \
	tests/unit/placement/test_summary.c \
	$(NULL)
tests_unit_placement_test_summary_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_store_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_store_etcd_SOURCES = \
	tests/unit/placement/etcd_server.c \
	tests/unit/placement/etcd_server.h \
	tests/unit/placement/test_store_etcd.c \
	$(NULL)
tests_unit_placement_test_store_etcd_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_tell_SOURCES = \
	tests/unit/placement/harness.c \
	tests/unit/placement/harness.h \
	tests/unit/placement/test_tell.c \
	$(NULL)
tests_unit_placement_test_tell_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_warming_SOURCES = \
	tests/unit/placement/harness.c \
	tests/unit/placement/harness.h \
	tests/unit/placement/test_warming.c \
	$(NULL)
tests_unit_placement_test_warming_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_watch_SOURCES = \
	tests/unit/placement/harness.c \
	tests/unit/placement/harness.h \
	tests/unit/placement/test_watch.c \
	$(NULL)
tests_unit_placement_test_watch_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_placement_test_why_SOURCES = \
	tests/unit/placement/harness.c \
	tests/unit/placement/harness.h \
	tests/unit/placement/test_why.c \
	$(NULL)
tests_unit_placement_test_why_LDADD = libplacement.la libcommon.la $(UNIT_LDADD)
