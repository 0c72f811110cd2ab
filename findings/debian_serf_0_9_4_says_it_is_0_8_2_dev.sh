#!/usr/bin/env bash
# The package serf 0.9.4~ds1-1+b13 of Debian 12.
#
# Guess: `serf version` names the release: "Serf v0.9.4".
# Seen: it says "0.8.2-dev". Scripts that look for a release of at least 0.9 in it refuse this one.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 2>/dev/null
dpkg -x serf_*.deb .

seen=$(usr/bin/serf version | head -n 1)
echo "the first line of \`serf version\`: $seen"
[[ $seen == 0.8.2-dev ]]
