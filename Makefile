# make help       what can be made
# Out of tree: everything goes to build/, or with SAN=1 to build/san-gcc, with CC=clang to build/clang, with
# both to build/san-clang. `B=somewhere` overrides that.
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:

VERSION := 0.1.0
DATE    := 2026-11-28
PREFIX  ?= /usr/local
DESTDIR ?=
LIBDIR  ?= $(PREFIX)/lib
# Where systemd looks for what the administrator or a package (PREFIX=/usr) has installed.
UNITDIR ?= $(PREFIX)/lib/systemd/system
DATADIR ?= $(PREFIX)/share
ifeq ($(origin CC),default)
CC := gcc
endif

compiler := $(if $(findstring clang,$(CC)),clang,gcc)
ifeq ($(SAN),1)
B := build/san-$(compiler)
san_flags := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS    ?= -O1 -g
else
B := $(if $(filter clang,$(compiler)),build/clang,build)
san_flags :=
# What a packager replaces by passing flags of his own.
CFLAGS    ?= -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2
LDFLAGS   ?= -Wl,-z,relro,-z,now
endif

# Libraries by who may use them; `make test` installs them if they are missing.
libs_wire   := libprotobuf-c libsodium libutf8proc
libs_loop   := libevent_core
libs_server := libmicrohttpd libseccomp
libs_client := libedit jansson
pkg_config  = $(shell pkg-config $(1) $(2) 2>/dev/null)
lib_cflags := $(call pkg_config,--cflags,$(libs_wire) $(libs_loop) $(libs_server) $(libs_client))
server_ldlibs := $(call pkg_config,--libs,$(libs_wire) $(libs_loop) $(libs_server))
client_ldlibs := $(call pkg_config,--libs,$(libs_wire) $(libs_loop) $(libs_client)) -pthread
test_ldlibs   := $(client_ldlibs) $(call pkg_config,--libs,$(libs_server) cmocka)

ifeq ($(and $(server_ldlibs),$(client_ldlibs)),)
ifneq ($(filter-out test fuzz fuzz-minimise coverage demo testbed testbed-down e2e e2e-full siege soak deps clean help uninstall bench,$(or $(MAKECMDGOALS),all)),)
$(warning some libraries are missing; `make deps` installs them)
endif
endif

# What gcc infers from data flow is wrong under sanitizers too often; the plain build is the judge of that.
ifeq ($(SAN),1)
flow_warnings := -Wno-maybe-uninitialized -Wno-clobbered -Wno-format-truncation -Wno-stringop-overflow
flow_warnings := $(if $(filter gcc,$(compiler)),$(flow_warnings))
endif
warnings := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror $(flow_warnings)
common_flags := -std=c11 -D_GNU_SOURCE -DP2P_VERSION='"$(VERSION)"' -fPIE -Isrc -I$(B)/gen $(san_flags) $(lib_cflags) -MMD -MP
compile = $(CC) $(common_flags) $(CPPFLAGS) $(CFLAGS)
link    = $(CC) -pie $(san_flags) $(CFLAGS) $(LDFLAGS)

# One short line for each step; V=1 shows the commands.
ifeq ($(V),1)
say = @:
quiet :=
else
say = @printf '  %-5s %s\n'
quiet := @
endif

# ---- sources: the folders are the architecture ----
objects = $(patsubst %.c,$(B)/%.o,$(1))

