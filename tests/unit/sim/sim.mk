# SPDX-License-Identifier: Apache-2.0
UNIT_TESTS += \
	tests/unit/sim/test_attachment \
	tests/unit/sim/test_backhaul \
	tests/unit/sim/test_cells \
	tests/unit/sim/test_console \
	tests/unit/sim/test_engine \
	tests/unit/sim/test_fidelity \
	tests/unit/sim/test_images \
	tests/unit/sim/test_linkem \
	tests/unit/sim/test_markov \
	tests/unit/sim/test_mdp \
	tests/unit/sim/test_memory \
	tests/unit/sim/test_mobility \
	tests/unit/sim/test_noise \
	tests/unit/sim/test_optimum \
	tests/unit/sim/test_options \
	tests/unit/sim/test_page \
	tests/unit/sim/test_pattern \
	tests/unit/sim/test_phone \
	tests/unit/sim/test_queue \
	tests/unit/sim/test_reader \
	tests/unit/sim/test_replay \
	tests/unit/sim/test_scenario \
	tests/unit/sim/test_shaper \
	tests/unit/sim/test_study \
	tests/unit/sim/test_tally \
	tests/unit/sim/test_towers \
	tests/unit/sim/test_verdict \
	$(NULL)
tests_unit_sim_test_attachment_LDADD = libsim.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_cells_LDADD = libsim.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_console_LDADD = libsim.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_images_LDADD = libsim.la libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_linkem_LDADD = libsim.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_markov_LDADD = libsim.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_mdp_LDADD = libsim.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_memory_LDADD = libsim.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_options_LDADD = libsim.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_page_LDADD = libsim.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_pattern_LDADD = libsim.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_phone_LDADD = libsim.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_reader_LDADD = libsim.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_replay_SOURCES = \
	tests/unit/placement/harness.c \
	tests/unit/placement/harness.h \
	tests/unit/sim/test_replay.c \
	$(NULL)
tests_unit_sim_test_replay_LDADD = libsim.la libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_scenario_LDADD = libsim.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_shaper_LDADD = libsim.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_tally_LDADD = libsim.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_towers_LDADD = libsim.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_verdict_LDADD = libsim.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_backhaul_LDADD = libsim.la libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_engine_LDADD = libsim.la libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_mobility_LDADD = libsim.la libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_noise_LDADD = libsim.la libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_fidelity_LDADD = libsim.la libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_optimum_LDADD = libsim.la libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_queue_LDADD = libsim.la libplacement.la libcommon.la $(UNIT_LDADD)
tests_unit_sim_test_study_LDADD = libsim.la libplacement.la libcommon.la $(UNIT_LDADD)
EXTRA_DIST += \
	tests/data/sumo/README.md \
	tests/data/sumo/fcd.csv \
	tests/data/sumo/fcd.xml \
	tests/data/sumo/geo.xml \
	tests/data/sumo/ns2.tcl \
	tests/data/sumo/x.gpx \
	tests/unit/sim/story_sample.h \
	$(NULL)

check_PROGRAMS += tests/unit/sim/study_threads
TESTS += tests/unit/sim/study_threads
THREAD_TESTS += tests/unit/sim/study_threads
tests_unit_sim_study_threads_LDADD = libsim.la libplacement.la libcommon.la
