#!/usr/bin/env bash
# Finds the script and the programs among the runfiles. See chaos.py.
set -euo pipefail
root=${RUNFILES_DIR:-$0.runfiles}
exec python3 "$root/serf/testing/chaos/chaos.py" --ours "$root/serf/cmd/serf" \
  --clock-step "$root/serf/testing/chaos/libclock_step.so" \
  --go-0.9.4 "$root/debian_serf/bin/serf" --go-0.10.1 "$root/debian_serf_0_10/bin/serf" "$@"
