# densenet: a C module for Lua 5.4 that trains DenseNets.
#
#   make            the module, build/densenet/core.so, and cuda.so and nccl.so beside it where nvcc is found
#   make demo       installs what is missing, builds, trains a small DenseNet on Fashion-MNIST
#   make test       installs what is missing, builds, runs every spec, those of CUDA on an emulation
#   make test-all   the same, with every case in every dtype there too, and a build by luarocks from nothing
#   make test-cuda  the specs of CUDA on a GPU; fails when anything was skipped
#   make test-cuda-emulated  the same without a GPU
#   make sanitize-cuda, racecheck-cuda  a step of two layers under compute-sanitizer's tools, or under racecheck
#   make racecheck-cuda-emulated  without a GPU, told of every access to memory: finds races (slow)
#   make lint       formatting, luacheck, warnings as errors with gcc and clang, layers and circles, docs
#   make machine-code  what nvcc makes of the hot kernels: spills, registers, widths of accesses (minutes, no GPU needed)
#   make asan       the specs under AddressSanitizer and UndefinedBehaviorSanitizer, leaks included
#   make soak MINUTES=n  main.lua killed, without disk space and with damaged files, at random (SOAK_OPTIONS=-seed 2)
#   make fuzz MINUTES=n  damaged files for every reader, under the sanitizers (or N=100000 files for each)
#   make bench      memory and seconds of a training step in every memory mode, as a table and a plot
#   make install    into PREFIX (or LUADIR and LIBDIR)
#   make docs       the API reference from the comments, as HTML in build/docs (LDoc)
#   make env        prints what lets a shell's Lua scripts require "densenet" from this checkout
#
# Choices: CC, ARCH (of the compiler; empty for its default, native for this machine), LUA_INCDIR, BLAS_LIBS, NO_OPENMP=1,
# NO_JPEG=1, NO_PNG=1, MPI (0: left out), MPICC (mpicc), NCCL (0: left out),
# CUDA (0: left out; emulated: a GPU made of the host), NVCC, CUDA_ARCHS (80 90), CXX (emulated only),
# EXTRA_CFLAGS, B (the build directory), V=1 (show commands). scripts/configure.sh finds the rest and says what it found.

ifeq ($(origin CC),default)
CC := gcc
endif
ARCH ?=
B ?= build
LUA ?= lua5.4
PREFIX ?= /usr/local
LUADIR ?= $(PREFIX)/share/lua/5.4
LIBDIR ?= $(PREFIX)/lib/lua/5.4
BINDIR ?= $(PREFIX)/bin

