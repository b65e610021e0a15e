# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libmigratorcli.la
libmigratorcli_la_SOURCES = \
	migrator/cli/cli.c \
	migrator/cli/cli.h \
	migrator/cli/client.c \
	migrator/cli/client.h \
	migrator/cli/cmd_adjust.c \
	migrator/cli/cmd_adopt.c \
	migrator/cli/cmd_affinity.c \
	migrator/cli/cmd_image.c \
	migrator/cli/cmd_keys.c \
	migrator/cli/cmd_move.c \
	migrator/cli/cmd_operate.c \
	migrator/cli/cmd_pair.c \
	migrator/cli/cmd_relay.c \
	migrator/cli/cmd_rtt.c \
	migrator/cli/cmd_status.c \
	migrator/cli/cmd_vm.c \
	migrator/cli/cmd_why.c \
	migrator/cli/commands.h \
	migrator/cli/follow.c \
	migrator/cli/follow.h \
	migrator/cli/options.c \
	migrator/cli/options.h \
	migrator/cli/output.c \
	migrator/cli/output.h \
	migrator/cli/session.c \
	migrator/cli/settings.c \
	migrator/cli/settings.h \
	migrator/cli/sparkline.c \
	migrator/cli/sparkline.h \
	migrator/cli/view.c \
	migrator/cli/view.h \
	$(NULL)

# Not "migrator": that is this folder's name.
bin_PROGRAMS += migrator/cli/migrator
migrator_cli_migrator_SOURCES = migrator/cli/migrator.c
migrator_cli_migrator_LDADD = libmigratorcli.la libmigrator.la libcommon.la
