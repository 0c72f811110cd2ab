#!/usr/bin/env bash
# Finds the two binaries among the runfiles. See compare.py.
set -euo pipefail
root=${RUNFILES_DIR:-$0.runfiles}
exec python3 "$root/serf/testing/bench/compare.py" --ours "$root/serf/cmd/serf" \
  --other "$root/debian_serf/bin/serf" "$@"
