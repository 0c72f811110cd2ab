#!/usr/bin/env bash
# Go Serf 0.9.4 and Prometheus 2.42.0 (both Debian 12), whose file_sd gets the list of members, each a
# group of its own with its tags as labels.
#
# Guess: of a tag whose name is no name of a label (my-role) the label is left out, or the member.
# Seen: the whole file is refused, and Prometheus goes on with the list from before: nobody who joins
# is scraped, and who has left still is, as long as the member with the tag is there. Serf takes any name
# of a tag; give tags that become labels names of letters, digits and `_`.
set -euo pipefail

dir=$(mktemp -d)
agents=()
prometheus=
trap 'for p in "${agents[@]}" $prometheus; do kill "$p" 2>/dev/null || true; wait "$p" || true; done; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq 'serf=0.9.4~ds1-1+b13' 'prometheus=2.42.0+ds-5+deb12u1' 2>/dev/null
for package in *.deb; do dpkg -x "$package" .; done
serf=$dir/usr/bin/serf
rpc=-rpc-addr=127.9.25.1:7373
start() {  # NAME NUMBER TAG
  "$serf" agent -node="$1" -profile=local -bind="127.9.25.$2:7946" -rpc-addr="127.9.25.$2:7373" -tag "$3" \
    -retry-join=127.9.25.1:7946 >"$1.log" 2>&1 &
  agents+=($!)
  until "$serf" members $rpc 2>/dev/null | grep -q "^$1 .*alive.*$3"; do sleep 0.1; done
}
mkdir lists
# Writes the living members as targets.
list() {
  "$serf" members $rpc -status=alive -format=json >members.json
  node -e "
    const members = require('$dir/members.json').members;
    console.log(JSON.stringify(members.map(({addr, tags}) => ({targets: [addr], labels: tags}))));" >lists/new
  mv lists/new lists/serf.json
}
cat >prometheus.yml <<CONF
scrape_configs:
- job_name: serf
  file_sd_configs:
  - files: [$dir/lists/serf.json]
    refresh_interval: 1s
CONF
# The hosts that Prometheus scrapes, by their last number.
scraped() {
  sleep 8  # it takes over a list within five seconds
  node -e "
    fetch('http://127.9.25.9:9090/api/v1/targets').then(reply => reply.json()).then(reply => {
      console.log(reply.data.activeTargets.map(target => target.labels.instance.split(/[.:]/)[3]).sort().join(' '));
    });"
}
failed=0
check() {  # WHAT EXPECTED SEEN
  echo "$1: $3"
  [[ $2 == "$3" ]] || { echo "  was expected to be: $2"; failed=1; }
}
start web 1 role=web
start db 2 role=db
list
usr/bin/prometheus --config.file=prometheus.yml --storage.tsdb.path=data --web.listen-address=127.9.25.9:9090 \
  >prometheus.log 2>&1 &
prometheus=$!
until grep -q 'ready to receive' prometheus.log; do sleep 0.1; done
check 'scraped' '1 2' "$(scraped)"
start cache 3 my-role=cache
"$serf" leave -rpc-addr=127.9.25.2:7373 >/dev/null
until (($("$serf" members $rpc -status=alive | grep -c .) == 2)); do sleep 0.1; done
list
check 'members that live' '1 3' "$("$serf" members $rpc -status=alive | sed 's/.*127\.9\.25\.\([0-9]\).*/\1/' | sort | paste -sd' ')"
check 'scraped' '1 2' "$(scraped)"
check 'the log' '"my-role" is not a valid label name' "$(grep -o 'err=.*' prometheus.log | tail -n 1 | tr -d '\\' | sed 's/^err="\(.*\)"$/\1/')"
exit $failed
