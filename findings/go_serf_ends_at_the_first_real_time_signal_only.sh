#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12) and real-time signals.
#
# Guess: they are alike: an agent, which asks for none of them, ignores all of them, as it does with
# SIGUSR2, or ends at any of them, as another program would.
# Seen: it ignores SIGRTMIN+1 to SIGRTMAX and ends at SIGRTMIN, at once and without a leave: the
# language's runtime leaves that one to the C library and catches the others.
set -euo pipefail

dir=$(mktemp -d)
agent=
trap '[[ -z $agent ]] || kill "$agent" 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
rpc=-rpc-addr=127.9.10.1:7373
usr/bin/serf agent -node=n -bind=127.9.10.1:7946 $rpc >agent.log 2>&1 &
agent=$!
until usr/bin/serf members $rpc >/dev/null 2>&1; do sleep 0.1; done

failed=0
check() {  # WHAT EXPECTED SEEN
  echo "$1: $3"
  [[ $2 == "$3" ]] || { echo "  was expected to be: $2"; failed=1; }
}
for signal in $(seq 35 64); do kill -"$signal" "$agent"; done
sleep 1
check 'after SIGRTMIN+1 to SIGRTMAX' runs "$(usr/bin/serf members $rpc >/dev/null 2>&1 && echo runs || echo gone)"
kill -34 "$agent"
status=0
wait "$agent" 2>/dev/null || status=$?
agent=
check 'after SIGRTMIN it ends with the status' $((128 + 34)) "$status"
check 'lines of its log about an end' 0 "$(grep -ciE 'signal|leav|shut' agent.log || true)"
exit $failed
