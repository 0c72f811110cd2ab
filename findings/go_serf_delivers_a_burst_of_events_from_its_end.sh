#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12): two agents, and a client (node-serf 2.0.0 of npm) that sends events one
# after the other over one connection, more of them than a packet of gossip holds.
#
# Guess: on the network with no loss, the other agent's handlers are told in the order of sending, which
# each event carries as its number of the Lamport clock, or nearly so.
# Seen: they are told of the last ones first and of the first ones last. A packet takes the newest
# events that wait, and within a packet the order is that of size: a short event overtakes the longer
# one that was sent before it.
set -euo pipefail

dir=$(mktemp -d)
agents=()
trap 'for p in "${agents[@]}"; do kill "$p" 2>/dev/null || true; done; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
npm install --silent --no-audit --no-fund node-serf@2.0.0 >/dev/null
serf=$dir/usr/bin/serf
start() {  # NAME NUMBER FLAGS...
  local name=$1 address=127.9.13.$2
  shift 2
  "$serf" agent -node="$name" -bind="$address:7946" -rpc-addr="$address:7373" "$@" >"$name.log" 2>&1 &
  agents+=($!)
  until "$serf" members -rpc-addr="$address:7373" >/dev/null 2>&1; do sleep 0.1; done
}
start sender 1
start receiver 2 -join=127.9.13.1:7946 -event-handler='user=echo $SERF_USER_EVENT >>told'
sleep 3  # the news of the join is through
cat >send.js <<'JS'
const [size, ...names] = process.argv.slice(2);
const client = require('node-serf').connect({host: '127.9.13.1', port: 7373}, () => {
  client.handshake({Version: 1}, () => {
    let sent = 0;
    for (const name of names) {
      client.event({Name: name, Payload: 'x'.repeat(size), Coalesce: false}, () => {
        if (++sent == names.length) process.exit();
      });
    }
  });
});
JS
# Sends events and prints them in the order in which the receiver's handler is told of them.
told() {  # SIZE NAMES...
  : >told
  node send.js "$@"
  for _ in $(seq 100); do (($(grep -c . told) == $# - 1)) && break; sleep 0.1; done
  paste -sd' ' told
}
# A burst may meet a round of gossip in its middle; not all of several do.
failed=0
check() {  # WHAT PATTERN SIZE NAMES...
  local what=$1 pattern=$2 seen
  shift 2
  for _ in 1 2 3 4 5; do
    seen=$(told "$@")
    [[ ! $seen =~ $pattern ]] || break
  done
  echo "$what: $seen"
  [[ $seen =~ $pattern ]] || { echo "  was expected to match: $pattern"; failed=1; }
}
mapfile -t names < <(seq -f 'e%02g' 40)
check 'forty of 200 bytes' '^e36 .* e40 .* e05$' 200 "${names[@]}"
check 'four that fit one packet, as they were sent: longest longer long x' '^x long longer longest$' 0 longest longer long x
exit $failed
