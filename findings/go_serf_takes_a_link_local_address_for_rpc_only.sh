#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12) and an IPv6 address of a link, with its interface: [fe80::1%eth0].
#
# Guess: where one flag takes it, all that take addresses do.
# Seen: -rpc-addr takes it, of the agent and of the commands. -bind accepts it, drops the interface,
# and fails with an "invalid argument" that does not show what was left out; -advertise, too, tells
# others the address without the interface, with which they can't do anything.
set -euo pipefail

if [[ -z ${FINDING_INSIDE:-} ]]; then
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' EXIT
  cd "$dir"
  apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
  dpkg -x serf_*.deb .
  FINDING_INSIDE=1 unshare -n bash "$(cd "$OLDPWD"; realpath "$0")"
  exit
fi
agent=
trap '[[ -z $agent ]] || kill "$agent" || true' EXIT
ip link set lo up
ip link add eth0 type veth peer name peer0
sysctl -qw net.ipv6.conf.eth0.accept_dad=0
ip link set eth0 up
ip link set peer0 up
ip addr add fe80::1/64 dev eth0
address='[fe80::1%eth0]'

failed=0
check() {  # WHAT EXPECTED SEEN
  echo "$1: $3"
  [[ $2 == "$3" ]] || { echo "  was expected to be: $2"; failed=1; }
}
usr/bin/serf agent -node=n -bind=127.0.0.1 -advertise="$address:7946" -rpc-addr="$address:7373" >agent.log 2>&1 &
agent=$!
for _ in $(seq 50); do
  usr/bin/serf members -rpc-addr="$address:7373" >members 2>&1 && break
  sleep 0.1
done
check 'members by -rpc-addr, with the address advertised' 'n [fe80::1]:7946 alive' "$(xargs <members)"
kill "$agent"
wait "$agent" || true
agent=
usr/bin/serf agent -node=n -bind="$address:7946" >agent.log 2>&1 || true
check 'the agent bound to it' 'listen tcp [fe80::1]:7946: bind: invalid argument' "$(grep -o 'listen tcp.*' agent.log)"
exit $failed
