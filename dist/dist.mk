# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += dist/packages.debian

# systemd finds units below /usr/local/lib as well.
systemdunitdir = $(prefix)/lib/systemd/system
systemdunit_DATA = $(systemd_units)
systemd_units = \
	dist/systemd/migratord.service \
	dist/systemd/placementd.service \
	dist/systemd/telemetryd.service \
	$(NULL)
EXTRA_DIST += $(systemd_units:%=%.in)
CLEANFILES += $(systemd_units)
$(systemd_units): %: %.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
	sed -e 's|@sbindir[@]|$(sbindir)|' \
		'$(srcdir)/$@.in' > $@

sysusersdir = $(prefix)/lib/sysusers.d
dist_sysusers_DATA = dist/tagalong.conf

examplesdir = $(docdir)/examples
dist_examples_DATA = \
	dist/examples/migrator.yaml \
	dist/examples/migratord.yaml \
	dist/examples/placementd.yaml \
	dist/examples/telemetryd.yaml \
	dist/examples/vm.yaml \
	$(NULL)
dist_doc_DATA = HACKING.md README.md SECURITY.md LICENSE docs/guide.md docs/studies.md

bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = migrator/cli/completion/migrator
