#!/usr/bin/env bash
# Finds the programs among the runfiles. See compare.py.
set -euo pipefail
root=${RUNFILES_DIR:-$0.runfiles}
exec python3 "$root/serf/testing/bench/compare.py" --ours "$root/serf/cmd/serf" \
  --known go-0.9.4="$root/debian_serf/bin/serf" \
  --known go-0.10.1="$root/debian_serf_0_10/bin/serf" \
  --known kernel="$root/serf/testing/bench/rpc_floor" "$@"