wire_src   := $(sort $(wildcard src/wire/*.c))
peer_src   := $(sort $(wildcard src/peer/*.c))
loop_src   := $(sort $(wildcard src/loop/*.c))
net_src    := $(sort $(wildcard src/net/*.c))
server_pure_src := $(sort $(wildcard src/server/core*.c))
server_src := $(sort $(filter-out $(server_pure_src) src/server/main.c,$(wildcard src/server/*.c)))
client_src := $(sort $(filter-out src/client/main.c,$(wildcard src/client/*.c)))
sim_programs := tests/sim/main.c tests/sim/month.c tests/sim/natprobe.c tests/sim/trace_meeting.c
sim_src    := $(sort $(filter-out tests/sim/test_%.c $(sim_programs),$(wildcard tests/sim/*.c)))
test_src   := $(sort $(wildcard tests/test_*.c tests/sim/test_*.c) $(sim_programs))

generated      := $(B)/gen/p2p.pb-c
pure_objects   := $(call objects,$(wire_src) $(peer_src) $(server_pure_src))
server_objects := $(call objects,src/server/main.c $(server_src) $(server_pure_src) $(net_src) $(wire_src))
client_objects := $(call objects,src/client/main.c $(client_src) src/loop/tell.c $(peer_src) $(net_src) $(wire_src))
tests          := $(patsubst %.c,$(B)/%,$(test_src))
# The two shells may use the same names: tests/test_server_*.c get the server's, all others the client's.
server_tests   := $(filter $(B)/tests/test_server_%,$(tests))
client_tests   := $(filter-out $(server_tests),$(tests))
test_objects   := $(pure_objects) $(call objects,$(sim_src) $(net_src)) $(generated).o

# ---- programs ----
.PHONY: all lib examples tests test lint demo testbed testbed-down e2e e2e-full siege soak sim sim-hash sim-mutants sim-month picture format deps install uninstall clean help FORCE
all: $(B)/p2p-server $(B)/p2p-client

$(B)/p2p-server: $(server_objects) $(generated).o
	$(say) LINK $@
	$(quiet)$(link) -o $@ $^ $(server_ldlibs) $(LDLIBS)

$(B)/p2p-client: $(client_objects) $(generated).o
	$(say) LINK $@
	$(quiet)$(link) -o $@ $^ $(client_ldlibs) $(LDLIBS)

include src/gui/gui.mk

# ---- the engine as a library, and a loop for who has none: one object in which nothing but the functions of p2p.h can be seen ----
library_headers := $(addprefix src/,wire/vtime.h wire/addr.h wire/keyword.h wire/codec.h wire/limits.h wire/rng.h peer/engine.h loop/loop.h)
lib: $(B)/libp2p-peer.a $(B)/include/p2p.h $(B)/p2p-peer.pc

$(B)/include/p2p.h: scripts/public-header.sh $(library_headers) Makefile
	@mkdir -p $(@D)
	$(say) GEN $@
	$(quiet)scripts/public-header.sh $(VERSION) >$@

$(B)/p2p-peer.symbols: scripts/public-header.sh $(library_headers)
	@mkdir -p $(@D)
	$(quiet)scripts/public-header.sh --symbols >$@

# gcc compiles what was put off (-flto) here: objcopy could not rename anything in it.
$(B)/p2p-peer.o: $(call objects,$(peer_src) $(wire_src) $(loop_src) $(addprefix src/net/,host.c interfaces.c udp.c)) $(generated).o $(B)/p2p-peer.symbols
	$(say) LINK $@
	$(quiet)$(CC) $(CFLAGS) $(if $(filter gcc,$(compiler)),-flinker-output=nolto-rel) -r -nostdlib -o $@ $(filter %.o,$^)
	$(quiet)objcopy --redefine-syms=$(B)/p2p-peer.symbols $@
	$(quiet)objcopy --wildcard --keep-global-symbol='p2p_[a-z]*' $@ # and not protobuf-c's p2p__v1__...

$(B)/libp2p-peer.a: $(B)/p2p-peer.o
	$(say) AR $@
	$(quiet)rm -f $@
	$(quiet)$(AR) rcsD $@ $<

examples: $(B)/examples/echo
$(B)/examples/echo: examples/echo.c $(B)/libp2p-peer.a $(B)/include/p2p.h
	@mkdir -p $(@D)
	$(say) LINK $@
	$(quiet)$(link) -std=c11 -fPIE $(CPPFLAGS) -Wall -Wextra -Wpedantic -Werror -I$(B)/include -o $@ $< $(B)/libp2p-peer.a $(call pkg_config,--cflags --libs,$(libs_wire)) $(LDLIBS)

# ---- manual pages and completions: as they are, but for one that is made of docs/protocol.md, if lowdown is here ----
protocol_man := $(if $(shell command -v lowdown),$(B)/p2p-protocol.7)
$(B)/p2p-protocol.7: scripts/protocol-man.sh docs/protocol.md Makefile
	@mkdir -p $(@D)
	$(say) GEN $@
	$(quiet)scripts/protocol-man.sh $(VERSION) $(DATE) >$@

# Made anew each time: PREFIX may be another than last time.
$(B)/p2p-peer.pc: src/peer/p2p-peer.pc.in FORCE
	@mkdir -p $(@D)
	$(quiet)sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|; s|@VERSION@|$(VERSION)|; s|@REQUIRES@|$(libs_wire)|' $< >$@

$(generated).c $(generated).h &: proto/p2p.proto
	@mkdir -p $(@D)
	$(say) PROTO $<
	$(quiet)protoc-c --proto_path=proto --c_out=$(B)/gen p2p.proto

# Generated code is not ours to warn about.
$(generated).o: $(generated).c $(B)/flags
	$(say) CC $<
	$(quiet)$(compile) -w -c -o $@ $<

# The header is generated before anything is compiled; who really includes it says the .d file.
$(B)/%.o: %.c $(B)/flags | $(generated).h
	@mkdir -p $(@D)
	$(say) CC $<
	$(quiet)$(compile) $(warnings) -c -o $@ $<

# To gcc, cmocka's fail() is a function that returns.
ifeq ($(compiler),gcc)
$(B)/tests/%.o: warnings += -Wno-maybe-uninitialized
endif

# Changes only when the command line does, and then everything is compiled anew.
flags_line := $(CC) $(common_flags) $(warnings) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(LDLIBS)
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(flags_line))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(flags_line))' >$@
FORCE:

# ---- tests ----
tests: $(tests)
$(server_tests): $(call objects,$(server_src))
$(client_tests): $(call objects,$(client_src) src/loop/tell.c)
$(tests): $(B)/%: $(B)/%.o $(test_objects)
	$(say) LINK $@
	$(quiet)$(link) -o $@ $^ $(test_ldlibs) $(LDLIBS)

# The libraries may only now be installed, so what pkg-config says is asked again by a second make.
test:
	@scripts/install-deps.sh build run test $(filter clang,$(compiler))
	@$(if $(filter 0,$(GUI)),:,scripts/install-deps.sh gui || echo 'going on without the window')
	@$(MAKE) --no-print-directory all lib examples tests $(B)/wan $(B)/flood # which the demo, tests/interop and tests/siege want
	@set -f; CC='$(CC)' tests/run.sh $(B) $(TEST)

lint: $(pure_objects)
	@scripts/lint.sh $(B)

demo:
	@scripts/install-deps.sh build run $(if $(NATS),testbed)
	@$(MAKE) --no-print-directory all $(B)/wan
	@scripts/demo.sh $(B) $(NATS)

# ---- the testbed: NATs out of network namespaces, see testbed/netns/README.md ----
wan_src := $(sort $(wildcard testbed/netns/*.c))
$(B)/wan: $(call objects,$(wan_src))
	$(say) LINK $@
	$(quiet)$(link) -o $@ $^

testbed:
	@scripts/install-deps.sh build run testbed
	@$(MAKE) --no-print-directory all $(B)/wan
	@P2P_BUILD=$(B) testbed/netns/testbed.sh up $(NATS)

testbed-down:
	@P2P_BUILD=$(B) testbed/netns/testbed.sh down

e2e e2e-full:
	@scripts/install-deps.sh build run testbed
	@$(MAKE) --no-print-directory all $(B)/wan
	@P2P_BUILD=$(B) testbed/netns/verify_clean.py
	@P2P_BUILD=$(B) testbed/netns/e2e.py $(if $(filter e2e-full,$@),--full) --json $(B)/$@.json --markdown $(B)/$@.md --classes $(B)/$@-classes.md
	@$(if $(filter e2e-full,$@),cp $(B)/$@.md docs/nat-matrix.md)

# ---- siege: floods, churn, a killed server ----
siege_src := $(sort $(wildcard testbed/siege/*.c))
# TIME: seconds of each flood, or of the soak.
siege:
	@scripts/install-deps.sh build run testbed
	@$(MAKE) --no-print-directory all $(B)/wan $(B)/flood
	@P2P_BUILD=$(B) testbed/siege/siege.py $(if $(TIME),--seconds $(TIME)) --json $(B)/siege.json
	@P2P_BUILD=$(B) testbed/siege/restart.py --json $(B)/restart.json
	@P2P_BUILD=$(B) testbed/siege/restart.py --away 40 --json $(B)/restart-away.json

soak:
	@scripts/install-deps.sh build run
	@$(MAKE) --no-print-directory all
	@P2P_BUILD=$(B) testbed/siege/soak.py --seconds $(or $(TIME),1800) --json $(B)/soak.json

$(B)/flood: $(call objects,$(siege_src) $(wire_src)) $(generated).o
	$(say) LINK $@
	$(quiet)$(link) -o $@ $^ $(server_ldlibs) $(LDLIBS)

# ---- the simulator, see docs/simulator.md ----
# SEED=first SEEDS=how-many or SECONDS=how-long, JOBS=2, STORY=chaos, TRACE=1: all of it, KEEP_GOING=1
sim_run = $(B)/tests/sim/main $(if $(STORY),--story $(STORY)) --seed $(or $(SEED),1) $(if $(SEEDS),--seeds $(SEEDS)) \
	$(if $(SECONDS),--seconds $(SECONDS)) --jobs $(or $(JOBS),1) $(if $(TRACE),--trace) $(if $(KEEP_GOING),--keep-going)
sim: $(B)/tests/sim/main
	@$(sim_run)

# Every compiler runs the same worlds, sanitizers or not.
sim-hash:
	@scripts/sim-hash.sh $(SEEDS)

# Does anything grow? DAYS=30 of virtual time.
sim-month: $(B)/tests/sim/month
	@$< --days $(or $(DAYS),30)

# Bugs that are put in: each must be found within SEEDS=1000.
sim-mutants:
	@SEEDS=$(SEEDS) JOBS=$(JOBS) scripts/sim-mutants.sh $(B) $(MUTANTS)

# ---- the picture in the docs: a meeting behind hard NATs, from a simulator's trace ----
picture_of := port-restricted sequential 1 35 20
picture: $(B)/tests/sim/trace_meeting
	$(say) DRAW docs/hard-nat.svg
	$(quiet)$< $(picture_of) >$(B)/hard-nat.trace
	$(quiet)scripts/picture.py $(B)/hard-nat.trace >$(B)/hard-nat.svg
	$(quiet)cp $(B)/hard-nat.svg docs/hard-nat.svg

# ---- fuzzing and coverage: docs/testing.md ----
include fuzz/fuzz.mk

# ---- figures: docs/bench.md ----
include bench/bench.mk

# ---- house ----
format:
	clang-format -i $(wildcard src/*/*.c tests/*.c tests/sim/*.c fuzz/*.c bench/*.c testbed/*/*.c examples/*.c)

deps:
	@scripts/install-deps.sh

install: all lib $(protocol_man)
	install -D -m 755 $(B)/p2p-server $(DESTDIR)$(PREFIX)/bin/p2p-server
	install -D -m 755 $(B)/p2p-client $(DESTDIR)$(PREFIX)/bin/p2p-client
	install -D -m 644 $(B)/libp2p-peer.a $(DESTDIR)$(LIBDIR)/libp2p-peer.a
	install -D -m 644 $(B)/include/p2p.h $(DESTDIR)$(PREFIX)/include/p2p.h
	install -D -m 644 $(B)/p2p-peer.pc $(DESTDIR)$(LIBDIR)/pkgconfig/p2p-peer.pc
	install -D -m 644 deploy/p2p-server.socket $(DESTDIR)$(UNITDIR)/p2p-server.socket
	sed 's|/usr/local/bin|$(PREFIX)/bin|' deploy/p2p-server.service >$(B)/p2p-server.service
	install -D -m 644 $(B)/p2p-server.service $(DESTDIR)$(UNITDIR)/p2p-server.service
	install -D -m 644 -t $(DESTDIR)$(DATADIR)/man/man1 man/p2p-client.1
	install -D -m 644 -t $(DESTDIR)$(DATADIR)/man/man8 man/p2p-server.8
	$(if $(protocol_man),install -D -m 644 -t $(DESTDIR)$(DATADIR)/man/man7 $(protocol_man),@echo 'no lowdown here: without p2p-protocol(7), which is docs/protocol.md')
	install -D -m 644 -t $(DESTDIR)$(DATADIR)/bash-completion/completions completions/bash/*
	install -D -m 644 -t $(DESTDIR)$(DATADIR)/zsh/site-functions completions/zsh/*
	install -D -m 644 -t $(DESTDIR)$(DATADIR)/fish/vendor_completions.d completions/fish/*

uninstall:
	rm -f $(addprefix $(DESTDIR)$(DATADIR)/,man/man1/p2p-client.1 man/man8/p2p-server.8 man/man7/p2p-protocol.7)
	rm -f $(addprefix $(DESTDIR)$(DATADIR)/bash-completion/completions/,$(notdir $(wildcard completions/bash/*)))
	rm -f $(addprefix $(DESTDIR)$(DATADIR)/zsh/site-functions/,$(notdir $(wildcard completions/zsh/*)))
	rm -f $(addprefix $(DESTDIR)$(DATADIR)/fish/vendor_completions.d/,$(notdir $(wildcard completions/fish/*)))
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/,bin/p2p-server bin/p2p-client include/p2p.h)
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,libp2p-peer.a pkgconfig/p2p-peer.pc)
	rm -f $(addprefix $(DESTDIR)$(UNITDIR)/,p2p-server.service p2p-server.socket)

clean:
	rm -rf build

help:
	@echo 'make            build/p2p-server, build/p2p-client and, where GTK is, build/p2p-client-gtk (GUI=0: without)'
	@echo "make test       install what is missing, build, lint, run every test; TEST='test_seal sim/*': only these"
	@echo 'make demo       install what is missing, build, show a chat through two NATs; NATS="symmetric linux"'
	@echo 'make testbed    a small internet with NATs, to play with; NATS="homes linux symmetric" (and: make testbed-down)'
	@echo 'make e2e        pairs of people behind every class of NAT; make e2e-full: every ordered pair, into docs/nat-matrix.md'
	@echo 'make siege      people meet under floods, and the server is killed under them; TIME=20: seconds of each flood'
	@echo 'make soak       people come, chat and vanish for TIME=1800 seconds: nothing is lost, nothing grows'
	@echo 'make sim        random worlds by the number: SEED=1 SEEDS=100 or SECONDS=60, JOBS=2 (docs/simulator.md)'
	@echo 'make fuzz       every harness of fuzz/ for TIME=20 seconds; FUZZ=codec TIME=60: one; ENGINE=afl: AFL++'
	@echo 'make bench      the README'\''s figures, each beside a reference: BENCH=relay TIME=5 (docs/bench.md)'
	@echo 'make coverage   which lines run by fuzzing, unit tests and simulation (docs/testing.md)'
	@echo 'make sim-mutants  bugs put in on purpose are found; make sim-hash: every compiler runs the same worlds'
	@echo 'make lint       layering, purity of the cores, format, sizes'
	@echo 'make tests      the test programs, without running them'
	@echo 'make picture    docs/hard-nat.svg, from a simulated run'
	@echo 'make format     clang-format over the sources'
	@echo 'make deps       install every package that any target wants'
	@echo 'make lib        build/libp2p-peer.a and its header: a client in a program of your own (docs/embedding.md)'
	@echo 'make install    PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)    (and: make uninstall)'
	@echo 'make clean      remove build/'
	@echo
	@echo 'V=1             show the commands'
	@echo 'SAN=1           AddressSanitizer and UBSan, in a folder of its own'
	@echo 'CC=clang        the other compiler, in a folder of its own'

all_objects := $(call objects,$(wan_src) $(siege_src)) $(server_objects) $(client_objects) $(call objects,$(loop_src)) $(test_objects) $(call objects,$(test_src)) $(generated).o
-include $(sort $(all_objects:.o=.d))
