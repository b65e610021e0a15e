# SPDX-License-Identifier: Apache-2.0
# Man pages are written in scdoc(5): docs/man/NAME.SECTION.scd.
man_pages = \
	edgesim.1 \
	edgesim-study.5 \
	migrator.1 \
	migratord.8 \
	placementd.8 \
	tagalong-reflector.1 \
	tagalong-scenario.5 \
	tagalong-vm.5 \
	tagalong.7 \
	telemetryd.8 \
	$(NULL)
man_MANS += $(man_pages)
CLEANFILES += $(man_pages)
EXTRA_DIST += $(man_pages:%=docs/man/%.scd)
$(man_pages): %: docs/man/%.scd
	$(AM_V_GEN)$(SCDOC) < $< > $@.new && mv $@.new $@
