#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12): a query that an agent is asked while it is alone, and an agent that joins
# it after the query has ended.
#
# Guess: a query is over with its timeout; who joins later, without -replay, does not hear of it.
# Seen: the newcomer's handlers run it. The message waits for somebody to be sent to, however long, and
# whoever receives it takes its timeout from then on. Events that wait in the same way are sent, too,
# but left out as old ones: a join shuts out old events only.
set -euo pipefail

dir=$(mktemp -d)
agents=()
trap 'for p in "${agents[@]}"; do kill "$p" 2>/dev/null || true; done; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
serf=$dir/usr/bin/serf
start() {  # NAME NUMBER FLAGS...
  local name=$1 address=127.9.14.$2
  shift 2
  "$serf" agent -node="$name" -bind="$address:7946" -rpc-addr="$address:7373" "$@" >"$name.log" 2>&1 &
  agents+=($!)
  until "$serf" members -rpc-addr="$address:7373" >/dev/null 2>&1; do sleep 0.1; done
}
failed=0
check() {  # WHAT EXPECTED SEEN
  echo "$1: $3"
  [[ $2 == "$3" ]] || { echo "  was expected to be: $2"; failed=1; }
}
start first 1
"$serf" event -rpc-addr=127.9.14.1:7373 -coalesce=false deploy >/dev/null
"$serf" query -rpc-addr=127.9.14.1:7373 -timeout=500ms restart >answers
check 'the query' 'Total Acks: 1' "$(grep Acks answers)"
sleep 5
start newcomer 2 -join=127.9.14.1:7946 -event-handler='user,query=echo $SERF_EVENT $SERF_USER_EVENT$SERF_QUERY_NAME >>told'
for _ in $(seq 50); do [[ -s told ]] && break; sleep 0.1; done
sleep 2  # nothing more comes
check 'told five seconds later, to a newcomer' 'query restart' "$(paste -sd, told)"
exit $failed
