# tapqueue: one plain Makefile.
#   make             build/tapqd and build/tapq        make check-fast   house rules, unit tests, goldens (minutes)
#   make check       installs what it needs, every test make check-lab   the network namespace labs only
#   make floods      the core under floods, in full     make fuzz        FUZZ_SECONDS=60 of each target
#   make check-evasion   what a kernel received against what was judged, case by case
#   make bench       what it costs, beside others (docs/PERFORMANCE.md)
#   make demo        shows it at work                   make golden      captures to events, against what is kept
#   make install     DESTDIR, PREFIX
#   make corpus      CORPUS=DIR: scores captures with known facts, against the floor, and cuts every packet; PORTS=random: on random ports too; RAISE=1: raises the floor
# V=1 prints the commands; SAN=address,undefined builds with sanitizers into a directory of its own; CC=clang works.

CC       ?= gcc
V        ?= 0
SAN      ?=
PREFIX   ?= /usr/local
DESTDIR  ?=
VERSION  := 0.1.0
Q        := $(if $(filter 1,$(V)),,@)
B        := build$(if $(SAN),-san)

PKGS     := libbpf libnl-3.0 libnl-route-3.0 libmnl libnetfilter_queue libpcap libfyaml jansson nettle libnghttp2
CPPFLAGS += -D_GNU_SOURCE -DTQ_VERSION='"$(VERSION)"' -I.
WARN     := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wvla -Wswitch-enum -Wformat=2 -Werror
CFLAGS   ?= -O2 -g
CFLAGS   += -std=c11 $(WARN) -fstack-protector-strong -fPIE -fno-strict-aliasing -pthread
# gcc clears and copies some hundred bytes by string instructions, which take 13 ns to do what the C library does in 2.
CFLAGS   += $(shell $(CC) -mmemset-strategy=libcall:-1:noalign -fsyntax-only -x c /dev/null 2>/dev/null && echo -mmemset-strategy=libcall:-1:noalign -mmemcpy-strategy=libcall:-1:noalign)
LDFLAGS  += -pie -Wl,-z,relro,-z,now -pthread
ifeq ($(SAN),)
CPPFLAGS += -D_FORTIFY_SOURCE=2
else
CFLAGS   += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
LDFLAGS  += -fsanitize=$(SAN)
endif
LIBCFLAGS = $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS      = $(shell pkg-config --libs $(PKGS) 2>/dev/null)
CUNIT     = $(shell pkg-config --libs cunit 2>/dev/null || echo -lcunit)

