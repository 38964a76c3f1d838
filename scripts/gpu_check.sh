#!/bin/sh
# A GPU's first fifteen minutes with densenet, in one command. Build before it; nothing is fetched.
#
#   sh scripts/gpu_check.sh OUT
#
# Every part has a limit of time and writes a file of its own into OUT, so that a run that is cut loses only what
# follows; OUT/report.md is written anew after each part. What a part needs and does not find, it says in a sentence.
#
# Environment: MINUTES (15); LUA (lua5.4); PYTHON (python3); DEVICE (cuda:0); DENSENET_BUILD (build);
# DATA, a directory of Fashion-MNIST; SPECS, spec files; PEER, a program beside which steps are timed;
# PARTS, those to run; TINY=1, the smallest sizes, to try the script itself, without a GPU too.
set -u

here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$here" || exit 1
export DENSENET_BUILD="${DENSENET_BUILD:-build}"
LUA=${LUA:-lua5.4}
PYTHON=${PYTHON:-python3}
DEVICE=${DEVICE:-cuda:0}
DATA=${DATA:-/usr/share/datasets/fashion-mnist}
PEER=${PEER:-scripts/torch_peer.py}
TINY=${TINY:-}
STEP_SECONDS=${STEP_SECONDS:-40} # for one measurement of a step at most
module=$DENSENET_BUILD/densenet/cuda.so

# Ends a part that cannot run, with the reason.
leave_out() {
  echo "left out: $1"
  exit 3
}

there() { command -v "$1" > /dev/null 2>&1; }

# One measurement; a failed one says so and the next one follows. It ends with the part that it belongs to (foreground),
# and does not go on beside the next one.
try() {
  timeout --foreground -k 2 "$STEP_SECONDS" "$@" || echo "failed with status $?: $*"
}

is_built_with() { grep -q "$1" "$module"; }
has_graphs() { "$LUA" -e 'dofile "scripts/setup.lua" os.exit((pcall(require, "densenet.captured")))' scripts/gpu_step.lua; }

if [ -n "$TINY" ]; then
  small="-depth 10 -growthRate 4 -size 8 -batchSize 4 -steps 1 -warmup 2 -repeats 1"
  two_layers=$small
  precisions="bfloat16 single" modes=4
else
  precisions="bfloat16 tf32 single" modes="4 5"
  small="-depth 100 -growthRate 12 -size 32"
  two_layers="-depth 16 -growthRate 12 -size 16 -batchSize 4 -steps 1 -warmup 2"
fi

step() { try "$LUA" scripts/gpu_step.lua -device "$DEVICE" "$@"; }

# A step in every way that the build has: plainly, captured, and each without the fused kernels.
ways() {
  step "$@"
  if has_graphs; then step "$@" -captured; fi
  case " $* " in *" -precision single "*) return ;; esac # has no fused kernels
  if is_built_with DENSENET_CUDA_FUSED; then
    DENSENET_CUDA_FUSED=0 step "$@"
    if has_graphs; then DENSENET_CUDA_FUSED=0 step "$@" -captured; fi
  fi
}

clocks() {
  there nvidia-smi || { echo "clocks: there is no nvidia-smi"; return; }
  nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,temperature.gpu,power.draw --format=csv
}

# ---- The parts ----

part_device() {
  clocks
  if [ -n "$TINY" ]; then
    try "$LUA" scripts/gpu_ceilings.lua -device "$DEVICE" -bytes 4096 -side 16 -repeats 1 -launches 5 -nodes 10 \
      -rounds 1
  else
    try "$LUA" scripts/gpu_ceilings.lua -device "$DEVICE"
  fi
}

part_convolutions() {
  if [ -n "$TINY" ]; then shapes="-batchSize 1 -repeats 1 -tiny"; else shapes=""; fi
  DENSENET_CUDA_FUSED=0 try "$LUA" scripts/gpu_shapes.lua -device "$DEVICE" $shapes
  try "$LUA" scripts/gpu_shapes.lua -device "$DEVICE" $shapes -onlyFused
}

# The files that say most come first; those of several processes, and of this script, are left to `make test-cuda`.
spec_files() {
  if [ -n "${SPECS:-}" ]; then printf '%s\n' $SPECS; return; fi
  ls spec/cuda/*graph*_spec.lua spec/cuda/*fused*_spec.lua spec/cuda/*packets*_spec.lua 2> /dev/null
  ls spec/cuda/cuda_*_spec.lua | grep -v -e nccl -e report -e check -e two_machines -e graph -e fused -e packets
}

part_specs() {
  there busted || leave_out "there is no busted"
  mkdir -p "$OUT/specs"
  export OUT LUA DEVICE
  spec_files | xargs -P 4 -n 1 sh -c '
    unset DENSENET_TOTALS
    DENSENET_COMPLETE=1 DENSENET_DEVICES=$DEVICE OMP_NUM_THREADS=1 "$LUA" "$(command -v busted)" --ignore-lua \
      --run=cuda "$1" > "$OUT/specs/${1##*/}.txt" 2>&1 < /dev/null
    status=$?
    echo "$1: $(tail -n 1 "$OUT/specs/${1##*/}.txt")"
    exit "$status"' sh
}

