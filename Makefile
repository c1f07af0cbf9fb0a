# tapqueue: one plain Makefile. `make` builds, `make check` installs what it needs and runs every test,
# `make check-fast` the unit tests and goldens, `make demo` shows it all. V=1 prints the commands,
# SAN=address,undefined builds with sanitizers (into its own directory), CC=clang works.

CC       ?= gcc
V        ?= 0
SAN      ?=
PREFIX   ?= /usr/local
DESTDIR  ?=
VERSION  := 0.1.0
Q        := $(if $(filter 1,$(V)),,@)
B        := build$(if $(SAN),-san)$(if $(FUZZ),-fuzz)

PKGS     := libnl-3.0 libnl-route-3.0 libmnl libnetfilter_queue libpcap libfyaml jansson nettle
CPPFLAGS += -D_GNU_SOURCE -DTQ_VERSION='"$(VERSION)"' -I.
WARN     := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wvla -Wswitch-enum -Wformat=2 -Werror
CFLAGS   ?= -O2 -g
CFLAGS   += -std=c11 $(WARN) -fstack-protector-strong -fPIE -fno-strict-aliasing -pthread
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

clean:
	rm -rf build build-san build-fuzz build-san-fuzz

-include $(shell find $(B) -name '*.d' 2>/dev/null)
.PHONY: all unit clean
.DELETE_ON_ERROR:
