# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libplacement.la
libplacement_la_SOURCES = \
	placement/affinity.c \
	placement/affinity.h \
	placement/arena.c \
	placement/arena.h \
	placement/assign.c \
	placement/assign.h \
	placement/assign_exact.c \
	placement/assign_prices.c \
	placement/controller.c \
	placement/controller.h \
	placement/controller_private.h \
	placement/daemon.c \
	placement/daemon.h \
	placement/decide.c \
	placement/drain.c \
	placement/effects.c \
	placement/effects.h \
	placement/environment.h \
	placement/etcd_client.c \
	placement/etcd_client.h \
	placement/etcd_message.c \
	placement/etcd_message.h \
	placement/event_stream.c \
	placement/event_stream.h \
	placement/executor.c \
	placement/executor.h \
	placement/exporter.c \
	placement/exporter.h \
	placement/figures.c \
	placement/figures.h \
	placement/fleet.c \
	placement/fleet.h \
	placement/gateway.c \
	placement/gateway.h \
	placement/history.c \
	placement/index.c \
	placement/index.h \
	placement/leadership.c \
	placement/leadership.h \
	placement/maintenance.c \
	placement/mec012.c \
	placement/mec021.c \
	placement/mec021.h \
	placement/mec021_json.c \
	placement/mec021_json.h \
	placement/mec021_notices.c \
	placement/mincost.c \
	placement/mincost.h \
	placement/move_cost.c \
	placement/move_cost.h \
	placement/openapi.h \
	placement/neighbours.c \
	placement/pairs.c \
	placement/parameters.c \
	placement/placement_config.c \
	placement/placement_config.h \
	placement/planner.c \
	placement/planner.h \
	placement/policy.c \
	placement/policy.h \
	placement/policy_evidence.c \
	placement/policy_evidence.h \
	placement/policy_markov.c \
	placement/policy_parameters.c \
	placement/policy_parameters.h \
	placement/policy_rent_or_buy.c \
	placement/policy_threshold.c \
	placement/quarantine.c \
	placement/quarantine.h \
	placement/record_log.c \
	placement/record_log.h \
	placement/requests.c \
	placement/rest.c \
	placement/rest.h \
	placement/rest_answer.c \
	placement/rest_answer.h \
	placement/rest_operations.c \
	placement/rest_operations.h \
	placement/rest_request.c \
	placement/rest_request.h \
	placement/store.c \
	placement/store.h \
	placement/store_etcd.c \
	placement/store_etcd.h \
	placement/store_sqlite.c \
	placement/summary.c \
	placement/store_timed.c \
	placement/store_timed.h \
	placement/takeover.c \
	placement/takeover.h \
	placement/tell.c \
	placement/views.c \
	placement/warming.c \
	placement/watch.c \
	placement/webhook.c \
	placement/webhook.h \
	placement/why.c \
	$(NULL)
nodist_libplacement_la_SOURCES = \
	placement/openapi.c \
	placement/proto/placement.pb-c.c \
	placement/proto/placement.pb-c.h \
	$(NULL)
AM_CPPFLAGS += $(CURL_CFLAGS)
libplacement_la_LIBADD = $(CURL_LIBS)

sbin_PROGRAMS += placementd
placementd_SOURCES = placement/placementd.c
placementd_LDADD = libplacement.la libcommon.la

CLEANFILES += placement/openapi.c
EXTRA_DIST += placement/embed_openapi.py placement/openapi.yaml
placement/openapi.c: placement/openapi.yaml placement/embed_openapi.py
	$(AM_V_GEN)$(MKDIR_P) placement && $(PYTHON3) $(srcdir)/placement/embed_openapi.py \
	$(srcdir)/placement/openapi.yaml > $@.new && mv $@.new $@

BUILT_SOURCES += placement/proto/placement.pb-c.h
CLEANFILES += placement/proto/placement.pb-c.c placement/proto/placement.pb-c.h
EXTRA_DIST += placement/proto/placement.proto
placement/proto/placement.pb-c.c: placement/proto/placement.proto common/proto/tagalong.proto
	$(AM_V_GEN)$(MKDIR_P) placement/proto && $(PROTOC_C) --proto_path=$(srcdir) --c_out=. \
	$(srcdir)/placement/proto/placement.proto
placement/proto/placement.pb-c.h: placement/proto/placement.pb-c.c
