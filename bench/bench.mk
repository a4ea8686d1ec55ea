# Part of the Makefile: what the README's figures come from, see docs/bench.md.
#
# make bench                          everything, some two minutes, into build/bench.json
# make bench BENCH=relay TIME=5       one; TIME: seconds that each figure is measured
# make bench SHORT=1                  whether it runs at all

bench_programs := $(patsubst %,$(B)/bench/%,forward relay_load register_load registry frames) $(B)/bench/idle
bench_flows    := $(call objects,bench/flow.c bench/flow_p2p.c bench/flow_turn.c)
bench_wire     := $(call objects,bench/bench.c $(wire_src)) $(generated).o

$(call objects,$(wildcard bench/*.c)): common_flags += -I.

$(B)/bench/relay_load: $(bench_flows)

$(B)/bench/registry: $(call objects,$(server_pure_src))

# As many libraries as p2p-client has, used or not.
$(B)/bench/idle: bench_ldlibs := -Wl,--no-as-needed $(client_ldlibs)
$(bench_programs): bench_ldlibs ?= $(server_ldlibs)
$(bench_programs): $(B)/bench/%: $(B)/bench/%.o $(bench_wire)
	$(say) LINK $@
	$(quiet)$(link) -o $@ $^ $(bench_ldlibs) $(LDLIBS)

.PHONY: bench bench-programs
bench-programs: $(bench_programs) $(B)/p2p-server $(B)/p2p-client
tests: bench-programs

bench:
	@scripts/install-deps.sh build run
	@$(MAKE) --no-print-directory bench-programs
	@bench/run.py $(B) $(addprefix --bench ,$(BENCH)) $(if $(TIME),--time $(TIME)) $(if $(SHORT),--short) \
		--flags '$(CC) $(subst ','\'',$(CFLAGS))'

-include $(patsubst %.c,$(B)/%.d,$(wildcard bench/*.c))
