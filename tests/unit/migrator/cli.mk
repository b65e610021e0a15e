# SPDX-License-Identifier: Apache-2.0
UNIT_TESTS += \
	tests/unit/migrator/test_cli_commands \
	tests/unit/migrator/test_cli_moves \
	tests/unit/migrator/test_cli_options \
	tests/unit/migrator/test_cli_output \
	$(NULL)
cli_libs = libmigratorcli.la libmigrator.la libcommon.la
cli_fakes = \
	tests/unit/migrator/cli_answers.c \
	tests/unit/migrator/cli_answers.h \
	tests/unit/migrator/fake_server.c \
	tests/unit/migrator/fake_server.h \
	$(NULL)
tests_unit_migrator_test_cli_commands_SOURCES = \
	$(cli_fakes) \
	tests/unit/migrator/test_cli_commands.c \
	$(NULL)
tests_unit_migrator_test_cli_moves_SOURCES = \
	$(cli_fakes) \
	tests/unit/migrator/test_cli_moves.c \
	$(NULL)
tests_unit_migrator_test_cli_commands_LDADD = $(cli_libs) $(UNIT_LDADD)
tests_unit_migrator_test_cli_moves_LDADD = $(cli_libs) $(UNIT_LDADD)
tests_unit_migrator_test_cli_options_LDADD = $(cli_libs) $(UNIT_LDADD)
tests_unit_migrator_test_cli_output_LDADD = $(cli_libs) $(UNIT_LDADD)
