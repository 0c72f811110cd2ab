#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12) and SIGUSR1, at which the agent writes its metrics.
#
# Guess: the signal shows what has been counted up to now.
# Seen: it shows nothing of the interval of ten seconds that is under way. Sent right after something
# went wrong it writes lines of the time before, or none at all; the same signal ten seconds later shows
# it, and one that comes after a minute does not any more.
set -euo pipefail

dir=$(mktemp -d)
agent=
trap '[[ -z $agent ]] || kill "$agent" || true; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
rpc=-rpc-addr=127.9.24.1:7373
usr/bin/serf agent -node=n -bind=127.9.24.1:7946 $rpc >agent.log 2>&1 &
agent=$!
until usr/bin/serf members $rpc >/dev/null 2>&1; do sleep 0.1; done
# Counts of the event in what the signal shows.
shown() {
  local before
  before=$(wc -l <agent.log)
  kill -USR1 "$agent"
  sleep 1
  sed "1,${before}d" agent.log | grep 'serf.events.deploy' | sed 's/.*Count: \([0-9]*\) .*/\1/' | paste -sd' '
}
# Intervals begin at whole tens of seconds.
until (($(date +%s) % 10 == 2)); do sleep 0.1; done
for _ in 1 2 3; do usr/bin/serf event $rpc -coalesce=false deploy >/dev/null; done

failed=0
check() {  # WHAT EXPECTED SEEN
  echo "$1: $3"
  [[ $2 == "$3" ]] || { echo "  was expected to be: $2"; failed=1; }
}
check 'events shown at once' '' "$(shown)"
sleep 10
check 'ten seconds later' 3 "$(shown)"
sleep 60
check 'a minute after that' '' "$(shown)"
exit $failed
