#!/usr/bin/env bash
# Four agents of Go Serf 0.9.4 (Debian 12) with -profile=local, on the loopback interface.
#
# Guess: where no packet is lost, a query reaches every member, as an event does in the end.
# Seen: one in some twenty-five misses a member, which never hears of it. A message is sent on
# twice by whoever has it, to members that are drawn: four nodes that draw two of three each leave
# one out at times. An event that was missed comes with a later exchange of states, a query does not.
set -euo pipefail

dir=$(mktemp -d)
agents=()
trap 'for p in "${agents[@]}"; do kill "$p" 2>/dev/null || true; done; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
serf=$dir/usr/bin/serf
for n in 1 2 3 4; do
  "$serf" agent -node="n$n" -profile=local -bind="127.9.11.$n:7946" -rpc-addr="127.9.11.$n:7373" \
    -retry-join=127.9.11.1:7946 >"n$n.log" 2>&1 &
  agents+=($!)
  until "$serf" members -rpc-addr="127.9.11.$n:7373" >/dev/null 2>&1; do sleep 0.1; done
done
until (($("$serf" members -rpc-addr=127.9.11.1:7373 -status=alive | grep -c .) == 4)); do sleep 0.1; done
sleep 3  # the news of the joins is through

# 300 queries without a miss would come once in 200,000 runs.
for count in $(seq 300); do
  reached=$("$serf" query -rpc-addr=127.9.11.1:7373 -timeout=400ms "q$count" | grep -c '^Ack from')
  ((reached == 4)) || break
done
echo "query number $count reached $reached of 4 members"
for n in 1 2 3 4; do "$serf" members -rpc-addr="127.9.11.$n:7373" -status=alive | grep -c . | sed "s/^/alive as n$n sees it: /"; done
((reached < 4))