MODULE := $(B)/densenet/core.so
SOURCES := $(wildcard src/*.c src/cpu/*.c src/cpu/*/*.c src/bind/*.c)
# Loops for float and double, written once (src/cpu/tiles/cpu_real.h).
TWICE := $(filter-out %/cpu_tiles_choice.c,$(wildcard src/cpu/tiles/*.c)) $(patsubst %,src/cpu/%.c,conv/cpu_conv_border \
  conv/cpu_conv_patches conv/cpu_conv_pixels conv/cpu_conv_winograd conv/cpu_gemm_tiles conv/cpu_gradient conv/cpu_patches \
  conv/cpu_shares conv/cpu_winograd_cut folded/cpu_folded_pack folded/cpu_folded_pixels folded/cpu_folded_taps folded/cpu_folded_winograd \
  dense/cpu_norm_fast dense/cpu_norm_relu_pool_fast nn/cpu_batchnorm_fast nn/cpu_dropout_row nn/cpu_max_pool_plane nn/cpu_relu_rows)
OBJECTS := $(SOURCES:%.c=$(B)/obj/%.o) $(TWICE:%.c=$(B)/obj/%_double.o)
C_FILES := $(wildcard src/*.[ch] src/cpu/*.[ch] src/cpu/*/*.[ch] src/bind/*.[ch] src/mpi/*.[ch] scripts/*.c \
  spec/support/*.[ch] spec/support/*.cpp cuda/*.cu cuda/*.h spec/support/cuda_emulation/*.h spec/support/cuda_emulation/*.cpp)
LUA_FILES := main.lua lua scripts scripts/densenet examples spec rockspec

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Wstrict-prototypes \
  -Wmissing-prototypes -Wcast-qual -Wwrite-strings -Wvla -Wformat=2
# Without OpenMP its pragmas say nothing, and the numbers of threads named in them are not used.
WITHOUT_OPENMP := -Wno-unknown-pragmas -Wno-unused-variable
# fvisibility: the module exports luaopen_densenet_core and nothing else.
# CFLAGS comes first: what luarocks or a packager sets there must not lower what the loops need.
ALL_CFLAGS = $(CFLAGS) -std=c11 -D_POSIX_C_SOURCE=200809L -O3 -g -fPIC -fvisibility=hidden -pthread \
  $(ARCH_CFLAGS) $(TILE_CFLAGS) $(WARNINGS) $(or $(OPENMP),$(WITHOUT_OPENMP)) $(EXTRA_CFLAGS) \
  $(LUA_CFLAGS) $(OWN_CFLAGS)

Q := $(if $(V),,@)

all: $(MODULE) mpi cuda

# What the machine has is asked once per build directory, and again when a choice changes. Of CUDA only
# where more than the module is built.
CHOICES := $(foreach name,CC ARCH LUA_INCDIR BLAS_LIBS NO_OPENMP NO_JPEG NO_PNG MPI MPICC CUDA NCCL NVCC CUDA_ARCHS CXX CFLAGS EXTRA_CFLAGS \
  CUDA_EXTRA_FLAGS RACES,$(name)='$($(name))')
BUILDING := $(filter all install cuda mpi $(MODULE),$(or $(MAKECMDGOALS),all))
ifneq ($(BUILDING),)
ifneq ($(shell cat $(B)/choices 2>/dev/null),$(CHOICES))
$(shell mkdir -p $(B) && printf '%s\n' "$(CHOICES)" > $(B)/choices)
endif
include $(B)/config.mk
ifneq ($(filter-out mpi $(MODULE),$(BUILDING)),)
include $(B)/config_cuda.mk
endif
endif

$(B)/config.mk: scripts/configure.sh scripts/blas_probe.c $(B)/choices
	@$(CHOICES) sh scripts/configure.sh $@

$(B)/config_cuda.mk: scripts/configure_cuda.sh $(B)/choices
	@$(CHOICES) sh scripts/configure_cuda.sh $@

$(B)/choices: ;

# nodelete: threads of OpenMP and BLAS and destructors of thread-local memory outlive the Lua state that
# loaded the module, so its code has to stay when that state closes. The flag is one of ELF linkers.
ifneq ($(shell uname -s),Darwin)
KEEP_LOADED := -Wl,-z,nodelete
DL_LIBS := -ldl
endif

$(MODULE): $(OBJECTS)
	@mkdir -p $(@D)
	@echo "link $@"
	$(Q)$(CC) -shared $(KEEP_LOADED) -pthread $(OPENMP_LINK) $(EXTRA_CFLAGS) $(LIBFLAG_EXTRA) -o $@ $(OBJECTS) $(JPEG_LIBS) $(PNG_LIBS) -lz -lm $(DL_LIBS)

# MPI joins processes on CPUs: an object of its own, loaded when ranks first talk to each other.
MPI_MODULE := $(B)/densenet/mpi.so
MPI_OBJECTS := $(patsubst %.c,$(B)/obj/%.o,$(wildcard src/mpi/*.c))
mpi: $(if $(MPI_BUILD),$(MPI_MODULE))

$(MPI_MODULE): $(MPI_OBJECTS) $(B)/obj/src/dn_dtype.o
	@mkdir -p $(@D)
	@echo "link $@"
	$(Q)$(CC) -shared $(KEEP_LOADED) -pthread $(EXTRA_CFLAGS) $(LIBFLAG_EXTRA) -o $@ $^ $(MPI_FLAGS)

# Of its flags those that a compiler reads; its headers are not ours to warn of.
$(MPI_OBJECTS): OWN_CFLAGS = $(patsubst -I%,-isystem %,$(filter -I% -D%,$(MPI_FLAGS)))

$(B)/obj/%.o: %.c $(B)/config.mk Makefile
	@mkdir -p $(@D)
	@echo "$(CC) $<"
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(B)/obj/%_double.o: %.c $(B)/config.mk Makefile
	@mkdir -p $(@D)
	@echo "$(CC) $< (double)"
	$(Q)$(CC) $(ALL_CFLAGS) -DCPU_REAL_DOUBLE -MMD -MP -c $< -o $@

$(B)/obj/src/cpu/conv/cpu_blas_library.o: OWN_CFLAGS = -DCPU_BLAS_LIBRARY='"$(BLAS_LIBRARY)"'
$(B)/obj/src/dn_image_jpeg.o: OWN_CFLAGS = $(JPEG_CFLAGS)
$(B)/obj/src/dn_image_png.o: OWN_CFLAGS = $(PNG_CFLAGS)

# The CUDA backend is an object of its own, loaded when a GPU is first asked for. The same sources build
# with nvcc, and with the host's compiler against the emulation in spec/support. CUDA_BUILD is nvcc,
# emulated or none (configure_cuda.sh).
CUDA_MODULE := $(B)/densenet/cuda.so
NCCL_MODULE := $(B)/densenet/nccl.so
NCCL_SOURCES := $(wildcard cuda/nccl_*.cu)
CUDA_SOURCES := $(filter-out $(NCCL_SOURCES),$(wildcard cuda/*.cu))
EMULATED_NCCL := $(wildcard spec/support/cuda_emulation/emulated_nccl*.cpp)
EMULATION_SOURCES := $(filter-out $(EMULATED_NCCL),$(wildcard spec/support/cuda_emulation/*.cpp))
PURE_BUILD ?= $(B)
PURE_OBJECTS := $(patsubst %,$(PURE_BUILD)/obj/src/%.o,dn_dtype dn_shape dn_tensor)
CUDA_OBJECTS := $(CUDA_SOURCES:%.cu=$(B)/obj/%.o)
NCCL_OBJECTS := $(NCCL_SOURCES:%.cu=$(B)/obj/%.o)
CXX := $(if $(filter default,$(origin CXX)),g++,$(CXX))
COMPILE_CUDA_nvcc = $(NVCC_FOUND) -std=c++17 -O3 -lineinfo -Xfatbin=-compress-all $(CUDA_CODE) \
  -Xcompiler -fPIC,-fvisibility=hidden,-Wall,-Wextra $(CUDA_EXTRA_FLAGS) -c
# Small chunks: the specs' few images are cut as large batches are. Small workspaces: each is filled anew. Few
# numbers are counted in 32 bits, so that those of large tensors are tried as well.
SMALL_SIZES := -DCUDA_CHUNK_BYTES=16384 -DCUDA_WIDE_BYTES=1048576 -DCUDA_CUBLAS_WORKSPACE=65536 \
  -DCUDA_CUDNN_WORKSPACE=1048576 -DCUDA_MOST_NEAR=2048
COMPILE_CUDA_emulated = $(CXX) -x c++ -std=c++17 -O2 -g -ffp-contract=off -fPIC -fvisibility=hidden -pthread -Wall -Wextra \
  -Ispec/support/cuda_emulation $(SMALL_SIZES) $(EXTRA_CFLAGS) -c
# Kernels that tell of their accesses (emulation_races.h): the compiler's calls, without its library.
# At -O1 each access in the source is one in the program.
ifneq ($(RACES),)
$(CUDA_OBJECTS) $(NCCL_OBJECTS) $(B)/obj/spec/support/cuda_emulation/emulation_broken.o: \
  COMPILE_CUDA_emulated += -O1 -fsanitize=thread --param tsan-distinguish-volatile=1 \
    --param tsan-instrument-func-entry-exit=0
endif
LINK_CUDA_nvcc = $(NVCC_FOUND) -shared -cudart shared
LINK_CUDA_emulated = $(CXX) -shared -pthread $(EXTRA_CFLAGS)
# Behind the objects: some linkers drop a library that nothing before it has asked for.
CUDA_LIBS_nvcc = -lcublas -lcudnn $(DL_LIBS)
CUDA_LIBS_emulated = -Wl,-soname,cuda.so
NCCL_LIBS_nvcc = -lnccl
# The emulated runtime is in cuda.so, and there is to be one of it in a process.
NCCL_LIBS_emulated = $(CUDA_MODULE) -Wl,-rpath,'$$ORIGIN'

ifeq ($(CUDA_BUILD),emulated)
CUDA_OBJECTS += $(EMULATION_SOURCES:%.cpp=$(B)/obj/%.o)
NCCL_OBJECTS += $(EMULATED_NCCL:%.cpp=$(B)/obj/%.o)
$(NCCL_MODULE): $(CUDA_MODULE)
endif
HAS_CUDA := $(filter nvcc emulated,$(CUDA_BUILD))
HAS_NCCL := $(and $(HAS_CUDA),$(filter nvcc emulated,$(NCCL_BUILD)))
cuda: $(if $(HAS_CUDA),$(CUDA_MODULE)) $(if $(HAS_NCCL),$(NCCL_MODULE))

$(CUDA_MODULE): $(CUDA_OBJECTS) $(PURE_OBJECTS)
	@mkdir -p $(@D)
	@echo "link $@"
	$(Q)$(LINK_CUDA_$(CUDA_BUILD)) -o $@ $^ $(CUDA_LIBS_$(CUDA_BUILD))

$(NCCL_MODULE): $(NCCL_OBJECTS)
	@mkdir -p $(@D)
	@echo "link $@"
	$(Q)$(LINK_CUDA_$(CUDA_BUILD)) -o $@ $(NCCL_OBJECTS) $(NCCL_LIBS_$(CUDA_BUILD))

# What the emulation of CUDA and of NCCL offers, objects beside its own use.
$(B)/obj/spec/support/cuda_emulation/%.o: COMPILE_CUDA_emulated += -fvisibility=default

$(B)/obj/%.o: %.cu $(B)/config_cuda.mk Makefile
	@mkdir -p $(@D)
	@echo "$(CUDA_BUILD) $<"
	$(Q)$(COMPILE_CUDA_$(CUDA_BUILD)) -MMD -MP -MF $(@:.o=.d) $< -o $@

$(B)/obj/%.o: %.cpp $(B)/config_cuda.mk Makefile
	@mkdir -p $(@D)
	@echo "$(CUDA_BUILD) $<"
	$(Q)$(COMPILE_CUDA_$(CUDA_BUILD)) -MMD -MP -MF $(@:.o=.d) $< -o $@

# Tiles are compiled per instruction set and chosen when the module loads; fused multiply-add there
# is wanted, and their users compare results within a tolerance, never bit by bit across sets.
TILES := $(B)/obj/src/cpu/tiles/cpu_tiles
TILE_SUFFIXES := .o _double.o
$(foreach set,avx512 avx2 portable,$(TILE_SUFFIXES:%=$(TILES)_$(set)%)): TILE_CFLAGS = -ffp-contract=fast
ifneq ($(filter x86_64 amd64,$(shell uname -m)),)
$(TILE_SUFFIXES:%=$(TILES)_avx512%): TILE_CFLAGS += -mavx512f -mavx512dq -mavx512vl -mavx512bw -mfma
$(TILE_SUFFIXES:%=$(TILES)_avx2%): TILE_CFLAGS += -mavx2 -mfma
endif

-include $(OBJECTS:.o=.d) $(MPI_OBJECTS:.o=.d) $(CUDA_OBJECTS:.o=.d) $(NCCL_OBJECTS:.o=.d)

JOBS := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
MAKE_SIDE_BY_SIDE = $(MAKE) --no-print-directory -j$(JOBS)
BUILD = $(MAKE_SIDE_BY_SIDE) all
BUSTED = "$$(command -v busted)" --ignore-lua

# On the CPU: compiling the GPU's part takes longer than the training.
demo:
	@sh scripts/install_dependencies.sh build data
	@$(MAKE_SIDE_BY_SIDE) $(MODULE) mpi
	$(LUA) main.lua $(DEMO_OPTIONS) -save $(DEMO)

# Small enough for minutes on two cores, real enough to be below 15 % error.
DEMO := build/demo
DEMO_OPTIONS ?= -device cpu -dataset fashion-mnist -depth 22 -growthRate 12 -batchSize 32 -nEpochs 1 -lrShape cosine

# Of all that can be built these are the module and its emulated GPU: nvcc takes longer than all specs.
test test-all test-cuda-emulated racecheck-cuda-emulated:
	@sh scripts/install_dependencies.sh build data test
	@$(MAKE_SIDE_BY_SIDE) $(MODULE) mpi
	@$(BUILD_EMULATED) $(EMULATED_CHOICES)
	@$(RUN_SPECS)

test-all test-cuda-emulated racecheck-cuda-emulated: export DENSENET_ALL := 1
test-cuda-emulated racecheck-cuda-emulated: SPECS := spec/cuda
racecheck-cuda-emulated: EMULATED := build/cuda-races
racecheck-cuda-emulated: EMULATED_CHOICES := CXX=g++ RACES=1

# Only cuda.so is another one; the rest is taken from B.
EMULATED := build/cuda-emulated
BUILD_EMULATED = mkdir -p $(EMULATED)/densenet; ln -sf $(abspath $(B)/densenet/core.so) $(wildcard $(abspath $(B)/densenet/mpi.so)) $(EMULATED)/densenet; \
  $(MAKE_SIDE_BY_SIDE) B=$(EMULATED) CUDA=emulated PURE_BUILD=$(B) cuda

# Spec files run side by side, each in a process of its own (run.sh). The longest go first.
SPECS ?= spec
LONGEST := $(patsubst %,spec/%_spec.lua,cuda/cuda_ops cuda/cuda_networks cuda/cuda_dense_ops ops/reference \
  memory/modes memory/plan ops/precision nn/gradient train/main)
SPEC_FILES = $(shell find $(SPECS) -name '*_spec.lua' | LC_ALL=C sort)
TOTALS = $(B)/totals
RUN_SPECS = rm -rf $(TOTALS); mkdir -p $(TOTALS); export LUA=$(LUA) BUILD=$(B) EMULATED=$(EMULATED) TOTALS=$(TOTALS); \
  printf '%s\n' $(filter $(SPEC_FILES),$(LONGEST)) $(filter-out $(LONGEST),$(SPEC_FILES)) | \
  xargs -P $(JOBS) -n 1 sh spec/support/run.sh; \
  cat $(TOTALS)/* | $(LUA) spec/support/totals.lua

test-cuda: all
	@DENSENET_COMPLETE=1 DENSENET_DEVICES=cuda:0 $(LUA) $(BUSTED) --run=cuda $(filter spec/cuda/%,$(SPECS))

# Minutes: steps of two layers. SPECS=spec/cuda for all, which takes hours.
sanitize-cuda: SANITIZER_TOOLS := memcheck racecheck initcheck synccheck
racecheck-cuda: SANITIZER_TOOLS := racecheck
sanitize-cuda racecheck-cuda: SPECS := spec/cuda/cuda_step_spec.lua
sanitize-cuda racecheck-cuda: all
	@for tool in $(SANITIZER_TOOLS); do \
	  echo "compute-sanitizer --tool $$tool"; \
	  DENSENET_COMPLETE=1 DENSENET_DEVICES=cuda:0 compute-sanitizer --tool $$tool --error-exitcode 1 $(LUA) $(BUSTED) --run=cuda $(filter spec/cuda/%,$(SPECS)) || exit 1; \
	done

# clang's warnings need no optimised code, some of gcc's do.
lint:
	@sh scripts/install_dependencies.sh build test lint
	clang-format --dry-run --Werror $(C_FILES)
	luacheck -q $(LUA_FILES)
	@$(BUILD) CC=gcc CXX=g++ CUDA=emulated B=build/lint-gcc EXTRA_CFLAGS=-Werror
	@$(BUILD) CC=clang CXX=clang++ CUDA=emulated B=build/lint-clang EXTRA_CFLAGS="-Werror -O0" NO_OPENMP=1
	@$(BUILD)
	@$(LUA) $(BUSTED) spec/repo/layering_spec.lua
	@$(LUA) $(BUSTED) spec/repo/circles_spec.lua
	@$(MAKE) --no-print-directory docs

machine-code:
	@$(MAKE_SIDE_BY_SIDE) $(MODULE)
	$(LUA) scripts/check_machine_code.lua -nvcc "$(or $(NVCC),$(shell command -v nvcc || echo /usr/local/cuda/bin/nvcc))"

# The interpreter must carry the sanitizers' runtime, so the specs run in a small host of our own.
# Thread-local memory of loaded objects is no place to look for leaks: LeakSanitizer of gcc 12 crashes
# over what it takes for its addresses.
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
asan fuzz: B := build/asan
asan: EMULATED := build/asan-cuda
asan fuzz: LUA := build/asan/lua
asan: export ASAN_OPTIONS := detect_leaks=1:allocator_may_return_null=1:intercept_tls_get_addr=0
asan fuzz: export LSAN_OPTIONS := suppressions=$(CURDIR)/spec/support/leaks.supp:print_suppressions=0
BUILD_HOST = gcc -g $(SANITIZERS) -Wall -Wextra spec/support/lua_host.c -o $(LUA) $$(pkg-config --cflags --libs lua5.4) -Wl,-E
asan:
	@sh scripts/install_dependencies.sh build data test
	@$(BUILD) B=$(B) CUDA=0 EXTRA_CFLAGS="$(SANITIZERS) -O1"
	@$(BUILD_EMULATED) EXTRA_CFLAGS="$(SANITIZERS) -O1"
	$(BUILD_HOST)
	@$(RUN_SPECS)

# FUZZ_OPTIONS=-reader png; scripts/fuzz.lua tells what it does and how a finding is repeated.
fuzz: export ASAN_OPTIONS := detect_leaks=1:allocator_may_return_null=1:intercept_tls_get_addr=0:malloc_context_size=4
fuzz:
	@sh scripts/install_dependencies.sh build
	@$(BUILD) B=$(B) CUDA=0 EXTRA_CFLAGS="$(SANITIZERS) -O1"
	$(BUILD_HOST)
	@DENSENET_BUILD=$(B) $(LUA) scripts/fuzz.lua -minutes $(MINUTES) $(if $(N),-files $(N)) $(FUZZ_OPTIONS)

# A few minutes; BENCH_OPTIONS=-full adds the large networks.
bench: all
	$(LUA) scripts/bench_memory.lua -table $(B)/memory.md -plot $(B)/memory.svg $(BENCH_OPTIONS)
	@cat $(B)/memory.md

# Nothing of it is built into the module: the faults are preloaded.
MINUTES ?= 5
soak:
	@$(MAKE_SIDE_BY_SIDE) $(MODULE) mpi
	@$(CC) -shared -fPIC -O1 -Wall -Wextra spec/support/file_faults.c -o $(B)/file_faults.so -ldl
	@DENSENET_BUILD=$(B) $(LUA) scripts/soak.lua -minutes $(MINUTES) \
	  -faults $(B)/file_faults.so $(SOAK_OPTIONS)

# The programs lie beside the module, as in this checkout, and `densenet` finds them there.
PROGRAMS = $(DESTDIR)$(LUADIR)/densenet/programs
install: all
	install -d "$(DESTDIR)$(LUADIR)" "$(DESTDIR)$(LIBDIR)/densenet" "$(PROGRAMS)/scripts" "$(DESTDIR)$(BINDIR)"
	cp -R lua/densenet "$(DESTDIR)$(LUADIR)/"
	install -m 644 main.lua "$(PROGRAMS)"
	install -m 644 scripts/*.lua scripts/*.py "$(PROGRAMS)/scripts"
	install -m 755 scripts/densenet "$(DESTDIR)$(BINDIR)"
	install -m 755 $(MODULE) "$(DESTDIR)$(LIBDIR)/densenet/core.so"
	$(if $(MPI_BUILD),install -m 755 $(MPI_MODULE) "$(DESTDIR)$(LIBDIR)/densenet/mpi.so")
	$(if $(filter nvcc,$(CUDA_BUILD)),install -m 755 $(CUDA_MODULE) "$(DESTDIR)$(LIBDIR)/densenet/cuda.so")
	$(if $(and $(filter nvcc,$(CUDA_BUILD)),$(HAS_NCCL)),install -m 755 $(NCCL_MODULE) "$(DESTDIR)$(LIBDIR)/densenet/nccl.so")

# LDoc says what it cannot read in a comment; that is an error.
docs:
	@sh scripts/install_dependencies.sh docs
	@mkdir -p $(B)
	@ldoc -q -c docs/config.ld -d $(abspath $(B))/docs . > /dev/null 2> $(B)/docs.log; status=$$?; cat $(B)/docs.log; \
	  [ $$status -eq 0 ] && [ ! -s $(B)/docs.log ]
	@echo "$(B)/docs/index.html"

help:
	@sed -n '/^$$/q; s/^# \{0,1\}//p' Makefile

env:
	@echo "export LUA_PATH_5_4='$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;';"
	@echo "export LUA_CPATH_5_4='$(CURDIR)/build/?.so;;';"
	@echo "export LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;';"

clean:
	rm -rf build

.PHONY: all cuda mpi demo test test-all test-cuda test-cuda-emulated racecheck-cuda-emulated sanitize-cuda racecheck-cuda lint machine-code asan bench soak fuzz \
  install docs help env clean
