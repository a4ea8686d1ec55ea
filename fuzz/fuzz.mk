# Part of the Makefile: the harnesses of fuzz/, see docs/testing.md.
#
# In an ordinary build folder each is a program that replays inputs. With FUZZER=1, which is for the makes below only,
# it is a fuzzer, in a folder of its own: build/fuzz-clang (libFuzzer), build/fuzz-afl (AFL++).

fuzz_targets := codec sealed server engine pair text json console options config canary

# Google's protobuf, for fuzz_codec: if it is here.
google := $(if $(and $(shell command -v $(CXX) 2>/dev/null),$(shell command -v protoc 2>/dev/null),$(call pkg_config,--libs,protobuf)),google,google_missing)
google_ldlibs := $(if $(filter google,$(google)),$(call pkg_config,--libs,protobuf) -lstdc++)

fuzz_hand := $(call objects,$(wildcard fuzz/hand*.c))
fuzz_needs_codec   := $(B)/fuzz/$(google).o $(if $(filter google,$(google)),$(B)/gen/p2p.pb.o)
fuzz_needs_sealed   = $(fuzz_hand) $(call objects,fuzz/script.c) $(fuzz_cores)
fuzz_needs_engine   = $(fuzz_needs_sealed)
fuzz_needs_server   = $(fuzz_cores)
fuzz_needs_pair     = $(fuzz_cores)
fuzz_needs_text    := $(call objects,src/client/display.c src/client/buffer.c)
fuzz_needs_json    := $(call objects,src/client/json.c src/client/lines.c src/client/buffer.c)
fuzz_needs_console  = $(fuzz_hand) $(fuzz_cores) $(call objects,src/client/console.c src/client/choice.c src/client/people.c src/client/display.c src/client/buffer.c src/client/options.c src/net/host.c)
fuzz_needs_options := $(call objects,src/client/options.c src/client/buffer.c src/net/host.c) # it has secret.c inside
fuzz_needs_config  := $(call objects,src/server/log.c $(server_pure_src)) # it has options.c inside

ifeq ($(FUZZER),1)
fuzz_main  := $(call objects,fuzz/mutate.c)
fuzz_flags := -fsanitize=fuzzer
else
fuzz_main := $(call objects,fuzz/replay.c)
endif
fuzz_programs := $(patsubst %,$(B)/fuzz/%,$(fuzz_targets))
fuzz_objects  := $(call objects,$(wire_src) fuzz/still.c fuzz/shapes.c) $(generated).o $(fuzz_main)
fuzz_cores    := $(call objects,$(peer_src) $(server_pure_src))

