#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12), its metrics library, and a statsd server that is restarted.
#
# Guess: statsd is UDP: what is sent while nobody listens is lost, what is sent later arrives.
# Seen: the system reports to the sender that nobody listens, at which the library drops all metrics of
# the next five seconds. A restart of the server in one second costs six, and the agent's log says
# nothing of it, at any level.
set -euo pipefail

dir=$(mktemp -d)
agent= server=
trap 'for p in $agent $server; do kill "$p" 2>/dev/null || true; done; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
cat >server.js <<'JS'
const socket = require('dgram').createSocket('udp4');
socket.on('message', bytes => process.stdout.write(bytes));
socket.bind(8125, '127.9.18.1', () => console.log('up'));
JS
serve() {  # FILE
  : >"$1"
  node server.js >"$1" &
  server=$!
  until grep -q up "$1"; do sleep 0.05; done
}
serve before
echo '{"statsd_addr": "127.9.18.1:8125"}' >serf.json
rpc=-rpc-addr=127.9.18.1:7373
usr/bin/serf agent -node=n -bind=127.9.18.1:7946 $rpc -config-file=serf.json -log-level=trace >agent.log 2>&1 &
agent=$!
until usr/bin/serf members $rpc >/dev/null 2>&1; do sleep 0.1; done
send() { usr/bin/serf event $rpc -coalesce=false "$1" >/dev/null; }
arrived() { sleep 1; grep -q "events.$1:1" before after 2>/dev/null && echo yes || echo no; }

failed=0
check() {  # WHAT EXPECTED SEEN
  echo "$1: $3"
  [[ $2 == "$3" ]] || { echo "  was expected to be: $2"; failed=1; }
}
send running
check 'arrives while the server runs' yes "$(arrived running)"
kill "$server"
wait "$server" || true
sleep 1
serve after
send back
check 'arrives when it is back after a second' no "$(arrived back)"
sleep 5
send later
check 'arrives six seconds later' yes "$(arrived later)"
check 'the first one has come by now' no "$(arrived back)"
check 'lines of the log about it' 0 "$(grep -ci statsd agent.log || true)"
exit $failed
