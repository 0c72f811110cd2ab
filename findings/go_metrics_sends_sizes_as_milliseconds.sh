#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12), its metrics library, and statsd 0.9.0 (npm).
#
# Guess: the sizes of messages (serf.msgs.received, serf.msgs.sent) come as counters or gauges, as
# those of datagrams do (memberlist.udp.sent).
# Seen: they are samples, which statsd's protocol only has as timings: they are sent with the type
# "ms" and show up among the timers, where a dashboard draws bytes as milliseconds. Beside them stand
# true milliseconds (memberlist.gossip). Datagrams' bytes are counters.
set -euo pipefail

dir=$(mktemp -d)
agent= statsd=
trap '[[ -z $agent ]] || kill "$agent" || true; [[ -z $statsd ]] || kill "$statsd" || true; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
npm install --silent --no-audit --no-fund --ignore-scripts --omit=optional statsd@0.9.0 >/dev/null
cat >statsd.js <<'JS'
{address: "127.9.3.1", port: 8125, mgmt_address: "127.9.3.1", mgmt_port: 8126, backends: ["./backends/console"],
 flushInterval: 3000, console: {prettyprint: false}}
JS
node node_modules/statsd/stats.js statsd.js >statsd.out 2>&1 &
statsd=$!
until grep -q 'server is up' statsd.out; do sleep 0.1; done
echo '{"statsd_addr": "127.9.3.1:8125"}' >serf.json
rpc=-rpc-addr=127.9.3.1:7373
usr/bin/serf agent -node=n -bind=127.9.3.1:7946 $rpc -config-file=serf.json >agent.log 2>&1 &
agent=$!
until usr/bin/serf members $rpc >/dev/null 2>&1; do sleep 0.1; done
usr/bin/serf query $rpc -timeout=200ms load >/dev/null
for _ in $(seq 100); do grep -q 'serf.msgs.received' statsd.out && break; sleep 0.1; done
sleep 0.5

# The section of a metric in the console's output.
section() { awk -v name="'serf-agent.$1'" '/^  [a-z_]+: \{/ { at = $1 } index($0, name) { print at; exit }' statsd.out; }
failed=0
check() {  # METRIC EXPECTED
  local seen
  seen=$(section "$1")
  echo "$1 is among the $seen"
  [[ $seen == "$2" ]] || { echo "  was expected to be: $2"; failed=1; }
}
check serf.msgs.received timers:
check memberlist.gossip timers:
check memberlist.udp.sent counters:
exit $failed
