#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12), its metrics library, and statsd 0.9.0 (npm).
#
# Guess: metrics have fixed names, or events of different names are counted apart.
# Seen: the name of each user event becomes the end of a metric's name. The library replaces blanks and
# colons in it, and statsd replaces some further characters and leaves out the rest, without a bad line:
# `deploy` and `deploy+`, `a b` and `a:b`, `x/y` and `x-y` are one count each, and two of `n@3` is `n3`.
set -euo pipefail

dir=$(mktemp -d)
agent= statsd=
trap 'for p in $agent $statsd; do kill "$p" 2>/dev/null || true; done; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
npm install --silent --no-audit --no-fund --ignore-scripts --omit=optional statsd@0.9.0 >/dev/null
cat >statsd.js <<'JS'
{address: "127.9.21.1", port: 8125, mgmt_address: "127.9.21.1", mgmt_port: 8126, backends: ["./backends/console"],
 flushInterval: 600000, console: {prettyprint: false}}
JS
: >statsd.out
node node_modules/statsd/stats.js statsd.js >statsd.out 2>&1 &
statsd=$!
until grep -q 'server is up' statsd.out; do sleep 0.1; done
echo '{"statsd_addr": "127.9.21.1:8125"}' >serf.json
rpc=-rpc-addr=127.9.21.1:7373
usr/bin/serf agent -node=n -bind=127.9.21.1:7946 $rpc -config-file=serf.json >agent.log 2>&1 &
agent=$!
until usr/bin/serf members $rpc >/dev/null 2>&1; do sleep 0.1; done
for name in deploy deploy+ 'a b' a:b x/y x-y n@3 n@3; do
  usr/bin/serf event $rpc -coalesce=false "$name" >/dev/null
done

# The counters of one-word names of events, as statsd's management port tells them.
counters() {
  node -e "
    require('net').connect(8126, '127.9.21.1').on('data', data => {
      for (const [, name, count] of String(data).matchAll(/serf\.events\.([^']*)': (\d+)/g)) console.log(name, count);
      process.exit();
    }).write('counters\n');"
}
for _ in $(seq 50); do
  counters >seen
  (($(awk '{ sum += $2 } END { print sum + 0 }' seen) == 8)) && break
  sleep 0.1
done
echo "eight events of seven names: $(sort seen | paste -sd,)"
[[ $(sort seen | paste -sd,) == 'a_b 2,deploy 2,n3 2,x-y 2' ]]
