#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12) on a host that has a bridge of containers beside its own network, once
# with the program `ip` and once without, as small container images are.
#
# Guess: the address that an agent tells others, where it is bound to all, depends on the host's
# interfaces and routes only.
# Seen: it runs `ip route` to know the interface of the default route. Without the program nothing
# is said, and the agent tells the first address of the largest network: here the bridge's, which no
# other host can reach.
set -euo pipefail

if [[ -z ${FINDING_INSIDE:-} ]]; then
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' EXIT
  cd "$dir"
  apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
  dpkg -x serf_*.deb .
  # A network of its own, and files.
  FINDING_INSIDE=1 unshare -mn --propagation private bash "$(cd "$OLDPWD"; realpath "$0")"
  exit
fi
agent=
trap '[[ -z $agent ]] || kill "$agent" || true' EXIT
ip link set lo up
ip link add docker0 type bridge
ip link set docker0 up
ip addr add 172.17.0.1/16 dev docker0
ip link add eth0 type veth peer name peer0
ip link set eth0 up
ip link set peer0 up
ip addr add 192.168.133.7/24 dev eth0
ip route add default via 192.168.133.1

told() {
  usr/bin/serf agent -node=n >agent.log 2>&1 &
  agent=$!
  until usr/bin/serf members >members 2>/dev/null; do sleep 0.1; done
  kill "$agent"
  wait "$agent" || true
  agent=
  sed 's/^n *\([0-9.]*\):.*/\1/' members
}
failed=0
check() {  # WHAT EXPECTED SEEN
  echo "$1: $3"
  [[ $2 == "$3" ]] || { echo "  was expected to be: $2"; failed=1; }
}
check 'with ip it tells' 192.168.133.7 "$(told)"
touch nothing  # not executable
for program in /sbin/ip /bin/ip /usr/bin/ip /usr/sbin/ip; do
  [[ ! -e $program || -L $program ]] || mount --bind nothing "$program"
done
check 'without ip it tells' 172.17.0.1 "$(told)"
exit $failed
