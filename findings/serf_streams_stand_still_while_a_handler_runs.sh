#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12): an event handler and a client of a stream of events.
#
# Guess: a script that runs holds up the scripts behind it; a client's stream of events, which has
# nothing to do with scripts, is told at once.
# Seen: one loop of the agent tells both. A stream that waits for user events hears of one as long
# after it was sent as the script of the event before takes, here three seconds, although `serf
# event` itself returns at once.
set -euo pipefail

dir=$(mktemp -d)
agent= listener=
trap 'for p in $agent $listener; do kill "$p" 2>/dev/null || true; done; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
npm install --silent --no-audit --no-fund node-serf@2.0.0 >/dev/null
rpc=-rpc-addr=127.9.6.1:7373
usr/bin/serf agent -node=n -bind=127.9.6.1:7946 $rpc -event-handler=user:slow='sleep 3' >agent.log 2>&1 &
agent=$!
until usr/bin/serf members $rpc >/dev/null 2>&1; do sleep 0.1; done
cat >listen.js <<'JS'
const client = require('node-serf').connect({host: '127.9.6.1', port: 7373}, () => {
  client.handshake({Version: 1}, () => {
    const stream = client.stream({Type: 'user'}, () => console.log('listening'));
    stream.on('data', event => console.log(event.Name + ' ' + Date.now()));
  });
});
JS
node listen.js >heard &
listener=$!
until grep -q listening heard; do sleep 0.1; done

# Milliseconds from sending an event to hearing of it.
delay() {
  local sent
  sent=$(date +%s%3N)
  usr/bin/serf event $rpc -coalesce=false "$1" >/dev/null
  until grep -q "^$1 " heard; do sleep 0.05; done
  echo $(($(awk -v name="$1" '$1 == name { print $2 }' heard) - sent))
}
alone=$(delay alone)
usr/bin/serf event $rpc -coalesce=false slow >/dev/null
behind=$(delay behind)
echo "a stream hears of an event after $alone ms, and after $behind ms while a script of 3000 ms runs"
((alone < 1000 && behind > 2000))
