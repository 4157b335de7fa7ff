# SPDX-License-Identifier: MIT
# copool: build, test, install. `make help` lists the targets.
#
#   make SAN=thread|address ...   with that sanitizer (address brings undefined along), into build/san-*/
#                                 (SAN=fuzzer: for `make fuzz` alone)
#   make SAN=perturb check        what threads share, with atomic operations that are delayed at random
#   make WERROR=1 ...             warnings are errors
#   make STATIC_LIBS=1|0 ...      copool has jansson and ncurses inside, of their .a files, or is linked to them; by
#                                 default inside, where these files are there
#   make COPOOL_COMMIT=...       what `copool --version` and logs say of the source; by default git's commit
#   make HOSTCC=cc ...            the compiler for what runs during the build, when CC is one for another processor:
#                                 CC=aarch64-linux-gnu-gcc, and CPPFLAGS and LDFLAGS say where its libraries are
#   make V=1 ...                  show the commands

VERSION := 0.2.0

CC      ?= cc
CXX     ?= c++
HOSTCC  ?= cc
CFLAGS  ?= -O2 -g
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
LIBDIR  ?= $(PREFIX)/lib/copool
ZSHDIR  ?= $(PREFIX)/share/zsh/site-functions
DESTDIR ?=
SAN     ?=
STATIC_LIBS ?=
# Which state of the source it is; `git archive` and `make dist` write it into .commit. Git takes no lock, and does not
# ask whose the folder is: `sudo make install` finds what `make` has found.
COPOOL_COMMIT ?= $(shell if [ -e .git ]; then git --no-optional-locks -c safe.directory='*' describe --always --dirty \
	--exclude='*' --abbrev=12; else sed '/^\$$/d; s/^\([0-9a-f]\{12\}\)[0-9a-f]*/\1/' .commit; fi 2>/dev/null)
BUILD   ?= build$(if $(SAN),/san-$(SAN))

# The processor that it is compiled for, as the compiler calls it: x86_64, aarch64.
MACHINE := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))

# ---- what there is ----

# Machine code: what reads and writes that of one processor.
SHIM_x86_64 := patch/access.c patch/decode_x86.c patch/instruction.c patch/references_x86.c pool/entry_x86.c \
	adapter/qemu_code_x86.c
SHIM_aarch64 := patch/a64.c patch/decode_aarch64.c patch/references_aarch64.c pool/entry_aarch64.c \
	adapter/qemu_code_aarch64.c

SHIM := shim.c exports.c config.c settings.c \
	settings/files.c settings/line.c \
	system/cgroup.c system/clock.c system/sandbox.c system/self.c system/warn.c \
	libc/elsewhere.c libc/objects.c libc/real.c \
	tables/handles.c \
	pool/census.c pool/control.c pool/depot.c pool/doubt.c pool/fork.c pool/gate.c pool/limits.c \
	pool/pool.c pool/remainder.c pool/retire.c pool/slow_path.c pool/stats.c pool/stock.c pool/tally.c \
	pool/thread.c pool/trim.c pool/upkeep.c \
	stack/address.c stack/arena.c stack/chunk.c stack/depth.c stack/guard.c stack/holes.c stack/lifetime.c \
	stack/locked.c stack/orphans.c stack/poison.c stack/reclaim.c stack/roots.c stack/slot_guard.c stack/trust.c \
	stack/upper.c \
	patch/decode.c patch/elf.c patch/elf_symbols.c patch/extent.c patch/imports.c patch/parts.c patch/patch.c \
	patch/symbols.c \
	adapter/adapter.c adapter/ceiling.c adapter/classes.c adapter/contexts.c adapter/label.c adapter/late.c \
	adapter/mappings.c adapter/named.c adapter/observe.c adapter/pieces.c adapter/placing.c adapter/program.c \
	adapter/qemu.c adapter/qemu_code.c adapter/qemu_hooks.c adapter/qemu_label.c adapter/qemu_symbols.c \
	adapter/request.c adapter/room.c adapter/sites.c adapter/stack_hooks.c adapter/stacks.c adapter/unload.c \
	report/bell.c report/conduct.c report/confinement.c report/depth_records.c report/fork.c report/journal.c \
	report/line.c report/log.c report/moment.c report/outside_view.c report/path.c report/pool_records.c \
	report/pressure.c report/prometheus.c report/quiet.c report/report.c report/statistics_thread.c \
	report/summary.c report/user.c report/utf8.c \
	report/origins/callers.c report/origins/origins.c report/origins/records.c report/origins/symbolize.c \
	report/origins/unwind.c \
	report/thread/main_thread.c report/thread/own_thread.c report/thread/thread_end.c \
	$(if $(filter aarch64,$(MACHINE)),$(SHIM_aarch64),$(SHIM_x86_64))

