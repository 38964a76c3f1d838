# Provisional: enough to build and to run one spec while the rooms are being filled.
CC ?= cc
ARCH ?= native
LUA_CFLAGS := $(shell pkg-config --cflags lua5.4)
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -Werror
CFLAGS += -std=c11 -D_POSIX_C_SOURCE=200809L -O3 -g -march=$(ARCH) -fPIC -fvisibility=hidden -fopenmp -pthread $(WARN)
LDLIBS := -lopenblas -lz -lm -lpthread
SRC := $(wildcard src/*.c src/cpu/*.c src/bind/*.c)
OBJ := $(SRC:%.c=build/obj/%.o)
all: build/densenet/core.so
build/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LUA_CFLAGS) -MMD -c $< -o $@
build/densenet/core.so: $(OBJ)
	@mkdir -p $(@D)
	$(CC) -shared -fopenmp -o $@ $(OBJ) $(LDLIBS)
-include $(OBJ:.o=.d)
clean:
	rm -rf build
.PHONY: all clean
