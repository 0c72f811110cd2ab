#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12), which sends its metrics to the statsd server in netdata 1.37.1 (Debian 12).
#
# Guess: the two agree on statsd's format, as netdata draws each counter that the agent sends, with the
# right value.
# Seen: it does, and calls each of these lines an ERROR: the agent's metrics library writes whole numbers
# with six decimals, and netdata reads a counter up to the point.
set -euo pipefail

dir=$(mktemp -d)
agent= netdata=
trap 'for p in $agent $netdata; do kill "$p" 2>/dev/null || true; wait "$p" || true; done; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 'netdata-core=1.37.1-2' libjson-c5 liblz4-1 libmnl0 \
  libnetfilter-acct1 libuv1 2>/dev/null
for package in *.deb; do dpkg -x "$package" .; done
mkdir -p my/etc my/web my/cache my/lib my/log
cat >my/etc/netdata.conf <<CONF
[global]
  run as user = $(id -un)
[directories]
  config = $dir/my/etc
  stock config = $dir/usr/lib/netdata/conf.d
  log = $dir/my/log
  cache = $dir/my/cache
  lib = $dir/my/lib
  web = $dir/my/web
  plugins = $dir/my/web
[logs]
  error = $dir/my/log/error.log
  access = none
[db]
  mode = ram
[web]
  bind to = 127.9.22.1:19999
[ml]
  enabled = no
[health]
  enabled = no
[plugins]
  cgroups = no
  diskspace = no
  enable running new plugins = no
  idlejitter = no
  netdata monitoring = no
  proc = no
  tc = no
  timex = no
[statsd]
  bind to = udp:127.9.22.1:8125
CONF
LD_LIBRARY_PATH=$dir/usr/lib/x86_64-linux-gnu usr/sbin/netdata -D -c my/etc/netdata.conf >netdata.out 2>&1 &
netdata=$!
until grep -q 'listening on .udp:127.9.22.1:8125' my/log/error.log 2>/dev/null; do sleep 0.1; done
echo '{"statsd_addr": "127.9.22.1:8125"}' >serf.json
rpc=-rpc-addr=127.9.22.1:7373
usr/bin/serf agent -node=n -bind=127.9.22.1:7946 $rpc -config-file=serf.json >agent.log 2>&1 &
agent=$!
until usr/bin/serf members $rpc >/dev/null 2>&1; do sleep 0.1; done
for _ in $(seq 10); do usr/bin/serf event $rpc -coalesce=false deploy >/dev/null; done
# The events that the chart has counted in the last five minutes.
counted() {
  node -e "
    fetch('http://127.9.22.1:19999/api/v1/data?chart=statsd_serf-agent.serf.events.deploy_counter&after=-300')
      .then(reply => reply.json())
      .then(reply => console.log(Math.round(reply.data.reduce((sum, row) => sum + row[1], 0))))
      .catch(console.log);"
}
for _ in $(seq 50); do [[ $(counted) == 10 ]] && break; sleep 0.2; done

failed=0
check() {  # WHAT EXPECTED SEEN
  echo "$1: $3"
  [[ $2 == "$3" ]] || { echo "  was expected to be: $2"; failed=1; }
}
check 'events in its chart, of 10' 10 "$(counted)"
error="ERROR : STATSD_COLLECTOR.*excess data '.000000' after value '1.000000'"
echo "lines such as this one: $(grep -o "$error" my/log/error.log | head -n 1)"
(($(grep -c "$error" my/log/error.log) >= 10)) || failed=1
exit $failed