COPOOL := main.c amount.c clean.c cmd_prune.c cmd_settings.c fold.c progress.c verb.c \
	run/cmd_recipe.c run/cmd_run.c run/elf_file.c run/glibc.c run/launch.c run/options.c run/rooted.c run/target.c \
	doctor/answer.c doctor/cmd_doctor.c doctor/force.c doctor/image.c doctor/known.c doctor/machine.c \
	doctor/process.c doctor/program.c doctor/rehearse.c doctor/sheet.c doctor/tell.c doctor/writable.c \
	log/archive.c log/book.c log/book_json.c log/held.c log/logs.c log/origins.c log/owner.c log/series.c \
	log/stack_size.c \
	judge/cost.c judge/demand.c judge/judge.c judge/outlook.c judge/simulate.c \
	show/cmd_origins.c show/cmd_show.c \
	advise/advice.c advise/cmd_advise.c \
	compare/cmd_compare.c compare/print.c compare/sides.c compare/stage.c compare/trial.c compare/verdict.c \
	process/cmd_observe.c process/cmd_record.c process/cmd_set.c process/confined.c process/counters.c \
	process/ending.c process/peek.c process/permission.c process/places.c process/probes.c process/recorder.c \
	process/remote.c \
	top/board.c top/chart.c top/cmd_ps.c top/cmd_top.c top/fleet.c top/fleet_json.c top/follow.c top/lines.c \
	top/overview.c top/screen.c top/table.c \
	draw/baseline.c draw/cmd_plot.c draw/cmd_report.c draw/figure.c draw/output.c draw/page.c

# The parts of the report's page, in the order of its embed.S.
REPORT := page.html page.css words.js charts.js flame.js sections.js page.js uplot/uPlot.min.css uplot/uPlot.iife.min.js uplot/LICENSE \
	d3/d3.min.js d3/LICENSE d3-flame-graph/d3-flamegraph.umd.min.js d3-flame-graph/LICENSE

# The pages of `copool recipe`, in the order in which it lists them.
SERVICE := systemd php-fpm apache supervisord libvirt libvirt-all migration apparmor selinux proxmox container kubernetes

# One program each, linked with what it needs of the shim (all but shim.c and exports.c).
UNIT := sandbox_test warn_test cgroup_test config_test settings_files_test limits_test record_test log_test journal_test pressure_test report_test \
	aarch64_code_test aarch64_qemu_test decode_test elf_test imports_test patch_test patch_denied_test references_test symbols_test qemu_code_test \
	callers_test objects_test unwind_test guard_test arena_test classes_test depth_test late_test locked_test reclaim_test roots_test trust_test upper_test mappings_test sites_test \
	pool_test depot_stress_test entry_x86_test interrupt_test pool_control_test pool_fork_test pool_stress_test stock_test tally_test trim_test simulate_test outlook_test verdict_test \
	readers_test

# Those of machine code, which have that of x86-64 or of aarch64 inside.
ifeq ($(MACHINE),aarch64)
UNIT += patch_aarch64_test
endif
ifneq ($(MACHINE),x86_64)
UNIT := $(filter-out decode_test patch_test patch_denied_test references_test qemu_code_test entry_x86_test interrupt_test,$(UNIT))
endif

# Those in which threads meet; with SAN=perturb there are no others.
PERTURBED := depot_stress_test pool_test pool_control_test pool_fork_test pool_stress_test trim_test warn_test arena_test locked_test report_test
ifeq ($(SAN),perturb)
UNIT := $(PERTURBED)
endif

# libFuzzer's targets, one for each that reads what others wrote; tests/fuzz/corpus has a folder for each.
FUZZ := aarch64_fuzz config_fuzz decode_fuzz elf_fuzz readers_fuzz settings_fuzz

# What is linked to a target beside the shim.
FUZZ_PARTS := sandbox

# Small programs for the tests; a name that ends in .cc is C++.
PROGRAMS := advises.c aside.c becomes.c calls.c count_contexts.c deep.c embeds.c dns.c faults.c guards.c handler.c hostile.c late.c late_known.c late_other.c leaves.c liar.c limits.c lives.c looks_inside.c mappings.c named.c nonsense.c outside.c pages.c plugin.c qemu_confined.c denied.c \
	qemu_hidden_loop.c qemu_hidden_stacks.c qemu_like.c qemu_newer.c qemu_odd_loop.c qemu_unmovable.c relic.c reserved.c service.c several.c slow_ends.c squeeze.c stacks.c steps.c throws.cc treats.c unloads.c wrapper.c

