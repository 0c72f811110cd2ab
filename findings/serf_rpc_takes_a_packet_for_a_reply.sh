#!/usr/bin/env bash
# serf-rpc 0.2.1 (npm), a client of Serf's RPC, and Go Serf 0.9.4 (Debian 12) behind a proxy that
# passes on all bytes in order, in packets of its own.
#
# Guess: TCP has no packets for a program: the client reads replies of whatever size as they come.
# Seen: it decodes each packet by itself. Of a reply that comes in two, as a list of many members does
# on any network, the callback gets the head in place of the list, and no error.
set -euo pipefail

dir=$(mktemp -d)
agent=
trap '[[ -z $agent ]] || kill "$agent" || true; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
npm install --silent --no-audit --no-fund --ignore-scripts serf-rpc@0.2.1 >/dev/null
usr/bin/serf agent -node=n -bind=127.9.12.1:7946 -rpc-addr=127.9.12.1:7373 >agent.log 2>&1 &
agent=$!
until usr/bin/serf members -rpc-addr=127.9.12.1:7373 >/dev/null 2>&1; do sleep 0.1; done

cat >members.js <<'JS'
const net = require('net');
const SerfRPC = require('serf-rpc');
const size = Number(process.argv[2]);  // of the packets that the client gets
const pause = () => new Promise(done => setTimeout(done, 50));
net.createServer(async client => {
  client.setNoDelay(true);
  const agent = net.connect(7373, '127.9.12.1');
  client.pipe(agent);
  for await (const bytes of agent) {
    // The head of a reply and a part of its body come first.
    for (let at = 0; at < bytes.length; at += size) {
      client.write(bytes.subarray(at, at + size));
      await pause();
    }
  }
}).listen(7374, '127.9.12.1', () => {
  const serf = new SerfRPC();
  setTimeout(() => { console.log('nothing after 5 seconds'); process.exit(); }, 5000);
  serf.connect({rpc_host: '127.9.12.1', rpc_port: 7374}, () => {
    serf.members((error, reply) => {
      console.log(error || (reply.Members ? reply.Members.map(member => member.Name).join() : JSON.stringify(reply)));
      process.exit();
    });
  });
});
JS
failed=0
check() {  # SIZE EXPECTED
  local seen
  seen=$(node members.js "$1" 2>/dev/null)
  echo "packets of up to $1 bytes: $seen"
  [[ $seen == "$2" ]] || { echo "  was expected to be: $2"; failed=1; }
}
check 65536 n
check 60 '{"Error":"","Seq":1}'
exit $failed
