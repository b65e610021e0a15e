# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libmigrator.la
libmigrator_la_SOURCES = \
	migrator/cgroup.c \
	migrator/cgroup.h \
	migrator/commit.c \
	migrator/commit.h \
	migrator/daemon.c \
	migrator/daemon.h \
	migrator/daemon_controller.c \
	migrator/daemon_internal.h \
	migrator/daemon_orders.c \
	migrator/data_listener.c \
	migrator/fault.c \
	migrator/fault.h \
	migrator/flow.c \
	migrator/flow.h \
	migrator/frame.c \
	migrator/frame.h \
	migrator/frame_reader.c \
	migrator/frame_reader.h \
	migrator/guest.c \
	migrator/guest.h \
	migrator/guest_files.c \
	migrator/guest_files.h \
	migrator/guest_host.c \
	migrator/incoming.c \
	migrator/incoming.h \
	migrator/incoming_copy.c \
	migrator/incoming_internal.h \
	migrator/incoming_message.c \
	migrator/incoming_prepare.c \
	migrator/inflow.c \
	migrator/inflow.h \
	migrator/journal.c \
	migrator/journal.h \
	migrator/launch.c \
	migrator/launch.h \
	migrator/link.c \
	migrator/link.h \
	migrator/move.c \
	migrator/move.h \
	migrator/node.h \
	migrator/node_config.c \
	migrator/node_config.h \
	migrator/outflow.c \
	migrator/outflow.h \
	migrator/outgoing.c \
	migrator/outgoing.h \
	migrator/outgoing_check.c \
	migrator/outgoing_copy.c \
	migrator/outgoing_internal.h \
	migrator/outgoing_order.c \
	migrator/pace.c \
	migrator/pace.h \
	migrator/page.c \
	migrator/page.h \
	migrator/preflight.c \
	migrator/preflight.h \
	migrator/qemu_args.c \
	migrator/qemu_args.h \
	migrator/qemu_state.c \
	migrator/qemu_state.h \
	migrator/qmp.c \
	migrator/qmp.h \
	migrator/ram_image.c \
	migrator/ram_image.h \
	migrator/ramstream.c \
	migrator/ramstream.h \
	migrator/receiver.c \
	migrator/receiver.h \
	migrator/return_path.c \
	migrator/return_path.h \
	migrator/ring.c \
	migrator/ring.h \
	migrator/seal.c \
	migrator/seal.h \
	migrator/sender.c \
	migrator/sender.h \
	migrator/steer.c \
	migrator/steer.h \
	migrator/stream_frame.c \
	migrator/stream_frame.h \
	migrator/streamwriter.c \
	migrator/streamwriter.h \
	migrator/tap.c \
	migrator/tap.h \
	migrator/vm.c \
	migrator/vm.h \
	migrator/vm_spec.c \
	migrator/vm_spec.h \
	$(NULL)

include migrator/cli/cli.mk

sbin_PROGRAMS += migratord
migratord_SOURCES = migrator/migratord.c
migratord_LDADD = libmigrator.la libcommon.la
