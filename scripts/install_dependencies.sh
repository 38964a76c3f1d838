#!/bin/sh
# Installs what a target of the Makefile needs, on Debian and Ubuntu; elsewhere lists it.
#
#   scripts/install_dependencies.sh build [data] [docs] [test] [lint]
#
# Asks the system before apt: where everything is there, it does nothing and needs no rights.
set -u

missing=
need() { # package, then a command that succeeds when it is there
  package=$1
  shift
  "$@" > /dev/null 2>&1 || missing="$missing $package"
}
has_header() { for directory in /usr/include /usr/include/*-linux-gnu /usr/local/include; do
  [ -e "$directory/$1" ] && return 0
done; return 1; }
has_cblas() { has_header cblas.h || has_header openblas/cblas.h || pkg-config --exists openblas; }
has_busted() { lua5.4 -e 'require "busted.core"'; }

for group in "$@"; do
  case $group in
    build)
      need gcc command -v "${CC:-cc}"
      need make command -v make
      need libc6-dev has_header stdio.h
      need pkg-config command -v pkg-config
      need lua5.4 command -v lua5.4
      need liblua5.4-dev has_header lua5.4/lua.h
      need libopenblas-dev has_cblas
      need zlib1g-dev has_header zlib.h
      ;;
    data) need dataset-fashion-mnist test -e "${FASHION_MNIST_DIR:-/usr/share/datasets/fashion-mnist}/train-images-idx3-ubyte.gz" ;;
    test)
      need lua-busted has_busted
      need g++ command -v "${CXX:-g++}"
      need luarocks command -v luarocks
      ;;
    lint)
      need lua-check command -v luacheck
      need clang command -v clang
      need clang-format command -v clang-format
      need gcc command -v gcc
      ;;
    docs) need lua-ldoc command -v ldoc ;;
    *) echo "install_dependencies.sh: unknown group '$group'; expected build, data, docs, test or lint" >&2; exit 2 ;;
  esac
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get > /dev/null 2>&1; then
  echo "densenet: these are missing; please install what your system calls them:" >&2
  for package in $missing; do echo "  $package (Debian's name)" >&2; done
  exit 1
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo > /dev/null 2>&1 || {
    echo "densenet: not root and no sudo; as root, run: apt-get install$missing" >&2
    exit 1
  }
  as_root=sudo
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp) || exit 1
install() { $as_root apt-get install -y --no-install-recommends $missing > "$log" 2>&1; }
# A machine whose package lists are missing or old gets one update and a second try.
install || { $as_root apt-get update > "$log" 2>&1 && install; } || {
  cat "$log" >&2
  echo "densenet: apt-get could not install:$missing" >&2
  rm -f "$log"
  exit 1
}
rm -f "$log"