# The pools compared. Up to structure_alone.c they are a contender each.
POOLS := bare_array.c copool_interposed.c copool_linked.c locked_batches.c magazines_ck.c magazines_urcu.c \
	malloc_free.c shared_list.c stack_of_queues.c structure_alone.c \
	main.c measure.c report.c report_counts.c slice.c steps.c worker.c

# What is measured and simulated for how it grows.
SCALING := host.c simulate.c

# QEMU's coroutines as x86-64 has them.
ifneq ($(MACHINE),x86_64)
PROGRAMS := $(filter-out qemu_%,$(PROGRAMS))
endif

BATS := 02-count 05-lint \
	10-run 11-observe 11-ps 12-show 13-top 14-control 14-json 14-progress 15-fast-path 16-compare 17-report 17-report-parts 18-plot 19-advise \
	20-qemu-img 21-qemu-io 22-qemu-nbd 23-storage-daemon 24-qemu-system 25-qemu-versions 26-example 26-named \
	27-origins 28-observe-mode 29-vm \
	30-nothing-to-pool 31-coroutine-programs 32-qemu-builds 33-faults 34-stack-programs 35-soak 36-calls-saved \
	37-libc-functions 38-late-libraries 39-apache \
	40-log 41-prometheus 42-trace-points 43-user-changes 44-fleet 44-php-fpm 44-record 45-bad-input 46-torn-logs 47-fuzz \
	48-security 49-confined \
	50-stacks-exact 51-php 52-fibers 53-stacks-limits 54-kernels 55-stack-depth 56-memory 57-perturbed 58-versions \
	59-stacks-treated \
	60-install 61-boost 61-completions 62-settings 63-old-libc 64-releases 65-doctor 66-packages 67-settings-file 68-services 69-migration \
	70-baseline 71-model 72-aarch64 73-aarch64-patches 74-page-sizes \
	90-bootstrap

# All of `copool` but main(): it has the readers of logs.
READERS = -Itools/copool $(filter-out %/main.o,$(COPOOL_OBJECTS)) $(COPOOL_LIBS)

# What one program needs beyond the rest.
ifneq ($(MACHINE),aarch64)
AARCH64 := $(patsubst %.c,$(BUILD)/read-aarch64/%.o,patch/a64.c patch/decode.c patch/decode_aarch64.c patch/parts.c \
	patch/references_aarch64.c adapter/qemu_code.c adapter/qemu_code_aarch64.c)
UNIT_FLAGS_aarch64_code_test := -DDECODE_FOR_AARCH64 $(AARCH64)
UNIT_FLAGS_aarch64_qemu_test := -DDECODE_FOR_AARCH64 $(AARCH64)
FUZZ_FLAGS_aarch64_fuzz      := -DDECODE_FOR_AARCH64 $(AARCH64)
endif
UNIT_FLAGS_patch_aarch64_test := -rdynamic
UNIT_FLAGS_late_test       := -rdynamic
UNIT_FLAGS_unwind_test     := -rdynamic
UNIT_FLAGS_patch_test      := -rdynamic
UNIT_FLAGS_readers_test     = $(READERS)
UNIT_FLAGS_simulate_test    = -Itools/copool $(BUILD)/tools/copool/judge/simulate.o
VERDICT = $(BUILD)/tools/copool/compare/verdict.o $(BUILD)/tools/copool/compare/sides.o $(BUILD)/tools/copool/amount.o
UNIT_FLAGS_outlook_test     = -Itools/copool $(BUILD)/tools/copool/judge/outlook.o $(VERDICT) -lm
UNIT_FLAGS_verdict_test     = -Itools/copool $(VERDICT) -lm
FUZZ_FLAGS_decode_fuzz      = $(BUILD)/sandbox.o -lZydis
FUZZ_FLAGS_readers_fuzz     = $(READERS)
PROGRAM_FLAGS_calls          := -Wl,-z,now
PROGRAM_FLAGS_count_contexts := -shared -fPIC
PROGRAM_FLAGS_faults         := -shared -fPIC -ftls-model=initial-exec -Wl,-z,initfirst
PROGRAM_FLAGS_late_known     := -shared -fPIC
PROGRAM_FLAGS_late_other     := -shared -fPIC
PROGRAM_FLAGS_liar           := -shared -fPIC
PROGRAM_FLAGS_nonsense       := -Ishim
PROGRAM_FLAGS_outside        := -rdynamic
PROGRAM_FLAGS_pages          := -shared -fPIC
PROGRAM_FLAGS_plugin         := -shared -fPIC
PROGRAM_FLAGS_qemu_confined  := -rdynamic
PROGRAM_FLAGS_qemu_hidden_loop := -rdynamic
PROGRAM_FLAGS_qemu_hidden_stacks := -rdynamic
PROGRAM_FLAGS_qemu_like      := -rdynamic
PROGRAM_FLAGS_qemu_newer     := -rdynamic
PROGRAM_FLAGS_qemu_odd_loop  := -rdynamic
PROGRAM_FLAGS_qemu_unmovable := -rdynamic
PROGRAM_FLAGS_relic          := -Ishim
PROGRAM_FLAGS_slow_ends      := -shared -fPIC

