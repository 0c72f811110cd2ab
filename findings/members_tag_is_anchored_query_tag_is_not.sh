#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12): `serf members -tag` and `serf query -tag` take the same words and mean
# different things.
#
# Guess: both match the expression in the same way, so that `members -tag role=we` lists the nodes
# whom `query -tag role=we` asks.
# Seen: `members` wants the whole value (role=we lists nobody, role=we.* lists a node with role=web),
# `query` takes a part of it anywhere (role=we and role=eb are acknowledged by that node).
set -euo pipefail

dir=$(mktemp -d)
agent=
trap '[[ -z $agent ]] || kill "$agent" || true; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
serf=$dir/usr/bin/serf
rpc=-rpc-addr=127.9.1.1:7373

"$serf" agent -node=web1 -bind=127.9.1.1:7946 $rpc -tag role=web >agent.log 2>&1 &
agent=$!
until "$serf" members $rpc >/dev/null 2>&1; do sleep 0.1; done

failed=0
check() {  # WHAT EXPECTED SEEN
  echo "$1: $3"
  [[ $2 == "$3" ]] || { echo "  was expected to be: $2"; failed=1; }
}
listed() { "$serf" members $rpc -tag "$1" | grep -c web1 || true; }
asked() { "$serf" query $rpc -timeout=500ms -tag "$1" x | grep -c '^Ack from' || true; }

check 'members listed by role=web' 1 "$(listed role=web)"
check 'members listed by role=we' 0 "$(listed role=we)"
check 'members listed by role=we.*' 1 "$(listed 'role=we.*')"
check 'nodes asked by role=web' 1 "$(asked role=web)"
check 'nodes asked by role=we' 1 "$(asked role=we)"
check 'nodes asked by role=eb' 1 "$(asked role=eb)"
exit $failed
