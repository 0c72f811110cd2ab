#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12) under nohup(1) of coreutils.
#
# Guess: nohup makes the agent and what it starts ignore SIGHUP, as it does for any program that does
# not ask to be told of it again.
# Seen: the agent asks for SIGHUP, which makes the language's runtime handle it even though it was
# ignored: a hangup reloads the configuration. Its handlers do not ignore it either, so one that is
# running dies of the hangup that nohup was to keep away.
set -euo pipefail

dir=$(mktemp -d)
agent=
trap '[[ -z $agent ]] || kill "$agent" || true; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
rpc=-rpc-addr=127.9.5.1:7373
nohup usr/bin/serf agent -node=n -bind=127.9.5.1:7946 $rpc \
  -event-handler='user=grep SigIgn /proc/self/status >signals.new; mv signals.new signals' >agent.log 2>&1 &
agent=$!
until usr/bin/serf members $rpc >/dev/null 2>&1; do sleep 0.1; done
usr/bin/serf event $rpc -coalesce=false x >/dev/null
for _ in $(seq 100); do [[ -e signals ]] && break; sleep 0.1; done
kill -HUP "$agent"
for _ in $(seq 100); do grep -q 'Reloading' agent.log && break; sleep 0.1; done

failed=0
ignores_hup() { (( 0x$(awk '/SigIgn/ { print $2 }' "$1") & 1 )) && echo yes || echo no; }
check() {  # WHAT EXPECTED SEEN
  echo "$1: $3"
  [[ $2 == "$3" ]] || { echo "  was expected to be: $2"; failed=1; }
}
nohup sh -c 'cat /proc/self/status >plain' 2>/dev/null
check 'another program under nohup ignores SIGHUP' yes "$(ignores_hup plain)"
check 'the agent ignores SIGHUP' no "$(ignores_hup "/proc/$agent/status")"
check 'its handlers ignore SIGHUP' no "$(ignores_hup signals)"
check 'the agent reloads' yes "$(grep -q 'Reloading configuration' agent.log && echo yes || echo no)"
exit $failed