part_sanitizer() {
  there compute-sanitizer || leave_out "there is no compute-sanitizer"
  for tool in memcheck racecheck; do
    for way in "" -captured; do
      if [ -n "$way" ] && ! has_graphs; then continue; fi
      echo "== $tool${way:+, captured}"
      try compute-sanitizer --tool "$tool" --report-api-errors no --error-exitcode 9 "$LUA" scripts/gpu_step.lua -device "$DEVICE" \
        $two_layers $way
    done
  done
}

part_steps() {
  for precision in $precisions; do
    for mode in $modes; do
      ways $small -precision "$precision" -optMemory "$mode"
    done
  done
  [ -n "$TINY" ] && return
  for precision in $precisions; do ways $small -batchSize 256 -precision "$precision"; done
  for megabytes in 16 32; do
    for precision in bfloat16 single; do
      DENSENET_CUDA_CHUNK_MB=$megabytes DENSENET_CUDA_FUSED=0 step $small -precision "$precision"
    done
  done
}

part_operations() {
  for precision in bfloat16 single; do step $small -precision "$precision" -operations; done
}

# One kernel after the other of a step, as it runs fastest here.
part_kernels() {
  for precision in $precisions; do
    if has_graphs; then
      step $small -precision "$precision" -captured -kernels
    else
      step $small -precision "$precision" -kernels
    fi
  done
}

part_peer() {
  there "$PYTHON" || leave_out "there is no $PYTHON"
  "$PYTHON" -c 'import torch' 2> /dev/null || leave_out "$PYTHON has no torch"
  "$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || leave_out "torch sees no GPU"
  PYTHONWARNINGS=ignore "$PYTHON" "$PEER" --all --device cuda --seconds 130 --depth 100 --growth 12 --batch 64
}

part_larger() {
  [ -n "$TINY" ] && leave_out "TINY has no larger networks"
  for precision in bfloat16 tf32; do
    ways -netType densenet121 -nClasses 1000 -size 224 -batchSize 128 -steps 5 -precision "$precision"
    ways -depth 190 -growthRate 40 -size 32 -batchSize 64 -steps 5 -precision "$precision"
  done
}

# Epochs until the time is over: the end by the clock is the one that is meant.
part_training() {
  [ -e "$DATA" ] || leave_out "there is no directory $DATA (DATA names one of Fashion-MNIST)"
  if [ -n "$TINY" ]; then
    options="-depth 10 -growthRate 4 -batchSize 4 -trainSize 8 -testSize 4 -nEpochs 1"
  else
    options="-depth 100 -growthRate 12 -batchSize 64 -precision bfloat16 -nEpochs 1000"
  fi
  "$LUA" main.lua -dataset fashion-mnist -data "$DATA" -device "$DEVICE" -save "$OUT/training" $options
}

part_clocks() { clocks; }

if [ "${1:-}" = --part ]; then
  OUT=$3
  "part_$2"
  exit
fi

# ---- One after the other ----

OUT=${1:-}
if [ -z "$OUT" ] || [ $# -ne 1 ]; then
  echo "usage: sh scripts/gpu_check.sh OUT      OUT: a directory for what is found (its options are told in its first lines)" >&2
  exit 2
fi
mkdir -p "$OUT" && OUT=$(CDPATH='' cd -- "$OUT" && pwd) || exit 1
if [ ! -e "$module" ]; then
  echo "gpu_check.sh: there is no $module; build it first (make)" >&2
  exit 1
fi
start=$(date +%s)
deadline=$((start + ${MINUTES:-15} * 60))
: > "$OUT/parts.txt"
git rev-parse --short HEAD > "$OUT/commit.txt" 2> /dev/null

# A part by its name, within so many seconds and those that are left.
run_part() {
  name=$1 limit=$2
  [ -n "$TINY" ] && limit=600 # an emulated GPU is slow
  case " ${PARTS:-$name} " in *" $name "*) ;; *) return ;; esac
  began=$(date +%s)
  left=$((deadline - began))
  [ "$limit" -gt "$left" ] && limit=$left
  if [ "$limit" -lt 3 ]; then
    state="not reached: the time was over"
  else
    timeout -k 5 "$limit" sh scripts/gpu_check.sh --part "$name" "$OUT" > "$OUT/$name.txt" 2>&1 < /dev/null
    status=$?
    case $status in
      0) state=done ;;
      3) state=$(tail -n 1 "$OUT/$name.txt") ;;
      124 | 137) state="cut off after $limit s" ;;
      *) state="failed with status $status" ;;
    esac
  fi
  took=$(($(date +%s) - began))
  printf '%s\t%s\t%s\n' "$name" "$state" "$took" >> "$OUT/parts.txt"
  echo "$name: $state, $took s"
  "$LUA" scripts/gpu_report.lua -check "$OUT" > "$OUT/report.new" && mv "$OUT/report.new" "$OUT/report.md"
}

run_part device 45
run_part convolutions 45
run_part specs 150
run_part sanitizer 75
run_part steps 150
run_part kernels 45
run_part operations 60
run_part peer 160
run_part larger 100
run_part training $((deadline - $(date +%s) - 10))
run_part clocks 10
echo "$OUT/report.md"
