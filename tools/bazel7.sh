#!/usr/bin/env bash
# tools/bazel7.sh ARGS...: Debian's Bazel 7, of which Debian 12 has only version 4, with these ARGS.
#
# It downloads Bazel and the libraries it needs (200 MB) from Debian's unstable release without
# installing them: apt verifies Debian's signatures. It lays them over /usr in a mount namespace
# of its own, since Bazel's programs and jars need their places there and a newer libc than Debian
# 12's. Compilers and headers stay Debian 12's. It needs root or user namespaces, and overlayfs.
set -euo pipefail
release=sid
version=7.7.1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf 'bazel7: %s\n' "$*" >&2; }
label() { cat "$1/usr/share/bazel/build-label.txt" 2>/dev/null || true; }

# inside ROOT ARGS...: in the namespace.
if [[ ${1-} == --inside ]]; then
  root=$2
  shift 2
  mount -t overlay overlay -o "lowerdir=$root/usr:/usr" /usr
  # The installation of the other Bazel must not show through.
  mount --bind "$root/usr/share/bazel" /usr/share/bazel
  mount -t overlay overlay -o "lowerdir=$root/etc:/etc" /etc
  java=("$root"/usr/lib/jvm/java-*/lib/jvm.cfg)
  java=${java[0]#"$root"}
  exec /usr/bin/bazel --server_javabase="${java%/lib/jvm.cfg}" "$@"
fi

if [[ $(label "") == "$version" ]]; then exec bazel "$@"; fi

store=${XDG_CACHE_HOME:-$HOME/.cache}/serf-debian
root=$store/bazel-$version
mkdir -p "$store/$release-lists/partial" "$store/archives/partial"
exec 9>"$store/lock"
flock 9
if [[ $(label "$root") != "$version" ]]; then
  "$here/bazelw" --setup-only
  work=$(mktemp -d "$store/bazel-new.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  log=$work/log
  die() {
    tail -n 20 "$log" >&2
    say "$*"
    exit 1
  }
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT) $(RELEASE)' 'Created-By: Packages' |
    awk '$2 == "main" && $3 !~ /-/ { print $1; exit }')
  [[ -n $mirror ]] || { : >"$log"; die "apt knows no Debian mirror"; }
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" \
    >"$store/$release.list"
  # What Bazel needs to compile C++ is there already (compilers, python3), or not needed to (a JDK).
  for name in build-essential ca-certificates-java default-jdk-headless perl python3 unzip velocity \
    zlib1g-dev libjs-jquery node-core-js node-html5shiv; do
    printf 'Package: %s\nStatus: install ok installed\nArchitecture: %s\nVersion: 9:99\n\n' \
      "$name" "$(dpkg --print-architecture)"
  done >"$work/status"
  apt() {
    apt-get -q -y --no-install-recommends -o Acquire::Retries=3 -o Acquire::Languages=none \
      -o APT::Sandbox::User=root -o Debug::NoLocking=1 -o Dir::Cache="$store" \
      -o Dir::State::Lists="$store/$release-lists" -o Dir::State::Status="$work/status" \
      -o Dir::State::Extended_States="$work/extended" \
      -o Dir::Etc::SourceList="$store/$release.list" -o Dir::Etc::SourceParts=/dev/null "$@"
  }
  say "downloading Bazel $version"
  apt update >"$log" 2>&1 || die "cannot read the package lists of $release"
  apt --print-uris install bazel-bootstrap default-jre-headless >"$work/uris" 2>>"$log" ||
    die "$release cannot install bazel-bootstrap"
  grep -q "^'.*/bazel-bootstrap_$version" "$work/uris" || {
    grep -o "bazel-bootstrap_[^ ]*deb " "$work/uris" >>"$log" || true
    die "$release no longer has Bazel $version, which this script was tried with: name the new one in it"
  }
  mkdir "$work/debs" "$work/root"
  mapfile -t packages < <(sed -n "s/^'[^']*' \([^_]*\)_.*/\1/p" "$work/uris")
  (cd "$work/debs" && apt download "${packages[@]}") >>"$log" 2>&1 || die "cannot download Bazel"
  for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
  [[ $(label "$work/root") == "$version" ]] || die "the package holds no Bazel $version"
  rm -rf "$root"
  mv "$work/root" "$root"
  rm -rf "$work"
  trap - EXIT
fi
exec 9>&-

namespace=(--mount)
((EUID == 0)) || namespace+=(--map-root-user)
exec unshare "${namespace[@]}" "${BASH_SOURCE[0]}" --inside "$root" "$@"
