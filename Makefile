# make            build/p2p-server and build/p2p-client
# make test       install what is missing, build, lint, run every test
# make demo       install what is missing, build, and show a chat through two simulated NATs
# make lint       layering, purity of the cores, format
# SAN=1           AddressSanitizer and UBSan (in build/san-gcc or build/san-clang);  CC=clang  the other compiler
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SECONDARY:

VERSION := 0.1.0
PREFIX  ?= /usr/local
DESTDIR ?=
ifeq ($(origin CC),default)
CC := gcc
endif

compiler := $(if $(findstring clang,$(CC)),clang,gcc)
ifeq ($(SAN),1)
B := build/san-$(compiler)
san_flags := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
else
B := $(if $(filter clang,$(compiler)),build/clang,build)
endif

pkg_config = $(shell pkg-config $(1) $(2) 2>/dev/null)
libs_wire   := libprotobuf-c libsodium libutf8proc
libs_loop   := libevent_core
libs_client := libedit jansson

CFLAGS   ?= -O2 -g
warnings := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
all_cflags := -std=c11 -D_GNU_SOURCE -DP2P_VERSION='"$(VERSION)"' $(warnings) -Isrc -I$(B)/gen $(san_flags) -MMD -MP $(CFLAGS)
generated_cflags := -std=c11 -I$(B)/gen $(san_flags) -MMD -MP $(CFLAGS) -w

objects = $(patsubst %.c,$(B)/%.o,$(1))

wire_src   := $(sort $(wildcard src/wire/*.c))
peer_src   := $(sort $(wildcard src/peer/*.c))
net_src    := $(sort $(wildcard src/net/*.c))
server_pure_src := $(sort $(wildcard src/server/core*.c))
server_src := $(sort $(filter-out $(server_pure_src) src/server/main.c,$(wildcard src/server/*.c)))
client_src := $(sort $(filter-out src/client/main.c,$(wildcard src/client/*.c)))
sim_src    := $(sort $(filter-out tests/sim/test_%.c tests/sim/main.c,$(wildcard tests/sim/*.c)))
test_src   := $(sort $(wildcard tests/test_*.c) $(wildcard tests/sim/test_*.c))
tests      := $(patsubst %.c,$(B)/%,$(test_src))

generated := $(B)/gen/p2p.pb-c
pure_objects := $(call objects,$(wire_src) $(peer_src) $(server_pure_src))

.PHONY: all test lint demo clean install check-deps tests
all: $(B)/p2p-server $(B)/p2p-client

$(B)/p2p-server: $(call objects,src/server/main.c $(server_src) $(server_pure_src) $(net_src) $(wire_src)) $(generated).o
	$(CC) $(san_flags) $(LDFLAGS) -o $@ $^ $(call pkg_config,--libs,$(libs_wire) $(libs_loop))

$(B)/p2p-client: $(call objects,src/client/main.c $(client_src) $(peer_src) $(net_src) $(wire_src)) $(generated).o
	$(CC) $(san_flags) $(LDFLAGS) -o $@ $^ $(call pkg_config,--libs,$(libs_wire) $(libs_loop) $(libs_client)) -pthread

$(generated).c $(generated).h &: proto/p2p.proto
	@mkdir -p $(@D)
	protoc-c --proto_path=proto --c_out=$(B)/gen p2p.proto

$(generated).o: $(generated).c
	$(CC) $(generated_cflags) -c -o $@ $<

# Every object may be rebuilt when the schema, the Makefile or a header changes.
$(B)/src/wire/codec.o: $(generated).h
$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(all_cflags) $(call pkg_config,--cflags,$(libs_wire) $(libs_loop) $(libs_client)) -c -o $@ $<

# ---- tests ----
tests: $(tests)
$(B)/tests/%: $(B)/tests/%.o $(call objects,$(sim_src) $(client_src) $(peer_src) $(server_src) $(server_pure_src) $(net_src) $(wire_src)) $(generated).o
	$(CC) $(san_flags) $(LDFLAGS) -o $@ $^ $(call pkg_config,--libs,$(libs_wire) $(libs_loop) $(libs_client) cmocka) -pthread

test: check-deps
	$(MAKE) all tests
	tests/run.sh $(B)

lint: $(pure_objects)
	scripts/lint.sh $(B)

demo: check-deps
	$(MAKE) all
	scripts/demo.sh $(B)

check-deps:
	@scripts/install-deps.sh

install: all
	install -D -m 755 $(B)/p2p-server $(DESTDIR)$(PREFIX)/bin/p2p-server
	install -D -m 755 $(B)/p2p-client $(DESTDIR)$(PREFIX)/bin/p2p-client

clean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
