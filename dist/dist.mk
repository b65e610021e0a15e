# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += dist/packages.debian

# systemd finds units below /usr/local/lib as well.
systemdunitdir = $(prefix)/lib/systemd/system
systemdunit_DATA = $(systemd_units)
systemd_units = \
	dist/systemd/migratord.service \
	dist/systemd/placementd.service \
	dist/systemd/tagalong-reflector.service \
	dist/systemd/telemetryd.service \
	$(NULL)
EXTRA_DIST += $(systemd_units:%=%.in)
CLEANFILES += $(systemd_units)
$(systemd_units): %: %.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
	sed -e 's|@sbindir[@]|$(sbindir)|' -e 's|@bindir[@]|$(bindir)|' \
		'$(srcdir)/$@.in' > $@

sysusersdir = $(prefix)/lib/sysusers.d
dist_sysusers_DATA = dist/tagalong.conf

sysctldir = $(prefix)/lib/sysctl.d
dist_sysctl_DATA = dist/60-tagalong.conf

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
dist_bashcompletion_DATA = migrator/cli/completion/migrator dist/completion/telemetryd
# bash looks for a file of the program's name; a package with one program has no other's.
completed_alike = edgesim migratord placementd tagalong-reflector
install-data-hook:
	for name in $(completed_alike); do \
		$(INSTALL_DATA) '$(srcdir)/dist/completion/telemetryd' \
			"$(DESTDIR)$(bashcompletiondir)/$$name" || exit; \
	done
uninstall-hook:
	for name in $(completed_alike); do rm -f "$(DESTDIR)$(bashcompletiondir)/$$name"; done

# Debian packages, in deb/ of the build folder, made of what "make dist" packs.
debian_files = \
	dist/debian/changelog \
	dist/debian/control \
	dist/debian/copyright \
	dist/debian/edgesim.install \
	dist/debian/rules \
	dist/debian/source/format \
	dist/debian/tagalong-client.install \
	dist/debian/tagalong-common.dirs \
	dist/debian/tagalong-common.install \
	dist/debian/tagalong-migrator.install \
	dist/debian/tagalong-migrator.postrm \
	dist/debian/tagalong-placement.install \
	dist/debian/tagalong-placement.postrm \
	dist/debian/tagalong-reflector.install \
	dist/debian/tagalong-telemetry.install \
	$(NULL)
EXTRA_DIST += $(debian_files)
deb: dist
	rm -rf deb && $(MKDIR_P) deb
	cp '$(distdir).tar.xz' 'deb/$(PACKAGE)_$(VERSION).orig.tar.xz'
	tar -C deb -xf '$(distdir).tar.xz'
	cp -R 'deb/$(distdir)/dist/debian' 'deb/$(distdir)/debian'
	cd 'deb/$(distdir)' && MAKEFLAGS= dpkg-buildpackage --build=binary --no-sign
	lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs deb/*.changes
.PHONY: deb
