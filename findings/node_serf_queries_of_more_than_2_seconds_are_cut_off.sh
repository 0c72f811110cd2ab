#!/usr/bin/env bash
# node-serf 2.0.0 (npm), a client of Serf's RPC, with the msgpack-lite 0.1.26 that it asks for, and Go
# Serf 0.9.4 (Debian 12).
#
# Guess: a query takes any timeout in nanoseconds that JavaScript holds as a whole number.
# Seen: from 2^31 on, 2.15 s, msgpack-lite 0.1.26 writes a whole number as a float64 (cb ...), although
# the format's uint32 has room; 0.2.2 writes floats from 2^32 on only. Serf's decoder takes no float
# for a number and closes the connection: a client that works in tests with short timeouts loses its
# connection, and all streams on it, with a query of 2.2 s.
set -euo pipefail

dir=$(mktemp -d)
agent=
trap '[[ -z $agent ]] || kill "$agent" || true; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
npm install --silent --no-audit --no-fund node-serf@2.0.0 msgpack-lite@0.1.26 newer@npm:msgpack-lite@0.2.2 >/dev/null
usr/bin/serf agent -node=n -bind=127.9.2.1:7946 -rpc-addr=127.9.2.1:7373 >agent.log 2>&1 &
agent=$!
until usr/bin/serf members -rpc-addr=127.9.2.1:7373 >/dev/null 2>&1; do sleep 0.1; done

cat >query.js <<'JS'
const timeout = Number(process.argv[2]);
const written = name => require(name).encode(timeout).toString('hex');
const end = text => {
  console.log(`${written('msgpack-lite')} ${text}, 0.2.2: ${written('newer')}`);
  process.exit();
};
const client = require('node-serf').connect({host: '127.9.2.1', port: 7373}, () => {
  client.handshake({Version: 1}, () => {
    const query = {Name: 'x', Payload: '', RequestAck: true, Timeout: timeout};
    client.query(query, () => {}).on('data', answer => end(answer.Type));
  });
});
client.on('close', () => end('closed'));
JS

failed=0
check() {  # NANOSECONDS EXPECTED
  local seen
  seen=$(timeout 20 node query.js "$1")
  echo "timeout of $1 ns: $seen"
  [[ $seen == "$2" ]] || { echo "  was expected to be: $2"; failed=1; }
}
check 2147483647 'ce7fffffff ack, 0.2.2: ce7fffffff'
check 2147483648 'cb41e0000000000000 closed, 0.2.2: ce80000000'
check 2200000000 'cb41e0642ac0000000 closed, 0.2.2: ce83215600'
exit $failed
