#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12): an agent that was sent events while it was alone joins a cluster.
#
# Guess: without -replay nobody is told of events from before the join.
# Seen: the joining agent is not told of the cluster's old events, but the cluster's handlers run for
# all of its: the setting belongs to the one that joins, and who is joined takes the other's state like
# any. Which of two clusters runs which scripts depends on who typed the join.
set -euo pipefail

dir=$(mktemp -d)
agents=()
trap 'for p in "${agents[@]}"; do kill "$p" 2>/dev/null || true; done; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
serf=$dir/usr/bin/serf
start() {  # NAME NUMBER
  local address=127.9.15.$2
  "$serf" agent -node="$1" -bind="$address:7946" -rpc-addr="$address:7373" \
    -event-handler="user=echo \$SERF_USER_EVENT >>told-$1" >"$1.log" 2>&1 &
  agents+=($!)
  until "$serf" members -rpc-addr="$address:7373" >/dev/null 2>&1; do sleep 0.1; done
}
send() { "$serf" event -rpc-addr="127.9.15.$1:7373" -coalesce=false "$2" >/dev/null; }
start joined 1
start joining 2
send 1 cluster-1
send 1 cluster-2
for n in 1 2 3; do send 2 "alone-$n"; done
for _ in $(seq 50); do (($(cat told-* | grep -c .) == 5)) && break; sleep 0.1; done
: >told-joined
: >told-joining
sleep 5
"$serf" join -rpc-addr=127.9.15.2:7373 127.9.15.1:7946
for _ in $(seq 50); do (($(grep -c . told-joined) == 3)) && break; sleep 0.1; done
sleep 2  # nothing more comes

failed=0
check() {  # WHAT EXPECTED SEEN
  echo "$1: $3"
  [[ $2 == "$3" ]] || { echo "  was expected to be: $2"; failed=1; }
}
check 'told to the one that joins' '' "$(paste -sd' ' told-joining)"
check 'told to the one that is joined' 'alone-1 alone-2 alone-3' "$(sort told-joined | paste -sd' ')"
exit $failed