# ---- how it is made ----

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef $(if $(WERROR),-Werror)
HARDEN   := -fstack-protector-strong
# On aarch64 without signed return addresses: libunwind 1.6 does not know their call frame information.
HARDEN_x86_64  := -fcf-protection
HARDEN_aarch64 := -mbranch-protection=bti
HARDEN   += $(HARDEN_$(MACHINE))
FORTIFY  := -Wp,-U_FORTIFY_SOURCE,-D_FORTIFY_SOURCE=3
HARDEN_LINK := -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack

ifeq ($(SAN),thread)
SANITIZE := -fsanitize=thread
else ifeq ($(SAN),address)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else ifeq ($(SAN),fuzzer)
SANITIZE := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else ifeq ($(SAN),perturb)
SANITIZE := -include tests/unit/perturb.h
else ifneq ($(SAN),)
$(error SAN is thread, address, perturb or fuzzer, not "$(SAN)")
endif
ifneq ($(SAN),)
HARDEN :=
FORTIFY :=
endif

BASE      := -std=gnu11 $(CFLAGS) $(WARNINGS) $(HARDEN) $(SANITIZE) -D_GNU_SOURCE -DCOPOOL_VERSION='"$(VERSION)"' -include shim/libc/redirect.h
# Behind CPPFLAGS, in which distributions ask for another _FORTIFY_SOURCE.
DEPS      := $(FORTIFY) -MMD -MP
SHIM_ONLY := -fPIC -fvisibility=hidden -ftls-model=initial-exec -Ishim
SHIM_LINK := -shared -Wl,-soname,libcopool.so -Wl,--version-script=$(BUILD)/exports.map -Wl,-z,defs -Wl,-z,nodelete $(HARDEN_LINK)
COPOOL_LIBS := -ljansson -lncursesw -ltinfo -lm

# The same from archives, if they are there, so that copool needs libc alone.
ARCHIVES     = -Wl,-Bstatic -ljansson -lncursesw -ltinfo -Wl,-Bdynamic -lm
has_archives = $(shell echo 'int main(void) { return 0; }' | \
	$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -x c -o /dev/null - $(ARCHIVES) 2>/dev/null && echo yes)

SHIM_OBJECTS   := $(SHIM:%.c=$(BUILD)/shim/%.o)
COPOOL_OBJECTS := $(COPOOL:%.c=$(BUILD)/tools/copool/%.o) $(BUILD)/tools/report/embed.o $(BUILD)/tools/service/embed.o \
	$(addprefix $(BUILD)/shim/,settings.o settings/files.o settings/line.o)
UNIT_PROGRAMS  := $(UNIT:%=$(BUILD)/unit/%)
FUZZ_PROGRAMS  := $(FUZZ:%=$(BUILD)/%)
PROGRAM_FILES := $(foreach g,$(PROGRAMS),$(BUILD)/programs/$(basename $(g)))
POOLS_OBJECTS  := $(POOLS:%.c=$(BUILD)/bench/%.o)
POOLS_COUNTING := $(POOLS:%.c=$(BUILD)/bench/count/%.o)
SCALING_PROGRAMS := $(SCALING:%.c=$(BUILD)/bench/scaling-%)
COMPLETIONS    := $(addprefix $(BUILD)/completions/,copool.bash _copool copool.fish)
BATS_FILES     := $(BATS:%=tests/%.bats)

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-6s %s\n' $(1) $@)

all: $(BUILD)/libcopool.so $(BUILD)/copool $(COMPLETIONS)  ## libcopool.so and copool, into build/ (the default)

# A file that is written only when the text changes: what depends on it is compiled again then. Several may make it at once.
define remember
@mkdir -p $(@D)
@new=$@.$$$$; printf '%s\n' '$(subst ','\'',$1)' > $$new; if cmp -s $$new $@; then rm -f $$new; else mv $$new $@; fi
endef

$(BUILD)/flags: FORCE
	$(call remember,$(CC) $(CXX) $(BASE) $(DEPS) $(SHIM_ONLY) $(SHIM_LINK) $(LDFLAGS))

$(BUILD)/shim/%.o: shim/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(BASE) $(SHIM_ONLY) $(CPPFLAGS) $(DEPS) -c -o $@ $<

