#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12): `serf query` without -timeout, in a cluster of nine and of ten.
#
# Guess: the time grows with the logarithm of the members, as news takes longer in a larger cluster: the
# tenth adds some percent.
# Seen: it doubles it, from 3.2 to 6.4 seconds: the logarithm, to the base of ten, is rounded up to a
# whole number, for the members and one more. As the command always waits for the whole time, all that
# calls it stands still twice as long from one host to the next, and not a bit longer up to 99.
set -euo pipefail

dir=$(mktemp -d)
agents=()
trap 'for p in "${agents[@]}"; do kill "$p" 2>/dev/null || true; done; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .
serf=$dir/usr/bin/serf
start() {  # NUMBER
  local address=127.9.20.$1
  "$serf" agent -node="n$1" -bind="$address:7946" -rpc-addr="$address:7373" -retry-join=127.9.20.1:7946 >"n$1.log" 2>&1 &
  agents+=($!)
  until (($("$serf" members -rpc-addr=127.9.20.1:7373 -status=alive 2>/dev/null | grep -c .) == $1)); do sleep 0.1; done
}
# Tenths of a second that a query takes.
took() {
  local begun
  begun=$(date +%s%3N)
  "$serf" query -rpc-addr=127.9.20.1:7373 x >/dev/null
  echo $((($(date +%s%3N) - begun) / 100))
}
for n in $(seq 9); do start "$n"; done
nine=$(took)
start 10
ten=$(took)
echo "a query takes $((nine / 10)).$((nine % 10)) s with nine members, $((ten / 10)).$((ten % 10)) s with ten"
((nine >= 32 && nine < 42 && ten >= 64 && ten < 74))