DIRS     := base dpi bridge tc nfq agent
objs      = $(patsubst %.c,$(B)/%.o,$(sort $(wildcard $(1))))
OBJ_base   = $(call objs,base/*.c)
OBJ_dpi    = $(call objs,dpi/*.c dpi/proto/*.c)
OBJ_bridge = $(call objs,bridge/*.c)
OBJ_tc     = $(call objs,tc/*.c)
OBJ_nfq    = $(call objs,nfq/*.c)
OBJ_agent  = $(call objs,agent/*.c)

# Each layer is a library, and each unit suite links only the layers it may see.
lib        = $(B)/lib$(1).a
UNITS     := $(DIRS)
NEED_base   := base
NEED_dpi    := dpi base
NEED_bridge := bridge base
NEED_tc     := tc bridge base
NEED_nfq    := nfq bridge base
NEED_agent  := agent tc nfq bridge dpi base

all: $(B)/tapqd $(B)/tapq

$(B)/base/%.o $(B)/dpi/%.o: CFLAGS += -Wconversion

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@$(if $(filter 1,$(V)),,echo "  CC    $<")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LIBCFLAGS) -MMD -MP -c -o $@ $<

# The bpf engine's program, for the kernel; without clang the binary says that it has none.
BPF_CC   ?= clang
ifneq ($(shell command -v $(BPF_CC) 2>/dev/null),)
BPF_OBJECT := $(B)/tc/bpf/mirror.bpf.o
$(BPF_OBJECT): tc/bpf/mirror.bpf.c tc/bpf/maps.h
	@mkdir -p $(@D)
	@$(if $(filter 1,$(V)),,echo "  BPF   $<")
	$(Q)$(BPF_CC) -target bpf -O2 -g -Wall -Wextra -Werror -I. -I/usr/include/$(shell $(CC) -dumpmachine) -c -o $@ $<
$(B)/tc/engine_bpf.o: $(BPF_OBJECT)
$(B)/tc/engine_bpf.o: CPPFLAGS += -DTQ_BPF_OBJECT='"$(BPF_OBJECT)"'
endif

define layer
$(B)/lib$(1).a: $$(OBJ_$(1))
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
$(B)/unit-$(1): $$(call objs,tests/unit/$(1)/*.c) $$(call objs,tests/unit/*.c) $$(foreach l,$$(NEED_$(1)),$(B)/lib$$(l).a)
	@$$(if $$(filter 1,$(V)),,echo "  LD    $$@")
	$$(Q)$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $$(LIBS) $$(CUNIT) -lm
endef
$(foreach l,$(DIRS),$(eval $(call layer,$(l))))

# tapqd and tapq share the agent's library; their main files are agent/main/*.c.
$(B)/tapqd $(B)/tapq: $(B)/%: $(B)/agent/main/%.o $(foreach l,agent tc nfq bridge dpi base,$(B)/lib$(l).a)
	@$(if $(filter 1,$(V)),,echo "  LD    $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS) -lm

unit: $(UNITS:%=$(B)/unit-%)

# The fuzzer: one binary, its target by name (tests/fuzz). It links the core and base, nothing else, built by clang.
FUZZ_CC      := clang
FUZZ_SECONDS ?= 60
FUZZ_FLAGS   := -O1 -g -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all -fno-omit-frame-pointer
OBJ_fuzz     := $(patsubst %.c,build-fuzz/%.o,$(sort $(wildcard tests/fuzz/*.c base/*.c dpi/*.c dpi/proto/*.c)))
build-fuzz/%.o: %.c
	@mkdir -p $(@D)
	@$(if $(filter 1,$(V)),,echo "  FUZZ  $<")
	$(Q)$(FUZZ_CC) $(CPPFLAGS) -std=c11 $(WARN) $(FUZZ_FLAGS) $(LIBCFLAGS) -MMD -MP -c -o $@ $<
build-fuzz/fuzz: $(OBJ_fuzz)
	$(Q)$(FUZZ_CC) -fsanitize=address,undefined,fuzzer -o $@ $^ $(shell pkg-config --libs nettle libnghttp2)

# What callgrind counts for tests/linear: the core and base, nothing else.
$(B)/linear: $(B)/tests/linear/linear.o $(B)/libdpi.a $(B)/libbase.a
	@$(if $(filter 1,$(V)),,echo "  LD    $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs nettle libnghttp2 libpcap)

# What policies cost to compile and to ask (tests/bench/policy.c).
$(B)/bench-policy: $(B)/tests/bench/policy.o $(foreach l,$(NEED_agent),$(B)/lib$(l).a)
	@$(if $(filter 1,$(V)),,echo "  LD    $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS) -lm

# What it costs to judge open flows by another policy (tests/bench/anew.c).
$(B)/bench-anew: $(B)/tests/bench/anew.o $(B)/libdpi.a $(B)/libbase.a
	@$(if $(filter 1,$(V)),,echo "  LD    $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs nettle libnghttp2 libpcap)

bench-anew: $(B)/bench-anew
	@$(B)/bench-anew $(FLOWS)

.PHONY: bench-anew bench-policy policy-count-run
bench-policy: $(B)/bench-policy
	@$(B)/bench-policy $(SHAPE)

# ---- tests ----

# The tests print what they did; each ends with a line of CUnit's or "N passed, N failed". One failure ends the run.
SANITIZE := SAN=address,undefined
export ASAN_OPTIONS  ?= detect_leaks=1:abort_on_error=0:exitcode=99
export UBSAN_OPTIONS ?= print_stacktrace=1

deps:
	@scripts/install-deps

house:
	@scripts/check-house

unit-run: unit
	@for l in $(UNITS); do echo "unit tests: $$l ($(B))"; $(B)/unit-$$l || exit 1; done

golden-run: $(B)/tapq
	@TAPQ_BUILD=$(CURDIR)/$(B) tests/golden/run
	@tests/golden/floor
	@TAPQ_BUILD=$(CURDIR)/$(B) tests/corpus/test_ports
	@TAPQ_BUILD=$(CURDIR)/$(B) tests/servers/run --check

corpus-run: $(B)/tapq
	@TAPQ_BUILD=$(CURDIR)/$(B) tests/corpus/run $(CORPUS) $(if $(PORTS),--random-ports $(if $(filter random,$(PORTS)),1,$(PORTS))) $(if $(RAISE),--raise)

# Packets cut at every length (tests/corpus/cut.c), with sanitizers: SAN is set by whoever calls.
$(B)/cut: $(B)/tests/corpus/cut.o $(foreach l,$(NEED_agent),$(B)/lib$(l).a)
	@$(if $(filter 1,$(V)),,echo "  LD    $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS) -lm

hostile-run: $(B)/cut
	@tests/corpus/hostile $(B)/cut $(if $(CORPUS),--corpus $(CORPUS),--cut-all tests/golden --whole tests/golden)

# What threads share without locks, under the thread sanitizer.
THREADS := tests/unit/threads/suites.c tests/unit/main.c tests/unit/agent/test_evring.c tests/unit/agent/test_fqdn.c agent/evring.c agent/fqdn.c $(wildcard base/*.c)
build-tsan/threads: $(THREADS) $(wildcard agent/*.h base/*.h tests/unit/*.h)
	@mkdir -p $(@D)
	@$(if $(filter 1,$(V)),,echo "  TSAN  $@")
	$(Q)$(CC) -D_GNU_SOURCE -I. -std=c11 $(WARN) -O1 -g -pthread -fsanitize=thread -o $@ $(THREADS) $(CUNIT)
threads-run: build-tsan/threads
	@echo "unit tests: threads (build-tsan)"
	@build-tsan/threads

fuzz-run: build-fuzz/fuzz
	@tests/fuzz/run build-fuzz/fuzz $(if $(FUZZ_RUNS),--runs $(FUZZ_RUNS),$(FUZZ_SECONDS))

# The core under floods, in one process (tests/floods): scaled down, or in full.
$(B)/floods: $(call objs,tests/floods/*.c) $(foreach l,dpi base,$(B)/lib$(l).a)
	@$(if $(filter 1,$(V)),,echo "  LD    $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

floods-run: $(B)/floods
	@$(B)/floods $(if $(FLOODS_FULL),--full)

valgrind-run: unit $(B)/tapq
	@tests/valgrind $(B)

linear-run: $(B)/linear
	@tests/linear/run $(B)/linear

# The programs that do the least there is, which the benchmark compares with (tests/bench/programs).
$(B)/bench/%: tests/bench/programs/%.c tests/bench/programs/ceiling.h $(foreach l,$(NEED_agent),$(B)/lib$(l).a)
	@mkdir -p $(@D)
	@$(if $(filter 1,$(V)),,echo "  CC    $<")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(LIBCFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

# Instructions a packet, stage by stage, against tests/bench/ceilings.tsv; LOWER=1 writes lower ones.
COUNTED := $(patsubst %,$(B)/bench/%-counted.pcap,http tls blend)
count-run: $(B)/tapq $(COUNTED) $(B)/bench/read $(B)/bench/read_ours
	@tests/bench/count $(if $(LOWER),--lower) $(CURDIR)/$(B)

policy-count-run: $(B)/tapq $(B)/bench-policy $(B)/bench/http-counted.pcap
	@tests/bench/policy_count $(CURDIR)/$(B)

# The benchmark's captures, made when they are asked for: build/bench/http.pcap and its like (tests/bench/captures).
$(B)/captures: $(call objs,tests/bench/captures/*.c)
	@$(if $(filter 1,$(V)),,echo "  LD    $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs libpcap)

$(B)/bench/%.pcap: $(B)/captures
	@mkdir -p $(@D)
	@$< $* tests/golden $@
$(patsubst %,$(B)/bench/%.pcap,blend blend-small blend-counted tls tls-counted): $(wildcard tests/golden/*.pcap)

lab-run: all
	@TAPQ_BUILD=$(CURDIR)/$(B) tests/lab/run $(LAB)

# What shares nothing runs side by side, its output kept together; floods compare times, and run alone.
SIDE_BY_SIDE := sanitized-run unit-run golden-run threads-run fuzz-run valgrind-run linear-run count-run policy-count-run
sanitized-run:
	@$(MAKE) --no-print-directory $(SANITIZE) unit-run golden-run hostile-run

check: deps house
	@$(MAKE) --no-print-directory -j2 all unit
	@$(MAKE) --no-print-directory floods-run
	@$(MAKE) --no-print-directory -j2 --output-sync=target FUZZ_RUNS=2000 $(SIDE_BY_SIDE)
	@$(MAKE) --no-print-directory lab-run
	@TAPQ_BUILD=$(CURDIR)/$(B) tests/evasion/run
	@$(MAKE) --no-print-directory $(SANITIZE) lab-run LAB="--sanitized"
	@echo "all of tapqueue's tests passed"

check-fast: deps house
	@$(MAKE) --no-print-directory -j2 all unit
	@$(MAKE) --no-print-directory unit-run golden-run

check-lab: deps
	@$(MAKE) --no-print-directory -j2 all
	@$(MAKE) --no-print-directory lab-run

check-evasion: deps
	@$(MAKE) --no-print-directory -j2 all
	@TAPQ_BUILD=$(CURDIR)/$(B) tests/evasion/run

golden: deps
	@$(MAKE) --no-print-directory golden-run

corpus: deps
	@[ -n "$(CORPUS)" ] && [ -d "$(CORPUS)/expected" ] || { echo "make corpus CORPUS=DIR: DIR has expected/, manifest.tsv, score.py and captures"; exit 2; }
	@$(MAKE) --no-print-directory -j2 all
	@$(MAKE) --no-print-directory corpus-run
	@$(MAKE) --no-print-directory -j2 $(SANITIZE) hostile-run

fuzz: deps
	@$(MAKE) --no-print-directory -j2 build-fuzz/fuzz
	@$(MAKE) --no-print-directory fuzz-run

# What it costs, beside programs that do the least there is (docs/PERFORMANCE.md): BENCH="--rounds 3 offline", say; all of it takes the better part of an hour.
BENCH_CAPTURES := $(patsubst %,$(B)/bench/%.pcap,http tls blend http-small blend-small)
BENCH_PROGRAMS := $(patsubst tests/bench/programs/%.c,$(B)/bench/%,$(wildcard tests/bench/programs/*.c))
bench: deps
	@scripts/install-deps --bench
	@$(MAKE) --no-print-directory -j2 all $(BENCH_PROGRAMS) $(BENCH_CAPTURES) $(B)/floods $(B)/bench-policy $(B)/unit-dpi
	@TAPQ_BUILD=$(CURDIR)/$(B) tests/bench/run $(BENCH)

floods: deps
	@$(MAKE) --no-print-directory -j2 floods-run FLOODS_FULL=1

lint: house
	cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --suppress=missingIncludeSystem --inline-suppr -I. $(DIRS)

# Fresh goldens and seeds from real servers in namespaces: TALK=name... of tests/servers; not part of check, its packages are many.
captures: deps
	@scripts/install-deps --servers
	@$(MAKE) --no-print-directory -j2 all
	@TAPQ_BUILD=$(CURDIR)/$(B) tests/servers/run $(TALK)

demo: deps
	@$(MAKE) --no-print-directory -j2 all
	@scripts/demo

# ---- installing ----

INSTALL  ?= install
SBIN     := $(DESTDIR)$(PREFIX)/sbin
BIN      := $(DESTDIR)$(PREFIX)/bin
MAN      := $(DESTDIR)$(PREFIX)/share/man
DOC      := $(DESTDIR)$(PREFIX)/share/doc/tapqueue
UNITDIR  ?= $(PREFIX)/lib/systemd/system
ETC      := $(DESTDIR)/etc/tapqueue

install: all
	$(INSTALL) -d $(SBIN) $(BIN) $(MAN)/man8 $(MAN)/man5 $(MAN)/man1 $(DOC) $(DESTDIR)$(UNITDIR) $(ETC)
	$(INSTALL) -m 755 $(B)/tapqd $(SBIN)/tapqd
	$(INSTALL) -m 755 $(B)/tapq $(BIN)/tapq
	$(INSTALL) -m 644 docs/man/tapqd.8 $(MAN)/man8/tapqd.8
	$(INSTALL) -m 644 docs/man/tapq.1 $(MAN)/man1/tapq.1
	$(INSTALL) -m 644 docs/man/tapqueue.yaml.5 docs/man/tapqueue-policy.yaml.5 $(MAN)/man5/
	$(INSTALL) -m 644 README.md docs/*.md $(DOC)/
	sed 's|@sbindir@|$(PREFIX)/sbin|; s|@bindir@|$(PREFIX)/bin|' scripts/tapqd.service.in > $(DESTDIR)$(UNITDIR)/tapqd.service
	[ -e $(ETC)/tapqueue.yaml ] || $(INSTALL) -m 640 docs/examples/tapqueue.yaml $(ETC)/tapqueue.yaml
	[ -e $(ETC)/policy.yaml ] || $(INSTALL) -m 640 docs/examples/policy.yaml $(ETC)/policy.yaml

uninstall:
	rm -f $(SBIN)/tapqd $(BIN)/tapq $(MAN)/man8/tapqd.8 $(MAN)/man1/tapq.1 $(MAN)/man5/tapqueue.yaml.5 $(MAN)/man5/tapqueue-policy.yaml.5 $(DESTDIR)$(UNITDIR)/tapqd.service
	rm -rf $(DOC)

clean:
	rm -rf build build-san build-fuzz build-tsan

-include $(shell find $(B) build-fuzz -name '*.d' 2>/dev/null)
.PHONY: all unit deps house unit-run golden-run corpus-run hostile-run fuzz-run threads-run floods floods-run valgrind-run sanitized-run linear-run count-run lab-run check check-fast check-lab check-evasion golden corpus fuzz bench lint captures demo install uninstall clean
.DELETE_ON_ERROR:
