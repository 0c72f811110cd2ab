#!/usr/bin/env bash
# Go Serf 0.9.4 (Debian 12) with -syslog, and the syslog daemon of busybox (Debian 12).
#
# Guess: an [INFO] line of the log arrives with the severity "info", [DEBUG] with "debug", so that a
# rule such as `*.info` or `local0.=debug` picks the same lines as -log-level does.
# Seen: each level is a step more severe: [DEBUG] arrives as "info" and [INFO] as "notice"; and the
# level's own word is taken off the text, so that it can't be told afterwards.
set -euo pipefail

if [[ -z ${FINDING_INSIDE:-} ]]; then
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' EXIT
  cd "$dir"
  apt-get download -qq 'serf=0.9.4~ds1-1+b13' 'busybox-static=1:1.35.0-4+deb12u1+b1' 2>/dev/null
  for package in *.deb; do dpkg -x "$package" .; done
  # A /dev/log of its own.
  FINDING_INSIDE=1 unshare -m --propagation private bash "$(cd "$OLDPWD"; realpath "$0")"
  exit
fi
mkdir dev
mount -t tmpfs tmpfs dev
mknod dev/null c 1 3
mknod dev/urandom c 1 9
chmod 666 dev/null
mount --move dev /dev
daemon= agent=
trap 'for p in $agent $daemon; do kill "$p" 2>/dev/null || true; done' EXIT
bin/busybox syslogd -n -O "$PWD/messages" &
daemon=$!
until [[ -S /dev/log ]]; do sleep 0.1; done
rpc=-rpc-addr=127.9.7.1:7373
usr/bin/serf agent -node=n -bind=127.9.7.1:7946 $rpc -syslog -log-level=debug >agent.log 2>&1 &
agent=$!
until usr/bin/serf members $rpc >/dev/null 2>&1; do sleep 0.1; done
usr/bin/serf event $rpc x >/dev/null
for _ in $(seq 50); do grep -q 'user event send' messages && break; sleep 0.1; done

failed=0
check() {  # TEXT LEVEL SEVERITY
  echo "the log: $(grep -o "\[$2\] $1" agent.log | head -1)"
  echo "syslog:  $(grep -o "[a-z0-9]*\.[a-z]* serf\[[0-9]*\]: .*$1" messages | head -1)"
  grep -q "\[$2\] $1" agent.log && grep -q "local0\.$3 serf\[[0-9]*\]: $1" messages || failed=1
}
check 'agent: Serf agent starting' INFO notice
check 'agent: Requesting user event send: x' DEBUG info
exit $failed