$(BUILD)/tools/%.o: tools/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(BASE) -fPIE -Ishim -Itools/copool $(CPPFLAGS) $(DEPS) -c -o $@ $<

# From the command to the library, so that both may be moved together.
LIBRARY := $(shell realpath -sm --relative-to='$(BINDIR)' '$(LIBDIR)')

$(BUILD)/library: FORCE
	$(call remember,$(LIBRARY))

$(BUILD)/tools/copool/run/launch.o: private BASE += -DCOPOOL_LIBRARY='"$(LIBRARY)/libcopool.so"'
$(BUILD)/tools/copool/run/launch.o: $(BUILD)/library

$(BUILD)/tools/report/embed.o: tools/report/embed.S $(REPORT:%=tools/report/%) $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,EMBED)
	$(Q)$(CC) $(CFLAGS) -Wa,-Itools -c -o $@ $<

# These alone say it, so that a commit compiles nothing else again.
KNOW_COMMIT := $(BUILD)/shim/report/pool_records.o $(BUILD)/shim/report/outside_view.o $(BUILD)/tools/copool/main.o \
	$(BUILD)/unit/record_test
$(KNOW_COMMIT): $(BUILD)/commit
$(KNOW_COMMIT): private BASE += -DCOPOOL_COMMIT='"$(COPOOL_COMMIT)"'

$(BUILD)/commit: FORCE
	$(call remember,$(COPOOL_COMMIT))

$(BUILD)/tools/service/pages: $(SERVICE:%=tools/service/%.md) Makefile
	@mkdir -p $(@D)
	$(call say,LIST)
	$(Q)for page in $(SERVICE); do cat tools/service/$$page.md && printf '\0' || exit 1; done > $@

$(BUILD)/tools/service/embed.o: tools/service/embed.S $(BUILD)/tools/service/pages $(BUILD)/flags
	$(call say,EMBED)
	$(Q)$(CC) $(CFLAGS) -Wa,-I$(BUILD)/tools -c -o $@ $<

$(BUILD)/exports.map: shim/exports.map shim/libc/hooked.h $(BUILD)/flags
	$(call say,LIST)
	$(Q)$(CC) -E -P -x c -Ishim -o $@ $<

$(BUILD)/libcopool.so: $(SHIM_OBJECTS) $(BUILD)/exports.map Makefile
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(SHIM_LINK) $(LDFLAGS) -o $@ $(SHIM_OBJECTS)

$(BUILD)/libshim.a: $(filter-out $(BUILD)/shim/shim.o $(BUILD)/shim/exports.o,$(SHIM_OBJECTS)) Makefile
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

$(BUILD)/static-libs: FORCE
	$(call remember,$(STATIC_LIBS))

$(BUILD)/copool: $(COPOOL_OBJECTS) $(BUILD)/static-libs Makefile
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) -pie $(HARDEN_LINK) $(LDFLAGS) -o $@ $(COPOOL_OBJECTS) \
		$(if $(or $(filter 1,$(STATIC_LIBS)),$(if $(STATIC_LIBS),,$(has_archives))),$(ARCHIVES),$(COPOOL_LIBS))

$(BUILD)/completions/settings: tools/completions/settings.c shim/settings.c shim/settings.h Makefile
	@mkdir -p $(@D)
	$(call say,HOSTCC)
	$(Q)$(HOSTCC) -std=gnu11 -O1 $(WARNINGS) -D_GNU_SOURCE -Ishim -o $@ $(filter %.c,$^)

$(COMPLETIONS): $(BUILD)/completions/%: tools/completions/% $(BUILD)/completions/settings
	$(call say,LIST)
	$(Q)$(BUILD)/completions/settings $(or $(patsubst copool.%,%,$(filter copool.%,$*)),zsh) > $@.list
	$(Q)sed -e '/^[[:space:]]*# SETTINGS$$/{r $@.list' -e 'd}' $< > $@
	$(Q)rm $@.list

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libshim.a $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,UNIT)
	$(Q)$(CC) $(BASE) $(SHIM_ONLY) -Itests/unit $(CPPFLAGS) $(DEPS) $(UNIT_FLAGS_$*) $(LDFLAGS) -o $@ $< \
		$(BUILD)/libshim.a -pthread

# What reads code for aarch64, on another processor.
$(BUILD)/read-aarch64/%.o: shim/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(BASE) $(SHIM_ONLY) -DDECODE_FOR_AARCH64 $(CPPFLAGS) $(DEPS) -c -o $@ $<

