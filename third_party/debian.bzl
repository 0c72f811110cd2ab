"""Repository rule: a C/C++ library out of Debian packages.

Uses what is installed under /usr when the probe file is there (and new enough);
else downloads the named packages with apt-get into the repository itself, which
needs neither root nor an installation and so cannot conflict with what is there.
"""

def _run(rctx, args, what, env = {}):
    result = rctx.execute(args, timeout = 600, environment = env)
    if result.return_code != 0:
        fail("%s: %s failed (%d):\n%s%s" % (rctx.name, what, result.return_code, result.stdout, result.stderr))
    return result.stdout.strip()

def multiarch(rctx):
    """Returns Debian's multiarch triplet, e.g. x86_64-linux-gnu."""
    for cmd in (["dpkg-architecture", "-qDEB_HOST_MULTIARCH"], ["gcc", "-print-multiarch"]):
        if rctx.which(cmd[0]):
            result = rctx.execute(cmd)
            if result.return_code == 0 and result.stdout.strip():
                return result.stdout.strip()
    machine = rctx.execute(["uname", "-m"]).stdout.strip()
    return machine + "-linux-gnu"

def _macro_value(rctx, path, macro):
    for line in rctx.read(path).split("\n"):
        words = [w for w in line.replace("\t", " ").split(" ") if w]
        if len(words) >= 3 and words[0] == "#define" and words[1] == macro:
            return int(words[2])
    return 0

def _system_ok(rctx):
    probe = rctx.path(rctx.attr.probe)
    if not probe.exists:
        return False
    if rctx.attr.min_macro and _macro_value(rctx, probe, rctx.attr.min_macro) < rctx.attr.min_value:
        return False
    triplet = multiarch(rctx)
    for name in rctx.attr.archives + rctx.attr.shared:
        if not rctx.path("/usr/lib/%s/%s" % (triplet, name)).exists:
            return False
    for word in _pc_libs(rctx, "/usr", triplet):
        if word.startswith("-l") and not _archive_of(rctx, "/usr", triplet, word):
            return False
    return True

_APT = """
set -eu
# Private package lists, for who has none (or stale ones) and no right to refresh
# the system's, shared by all repositories.
store=${XDG_CACHE_HOME:-${HOME:-$PWD}/.cache}/serf-debian
mkdir -p "$store/lists/partial" "$store/archives/partial" "$store/sources.d"
exec 9>"$store/lock"
flock 9
private="-o Dir::State::Lists=$store/lists -o Dir::Cache=$store -o Debug::NoLocking=1"
private="$private -o APT::Sandbox::User=root"
refresh() {  # at most once in ten minutes
  [ -n "$(find "$store/fresh-$1" -mmin -10 2>/dev/null)" ] || { apt-get $private $2 update && : >"$store/fresh-$1"; }
}
apt() { apt-get -q -o APT::Sandbox::User=root -o Acquire::Retries=3 "$@"; }
"""

_DOWNLOAD = _APT + """
mkdir -p debs root
cd debs
fetch() {  # fetch OPTIONS PACKAGE: of "a|b|c" the first that this release has
  for name in $(echo "$2" | tr '|' ' '); do
    if apt-cache $1 show "$name" 2>/dev/null | grep -q '^Filename:'; then
      apt $1 download "$name"
      return
    fi
  done
  echo "no package $2"; return 1
}
if [ -n "$release" ]; then  # of that release, from the mirror that apt uses
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT) $(RELEASE)' 'Created-By: Packages' |
    awk '$2 == "main" && $3 !~ /-/ { print $1; exit }')
  [ -n "$mirror" ] || { echo "apt knows no Debian mirror"; exit 1; } >&2
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  echo "deb [signed-by=$keys] $mirror $release main" >"$store/$release.list"
  mkdir -p "$store/$release-lists/partial"
  private="$private -o Dir::State::Lists=$store/$release-lists -o Acquire::Languages=none"
  private="$private -o Dir::Etc::SourceList=$store/$release.list -o Dir::Etc::SourceParts=/dev/null"
  refresh "$release" "" >>log 2>&1 || { cat log >&2; exit 1; }
fi
for wanted in "$@"; do
  [ -z "$release" ] || { fetch "$private" "$wanted" >>log 2>&1 || { cat log >&2; exit 1; }; continue; }
  { fetch "" "$wanted" || { refresh deb "" && fetch "$private" "$wanted"; }; } >>log 2>&1 ||
    { cat log >&2; exit 1; }
done
for d in *.deb; do dpkg-deb -x "$d" ../root; done
rm -f *.deb
"""

_SOURCE = _APT + """
# The sources that apt knows, as deb-src.
for f in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
  [ -f "$f" ] || continue
  case $f in
    *.list) sed -n 's/^deb /deb-src /p' "$f" >"$store/sources.d/$(basename "$f")" ;;
    *.sources) sed 's/^Types:.*/Types: deb-src/' "$f" >"$store/sources.d/$(basename "$f")" ;;
  esac
done
private="$private -o Dir::State::Lists=$store/src-lists -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$store/sources.d"
mkdir -p "$store/src-lists/partial" download
{ refresh src "" || true
  cd download && apt $private source --download-only "$1" && dpkg-source --no-check -x *.dsc ../src
} >log 2>&1 || { cat log >&2; exit 1; }
"""

