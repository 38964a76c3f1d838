#!/bin/sh
# Installs what a target of the Makefile needs, on Debian and Ubuntu; elsewhere lists it.
#
#   scripts/install_dependencies.sh build [data] [docs] [test] [lint]
#
# Asks the system before apt: where everything is there, it does nothing and needs no rights.
set -u

missing=
wanted=
need() { # package, then a command that succeeds when it is there
  package=$1
  shift
  "$@" > /dev/null 2>&1 || missing="$missing $package"
}
has_header() { for directory in /usr/include /usr/include/*-linux-gnu /usr/local/include; do
  [ -e "$directory/$1" ] && return 0
done; return 1; }
has_library() { for directory in /usr/lib /usr/lib/*-linux-gnu /usr/lib64 /usr/local/lib; do
  [ -e "$directory/lib$1.so" ] && return 0
done; return 1; }
has_fast_blas() {
  [ -n "${BLAS_LIBS:-}" ] || pkg-config --exists openblas 2> /dev/null ||
    has_library openblas || has_library mkl_rt || has_library blis || has_library armpl
}
# What is only wanted may be missing in the end: no PNG is better than no module.
want() { # package, then a command that succeeds when it is there
  package=$1
  shift
  "$@" > /dev/null 2>&1 || wanted="$wanted $package"
}
# Ends with the reason in $1, unless nothing is missing that a build needs.
give_up() {
  [ -z "$missing" ] && {
    echo "densenet: goes on without$wanted: slower, or without a format of images or several processes ($1)" >&2
    exit 0
  }
  echo "densenet: $1" >&2
  exit 1
}
has_busted() { lua5.4 -e 'require "busted.core"'; }
has_discount() { ls /usr/lib/*/lua/5.*/discount.so; }

for group in "$@"; do
  case $group in
    build)
      need gcc command -v "${CC:-cc}"
      need make command -v make
      need libc6-dev has_header stdio.h
      need pkg-config command -v pkg-config
      need lua5.4 command -v lua5.4
      need liblua5.4-dev has_header lua5.4/lua.h
      want libopenblas-dev has_fast_blas
      need zlib1g-dev has_header zlib.h
      want libjpeg-dev has_header jpeglib.h
      want libpng-dev has_header png.h
      ;;
    data) need dataset-fashion-mnist test -e "${FASHION_MNIST_DIR:-/usr/share/datasets/fashion-mnist}/train-images-idx3-ubyte.gz" ;;
    test)
      need lua-busted has_busted
      need g++ command -v "${CXX:-g++}"
      need luarocks command -v luarocks
      want libopenmpi-dev command -v "${MPICC:-mpicc}"
      want openmpi-bin command -v mpirun
      want iproute2 command -v ip # two machines made of one
      need locales test -e /usr/share/i18n/locales/de_DE
      need lua5.1 command -v lua5.1 # told to use another one
      need lua5.3 command -v lua5.3
      ;;
    lint)
      need lua-check command -v luacheck
      need clang command -v clang
      need clang-format command -v clang-format
      need gcc command -v gcc
      ;;
    docs)
      need lua-ldoc command -v ldoc
      need lua-discount has_discount
      ;;
    *) echo "install_dependencies.sh: unknown group '$group'; expected build, data, docs, test or lint" >&2; exit 2 ;;
  esac
done
[ -n "$missing$wanted" ] || exit 0
packages="$missing$wanted"
if ! command -v apt-get > /dev/null 2>&1; then
  give_up "no apt-get here; please install what your system calls these packages of Debian:$packages"
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo > /dev/null 2>&1 ||
    give_up "not root and no sudo; as root, run: apt-get install$packages"
  as_root=sudo
fi
echo "installing:$packages"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp) || exit 1
install() { $as_root apt-get install -y --no-install-recommends $1 > "$log" 2>&1; }
# A machine whose package lists are missing or old gets one update and a second try.
install "$packages" || { $as_root apt-get update > "$log" 2>&1 && install "$packages"; } || {
  [ -n "$missing" ] && install "$missing" && missing=
  [ -z "$missing" ] || cat "$log" >&2
  rm -f "$log"
  give_up "apt-get could not install:$packages"
}
rm -f "$log"
