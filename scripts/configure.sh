#!/bin/sh
# Finds what the module needs, says in one line each what it found and what it does without, and
# writes the answers as make variables to the file named in $1. Called by the Makefile, as is
# configure_cuda.sh.
#
# Read from the environment: CC, ARCH (for -march; empty: the compiler's default), LUA_INCDIR,
# BLAS_LIBS (for example "-lmkl_rt"), NO_OPENMP=1, NO_JPEG=1, NO_PNG=1, MPI=0, MPICC (mpicc.mpich...).
set -u
output=$1
CC=${CC:-cc}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
{ :; } > "$work/out"

put() { printf '%s := %s\n' "$1" "$2" >> "$work/out"; }
say() { printf '%-12s %s\n' "$1" "$2"; }
missing() {
  printf 'densenet: %s\n' "$@" >&2
  exit 1
}

# Does a program with the headers and body in $1 compile and link with the flags that follow?
try() {
  printf '%s\n' "$1" > "$work/try.c"
  shift
  "$CC" "$work/try.c" -o "$work/try" "$@" > "$work/log" 2>&1
}

command -v "$CC" > /dev/null 2>&1 ||
  missing "no C compiler: '$CC' is not there" \
    "install one (Debian, Ubuntu: apt-get install gcc) or name it: make CC=clang"
say compiler "$("$CC" --version | head -n 1)"

# Lua 5.4's headers; the library itself is the interpreter that loads the module.
lua_flags=
if [ -n "${LUA_INCDIR:-}" ]; then
  lua_flags=-I$LUA_INCDIR
else
  for name in lua5.4 lua-5.4 lua54 lua; do
    if pkg-config --exists "$name >= 5.4" "$name < 5.5" 2> /dev/null; then
      lua_flags=$(pkg-config --cflags "$name")
      break
    fi
  done
fi
lua_program='#include <lua.h>
#if LUA_VERSION_NUM != 504
#error Lua 5.4 is needed
#endif
int main(void) { return 0; }'
try "$lua_program" $lua_flags || { lua_flags=-I/usr/include/lua5.4 && try "$lua_program" $lua_flags; } ||
  missing "no Lua 5.4 headers (lua.h)" \
    "install them (Debian, Ubuntu: apt-get install liblua5.4-dev) or say where: make LUA_INCDIR=DIR"
say Lua "5.4 headers (${lua_flags:-on the compiler's path})"
put LUA_CFLAGS "$lua_flags"

