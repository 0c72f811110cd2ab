#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12, built with Go 1.19): event handlers under `ulimit -n`.
#
# Guess: a handler has the soft limit of open files that the agent was started with, as any child of a
# shell has.
# Seen: it has the hard one: the language's runtime raises the agent's own soft limit at its start, and
# this release hands the raised one on. A handler that uses select(2), or closes every descriptor up to
# the limit, sees 2000 instead of 300.
set -euo pipefail

dir=$(mktemp -d)
agent=
trap '[[ -z $agent ]] || kill "$agent" || true; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
rpc=-rpc-addr=127.9.4.1:7373
(ulimit -Sn 300 && ulimit -Hn 2000 && exec usr/bin/serf agent -node=n -bind=127.9.4.1:7946 $rpc \
  -event-handler='user=ulimit -Sn >limit.new; mv limit.new limit') >agent.log 2>&1 &
agent=$!
until usr/bin/serf members $rpc >/dev/null 2>&1; do sleep 0.1; done
usr/bin/serf event $rpc -coalesce=false x >/dev/null
for _ in $(seq 100); do [[ -e limit ]] && break; sleep 0.1; done

echo "soft limit of a handler, where the agent was started with 300: $(cat limit)"
[[ $(cat limit) == 2000 ]]
