#!/usr/bin/env bash
# The package serf 0.9.4~ds1-1+b13 of Debian 12. The script needs root, for a small file system.
#
# Guess: when the disk of the snapshot is full, an agent records the next event as soon as there is
# room again.
# Seen: the file ends in the middle of a line, and the events that come after there is room again are
# not recorded either; the torn line stays.
set -euo pipefail
if [[ ${1-} != --inside ]]; then
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' EXIT
  cd "$dir"
  apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
  dpkg -x serf_*.deb .
  cd - >/dev/null
  unshare --mount --net bash "$0" --inside "$dir"
  exit
fi

cd "$2"
agent=
trap 'if [[ -n $agent ]]; then kill "$agent"; wait "$agent" || true; fi' EXIT
mkdir disk
mount -t tmpfs -o size=64k tmpfs disk
ip link set lo up

# A comment that leaves 100 bytes of the first block.
printf '#%3994s\n' '' >disk/snapshot
usr/bin/serf agent -node=a -bind=127.0.0.1 -snapshot=disk/snapshot >log 2>&1 &
agent=$!
until usr/bin/serf members >/dev/null 2>&1; do sleep 0.1; done
# The agent writes to the file twice a second.
send() {
  for ((i = 0; i < $1; ++i)); do
    usr/bin/serf event -coalesce=false deploy >/dev/null
    sleep 0.7
  done
}
send 2
first=$(tail -n 1 disk/snapshot)
dd if=/dev/zero of=disk/filler bs=4096 2>/dev/null || true
send 8
full=$(tail -n 1 disk/snapshot)
rm disk/filler
send 4
now=$(tail -n 1 disk/snapshot)
echo "the last line after two events:                         $first"
echo "after eight more, on a full disk:                       $full"
echo "after four more, with room again:                       $now"
[[ $first == 'event-clock: 2' && $(stat -c %s disk/snapshot) == 4096 && $full == e && $now == e ]]