# A fast CBLAS for products of large matrices, if there is one. The module opens the file found here when it
# first needs it, by its plain name where that finds it at run time too.
probe=$(dirname "$0")/blas_probe.c
"$CC" -O2 "$probe" -o "$work/open" -ldl > "$work/log" 2>&1 || {
  cat "$work/log" >&2
  missing "the compiler '$CC' does not compile $probe"
}
ask_blas() { # the flags of a linker; leaves file, speed and name of the library
  "$CC" -O2 -DLINKED "$probe" -o "$work/linked" "$@" -ldl > "$work/log" 2>&1 || return 1
  path=$("$work/linked") || return 1
  for file in "${path##*/}" "$path"; do
    answer=$("$work/open" "$file" 2> /dev/null) || continue
    speed=${answer%% *}
    name=${answer#* }
    return 0
  done
  return 1
}
library=
slow_library=
while IFS= read -r flags; do
  ask_blas $flags || continue
  [ "$speed" = fast ] && library=$file && break
  [ -n "$slow_library" ] || slow_library=$file slow_name=$name
done << EOF
${BLAS_LIBS:-$(pkg-config --libs openblas 2> /dev/null)
-lopenblas
-lmkl_rt
-lblis
-larmpl
-framework Accelerate
-lcblas -lblas
-lcblas
-lblas}
EOF
if [ -n "$library" ]; then
  say CBLAS "$name ($library): multiplies large matrices"
elif [ -n "$slow_library" ] && [ -n "${BLAS_LIBS:-}" ]; then
  library=$slow_library
  say CBLAS "$slow_name ($library), as BLAS_LIBS says: slower than the module's own products"
elif [ -n "${BLAS_LIBS:-}" ]; then
  missing "no CBLAS: a program with cblas_sgemm does not run with BLAS_LIBS=$BLAS_LIBS as a shared library"
else
  say CBLAS "none that is fast: the module's own products multiply (OpenBLAS is faster for large matrices)"
fi
put BLAS_LIBRARY "$library"

try '#include <zlib.h>
int main(void) { return zlibVersion()[0] == 0; }' -lz ||
  missing "no zlib (zlib.h)" "install it (Debian, Ubuntu: apt-get install zlib1g-dev)"
say zlib "found: compressed data files are read as they are"

# Libraries of image formats; BMP and PPM need none.
find_format() { # format, its NO_... choice, library, package, flags to link with, a program
  if [ -n "$2" ]; then
    say "$1" "left out on request: no $1 images"
  elif try "$6" $5; then
    say "$1" "found: $3 reads images"
    put "$1_CFLAGS" "-DDN_HAVE_$1"
    put "$1_LIBS" "$5"
  else
    say "$1" "no $3, so no $1 images (Debian, Ubuntu: apt-get install $4, then make)"
  fi
}
find_format JPEG "${NO_JPEG:-}" libjpeg libjpeg-dev -ljpeg '#include <stdio.h>
#include <jpeglib.h>
int main(void) {
  struct jpeg_decompress_struct jpeg;
  jpeg_mem_src(&jpeg, 0, 0);
  return 0;
}'
find_format PNG "${NO_PNG:-}" libpng libpng-dev "-lpng -lz" '#include <png.h>
int main(void) { return png_access_version_number() == 0; }'

# An MPI joins processes that train together on CPUs; it is an object of its own, beside the module.
mpi=
mpicc=${MPICC:-mpicc}
mpi_program='#include <mpi.h>
#if MPI_VERSION < 3
#error MPI 3.1 is needed
#endif
int main(void) { return MPI_VERSION < 3; }'
if [ "${MPI:-}" = 0 ]; then
  say MPI "left out on request: one process trains on CPUs"
elif ! command -v "$mpicc" > /dev/null 2>&1; then
  say MPI "no $mpicc: one process trains on CPUs (Debian, Ubuntu: apt-get install libopenmpi-dev openmpi-bin)"
else
  # What mpicc adds to a compiler, so that the module's own compiler is used: -show is MPICH's and Open MPI's.
  mpi_flags=$("$mpicc" -show 2> /dev/null | cut -s -d' ' -f2-)
  if try "$mpi_program" $mpi_flags; then
    mpi=found
    say MPI "found: $("$mpicc" -show | cut -d' ' -f2- | tr -s ' ' | cut -c1-60)"
    put MPI_FLAGS "$mpi_flags"
  else
    say MPI "$mpicc is there but compiles nothing for MPI 3: one process trains on CPUs"
  fi
fi
put MPI_BUILD "$mpi"

arch=
if [ -z "${ARCH:-}" ]; then
  say vectors "the compiler's default, and loops for AVX2 and AVX-512 that are chosen at run time (ARCH=native: for this machine)"
elif try 'int main(void) { return 0; }' "-march=$ARCH"; then
  arch=-march=$ARCH
  say vectors "$arch: the module runs on this kind of processor (ARCH=x86-64-v3 for a wider choice)"
else
  say vectors "the compiler's default: it does not know -march=$ARCH"
fi
put ARCH_CFLAGS "$arch"

# gcc's pragmas run on the threads of src/cpu/cpu_parallel.c, clang's on those of its own library.
openmp=
openmp_link=
if [ -n "${NO_OPENMP:-}" ]; then
  say OpenMP "left out on request: one thread computes"
elif try '#include <omp.h>
int main(void) { return omp_get_max_threads() < 1; }' -fopenmp; then
  openmp=-fopenmp
  try '#ifdef __clang__
#error the library is needed
#endif
int main(void) { return 0; }' || openmp_link=-fopenmp
  say OpenMP "found: operations use every processor"
else
  say OpenMP "not found: one thread computes (Debian's clang: apt-get install libomp-dev)"
fi
put OPENMP "$openmp"
put OPENMP_LINK "$openmp_link"

mkdir -p "$(dirname "$output")" && mv "$work/out" "$output"
