# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libsim.la
libsim_la_SOURCES = \
	sim/engine/background.c \
	sim/engine/draws.c \
	sim/engine/draws.h \
	sim/engine/engine.c \
	sim/engine/engine.h \
	sim/engine/histogram.h \
	sim/engine/images.c \
	sim/engine/images.h \
	sim/engine/moves.c \
	sim/engine/noise.c \
	sim/engine/noise.h \
	sim/engine/optimum.c \
	sim/engine/optimum.h \
	sim/engine/phones.c \
	sim/engine/queue.h \
	sim/engine/rounds.c \
	sim/engine/run.h \
	sim/engine/snapshots.c \
	sim/engine/snapshots.h \
	sim/engine/traffic.c \
	sim/guest/memory.c \
	sim/guest/memory.h \
	sim/guest/options.c \
	sim/guest/options.h \
	sim/guest/pattern.c \
	sim/guest/pattern.h \
	sim/mobility/commuter.c \
	sim/mobility/gauss_markov.c \
	sim/mobility/levy_walk.c \
	sim/mobility/manhattan.c \
	sim/mobility/mobility.c \
	sim/mobility/mobility.h \
	sim/mobility/random_waypoint.c \
	sim/mobility/recorded.c \
	sim/reference/cells.c \
	sim/reference/cells.h \
	sim/reference/fidelity.c \
	sim/reference/fidelity.h \
	sim/reference/hexwalk.c \
	sim/reference/hexwalk.h \
	sim/reference/markov.c \
	sim/reference/markov.h \
	sim/reference/mdp.c \
	sim/reference/mdp.h \
	sim/reference/moves.def \
	sim/reference/queueing.c \
	sim/reference/queueing.h \
	sim/reference/tally.c \
	sim/reference/tally.h \
	sim/replay.c \
	sim/replay.h \
	sim/study/manifest.c \
	sim/study/manifest.h \
	sim/study/map.c \
	sim/study/map.h \
	sim/study/metrics.c \
	sim/study/metrics.h \
	sim/study/parameters.c \
	sim/study/parameters.h \
	sim/study/part.c \
	sim/study/part.h \
	sim/study/report.c \
	sim/study/report.h \
	sim/study/results.c \
	sim/study/results.h \
	sim/study/results_write.c \
	sim/study/runner.c \
	sim/study/runner.h \
	sim/study/statistics.c \
	sim/study/statistics.h \
	sim/study/study.c \
	sim/study/study.h \
	sim/study/study_file.c \
	sim/study/study_file.h \
	sim/testbed/console.c \
	sim/testbed/console.h \
	sim/testbed/daemons.c \
	sim/testbed/daemons.h \
	sim/testbed/gather.c \
	sim/testbed/gather.h \
	sim/testbed/linkem.c \
	sim/testbed/linkem.h \
	sim/testbed/netns.c \
	sim/testbed/netns.h \
	sim/testbed/observer.c \
	sim/testbed/observer.h \
	sim/testbed/page.c \
	sim/testbed/page.h \
	sim/testbed/phone.c \
	sim/testbed/phone.h \
	sim/testbed/process.c \
	sim/testbed/process.h \
	sim/testbed/run.c \
	sim/testbed/run.h \
	sim/testbed/sandbox.c \
	sim/testbed/sandbox.h \
	sim/testbed/scenario.c \
	sim/testbed/scenario.h \
	sim/testbed/shaper.c \
	sim/testbed/shaper.h \
	sim/testbed/story.c \
	sim/testbed/story.h \
	sim/testbed/timeline.c \
	sim/testbed/timeline.h \
	sim/testbed/topology.c \
	sim/testbed/topology.h \
	sim/testbed/verdict.c \
	sim/testbed/verdict.h \
	sim/trace/read_bonnmotion.c \
	sim/trace/read_cells.c \
	sim/trace/read_csv.c \
	sim/trace/read_fcd.c \
	sim/trace/read_gpx.c \
	sim/trace/read_lust.c \
	sim/trace/read_ns2.c \
	sim/trace/reader.c \
	sim/trace/reader.h \
	sim/trace/source.c \
	sim/trace/source.h \
	sim/trace/trace.c \
	sim/trace/trace.h \
	sim/trace/xml.c \
	sim/trace/xml.h \
	sim/world/attachment.c \
	sim/world/attachment.h \
	sim/world/backhaul.c \
	sim/world/backhaul.h \
	sim/world/handovers.c \
	sim/world/handovers.h \
	sim/world/towers.c \
	sim/world/towers.h \
	sim/world/towers_file.c \
	sim/world/towers_file.h \
	$(NULL)

