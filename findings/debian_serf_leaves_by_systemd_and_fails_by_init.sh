#!/usr/bin/env bash
# The package serf 0.9.4~ds1-1+b13 of Debian 12, which has a unit of systemd and a script for init.
#
# Guess: both stop the agent in the same way.
# Seen: the unit sends SIGINT, at which the agent leaves, and the script sends SIGTERM, at which by
# default it does not. A host that is shut down by the one is a member that left; by the other it is one
# that failed, with what handlers do about it, and the others try for days to reach it.
set -euo pipefail

dir=$(mktemp -d)
agents=()
trap 'for p in "${agents[@]}"; do kill "$p" 2>/dev/null || true; done; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
serf=$dir/usr/bin/serf
start() {  # NAME NUMBER FLAGS...
  local name=$1 address=127.9.19.$2
  shift 2
  "$serf" agent -node="$name" -profile=local -bind="$address:7946" -rpc-addr="$address:7373" "$@" >"$name.log" 2>&1 &
  agents+=($!)
  until "$serf" members -rpc-addr="$address:7373" >/dev/null 2>&1; do sleep 0.1; done
}
members() { "$serf" members -rpc-addr=127.9.19.1:7373; }
status() { members | awk -v name="$1" '$1 == name { print $3 }'; }
start watcher 1
start unit 2 -join=127.9.19.1:7946
start init 3 -join=127.9.19.1:7946
until (($(members | grep -c alive) == 3)); do sleep 0.1; done
sleep 1  # the news of the joins is through

by_unit=$(sed -n 's/^KillSignal=SIG//p' lib/systemd/system/serf.service)
by_init=$(sed -n 's/.*--stop .*--retry=\([A-Z]*\).*--pidfile.*/\1/p' etc/init.d/serf)
kill -"$by_unit" "${agents[1]}"
kill -"$by_init" "${agents[2]}"
for _ in $(seq 300); do (($(members | grep -c alive) == 1)) && break; sleep 0.1; done

failed=0
check() {  # WHAT EXPECTED SEEN
  echo "$1: $3"
  [[ $2 == "$3" ]] || { echo "  was expected to be: $2"; failed=1; }
}
check 'stopped by the signal of the unit' 'INT left' "$by_unit $(status unit)"
check 'stopped by the signal of the script' 'TERM failed' "$by_init $(status init)"
exit $failed
