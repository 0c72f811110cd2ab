#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12), which sends its metrics to the statsd plugin of collectd 5.12.0 (Debian
# 12), which writes rates, as those plugins that write for graphs do by default.
#
# Guess: of three user events three are in the rates: the first sets a series off from nothing.
# Seen: two are. The agent sends no counter before there is something to count, and collectd takes the
# first value for the base that the next one is compared with. What happens once (a failed member, an
# event of a new name) stays out of the graph, whose line begins at zero behind it.
set -euo pipefail

dir=$(mktemp -d)
agent= collectd=
trap 'for p in $agent $collectd; do kill "$p" 2>/dev/null || true; done; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 'collectd-core=5.12.0-14' 2>/dev/null
for package in *.deb; do dpkg -x "$package" .; done
cat >collectd.conf <<CONF
Hostname "h"
FQDNLookup false
BaseDir "$dir"
PIDFile "$dir/pid"
PluginDir "$dir/usr/lib/collectd"
TypesDB "$dir/usr/share/collectd/types.db"
Interval 2
LoadPlugin statsd
<Plugin statsd>
  Host "127.9.17.1"
</Plugin>
LoadPlugin csv
<Plugin csv>
  DataDir "$dir/csv"
  StoreRates true
</Plugin>
CONF
usr/sbin/collectd -f -C collectd.conf >collectd.log 2>&1 &
collectd=$!
until grep -q Initialization collectd.log; do sleep 0.1; done
echo '{"statsd_addr": "127.9.17.1:8125"}' >serf.json
rpc=-rpc-addr=127.9.17.1:7373
usr/bin/serf agent -node=n -bind=127.9.17.1:7946 $rpc -config-file=serf.json >agent.log 2>&1 &
agent=$!
until usr/bin/serf members $rpc >/dev/null 2>&1; do sleep 0.1; done
# The values of a series so far.
values() { sed 1d csv/h/statsd/derive-serf-agent."$1"-* 2>/dev/null | cut -d, -f2; }
longer_than() {  # NUMBER METRIC
  for _ in $(seq 100); do (($(values "$2" | wc -l) > $1)) && break; sleep 0.1; done
}
usr/bin/serf event $rpc -coalesce=false deploy >/dev/null
longer_than 1 serf.events
first=$(values serf.events | paste -sd' ')
for _ in 1 2; do usr/bin/serf event $rpc -coalesce=false deploy >/dev/null; done
longer_than $(($(values serf.events | wc -l) + 2)) serf.events

failed=0
check() {  # WHAT EXPECTED SEEN
  echo "$1: $3"
  [[ $2 == "$3" ]] || { echo "  was expected to be: $2"; failed=1; }
}
# Rates of two seconds each.
sum() { values "$1" | awk '$1 != "nan" { sum += 2 * $1 } END { printf "%.0f", sum }'; }
check 'rates after the first event' 'nan 0.000000' "$first"
check 'events in all rates, of three' 2 "$(sum serf.events)"
check 'the same by their name' 2 "$(sum serf.events.deploy)"
exit $failed