$(call objects,$(wildcard fuzz/*.c)): common_flags += -I.

.PHONY: fuzz fuzz-canary fuzz-programs fuzz-seeds fuzz-minimise coverage
fuzz-programs: $(fuzz_programs)
tests: $(fuzz_programs)

.SECONDEXPANSION:
$(fuzz_programs): $(B)/fuzz/%: $(B)/fuzz/fuzz_%.o $$(fuzz_needs_$$*) $(fuzz_objects)
	$(say) LINK $@
	$(quiet)$(link) $(fuzz_flags) -o $@ $^ $(client_ldlibs) $(if $(filter codec,$*),$(google_ldlibs)) $(LDLIBS)

# Not instrumented: its branches are not what is looked for.
$(B)/gen/p2p.pb.cc $(B)/gen/p2p.pb.h &: proto/p2p.proto
	@mkdir -p $(@D)
	$(say) PROTO $<
	$(quiet)protoc --proto_path=proto --cpp_out=$(B)/gen p2p.proto
$(B)/gen/p2p.pb.o: $(B)/gen/p2p.pb.cc
	$(say) CXX $<
	$(quiet)$(CXX) -std=c++17 -O2 -fPIE -w -I$(B)/gen -c -o $@ $<
$(B)/fuzz/google.o: fuzz/google.cc fuzz/google.h $(B)/gen/p2p.pb.h
	@mkdir -p $(@D)
	$(say) CXX $<
	$(quiet)$(CXX) -std=c++17 -O2 -fPIE -Wall -Wextra -Werror -I. -I$(B)/gen -c -o $@ $<

# AFL++'s way to call mutate.c; one library for all targets.
$(B)/afl_mutator.so: $(wildcard fuzz/*.[ch]) $(wildcard src/wire/*.[ch]) $(generated).c
	$(say) LINK $@
	$(quiet)clang -shared -fPIC -O2 -w -std=c11 -D_GNU_SOURCE -I. -Isrc -I$(B)/gen -o $@ fuzz/afl_mutator.c fuzz/mutate.c fuzz/shapes.c \
		src/wire/codec*.c src/wire/wire_check.c src/wire/varint.c src/wire/addr.c src/wire/text.c $(generated).c $(call pkg_config,--libs,libprotobuf-c)

# The schema's tags and numbers, for fuzzers.
$(B)/p2p.dict: proto/p2p.proto fuzz/dictionary.py
	@mkdir -p $(@D)
	$(quiet)fuzz/dictionary.py $< >$@

# What the tests have, to begin with.
$(B)/fuzz/seeds: $(call objects,fuzz/seeds.c fuzz/seeds_frames.c fuzz/shapes.c $(sim_src)) $(pure_objects) $(generated).o
	$(say) LINK $@
	$(quiet)$(link) -o $@ $^ $(client_ldlibs) $(LDLIBS)

# ---- what people call ----
# make fuzz                            every target, TIME seconds in all for each, side by side on the cores
# make fuzz FUZZ=codec TIME=60         one (or several: FUZZ='codec text')
# make fuzz ENGINE=afl ...             AFL++ instead of libFuzzer
# make fuzz-seeds                      golden frames and simulated traffic as inputs to begin with, in build/fuzz-corpus
# make fuzz-minimise [FUZZ=...]        what they have found goes to fuzz/corpus/NAME.pack
ENGINE ?= libfuzzer
FUZZ   ?= $(filter-out canary,$(fuzz_targets))
fuzz_unknown := $(filter-out $(fuzz_targets),$(FUZZ))
$(if $(fuzz_unknown),$(error FUZZ names no harness: $(fuzz_unknown). There are: $(fuzz_targets)))
fuzz_san   := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
fuzz_clang  = $(MAKE) --no-print-directory FUZZER=1 B=build/fuzz-clang CC=clang LDFLAGS= \
	CFLAGS='-O1 -g $(fuzz_san) -fsanitize=fuzzer-no-link'
fuzz_afl    = AFL_QUIET=1 $(MAKE) --no-print-directory FUZZER=1 B=build/fuzz-afl CC=afl-clang-fast LDFLAGS= \
	CFLAGS='-O1 -g $(fuzz_san)'

fuzz:
	@scripts/install-deps.sh build fuzz
ifeq ($(ENGINE),afl)
	@$(fuzz_afl) $(patsubst %,build/fuzz-afl/fuzz/%,$(FUZZ)) build/fuzz-afl/afl_mutator.so build/fuzz-afl/p2p.dict
else
	@$(fuzz_clang) $(patsubst %,build/fuzz-clang/fuzz/%,$(FUZZ)) build/fuzz-clang/p2p.dict
endif
	@fuzz/run.sh $(ENGINE) $(or $(TIME),20) $(FUZZ)

# For tests/test_fuzz.sh, where clang is: nothing is installed.
fuzz-canary:
	@$(fuzz_clang) build/fuzz-clang/fuzz/canary build/fuzz-clang/p2p.dict
	@fuzz/run.sh libfuzzer 60 canary

fuzz-seeds: $(B)/fuzz/seeds
	@mkdir -p build/fuzz-corpus
	@$< build/fuzz-corpus

fuzz-minimise:
	@scripts/install-deps.sh build fuzz
	@$(fuzz_clang) $(patsubst %,build/fuzz-clang/fuzz/%,$(FUZZ))
	@fuzz/minimise.sh $(FUZZ)

# Which lines run, by what: see scripts/coverage.sh.
coverage:
	@scripts/install-deps.sh build test fuzz
	@$(MAKE) --no-print-directory B=build/coverage CC=clang LDFLAGS= CFLAGS='-O1 -g -fprofile-instr-generate -fcoverage-mapping' tests
	@scripts/coverage.sh build/coverage

-include $(patsubst %.c,$(B)/%.d,$(wildcard fuzz/*.c))