$(BUILD)/unit/aarch64_code_test $(BUILD)/unit/aarch64_qemu_test: $(AARCH64)
$(BUILD)/unit/readers_test: $(COPOOL_OBJECTS)
$(BUILD)/unit/simulate_test: $(BUILD)/tools/copool/judge/simulate.o
$(BUILD)/unit/outlook_test: $(BUILD)/tools/copool/judge/outlook.o
$(BUILD)/unit/verdict_test $(BUILD)/unit/outlook_test: $(VERDICT)

$(FUZZ_PARTS:%=$(BUILD)/%.o): $(BUILD)/%.o: tests/fuzz/%.c $(BUILD)/flags
	$(call say,CC)
	$(Q)$(CC) $(BASE) $(CPPFLAGS) $(DEPS) -c -o $@ $<

$(BUILD)/decode_fuzz: $(BUILD)/sandbox.o
$(BUILD)/aarch64_fuzz: $(AARCH64)
$(FUZZ_PROGRAMS): $(BUILD)/%: tests/fuzz/%.c $(BUILD)/libshim.a $(COPOOL_OBJECTS) $(BUILD)/flags
	$(call say,FUZZ)
	$(Q)$(CC) $(BASE) -fsanitize=fuzzer -Ishim $(CPPFLAGS) $(DEPS) $(LDFLAGS) -o $@ $< $(FUZZ_FLAGS_$*) \
		$(BUILD)/libshim.a -pthread

$(BUILD)/programs/%: tests/programs/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,PROG)
	$(Q)$(CC) $(BASE) $(CPPFLAGS) $(DEPS) $(LDFLAGS) -o $@ $< $(PROGRAM_FLAGS_$*) -pthread

$(BUILD)/programs/%: tests/programs/%.cc $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,PROG)
	$(Q)$(CXX) -std=gnu++17 $(CFLAGS) $(SANITIZE) -Wall -Wextra $(CPPFLAGS) $(DEPS) $(LDFLAGS) -o $@ $< \
		$(PROGRAM_FLAGS_$*) -pthread

# The contenders' libraries are there or not; what is not is left out, and the bench says so.
has_header  = $(shell $(CC) $(CPPFLAGS) -include $1 -xc -E /dev/null >/dev/null 2>&1 && echo yes)
POOLS_LIBS  = $(if $(call has_header,urcu/lfstack.h),-lurcu-cds -lurcu-common) -ljansson -ldl -lm
# As QEMU is compiled: Debian's have no endbr64.
POOLS_BUILD = $(CC) $(BASE) $(if $(findstring -fcf,$(HARDEN)),-fcf-protection=none) -DPOOLS_FLAGS='"$(CFLAGS)"' -Ishim $(CPPFLAGS) $(DEPS)

$(BUILD)/bench/libraries: FORCE
	$(call remember,urcu:$(call has_header,urcu/lfstack.h) ck:$(call has_header,ck_stack.h))

$(BUILD)/bench/%.o: tests/bench/pools/%.c $(BUILD)/flags $(BUILD)/bench/libraries
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(POOLS_BUILD) -c -o $@ $<

$(BUILD)/bench/count/%.o: tests/bench/pools/%.c $(BUILD)/flags $(BUILD)/bench/libraries
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(POOLS_BUILD) -DPOOLS_COUNT -c -o $@ $<

$(BUILD)/bench/pools: $(POOLS_OBJECTS) $(BUILD)/libshim.a Makefile
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -rdynamic -o $@ $(filter %.o %.a,$^) $(POOLS_LIBS) -pthread

$(BUILD)/bench/pools-count: $(POOLS_COUNTING) $(BUILD)/libshim.a Makefile
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -rdynamic -o $@ $(filter %.o %.a,$^) $(POOLS_LIBS) -pthread

pools: $(BUILD)/bench/pools $(BUILD)/bench/pools-count $(SCALING_PROGRAMS)

# As small programs are: it has functions that are patched.
$(BUILD)/bench/scaling-%: tests/bench/scaling/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,BENCH)
	$(Q)$(CC) $(BASE) $(CPPFLAGS) $(DEPS) $(LDFLAGS) -o $@ $< -pthread

unit: $(UNIT_PROGRAMS)  ## the unit tests' programs, into build/unit/

ifeq ($(SAN),fuzzer)
fuzz: $(FUZZ_PROGRAMS)
else
CLANG ?= clang
HAS_FUZZER = $(shell echo 'int LLVMFuzzerTestOneInput(void);int LLVMFuzzerTestOneInput(void){return 0;}' | \
	$(CLANG) -fsanitize=fuzzer -x c -o /dev/null - 2>/dev/null && echo yes)

