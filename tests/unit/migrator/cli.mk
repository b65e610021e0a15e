# SPDX-License-Identifier: Apache-2.0
UNIT_TESTS += \
	tests/unit/migrator/test_cli_commands \
	tests/unit/migrator/test_cli_options \
	tests/unit/migrator/test_cli_output \
	$(NULL)
cli_libs = libmigratorcli.la libmigrator.la libcommon.la
tests_unit_migrator_test_cli_commands_SOURCES = \
	tests/unit/migrator/fake_server.c \
	tests/unit/migrator/fake_server.h \
	tests/unit/migrator/test_cli_commands.c \
	$(NULL)
tests_unit_migrator_test_cli_commands_LDADD = $(cli_libs) $(UNIT_LDADD)
tests_unit_migrator_test_cli_options_LDADD = $(cli_libs) $(UNIT_LDADD)
tests_unit_migrator_test_cli_output_LDADD = $(cli_libs) $(UNIT_LDADD)
