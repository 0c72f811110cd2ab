#!/usr/bin/env python3
"""Builds and tests testing/bcr_module, a module that depends on this one, with Bazel 7.

    tools/module_test.py [BAZEL OPTIONS]

The registry is a folder with stand-ins: modules with the names, versions and labels of the Bazel
Central Registry, but with the libraries out of Debian packages that the build of this repository
uses. So the test shows that the names, the labels and the graph of modules fit, without a network.
It does not show that the registry's own versions compile.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# module: (version, repository of the WORKSPACE that stands in, labels that it must have,
#          modules that it names itself as {module: name of the repository there})
LIBRARIES = {
    "abseil-cpp": ("20260817.0", "com_google_absl",
                   ["//absl/strings", "//absl/status:statusor"], {}),
    "boost.asio": ("1.90.0.bcr.1", "boost.asio", ["//:boost.asio"], {"openssl": None}),
    "boost.beast": ("1.90.0.bcr.1", "boost.beast", ["//:boost.beast"], {"boost.asio": None}),
    "gflags": ("2.3.1", "com_github_gflags_gflags", ["//:gflags"], {}),
    "glog": ("0.7.1.bcr.1", "com_github_google_glog", ["//:glog"],
             {"gflags": "com_github_gflags_gflags"}),
    "google_benchmark": ("1.9.5", "com_github_google_benchmark",
                         ["//:benchmark", "//:benchmark_main"], {}),
    "googletest": ("1.18.0", "com_google_googletest", ["//:gtest", "//:gtest_main"], {}),
    "msgpack-c": ("7.0.0", "msgpack", ["//:msgpack"], {}),
    "nlohmann_json": ("3.12.0.bcr.1", "nlohmann_json", ["//:json"], {}),
    "openssl": ("3.5.5.bcr.4", "openssl", ["//:crypto", "//:ssl"], {}),
    "re2": ("2025-11-05.bcr.1", "com_googlesource_code_re2", ["//:re2"], {}),
}

# The registry's Boost.Asio is compiled apart from what includes it, and takes the place of ours for a
# consumer with modules. Its defines are others than those of third_party/boost.asio.BUILD.
BOOST_ASIO = '''
cc_library(
    name = "boost.asio",
    srcs = ["boost.asio.cc"],
    hdrs = glob(["include/boost/**"]),
    defines = ["BOOST_ASIO_SEPARATE_COMPILATION"],
    includes = ["include"],
    linkopts = ["-pthread"],
    visibility = ["//visibility:public"],
)
'''

# Debian's Bazel comes with these.
OF_BAZEL = {"platforms", "rules_cc"}
# Modules that Bazel itself names, in several versions, but that building C++ does not load.
UNUSED = ["apple_support", "buildozer", "protobuf", "zlib"]
BUILDOZER = '''
def _repository(rctx):
    rctx.file("BUILD.bazel", "")

_binary = repository_rule(implementation = _repository)

def _extension(_module_ctx):
    _binary(name = "buildozer_binary")

buildozer_binary = module_extension(implementation = _extension)
'''


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def run(*command, folder=root):
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE).stdout.decode()


def read(path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def check_tables():
    """MODULE.bazel, deps.bzl and LIBRARIES name the same libraries."""
    named = {}
    for call in re.findall(r"(?s)\nbazel_dep\((.*?)\)", read("MODULE.bazel")):
        said = dict(re.findall(r'(\w+) = "([^"]*)"', call))
        if said["name"] not in OF_BAZEL:
            named[said["name"]] = (said["version"], said.get("repo_name", said["name"]))
    known = {name: row[:2] for name, row in LIBRARIES.items()}
    if named != known:
        sys.exit("MODULE.bazel and tools/module_test.py differ in: %s" % sorted(
            set(named.items()) ^ set(known.items())))
    declared = set(re.findall(r'(?m)^    "(\S+)": dict\(|name = "(com_google_absl)"', read("deps.bzl")))
    declared = {name for pair in declared for name in pair if name and not name.startswith("debian_")}
    if declared != {row[1] for row in LIBRARIES.values()}:
        sys.exit("deps.bzl and tools/module_test.py differ in: %s" % sorted(
            declared ^ {row[1] for row in LIBRARIES.values()}))


def write_registry(folder):
    def module(name, version, path, deps):
        lines = ['module(name = "%s", version = "%s")' % (name, version)]
        for dep, repository in deps.items():
            alias = ', repo_name = "%s"' % repository if repository else ""
            lines.append('bazel_dep(name = "%s", version = "%s"%s)' % (
                dep, LIBRARIES[dep][0], alias))
        home = os.path.join(folder, "modules", name, version)
        write(os.path.join(home, "MODULE.bazel"), "\n".join(lines) + "\n")
        write(os.path.join(home, "source.json"),
              json.dumps({"type": "local_path", "path": path}) + "\n")

    write(os.path.join(folder, "bazel_registry.json"), "{}\n")
    # The repositories as CI's build of this workspace has them: downloaded, none of it from /usr.
    labels = ["@%s%s" % (row[1], label) for row in LIBRARIES.values() for label in row[2]]
    run("./bazelw", "build", "--config=strict", "--noshow_progress", "--nobuild", *labels)
    base = run("./bazelw", "info", "--noshow_progress", "output_base").strip()
    for name, (version, repository, _, deps) in LIBRARIES.items():
        path = os.path.join(base, "external", repository)
        if name == "boost.asio":
            debian, path = path, os.path.join(folder, name)
            write(os.path.join(path, "REPO.bazel"), "")
            write(os.path.join(path, "BUILD.bazel"), BOOST_ASIO)
            write(os.path.join(path, "boost.asio.cc"), "#include <boost/asio/impl/src.hpp>\n")
            os.symlink(os.path.join(debian, "include"), os.path.join(path, "include"))
        module(name, version, path, deps)


def override_unused(folder):
    """Writes an empty module for each, and returns the options that name them."""
    for name in UNUSED:
        write(os.path.join(folder, name, "MODULE.bazel"), 'module(name = "%s")\n' % name)
        write(os.path.join(folder, name, "BUILD.bazel"), "")
        write(os.path.join(folder, name, "buildozer_binary.bzl"), BUILDOZER)
    return ["--override_module=%s=%s" % (name, os.path.join(folder, name)) for name in UNUSED]


FLAGS = [
    "--noenable_workspace", "--lockfile_mode=off", "--symlink_prefix=/",
    "--curses=no", "--noshow_loading_progress", "--show_progress_rate_limit=30",
    "--nosandbox_debug", "--test_output=errors",
    "--cxxopt=-std=c++20", "--host_cxxopt=-std=c++20", "--incompatible_strict_action_env",
    # Half of the time of g++, with which tools/consumer_test.sh compiles.
    "--repo_env=CC=clang",
    # A sandbox would be thousands of links to headers; Bazel checks without one, too, that a target
    # declares what it includes.
    "--spawn_strategy=local", "--strategy=TestRunner=sandboxed",
    "--sandbox_default_allow_network=false",
]
TARGETS = ["//...", "@serf//serf", "@serf//transport:host", "@serf//rpc:client", "@serf//cmd:serf"]


def main(options):
    check_tables()
    with tempfile.TemporaryDirectory(prefix="serf-modules.") as work:
        registry = os.path.join(work, "registry")
        write_registry(registry)
        flags = FLAGS + ["--registry=file://" + registry] + override_unused(work)
        # Bazel leaves the compiler's version out of its cache keys.
        flags.append("--action_env=SERF_COMPILER=" + run("clang", "--version").splitlines()[0])
        if os.environ.get("SERF_DISK_CACHE"):
            flags.append("--disk_cache=" + os.environ["SERF_DISK_CACHE"])

        def bazel(*arguments):
            return subprocess.run(
                [os.path.join(root, "tools/bazel7.sh"), "--output_base=" + os.path.join(work, "base"),
                 "--max_idle_secs=60", "--host_jvm_args=-Xmx1g", *arguments],
                cwd=os.path.join(root, "testing/bcr_module"), check=False).returncode

        try:
            return bazel("test", *flags, *options, "--", *TARGETS)
        finally:
            bazel("shutdown")
            run("chmod", "-R", "u+w", work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
