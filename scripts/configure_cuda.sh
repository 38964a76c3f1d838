#!/bin/sh
# Finds what the CUDA backend and NCCL, which joins GPUs, need, says in a line each what it found, and writes
# the answer as make variables to the file named in $1. Called by the Makefile where that backend is to be built.
#
# Read from the environment: CUDA (0: left out; emulated: for tests), NVCC, CUDA_ARCHS (for example "80 90"),
# NCCL (0: left out).
set -u
output=$1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
{ :; } > "$work/out"

put() { printf '%s := %s\n' "$1" "$2" >> "$work/out"; }
say() { printf '%-12s %s\n' "$1" "$2"; }

# nvcc, and the headers and libraries of cuBLAS and cuDNN that it finds.
cuda=none
nvcc=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
cuda_program='#include <cublas_v2.h>
#include <cudnn.h>
#if CUDNN_VERSION < 90800
#error cuDNN 9.8 or later is needed
#endif
int main() { return cudnnGetVersion() == 0; }'
if [ "${CUDA:-}" = emulated ]; then
  cuda=emulated
  say CUDA "emulated on the host, for tests"
elif [ "${CUDA:-}" = 0 ]; then
  say CUDA "left out on request"
elif ! command -v "$nvcc" > /dev/null 2>&1; then
  say CUDA "no nvcc: the module computes on the CPU"
else
  printf '%s\n' "$cuda_program" > "$work/try.cu"
  if "$nvcc" "$work/try.cu" -o "$work/try" -cudart shared -lcublas -lcudnn > "$work/log" 2>&1; then
    cuda=nvcc
    archs=${CUDA_ARCHS:-80 90}
    code=
    for arch in $archs; do code="$code -gencode arch=compute_$arch,code=sm_$arch"; last=$arch; done
    say CUDA "$("$nvcc" --version | sed -n 's/^Cuda compilation tools, //p'): for sm $archs and later"
    put NVCC_FOUND "$nvcc"
    put CUDA_CODE "$code -gencode arch=compute_$last,code=compute_$last"
  else
    say CUDA "nvcc is there, but not cuBLAS and cuDNN 9.8 or later with their headers: the module computes on the CPU"
    grep -m 1 -E 'error|cannot find' "$work/log" | sed "s,$work/,,g; s/^/             /"
  fi
fi
put CUDA_BUILD "$cuda"

# NCCL's header and library, where nvcc finds them. What is linked is not run here, so no driver is needed.
nccl=none
nccl_program='#include <nccl.h>
#if NCCL_VERSION_CODE < NCCL_VERSION(2, 14, 0)
#error NCCL 2.14 or later is needed
#endif
int main() { int version; return ncclGetVersion(&version) != ncclSuccess; }'
if [ "$cuda" = none ]; then
  :
elif [ "${NCCL:-}" = 0 ]; then
  say NCCL "left out on request: one GPU trains"
elif [ "$cuda" = emulated ]; then
  nccl=emulated
  say NCCL "emulated between processes, for tests"
else
  printf '%s\n' "$nccl_program" > "$work/try_nccl.cu"
  if "$nvcc" "$work/try_nccl.cu" -o "$work/try" -cudart shared -lnccl > "$work/log" 2>&1; then
    nccl=nvcc
    printf '#include <nccl.h>\n=NCCL_MAJOR NCCL_MINOR NCCL_PATCH\n' > "$work/version.cu"
    say NCCL "$("$nvcc" -E "$work/version.cu" 2> /dev/null | sed -n 's/^=//p' | tr ' ' .): several GPUs train together"
  else
    say NCCL "not found with its header: one GPU trains (Debian, Ubuntu with NVIDIA's packages: apt-get install libnccl-dev)"
    grep -m 1 -E 'error|cannot find' "$work/log" | sed "s,$work/,,g; s/^/             /"
  fi
fi
put NCCL_BUILD "$nccl"

mkdir -p "$(dirname "$output")" && mv "$work/out" "$output"