fuzz:  ## the fuzzers (clang's libFuzzer), into build/fuzz/; tests/fuzz/README.md says how to run them
	@$(if $(HAS_FUZZER),,echo 'make fuzz: $(CLANG) has no libFuzzer: nothing is built';)
	$(if $(HAS_FUZZER),$(MAKE) --no-print-directory SAN=fuzzer CC=$(CLANG) BUILD=$(BUILD)/fuzz fuzz)
endif

programs: $(PROGRAM_FILES)  ## the tests' small programs, into build/programs/

# ---- tests ----

ifeq ($(SAN),)
check: all unit programs pools fuzz  ## every test: -Werror builds by gcc and clang, sanitizers, unit tests, bats (SAN=: only that)
	$(MAKE) --no-print-directory WERROR=1 CC=gcc BUILD=$(BUILD)/gcc all unit programs pools
	$(MAKE) --no-print-directory WERROR=1 CC=clang BUILD=$(BUILD)/clang all unit pools
	$(MAKE) --no-print-directory SAN=thread BUILD=$(BUILD)/san-thread unit
	$(MAKE) --no-print-directory SAN=address BUILD=$(BUILD)/san-address unit
	$(MAKE) --no-print-directory SAN=perturb CC=gcc BUILD=$(BUILD)/san-perturb unit $(BUILD)/san-perturb/libcopool.so
	COPOOL_BUILD=$(abspath $(BUILD)) tests/run $(UNIT_PROGRAMS) $(UNIT:%=$(BUILD)/san-thread/unit/%) \
		$(UNIT:%=$(BUILD)/san-address/unit/%) $(PERTURBED:%=$(BUILD)/san-perturb/unit/%) $(BATS_FILES)
else
check: unit
	tests/run $(UNIT_PROGRAMS)
endif

check-full: export COPOOL_TEST_FULL := 1
check-full: export COPOOL_TEST_ROUNDS := 200000
check-full: check  ## the same with the long tests too

soak: all  ## a storage daemon, qemu-nbd and PHP at work for MINUTES (10), with all that may happen to them
	COPOOL_BUILD=$(abspath $(BUILD)) tests/soak/run

versions: all  ## the table of versions in tools/README.md, from a run with QEMU, PHP and libc of other releases
	COPOOL_BUILD=$(abspath $(BUILD)) tests/versions

lint: all  ## formatting, shell scripts, headers, exports, include stairs, doors, man pages
	COPOOL_BUILD=$(abspath $(BUILD)) bats tests/05-lint.bats

bench-pools: all pools  ## only the pools, without real programs
	$(BUILD)/bench/pools --json $(BUILD)/bench-pools.json $(POOLS_ARGS)

bench-scaling: all pools  ## how it grows with processors, objects, threads, processes; 3 minutes
	COPOOL_BUILD=$(abspath $(BUILD)) tests/bench/scaling/run

bench: all bench-pools  ## the pools compared, on this machine
	COPOOL_BUILD=$(abspath $(BUILD)) tests/bench/run $(BENCH_ARGS)

bench-vm: all  ## a virtual machine with busy disks: how many coroutines, how many of them new; a quarter of an hour
	COPOOL_BUILD=$(abspath $(BUILD)) tests/bench/vm/run $(VM_ARGS)

baseline: all pools  ## renews what 70-baseline compares with: instruction counts and depot operations
	$(BUILD)/bench/pools baseline > $(BUILD)/baseline.json
	cp $(BUILD)/baseline.json tests/fixtures/baseline.json

effect:  ## README's picture of the effect, from tools/effect.jsonl: lines of build/bench.jsonl
	tools/effect > tools/effect.svg

demo: all  ## qemu-img bench with and without copool, in less than a minute
	COPOOL_BUILD=$(abspath $(BUILD)) tools/demo

# ---- installing ----

# What the report's page has inside and others have written; each with its licence.
SHIPPED := uplot d3 d3-flame-graph

INSTALLED := share/man/man1/copool.1 share/man/man5/copool-log.5 share/man/man7/libcopool.7 \
	share/bash-completion/completions/copool share/fish/vendor_completions.d/copool.fish \
	share/copool/grafana/copool.json share/copool/grafana/alerts.yml \
	share/doc/copool/README.md share/doc/copool/LICENSE share/doc/copool/copool.conf \
	$(SHIPPED:%=share/doc/copool/LICENSE.%) $(SERVICE:%=share/doc/copool/service/%.md)

# $(call put,MODE,FILE,PATH): the file gets its path by a rename, so a program that starts at that moment maps the old
# file or the new one, and one that runs keeps the old one.
rename = mv -fT '$(DESTDIR)$1.new' '$(DESTDIR)$1' && echo '  $(DESTDIR)$1'
put    = install -D -m $1 $2 '$(DESTDIR)$3.new' && $(call rename,$3)

