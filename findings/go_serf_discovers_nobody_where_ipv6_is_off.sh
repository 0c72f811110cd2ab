#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12) with -discover, on two hosts that share a link: with IPv6 as the system
# sets it up, and with IPv6 switched off (net.ipv6.conf.all.disable_ipv6=1, as many images have it).
#
# Guess: multicast DNS goes by IPv4 then, and the agents find each other in both cases.
# Seen: a question that can't be sent by IPv6 ends the whole poll, although IPv4 has already asked:
# the answers, which come, are not read. Nobody is found, at an error line a minute.
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
serf=$PWD/usr/bin/serf
started=()
trap 'kill "${started[@]}" 2>/dev/null || true' EXIT

# Prints the members that the first of two hosts knows after both have polled.
found() {  # DISABLE_IPV6
  local host number
  for host in a b; do
    unshare -n sleep 60 >/dev/null 2>&1 &
    eval "$host=$!"
    started+=($!)
  done
  until [[ $(readlink "/proc/$a/ns/net") != "$(readlink /proc/$$/ns/net)" &&
           $(readlink "/proc/$b/ns/net") != "$(readlink /proc/$$/ns/net)" ]]; do sleep 0.1; done
  ip link add eth0 netns "$a" type veth peer name eth0 netns "$b"
  number=0
  for host in "$a" "$b"; do
    number=$((number + 1))
    nsenter -n -t "$host" bash -ec "
      sysctl -qw net.ipv6.conf.all.disable_ipv6=$1 net.ipv6.conf.eth0.accept_dad=0
      ip link set lo up
      ip link set eth0 up
      ip addr add 10.1.0.$number/24 dev eth0
      ip route add default via 10.1.0.$((3 - number))"
  done
  if (($1 == 0)); then
    for host in "$a" "$b"; do
      until nsenter -n -t "$host" ip -6 addr show dev eth0 | grep -q 'fe80.*link *$'; do sleep 0.1; done
    done
  fi
  number=0
  for host in "$a" "$b"; do
    number=$((number + 1))
    nsenter -n -t "$host" "$serf" agent -node="n$number" -bind="10.1.0.$number" -discover=c \
      >"$1-$number.log" 2>&1 &
    started+=($!)
    until nsenter -n -t "$host" "$serf" members >/dev/null 2>&1; do sleep 0.1; done
  done
  for _ in $(seq 50); do
    nsenter -n -t "$a" "$serf" members >members
    grep -q n2 members && break
    sleep 0.1
  done
  sed 's/ .*//' members | sort | paste -sd' '
}
failed=0
check() {  # WHAT EXPECTED SEEN
  echo "$1: $3"
  [[ $2 == "$3" ]] || { echo "  was expected to be: $2"; failed=1; }
}
found 0 >with
found 1 >without
check 'members with IPv6' 'n1 n2' "$(cat with)"
check 'members with IPv6 switched off' 'n1' "$(cat without)"
check 'errors of the second agent' 1 "$(grep -c 'Failed to poll for new hosts: write udp6' 1-2.log)"
exit $failed
