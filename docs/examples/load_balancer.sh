#!/bin/sh
# Keeps the servers of a load balancer in step with the cluster: every live member whose role is
# "web" becomes a line of a configuration in the form of HAProxy's. An event handler of `serf agent`:
#
#   serf agent -event-handler='member-join,member-update,member-leave,member-failed,member-reap=
#       BALANCER_RELOAD="systemctl reload haproxy" /etc/serf/load_balancer.sh'    (one line)
#
#   BALANCER_DIR      folder of the configuration, web.cfg, and of what is remembered between two
#                     events (default: /var/lib/serf-balancer)
#   BALANCER_RELOAD   command to run when the configuration has changed (default: none)
#
# A member's port is its tag "port", or 80. The agent runs a handler once at a time, so no lock is
# needed here.
set -eu

dir=${BALANCER_DIR:-/var/lib/serf-balancer}
known=$dir/known
mkdir -p "$dir"
touch "$known"

case $SERF_EVENT in
  member-join | member-update) alive=1 ;;
  member-leave | member-failed | member-reap) alive=0 ;;
  *) exit 0 ;;
esac

# What comes from other nodes is checked before it gets into the configuration: a name or a port
# with other characters is left out.
awk -F '\t' -v alive="$alive" -v known="$known" '
  BEGIN {
    while ((getline line <known) > 0) {
      split(line, field, " ")
      server[field[1]] = field[2]
    }
  }
  $1 !~ /^[A-Za-z0-9._-]+$/ || $2 !~ /^[0-9A-Fa-f.:]+$/ { next }
  {
    delete server[$1]
    if (!alive || $3 != "web") next
    port = 80
    count = split($4, tags, ",")
    for (i = 1; i <= count; i++) {
      if (tags[i] ~ /^port=[0-9]+$/) port = substr(tags[i], 6)
    }
    server[$1] = ($2 ~ /:/ ? "[" $2 "]" : $2) ":" port
  }
  END { for (name in server) print name, server[name] }
' | LC_ALL=C sort >"$known.new"
mv "$known.new" "$known"

{
  echo "backend web"
  echo "    balance roundrobin"
  while read -r name address; do
    echo "    server $name $address check"
  done <"$known"
} >"$dir/web.cfg.new"

if cmp -s "$dir/web.cfg.new" "$dir/web.cfg"; then
  rm "$dir/web.cfg.new"
  exit 0
fi
# The balancer sees the old file or the new one, never a part.
mv "$dir/web.cfg.new" "$dir/web.cfg"
if [ -n "${BALANCER_RELOAD:-}" ]; then
  sh -c "$BALANCER_RELOAD"
fi
