# p2p-client-gtk, where its libraries are, unless GUI=0.
libs_gui   := gtk4 libadwaita-1 libqrencode jansson libsodium libutf8proc
gui_ldlibs := $(if $(filter 0,$(GUI)),,$(call pkg_config,--libs,$(libs_gui)))
gui_cflags := $(if $(gui_ldlibs),$(call pkg_config,--cflags,$(libs_gui)))

# The model is tested without GTK. Of the others it needs only what says whether a keyword is weak and what makes
# foreign text fit to be shown.
gui_model_src := src/gui/sentences.c $(sort $(wildcard src/gui/model*.c))
gui_src       := $(sort $(filter-out $(gui_model_src),$(wildcard src/gui/*.c)))
gui_needs     := $(patsubst %,src/wire/%.c,keyword keyword_weak rng text words) src/client/buffer.c src/client/display.c
gui_objects   := $(call objects,$(gui_model_src) $(if $(gui_ldlibs),$(gui_src)) $(gui_needs))

.PHONY: window install-gui uninstall-gui
all: window
ifneq ($(gui_ldlibs),)
window: $(B)/p2p-client-gtk
else
window:
	@rm -f $(B)/p2p-client-gtk
	@echo '  p2p-client-gtk is left out: $(if $(filter 0,$(GUI)),GUI=0,pkg-config does not find gtk4 and libadwaita-1 and libqrencode (scripts/install-deps.sh gui))'
endif

$(B)/p2p-client-gtk: $(gui_objects) $(B)/gen/gui_resources.o
	$(say) LINK $@
	$(quiet)$(link) -o $@ $^ $(gui_ldlibs) $(LDLIBS)

$(B)/gen/gui_resources.c: src/gui/data/gui.gresource.xml $(wildcard src/gui/data/*)
	@mkdir -p $(@D)
	$(say) PACK $<
	$(quiet)glib-compile-resources --sourcedir=src/gui/data --target=$@ --generate-source $<

# Generated code is not ours to warn about.
$(B)/gen/gui_resources.o: $(B)/gen/gui_resources.c $(B)/flags
	$(say) CC $<
	$(quiet)$(compile) -w $(gui_cflags) -c -o $@ $<

$(call objects,$(gui_src)): warnings += $(gui_cflags)

# What belongs to it below DATADIR.
gui_shared := applications/local.p2p.Client.desktop metainfo/local.p2p.Client.metainfo.xml \
	icons/hicolor/scalable/apps/local.p2p.Client.svg

install: install-gui
install-gui: window
ifneq ($(gui_ldlibs),)
	install -D -m 755 $(B)/p2p-client-gtk $(DESTDIR)$(PREFIX)/bin/p2p-client-gtk
	install -D -m 644 -t $(DESTDIR)$(DATADIR)/man/man1 man/p2p-client-gtk.1
	$(foreach f,$(gui_shared),install -D -m 644 src/gui/data/$(notdir $(f)) $(DESTDIR)$(DATADIR)/$(f) &&) :
endif

uninstall: uninstall-gui
uninstall-gui:
	rm -f $(DESTDIR)$(PREFIX)/bin/p2p-client-gtk $(addprefix $(DESTDIR)$(DATADIR)/,$(gui_shared) man/man1/p2p-client-gtk.1)

$(filter $(B)/tests/test_gui_%,$(tests)): $(call objects,$(gui_model_src))

-include $(gui_objects:.o=.d)