# $(call put_text,FILE,PATH): the same for a text that names the library; it gets the path that the library has.
in_sed   = $(subst |,\|,$(subst &,\&,$(subst \,\\,$1)))
put_text = install -D -m 644 $1 '$(DESTDIR)$2.new' && sed -i \
	-e 's|/usr/local/lib/copool/libcopool\.so|$(call in_sed,$(LIBDIR))/libcopool.so|g' \
	-e 's|/usr/lib/x86_64-linux-gnu/libcopool\.so|$(call in_sed,$(LIBDIR))/libcopool.so|g' \
	-e 's|\.\./lib/copool|$(call in_sed,$(LIBRARY))|g' '$(DESTDIR)$2.new' && $(call rename,$2)

install: all  ## below PREFIX (/usr/local), itself below DESTDIR; LIBDIR (PREFIX/lib/copool) is the library's folder
	$(Q)$(call put,644,$(BUILD)/libcopool.so,$(LIBDIR)/libcopool.so)
	$(Q)$(call put,755,$(BUILD)/copool,$(BINDIR)/copool)
	$(Q)$(call put_text,tools/man/copool.1,$(PREFIX)/share/man/man1/copool.1)
	$(Q)$(call put_text,tools/man/copool-log.5,$(PREFIX)/share/man/man5/copool-log.5)
	$(Q)$(call put_text,tools/man/libcopool.7,$(PREFIX)/share/man/man7/libcopool.7)
	$(Q)$(call put,644,$(BUILD)/completions/copool.bash,$(PREFIX)/share/bash-completion/completions/copool)
	$(Q)$(call put,644,$(BUILD)/completions/_copool,$(ZSHDIR)/_copool)
	$(Q)$(call put,644,$(BUILD)/completions/copool.fish,$(PREFIX)/share/fish/vendor_completions.d/copool.fish)
	$(Q)$(call put,644,tools/grafana/copool.json,$(PREFIX)/share/copool/grafana/copool.json)
	$(Q)$(call put,644,tools/grafana/alerts.yml,$(PREFIX)/share/copool/grafana/alerts.yml)
	$(Q)$(call put_text,README.md,$(PREFIX)/share/doc/copool/README.md)
	$(Q)$(call put_text,tools/service/copool.conf,$(PREFIX)/share/doc/copool/copool.conf)
	$(Q)$(call put,644,LICENSE,$(PREFIX)/share/doc/copool/LICENSE)
	$(Q)$(foreach s,$(SHIPPED),$(call put,644,tools/report/$s/LICENSE,$(PREFIX)/share/doc/copool/LICENSE.$s) &&) :
	$(Q)$(foreach s,$(SERVICE),$(call put_text,tools/service/$s.md,$(PREFIX)/share/doc/copool/service/$s.md) &&) :

uninstall:  ## what install put there
	rm -f '$(DESTDIR)$(BINDIR)/copool' '$(DESTDIR)$(LIBDIR)/libcopool.so' '$(DESTDIR)$(ZSHDIR)/_copool'
	for f in $(INSTALLED); do rm -f '$(DESTDIR)$(PREFIX)'/$$f; done
	for d in lib/copool share/copool/grafana share/copool share/doc/copool/service share/doc/copool; do \
		[ ! -d '$(DESTDIR)$(PREFIX)'/$$d ] || rmdir --ignore-fail-on-non-empty '$(DESTDIR)$(PREFIX)'/$$d; done

# ---- packages ----

dist:  ## build/copool-VERSION.tar.xz, the source; it builds without git
	tools/package/dist '$(BUILD)' '$(VERSION)' '$(COPOOL_COMMIT)'

deb: dist  ## Debian packages, into build/deb/; ARCH=arm64: for that architecture
	tools/package/deb '$(BUILD)' '$(VERSION)' $(ARCH)

clean:  ## all that was built
	rm -rf $(BUILD)

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' Makefile | while IFS='	' read -r t h; do \
		printf '  make %-12s %s\n' "$$t" "$$h"; done

FORCE:
.PHONY: all unit fuzz programs pools bench-pools bench-vm bench-scaling baseline effect check check-full soak versions lint bench demo install uninstall dist deb clean help FORCE
.DELETE_ON_ERROR:

-include $(SHIM_OBJECTS:.o=.d) $(AARCH64:.o=.d) $(COPOOL_OBJECTS:.o=.d) $(UNIT_PROGRAMS:=.d) $(FUZZ_PROGRAMS:=.d) $(FUZZ_PARTS:%=$(BUILD)/%.d) $(PROGRAM_FILES:=.d) \
	$(POOLS_OBJECTS:.o=.d) $(POOLS_COUNTING:.o=.d) $(SCALING_PROGRAMS:=.d)
