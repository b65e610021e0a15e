# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libcommon.la
libcommon_la_SOURCES = \
	common/address.c \
	common/address.h \
	common/bus.c \
	common/bus.h \
	common/cleanup.h \
	common/clock.h \
	common/config.c \
	common/config.h \
	common/converge.c \
	common/converge.h \
	common/cost.c \
	common/cost.h \
	common/cursor.h \
	common/cusum.c \
	common/cusum.h \
	common/daemon.c \
	common/daemon.h \
	common/database.c \
	common/database.h \
	common/document.c \
	common/document.h \
	common/envelope.c \
	common/envelope.h \
	common/error.c \
	common/error.h \
	common/file.c \
	common/file.h \
	common/histogram.c \
	common/histogram.h \
	common/http.c \
	common/http.h \
	common/keys.c \
	common/keys.h \
	common/log.c \
	common/log.h \
	common/metrics.c \
	common/metrics.h \
	common/move_state.c \
	common/move_state.h \
	common/philox.h \
	common/rtt.c \
	common/rtt.h \
	common/tokens.c \
	common/tokens.h \
	common/units.c \
	common/units.h \
	common/uuid.c \
	common/uuid.h \
	common/zmq_source.c \
	common/zmq_source.h \
	$(NULL)
nodist_libcommon_la_SOURCES = \
	common/proto/tagalong.pb-c.c \
	common/proto/tagalong.pb-c.h \
	$(NULL)
libcommon_la_LIBADD = $(DEPS_LIBS) -lm

# Generated code keeps its own style.
BUILT_SOURCES += common/proto/tagalong.pb-c.h
CLEANFILES += common/proto/tagalong.pb-c.c common/proto/tagalong.pb-c.h
EXTRA_DIST += common/proto/tagalong.proto
common/proto/tagalong.pb-c.c: common/proto/tagalong.proto
	$(AM_V_GEN)$(MKDIR_P) common/proto && \
	$(PROTOC_C) --proto_path=$(srcdir) --c_out=. $(srcdir)/common/proto/tagalong.proto
common/proto/tagalong.pb-c.h: common/proto/tagalong.pb-c.c
