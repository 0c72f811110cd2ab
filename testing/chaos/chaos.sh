#!/usr/bin/env bash
# Finds the programs among the runfiles; see chaos.py.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${RUNFILES_DIR:-$0.runfiles}
exec python3 "$here/chaos.py" --ours "$root/serf/cmd/serf" \
  --clock-step "$root/serf/testing/chaos/libclock_step.so" \
  --go-0.9.4 "$root/debian_serf/bin/serf" --go-0.10.1 "$root/debian_serf_0_10/bin/serf" "$@"
