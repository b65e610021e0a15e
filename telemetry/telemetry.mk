# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libtelemetry.la
libtelemetry_la_SOURCES = \
	telemetry/bridge_watch.c \
	telemetry/bridge_watch.h \
	telemetry/client_table.c \
	telemetry/client_table.h \
	telemetry/client_tlvs.c \
	telemetry/client_tlvs.h \
	telemetry/confine.c \
	telemetry/confine.h \
	telemetry/daemon.c \
	telemetry/daemon.h \
	telemetry/controllers.h \
	telemetry/datagram.c \
	telemetry/datagram.h \
	telemetry/echo.c \
	telemetry/echo.h \
	telemetry/exporter.c \
	telemetry/exporter.h \
	telemetry/gateway.c \
	telemetry/gateway.h \
	telemetry/node.c \
	telemetry/node.h \
	telemetry/pace.c \
	telemetry/pace.h \
	telemetry/packet_ring.c \
	telemetry/packet_ring.h \
	telemetry/probe_loop.c \
	telemetry/probe_loop.h \
	telemetry/probe_packet.c \
	telemetry/probe_packet.h \
	telemetry/probe_tlvs.c \
	telemetry/probe_tlvs.h \
	telemetry/prober.c \
	telemetry/prober.h \
	telemetry/prober_internal.h \
	telemetry/prober_report.c \
	telemetry/reflector.c \
	telemetry/reflector.h \
	telemetry/registrar.c \
	telemetry/registrar.h \
	telemetry/registration.c \
	telemetry/registration.h \
	telemetry/registry.c \
	telemetry/registry.h \
	telemetry/reporter.c \
	telemetry/reporter.h \
	telemetry/send_times.c \
	telemetry/send_times.h \
	telemetry/session_reflector.c \
	telemetry/session_reflector.h \
	telemetry/source_slot.c \
	telemetry/source_slot.h \
	telemetry/stamp.c \
	telemetry/stamp.h \
	telemetry/stamp_tlv.c \
	telemetry/stamp_tlv.h \
	telemetry/tcp_diag.c \
	telemetry/tcp_diag.h \
	telemetry/tcp_filter.c \
	telemetry/tcp_filter.h \
	telemetry/tcp_match.c \
	telemetry/tcp_match.h \
	telemetry/tcp_segment.c \
	telemetry/tcp_segment.h \
	telemetry/tcp_watch.c \
	telemetry/tcp_watch.h \
	telemetry/uplink.c \
	telemetry/uplink.h \
	$(NULL)
libtelemetry_la_CPPFLAGS = $(AM_CPPFLAGS) $(SECCOMP_CFLAGS)
libtelemetry_la_LIBADD = $(SECCOMP_LIBS)

sbin_PROGRAMS += telemetryd
telemetryd_SOURCES = telemetry/telemetryd.c
telemetryd_LDADD = libtelemetry.la libcommon.la

bin_PROGRAMS += tagalong-reflector
tagalong_reflector_SOURCES = telemetry/reflector_main.c
tagalong_reflector_LDADD = libtelemetry.la libcommon.la
