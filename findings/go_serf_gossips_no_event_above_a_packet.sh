#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12) with "user_event_size_limit": 9216, the largest that it takes, and
# "query_size_limit": 4096.
#
# Guess: events of any size up to the limit spread alike, large ones in several packets or over TCP.
# Seen: an event that does not fit a packet of 1400 bytes is accepted and never gossiped: others are
# told of it by the next exchange of whole states, up to half a minute later, and it stays in the queue
# of the sender. A query of that size, which no such exchange carries, reaches nobody, without an error.
set -euo pipefail

dir=$(mktemp -d)
agents=()
trap 'for p in "${agents[@]}"; do kill "$p" 2>/dev/null || true; done; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
serf=$dir/usr/bin/serf
echo '{"user_event_size_limit": 9216, "query_size_limit": 4096}' >serf.json
start() {  # NAME NUMBER FLAGS...
  local name=$1 address=127.9.16.$2
  shift 2
  "$serf" agent -node="$name" -config-file=serf.json -bind="$address:7946" -rpc-addr="$address:7373" "$@" \
    >"$name.log" 2>&1 &
  agents+=($!)
  until "$serf" members -rpc-addr="$address:7373" >/dev/null 2>&1; do sleep 0.1; done
}
start sender 1
start receiver 2 -join=127.9.16.1:7946 -event-handler='user=echo $SERF_USER_EVENT >>told'
sleep 3  # the news of the join is through
rpc=-rpc-addr=127.9.16.1:7373
payload() { printf '%*s' "$1" '' | tr ' ' x; }
asked() { "$serf" query $rpc -timeout=2s x "$(payload "$1")" | grep Acks; }

failed=0
check() {  # WHAT EXPECTED SEEN
  echo "$1: $3"
  [[ $2 == "$3" ]] || { echo "  was expected to be: $2"; failed=1; }
}
check 'a query of 1000 bytes' 'Total Acks: 2' "$(asked 1000)"
check 'a query of 1500 bytes' 'Total Acks: 1' "$(asked 1500)"
# Three of each: an exchange of states may come right behind one of them.
for n in 1 2 3; do
  for size in 1000 1500; do
    "$serf" event $rpc -coalesce=false "$size-$n" "$(payload "$size")" >/dev/null
  done
done
sleep 2
check 'events of 1000 bytes, told after two seconds' 3 "$(grep -c ^1000 told)"
late=$(grep -c ^1500 told || true)
check 'queue of events' 'event_queue = 3' "$(for _ in $(seq 50); do "$serf" info $rpc | grep event_queue | xargs >queue; grep -q ' 3$' queue && break; sleep 0.1; done; cat queue)"
for _ in $(seq 900); do (($(grep -c ^1500 told || true) == 3)) && break; sleep 0.1; done
echo "events of 1500 bytes, told after two seconds: $late"
check 'events of 1500 bytes, told in the end' 3 "$(grep -c ^1500 told || true)"
((late < 3)) || failed=1
exit $failed
