#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12): a member that changes its tags within a second of its join.
#
# Guess: the others' event handlers are told of the join, and then of the change, or of one join with
# the new tags.
# Seen: they are told of a change only. Events of a member that come within the coalescing time
# replace each other, whatever they say, so a handler of member-join never hears of this member.
set -euo pipefail

dir=$(mktemp -d)
agents=()
trap 'for p in "${agents[@]}"; do kill "$p" 2>/dev/null || true; done; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
serf=$dir/usr/bin/serf
start() {  # NAME NUMBER FLAGS...
  local name=$1 address=127.9.8.$2
  shift 2
  "$serf" agent -node="$name" -bind="$address:7946" -rpc-addr="$address:7373" "$@" >"$name.log" 2>&1 &
  agents+=($!)
  until "$serf" members -rpc-addr="$address:7373" >/dev/null 2>&1; do sleep 0.1; done
}
told() { grep -h "$1" told 2>/dev/null | sed 's/ .*//' | paste -sd' '; }

start watcher 1 -event-handler='member-join,member-update=sed "s/^/$SERF_EVENT /" >>told'
start plain 2 -join=127.9.8.1:7946
start tagged 3 -join=127.9.8.1:7946
"$serf" tags -rpc-addr=127.9.8.3:7373 -set v=1 >/dev/null
for _ in $(seq 100); do [[ -n $(told tagged) && -n $(told plain) ]] && break; sleep 0.1; done
sleep 3  # nothing more comes

echo "told of a member that joined: $(told plain)"
echo "told of one that also changed its tags: $(told tagged)"
[[ $(told plain) == member-join && $(told tagged) == member-update ]]
