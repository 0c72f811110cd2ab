#!/usr/bin/env bash
# Finds the two binaries among the runfiles; see compare.py.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${RUNFILES_DIR:-$0.runfiles}
exec python3 "$here/compare.py" --ours "$root/serf/cmd/serf" \
  --other "$root/debian_serf/bin/serf" "$@"