def debian_source(rctx, package):
    """Downloads and unpacks a Debian source package into src/ of the repository."""
    _run(rctx, ["sh", "-c", _SOURCE, "sh", package], "apt-get source " + package)

def _pc_libs(rctx, root, triplet):
    """Returns the libraries and flags in Libs.private of the rule's .pc file."""
    words = []
    if rctx.attr.pc:
        for line in rctx.read("%s/lib/%s/pkgconfig/%s.pc" % (root, triplet, rctx.attr.pc)).split("\n"):
            if line.startswith("Libs.private:"):
                words = [w for w in line[len("Libs.private:"):].split(" ") if w.startswith("-l") or w == "-pthread"]
    return words

def _archive_of(rctx, root, triplet, word):
    name = "lib%s.a" % word[2:]
    path = rctx.path("%s/lib/%s/%s" % (root, triplet, name))
    return name if word.startswith("-l") and path.exists else None

def debian_root(rctx):
    """Returns the absolute path of the tree to take files from: /usr or a download."""
    mode = rctx.os.environ.get("SERF_DEBIAN_DEPS", "auto")
    if mode not in ("auto", "system", "download"):
        fail("SERF_DEBIAN_DEPS must be auto, system or download, not " + mode)
    if mode != "download" and not rctx.attr.release and _system_ok(rctx):
        return "/usr"
    if (mode == "system" and not rctx.attr.release) or not rctx.attr.packages:
        fail("%s: %s is missing or too old; install %s" % (rctx.name, rctx.attr.probe, " ".join(rctx.attr.packages)))
    _run(
        rctx,
        ["sh", "-c", _DOWNLOAD, "sh"] + rctx.attr.packages,
        "apt-get download " + " ".join(rctx.attr.packages),
        env = {"release": rctx.attr.release},
    )
    return str(rctx.path("root/usr"))

def link_files(rctx, root, includes, archives, triplet):
    """Links headers to include/ and static archives to lib/ of the repository."""
    for path in includes:
        rctx.symlink("%s/include/%s" % (root, path), "include/" + path)
        by_arch = rctx.path("%s/include/%s/%s" % (root, triplet, path))
        if by_arch.exists:
            rctx.symlink(by_arch, "include_arch/" + path)
    for name in archives:
        rctx.symlink("%s/lib/%s/%s" % (root, triplet, name), "lib/" + name)

def _impl(rctx):
    root = str(rctx.path(rctx.attr.tree_of).dirname) if rctx.attr.tree_of else debian_root(rctx)
    if rctx.attr.tree:
        for path in rctx.path("%s/%s" % (root, rctx.attr.tree)).readdir():
            rctx.symlink(path, path.basename)
        return
    triplet = multiarch(rctx)
    link_files(rctx, root, rctx.attr.includes, rctx.attr.archives, triplet)
    for name in rctx.attr.shared:
        # The link libNAME.so points to the name that the loader will ask for.
        lib = "%s/lib/%s/" % (root, triplet)
        soname = _run(rctx, ["readlink", lib + name], "readlink " + name)
        rctx.symlink(lib + soname, "lib/" + soname)
    for name in rctx.attr.programs:
        rctx.symlink("%s/bin/%s" % (root, name), "bin/" + name)
    for path, label in rctx.attr.extra_files.items():
        rctx.symlink(Label(label), path)
    linkopts = []
    for word in _pc_libs(rctx, root, triplet):
        archive = _archive_of(rctx, root, triplet, word)
        if archive and word not in ("-ldl", "-lpthread"):
            link_files(rctx, root, [], [archive], triplet)
        else:
            linkopts.append(word)
    rctx.file("WORKSPACE", "")
    rctx.file("pc.bzl", "PC_LINKOPTS = %s\n" % repr(linkopts))
    rctx.symlink(rctx.attr.build_file, "BUILD.bazel")

COMMON_ATTRS = {
    "packages": attr.string_list(doc = "Debian packages to download when the system has none"),
    "release": attr.string(doc = "download from this Debian release, whatever the system has"),
    "probe": attr.string(mandatory = True, doc = "file whose presence shows that the package is installed"),
    "min_macro": attr.string(doc = "macro in the probe file that holds the version"),
    "min_value": attr.int(),
    "archives": attr.string_list(doc = "static archives"),
    "shared": attr.string_list(doc = "libNAME.so of shared libraries"),
    "pc": attr.string(doc = "pkg-config file whose Libs.private is linked too"),
}

debian_repository = repository_rule(
    implementation = _impl,
    environ = ["SERF_DEBIAN_DEPS"],
    attrs = dict(
        COMMON_ATTRS,
        includes = attr.string_list(),
        programs = attr.string_list(doc = "programs in bin/"),
        extra_files = attr.string_dict(),
        build_file = attr.label(doc = "the BUILD file; :pc.bzl has the pkg-config file's flags as PC_LINKOPTS"),
        tree = attr.string(doc = "the package is a Bazel repository in this folder"),
        tree_of = attr.label(doc = "the BUILD file of a repository that has unpacked the package"),
    ),
    local = False,
    configure = True,
)