libsim_la_LIBADD = $(EXPAT_LIBS)

bin_PROGRAMS += edgesim
edgesim_SOURCES = \
	sim/cmd_compare.c \
	sim/cmd_handovers.c \
	sim/cmd_merge.c \
	sim/cmd_references.c \
	sim/cmd_replay.c \
	sim/cmd_run.c \
	sim/commands.h \
	sim/edgesim.c \
	sim/ranks.c \
	sim/ranks.h \
	$(NULL)
edgesim_CFLAGS = $(AM_CFLAGS) $(MPI_CFLAGS)
edgesim_LDADD = libsim.la libplacement.la libcommon.la $(MPI_LIBS)

# The test guest. Its program is linked statically and never with a sanitizer:
# it runs in an initramfs that holds nothing else but busybox.
noinst_PROGRAMS += sim/guest/tagguest
sim_guest_tagguest_SOURCES = \
	common/units.c \
	common/units.h \
	sim/guest/disk.c \
	sim/guest/disk.h \
	sim/guest/memory.c \
	sim/guest/memory.h \
	sim/guest/network.c \
	sim/guest/network.h \
	sim/guest/options.c \
	sim/guest/options.h \
	sim/guest/pattern.c \
	sim/guest/pattern.h \
	sim/guest/tagguest.c \
	$(NULL)
sim_guest_tagguest_CFLAGS = -std=c17 $(WARN_CFLAGS)
sim_guest_tagguest_LDFLAGS = -all-static
sim_guest_tagguest_LDADD = -lm

EXTRA_DIST += sim/guest/README.md sim/guest/build-guest sim/guest/init
GUEST_IMAGE = guest/initrd.img
guest: $(GUEST_IMAGE)
$(GUEST_IMAGE): sim/guest/tagguest$(EXEEXT) $(srcdir)/sim/guest/build-guest $(srcdir)/sim/guest/init
	$(AM_V_GEN)$(srcdir)/sim/guest/build-guest sim/guest/tagguest$(EXEEXT) $(srcdir)/sim/guest/init guest
CLEANFILES += guest/vmlinuz guest/initrd.img
.PHONY: guest

# A Debian with services, for benchmarks: its packages are downloaded, and it needs root.
DEBIAN_FILES = \
	sim/guest/debian/etc/systemd/system/redis-load.service \
	sim/guest/debian/etc/systemd/system/settle.service \
	sim/guest/debian/etc/systemd/system/tagguest.service \
	sim/guest/debian/etc/systemd/system/use.service \
	sim/guest/debian/etc/systemd/system/verify.socket \
	sim/guest/debian/etc/systemd/system/verify@.service \
	sim/guest/debian/usr/lib/tagguest/redis-load \
	sim/guest/debian/usr/lib/tagguest/settle \
	sim/guest/debian/usr/lib/tagguest/use \
	sim/guest/debian/usr/lib/tagguest/verify \
	$(NULL)
EXTRA_DIST += sim/guest/build-debian $(DEBIAN_FILES)
DEBIAN_IMAGE = guest-debian/initrd.img
guest-debian: $(DEBIAN_IMAGE)
$(DEBIAN_IMAGE): $(GUEST_IMAGE) $(srcdir)/sim/guest/build-debian $(DEBIAN_FILES)
	$(AM_V_GEN)$(srcdir)/sim/guest/build-debian guest $(srcdir)/sim/guest/debian guest-debian
CLEANFILES += $(DEBIAN_IMAGE)
.PHONY: guest-debian

# The testbed plays scenarios with the programs of this build.
noinst_PROGRAMS += sim/testbed/testbed
sim_testbed_testbed_SOURCES = sim/testbed/testbed.c
sim_testbed_testbed_LDADD = libsim.la libcommon.la
EXTRA_DIST += \
	sim/scenarios/demo.yaml \
	sim/scenarios/walk.yaml \
	$(NULL)
studiesdir = $(examplesdir)/studies
dist_studies_DATA = \
	sim/studies/commuters.yaml \
	sim/studies/melbourne-sites.LICENSE \
	sim/studies/melbourne-sites.csv \
	sim/studies/melbourne.yaml \
	sim/studies/stadium.yaml \
	sim/studies/taxis.yaml \
	sim/studies/threshold.yaml \
	$(NULL)

# Two steps: a sub-make builds all, and must not race with this one.
demo: all
	$(AM_V_at)$(MAKE) $(AM_MAKEFLAGS) guest
	$(AM_V_at)sim/testbed/testbed --results=demo run $(srcdir)/sim/scenarios/demo.yaml
mostlyclean-local:
	-rm -rf demo
.PHONY: demo
