#!/bin/sh
# Runs one spec file, prints all that it said when it ends, and leaves its counts in the directory TOTALS
# (report.lua, totals.lua). A file that ended in another way than its counts say has failed once more.
#
# Environment: LUA, the interpreter; BUILD and EMULATED, where the module is and where it has an emulated
# GPU; TOTALS.
file=$1
export DENSENET_TOTALS="$TOTALS/$(echo "$file" | tr / -)" DENSENET_BUILD="$BUILD"
# Open MPI looks localhost up: on a bare machine without /etc/hosts by name servers, whose answers may get lost.
export RES_OPTIONS="timeout:1 attempts:2"
case $file in
  spec/cuda/*) # an emulated GPU computes on one core
    export DENSENET_BUILD="$EMULATED" DENSENET_DEVICES="cuda:0 cuda:1" OMP_NUM_THREADS=1
    set -- --run=cuda "$file"
    ;;
esac
output=$("$LUA" "$(command -v busted)" --ignore-lua "$@" 2>&1)
status=$?
printf '%s\n' "$output"
counted='passed, [1-9][0-9]* failed,'
[ "$status" -ne 0 ] || counted='passed, 0 failed,'
grep -q "$counted" "$DENSENET_TOTALS" 2> /dev/null || {
  echo "failed: $file ended with status $status"
  echo "0 passed, 1 failed, 0 skipped" >> "$DENSENET_TOTALS"
}
